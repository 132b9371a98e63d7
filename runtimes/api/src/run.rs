//! Spawning what has a result.

use std::{error::Error, fmt, future::Future};

use futures_channel::oneshot;

use crate::Runtime;

/// Spawns a future and hands back what comes of it.
///
/// It is spawned by this call, not by the first poll of what is returned; and dropping what is returned does not stop
/// it. Whatever it owned is dropped before its result is handed back. What is returned may be polled anywhere, also
/// outside the runtime.
///
/// # Errors
///
/// [`Interrupted`] when there will be no result.
pub fn run<F>(
    runtime: &dyn Runtime,
    future: F,
) -> impl Future<Output = Result<F::Output, Interrupted>> + Send + 'static + use<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    drop(runtime.spawn(Box::pin(async move {
        // Nobody may want the result any more.
        let _ = sender.send(future.await);
    })));
    async { receiver.await.map_err(|_| Interrupted) }
}

/// Runs a function that blocks on a thread where it may, and hands back what it returns.
///
/// It is queued by this call, not by the first poll of what is returned; and dropping what is returned does not stop
/// it.
///
/// # Errors
///
/// [`Interrupted`] when there will be no result.
pub fn run_blocking<T, F>(
    runtime: &dyn Runtime,
    function: F,
) -> impl Future<Output = Result<T, Interrupted>> + Send + 'static + use<T, F>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    drop(runtime.unblock(Box::new(move || {
        let _ = sender.send(function());
    })));
    async { receiver.await.map_err(|_| Interrupted) }
}

/// What was spawned panicked, was cancelled, or its runtime shut down: it has no result.
///
/// It may have begun, and any of its effects may have happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "runtimes do not tell these apart alike")]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the task panicked, was cancelled, or its runtime shut down")
    }
}

impl Error for Interrupted {}
