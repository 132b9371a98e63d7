//! Cloakroom on smol.
//!
//! [`Smol`] is smol's global executor with its timer, its sockets and its pool for functions that block. The first use
//! starts their threads: as many for futures as the variable `SMOL_THREADS` says, by default one.
//!
//! ```
//! use cloakroom_runtime::{Runtime, run};
//! use cloakroom_smol::Smol;
//!
//! # smol::block_on(async {
//! assert_eq!(run(&Smol, async { 6 * 7 }).await, Ok(42));
//! # })
//! ```

#![forbid(unsafe_code)]

mod connect;

use std::{
    io, mem,
    sync::LazyLock,
    time::{Duration, Instant, SystemTime},
};

use cloakroom_runtime::{Alarm, BoxFuture, Endpoint, Runtime, Stream, Task, coarse_now};
use smol::Timer;

use self::connect::connect;

static ALARM: LazyLock<Alarm> = LazyLock::new(|| Alarm::new(Instant::now, timer));

/// smol's global executor, which every thread reaches: nothing panics for want of a context.
///
/// Its futures may be polled on any thread and by any executor. It never shuts down before the process does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "users write it as a value")]
pub struct Smol;

impl Runtime for Smol {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(ALARM.sleep(duration))
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) -> Task {
        let spawned = Spawned(Some(smol::spawn(future)));
        Task::new(move || spawned.cancel())
    }

    fn unblock(&self, function: Box<dyn FnOnce() + Send + 'static>) -> Task {
        // Dropped, it would cancel a function that has not begun.
        smol::unblock(function).detach();
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

fn timer(duration: Duration) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        Timer::after(duration).await;
    })
}

/// smol's own handle, which cancels when it is dropped: this one detaches.
struct Spawned(Option<smol::Task<()>>);

impl Spawned {
    /// Only asks for it: to await the end is another's affair.
    fn cancel(mut self) {
        drop(mem::take(&mut self.0));
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.detach();
        }
    }
}
