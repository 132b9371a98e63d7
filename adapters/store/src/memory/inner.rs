//! What the handles of a store share, and its operations. None waits for anything but a short lock.

use std::{
    hash::BuildHasher,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cloakroom_core::{Members, StoreKey, Stored, Value, Version};
use cloakroom_runtime::{Runtime, Task};
use hashbrown::DefaultHashBuilder;

use super::{
    MemoryStore, indexes,
    listing::Listing,
    room::{Room, Short},
    shard::{Hashed, Shard, Times},
};
use crate::{
    error::{Fault, StoreError},
    sessions::since_epoch,
    store::{Created, Removed, Written},
};

pub(super) const SHARDS: usize = 16;

/// Locks are taken in the order shard, room; never two shards.
pub(super) struct Inner {
    pub(super) shards: [Mutex<Shard>; SHARDS],
    /// Entries are made under keys that the engine drew, and indexes stand in no hash table: nobody picks keys that collide.
    pub(super) hasher: DefaultHashBuilder,
    /// One for all keys, so that no version comes back after a removal.
    pub(super) last_version: AtomicU64,
    pub(super) room: Room,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) sweeper: OnceLock<Task>,
}

impl Inner {
    pub(super) fn load(&self, key: &StoreKey) -> Option<Stored> {
        let now = self.now();
        let (mut shard, key) = self.shard(key);
        shard.live(key, now, &self.room).map(|entry| entry.stored(now))
    }

    pub(super) fn create(&self, key: &StoreKey, value: &Value, ttl: Duration) -> Result<Created, StoreError> {
        let now = self.now();
        let cost = cost(key, value);
        self.with_room(now, || {
            let (mut shard, key) = self.shard(key);
            if shard.live(key, now, &self.room).is_some() {
                return Ok(Created::Exists);
            }
            self.room.reserve_entry(cost)?;
            let version = self.next_version();
            shard.insert(key, value, version, Times::new(now, nanos(ttl)), &self.hasher);
            Ok(Created::Done(Version::from_u64(version)))
        })
    }

    pub(super) fn replace(
        &self,
        key: &StoreKey,
        version: &Version,
        value: &Value,
        ttl: Duration,
    ) -> Result<Written, StoreError> {
        let now = self.now();
        let new_cost = cost(key, value);
        self.with_room(now, || {
            let (mut shard, hashed) = self.shard(key);
            let Some(entry) = shard.live(hashed, now, &self.room) else { return Ok(Written::Absent) };
            if version.as_u64() != Some(entry.version) {
                return Ok(Written::Conflict(Some(entry.stored(now))));
            }
            self.room.resize(cost(key, &entry.value), new_cost)?;
            let version = self.next_version();
            entry.update(value, version, Times::new(now, nanos(ttl)));
            Ok(Written::Done(Version::from_u64(version)))
        })
    }

    pub(super) fn touch(&self, key: &StoreKey, version: &Version, ttl: Duration) -> Written {
        let now = self.now();
        let (mut shard, key) = self.shard(key);
        let Some(entry) = shard.live(key, now, &self.room) else { return Written::Absent };
        if version.as_u64() != Some(entry.version) {
            return Written::Conflict(Some(entry.stored(now)));
        }
        entry.touch(Times::new(now, nanos(ttl)));
        Written::Done(version.clone())
    }

    pub(super) fn remove(&self, key: &StoreKey, version: &Version) -> Removed {
        let now = self.now();
        let (mut shard, key) = self.shard(key);
        let Some(entry) = shard.live(key, now, &self.room) else { return Removed::Absent };
        if version.as_u64() != Some(entry.version) {
            return Removed::Conflict(Some(entry.stored(now)));
        }
        self.room.release(entry.remove());
        Removed::Done
    }

    pub(super) fn enroll(&self, index: &StoreKey, member: &StoreKey, ttl: Duration) -> Result<(), StoreError> {
        let now = self.now();
        let expires_at = now.saturating_add(nanos(ttl));
        self.with_room(now, || {
            let (mut shard, _) = self.shard(index);
            if !shard.indexes.prolong(index, member, expires_at) {
                self.room.reserve_member(indexes::cost(index, member))?;
                shard.indexes.insert(index, member, expires_at);
            }
            Ok(())
        })
    }

    pub(super) fn unenroll(&self, index: &StoreKey, member: &StoreKey) {
        let (mut shard, _) = self.shard(index);
        self.room.release_members(shard.indexes.remove(index, member));
    }

    pub(super) fn list(&self, index: &StoreKey, limit: usize) -> Members {
        let (mut shard, _) = self.shard(index);
        let (members, expired) = shard.indexes.list(index, limit, self.now());
        self.room.release_members(expired);
        members
    }

    /// Tries a step, as often as it is short of room and something expired could be reclaimed. The step holds no lock
    /// when it returns.
    fn with_room<T>(&self, now: u64, step: impl Fn() -> Result<T, Short>) -> Result<T, StoreError> {
        loop {
            match step() {
                Ok(outcome) => return Ok(outcome),
                // There may be more than is reclaimed at once, and another may take it first.
                Err(short) if self.reclaim(now, &short) => {}
                Err(_) => {
                    self.room.count_refusal();
                    return Err(StoreError::failed(Fault::Full));
                }
            }
        }
    }

    /// Drops a batch of what has expired from each shard, until the shortage ends. Tells whether there was any.
    fn reclaim(&self, now: u64, short: &Short) -> bool {
        let mut found = false;
        for shard in &self.shards {
            let mut next = Some(Listing::default());
            while let Some(from) = next {
                let swept = lock(shard).expire(now, from, &self.room, &self.hasher);
                found |= swept.dropped > 0;
                // What was put off alone gives no room.
                next = swept.next.filter(|_| swept.dropped == 0);
            }
            if found && self.room.suffices(short) {
                break;
            }
        }
        found
    }

    fn shard<'k>(&self, key: &'k StoreKey) -> (MutexGuard<'_, Shard>, Hashed<'k>) {
        let hash = self.hasher.hash_one(key.as_bytes());
        // Not by the bits that the shard's table goes by, the lowest and the highest. The remainder is less than the number of
        // shards.
        let shard = (hash >> 40) % SHARDS as u64;
        (lock(&self.shards[shard as usize]), Hashed { key, hash })
    }

    fn next_version(&self) -> u64 {
        self.last_version.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn now(&self) -> u64 {
        nanos(since_epoch(self.runtime.coarse_now()))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(sweeper) = self.sweeper.take() {
            sweeper.cancel();
        }
    }
}

/// What an entry counts towards the bound of bytes.
fn cost(key: &StoreKey, value: &Value) -> usize {
    MemoryStore::ENTRY_OVERHEAD + key.as_bytes().len() + value.len()
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A panic under a lock can leave nothing half done that matters more than going on.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
