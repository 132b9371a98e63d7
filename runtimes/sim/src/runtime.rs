//! The runtime as code under test sees it.

use std::{
    fmt, io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use cloakroom_runtime::{BoxFuture, Endpoint, Runtime, Stream, Task};

use crate::{network::connect, scheduler::Shared, sleep::Sleep, task::Job};

/// The runtime of a [`Sim`](crate::Sim). Clones are the same, and work from every thread.
///
/// Its tasks go on while `block_on` runs. A function given to [`unblock`](Runtime::unblock) is called on the same thread:
/// one that waits for a future waits for ever.
#[derive(Clone)]
pub struct SimRuntime {
    shared: Arc<Shared>,
    ahead: Duration,
    behind: Duration,
}

impl SimRuntime {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, ahead: Duration::ZERO, behind: Duration::ZERO }
    }

    /// Returns the same runtime on a machine whose wall clock is fast.
    #[must_use = "the runtime itself is unchanged"]
    pub fn ahead(&self, ahead: Duration) -> Self {
        Self { ahead, behind: Duration::ZERO, ..self.clone() }
    }

    /// Returns the same runtime on a machine whose wall clock is slow.
    #[must_use = "the runtime itself is unchanged"]
    pub fn behind(&self, behind: Duration) -> Self {
        Self { ahead: Duration::ZERO, behind, ..self.clone() }
    }

    /// Draws a number less than `end` (zero for zero), which the seed decides: for what a test leaves to chance.
    pub fn draw(&self, end: u64) -> u64 {
        self.shared.draw(end)
    }
}

impl Runtime for SimRuntime {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(Sleep::new(Arc::clone(&self.shared), duration))
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) -> Task {
        let id = self.shared.add(Job::Future(future));
        let shared = Arc::clone(&self.shared);
        Task::new(move || shared.cancel(id))
    }

    fn unblock(&self, function: Box<dyn FnOnce() + Send + 'static>) -> Task {
        self.shared.add(Job::Function(function));
        Task::new(|| ())
    }

    fn connect(&self, endpoint: &Endpoint) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        Box::pin(connect(Arc::clone(&self.shared), endpoint.clone()))
    }

    fn now(&self) -> SystemTime {
        let now = self.shared.now();
        let now = now.checked_add(self.ahead).unwrap_or(now);
        now.checked_sub(self.behind).unwrap_or(now)
    }
}

impl fmt::Debug for SimRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimRuntime").field(&format_args!("{}", self.shared)).finish()
    }
}
