//! Numbers that the seed decides.

use std::{ops::Range, time::Duration};

/// The generator splitmix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number less than `end`; zero if there is none.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // The bias is far below what a test could see.
        self.next() % end.max(1)
    }

    pub(crate) fn within(&mut self, range: &Range<Duration>) -> Duration {
        let width = range.end.saturating_sub(range.start).as_nanos();
        range.start.saturating_add(Duration::from_nanos(self.below(u64::try_from(width).unwrap_or(u64::MAX))))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }
}

/// Spreads every bit over all.
pub(crate) fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
