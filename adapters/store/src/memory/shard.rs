//! A part of the entries, with an index of when they expire, and of the indexes.

use std::{collections::BTreeSet, hash::BuildHasher as _, time::Duration};

use cloakroom_core::{StoreKey, Stored, Value, Version};
use hashbrown::{DefaultHashBuilder, HashTable};
use slab::Slab;

use super::{MemoryStore, indexes::Indexes, listing::Listing, room::Room};

/// How many expired entries and members are dropped under one lock, so that nobody waits long for it.
pub(super) const BATCH: usize = 256;

/// The entries stand side by side in a slab; the table and the set name them by their places, of which a table that is half
/// empty wastes little. An entry that is put off stays listed where it was, until a sweep comes by: most are put off many
/// times before they expire.
#[derive(Default)]
pub(super) struct Shard {
    entries: Slab<Entry>,
    by_key: HashTable<Place>,
    by_expiry: BTreeSet<Listing>,
    pub(super) indexes: Indexes,
}

/// A place in the slab.
pub(super) type Place = u32;

pub(super) struct Entry {
    key: Box<[u8]>,
    pub(super) value: Value,
    pub(super) version: u64,
    expires_at: u64,
    ttl: u64,
    /// Where it stands in the set: never after it expires.
    listing: Listing,
}

/// What a sweep of a shard came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Swept {
    /// Entries and members that are gone.
    pub(super) dropped: usize,
    /// Where to go on, when there may be more, which was left for lack of time.
    pub(super) next: Option<Listing>,
}

/// A key, and its hash by the store's hasher.
#[derive(Clone, Copy)]
pub(super) struct Hashed<'k> {
    pub(super) key: &'k StoreKey,
    pub(super) hash: u64,
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

    fn cost(&self) -> usize {
        MemoryStore::ENTRY_OVERHEAD + self.key.len() + self.value.len()
    }
}

impl Shard {
    /// Finds what is alive under a key. What has expired there is dropped, so that it stays absent.
    pub(super) fn live(&mut self, key: Hashed<'_>, now: u64, room: &Room) -> Option<Live<'_>> {
        let place = self.find(key)?;
        if self.entries[place as usize].expires_at <= now {
            room.release_expired(1, self.remove(place, key.hash));
            return None;
        }
        Some(Live { shard: self, place, hash: key.hash })
    }

    /// Adds an entry under a key that has none.
    pub(super) fn insert(
        &mut self,
        key: Hashed<'_>,
        value: &Value,
        version: u64,
        times: Times,
        hasher: &DefaultHashBuilder,
    ) {
        let Times { expires_at, ttl } = times;
        let (key, hash) = (key.key.as_bytes().into(), key.hash);
        let vacant = self.entries.vacant_entry();
        let place = vacant.key() as Place;
        let listing = Listing::of(expires_at, place);
        vacant.insert(Entry { key, value: value.clone(), version, expires_at, ttl, listing });
        self.by_expiry.insert(listing);
        let Self { by_key, entries, .. } = self;
        by_key.insert_unique(hash, place, |place| hasher.hash_one(&*entries[*place as usize].key));
    }

    /// Drops entries and members that have expired, of at most [`BATCH`] that it looks at, from a listing on.
    pub(super) fn expire(&mut self, now: u64, from: Listing, room: &Room, hasher: &DefaultHashBuilder) -> Swept {
        let (mut next, mut looked, mut count, mut bytes) = (from, 0, 0, 0);
        while looked < BATCH {
            let listing = self.by_expiry.range(next..).next().copied();
            let Some(listing) = listing.filter(|listing| *listing < Listing::end_of(now)) else { break };
            looked += 1;
            next = listing.next();
            let place = listing.place();
            let entry = &mut self.entries[place as usize];
            if entry.expires_at > now {
                // It was put off, or expires in a moment and stays where it is.
                entry.listing = Listing::of(entry.expires_at, place);
                if entry.listing != listing {
                    self.by_expiry.remove(&listing);
                    self.by_expiry.insert(entry.listing);
                }
                continue;
            }
            let hash = hasher.hash_one(&*entry.key);
            bytes += self.remove(place, hash);
            count += 1;
        }
        if count > 0 {
            room.release_expired(count, bytes);
        }
        let dropped = self.indexes.expire(now, BATCH - looked);
        room.release_members(dropped);
        Swept { dropped: count + dropped.members, next: (looked + dropped.members == BATCH).then_some(next) }
    }

    /// Gives back the memory of a table that is mostly empty.
    pub(super) fn shrink(&mut self, hasher: &DefaultHashBuilder) {
        // Far from where it grows, so that it does not do both in turn.
        if self.entries.len() >= self.entries.capacity() / 8 {
            return;
        }
        let Self { by_expiry, by_key, entries, .. } = self;
        entries.compact(|entry, from, to| {
            let (from, to) = (from as Place, to as Place);
            if let Some(place) = by_key.find_mut(hasher.hash_one(&*entry.key), |place| *place == from) {
                *place = to;
            }
            by_expiry.remove(&entry.listing);
            entry.listing = entry.listing.moved_to(to);
            by_expiry.insert(entry.listing);
            true
        });
        by_key.shrink_to(2 * entries.len(), |place| hasher.hash_one(&*entries[*place as usize].key));
    }

    fn find(&self, key: Hashed<'_>) -> Option<Place> {
        let is_it = |place: &Place| *self.entries[*place as usize].key == *key.key.as_bytes();
        self.by_key.find(key.hash, is_it).copied()
    }

    /// Drops an entry, and returns what it counted.
    fn remove(&mut self, place: Place, hash: u64) -> usize {
        if let Ok(found) = self.by_key.find_entry(hash, |other| *other == place) {
            found.remove();
        }
        let entry = self.entries.remove(place as usize);
        self.by_expiry.remove(&entry.listing);
        entry.cost()
    }
}

/// When an entry expires, and how long it was to live.
#[derive(Clone, Copy)]
pub(super) struct Times {
    expires_at: u64,
    ttl: u64,
}

impl Times {
    pub(super) fn new(now: u64, ttl: u64) -> Self {
        Self { expires_at: now.saturating_add(ttl), ttl }
    }
}

/// An entry that is alive, and where it stands.
pub(super) struct Live<'s> {
    shard: &'s mut Shard,
    place: Place,
    hash: u64,
}

impl Live<'_> {
    /// Changes the entry.
    pub(super) fn update(self, value: &Value, version: u64, times: Times) {
        let Times { expires_at, ttl } = times;
        let entry = &mut self.shard.entries[self.place as usize];
        let listing = Listing::of(expires_at, self.place);
        if listing < entry.listing {
            self.shard.by_expiry.remove(&entry.listing);
            self.shard.by_expiry.insert(listing);
            entry.listing = listing;
        }
        entry.value = value.clone();
        (entry.version, entry.expires_at, entry.ttl) = (version, expires_at, ttl);
    }

    /// Changes when it expires.
    pub(super) fn touch(self, times: Times) {
        let (value, version) = (self.value.clone(), self.version);
        self.update(&value, version, times);
    }

    /// Drops the entry, and returns what it counted.
    pub(super) fn remove(self) -> usize {
        self.shard.remove(self.place, self.hash)
    }
}

impl std::ops::Deref for Live<'_> {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.shard.entries[self.place as usize]
    }
}
