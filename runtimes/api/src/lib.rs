//! What Cloakroom asks of an async runtime.
//!
//! A runtime is a value that the user passes; none is ever guessed, and several work side by side in one process. The
//! crates `cloakroom-tokio`, `cloakroom-smol` and `cloakroom-async-std` each have one, and anybody can write another:
//! five methods and one that may be left as it is, whose rules the cases of [`contract`] check. Beside it are [`Alarm`],
//! for implementers whose timers cost system calls, and [`Pulse`], for stores whose connections many requests share.

#![forbid(unsafe_code)]

mod alarm;
mod clock;
pub mod contract;
mod endpoint;
mod pulse;
mod run;
mod task;

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

pub use self::{
    alarm::{Alarm, Sleep},
    clock::coarse_now,
    endpoint::{Endpoint, Stream, connect_to_any},
    pulse::Pulse,
    run::{Interrupted, run, run_blocking},
    task::Task,
};

/// A boxed future that can move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An async runtime.
///
/// All methods return at once, and none runs what it was given before it returns. Futures that they return may be
/// polled on any thread, but those of a runtime that needs its own context (tokio) only inside it.
pub trait Runtime: fmt::Debug + Send + Sync + 'static {
    /// Waits. Starts to count at the first poll at the latest; never ends early; dropping it costs nothing.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// Runs a future in the background until it ends or is cancelled.
    ///
    /// Dropping the [`Task`] detaches it: the future goes on. A panic in it ends that future alone; it never reaches the
    /// caller or another task. When the runtime shuts down, the future is dropped at one of its awaits; one that is
    /// spawned later is dropped unpolled.
    fn spawn(&self, future: BoxFuture<'static, ()>) -> Task;

    /// Runs a function that blocks, on a thread where it holds up no future.
    ///
    /// Cancelling or dropping the [`Task`] only forgets the function: it runs all the same. A panic in it stays on its
    /// thread. A runtime that shuts down drops the functions that have not begun, and may wait for the others.
    fn unblock(&self, function: Box<dyn FnOnce() + Send + 'static>) -> Task;

    /// Opens a connection, with `TCP_NODELAY` where that means anything. Every address of a host is tried in turn.
    ///
    /// It has no time limit of its own: race it with [`Runtime::sleep`]. Dropping it gives up. What it opens may be used
    /// on any thread; closing its writing half tells the peer so, and it is closed when it is dropped.
    ///
    /// # Errors
    ///
    /// The operating system's, of the last address tried; and [`io::ErrorKind::Unsupported`] for a kind of endpoint that
    /// the platform lacks.
    fn connect(&self, endpoint: &Endpoint) -> BoxFuture<'static, io::Result<Box<dyn Stream>>>;

    /// Returns the wall-clock time. It may jump, as wall clocks do.
    fn now(&self) -> SystemTime;

    /// Returns the wall-clock time of a moment ago, some milliseconds at most, as if the caller had been held up since it
    /// asked.
    ///
    /// It is asked for several times a request. [`coarse_now`] is it for a runtime that has the system's clock; one with a
    /// clock of its own leaves it as it is: [`Runtime::now`].
    fn coarse_now(&self) -> SystemTime {
        self.now()
    }
}

/// A shared runtime is a runtime, also one whose type is erased.
impl<R: Runtime + ?Sized> Runtime for Arc<R> {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        (**self).sleep(duration)
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) -> Task {
        (**self).spawn(future)
    }

    fn unblock(&self, function: Box<dyn FnOnce() + Send + 'static>) -> Task {
        (**self).unblock(function)
    }

    fn connect(&self, endpoint: &Endpoint) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        (**self).connect(endpoint)
    }

    fn now(&self) -> SystemTime {
        (**self).now()
    }

    fn coarse_now(&self) -> SystemTime {
        (**self).coarse_now()
    }
}
