//! What passes in one direction, and when.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::Fault;

/// How much is taken in before it is passed on.
const ROOM: usize = 64 * 1024;
/// Between two pieces.
const PAUSE: Duration = Duration::from_millis(1);

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Flow {
    /// Bytes that arrived.
    arrived: u64,
    /// By offset.
    faults: VecDeque<(u64, Fault)>,
    ready: VecDeque<Chunk>,
    held: VecDeque<Vec<u8>>,
    mode: Mode,
    delay: Duration,
    piece: usize,
    not_before: Option<Instant>,
    /// Nothing more arrives.
    has_ended: bool,
    /// The receiver was told so.
    is_shut: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Holding,
    Passing,
    Swallowing,
}

#[derive(Debug)]
struct Chunk {
    due: Instant,
    bytes: Vec<u8>,
    sent: usize,
}

/// A fault that is the connection's, not only this direction's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cut {
    Finish,
    Reset,
}

impl Flow {
    pub(super) fn new(faults: impl Iterator<Item = (u64, Fault)>) -> Self {
        let mut faults: Vec<_> = faults.collect();
        faults.sort_by_key(|(offset, _)| *offset);
        Self {
            arrived: 0,
            faults: faults.into(),
            ready: VecDeque::new(),
            held: VecDeque::new(),
            mode: Mode::Passing,
            delay: Duration::ZERO,
            piece: usize::MAX,
            not_before: None,
            has_ended: false,
            is_shut: false,
        }
    }

    /// Adds a fault that strikes after so many further bytes.
    pub(super) fn strike(&mut self, after: u64, fault: Fault) {
        let offset = self.arrived.saturating_add(after);
        let place = self.faults.partition_point(|(at, _)| *at <= offset);
        self.faults.insert(place, (offset, fault));
    }

    pub(super) fn hold(&mut self) {
        if self.mode == Mode::Passing {
            self.mode = Mode::Holding;
        }
    }

    pub(super) fn swallow(&mut self) {
        self.mode = Mode::Swallowing;
        self.ready.clear();
        self.held.clear();
    }

    pub(super) fn heal(&mut self) {
        self.faults.clear();
        (self.delay, self.piece) = (Duration::ZERO, usize::MAX);
        let now = Instant::now();
        for chunk in &mut self.ready {
            chunk.due = chunk.due.min(now);
        }
        if self.mode == Mode::Holding {
            self.mode = Mode::Passing;
            self.ready.extend(self.held.drain(..).map(|bytes| Chunk { due: now, bytes, sent: 0 }));
        }
    }

    /// Tells whether more may be read.
    pub(super) fn has_room(&self) -> bool {
        let waiting: usize = self.ready.iter().map(|chunk| chunk.bytes.len()).sum();
        let held: usize = self.held.iter().map(Vec::len).sum();
        !self.has_ended && waiting + held < ROOM
    }

    /// Returns how many bytes to read at most, so that the next fault strikes between two reads.
    pub(super) fn to_read(&self) -> usize {
        match self.faults.front() {
            Some((offset, _)) if *offset > self.arrived => {
                usize::try_from(offset - self.arrived).unwrap_or(ROOM).min(ROOM)
            }
            _ => ROOM,
        }
    }

    /// Takes what was read. Returns how many faults it met, and what becomes of the connection.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (usize, Option<Cut>) {
        let mut met = 0;
        while let Some((_, fault)) = self.faults.pop_front_if(|(offset, _)| *offset <= self.arrived) {
            met += 1;
            match fault {
                Fault::Delay(delay) => self.delay = delay,
                Fault::Finish => return (met, Some(Cut::Finish)),
                Fault::Hold => self.hold(),
                Fault::Pieces(piece) => self.piece = piece.max(1),
                Fault::Reset => return (met, Some(Cut::Reset)),
                Fault::Swallow => self.mode = Mode::Swallowing,
            }
        }
        self.arrived += bytes.len() as u64;
        match self.mode {
            Mode::Holding => self.held.push_back(bytes.to_vec()),
            Mode::Passing => {
                self.ready.push_back(Chunk { due: Instant::now() + self.delay, bytes: bytes.to_vec(), sent: 0 });
            }
            Mode::Swallowing => {}
        }
        (met, None)
    }

    /// Returns what is to be written by this time.
    pub(super) fn due(&self, now: Instant) -> Option<&[u8]> {
        let chunk = self.ready.front().filter(|chunk| chunk.due <= now)?;
        let rest = &chunk.bytes[chunk.sent..];
        self.not_before.is_none_or(|time| time <= now).then(|| &rest[..rest.len().min(self.piece)])
    }

    /// Returns when to look again, if something waits for its time.
    pub(super) fn next(&self) -> Option<Instant> {
        self.ready.front().map(|chunk| self.not_before.map_or(chunk.due, |time| time.max(chunk.due)))
    }

    /// Notes what was written.
    pub(super) fn sent(&mut self, count: usize) {
        if let Some(chunk) = self.ready.front_mut() {
            chunk.sent += count;
            if chunk.sent == chunk.bytes.len() {
                self.ready.pop_front();
            }
        }
        self.not_before = (self.piece < usize::MAX).then(|| Instant::now() + PAUSE);
    }

    /// Tells whether nothing passes.
    pub(super) fn is_silent(&self) -> bool {
        self.mode != Mode::Passing
    }

    /// Nothing more arrives.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }

    /// Tells whether all that may pass has passed.
    pub(super) fn is_flushed(&self) -> bool {
        self.ready.is_empty()
    }

    /// Tells whether the receiver is to be told that nothing more comes; once.
    pub(super) fn shuts(&mut self) -> bool {
        let shuts = self.has_ended && self.mode == Mode::Passing && self.ready.is_empty() && !self.is_shut;
        self.is_shut |= shuts;
        shuts
    }

    /// Tells whether nothing is left to do.
    pub(super) fn is_over(&self) -> bool {
        self.has_ended && (self.is_shut || self.mode == Mode::Swallowing)
    }
}
