//! Listeners.

use std::{
    collections::VecDeque,
    fmt,
    future::{Future, poll_fn},
    io, mem,
    sync::{Arc, Mutex},
    task::{Poll, Waker},
};

use cloakroom_runtime::Endpoint;

use super::{SimStream, canonical, lock};
use crate::scheduler::Shared;

/// Takes connections in the network of a [`Sim`](crate::Sim).
///
/// Where it is dropped, connections that nobody accepted are closed, and new ones refused.
pub struct SimListener {
    shared: Arc<Shared>,
    endpoint: Endpoint,
    backlog: Arc<Mutex<Backlog>>,
}

/// Connections that nobody has accepted yet.
#[derive(Default)]
pub(super) struct Backlog {
    streams: VecDeque<SimStream>,
    is_closed: bool,
    is_stalled: bool,
    /// Of those who accept, and of those who connect while it is stalled.
    wakers: Vec<Waker>,
}

impl SimListener {
    pub(crate) fn bind(shared: &Arc<Shared>, endpoint: &Endpoint) -> io::Result<Self> {
        let endpoint = canonical(endpoint);
        let backlog = Arc::new(Mutex::new(Backlog::default()));
        let listeners = &mut shared.lock().network.listeners;
        if listeners.contains_key(&endpoint) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        listeners.insert(endpoint.clone(), Arc::downgrade(&backlog));
        Ok(Self { shared: Arc::clone(shared), endpoint, backlog })
    }

    /// Waits for the next connection.
    pub fn accept(&self) -> impl Future<Output = SimStream> + Send + '_ {
        poll_fn(|context| {
            let mut backlog = lock(&self.backlog);
            match backlog.streams.pop_front() {
                Some(stream) => Poll::Ready(stream),
                None => {
                    backlog.wait(context.waker());
                    Poll::Pending
                }
            }
        })
    }

    /// Lets those who connect from here on wait, as at a machine that does not answer.
    pub fn stall(&self) {
        lock(&self.backlog).is_stalled = true;
    }

    /// Lets those who wait connect.
    pub fn resume(&self) {
        let wakers = {
            let mut backlog = lock(&self.backlog);
            backlog.is_stalled = false;
            mem::take(&mut backlog.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Backlog {
    fn wait(&mut self, waker: &Waker) {
        if !self.wakers.iter().any(|known| known.will_wake(waker)) {
            self.wakers.push(waker.clone());
        }
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        self.shared.lock().network.listeners.remove(&self.endpoint);
        let Backlog { streams, wakers, .. } =
            mem::replace(&mut *lock(&self.backlog), Backlog { is_closed: true, ..Backlog::default() });
        drop(streams);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for SimListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimListener").field(&self.endpoint).finish()
    }
}

/// Waits while it is stalled; fails when it is closed.
pub(super) fn admitted(backlog: &Mutex<Backlog>) -> impl Future<Output = Result<(), Closed>> + '_ {
    poll_fn(|context| {
        let mut backlog = lock(backlog);
        if backlog.is_closed {
            return Poll::Ready(Err(Closed));
        }
        if backlog.is_stalled {
            backlog.wait(context.waker());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    })
}

/// The listener is gone.
pub(super) struct Closed;

pub(super) fn offer(backlog: &Mutex<Backlog>, stream: SimStream) {
    let wakers = {
        let mut backlog = lock(backlog);
        backlog.streams.push_back(stream);
        mem::take(&mut backlog.wakers)
    };
    wakers.into_iter().for_each(Waker::wake);
}
