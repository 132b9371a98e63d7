//! Stores in folders of their own, on tokio with a clock that the test moves.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::{
    fmt,
    future::Future,
    io, mem,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::Poll,
    time::{Duration, Instant, SystemTime},
};

use cloakroom_core::{StoreKey, Stored, Value, Version};
use cloakroom_redb::{RedbConfig, RedbStore};
use cloakroom_runtime::{BoxFuture, Endpoint, Runtime, Stream, Task};
use cloakroom_store::{Created, Store, Written};
use cloakroom_tokio::Tokio;
use futures_channel::oneshot;
use tempfile::TempDir;

pub(crate) const TTL: Duration = Duration::from_secs(60);
pub(crate) const MILLI: Duration = Duration::from_millis(1);

/// Tokio, but for the clock, which stands still; for sleeps, which follow it; and for blocking functions, which can be
/// held up.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestRuntime(Arc<State>);

#[derive(Default)]
struct State {
    elapsed_nanos: AtomicU64,
    sleepers: Mutex<Vec<(u64, oneshot::Sender<()>)>>,
    /// Holds up what blocks while it is there.
    held: Mutex<Option<Vec<Function>>>,
    tasks: AtomicUsize,
}

type Function = Box<dyn FnOnce() + Send>;

impl TestRuntime {
    /// Moves the clock, and wakes who slept so long.
    pub(crate) fn advance(&self, by: Duration) {
        self.set_clock(Duration::from_nanos(self.elapsed()) + by);
        let now = self.elapsed();
        let due: Vec<_> = self.0.sleepers.lock().unwrap().extract_if(.., |(deadline, _)| *deadline <= now).collect();
        for (_, sleeper) in due {
            // Who gave up waiting is not woken.
            let _ = sleeper.send(());
        }
    }

    /// Moves the clock without waking anybody, to whatever time.
    pub(crate) fn set_clock(&self, since_start: Duration) {
        self.0.elapsed_nanos.store(u64::try_from(since_start.as_nanos()).unwrap(), Ordering::SeqCst);
    }

    /// Holds up functions that block from here on.
    pub(crate) fn hold(&self) {
        self.0.held.lock().unwrap().get_or_insert_default();
    }

    /// Lets them go.
    pub(crate) fn release(&self) {
        let held = self.0.held.lock().unwrap().take();
        held.into_iter().flatten().for_each(|function| drop(Tokio.unblock(function)));
    }

    /// Drops those that are held, as a runtime that shuts down does.
    pub(crate) fn drop_held(&self) {
        drop(self.0.held.lock().unwrap().take());
    }

    /// Functions that are held.
    pub(crate) fn held(&self) -> usize {
        self.0.held.lock().unwrap().as_ref().map_or(0, Vec::len)
    }

    /// Sleeps that nobody gave up.
    pub(crate) fn sleepers(&self) -> usize {
        self.0.sleepers.lock().unwrap().iter().filter(|(_, sleeper)| !sleeper.is_canceled()).count()
    }

    /// Spawned futures that have not been dropped.
    pub(crate) fn tasks(&self) -> usize {
        self.0.tasks.load(Ordering::SeqCst)
    }

    fn elapsed(&self) -> u64 {
        self.0.elapsed_nanos.load(Ordering::SeqCst)
    }
}

impl Runtime for TestRuntime {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let deadline = self.elapsed() + u64::try_from(duration.as_nanos()).unwrap();
        let (sleeper, woken) = oneshot::channel();
        self.0.sleepers.lock().unwrap().push((deadline, sleeper));
        Box::pin(async move { woken.await.unwrap_or_default() })
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) -> Task {
        self.0.tasks.fetch_add(1, Ordering::SeqCst);
        let counted = Counted { state: Arc::clone(&self.0), future };
        Tokio.spawn(Box::pin(counted))
    }

    fn unblock(&self, function: Function) -> Task {
        if let Some(held) = self.0.held.lock().unwrap().as_mut() {
            held.push(function);
            return Task::new(|| ());
        }
        Tokio.unblock(function)
    }

    fn connect(&self, endpoint: &Endpoint) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        Tokio.connect(endpoint)
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + Duration::from_nanos(self.elapsed())
    }
}

struct Counted {
    state: Arc<State>,
    future: BoxFuture<'static, ()>,
}

impl Future for Counted {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<()> {
        self.future.as_mut().poll(context)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // What it owns goes first.
        drop(mem::replace(&mut self.future, Box::pin(async {})));
        self.state.tasks.fetch_sub(1, Ordering::SeqCst);
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

/// A store, its clock and its folder.
pub(crate) struct Case {
    pub(crate) store: RedbStore,
    pub(crate) runtime: TestRuntime,
    pub(crate) folder: TempDir,
}

impl Case {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = TestRuntime::default();
        let store = RedbStore::open(folder.path().join("s.redb"), runtime.clone()).await.unwrap();
        Self { store, runtime, folder }
    }

    /// A store that is not swept within a test.
    pub(crate) async fn unswept() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = TestRuntime::default();
        let config = RedbConfig::new(folder.path().join("s.redb")).sweep_every(Duration::from_secs(1_000_000));
        let store = config.open(runtime.clone()).await.unwrap();
        Self { store, runtime, folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("s.redb")
    }

    /// Closes the store, and opens it anew.
    pub(crate) async fn reopen(&mut self) {
        self.store.close().await;
        self.store = RedbStore::open(self.path(), self.runtime.clone()).await.unwrap();
    }

    pub(crate) async fn load(&self, number: usize) -> Option<Stored> {
        self.store.load(&key(number)).await.unwrap()
    }

    pub(crate) async fn left(&self, number: usize) -> Option<Duration> {
        self.load(number).await.map(|stored| stored.expires_in.unwrap())
    }

    pub(crate) async fn create(&self, number: usize, value: &Value, ttl: Duration) -> Version {
        match self.store.create(&key(number), value, ttl).await.unwrap() {
            Created::Done(version) => version,
            Created::Exists => panic!("there is one"),
        }
    }

    pub(crate) async fn replace(&self, number: usize, version: &Version, value: &Value, ttl: Duration) -> Version {
        match self.store.replace(&key(number), version, value, ttl).await.unwrap() {
            Written::Done(version) => version,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn key(number: usize) -> StoreKey {
    StoreKey::new(&format!("s:{number:022}")).unwrap()
}

pub(crate) fn value(bytes: usize) -> Value {
    Value::from(vec![b'x'; bytes])
}

pub(crate) fn stored(value: &Value, version: &Version) -> Stored {
    Stored { value: value.clone(), version: version.clone(), expires_in: Some(TTL) }
}

/// Waits for what happens on other threads, and fails if it does not.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(MILLI).await;
    }
}

/// Polls futures once, so that they have submitted what they do.
pub(crate) async fn poll_once<F: Future + Unpin>(futures: &mut [F]) {
    std::future::poll_fn(|context| {
        for future in &mut *futures {
            assert!(Pin::new(future).poll(context).is_pending());
        }
        Poll::Ready(())
    })
    .await;
}
