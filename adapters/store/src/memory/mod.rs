//! Sessions in this process's memory.

mod builder;
mod indexes;
mod inner;
mod listing;
mod room;
mod shard;
mod sweep;

use std::{fmt, sync::Arc, time::Duration};

use cloakroom_core::{Members, Op, Outcome, StoreKey, Stored, Value, Version, limits};
use cloakroom_runtime::Runtime;

use self::inner::{Inner, SHARDS, lock};
pub use self::{builder::MemoryStoreBuilder, room::MemoryMetrics};
use crate::{
    directory::{Directory, DynDirectory},
    error::StoreError,
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
/// * a `create` fails with [`Fault::Full`](crate::Fault::Full), so visitors without a session get none;
/// * a `replace` fails likewise if it makes the entry larger than the bytes allow. One that does not, such as the
///   tombstone of an ended session, always works;
/// * an `enroll` of a member that is not there fails with [`Fault::Full`](crate::Fault::Full);
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
        Ok(self.0.load(key))
    }

    async fn create(&self, key: &StoreKey, value: &Value, ttl: Duration) -> Result<Created, StoreError> {
        self.0.create(key, value, ttl)
    }

    async fn replace(
        &self,
        key: &StoreKey,
        version: &Version,
        value: &Value,
        ttl: Duration,
    ) -> Result<Written, StoreError> {
        self.0.replace(key, version, value, ttl)
    }

    async fn touch(
        &self,
        key: &StoreKey,
        version: &Version,
        _value: &Value,
        ttl: Duration,
    ) -> Result<Written, StoreError> {
        Ok(self.0.touch(key, version, ttl))
    }

    async fn remove(&self, key: &StoreKey, version: &Version) -> Result<Removed, StoreError> {
        Ok(self.0.remove(key, version))
    }

    fn directory(&self) -> Option<&dyn DynDirectory> {
        Some(self)
    }

    fn at_once(&self, op: &Op) -> Option<Result<Outcome, StoreError>> {
        Some(match op {
            Op::Create { key, value, ttl } => self.0.create(key, value, *ttl).map(Outcome::from),
            Op::Enroll { index, member, ttl } => self.0.enroll(index, member, *ttl).map(|()| Outcome::Indexed),
            Op::List { index } => Ok(Outcome::Listed(self.0.list(index, limits::MAX_LISTED))),
            Op::Load { key } => Ok(self.0.load(key).map_or(Outcome::Absent, Outcome::Found)),
            Op::Remove { key, version } => Ok(self.0.remove(key, version).into()),
            Op::Replace { key, version, value, ttl } => self.0.replace(key, version, value, *ttl).map(Outcome::from),
            Op::Touch { key, version, ttl, .. } => Ok(self.0.touch(key, version, *ttl).into()),
            Op::Unenroll { index, member } => {
                self.0.unenroll(index, member);
                Ok(Outcome::Indexed)
            }
        })
    }
}

impl Directory for MemoryStore {
    async fn enroll(&self, index: &StoreKey, member: &StoreKey, ttl: Duration) -> Result<(), StoreError> {
        self.0.enroll(index, member, ttl)
    }

    async fn unenroll(&self, index: &StoreKey, member: &StoreKey) -> Result<(), StoreError> {
        self.0.unenroll(index, member);
        Ok(())
    }

    async fn list(&self, index: &StoreKey, limit: usize) -> Result<Members, StoreError> {
        Ok(self.0.list(index, limit))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("metrics", &self.metrics()).finish_non_exhaustive()
    }
}
