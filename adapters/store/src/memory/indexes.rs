//! A part of the indexes: who is in which, and until when.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use cloakroom_core::{Members, StoreKey};

use super::MemoryStore;

/// Rows of indexes side by side, so that an index is where its rows are and takes no room without any.
#[derive(Default)]
pub(super) struct Indexes {
    /// When each row expires.
    rows: BTreeMap<Arc<[u8]>, u64>,
    expiries: BTreeSet<(u64, Arc<[u8]>)>,
}

/// What became of rows: how many went, and what they counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Dropped {
    pub(super) members: usize,
    pub(super) bytes: usize,
}

impl Indexes {
    /// Has a member stay until then at least. Returns false where it is not there.
    pub(super) fn prolong(&mut self, index: &StoreKey, member: &StoreKey, expires_at: u64) -> bool {
        let row = row(index, member);
        let Some((row, &old)) = self.rows.get_key_value(&*row) else { return false };
        if expires_at > old {
            let row = Arc::clone(row);
            self.expiries.remove(&(old, Arc::clone(&row)));
            self.rows.insert(Arc::clone(&row), expires_at);
            self.expiries.insert((expires_at, row));
        }
        true
    }

    /// Adds a member that is not there.
    pub(super) fn insert(&mut self, index: &StoreKey, member: &StoreKey, expires_at: u64) {
        let row: Arc<[u8]> = Arc::from(row(index, member));
        self.rows.insert(Arc::clone(&row), expires_at);
        self.expiries.insert((expires_at, row));
    }

    pub(super) fn remove(&mut self, index: &StoreKey, member: &StoreKey) -> Dropped {
        let mut dropped = Dropped::default();
        if let Some((row, expires_at)) = self.rows.remove_entry(&*row(index, member)) {
            dropped.count(&row);
            self.expiries.remove(&(expires_at, row));
        }
        dropped
    }

    /// Lists the members of an index. Those that have expired are dropped, so that they stay away.
    pub(super) fn list(&mut self, index: &StoreKey, limit: usize, now: u64) -> (Members, Dropped) {
        let (mut members, mut expired) = (Members::default(), Vec::new());
        let start = start(index);
        for (row, &expires_at) in self.rows.range::<[u8], _>((Bound::Included(&*start), Bound::Unbounded)) {
            let Some(member) = row.strip_prefix(&*start) else { break };
            if expires_at <= now {
                expired.push((expires_at, Arc::clone(row)));
                continue;
            }
            members.total += 1;
            if members.keys.len() < limit {
                // Every row was made of a key.
                members.keys.extend(str::from_utf8(member).ok().and_then(|member| StoreKey::new(member).ok()));
            }
        }
        let mut dropped = Dropped::default();
        for place in expired {
            dropped.count(&place.1);
            self.rows.remove(&place.1);
            self.expiries.remove(&place);
        }
        (members, dropped)
    }

    /// Drops at most so many members that have expired.
    pub(super) fn expire(&mut self, now: u64, at_most: usize) -> Dropped {
        let mut dropped = Dropped::default();
        while dropped.members < at_most && self.expiries.first().is_some_and(|(expires_at, _)| *expires_at <= now) {
            let Some((_, row)) = self.expiries.pop_first() else { break };
            dropped.count(&row);
            self.rows.remove(&row);
        }
        dropped
    }
}

impl Dropped {
    fn count(&mut self, row: &[u8]) {
        self.members += 1;
        // Without the byte of the length.
        self.bytes += MemoryStore::ENTRY_OVERHEAD + row.len() - 1;
    }
}

/// What a member counts towards the bound of bytes.
pub(super) fn cost(index: &StoreKey, member: &StoreKey) -> usize {
    MemoryStore::ENTRY_OVERHEAD + index.as_bytes().len() + member.as_bytes().len()
}

/// The index, with its length before it so that none begins with another, and the member.
fn row(index: &StoreKey, member: &StoreKey) -> Vec<u8> {
    [&*start(index), member.as_bytes()].concat()
}

fn start(index: &StoreKey) -> Vec<u8> {
    // A key has at most 120 bytes.
    [&[index.as_bytes().len() as u8], index.as_bytes()].concat()
}
