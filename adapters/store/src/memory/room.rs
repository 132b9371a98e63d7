//! How much room there is, and what is in it.

use std::sync::Mutex;

use super::{indexes::Dropped, lock};

/// How large a [`MemoryStore`](super::MemoryStore) is, and what became of what it could not keep.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MemoryMetrics {
    /// Entries, with those that have expired and are not swept yet.
    pub entries: usize,
    /// Members of indexes, with those that have expired and are not swept yet.
    pub members: usize,
    /// What they and the members count towards the bound of bytes.
    pub bytes: usize,
    /// Entries that have expired and are gone, since the store was made.
    pub expired_total: u64,
    /// Writes that were refused because the store was full, since it was made.
    pub refused_total: u64,
}

/// One lock for both bounds: two counters apart would refuse what fits, or take what does not.
pub(super) struct Room {
    max_entries: usize,
    max_bytes: usize,
    metrics: Mutex<MemoryMetrics>,
}

/// What there is no room for.
#[derive(Default)]
pub(super) struct Short {
    entries: usize,
    members: usize,
    bytes: usize,
}

impl Room {
    pub(super) fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self { max_entries, max_bytes, metrics: Mutex::default() }
    }

    pub(super) fn reserve_entry(&self, bytes: usize) -> Result<(), Short> {
        self.take(Short { entries: 1, bytes, ..Short::default() })
    }

    pub(super) fn reserve_member(&self, bytes: usize) -> Result<(), Short> {
        self.take(Short { members: 1, bytes, ..Short::default() })
    }

    pub(super) fn resize(&self, from: usize, to: usize) -> Result<(), Short> {
        if to > from {
            return self.take(Short { bytes: to - from, ..Short::default() });
        }
        lock(&self.metrics).bytes -= from - to;
        Ok(())
    }

    /// Gives back what an entry took.
    pub(super) fn release(&self, bytes: usize) {
        let mut metrics = lock(&self.metrics);
        metrics.entries -= 1;
        metrics.bytes -= bytes;
    }

    /// Gives back what expired entries took.
    pub(super) fn release_expired(&self, entries: usize, bytes: usize) {
        let mut metrics = lock(&self.metrics);
        metrics.entries -= entries;
        metrics.bytes -= bytes;
        metrics.expired_total += entries as u64;
    }

    /// Gives back what members took.
    pub(super) fn release_members(&self, dropped: Dropped) {
        if dropped.members > 0 {
            let mut metrics = lock(&self.metrics);
            metrics.members -= dropped.members;
            metrics.bytes -= dropped.bytes;
        }
    }

    /// Tells whether what was short fits by this time.
    pub(super) fn suffices(&self, short: &Short) -> bool {
        self.fits(&lock(&self.metrics), short)
    }

    pub(super) fn count_refusal(&self) {
        lock(&self.metrics).refused_total += 1;
    }

    pub(super) fn metrics(&self) -> MemoryMetrics {
        *lock(&self.metrics)
    }

    fn take(&self, wanted: Short) -> Result<(), Short> {
        let mut metrics = lock(&self.metrics);
        if !self.fits(&metrics, &wanted) {
            return Err(wanted);
        }
        metrics.entries += wanted.entries;
        metrics.members += wanted.members;
        metrics.bytes += wanted.bytes;
        Ok(())
    }

    fn fits(&self, metrics: &MemoryMetrics, wanted: &Short) -> bool {
        wanted.entries <= self.max_entries.saturating_sub(metrics.entries)
            && wanted.members <= self.max_entries.saturating_sub(metrics.members)
            && wanted.bytes <= self.max_bytes.saturating_sub(metrics.bytes)
    }
}
