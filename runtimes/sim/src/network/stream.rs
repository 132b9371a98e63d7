//! The ends of a connection.

use std::{
    fmt,
    future::Future,
    io, mem,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_io::{AsyncRead, AsyncWrite};

use super::{
    Link,
    link::{Pipe, Wire},
    lock,
};
use crate::{scheduler::Shared, sleep::Sleep};

/// One end of a connection in the network of a [`Sim`](crate::Sim).
///
/// What is written arrives in order and later, each piece after a delay of its own; a read may bring less than has arrived,
/// and a write take less than it was given: the seed decides. Closing it, or dropping it, lets the other end come to its
/// end; writing to an end that was dropped is a [`BrokenPipe`](io::ErrorKind::BrokenPipe).
pub struct SimStream {
    shared: Arc<Shared>,
    wire: Arc<Mutex<Wire>>,
    side: usize,
    arrival: Option<Arrival>,
}

/// Wakes the reader when what was sent to it arrives.
type Arrival = (Duration, Sleep);

impl SimStream {
    /// How many bytes may be on their way, in one direction; a writer then waits for the reader.
    pub const CAPACITY: usize = 64 * 1024;

    pub(super) fn new(shared: Arc<Shared>, wire: Arc<Mutex<Wire>>, side: usize) -> Self {
        Self { shared, wire, side, arrival: None }
    }

    /// Returns the connection, to disturb it.
    pub fn link(&self) -> Link {
        Link::new(Arc::downgrade(&self.wire))
    }

    /// Reads what has arrived; or tells when to look again, if that is known.
    fn read(&self, waker: &Waker, bytes: &mut [u8]) -> Result<io::Result<usize>, Option<Duration>> {
        let mut guard = lock(&self.wire);
        let wire = &mut *guard;
        if wire.is_cut {
            return Ok(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let pipe = &mut wire.pipes[1 - self.side];
        let next = pipe.next_arrival().filter(|_| !wire.is_stalled);
        if next.is_none_or(|at| at > self.shared.elapsed()) {
            let former = pipe.reader.replace(waker.clone());
            drop(guard);
            drop(former);
            return Err(next);
        }
        let there = pipe.chunks.front().map_or(0, |(_, chunk)| chunk.len());
        let count = self.some_of(there.min(bytes.len()));
        pipe.receive(&mut bytes[..count]);
        let writer = pipe.writer.take();
        drop(guard);
        writer.into_iter().for_each(Waker::wake);
        Ok(Ok(count))
    }

    /// Draws a number from one to `most`; zero for zero.
    fn some_of(&self, most: usize) -> usize {
        match most {
            0 => 0,
            most => 1 + self.shared.draw(most as u64) as usize,
        }
    }

    /// Ends what this side sends.
    fn end(&self) {
        let delay = self.shared.draw_delay();
        let mut wire = lock(&self.wire);
        let pipe = &mut wire.pipes[self.side];
        pipe.end(self.shared.elapsed().saturating_add(delay));
        let reader = pipe.reader.take();
        drop(wire);
        reader.into_iter().for_each(Waker::wake);
    }
}

impl AsyncRead for SimStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let this = &mut *self;
        loop {
            let at = match this.read(cx.waker(), bytes) {
                Ok(read) => {
                    this.arrival = None;
                    return Poll::Ready(read);
                }
                Err(Some(at)) => at,
                Err(None) => {
                    this.arrival = None;
                    return Poll::Pending;
                }
            };
            let (known, sleep) = this.arrival.get_or_insert_with(|| until(&this.shared, at));
            if *known != at {
                (*known, *sleep) = until(&this.shared, at);
            }
            if Pin::new(sleep).poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let delay = self.shared.draw_delay();
        let mut wire = lock(&self.wire);
        if wire.is_cut {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let pipe = &mut wire.pipes[self.side];
        if pipe.is_ended || pipe.is_abandoned {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = Self::CAPACITY - pipe.in_flight;
        if room == 0 {
            let former = pipe.writer.replace(cx.waker().clone());
            drop(wire);
            drop(former);
            return Poll::Pending;
        }
        let count = self.some_of(room.min(bytes.len()));
        if count > 0 {
            pipe.send(&bytes[..count], self.shared.elapsed().saturating_add(delay));
        }
        let reader = pipe.reader.take();
        drop(wire);
        reader.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end();
        Poll::Ready(Ok(()))
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.end();
        let abandoned = Pipe { is_abandoned: true, ..Pipe::default() };
        let mut wire = lock(&self.wire);
        let there = mem::replace(&mut wire.pipes[1 - self.side], abandoned);
        drop(wire);
        there.writer.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for SimStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimStream").field("link", &self.link()).finish_non_exhaustive()
    }
}

fn until(shared: &Arc<Shared>, at: Duration) -> Arrival {
    (at, Sleep::new(Arc::clone(shared), at.saturating_sub(shared.elapsed())))
}
