//! The contract of `cloakroom_runtime::Runtime`, and what is tokio's own.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

#[path = "../../api/tests/common/park.rs"]
mod park;

use std::{
    future::{Future, pending, poll_fn},
    panic::{self, AssertUnwindSafe},
    pin::Pin,
    sync::Mutex,
    task::Poll,
    time::Duration,
};

use cloakroom_runtime::{Endpoint, Interrupted, Runtime, contract, run, run_blocking};
use cloakroom_tokio::{Tokio, TokioHandle};
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

use self::park::block_on as park_on;

fn current_thread() -> tokio::runtime::Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn multi_thread() -> tokio::runtime::Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Polls a future once.
async fn poll_immediate<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    poll_fn(|context| match Pin::new(&mut *future).poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[test]
fn tokio_keeps_the_contract_on_one_thread() {
    assert_eq!(current_thread().block_on(contract::check(&Tokio)), Ok(()));
}

#[test]
fn tokio_keeps_the_contract_on_several_threads() {
    assert_eq!(multi_thread().block_on(contract::check(&Tokio)), Ok(()));
    // From one of the runtime's own threads.
    let runtime = multi_thread();
    let checked = runtime.spawn(async { contract::check(&Tokio).await });
    assert_eq!(runtime.block_on(checked).unwrap(), Ok(()));
}

#[test]
fn a_handle_keeps_the_contract_inside_its_runtime() {
    let runtime = current_thread();
    let handle = TokioHandle::new(runtime.handle().clone());
    assert_eq!(runtime.block_on(contract::check(&handle)), Ok(()));
}

#[test]
fn a_handle_keeps_the_contract_outside_every_runtime() {
    let runtime = multi_thread();
    let handle = TokioHandle::from(runtime.handle().clone());
    assert!(Handle::try_current().is_err());
    assert_eq!(park_on(contract::check(&handle)), Ok(()));
}

#[test]
fn a_handle_names_its_runtime_inside_another() {
    let (runtime, other) = (multi_thread(), current_thread());
    let handle = TokioHandle::new(runtime.handle().clone());
    let id = other.block_on(async { run(&handle, async { Handle::current().id() }).await });
    assert_eq!(id, Ok(runtime.handle().id()));
    let id = other.block_on(async { run_blocking(&handle, || Handle::current().id()).await });
    assert_eq!(id, Ok(runtime.handle().id()));
    assert_eq!(other.block_on(contract::check(&handle)), Ok(()));
}

#[test]
fn futures_made_outside_may_be_polled_inside() {
    let runtime = current_thread();
    let sleep = Tokio.sleep(Duration::from_millis(5));
    let connect = Tokio.connect(&Endpoint::Unix("/nonexistent/socket".into()));
    runtime.block_on(sleep);
    assert!(runtime.block_on(connect).is_err());
}

#[test]
fn outside_every_runtime_tokio_panics_as_its_docs_say() {
    let panics = |call: &dyn Fn()| panic::catch_unwind(AssertUnwindSafe(call)).is_err();
    assert!(panics(&|| drop(Tokio.spawn(Box::pin(async {})))));
    assert!(panics(&|| drop(Tokio.unblock(Box::new(|| ())))));
    assert!(panics(&|| park_on(Tokio.sleep(Duration::ZERO))));
    assert!(panics(&|| drop(park_on(Tokio.connect(&Endpoint::Host("127.0.0.1".to_owned(), 1))))));
    assert!(!panics(&|| drop(Tokio.sleep(Duration::ZERO))));
    assert!(!panics(&|| drop(Tokio.connect(&Endpoint::Host("127.0.0.1".to_owned(), 1)))));
    let _ = Tokio.now();
}

#[test]
fn a_runtime_that_shuts_down_drops_its_futures() {
    let runtime = multi_thread();
    let handle = TokioHandle::new(runtime.handle().clone());
    let (held, is_dropped) = oneshot::channel::<()>();
    let running = run(&handle, async move {
        let _held = held;
        pending::<()>().await;
    });
    drop(runtime);
    assert!(is_dropped.blocking_recv().is_err());
    assert_eq!(park_on(running), Err(Interrupted));
}

#[test]
fn a_runtime_that_has_shut_down_drops_what_it_is_given() {
    let runtime = current_thread();
    let handle = TokioHandle::new(runtime.handle().clone());
    drop(runtime);
    assert_eq!(park_on(run(&handle, async { 7 })), Err(Interrupted));
    assert_eq!(park_on(run_blocking(&handle, || 7)), Err(Interrupted));
    assert!(park_on(handle.connect(&Endpoint::Unix("/nonexistent/socket".into()))).is_err());
}

#[test]
fn the_longest_sleep_does_not_overflow() {
    current_thread().block_on(async {
        let mut longest = Tokio.sleep(Duration::MAX);
        tokio::select! {
            biased;
            () = &mut longest => panic!("a sleep never ends early"),
            () = Tokio.sleep(Duration::from_millis(5)) => {}
        }
    });
}

#[test]
fn a_runtime_that_stands_still_holds_up_no_sleep_of_another() {
    let (still, runs) = (current_thread(), current_thread());
    let mut long = Tokio.sleep(Duration::from_secs(3600));
    assert!(still.block_on(async { poll_immediate(&mut long).await }).is_none());
    runs.block_on(Tokio.sleep(Duration::from_millis(1)));
    // Nor does the long one when it goes on.
    still.block_on(Tokio.sleep(Duration::from_millis(1)));
}

#[test]
fn a_sleep_ends_on_a_thread_that_waits_for_nothing_else() {
    let runtime = multi_thread();
    let waits = runtime.spawn(async {
        // Begun by one task, and awaited where no task of this thread has its turn.
        let mut long = Tokio.sleep(Duration::from_secs(3600));
        assert!(poll_immediate(&mut long).await.is_none());
        park_on(Tokio.sleep(Duration::from_millis(5)));
    });
    runtime.block_on(waits).unwrap();
}

#[test]
fn a_thread_between_many_runtimes_sleeps_in_each() {
    let runtimes: Vec<_> = (0..6).map(|_| current_thread()).collect();
    for runtime in runtimes.iter().chain(&runtimes) {
        runtime.block_on(Tokio.sleep(Duration::from_millis(1)));
    }
}

#[test]
fn a_sleep_goes_by_the_clock_of_the_runtime() {
    let paused = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    paused.block_on(async {
        let begun = tokio::time::Instant::now();
        Tokio.sleep(Duration::from_secs(3600)).await;
        assert!(begun.elapsed() >= Duration::from_secs(3600));
    });
}

#[test]
fn a_sleep_panics_where_its_runtime_has_no_timer_or_has_shut_down() {
    let panics = |call: &dyn Fn()| panic::catch_unwind(AssertUnwindSafe(call)).is_err();
    let without = Builder::new_current_thread().build().unwrap();
    assert!(panics(&|| without.block_on(Tokio.sleep(Duration::from_secs(3600)))));
    let runtime = multi_thread();
    let handle = TokioHandle::new(runtime.handle().clone());
    let begun = Mutex::new(handle.sleep(Duration::from_secs(3600)));
    assert!(park_on(poll_immediate(&mut *begun.lock().unwrap())).is_none());
    drop(runtime);
    assert!(panics(&|| park_on(&mut *begun.lock().unwrap())));
    assert!(panics(&|| park_on(handle.sleep(Duration::from_secs(3600)))));
}

#[test]
fn debug_shows_no_more_than_which_runtime() {
    let runtime = current_thread();
    let debug = format!("{:?}", TokioHandle::new(runtime.handle().clone()));
    assert_eq!(debug, format!("TokioHandle({:?})", runtime.handle().id()));
}
