//! Turns for commits of one process that want the same session.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
};

use async_lock::{Mutex, MutexGuard};
use cloakroom_core::StoreKey;

const PLACES: usize = 64;

/// Places to queue at, by key. Keys may share one: that costs time, nothing else.
///
/// Whoever lost against another writer queues here for the rest of its commit. Without that, losers would go on making each
/// other lose: on a store that takes time, most of a crowd would give up.
pub(crate) struct Turns {
    places: [Mutex<()>; PLACES],
    hasher: RandomState,
}

impl Turns {
    /// Waits for a turn, which lasts until it is dropped.
    pub(crate) async fn take(&self, key: &StoreKey) -> MutexGuard<'_, ()> {
        // The remainder is less than the number of places.
        self.places[(self.hasher.hash_one(key.as_bytes()) % PLACES as u64) as usize].lock().await
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self { places: [const { Mutex::new(()) }; PLACES], hasher: RandomState::new() }
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").finish_non_exhaustive()
    }
}
