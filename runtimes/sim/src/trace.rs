//! What was decided, in short.

use crate::random::mixed;

/// A digest of every decision so far: what was picked, out of how much, and when. Two that are equal come from the same
/// schedule, but for a coincidence of 64 bits.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Trace {
    steps: u64,
    digest: u64,
}

impl Trace {
    /// Returns how many steps were taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    pub(crate) fn record(&mut self, decision: [u64; 3]) {
        self.steps += 1;
        self.digest = decision.into_iter().fold(self.digest, |digest, part| mixed(digest.rotate_left(5) ^ part));
    }
}
