//! Sessions in this process's memory.

mod builder;
mod indexes;
mod listing;
mod room;
mod shard;
mod sweep;

use std::{
    fmt,
    hash::BuildHasher,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use cloakroom_core::{Members, StoreKey, Stored, Value, Version};
use cloakroom_runtime::{Runtime, Task};
use hashbrown::DefaultHashBuilder;

pub use self::{builder::MemoryStoreBuilder, room::MemoryMetrics};
use self::{
    listing::Listing,
    room::{Room, Short},
    shard::{Hashed, Shard, Times},
};
use crate::{
    directory::{Directory, DynDirectory},
    error::{Fault, StoreError},
    store::{Created, Removed, Store, Written},
};

/// A store in this process's memory, bounded by count and by bytes.
///
/// It ends with the process, and no other process sees it. Clones are handles of one store. No operation waits for
/// anything but short locks, and none fails except by being full; values are shared, never copied. A touch keeps the
/// version, so it disturbs no writer.
///
/// # When it is full
///
/// Nothing that is alive is ever evicted: that would sign people out, and dropping a tombstone could bring back a
/// session whose end was acknowledged. Room is made of what has expired, wherever it is; what will expire
/// within 268 ms is looked at for it, too. Where that is not enough:
///
/// * a `create` fails with [`Fault::Full`], so visitors without a session get none;
/// * a `replace` fails likewise if it makes the entry larger than the bytes allow. One that does not, such as the
///   tombstone of an ended session, always works;
/// * an `enroll` of a member that is not there fails with [`Fault::Full`];
/// * a `load`, a `touch`, a `remove`, an `unenroll` and a `list` always work.
///
/// Both bounds are exact, also under concurrency; [`MemoryStore::metrics`] tells how near they are.
///
/// # Expiry
///
/// An expired entry is absent for every operation, whether it was swept or not; what was seen to be expired never comes
/// back, even if the clock is set back. A task of the runtime sweeps at intervals, so that memory is given back, at a
/// cost that depends alone on how much has expired, was put off shortly before it would have, or will within 268 ms. It ends with the last handle. Time is the runtime's
/// [`coarse_now`](Runtime::coarse_now); a time to live beyond the year 2554 ends there.
///
/// # Indexes
///
/// It is a [`Directory`]. A member of an index counts towards the bound of bytes as an entry does, with its key and that
/// of the index, and there may be as many members as entries. An index without members is nowhere. A listing takes time
/// by how many members the index has, and holds up a sixteenth of the store for as long.
#[derive(Clone)]
pub struct MemoryStore(Arc<Inner>);

impl MemoryStore {
    /// Bytes that each entry counts beside its key and its value, and each member of an index beside the two keys: a round
    /// figure for what maps and allocations need.
    pub const ENTRY_OVERHEAD: usize = 256;

    /// Makes a store with the defaults of [`MemoryStoreBuilder`], swept by the runtime.
    pub fn new(runtime: impl Runtime) -> Self {
        Self::builder().build(runtime)
    }

    /// Starts to make a store with other bounds.
    pub fn builder() -> MemoryStoreBuilder {
        MemoryStoreBuilder::new()
    }

    /// Tells how large the store is, and what became of what it could not keep.
    pub fn metrics(&self) -> MemoryMetrics {
        self.0.room.metrics()
    }
}

impl Store for MemoryStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        let now = self.0.now();
        let (mut shard, key) = self.0.shard(key);
        Ok(shard.live(key, now, &self.0.room).map(|entry| entry.stored(now)))
    }

    async fn create(&self, key: &StoreKey, value: &Value, ttl: Duration) -> Result<Created, StoreError> {
        let now = self.0.now();
        let cost = cost(key, value);
        self.0.with_room(now, || {
            let (mut shard, key) = self.0.shard(key);
            if shard.live(key, now, &self.0.room).is_some() {
                return Ok(Created::Exists);
            }
            self.0.room.reserve_entry(cost)?;
            let version = self.0.next_version();
            shard.insert(key, value, version, Times::new(now, nanos(ttl)), &self.0.hasher);
            Ok(Created::Done(Version::from_u64(version)))
        })
    }

    async fn replace(
        &self,
        key: &StoreKey,
        version: &Version,
        value: &Value,
        ttl: Duration,
    ) -> Result<Written, StoreError> {
        let now = self.0.now();
        let new_cost = cost(key, value);
        self.0.with_room(now, || {
            let (mut shard, hashed) = self.0.shard(key);
            let Some(entry) = shard.live(hashed, now, &self.0.room) else { return Ok(Written::Absent) };
            if version.as_u64() != Some(entry.version) {
                return Ok(Written::Conflict(Some(entry.stored(now))));
            }
            self.0.room.resize(cost(key, &entry.value), new_cost)?;
            let version = self.0.next_version();
            entry.update(value, version, Times::new(now, nanos(ttl)));
            Ok(Written::Done(Version::from_u64(version)))
        })
    }

    async fn touch(
        &self,
        key: &StoreKey,
        version: &Version,
        _value: &Value,
        ttl: Duration,
    ) -> Result<Written, StoreError> {
        let now = self.0.now();
        let (mut shard, key) = self.0.shard(key);
        let Some(entry) = shard.live(key, now, &self.0.room) else { return Ok(Written::Absent) };
        if version.as_u64() != Some(entry.version) {
            return Ok(Written::Conflict(Some(entry.stored(now))));
        }
        entry.touch(Times::new(now, nanos(ttl)));
        Ok(Written::Done(version.clone()))
    }

    async fn remove(&self, key: &StoreKey, version: &Version) -> Result<Removed, StoreError> {
        let now = self.0.now();
        let (mut shard, key) = self.0.shard(key);
        let Some(entry) = shard.live(key, now, &self.0.room) else { return Ok(Removed::Absent) };
        if version.as_u64() != Some(entry.version) {
            return Ok(Removed::Conflict(Some(entry.stored(now))));
        }
        self.0.room.release(entry.remove());
        Ok(Removed::Done)
    }

    fn directory(&self) -> Option<&dyn DynDirectory> {
        Some(self)
    }
}

impl Directory for MemoryStore {
    async fn enroll(&self, index: &StoreKey, member: &StoreKey, ttl: Duration) -> Result<(), StoreError> {
        let now = self.0.now();
        let expires_at = now.saturating_add(nanos(ttl));
        self.0.with_room(now, || {
            let (mut shard, _) = self.0.shard(index);
            if !shard.indexes.prolong(index, member, expires_at) {
                self.0.room.reserve_member(indexes::cost(index, member))?;
                shard.indexes.insert(index, member, expires_at);
            }
            Ok(())
        })
    }

    async fn unenroll(&self, index: &StoreKey, member: &StoreKey) -> Result<(), StoreError> {
        let (mut shard, _) = self.0.shard(index);
        self.0.room.release_members(shard.indexes.remove(index, member));
        Ok(())
    }

    async fn list(&self, index: &StoreKey, limit: usize) -> Result<Members, StoreError> {
        let (mut shard, _) = self.0.shard(index);
        let (members, expired) = shard.indexes.list(index, limit, self.0.now());
        self.0.room.release_members(expired);
        Ok(members)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("metrics", &self.metrics()).finish_non_exhaustive()
    }
}

const SHARDS: usize = 16;

/// Locks are taken in the order shard, room; never two shards.
struct Inner {
    shards: [Mutex<Shard>; SHARDS],
    /// Entries are made under keys that the engine drew, and indexes stand in no hash table: nobody picks keys that collide.
    hasher: DefaultHashBuilder,
    /// One for all keys, so that no version comes back after a removal.
    last_version: AtomicU64,
    room: Room,
    runtime: Arc<dyn Runtime>,
    sweeper: OnceLock<Task>,
}

impl Inner {
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

    fn now(&self) -> u64 {
        nanos(self.runtime.coarse_now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
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
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
