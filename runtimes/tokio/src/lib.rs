//! Cloakroom on tokio.
//!
//! [`Tokio`] stands for whatever runtime the calling thread is in, which is what a server wants. [`TokioHandle`] names one
//! runtime, and works from every thread.
//!
//! ```
//! use cloakroom_runtime::{Runtime, run};
//! use cloakroom_tokio::Tokio;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! assert_eq!(run(&Tokio, async { 6 * 7 }).await, Ok(42));
//! # }
//! ```

#![forbid(unsafe_code)]

mod connect;

use std::{
    cell::RefCell,
    collections::VecDeque,
    fmt,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use cloakroom_runtime::{Alarm, BoxFuture, Endpoint, Runtime, Stream, Task, coarse_now};
use tokio::{
    runtime::{Handle, Id},
    task::unconstrained,
    time,
};

use self::connect::connect;

/// The tokio runtime that the calling thread is in.
///
/// [`spawn`](Runtime::spawn) and [`unblock`](Runtime::unblock) look for it when they are called, the futures of
/// [`sleep`](Runtime::sleep) and [`connect`](Runtime::connect) when they are first polled.
///
/// # Panics
///
/// Where there is none, these four panic, with the words of tokio's own functions. The runtime must have its timer for
/// `sleep` and its I/O driver for `connect` (`enable_all`), or their futures panic. Nothing else does: a runtime that
/// shuts down drops what it is given. [`TokioHandle`] needs no context.
///
/// # Paused time
///
/// Sleeps share timers. Under `tokio::time::pause` a sleep ends when the clock gets there, but the clock may also stop where one
/// would have ended that was dropped.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "users write it as a value")]
pub struct Tokio;

impl Runtime for Tokio {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // The runtime is that of the first poll, which may be in another context than this call.
        Box::pin(async move { alarm().sleep(duration).await })
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) -> Task {
        spawn(&Handle::current(), future)
    }

    fn unblock(&self, function: Box<dyn FnOnce() + Send + 'static>) -> Task {
        unblock(&Handle::current(), function)
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

/// One tokio runtime, for callers inside and outside it.
///
/// Its futures may be polled on any thread. A future that is still polled outside when the runtime has shut down panics
/// if it sleeps, and fails if it connects.
#[derive(Clone)]
pub struct TokioHandle(Handle);

impl TokioHandle {
    /// Takes the handle of a runtime, which must have its timer and its I/O driver (`enable_all`).
    pub const fn new(handle: Handle) -> Self {
        Self(handle)
    }

    fn inside<T: 'static>(&self, future: BoxFuture<'static, T>) -> BoxFuture<'static, T> {
        Box::pin(Inside { handle: self.0.clone(), future })
    }
}

impl Runtime for TokioHandle {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.inside(Tokio.sleep(duration))
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) -> Task {
        spawn(&self.0, future)
    }

    fn unblock(&self, function: Box<dyn FnOnce() + Send + 'static>) -> Task {
        unblock(&self.0, function)
    }

    fn connect(&self, endpoint: &Endpoint) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        self.inside(Tokio.connect(endpoint))
    }

    fn now(&self) -> SystemTime {
        Tokio.now()
    }

    fn coarse_now(&self) -> SystemTime {
        Tokio.coarse_now()
    }
}

impl From<Handle> for TokioHandle {
    fn from(handle: Handle) -> Self {
        Self::new(handle)
    }
}

impl fmt::Debug for TokioHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokioHandle").field(&self.0.id()).finish()
    }
}

/// How many runtimes a thread remembers the alarms of.
const REMEMBERED: usize = 4;

thread_local! {
    static ALARMS: RefCell<VecDeque<(Id, Alarm)>> = const { RefCell::new(VecDeque::new()) };
}

/// Returns this thread's alarm in the runtime that it is in: one for all threads would have them wait for each other.
fn alarm() -> Alarm {
    let handle = Handle::current();
    let id = handle.id();
    let find = |alarms: &RefCell<VecDeque<(Id, Alarm)>>| {
        alarms.borrow().iter().find_map(|(of, alarm)| (*of == id).then(|| alarm.clone()))
    };
    // The thread may be about to end.
    if let Ok(Some(alarm)) = ALARMS.try_with(find) {
        return alarm;
    }
    let timer = move |duration| {
        let _inside = handle.enter();
        // A task that has used up its turn must not keep it from being set.
        let timer: BoxFuture<'static, ()> = Box::pin(unconstrained(time::sleep(duration)));
        timer
    };
    let alarm = Alarm::new(|| time::Instant::now().into_std(), timer);
    let forgotten = ALARMS.try_with(|alarms| {
        let mut alarms = alarms.borrow_mut();
        alarms.push_front((id, alarm.clone()));
        let kept = alarms.len().min(REMEMBERED);
        alarms.split_off(kept)
    });
    drop(forgotten);
    alarm
}

fn spawn(handle: &Handle, future: BoxFuture<'static, ()>) -> Task {
    // Dropping the join handle detaches.
    let abort = handle.spawn(future).abort_handle();
    Task::new(move || abort.abort())
}

fn unblock(handle: &Handle, function: Box<dyn FnOnce() + Send + 'static>) -> Task {
    drop(handle.spawn_blocking(function));
    // An abort would drop a function that has not begun.
    Task::new(|| ())
}

/// Polls a future inside a runtime's context.
struct Inside<T> {
    handle: Handle,
    future: BoxFuture<'static, T>,
}

impl<T> Future for Inside<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let _inside = this.handle.enter();
        this.future.as_mut().poll(context)
    }
}
