//! The bounds of a memory store.

use std::{
    array,
    sync::{Arc, Mutex, OnceLock, atomic::AtomicU64},
    time::Duration,
};

use cloakroom_runtime::Runtime;
use hashbrown::DefaultHashBuilder;

use super::{Inner, MemoryStore, listing::MAX_ENTRIES, room::Room, shard::Shard, sweep::sweep};

/// Makes a [`MemoryStore`].
///
/// # Example
///
/// ```
/// use cloakroom_store::MemoryStore;
/// # use cloakroom_tokio::Tokio;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let store = MemoryStore::builder().max_entries(10_000).max_bytes(16 * 1024 * 1024).build(Tokio);
/// assert_eq!(store.metrics().entries, 0);
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "`build` makes the store"]
pub struct MemoryStoreBuilder {
    max_entries: usize,
    max_bytes: usize,
    sweep_every: Duration,
}

impl MemoryStoreBuilder {
    pub(super) fn new() -> Self {
        Self { max_entries: 1_000_000, max_bytes: 512 * 1024 * 1024, sweep_every: Duration::from_secs(60) }
    }

    /// Sets how many entries there may be, and how many members of indexes. The default is a million of each; there are never
    /// more than 2^28 - 1.
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries.min(MAX_ENTRIES);
        self
    }

    /// Sets how many bytes all entries and members together may have: their keys, their values and
    /// [`MemoryStore::ENTRY_OVERHEAD`] for each. The default is 512 MiB.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets how long to wait between two sweeps. The default is a minute; less than a millisecond counts as one.
    pub fn sweep_every(mut self, interval: Duration) -> Self {
        self.sweep_every = interval.max(Duration::from_millis(1));
        self
    }

    /// Makes the store, and spawns the task that sweeps it.
    pub fn build(self, runtime: impl Runtime) -> MemoryStore {
        let runtime: Arc<dyn Runtime> = Arc::new(runtime);
        let inner = Arc::new(Inner {
            shards: array::from_fn(|_| Mutex::new(Shard::default())),
            hasher: DefaultHashBuilder::default(),
            last_version: AtomicU64::new(0),
            room: Room::new(self.max_entries, self.max_bytes),
            runtime: Arc::clone(&runtime),
            sweeper: OnceLock::new(),
        });
        let sweeping = sweep(Arc::downgrade(&inner), Arc::clone(&runtime), self.sweep_every);
        inner.sweeper.get_or_init(|| runtime.spawn(Box::pin(sweeping)));
        MemoryStore(inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_ENTRIES, MemoryStoreBuilder};

    #[test]
    fn there_are_no_more_entries_than_places() {
        assert_eq!(MemoryStoreBuilder::new().max_entries(usize::MAX).max_entries, MAX_ENTRIES);
        assert_eq!(MemoryStoreBuilder::new().max_entries(7).max_entries, 7);
    }
}
