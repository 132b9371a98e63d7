//! Whether a connection lives.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use cloakroom_runtime::Runtime;

/// When a server was last heard, in milliseconds of the wall clock.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// The first write since then; zero for none.
    asked: AtomicU64,
    heard: AtomicU64,
    is_closed: AtomicBool,
}

impl Pulse {
    pub(crate) fn asked(&self, runtime: &dyn Runtime) {
        if self.asked.load(Ordering::Relaxed) == 0 {
            self.asked.store(now(runtime), Ordering::Relaxed);
        }
    }

    pub(crate) fn heard(&self, runtime: &dyn Runtime) {
        self.heard.store(now(runtime), Ordering::Relaxed);
        self.asked.store(0, Ordering::Relaxed);
    }

    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Tells whether nothing was heard for so long since it was asked, or since then.
    pub(crate) fn is_silent(&self, patience: Duration, since: u64, runtime: &dyn Runtime) -> bool {
        let silent_since = match self.asked.load(Ordering::Relaxed) {
            0 => self.heard.load(Ordering::Relaxed).max(since),
            asked => asked,
        };
        // A clock that was set back tells nothing; a connection more costs little.
        let silence = now(runtime).checked_sub(silent_since);
        silence.is_none_or(|silence| u128::from(silence) >= patience.as_millis())
    }
}

/// The time, in milliseconds of the wall clock.
pub(crate) fn now(runtime: &dyn Runtime) -> u64 {
    runtime.now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |since| since.as_millis() as u64)
}
