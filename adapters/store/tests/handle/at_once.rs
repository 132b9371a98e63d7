//! A store that does all at once is asked for no future, and a commit over it is done before anybody polls it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use cloakroom_core::{CommitError, Event, Op, Outcome, RequestInfo, StoreKey, Stored, Value, Version};
use cloakroom_store::{
    Created, Fault, Finish, MemoryStore, Removed, Report, Session, SessionError, Sessions, Store, StoreError,
    StoreFailure, Written,
};

use crate::common::{TestRuntime, add_one, cookie, ring};

type Answer = Result<Outcome, StoreError>;

/// Does all at once, or answers as told; counts the futures that it is asked for.
#[derive(Clone, Debug)]
struct Quick {
    memory: MemoryStore,
    told: Arc<Mutex<Option<Answer>>>,
    futures: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
    /// The next operation panics.
    breaks: Arc<AtomicBool>,
}

impl Quick {
    fn counted(&self) -> &MemoryStore {
        self.futures.fetch_add(1, Ordering::Relaxed);
        &self.memory
    }
}

impl Store for Quick {
    async fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        Store::load(self.counted(), key).await
    }

    async fn create(&self, key: &StoreKey, value: &Value, ttl: Duration) -> Result<Created, StoreError> {
        Store::create(self.counted(), key, value, ttl).await
    }

    async fn replace(&self, key: &StoreKey, at: &Version, value: &Value, ttl: Duration) -> Result<Written, StoreError> {
        Store::replace(self.counted(), key, at, value, ttl).await
    }

    async fn touch(&self, key: &StoreKey, at: &Version, value: &Value, ttl: Duration) -> Result<Written, StoreError> {
        Store::touch(self.counted(), key, at, value, ttl).await
    }

    async fn remove(&self, key: &StoreKey, at: &Version) -> Result<Removed, StoreError> {
        Store::remove(self.counted(), key, at).await
    }

    fn at_once(&self, op: &Op) -> Option<Answer> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        assert!(!self.breaks.swap(false, Ordering::Relaxed), "the store breaks");
        self.told.lock().unwrap().take().or_else(|| Store::at_once(&self.memory, op))
    }
}

struct Site {
    store: Quick,
    runtime: TestRuntime,
    sessions: Sessions,
}

impl Site {
    fn new() -> Self {
        let runtime = TestRuntime::new();
        let memory = MemoryStore::new(runtime.clone());
        let (told, breaks) = (Arc::default(), Arc::default());
        let store = Quick { memory, told, futures: Arc::default(), asked: Arc::default(), breaks };
        // In another, which passes it on.
        let sessions = Sessions::new(ring(), Arc::new(store.clone()), runtime.clone());
        Self { store, runtime, sessions }
    }

    fn open(&self, ticket: &str) -> Session {
        self.sessions.open([ticket.as_bytes()], &RequestInfo::new(), StoreFailure::Refuse)
    }

    async fn sign_in(&self) -> String {
        let session = self.open("");
        session.insert("n", &1).await.unwrap();
        cookie(&Session::commit(&session, Finish::Keep).await).unwrap()
    }

    fn tell(&self, answer: Answer) {
        *self.store.told.lock().unwrap() = Some(answer);
    }

    /// Adds one, in a request whose commit is answered so.
    async fn change(&self, ticket: &str, told: Option<Answer>) -> Report {
        let session = self.open(ticket);
        session.update("n", add_one).await.unwrap();
        *self.store.told.lock().unwrap() = told;
        Session::commit(&session, Finish::Keep).await
    }

    async fn n(&self, ticket: &str) -> Option<u64> {
        self.open(ticket).get("n").await.unwrap()
    }

    fn replaces(&self) -> u64 {
        self.sessions.counters().operations().find(|(name, _)| *name == "replace").unwrap().1
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_done_before_it_is_polled() {
    let site = Site::new();
    let ticket = site.sign_in().await;
    let before = site.runtime.uses();
    let session = site.open(&ticket);
    session.update("n", add_one).await.unwrap();
    // Nobody asks what came of it.
    drop(Session::commit(&session, Finish::Keep));
    assert_eq!(site.n(&ticket).await, Some(2));

    assert!(Session::commit(&site.open(&ticket), Finish::Keep).report().is_some(), "nobody asked for it");
    let session = site.open(&ticket);
    assert_eq!(session.get::<u64>("n").await.unwrap(), Some(2));
    assert!(Session::commit(&session, Finish::Keep).report().is_some(), "it was only read");
    let session = site.open(&ticket);
    session.update("n", add_one).await.unwrap();
    let mut commit = Session::commit(&session, Finish::Keep);
    let ops = commit.report().map(|report| report.ops().to_string());
    assert_eq!(ops.as_deref(), Some("load,replace"), "it is told before it is polled");
    assert_eq!((&mut commit).await.ops().to_string(), "load,replace");
    assert!(commit.report().is_none(), "and handed over once");
    let report = site.change(&ticket, None).await;
    assert_eq!((report.result().is_ok(), report.ops().to_string()), (true, "load,replace".to_owned()));
    assert_eq!(site.runtime.uses(), before);
    assert_eq!(site.store.futures.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_counted_once_and_done_again() {
    let site = Site::new();
    let ticket = site.sign_in().await;
    let (one, other) = (site.open(&ticket), site.open(&ticket));
    one.update("n", add_one).await.unwrap();
    other.update("n", add_one).await.unwrap();
    Session::commit(&one, Finish::Keep).await.result().unwrap();
    let (counted, asked) = (site.replaces(), site.store.asked.load(Ordering::Relaxed));
    let commit = Session::commit(&other, Finish::Keep);
    assert!(commit.report().is_none(), "it takes turns");
    let report = commit.await;
    report.result().unwrap();
    assert_eq!(report.ops().to_string(), "load,replace,replace");
    // The one that conflicts is asked for twice.
    assert_eq!((site.replaces() - counted, site.store.asked.load(Ordering::Relaxed) - asked), (2, 3));
    assert!(report.events().unwrap().iter().any(|event| event == Event::Conflict(1)));
    assert_eq!(site.n(&ticket).await, Some(3));
    assert_eq!(site.store.futures.load(Ordering::Relaxed), 0);
}

/// Where others wrote meanwhile, and where it must be looked for what became of a write.
#[tokio::test(start_paused = true)]
async fn a_panic_in_what_is_done_again_is_the_commits_alone() {
    for told in [None, Some(Err(StoreError::unknown(Fault::TimedOut)))] {
        let site = Site::new();
        let ticket = site.sign_in().await;
        let (one, other) = (site.open(&ticket), site.open(&ticket));
        one.update("n", add_one).await.unwrap();
        let mut calls = 0;
        let once = move |n| {
            calls += 1;
            assert!(calls == 1, "done again");
            add_one(n)
        };
        other.update("n", once).await.unwrap();
        Session::commit(&one, Finish::Keep).await.result().unwrap();
        *site.store.told.lock().unwrap() = told;
        let report = Session::commit(&other, Finish::Keep).await;
        assert!(matches!(report.result(), Err(SessionError::Interrupted)));
        assert_eq!(site.n(&ticket).await, Some(2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_breaks_interrupts_that_request_alone() {
    let site = Site::new();
    let ticket = site.sign_in().await;
    let session = site.open(&ticket);
    session.update("n", add_one).await.unwrap();
    site.store.breaks.store(true, Ordering::Relaxed);
    let report = Session::commit(&session, Finish::Keep).await;
    assert!(matches!(report.result(), Err(SessionError::Interrupted)));
    // Nobody knows what was noticed; the session was asked for all the same.
    assert!(report.events().is_none());
    assert!(report.headers().eq([("vary", "Cookie")]));
    assert_eq!(site.n(&ticket).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn what_fails_at_once_is_told() {
    let site = Site::new();
    let ticket = site.sign_in().await;
    // What a store must not answer counts as a failure of its own.
    let answers = [(Err(StoreError::failed(Fault::Full)), Fault::Full), (Ok(Outcome::Failed), Fault::Internal)];
    for (failures, (answer, fault)) in (1..).zip(answers) {
        let report = site.change(&ticket, Some(answer)).await;
        assert!(matches!(report.result(), Err(SessionError::Commit(CommitError::Store))));
        assert_eq!(report.store_error().map(StoreError::fault), Some(fault));
        assert_eq!(site.sessions.counters().store_failures(), failures);
    }

    // What may have happened is looked for.
    for unknown in [Err(StoreError::unknown(Fault::TimedOut)), Ok(Outcome::Unknown)] {
        let before = site.n(&ticket).await.unwrap();
        let report = site.change(&ticket, Some(unknown)).await;
        report.result().unwrap();
        assert_eq!(report.ops().to_string(), "load,replace,load,replace");
        assert_eq!(site.n(&ticket).await, Some(before + 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_ends_as_none_can_is_the_stores_fault() {
    let site = Site::new();
    let ticket = site.sign_in().await;
    site.tell(Ok(Outcome::Removed));
    let Err(SessionError::Store(error)) = site.open(&ticket).get::<u64>("n").await else { panic!("it was taken") };
    assert_eq!((error.fault(), error.may_have_happened()), (Fault::Internal, false));
    assert_eq!(site.n(&ticket).await, Some(1));
}
