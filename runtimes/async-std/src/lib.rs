//! Cloakroom on async-std.
//!
//! async-std is discontinued (RUSTSEC-2025-0052): what is started today had better take smol, with `cloakroom-smol`. This
//! crate is for applications that run on async-std already; no other crate of Cloakroom depends on it.
//!
//! [`AsyncStd`] is async-std's global executor with its timer, its sockets and its pool for functions that block. The first
//! use starts their threads: as many for futures as the variable `ASYNC_STD_THREAD_COUNT` says, by default one for each
//! processor.
//!
//! ```
//! use cloakroom_async_std::AsyncStd;
//! use cloakroom_runtime::{Runtime, run};
//!
//! # async_std::task::block_on(async {
//! assert_eq!(run(&AsyncStd, async { 6 * 7 }).await, Ok(42));
//! # })
//! ```

#![forbid(unsafe_code)]

mod connect;

use std::{
    future::Future,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::LazyLock,
    task::{Context, Waker},
    time::{Duration, Instant, SystemTime},
};

use async_std::task::{self, JoinHandle};
use cloakroom_runtime::{Alarm, BoxFuture, Endpoint, Runtime, Stream, Task, coarse_now};

use self::connect::connect;

static ALARM: LazyLock<Alarm> = LazyLock::new(|| Alarm::new(Instant::now, |duration| Box::pin(task::sleep(duration))));

/// async-std's global executor, which every thread reaches: nothing panics for want of a context.
///
/// Its futures may be polled on any thread and by any executor. It never shuts down before the process does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "users write it as a value")]
pub struct AsyncStd;

impl Runtime for AsyncStd {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(ALARM.sleep(duration))
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) -> Task {
        // Dropping the join handle detaches.
        let handle = task::spawn(future);
        Task::new(move || cancel(handle))
    }

    fn unblock(&self, function: Box<dyn FnOnce() + Send + 'static>) -> Task {
        drop(task::spawn_blocking(function));
        // Cancelling would drop a function that has not begun.
        Task::new(|| ())
    }

    fn connect(&self, endpoint: &Endpoint) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        Box::pin(connect(endpoint.clone()))
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn coarse_now(&self) -> SystemTime {
        coarse_now()
    }
}

/// Cancels, and waits for nothing: the first poll of the handle's `cancel` asks for it, the others await the end.
fn cancel(handle: JoinHandle<()>) {
    // It would hand on the panic of a future that has ended with one.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        pin!(handle.cancel()).as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }));
}
