//! Whether a connection lives.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use crate::Runtime;

/// When a server was last heard on a connection, and whether that has ended: for stores whose connections many requests
/// share.
///
/// What drives the connection tells what it writes and reads; a request that waited too long asks whether the server is
/// silent, or only late with one answer. It goes by [`Runtime::now`], to the millisecond.
#[derive(Debug, Default)]
pub struct Pulse {
    /// The first write since the server was heard, in milliseconds of the wall clock; zero for none.
    asked: AtomicU64,
    heard: AtomicU64,
    is_closed: AtomicBool,
}

impl Pulse {
    /// Notes that something was written. Of several writes without an answer the first one counts.
    pub fn asked(&self, runtime: &dyn Runtime) {
        if self.asked.load(Ordering::Relaxed) == 0 {
            self.asked.store(millis_of(runtime.now()), Ordering::Relaxed);
        }
    }

    /// Notes that something was read, which answers whatever was asked.
    pub fn heard(&self, runtime: &dyn Runtime) {
        self.heard.store(millis_of(runtime.now()), Ordering::Relaxed);
        // Whoever sees that nothing is owed sees when it was heard.
        self.asked.store(0, Ordering::Release);
    }

    /// Notes that the connection has ended, for good.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    /// Tells whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Tells whether nothing was heard for as long as `patience` since the server was asked.
    ///
    /// Where nothing was asked since the server was heard, it counts from then or from `since`, whichever is later: a request
    /// whose bytes cannot even be written waits for the server too. Without `since`, such a connection is not silent.
    ///
    /// A clock that was set back to before these times makes it silent.
    pub fn is_silent(&self, patience: Duration, since: Option<SystemTime>, runtime: &dyn Runtime) -> bool {
        let silent_since = match (self.asked.load(Ordering::Acquire), since) {
            (0, None) => return false,
            (0, Some(since)) => self.heard.load(Ordering::Relaxed).max(millis_of(since)),
            (asked, _) => asked,
        };
        // A clock that was set back tells nothing; a connection more costs little.
        let silence = millis_of(runtime.now()).checked_sub(silent_since);
        silence.is_none_or(|silence| u128::from(silence) >= patience.as_millis())
    }
}

/// Never zero, which stands for no time.
fn millis_of(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(1, |since| since.as_millis().max(1) as u64)
}
