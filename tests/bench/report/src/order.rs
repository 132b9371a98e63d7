//! The order in which systems take their turns.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
};

/// Shuffles; the same seed gives the same orders.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) seed: u64,
    state: u64,
}

impl Order {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        // Two of its hashers never start alike.
        let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish() >> 32);
        Self { seed, state: seed | 1 }
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            // xorshift64
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            items.swap(last, (self.state % (last as u64 + 1)) as usize);
        }
    }
}
