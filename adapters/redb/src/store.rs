//! The store: a handle of the file.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use cloakroom_core::{Members, StoreKey, Stored, Value, Version};
use cloakroom_runtime::{Runtime, Task, run_blocking};
use cloakroom_store::{Created, Directory, DynDirectory, Fault, Removed, Store, StoreError, Written};

use crate::{
    config::RedbConfig,
    error::OpenError,
    file::DataFile,
    lane::Lane,
    list::List,
    load::Load,
    metrics::{Counters, RedbMetrics},
    open::{Opened, Opener},
    sweep::{step, sweep},
    walk::RedbWalk,
    write::{Answer, SWEEP, Write, WriteOp},
};

/// A store in a file.
///
/// Clones are handles of one store. Every operation is one atomic step, also under concurrency; a write is answered
/// when it is on the disk. A touch keeps the version, so it disturbs no writer.
///
/// # When something fails
///
/// * A disk that is full is [`Fault::Full`], other errors of it are [`Fault::Unavailable`]; a write that had got as far
///   as its commit may have happened. The store goes on by itself: it opens the file anew, which loads wait for, and
///   refuses writes for 100 ms to 2 s, or for ten times as long as the opening took but 5 s at most after it, before it
///   tries one again; so loads go on while the disk is full.
/// * An operation that is dropped before it began does not happen; one that has begun does, and disturbs no other.
///
/// # Expiry
///
/// An expired entry is absent for every operation, whether it was swept or not; what was seen to be expired never comes
/// back, even if the clock is set back. A task of the runtime sweeps at intervals, so that the file has room again, at a
/// cost that depends on how much has expired alone. It ends with the last handle.
///
/// A member of an index is listed no more when its time is over, and swept as entries are.
///
/// Time is the runtime's [`now`](Runtime::now), in milliseconds. It goes on at the clock's pace when the clock is set
/// back.
///
/// # The end
///
/// The file is closed when the last handle is dropped and what was under way has ended. That takes a transaction, on
/// whatever thread it happens; [`close`](Self::close) waits for it where it holds up nobody.
#[derive(Clone)]
pub struct RedbStore(Arc<Inner>);

impl RedbStore {
    /// The most bytes that a value may have.
    pub const MAX_VALUE: usize = 64 * 1024 * 1024;

    /// Opens a store, or makes one, with the defaults of [`RedbConfig`].
    ///
    /// # Errors
    ///
    /// See [`RedbConfig::open`].
    pub async fn open(path: impl Into<PathBuf>, runtime: impl Runtime) -> Result<Self, OpenError> {
        RedbConfig::new(path).open(runtime).await
    }

    pub(crate) fn new(opener: Opener, opened: Opened, runtime: Arc<dyn Runtime>, sweep_every: Duration) -> Self {
        let counters = Counters::default();
        let inner = Arc::new(Inner {
            file: DataFile::new(opener, opened, &counters),
            writes: Lane::new(1),
            loads: Lane::new(Load::WORKERS),
            lists: Lane::new(List::WORKERS),
            counters,
            runtime: Arc::clone(&runtime),
            sweeper: OnceLock::new(),
        });
        let sweeping = sweep(Arc::downgrade(&inner), Arc::clone(&runtime), sweep_every);
        inner.sweeper.get_or_init(|| runtime.spawn(Box::pin(sweeping)));
        Self(inner)
    }

    /// Drops all that has expired, and returns how many entries and members of indexes that were.
    ///
    /// # Errors
    ///
    /// As a write.
    pub async fn sweep_now(&self) -> Result<u64, StoreError> {
        let mut all = 0;
        loop {
            let count = step(&self.0).await?;
            all += count;
            if count < SWEEP {
                return Ok(all);
            }
        }
    }

    /// Starts to walk over the keys of entries that begin with `prefix`.
    pub fn walk_entries(&self, prefix: &str) -> RedbWalk {
        RedbWalk::entries(Arc::clone(&self.0), prefix)
    }

    /// Starts to walk over the keys of indexes that begin with `prefix`.
    pub fn walk_indexes(&self, prefix: &str) -> RedbWalk {
        RedbWalk::indexes(Arc::clone(&self.0), prefix)
    }

    /// Closes the file for all handles, after what is under way. Operations that come later or still wait fail with
    /// [`Fault::Unavailable`]. When this returns, the file can be opened again.
    pub async fn close(&self) {
        let inner = Arc::clone(&self.0);
        // A runtime that shuts down drops the store as well.
        let _ = run_blocking(&*self.0.runtime, move || inner.file.close()).await;
    }

    /// Tells how large the store is, and what it has done. It asks the file nothing.
    pub fn metrics(&self) -> RedbMetrics {
        self.0.counters.metrics()
    }

    async fn write(&self, op: WriteOp) -> Result<Answer, StoreError> {
        Write::submit(&self.0, op).await
    }
}

impl Store for RedbStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        Load::submit(&self.0, key).await
    }

    async fn create(&self, key: &StoreKey, value: &Value, ttl: Duration) -> Result<Created, StoreError> {
        check_size(value)?;
        match self.write(WriteOp::Create { key: key.clone(), value: value.clone(), ttl }).await? {
            Answer::Conflict(_) => Ok(Created::Exists),
            Answer::Done(version) => Ok(Created::Done(version)),
            Answer::Absent | Answer::Indexed | Answer::Swept(_) => Err(StoreError::unknown(Fault::Internal)),
        }
    }

    async fn replace(
        &self,
        key: &StoreKey,
        version: &Version,
        value: &Value,
        ttl: Duration,
    ) -> Result<Written, StoreError> {
        check_size(value)?;
        let (key, version, value) = (key.clone(), version.clone(), value.clone());
        written(self.write(WriteOp::Replace { key, version, value, ttl }).await?)
    }

    async fn touch(
        &self,
        key: &StoreKey,
        version: &Version,
        _value: &Value,
        ttl: Duration,
    ) -> Result<Written, StoreError> {
        written(self.write(WriteOp::Touch { key: key.clone(), version: version.clone(), ttl }).await?)
    }

    async fn remove(&self, key: &StoreKey, version: &Version) -> Result<Removed, StoreError> {
        match self.write(WriteOp::Remove { key: key.clone(), version: version.clone() }).await? {
            Answer::Absent => Ok(Removed::Absent),
            Answer::Conflict(stored) => Ok(Removed::Conflict(Some(stored))),
            Answer::Done(_) => Ok(Removed::Done),
            Answer::Indexed | Answer::Swept(_) => Err(StoreError::unknown(Fault::Internal)),
        }
    }

    fn directory(&self) -> Option<&dyn DynDirectory> {
        Some(self)
    }
}

impl Directory for RedbStore {
    async fn enroll(&self, index: &StoreKey, member: &StoreKey, ttl: Duration) -> Result<(), StoreError> {
        indexed(self.write(WriteOp::Enroll { index: index.clone(), member: member.clone(), ttl }).await?)
    }

    async fn unenroll(&self, index: &StoreKey, member: &StoreKey) -> Result<(), StoreError> {
        indexed(self.write(WriteOp::Unenroll { index: index.clone(), member: member.clone() }).await?)
    }

    async fn list(&self, index: &StoreKey, limit: usize) -> Result<Members, StoreError> {
        List::submit(&self.0, index, limit).await
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore").field("metrics", &self.metrics()).finish_non_exhaustive()
    }
}

pub(crate) struct Inner {
    pub(crate) file: DataFile,
    /// One at a time writes.
    pub(crate) writes: Lane<Write>,
    pub(crate) loads: Lane<Load>,
    pub(crate) lists: Lane<List>,
    pub(crate) counters: Counters,
    pub(crate) runtime: Arc<dyn Runtime>,
    sweeper: OnceLock<Task>,
}

impl Inner {
    pub(crate) fn now(&self) -> u64 {
        self.file.now(&*self.runtime)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(sweeper) = self.sweeper.take() {
            sweeper.cancel();
        }
    }
}

fn written(answer: Answer) -> Result<Written, StoreError> {
    match answer {
        Answer::Absent => Ok(Written::Absent),
        Answer::Conflict(stored) => Ok(Written::Conflict(Some(stored))),
        Answer::Done(version) => Ok(Written::Done(version)),
        Answer::Indexed | Answer::Swept(_) => Err(StoreError::unknown(Fault::Internal)),
    }
}

fn indexed(answer: Answer) -> Result<(), StoreError> {
    match answer {
        Answer::Indexed => Ok(()),
        Answer::Absent | Answer::Conflict(_) | Answer::Done(_) | Answer::Swept(_) => {
            Err(StoreError::unknown(Fault::Internal))
        }
    }
}

fn check_size(value: &Value) -> Result<(), StoreError> {
    if value.len() > RedbStore::MAX_VALUE {
        return Err(StoreError::failed(Fault::Refused).with_source("the value is larger than 64 MiB"));
    }
    Ok(())
}

/// A panic under a lock can leave nothing half done that matters more than going on.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
