//! `run`, `run_blocking` and `Task`.

mod common;

use std::{
    future::{pending, poll_fn},
    io, panic,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::Poll,
    time::{Duration, SystemTime},
};

use cloakroom_runtime::{BoxFuture, Endpoint, Interrupted, Runtime, Stream, Task, run, run_blocking};
use futures_channel::oneshot;

use self::common::{Threads, block_on};

fn quiet_panic<T>() -> T {
    panic::resume_unwind(Box::new("on purpose"))
}

#[test]
fn run_hands_back_the_result() {
    assert_eq!(block_on(run(&Threads, async { 7 })), Ok(7));
    assert_eq!(block_on(run_blocking(&Threads, || 7)), Ok(7));
}

#[test]
fn run_spawns_before_it_is_polled_and_goes_on_when_dropped() {
    let (sender, receiver) = mpsc::channel();
    let (open, gate) = oneshot::channel::<()>();
    let also = sender.clone();
    let unpolled = run(&Threads, async move { gate.await.map(|()| sender.send(1)) });
    drop(unpolled);
    open.send(()).unwrap();
    assert_eq!(receiver.recv(), Ok(1));

    drop(run_blocking(&Threads, move || also.send(2)));
    assert_eq!(receiver.recv(), Ok(2));
}

#[test]
fn run_tells_that_a_panic_left_no_result() {
    assert_eq!(block_on(run(&Threads, async { quiet_panic::<u8>() })), Err(Interrupted));
    assert_eq!(block_on(run_blocking(&Threads, quiet_panic::<u8>)), Err(Interrupted));
}

#[test]
fn run_tells_that_a_runtime_dropped_what_was_spawned() {
    assert_eq!(block_on(run(&ShutDown, pending::<u8>())), Err(Interrupted));
    assert_eq!(block_on(run_blocking(&ShutDown, || 7)), Err(Interrupted));
}

#[test]
fn what_a_future_owned_is_dropped_before_its_result_is_handed_back() {
    struct Owned(Arc<AtomicBool>);

    impl Drop for Owned {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    for _ in 0..100 {
        let is_dropped = Arc::new(AtomicBool::new(false));
        let owned = Owned(Arc::clone(&is_dropped));
        let result = run(
            &Threads,
            poll_fn(move |_| {
                let _held = &owned;
                Poll::Ready(())
            }),
        );
        assert_eq!(block_on(result), Ok(()));
        assert!(is_dropped.load(Ordering::SeqCst));
    }
}

#[test]
fn a_task_calls_its_function_only_when_cancelled() {
    let is_cancelled = Arc::new(AtomicBool::new(false));
    let task = || {
        let cancels = Arc::clone(&is_cancelled);
        Task::new(move || cancels.store(true, Ordering::SeqCst))
    };
    drop(task());
    assert!(!is_cancelled.load(Ordering::SeqCst));
    task().cancel();
    assert!(is_cancelled.load(Ordering::SeqCst));
}

#[test]
fn a_task_can_be_shared_between_threads() {
    fn shareable<T: Send + Sync + 'static>() {}

    shareable::<Task>();
}

#[test]
fn a_shared_runtime_is_a_runtime() {
    let shared: Arc<dyn Runtime> = Arc::new(Threads);
    let twice: Arc<dyn Runtime> = Arc::new(Arc::clone(&shared));
    assert_eq!(block_on(run(&*twice, async { 7 })), Ok(7));
    assert_eq!(block_on(run_blocking(&*twice, || 7)), Ok(7));
    assert!(block_on(twice.connect(&Endpoint::Host(String::new(), 1))).is_err());
    assert!(twice.now() > SystemTime::UNIX_EPOCH);
    block_on(twice.sleep(Duration::from_millis(1)));
}

/// Drops what is spawned, as a runtime does once it shuts down.
#[derive(Debug)]
struct ShutDown;

impl Runtime for ShutDown {
    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(pending())
    }

    fn spawn(&self, _: BoxFuture<'static, ()>) -> Task {
        Task::new(|| ())
    }

    fn unblock(&self, _: Box<dyn FnOnce() + Send + 'static>) -> Task {
        Task::new(|| ())
    }

    fn connect(&self, _: &Endpoint) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        Box::pin(pending())
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
}
