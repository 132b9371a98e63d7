//! What the tests of the async glue need: a store that misbehaves as told, and tokio with a clock that tests move.

#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::panic, reason = "every test file uses a part of it")]

mod store;

use std::{
    future::Future,
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use cloakroom_core::{Engine, Keyring, RequestInfo};
use cloakroom_runtime::{BoxFuture, Endpoint, Runtime, Stream, Task};
use cloakroom_store::{Finish, Report, Session, Sessions, StoreFailure};
use tokio::time::{Instant, sleep};

pub(crate) use self::store::{Gate, TestStore, Trouble};

pub(crate) const RING: &str = "1:primary:b2xkLfqXkm3PJVTVE_Ec7PZUR8w8ugMvAfqTKmlWcBw";
pub(crate) const DEADLINE: Duration = Duration::from_secs(2);

/// tokio, with a wall clock that goes with tokio's own: both stand still while a test's time is paused.
#[derive(Clone, Debug)]
pub(crate) struct TestRuntime {
    start: Instant,
    spawned: Arc<AtomicUsize>,
    slept: Arc<AtomicUsize>,
}

impl TestRuntime {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), spawned: Arc::default(), slept: Arc::default() }
    }

    /// How often something was spawned or a timer made.
    pub(crate) fn uses(&self) -> (usize, usize) {
        (self.spawned.load(Ordering::Relaxed), self.slept.load(Ordering::Relaxed))
    }
}

impl Runtime for TestRuntime {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.slept.fetch_add(1, Ordering::Relaxed);
        Box::pin(sleep(duration))
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) -> Task {
        self.spawned.fetch_add(1, Ordering::Relaxed);
        let handle = tokio::spawn(future);
        Task::new(move || handle.abort())
    }

    fn unblock(&self, function: Box<dyn FnOnce() + Send + 'static>) -> Task {
        drop(std::thread::spawn(function));
        Task::new(|| ())
    }

    fn connect(&self, _endpoint: &Endpoint) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + self.start.elapsed()
    }

    /// Goes by ticks.
    fn coarse_now(&self) -> SystemTime {
        let since_epoch = self.now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        SystemTime::UNIX_EPOCH + Duration::from_millis(since_epoch.as_millis() as u64 / 10 * 10)
    }
}

pub(crate) fn ring() -> Keyring {
    RING.parse().unwrap()
}

/// Sessions over a store that misbehaves as told.
pub(crate) struct World {
    pub(crate) store: TestStore,
    pub(crate) runtime: TestRuntime,
    pub(crate) sessions: Sessions,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of(Engine::new(ring()))
    }

    pub(crate) fn of(engine: Engine) -> Self {
        let (store, runtime) = (TestStore::default(), TestRuntime::new());
        let sessions = Sessions::builder(engine, store.clone(), runtime.clone()).build();
        Self { store, runtime, sessions }
    }

    pub(crate) fn open(&self, cookie: &str) -> Session {
        self.open_with(cookie, StoreFailure::Refuse)
    }

    pub(crate) fn open_with(&self, cookie: &str, failure: StoreFailure) -> Session {
        self.sessions.open([cookie.as_bytes()], &RequestInfo::new(), failure)
    }

    /// Makes a session with `n` set to a number; returns its cookie. The record of operations starts anew.
    pub(crate) async fn sign_in(&self, n: u64) -> String {
        let session = self.open("");
        session.insert("n", &n).await.unwrap();
        let report = Session::commit(&session, Finish::Keep).await;
        report.result().unwrap();
        self.store.take_ops();
        cookie(&report).unwrap()
    }

    /// What a fresh request reads under `n`.
    pub(crate) async fn read(&self, cookie: &str) -> Option<u64> {
        self.open(cookie).get("n").await.unwrap()
    }
}

pub(crate) fn add_one(n: Option<u64>) -> u64 {
    n.unwrap_or(0) + 1
}

/// The `Set-Cookie` line of a report; panics on more than one.
pub(crate) fn set_cookie(report: &Report) -> Option<String> {
    let lines: Vec<_> = report.headers().filter(|(name, _)| *name == "set-cookie").collect();
    assert!(lines.len() <= 1, "two cookies");
    lines.first().map(|(_, line)| (*line).to_owned())
}

/// The `name=value` that a browser would send back.
pub(crate) fn cookie(report: &Report) -> Option<String> {
    set_cookie(report).map(|line| line.split(';').next().unwrap().to_owned())
}

/// Polls once, as a client would that then hangs up.
pub(crate) fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Waits in virtual time until something holds; panics after a minute of it.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if holds() {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
    panic!("it never came to hold");
}

/// Lets everything that can run on this thread run, without time passing.
pub(crate) async fn let_run() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
