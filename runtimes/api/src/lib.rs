//! What Cloakroom asks of an async runtime.
//!
//! A runtime is a value that the user passes; none is ever guessed, and several work side by side in one process. The
//! crates `cloakroom-tokio`, `cloakroom-smol` and `cloakroom-async-std` each have one, and anybody can write another:
//! five methods.

#![forbid(unsafe_code)]

mod run;
mod task;

use std::{fmt, future::Future, io, net::SocketAddr, path::PathBuf, pin::Pin, time::{Duration, SystemTime}};

use futures_io::{AsyncRead, AsyncWrite};

pub use self::{run::{Interrupted, run, run_blocking}, task::Task};

/// A boxed future that can move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A connection: bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

/// Where to connect to.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Endpoint {
    /// A host name or address and a port; a name is looked up without blocking the runtime.
    Host(String, u16),
    /// An address.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// An async runtime.
///
/// All methods return at once. Futures that they return may be polled on any thread, but those of a runtime that needs
/// its own context (tokio) only inside it.
pub trait Runtime: fmt::Debug + Send + Sync + 'static {
    /// Waits. Starts to count at the first poll at the latest; never ends early; dropping it costs nothing.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// Runs a future in the background until it ends or is cancelled.
    ///
    /// Dropping the [`Task`] detaches it: the future goes on. A panic in it ends that future alone; it never reaches the
    /// caller or another task. When the runtime shuts down, the future is dropped at one of its awaits.
    fn spawn(&self, future: BoxFuture<'static, ()>) -> Task;

    /// Runs a function that blocks, on a thread where it holds up no future.
    ///
    /// Once it runs it cannot be cancelled; cancelling or dropping the [`Task`] only forgets it. A panic in it stays on
    /// its thread.
    fn unblock(&self, function: Box<dyn FnOnce() + Send + 'static>) -> Task;

    /// Opens a connection, with `TCP_NODELAY` where that means anything. It has no time limit of its own: race it with
    /// [`Runtime::sleep`]. Dropping it gives up.
    ///
    /// # Errors
    ///
    /// The operating system's, and [`io::ErrorKind::Unsupported`] for a kind of endpoint that the platform lacks.
    fn connect(&self, endpoint: &Endpoint) -> BoxFuture<'static, io::Result<Box<dyn Stream>>>;

    /// Returns the wall-clock time. It may jump, as wall clocks do.
    fn now(&self) -> SystemTime;
}
