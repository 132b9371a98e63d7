//! What is counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// How large a [`RedbStore`](crate::RedbStore) is, and what it has done.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RedbMetrics {
    /// Entries, with those that have expired and are not swept yet.
    pub entries: u64,
    /// Members of indexes, with those that have expired and are not swept yet.
    pub members: u64,
    /// Bytes of the file, as of the last commit.
    pub file_bytes: u64,
    /// Entries that have expired and are gone, since the store was opened.
    pub expired_total: u64,
    /// Transactions that were committed, since the store was opened.
    pub commits_total: u64,
    /// Creations, replacements, touches, removals and changes of indexes that were done, since the store was opened. More
    /// than the commits where some shared one.
    pub writes_total: u64,
    /// How often the file failed, since the store was opened.
    pub failures_total: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) entries: AtomicU64,
    pub(crate) members: AtomicU64,
    pub(crate) file_bytes: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) failures: AtomicU64,
}

impl Counters {
    pub(crate) fn metrics(&self) -> RedbMetrics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RedbMetrics {
            entries: read(&self.entries),
            members: read(&self.members),
            file_bytes: read(&self.file_bytes),
            expired_total: read(&self.expired),
            commits_total: read(&self.commits),
            writes_total: read(&self.writes),
            failures_total: read(&self.failures),
        }
    }
}
