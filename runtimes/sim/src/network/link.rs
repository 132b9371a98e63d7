//! What is between two streams.

use std::{
    array,
    collections::VecDeque,
    fmt,
    sync::{Mutex, Weak},
    task::Waker,
    time::Duration,
};

use super::lock;

/// One connection, for a test that disturbs it. It keeps nothing open.
#[derive(Clone)]
pub struct Link {
    wire: Weak<Mutex<Wire>>,
}

impl Link {
    pub(super) fn new(wire: Weak<Mutex<Wire>>) -> Self {
        Self { wire }
    }

    /// Resets the connection: what is on its way is lost, and both ends fail with
    /// [`ConnectionReset`](std::io::ErrorKind::ConnectionReset).
    pub fn cut(&self) {
        self.change(|wire| wire.is_cut = true);
    }

    /// Lets nothing arrive any more; neither end is told.
    pub fn stall(&self) {
        self.change(|wire| wire.is_stalled = true);
    }

    /// Lets arrive what was held up.
    pub fn resume(&self) {
        self.change(|wire| wire.is_stalled = false);
    }

    fn change(&self, change: impl FnOnce(&mut Wire)) {
        let Some(wire) = self.wire.upgrade() else { return };
        let wakers = {
            let mut wire = lock(&wire);
            change(&mut wire);
            wire.pipes.each_mut().map(|pipe| [pipe.reader.take(), pipe.writer.take()])
        };
        wakers.into_iter().flatten().flatten().for_each(Waker::wake);
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(wire) = self.wire.upgrade() else { return f.write_str("Link(closed)") };
        let wire = lock(&wire);
        f.debug_struct("Link").field("cut", &wire.is_cut).field("stalled", &wire.is_stalled).finish()
    }
}

/// Both directions of a connection.
pub(super) struct Wire {
    /// What each side sends.
    pub(super) pipes: [Pipe; 2],
    pub(super) is_cut: bool,
    pub(super) is_stalled: bool,
}

impl Default for Wire {
    fn default() -> Self {
        Self { pipes: array::from_fn(|_| Pipe::default()), is_cut: false, is_stalled: false }
    }
}

/// One direction.
#[derive(Default)]
pub(super) struct Pipe {
    /// What was sent together, and when it arrives, in this order.
    pub(super) chunks: VecDeque<(Duration, VecDeque<u8>)>,
    pub(super) in_flight: usize,
    /// When the last of it arrives.
    pub(super) last: Duration,
    /// The sender has closed.
    pub(super) is_ended: bool,
    /// The receiver is gone.
    pub(super) is_abandoned: bool,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

impl Pipe {
    /// Tells when there is something to read, if that is known.
    pub(super) fn next_arrival(&self) -> Option<Duration> {
        let end = self.is_ended.then_some(self.last);
        self.chunks.front().map(|(at, _)| *at).or(end)
    }

    pub(super) fn send(&mut self, bytes: &[u8], at: Duration) {
        self.last = self.last.max(at);
        self.in_flight += bytes.len();
        self.chunks.push_back((self.last, bytes.iter().copied().collect()));
    }

    /// Closes it, after all that was sent.
    pub(super) fn end(&mut self, at: Duration) {
        if !self.is_ended {
            self.last = self.last.max(at);
            self.is_ended = true;
        }
    }

    /// Takes what is first of what has arrived, as much as there is room for; nothing at the end.
    pub(super) fn receive(&mut self, into: &mut [u8]) {
        let Some((_, chunk)) = self.chunks.front_mut() else { return };
        for (byte, place) in chunk.drain(..into.len()).zip(into.iter_mut()) {
            *place = byte;
        }
        self.in_flight -= into.len();
        if chunk.is_empty() {
            self.chunks.pop_front();
        }
    }
}
