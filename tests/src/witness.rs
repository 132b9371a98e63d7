//! Requests by hand, and writers that keep a ledger of what was acknowledged, to be checked against what is there.
//!
//! Everything here panics where it does not get what it wants, as tests do.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use cloakroom_core::{CommitError, End, Engine, Keyring, RequestInfo};
use cloakroom_runtime::{Interrupted, Runtime, run};
use cloakroom_store::{Finish, Report, Session, SessionError, Sessions, Store, StoreFailure};
use futures_util::future::{BoxFuture, join_all};

use crate::demo::PATIENCE;

const RING: &str = "1:primary:b2xkLfqXkm3PJVTVE_Ec7PZUR8w8ugMvAfqTKmlWcBw";
/// How many sessions all writers add to.
const SHARED: usize = 3;
/// How long a writer waits after an error.
const PAUSE: Duration = Duration::from_millis(5);
/// How often it is tried to read what must be readable at the end.
const TRIES: u32 = 500;

/// A server of sessions without the web around it: each call is a request.
#[derive(Clone, Debug)]
pub struct Site {
    sessions: Sessions,
    runtime: Arc<dyn Runtime>,
}

impl Site {
    /// Keeps sessions in a store.
    pub fn new(store: impl Store, runtime: impl Runtime) -> Self {
        Self::with_engine(Engine::new(ring()), store, runtime)
    }

    /// Keeps sessions in a store, by an engine with settings of its own.
    pub fn with_engine(engine: Engine, store: impl Store, runtime: impl Runtime) -> Self {
        let runtime: Arc<dyn Runtime> = Arc::new(runtime);
        let sessions = Sessions::builder(engine, store, runtime.clone()).deadline(Duration::from_secs(5)).build();
        Self { sessions, runtime }
    }

    /// Opens the session of a request that brings a cookie, or an empty string.
    pub fn open(&self, cookie: &str) -> Session {
        self.sessions.open([cookie.as_bytes()], &RequestInfo::new(), StoreFailure::Refuse)
    }

    /// Makes a session of which `n` is a number; returns its cookie.
    ///
    /// # Errors
    ///
    /// [`SessionError`]
    pub async fn sign_in(&self, n: u64) -> Result<String, SessionError> {
        let session = self.open("");
        session.insert("n", &n).await?;
        let report = Session::commit(&session, Finish::Keep).await;
        report.result()?;
        Ok(cookie(&report).expect("a session that is stored has a cookie"))
    }

    /// Returns `n`.
    ///
    /// # Errors
    ///
    /// [`SessionError`]
    pub async fn read(&self, cookie: &str) -> Result<Option<u64>, SessionError> {
        let session = self.open(cookie);
        let n = session.get("n").await;
        let report = Session::commit(&session, Finish::Keep).await;
        report.result().and(n)
    }

    /// Adds one to `n`.
    ///
    /// # Errors
    ///
    /// [`SessionError`]; [`CommitError::Vanished`] if the session is not there.
    pub async fn add(&self, ticket: &str) -> Result<(), SessionError> {
        let session = self.open(ticket);
        session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).await?;
        let report = Session::commit(&session, Finish::Keep).await;
        report.result()?;
        // A cookie is another session's: a new one.
        if cookie(&report).is_some() { Err(CommitError::Vanished.into()) } else { Ok(()) }
    }

    /// Ends the session; returns what came of it.
    pub async fn end(&self, cookie: &str) -> (Option<End>, Report) {
        let session = self.open(cookie);
        // The report says so if it cannot be loaded.
        let _ = session.destroy().await;
        let report = Session::commit(&session, Finish::Keep).await;
        (report.end(), report)
    }

    /// Waits until the session can be read, and returns how long that took since a moment.
    pub async fn recovers(&self, cookie: &str, since: Instant) -> Duration {
        loop {
            match self.read(cookie).await {
                Ok(_) => return since.elapsed(),
                Err(error) => assert!(since.elapsed() < PATIENCE, "the store does not come back: {error}"),
            }
            self.runtime.sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Returns the ring that all sites share.
pub fn ring() -> Keyring {
    RING.parse().unwrap()
}

/// Returns the `name=value` that a browser would send back.
pub fn cookie(report: &Report) -> Option<String> {
    let (_, line) = report.headers().find(|(name, _)| *name == "set-cookie")?;
    line.split(';').next().map(str::to_owned)
}

/// Writers under way.
#[must_use = "call `check`"]
pub struct Witness {
    site: Site,
    is_over: Arc<AtomicBool>,
    ledger: Arc<Mutex<Ledger>>,
    writers: Vec<BoxFuture<'static, Result<(), Interrupted>>>,
}

/// What was acknowledged, by cookie.
#[derive(Default)]
struct Ledger {
    entries: BTreeMap<String, Entry>,
    summary: Summary,
    /// What must not have happened.
    violations: Vec<String>,
}

#[derive(Clone, Default)]
struct Entry {
    added: u64,
    /// Adds of which nobody knows whether they happened.
    doubtful: u64,
    /// Adds that are under way.
    begun: u64,
    fate: Fate,
}

#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum Fate {
    /// Its end was asked for and not acknowledged.
    Doubtful,
    Ended,
    #[default]
    Live,
}

/// How often what happened.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Acknowledged adds.
    pub added: u64,
    /// Acknowledged sessions.
    pub created: u64,
    /// Writes of which nobody knows whether they happened.
    pub doubtful: u64,
    /// Acknowledged ends.
    pub ended: u64,
    /// Requests that failed without a doubt.
    pub failed: u64,
    /// What one of the failures said.
    pub said: String,
}

impl Witness {
    /// Lets writers begin; the store must work by then.
    pub async fn begin(site: &Site, writers: usize) -> Self {
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let mut shared = Vec::new();
        for _ in 0..SHARED {
            let cookie = site.sign_in(0).await.expect("the store works at first");
            lock(&ledger).entries.insert(cookie.clone(), Entry::default());
            shared.push(cookie);
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let start = |number| {
            let writer = Writer {
                site: site.clone(),
                ledger: ledger.clone(),
                shared: shared.clone(),
                own: Vec::new(),
                ended: Vec::new(),
            };
            Box::pin(run(&*site.runtime, writer.write(number, is_over.clone()))) as BoxFuture<'static, _>
        };
        let writers = (0..writers).map(start).collect();
        Self { site: site.clone(), is_over, ledger, writers }
    }

    /// Lets the writers end, and checks that all that was acknowledged is there and that nothing that was ended lives.
    pub async fn check(self) -> Summary {
        self.is_over.store(true, Ordering::Relaxed);
        for end in join_all(self.writers).await {
            end.expect("a writer panicked");
        }
        let (entries, summary, mut violations) = {
            let ledger = lock(&self.ledger);
            (ledger.entries.clone(), ledger.summary.clone(), ledger.violations.clone())
        };
        for (cookie, entry) in &entries {
            let mut found = self.site.read(cookie).await;
            for _ in 0..TRIES {
                if found.is_ok() {
                    break;
                }
                self.site.runtime.sleep(PAUSE * 4).await;
                found = self.site.read(cookie).await;
            }
            let Entry { added, doubtful, fate, .. } = entry;
            match (fate, found.expect("the store works at last")) {
                (Fate::Ended, Some(n)) => violations.push(format!("an ended session lives with {n}")),
                (Fate::Live, None) => violations.push(format!("a session of {added} adds is lost")),
                (_, Some(n)) if !(*added..=added + doubtful).contains(&n) => {
                    violations.push(format!("{n} is there of {added} adds, and {doubtful} doubtful ones"));
                }
                _ => {}
            }
        }
        assert!(violations.is_empty(), "{violations:#?} after {summary:?}");
        assert!(summary.added > 0 && summary.ended > 0, "nothing was shown: {summary:?}");
        summary
    }

    /// Waits until so many further adds were acknowledged.
    pub async fn goes_on(&self, adds: u64) {
        let (before, since) = (self.added(), Instant::now());
        while self.added() < before + adds {
            assert!(since.elapsed() < PATIENCE, "no more writes are acknowledged");
            self.site.runtime.sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns how many adds were acknowledged so far, if nothing was seen that must not be.
    pub fn added(&self) -> u64 {
        let ledger = lock(&self.ledger);
        assert!(ledger.violations.is_empty(), "{:#?} after {:?}", ledger.violations, ledger.summary);
        ledger.summary.added
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness").finish_non_exhaustive()
    }
}

struct Writer {
    site: Site,
    ledger: Arc<Mutex<Ledger>>,
    shared: Vec<String>,
    /// Sessions that only this one ends.
    own: Vec<String>,
    ended: Vec<String>,
}

impl Writer {
    async fn write(mut self, number: usize, is_over: Arc<AtomicBool>) {
        for round in number.. {
            if is_over.load(Ordering::Relaxed) {
                return;
            }
            let cookie = self.shared[round % SHARED].clone();
            let step = match round % 5 {
                0 | 2 => self.add(&cookie).await,
                1 => self.sign_in().await,
                3 => self.look(&cookie).await,
                _ => self.end().await,
            };
            if let Err(error) = step {
                {
                    let mut ledger = lock(&self.ledger);
                    ledger.summary.failed += 1;
                    if ledger.summary.said.is_empty() {
                        ledger.summary.said = words_of(&error);
                    }
                }
                self.site.runtime.sleep(PAUSE).await;
            }
        }
    }

    async fn add(&self, cookie: &str) -> Result<(), SessionError> {
        self.note(cookie, |entry| entry.begun += 1);
        let added = self.site.add(cookie).await;
        let is_doubtful = added.as_ref().is_err_and(is_doubtful);
        self.note(cookie, |entry| match &added {
            Ok(()) => entry.added += 1,
            Err(_) if is_doubtful => entry.doubtful += 1,
            Err(_) => entry.begun -= 1,
        });
        {
            let mut ledger = lock(&self.ledger);
            ledger.summary.added += u64::from(added.is_ok());
            ledger.summary.doubtful += u64::from(is_doubtful);
            if let Err(error @ SessionError::Commit(CommitError::Lost | CommitError::Vanished)) = &added {
                ledger.violations.push(format!("an add to a live session: {error}"));
            }
        }
        added
    }

    async fn sign_in(&mut self) -> Result<(), SessionError> {
        let cookie = self.site.sign_in(0).await?;
        {
            let mut ledger = lock(&self.ledger);
            ledger.summary.created += 1;
            ledger.entries.insert(cookie.clone(), Entry::default());
        }
        self.own.push(cookie);
        Ok(())
    }

    /// Sees that a counter has all that was acknowledged before, and that what was ended last is gone.
    async fn look(&self, cookie: &str) -> Result<(), SessionError> {
        let before = lock(&self.ledger).entries[cookie].added;
        let n = self.site.read(cookie).await?;
        let most = lock(&self.ledger).entries[cookie].begun;
        if !n.is_some_and(|n| (before..=most).contains(&n)) {
            lock(&self.ledger).violations.push(format!("{n:?} is read of {before} to {most} adds"));
        }
        if let Some(ended) = self.ended.last()
            && let Some(n) = self.site.read(ended).await?
        {
            lock(&self.ledger).violations.push(format!("a session that was ended is read: {n}"));
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<(), SessionError> {
        let Some(cookie) = self.own.pop() else { return Ok(()) };
        self.note(&cookie, |entry| entry.fate = Fate::Doubtful);
        let (end, report) = self.site.end(&cookie).await;
        if matches!(end, Some(End::Ended)) {
            self.note(&cookie, |entry| entry.fate = Fate::Ended);
            lock(&self.ledger).summary.ended += 1;
            self.ended.push(cookie);
        } else if matches!(end, Some(End::NothingToEnd | End::Vanished)) {
            lock(&self.ledger).violations.push(format!("a live session was not there to be ended: {end:?}"));
        }
        report.result()
    }

    fn note(&self, cookie: &str, change: impl FnOnce(&mut Entry)) {
        change(lock(&self.ledger).entries.get_mut(cookie).expect("the ledger knows every session"));
    }
}

/// Tells whether what was asked for may have happened.
fn is_doubtful(error: &SessionError) -> bool {
    matches!(error, SessionError::Commit(CommitError::OutcomeUnknown) | SessionError::Interrupted)
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns what an error says, with all that it is caused by.
pub fn words_of(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    words
}
