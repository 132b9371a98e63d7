//! The handle of something spawned.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

/// The handle of something that a runtime runs in the background.
///
/// Dropping it detaches: what was spawned goes on. It does not tell when that ends or what comes of it: see
/// [`run`](crate::run) and [`run_blocking`](crate::run_blocking).
#[must_use = "dropping it detaches what was spawned; `drop` says that this is meant"]
pub struct Task {
    // The mutex is never locked: it makes the handle `Sync`, so that what owns a task can be shared.
    cancel: Mutex<Box<dyn FnOnce() + Send>>,
}

impl Task {
    /// Makes a handle, for implementers of [`Runtime`](crate::Runtime).
    ///
    /// `cancel` stops what was spawned and returns at once. Dropping `cancel` uncalled must not stop it: a runtime whose
    /// own handle cancels on drop has to detach there.
    pub fn new(cancel: impl FnOnce() + Send + 'static) -> Self {
        Self { cancel: Mutex::new(Box::new(cancel)) }
    }

    /// Stops what was spawned.
    ///
    /// A future is dropped at its next await, or unpolled when it has not begun; it may still be running when this
    /// returns. A function is only forgotten, see [`Runtime::unblock`](crate::Runtime::unblock). What has ended already
    /// is left alone.
    pub fn cancel(self) {
        let cancel = self.cancel.into_inner().unwrap_or_else(PoisonError::into_inner);
        cancel();
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").finish_non_exhaustive()
    }
}
