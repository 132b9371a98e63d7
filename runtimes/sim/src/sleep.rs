//! Waiting for the virtual clock.

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use crate::scheduler::{Shared, Timer};

/// Ends when its timer has fired, which is a step of its own once its time has come.
pub(crate) struct Sleep {
    shared: Arc<Shared>,
    state: State,
}

enum State {
    Ended,
    New(Duration),
    Waits(Timer),
    /// Beyond the horizon.
    Never,
}

impl Sleep {
    /// Counts from the first poll.
    pub(crate) fn new(shared: Arc<Shared>, duration: Duration) -> Self {
        Self { shared, state: State::New(duration) }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.state {
            State::New(duration) => {
                self.state = self.shared.set_timer(duration, context.waker()).map_or(State::Never, State::Waits);
            }
            State::Waits(timer) if self.shared.has_fired(timer, context.waker()) => self.state = State::Ended,
            _ => {}
        }
        if matches!(self.state, State::Ended) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let State::Waits(timer) = mem::replace(&mut self.state, State::Ended) {
            self.shared.drop_timer(timer);
        }
    }
}
