//! What a commit carries from step to step, and how it builds what it writes. The steps stand in `protocol`.

use core::time::Duration;

use crate::{
    data::Data,
    edits::Edits,
    engine::Policy,
    id::{SessionId, StoreKey},
    lifetime::Lifetime,
    limits::MAX_REPLAYS,
    machine::admission::Standing,
    record::{EndCause, Ended, Entry, Moved, Nonce, Record},
    step::{CommitError, End},
    time::UnixTime,
    value::{Stored, Value, Version},
    wire::codec::DecodeError,
};

/// A live record as it was read or written.
pub(crate) struct Live {
    pub(crate) key: StoreKey,
    pub(crate) version: Version,
    pub(crate) value: Value,
    pub(crate) record: Box<Record>,
}

/// What stands under a key.
pub(crate) enum Sight {
    Absent,
    Ended(Ended),
    Moved(Moved, Version),
    Record(Live),
    Undecodable(Version, DecodeError),
}

impl Sight {
    pub(crate) fn of(policy: &Policy, key: &StoreKey, found: Option<Stored>) -> Self {
        let Some(Stored { value, version, .. }) = found else { return Self::Absent };
        if value.len() > policy.max_record {
            return Self::Undecodable(version, DecodeError::TooLarge);
        }
        match policy.codec.decode(key, &value) {
            Ok(Entry::Ended(ended)) => Self::Ended(ended),
            Ok(Entry::Moved(moved)) => Self::Moved(moved, version),
            Ok(Entry::Record(record)) => Self::Record(Live { key: key.clone(), version, value, record }),
            Err(error) => Self::Undecodable(version, error),
        }
    }
}

/// A record that is about to be written.
pub(crate) struct Draft {
    pub(crate) record: Box<Record>,
    pub(crate) value: Value,
    pub(crate) ttl: Duration,
}

/// A record under a new id, with the line that sets its ticket.
pub(crate) struct Fresh {
    pub(crate) key: StoreKey,
    pub(crate) line: String,
    pub(crate) draft: Draft,
}

/// A change on its way over one version of a record.
pub(crate) struct Attempt {
    pub(crate) key: StoreKey,
    pub(crate) version: Version,
    pub(crate) draft: Draft,
}

/// A renewal on its way: the record under its new id, and the old one that must point to it.
pub(crate) struct Renewal {
    pub(crate) fresh: Fresh,
    pub(crate) version: Option<Version>,
    pub(crate) old: StoreKey,
    pub(crate) old_version: Version,
    /// When the record under its new id was last asked to be written.
    pub(crate) written_at: UnixTime,
}

/// What a look is for.
pub(crate) enum Why {
    /// A change, with the try whose answer is missing.
    Change(Option<Attempt>),
    End,
    Swing(Renewal),
}

/// What follows after the record of a renewal that lost was removed.
pub(crate) enum Next {
    Follow(StoreKey),
    Lost(StoreKey),
}

/// Where an end strikes.
pub(crate) struct EndTarget {
    pub(crate) key: StoreKey,
    /// What was read there; without it, whatever is there.
    pub(crate) version: Option<Version>,
    pub(crate) loaded_at: UnixTime,
}

/// What a request asked for, and how far its commit is.
pub(crate) struct Job {
    pub(crate) edits: Edits,
    pub(crate) lifetime: Option<Lifetime>,
    /// There are edits or a lifetime to write.
    pub(crate) changed: bool,
    /// The renewal was not asked for, so that its failure is nobody's.
    pub(crate) auto: bool,
    /// What was written after a `destroy`: it makes a session once the old one ended.
    pub(crate) recreate: Option<Data>,

    pub(crate) nonce: Nonce,
    pub(crate) id: Option<SessionId>,
    pub(crate) now: UnixTime,
    pub(crate) loaded_at: UnixTime,
    /// How long the record was to live when it was loaded.
    pub(crate) expires_in: Duration,
    pub(crate) standing: Standing,

    /// When the write was asked for that the record is of, if one was: it needs no touch.
    pub(crate) written_at: Option<UnixTime>,
    /// When the last operation was asked for: what its answer tells may be as old.
    pub(crate) sent: UnixTime,
    pub(crate) replays: u32,
    pub(crate) operations: u32,
    pub(crate) hops: u32,
    /// A write may still land whose answer is missing: the commit counter of the record that it was made over (0 for
    /// an end and a pointer, which need none).
    pub(crate) unsettled: Option<u64>,
    pub(crate) end: Option<End>,
    /// Something before the last step failed.
    pub(crate) failure: Option<CommitError>,
}

impl Job {
    /// Makes the record of a new session.
    pub(crate) fn first_record(&self, policy: &Policy, data: Data) -> Box<Record> {
        let mut record = Box::new(Record::new(self.now, self.lifetime.unwrap_or(policy.lifetime)));
        record.lineage = self.nonce;
        record.data = data;
        record
    }

    /// Counts one more try over what others wrote.
    pub(crate) fn count_replay(&mut self) -> Result<(), CommitError> {
        self.replays += 1;
        if self.replays > MAX_REPLAYS { Err(CommitError::Contention) } else { Ok(()) }
    }

    /// Does the edits again over what others wrote.
    pub(crate) fn replay(&mut self, record: &mut Record) -> Result<(), CommitError> {
        self.count_replay()?;
        self.edits.replay(&mut record.data).map_err(CommitError::Replay)
    }

    /// Makes a record with its edits done ready to be written under a key.
    pub(crate) fn draft(&self, policy: &Policy, key: &StoreKey, mut record: Box<Record>) -> Result<Draft, CommitError> {
        record.commits = record.commits.saturating_add(1);
        record.nonces.push(self.nonce);
        record.schema = policy.schema;
        if let Some(lifetime) = self.lifetime {
            record.deadline = record.deadline.min(record.created.saturating_add(lifetime.absolute()));
            record.idle = lifetime.idle();
            record.persistent = lifetime.is_persistent();
        }
        self.written(policy, key, record)
    }

    /// Makes a record ready to be written under a key as it is.
    pub(crate) fn written(&self, policy: &Policy, key: &StoreKey, record: Box<Record>) -> Result<Draft, CommitError> {
        let ttl = policy.longest.ttl(&record, self.now);
        if ttl.is_zero() {
            return Err(CommitError::Lost);
        }
        let entry = Entry::Record(record);
        let value = policy.codec.encode(key, &entry).map_err(|_| CommitError::Encode)?;
        if value.len() > policy.max_record {
            return Err(CommitError::RecordTooLarge { size: value.len(), limit: policy.max_record });
        }
        let Entry::Record(record) = entry else { return Err(CommitError::Encode) };
        Ok(Draft { record, value: Value::from(value), ttl })
    }

    /// Makes a record ready to be written under the new id, with the line that sets its ticket.
    pub(crate) fn fresh(&self, policy: &Policy, mut record: Box<Record>) -> Result<Fresh, CommitError> {
        let id = self.id.as_ref().ok_or(CommitError::Entropy)?;
        let key = policy.keys.store_key(id);
        record.issued = self.now;
        let draft = self.draft(policy, &key, record)?;
        let rest = policy.longest.deadline(&draft.record).since(self.now);
        let mut token = String::new();
        policy.tokens.mint(id, &mut token);
        let max_age = draft.record.persistent.then_some(rest);
        let line = policy.cookie.set(&token, max_age).map_err(CommitError::Cookie)?;
        Ok(Fresh { key, line, draft })
    }

    /// Writes the pointer from an old key to a new one: open for the rest of the session's life.
    pub(crate) fn pointer(
        &self,
        policy: &Policy,
        from: &StoreKey,
        to: &Fresh,
    ) -> Result<(Value, Duration), CommitError> {
        let moved = Moved { to: to.key.clone(), closes_at: None, unknown: Default::default() };
        let rest = policy.longest.deadline(&to.draft.record).since(self.now);
        self.marker(policy, from, Entry::Moved(moved), rest)
    }

    /// Writes a pointer again, with the time at which it closes.
    pub(crate) fn closing(
        &self,
        policy: &Policy,
        from: &StoreKey,
        mut moved: Moved,
    ) -> Result<(Value, Duration), CommitError> {
        moved.closes_at = Some(self.now.saturating_add(policy.grace));
        self.marker(policy, from, Entry::Moved(moved), policy.grace)
    }

    /// Writes the tombstone of this commit.
    pub(crate) fn tombstone(&self, policy: &Policy, key: &StoreKey) -> Result<(Value, Duration), CommitError> {
        let ended = Ended { by: self.nonce, cause: EndCause::Destroy, at: self.now, next: None };
        self.marker(policy, key, Entry::Ended(ended), Duration::ZERO)
    }

    /// A marker outlives every request that was admitted before it.
    fn marker(
        &self,
        policy: &Policy,
        key: &StoreKey,
        entry: Entry,
        at_least: Duration,
    ) -> Result<(Value, Duration), CommitError> {
        let value = policy.codec.encode(key, &entry).map_err(|_| CommitError::Encode)?;
        Ok((Value::from(value), at_least.max(policy.max_request).saturating_add(policy.skew)))
    }
}
