//! A part of the entries, with an index of when they expire, and of the indexes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use cloakroom_core::{StoreKey, Stored, Value, Version};

use super::{MemoryStore, indexes::Indexes, room::Room};

/// How many expired entries and members are dropped under one lock, so that nobody waits long for it.
pub(super) const BATCH: usize = 256;

#[derive(Default)]
pub(super) struct Shard {
    entries: HashMap<Arc<[u8]>, Entry>,
    /// By expiry; the version tells those apart that expire together.
    expiries: BTreeMap<(u64, u64), Arc<[u8]>>,
    pub(super) indexes: Indexes,
}

pub(super) struct Entry {
    pub(super) value: Value,
    pub(super) version: u64,
    expires_at: u64,
    ttl: u64,
}

impl Entry {
    pub(super) fn stored(&self, now: u64) -> Stored {
        Stored {
            value: self.value.clone(),
            version: Version::from_u64(self.version),
            // Never more than was asked for, also when the clock was set back.
            expires_in: Some(Duration::from_nanos(self.expires_at.saturating_sub(now).min(self.ttl))),
        }
    }

    fn is_expired(&self, now: u64) -> bool {
        self.expires_at <= now
    }
}

impl Shard {
    /// Finds what is alive under a key. What has expired there is dropped, so that it stays absent.
    pub(super) fn live(&mut self, key: &StoreKey, now: u64, room: &Room) -> Option<&Entry> {
        if self.entries.get(key.as_bytes()).is_some_and(|entry| entry.is_expired(now)) {
            room.release_expired(1, self.remove(key));
        }
        self.entries.get(key.as_bytes())
    }

    /// Adds an entry under a key that has none.
    pub(super) fn insert(&mut self, key: &StoreKey, value: &Value, version: u64, now: u64, ttl: u64) {
        let expires_at = now.saturating_add(ttl);
        let key: Arc<[u8]> = Arc::from(key.as_bytes());
        self.expiries.insert((expires_at, version), Arc::clone(&key));
        self.entries.insert(key, Entry { value: value.clone(), version, expires_at, ttl });
    }

    /// Changes the entry under a key that has one.
    pub(super) fn update(&mut self, key: &StoreKey, value: &Value, version: u64, now: u64, ttl: u64) {
        let expires_at = now.saturating_add(ttl);
        let Some(entry) = self.entries.get_mut(key.as_bytes()) else { return };
        if let Some(key) = self.expiries.remove(&(entry.expires_at, entry.version)) {
            self.expiries.insert((expires_at, version), key);
        }
        *entry = Entry { value: value.clone(), version, expires_at, ttl };
    }

    /// Drops the entry under a key, and returns what it counted.
    pub(super) fn remove(&mut self, key: &StoreKey) -> usize {
        let Some((key, entry)) = self.entries.remove_entry(key.as_bytes()) else { return 0 };
        self.expiries.remove(&(entry.expires_at, entry.version));
        cost(&key, &entry)
    }

    /// Drops at most [`BATCH`] entries and members that have expired, and returns how many it dropped.
    pub(super) fn expire(&mut self, now: u64, room: &Room) -> usize {
        let (mut count, mut bytes) = (0, 0);
        while count < BATCH {
            let Some(first) = self.expiries.first_entry().filter(|first| first.key().0 <= now) else { break };
            let key = first.remove();
            if let Some(entry) = self.entries.remove(&key) {
                bytes += cost(&key, &entry);
                count += 1;
            }
        }
        if count > 0 {
            room.release_expired(count, bytes);
        }
        let dropped = self.indexes.expire(now, BATCH - count);
        room.release_members(dropped);
        count + dropped.members
    }

    /// Gives back the memory of a table that is mostly empty.
    pub(super) fn shrink(&mut self) {
        // Far from where it grows, so that it does not do both in turn.
        if self.entries.len() < self.entries.capacity() / 8 {
            self.entries.shrink_to(2 * self.entries.len());
        }
    }
}

fn cost(key: &[u8], entry: &Entry) -> usize {
    MemoryStore::ENTRY_OVERHEAD + key.len() + entry.value.len()
}
