//! A runtime whose clock and tasks move only when the test says so.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeMap,
    fmt,
    future::poll_fn,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, SystemTime},
};

use cloakroom_core::{StoreKey, Value};
use cloakroom_runtime::{BoxFuture, Endpoint, Runtime, Stream, Task};
use futures_util::FutureExt;

/// Spawned futures run within [`ManualRuntime::advance`] and [`ManualRuntime::settle`], on the thread that calls them.
#[derive(Clone, Debug, Default)]
pub(crate) struct ManualRuntime(Arc<State>);

#[derive(Debug, Default)]
struct State {
    elapsed_nanos: AtomicU64,
    next: AtomicU64,
    sleepers: Mutex<BTreeMap<u64, Sleeper>>,
    tasks: Mutex<BTreeMap<u64, Arc<Spawned>>>,
}

#[derive(Debug)]
struct Sleeper {
    deadline: u64,
    waker: Waker,
}

struct Spawned {
    /// Taken out while it is polled, and for good when it is cancelled: its own waker must not keep it.
    future: Mutex<Option<BoxFuture<'static, ()>>>,
    is_woken: AtomicBool,
}

impl ManualRuntime {
    /// Moves the clock, wakes who slept so long, and lets all tasks go on.
    pub(crate) fn advance(&self, by: Duration) {
        self.set_clock(Duration::from_nanos(self.elapsed()) + by);
        self.wake_sleepers();
        self.settle();
    }

    /// Moves the clock without waking anybody, to whatever time.
    pub(crate) fn set_clock(&self, since_start: Duration) {
        self.0.elapsed_nanos.store(u64::try_from(since_start.as_nanos()).unwrap(), Ordering::SeqCst);
    }

    /// Wakes who slept long enough, without polling anybody.
    pub(crate) fn wake_sleepers(&self) {
        let now = self.elapsed();
        let due: Vec<_> =
            self.0.sleepers.lock().unwrap().extract_if(.., |_, sleeper| sleeper.deadline <= now).collect();
        due.into_iter().for_each(|(_, sleeper)| sleeper.waker.wake());
    }

    /// Lets all tasks go on until each waits for something, and returns how often any was polled.
    pub(crate) fn settle(&self) -> usize {
        let mut polls = 0;
        loop {
            let woken: Vec<_> = {
                let tasks = self.0.tasks.lock().unwrap();
                let is_woken = |task: &Spawned| task.is_woken.swap(false, Ordering::SeqCst);
                tasks.iter().filter(|(_, task)| is_woken(task)).map(|(&id, task)| (id, Arc::clone(task))).collect()
            };
            if woken.is_empty() {
                return polls;
            }
            for (id, task) in woken {
                let Some(mut future) = task.future.lock().unwrap().take() else { continue };
                polls += 1;
                let waker = Waker::from(Arc::clone(&task));
                let has_ended = future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
                let mut tasks = self.0.tasks.lock().unwrap();
                if has_ended {
                    tasks.remove(&id);
                } else if tasks.contains_key(&id) {
                    *task.future.lock().unwrap() = Some(future);
                }
            }
        }
    }

    /// Tasks that have neither ended nor been cancelled.
    pub(crate) fn tasks(&self) -> usize {
        self.0.tasks.lock().unwrap().len()
    }

    /// Sleeps that have begun and have neither ended nor been dropped.
    pub(crate) fn sleepers(&self) -> usize {
        self.0.sleepers.lock().unwrap().len()
    }

    fn elapsed(&self) -> u64 {
        self.0.elapsed_nanos.load(Ordering::SeqCst)
    }

    fn next(&self) -> u64 {
        self.0.next.fetch_add(1, Ordering::SeqCst)
    }
}

impl Runtime for ManualRuntime {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let deadline = self.elapsed().saturating_add(u64::try_from(duration.as_nanos()).unwrap());
        let nap = Nap { id: self.next(), runtime: self.clone() };
        Box::pin(poll_fn(move |context| {
            if nap.runtime.elapsed() >= deadline {
                return Poll::Ready(());
            }
            let sleeper = Sleeper { deadline, waker: context.waker().clone() };
            drop(nap.runtime.0.sleepers.lock().unwrap().insert(nap.id, sleeper));
            Poll::Pending
        }))
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) -> Task {
        let id = self.next();
        let task = Spawned { future: Mutex::new(Some(future)), is_woken: AtomicBool::new(true) };
        self.0.tasks.lock().unwrap().insert(id, Arc::new(task));
        let runtime = self.clone();
        Task::new(move || {
            // The future may own things that call this runtime when they are dropped.
            let task = runtime.0.tasks.lock().unwrap().remove(&id);
            let future = task.and_then(|task| task.future.lock().unwrap().take());
            drop(future);
        })
    }

    fn unblock(&self, function: Box<dyn FnOnce() + Send + 'static>) -> Task {
        thread::spawn(function);
        Task::new(|| ())
    }

    fn connect(&self, _: &Endpoint) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + Duration::from_nanos(self.elapsed())
    }
}

struct Nap {
    id: u64,
    runtime: ManualRuntime,
}

impl Drop for Nap {
    fn drop(&mut self) {
        let sleeper = self.runtime.0.sleepers.lock().unwrap().remove(&self.id);
        drop(sleeper);
    }
}

impl Wake for Spawned {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::SeqCst);
    }
}

impl fmt::Debug for Spawned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spawned")
    }
}

/// Moves the clock to where a span begins that the store does not look into when it puts what expires in order.
pub(crate) fn to_a_beginning(runtime: &ManualRuntime) {
    const SPAN: u128 = 1 << 28;
    let since_epoch = runtime.now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    runtime.advance(Duration::from_nanos(u64::try_from(SPAN - since_epoch % SPAN).unwrap()));
}

/// Takes what a future has at once: a memory store never waits.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

pub(crate) fn key(number: usize) -> StoreKey {
    StoreKey::new(&format!("s:{number:022}")).unwrap()
}

pub(crate) fn value(bytes: usize) -> Value {
    Value::from(vec![b'x'; bytes])
}
