//! What a commit carries from step to step, and how it builds what it writes. The steps stand in `protocol`.

use core::time::Duration;

use crate::{
    binding::Bound,
    data::Data,
    edits::Edits,
    engine::Policy,
    id::{SessionId, StoreKey},
    lifetime::Lifetime,
    limits::MAX_REPLAYS,
    login::{Carry, Excess},
    machine::admission::Standing,
    principal::SignIn,
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

/// Why a session gets a new id.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Reason {
    /// The user proved again who they are: the old key gets a tombstone that leads an end to the new one.
    Elevation,
    /// Somebody signs in: the old key gets a tombstone that leads nowhere.
    Login,
    /// The same authority under another id: the old key points to the new one.
    Renewal,
}

/// A change of the id on its way: the record under its new id, and what is to become of the old one.
pub(crate) struct Exchange {
    pub(crate) reason: Reason,
    pub(crate) fresh: Fresh,
    pub(crate) version: Option<Version>,
    /// Where the session stands that gives way; a login may find none.
    pub(crate) old: Option<Old>,
    /// When the record under its new id was last asked to be written.
    pub(crate) written_at: UnixTime,
}

impl Exchange {
    pub(crate) fn old_key(&self) -> Option<StoreKey> {
        self.old.as_ref().map(|old| old.key.clone())
    }
}

/// The session that an exchange replaces.
pub(crate) struct Old {
    pub(crate) key: StoreKey,
    /// What was read there; without it, whatever is there.
    pub(crate) version: Option<Version>,
}

/// What a look is for.
pub(crate) enum Why {
    /// A change, with the try whose answer is missing.
    Change(Option<Attempt>),
    End,
    Swing(Box<Exchange>),
}

/// What follows after something that nothing depends on.
pub(crate) enum Next {
    Again(StoreKey),
    Ended(End),
    Failed(CommitError, Option<StoreKey>),
    Follow(StoreKey),
    Lost(StoreKey),
    Settled(Live, UnixTime),
}

/// Where an end strikes.
#[derive(Clone)]
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
    pub(crate) recreate: Option<Box<Data>>,
    /// Who signs in.
    pub(crate) entry: Option<Box<LoginJob>>,
    /// What a new session is bound to.
    pub(crate) binding: Option<Bound>,
    /// The lineage that a new session was promised.
    pub(crate) lineage: Option<Nonce>,
    /// The index in which the session stands that was loaded.
    pub(crate) index: Option<StoreKey>,

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
    /// Where the live session stood that the request was admitted to.
    pub(crate) admitted: Option<StoreKey>,
    pub(crate) end: Option<End>,
    /// Something before the last step failed.
    pub(crate) failure: Option<Box<CommitError>>,
}

/// What a login asks for.
pub(crate) struct LoginJob {
    pub(crate) sign_in: SignIn,
    /// What it takes over from the session before it.
    pub(crate) carry: Carry,
    /// How many sessions the user may have.
    pub(crate) limit: Option<(usize, Excess)>,
    /// The lineage of the session that it replaces.
    pub(crate) replaced: Option<Nonce>,
}

impl Job {
    /// What has nothing to do but what is set beside.
    pub(crate) fn new(nonce: Nonce, now: UnixTime, loaded_at: UnixTime) -> Self {
        Self {
            edits: Edits::default(),
            lifetime: None,
            changed: false,
            auto: false,
            recreate: None,
            entry: None,
            binding: None,
            lineage: None,
            index: None,
            nonce,
            id: None,
            now,
            loaded_at,
            expires_in: Duration::ZERO,
            standing: Standing::default(),
            written_at: None,
            sent: now,
            replays: 0,
            operations: 0,
            hops: 0,
            unsettled: None,
            admitted: None,
            end: None,
            failure: None,
        }
    }

    /// Makes the record of a new session.
    pub(crate) fn first_record(&self, policy: &Policy, data: Data) -> Box<Record> {
        let mut record = Box::new(Record::new(self.now, self.lifetime.unwrap_or(policy.lifetime)));
        record.lineage = self.lineage.unwrap_or(self.nonce);
        record.binding = self.binding;
        record.sign_in = self.entry.as_ref().map(|login| login.sign_in.clone());
        record.data = data;
        record
    }

    /// How many sessions the user may have who signs in, where that has a limit.
    pub(crate) fn limit(&self) -> Option<(usize, Excess)> {
        self.entry.as_ref()?.limit
    }

    /// Tells whether a login takes nothing over from the session before it.
    pub(crate) fn carries_nothing(&self) -> bool {
        self.entry.as_ref().is_none_or(|login| login.carry.keys.is_empty())
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

    /// Makes what stands under the new id of what was read under the old one, all edits done again.
    pub(crate) fn successor(
        &mut self,
        policy: &Policy,
        reason: Reason,
        live: Live,
    ) -> Result<Box<Record>, CommitError> {
        let Live { key, mut record, .. } = live;
        if reason == Reason::Login {
            self.count_replay()?;
            let mut data = Data::new();
            if let Some(LoginJob { carry, .. }) = self.entry.as_deref_mut() {
                carry.edits.replay(&mut record.data).map_err(CommitError::Replay)?;
                data = carry.pick(&record.data);
            }
            self.edits.replay(&mut data).map_err(CommitError::Replay)?;
            return Ok(self.first_record(policy, data));
        }
        self.replay(&mut record)?;
        self.inherit(policy, reason, key, &mut record);
        Ok(record)
    }

    /// Makes a record that of the session's new id, whose old one is this key.
    pub(crate) fn inherit(&self, policy: &Policy, reason: Reason, old: StoreKey, record: &mut Record) {
        // What the first presentation must close, and what shows that this came to something; without markers there is nothing.
        record.predecessor = policy.has_pointers().then_some(old);
        // It came from the client that it is bound to: the same under the primary key.
        record.binding = record.binding.and(self.binding).or(record.binding);
        if let (Reason::Elevation, Some(sign_in)) = (reason, &mut record.sign_in) {
            sign_in.authenticated = self.now;
            record.binding = self.binding.or(record.binding);
            let absolute = record.deadline.since(record.created);
            record.created = self.now;
            record.deadline = self.now.saturating_add(absolute);
        }
    }

    /// Makes a record with its edits done ready to be written under a key.
    pub(crate) fn draft(&self, policy: &Policy, key: &StoreKey, mut record: Box<Record>) -> Result<Draft, CommitError> {
        record.commits = record.commits.saturating_add(1);
        // In a cookie nothing is settled by looking.
        if policy.holder.is_none() {
            record.nonces.push(self.nonce);
        }
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
        if let Some(holder) = &policy.holder {
            holder.check(value.len(), &record.data)?;
        }
        Ok(Draft { record, value: Value::from(value), ttl })
    }

    /// Makes a record ready to be written under the new id, with the line that sets its ticket.
    pub(crate) fn fresh(&self, policy: &Policy, mut record: Box<Record>) -> Result<Fresh, CommitError> {
        let id = self.id.as_ref().ok_or(CommitError::Entropy)?;
        let key = policy.keys.store_key(id);
        record.issued = self.now;
        let draft = self.draft(policy, &key, record)?;
        let rest = policy.longest.deadline(&draft.record).since(self.now);
        let line = match policy.holder {
            // It is written with what it holds, at the end.
            Some(_) => String::new(),
            None => {
                let mut token = String::new();
                policy.tokens.mint(id, &mut token);
                let max_age = draft.record.persistent.then_some(rest);
                policy.cookie.set(&token, max_age).map_err(CommitError::Cookie)?
            }
        };
        Ok(Fresh { key, line, draft })
    }

    /// Writes the pointer from an old key to a new one: open for the rest of the session's life.
    fn pointer(&self, policy: &Policy, from: &StoreKey, to: &Fresh) -> Result<(Value, Duration), CommitError> {
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
        self.ended(policy, key, EndCause::Destroy, None)
    }

    /// Writes what an exchange leaves under the old key.
    pub(crate) fn trace(
        &self,
        policy: &Policy,
        old: &StoreKey,
        exchange: &Exchange,
    ) -> Result<(Value, Duration), CommitError> {
        match exchange.reason {
            Reason::Elevation => self.ended(policy, old, EndCause::Elevation, Some(exchange.fresh.key.clone())),
            Reason::Login => self.ended(policy, old, EndCause::Login, None),
            Reason::Renewal => self.pointer(policy, old, &exchange.fresh),
        }
    }

    fn ended(
        &self,
        policy: &Policy,
        key: &StoreKey,
        cause: EndCause,
        next: Option<StoreKey>,
    ) -> Result<(Value, Duration), CommitError> {
        let ended = Ended { by: self.nonce, cause, at: self.now, next };
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
