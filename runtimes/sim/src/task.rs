//! Tasks, whose panics are their own.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll, Waker},
};

use cloakroom_runtime::BoxFuture;

use crate::scheduler::Shared;

/// What a task does.
pub(crate) enum Job {
    Function(Box<dyn FnOnce() + Send>),
    Future(BoxFuture<'static, ()>),
}

impl Job {
    /// Drops it.
    pub(crate) fn discard(self) {
        quietly(|| drop(self));
    }
}

/// A task that was picked.
pub(crate) struct Running {
    pub(crate) id: u64,
    pub(crate) job: Job,
    pub(crate) waker: Waker,
}

impl Running {
    /// Takes its step.
    pub(crate) fn run(self, shared: &Shared) {
        let Self { id, job, waker } = self;
        match job {
            Job::Function(function) => {
                shared.remove(id);
                quietly(function);
            }
            Job::Future(mut future) => {
                let poll = quietly(|| future.as_mut().poll(&mut Context::from_waker(&waker)));
                let job = Job::Future(future);
                let over = if poll == Some(Poll::Pending) {
                    shared.put_back(id, job)
                } else {
                    shared.remove(id);
                    Some(job)
                };
                over.into_iter().for_each(Job::discard);
            }
        }
    }
}

/// Returns nothing where it panics; the panic hook has told of it.
fn quietly<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}
