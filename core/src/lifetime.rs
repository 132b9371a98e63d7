//! How long a session lives.

use core::time::Duration;

use crate::{
    limits::{DEFAULT_ABSOLUTE, DEFAULT_IDLE},
    record::Record,
    time::{UnixTime, millis},
};

/// The two timeouts of a session (ASVS 5.0, 7.3.1 and 7.3.2), and whether its cookie outlives the browser session.
///
/// The default is 30 minutes idle and 8 hours absolute, with a cookie for the browser session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lifetime {
    idle: Duration,
    absolute: Duration,
    persistent: bool,
}

impl Lifetime {
    /// Makes a lifetime. An idle time longer than the absolute one counts as equal to it; both are kept to the
    /// millisecond.
    pub fn new(idle: Duration, absolute: Duration) -> Self {
        let [idle, absolute] = [idle.min(absolute), absolute].map(|length| Duration::from_millis(millis(length)));
        Self { idle, absolute, persistent: false }
    }

    /// Lets the cookie outlive the browser session, with `Max-Age` to the absolute deadline ("remember me").
    #[must_use = "this returns the changed lifetime"]
    pub fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    /// Returns the idle timeout.
    pub fn idle(self) -> Duration {
        self.idle
    }

    /// Returns the absolute timeout.
    pub fn absolute(self) -> Duration {
        self.absolute
    }

    /// Tells whether the cookie outlives the browser session.
    pub fn is_persistent(self) -> bool {
        self.persistent
    }

    /// The absolute deadline of a record: its own, or the one that follows from this limit if that is earlier.
    pub(crate) fn deadline(self, record: &Record) -> UnixTime {
        record.deadline.min(record.created.saturating_add(self.absolute))
    }

    /// The time to live of a record that was just used: the smaller remainder, of its own limits and of these.
    pub(crate) fn ttl(self, record: &Record, now: UnixTime) -> Duration {
        record.idle.min(self.idle).min(self.deadline(record).since(now))
    }
}

impl Default for Lifetime {
    fn default() -> Self {
        Self::new(DEFAULT_IDLE, DEFAULT_ABSOLUTE)
    }
}
