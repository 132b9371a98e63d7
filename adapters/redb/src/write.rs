//! Writes: all that wait go into one transaction, each an atomic step of its own.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use cloakroom_core::{StoreKey, Stored, Value, Version};
use cloakroom_store::{Fault, StoreError};
use futures_channel::oneshot;
use redb::Database;

use crate::{
    clock::millis_up,
    error::Trouble,
    file::Stage,
    lane::{Lane, Work},
    store::Inner,
    table::{Head, Tables},
};

/// A write that waits.
pub(crate) struct Write {
    op: WriteOp,
    reply: oneshot::Sender<Result<Answer, StoreError>>,
}

pub(crate) enum WriteOp {
    Create {
        key: StoreKey,
        value: Value,
        ttl: Duration,
    },
    /// A member of an index is to stay for so long at least.
    Enroll {
        index: StoreKey,
        member: StoreKey,
        ttl: Duration,
    },
    /// A load that found something expired: it is dropped, so that it stays absent.
    Expire {
        key: StoreKey,
    },
    Remove {
        key: StoreKey,
        version: Version,
    },
    Replace {
        key: StoreKey,
        version: Version,
        value: Value,
        ttl: Duration,
    },
    /// Drops at most [`SWEEP`] entries and members that have expired.
    Sweep,
    Touch {
        key: StoreKey,
        version: Version,
        ttl: Duration,
    },
    Unenroll {
        index: StoreKey,
        member: StoreKey,
    },
}

/// What became of a write.
pub(crate) enum Answer {
    Absent,
    /// It changed nothing: this is there.
    Conflict(Stored),
    Done(Version),
    /// A member of an index is there, or not, as was asked.
    Indexed,
    Swept(u64),
}

type Answers = Vec<Result<Answer, StoreError>>;

/// How many expired entries and members go in one step.
pub(crate) const SWEEP: u64 = 256;

impl Write {
    /// Has it done, and waits for what becomes of it, without holding the store.
    pub(crate) fn submit(
        inner: &Arc<Inner>,
        op: WriteOp,
    ) -> impl Future<Output = Result<Answer, StoreError>> + Send + use<> {
        let (reply, answer) = oneshot::channel();
        Lane::submit(inner, Self { op, reply });
        async {
            // Without an answer it was being done when something panicked.
            answer.await.unwrap_or_else(|_| Err(StoreError::unknown(Fault::Internal)))
        }
    }
}

impl Work for Write {
    const BATCH: usize = 512;
    const BATCH_WEIGHT: usize = 16 * 1024 * 1024;

    fn lane(inner: &Inner) -> &Lane<Self> {
        &inner.writes
    }

    fn weight(&self) -> usize {
        match &self.op {
            WriteOp::Create { value, .. } | WriteOp::Replace { value, .. } => value.len(),
            _ => 0,
        }
    }

    fn run(inner: &Inner, mut batch: Vec<Self>) {
        // Nobody waits for these any more, and nothing of them has happened.
        batch.retain(|write| !write.is_abandoned());
        if batch.is_empty() {
            return;
        }
        match inner.file.write(&*inner.runtime, &inner.counters, |database| commit(inner, database, &batch)) {
            Ok(answers) => {
                for (write, answer) in batch.into_iter().zip(answers) {
                    let _ = write.reply.send(answer);
                }
            }
            Err((stage, trouble)) => {
                let error = match stage {
                    Stage::Committing => trouble.unknown(),
                    Stage::Preparing => trouble.failed(),
                };
                for write in batch {
                    let _ = write.reply.send(Err(error.clone()));
                }
            }
        }
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_canceled()
    }

    fn refuse(self, why: &'static str) {
        let error = StoreError::failed(Fault::Unavailable).with_source(why);
        let _ = self.reply.send(Err(error));
    }
}

/// Does a batch in one transaction. What changes nothing is not committed.
fn commit(inner: &Inner, database: &Database, batch: &[Write]) -> Result<Answers, (Stage, Trouble)> {
    let preparing = |trouble| (Stage::Preparing, trouble);
    let transaction = database.begin_write().map_err(|error| preparing(error.into()))?;
    let mut done = Batch { inner, tables: Tables::open(&transaction).map_err(preparing)?, writes: 0, drops: 0 };
    let mut answers = Vec::with_capacity(batch.len());
    for write in batch {
        match done.apply(&write.op) {
            // Seen before anything was changed; it concerns who wants it alone.
            Err(trouble @ Trouble::Malformed) => answers.push(Err(trouble.failed())),
            answer => answers.push(Ok(answer.map_err(preparing)?)),
        }
    }
    let entries = done.tables.len().map_err(preparing)?;
    let members = done.tables.members.len().map_err(preparing)?;
    let (writes, drops, expired) = (done.writes, done.drops, done.tables.expired);
    drop(done);
    if writes + drops + expired == 0 {
        transaction.abort().map_err(|error| preparing(error.into()))?;
        return Ok(answers);
    }
    inner.file.state().write(&transaction).map_err(preparing)?;
    transaction.commit().map_err(|error| (Stage::Committing, error.into()))?;
    inner.file.has_committed();

    let counters = &inner.counters;
    counters.entries.store(entries, Ordering::Relaxed);
    counters.members.store(members, Ordering::Relaxed);
    counters.file_bytes.store(inner.file.file_bytes(), Ordering::Relaxed);
    counters.commits.fetch_add(1, Ordering::Relaxed);
    counters.writes.fetch_add(writes, Ordering::Relaxed);
    counters.expired.fetch_add(expired, Ordering::Relaxed);
    Ok(answers)
}

struct Batch<'t> {
    inner: &'t Inner,
    tables: Tables<'t>,
    /// Operations that changed something.
    writes: u64,
    /// Rows of the expiries that were dropped.
    drops: u64,
}

impl Batch<'_> {
    fn apply(&mut self, op: &WriteOp) -> Result<Answer, Trouble> {
        let now = self.inner.now();
        match op {
            WriteOp::Create { key, value, ttl } => match self.tables.live(key, now)? {
                Some(_) => self.conflict(key, now),
                None => self.put(key, None, value, now, *ttl),
            },
            WriteOp::Enroll { index, member, ttl } => {
                let has_changed = self.tables.members.enroll(index, member, expiry(now, *ttl))?;
                self.writes += u64::from(has_changed);
                Ok(Answer::Indexed)
            }
            WriteOp::Expire { key } => match self.tables.live(key, now)? {
                // It was prolonged in the meantime.
                Some(_) => self.conflict(key, now),
                None => Ok(Answer::Absent),
            },
            WriteOp::Remove { key, version } => self.compare(key, version, now, |batch, head| {
                batch.tables.remove(key, head)?;
                batch.writes += 1;
                Ok(Answer::Done(version.clone()))
            }),
            WriteOp::Replace { key, version, value, ttl } => {
                self.compare(key, version, now, |batch, head| batch.put(key, Some(head), value, now, *ttl))
            }
            WriteOp::Sweep => {
                let swept = self.tables.sweep(now, SWEEP)?;
                self.drops += swept;
                Ok(Answer::Swept(swept))
            }
            WriteOp::Touch { key, version, ttl } => self.compare(key, version, now, |batch, head| {
                batch.tables.prolong(key, head, Head::new(expiry(now, *ttl), head.version()))?;
                batch.writes += 1;
                Ok(Answer::Done(version.clone()))
            }),
            WriteOp::Unenroll { index, member } => {
                let was_there = self.tables.members.unenroll(index, member)?;
                self.writes += u64::from(was_there);
                Ok(Answer::Indexed)
            }
        }
    }

    /// Goes on if what is there has the version.
    fn compare(
        &mut self,
        key: &StoreKey,
        version: &Version,
        now: u64,
        same: impl FnOnce(&mut Self, Head) -> Result<Answer, Trouble>,
    ) -> Result<Answer, Trouble> {
        match self.tables.live(key, now)? {
            None => Ok(Answer::Absent),
            Some(head) if version.as_u64() == Some(head.version()) => same(self, head),
            Some(_) => self.conflict(key, now),
        }
    }

    fn conflict(&self, key: &StoreKey, now: u64) -> Result<Answer, Trouble> {
        Ok(self.tables.stored(key, now)?.map_or(Answer::Absent, Answer::Conflict))
    }

    fn put(
        &mut self,
        key: &StoreKey,
        old: Option<Head>,
        value: &Value,
        now: u64,
        ttl: Duration,
    ) -> Result<Answer, Trouble> {
        // A version that is given out is never given out again, whatever becomes of the transaction.
        let next = |last: u64| last.checked_add(1);
        let last = self.inner.file.last_version.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let version = last.ok().and_then(next).ok_or(Trouble::Malformed)?;
        self.tables.put(key, old, Head::new(expiry(now, ttl), version), value.as_bytes())?;
        self.writes += 1;
        Ok(Answer::Done(Version::from_u64(version)))
    }
}

fn expiry(now: u64, ttl: Duration) -> u64 {
    now.saturating_add(millis_up(ttl))
}
