//! The request's jar: what its cookies hold, what a commit puts there, and what is still to be asked of the store.

use core::time::Duration;

use crate::{
    data::Data,
    engine::Policy,
    id::{SessionId, StoreKey},
    keyring::KeyId,
    op::Outcome,
    record::{Ended, Entry, Nonce},
    session::Ticket,
    step::CommitError,
    time::UnixTime,
    value::{Stored, Value, Version},
    verdict::CookieLine,
    wire::token::Refusal,
};

use super::{
    Holder,
    pieces::Pieces,
    sealing::{Inside, Sealing},
};

/// A session that a cookie holds, or will.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) key: StoreKey,
    pub(super) inside: Inside,
    /// The key under which the store has what was ended of its lineage.
    lineage: StoreKey,
    version: u64,
    /// It is not in this request's cookies: what a tombstone led to stands for it, for an end alone.
    is_elsewhere: bool,
}

impl Held {
    fn new(policy: &Policy, key: StoreKey, inside: Inside) -> Self {
        let lineage = key_of(policy, inside.lineage);
        Self { key, inside, lineage, version: 0, is_elsewhere: false }
    }
}

/// What a request has of sessions that are held in cookies.
#[derive(Default)]
pub(crate) struct Jar {
    held: Vec<Held>,
    /// The pieces that the client has, a bit each.
    present: u16,
    /// Made, and told to nobody yet.
    unpublished: Option<StoreKey>,
    /// What the client is to be sent.
    written: Option<StoreKey>,
    /// A user's session that was found, while the last end of all of the user's is looked for.
    pending: Option<Pending>,
    /// How often a tombstone met another.
    pub(super) tries: u32,
}

struct Pending {
    user: StoreKey,
    key: StoreKey,
    stored: Stored,
    asked_at: UnixTime,
}

/// What an answer of the store brings an admission to.
pub(crate) enum Asked {
    Another,
    /// What was found under the session's key, and when it was asked for.
    Found(Option<Stored>, UnixTime),
}

impl Holder {
    pub(crate) fn is_well_formed(value: &[u8]) -> bool {
        Sealing::is_well_formed(value)
    }

    /// Opens a cookie value, with the pieces beside it.
    fn open(&self, value: &[u8], pieces: &Pieces) -> Result<(Inside, KeyId, bool), Refusal> {
        if value.starts_with(b"~") {
            let text = pieces.join(value).ok_or(Refusal::Malformed)?;
            return self.sealing.open(&text);
        }
        self.sealing.open(value)
    }

    /// Tells which key sealed a cookie value that is whole.
    pub(crate) fn inspect(&self, value: &[u8]) -> Result<KeyId, Refusal> {
        self.open(value, &Pieces::default()).map(|(_, key, _)| key)
    }
}

impl Jar {
    pub(crate) fn new(pieces: &Pieces) -> Self {
        Self { present: pieces.present(), ..Self::default() }
    }

    /// Keeps what a cookie value holds; of two states of one session, the later one.
    pub(crate) fn keep(
        &mut self,
        policy: &Policy,
        holder: &Holder,
        value: &[u8],
        pieces: &Pieces,
    ) -> Result<Ticket, Refusal> {
        let (inside, _, outdated) = holder.open(value, pieces)?;
        let key = policy.keys.store_key(&inside.id);
        match self.find(&key) {
            Some(index) if age(policy, &key, &self.held[index].inside) >= age(policy, &key, &inside) => {}
            Some(index) => self.held[index].inside = inside,
            None => self.held.push(Held::new(policy, key.clone(), inside)),
        }
        Ok(Ticket { key, outdated })
    }

    fn find(&self, key: &StoreKey) -> Option<usize> {
        self.held.iter().position(|held| held.key == *key)
    }

    /// The key under which the store has what was ended of a session.
    pub(super) fn lineage_key(&self, key: &StoreKey) -> Option<&StoreKey> {
        self.find(key).map(|index| &self.held[index].lineage)
    }

    /// What the store is asked for in place of a session's key, while a request is admitted.
    pub(crate) fn asks<'j>(&'j self, key: &'j StoreKey) -> &'j StoreKey {
        match &self.pending {
            Some(pending) => &pending.user,
            None => self.lineage_key(key).unwrap_or(key),
        }
    }

    /// Takes what the store has, while a request is admitted.
    pub(crate) fn arrive(&mut self, policy: &Policy, key: &StoreKey, found: Option<Stored>, now: UnixTime) -> Asked {
        if let Some(Pending { user, key, stored, asked_at }) = self.pending.take() {
            let found = self.unless_ended(policy, &user, &key, stored, found);
            return Asked::Found(found, asked_at);
        }
        let outcome = self.seen(policy, key, found.map_or(Outcome::Absent, Outcome::Found), now);
        let Outcome::Found(stored) = outcome else { return Asked::Found(None, now) };
        match policy.codec.decode(key, &stored.value) {
            Ok(Entry::Record(record)) if record.sign_in.is_some() => {
                let user = record.sign_in.map(|sign_in| policy.keys.index_key(&sign_in.principal));
                self.pending = user.map(|user| Pending { user, key: key.clone(), stored, asked_at: now });
                Asked::Another
            }
            _ => Asked::Found(Some(stored), now),
        }
    }

    /// A session of a user opens nothing once all of theirs were ended after its login.
    fn unless_ended(
        &self,
        policy: &Policy,
        user: &StoreKey,
        key: &StoreKey,
        stored: Stored,
        found: Option<Stored>,
    ) -> Option<Stored> {
        let Some(all) = found else { return Some(stored) };
        match policy.codec.decode(user, &all.value) {
            Ok(Entry::Ended(ended)) => {
                let epoch = self.find(key).and_then(|index| self.held[index].inside.epoch);
                let is_spared = ended.next.is_some() && ended.next.as_ref() == self.lineage_key(key);
                (epoch == Some(ended.by) || is_spared).then_some(stored)
            }
            // Nothing that can be told: no session is opened over it, and none is absent.
            _ => Some(all),
        }
    }

    /// What stands under a session's key: the tombstone that the store has, or else what the cookie holds.
    pub(super) fn seen(&mut self, policy: &Policy, key: &StoreKey, outcome: Outcome, now: UnixTime) -> Outcome {
        let lineage = self.lineage_key(key).cloned();
        match (outcome, lineage) {
            (Outcome::Found(stored), Some(lineage)) => match policy.codec.decode(&lineage, &stored.value) {
                Ok(Entry::Ended(ended)) if ended.next.as_ref() == Some(key) => self.held_under(key, now),
                Ok(Entry::Ended(ended)) => self.tombstone(policy, key, ended, stored),
                _ => Outcome::Found(stored),
            },
            (Outcome::Absent, _) => self.held_under(key, now),
            (outcome, _) => outcome,
        }
    }

    fn held_under(&self, key: &StoreKey, now: UnixTime) -> Outcome {
        match self.find(key) {
            None => Outcome::Absent,
            Some(index) => {
                let Held { inside, version, .. } = &self.held[index];
                Outcome::Found(Stored {
                    value: inside.value.clone(),
                    version: Version::from_u64(*version),
                    expires_in: Some(inside.until.since(now)),
                })
            }
        }
    }

    /// A tombstone of the lineage, as it looks under a session's own key. What it leads to can be ended with what this
    /// request knows of the session.
    pub(super) fn tombstone(&mut self, policy: &Policy, key: &StoreKey, ended: Ended, stored: Stored) -> Outcome {
        if let (Some(next), Some(index)) = (&ended.next, self.find(key))
            && self.find(next).is_none()
        {
            let mut held = Held { key: next.clone(), is_elsewhere: true, ..self.held[index].clone() };
            // A codec may bind bytes to their key; and nothing of the data is known there.
            if let Ok(Entry::Record(mut record)) = policy.codec.decode(key, &held.inside.value) {
                record.data = Data::new();
                if let Ok(value) = policy.codec.encode(next, &Entry::Record(record)) {
                    held.inside.value = Value::from(value);
                }
            }
            self.held.push(held);
        }
        match policy.codec.encode(key, &Entry::Ended(ended)) {
            Ok(value) => Outcome::Found(Stored { value: Value::from(value), ..stored }),
            Err(_) => Outcome::Failed,
        }
    }

    /// The last end of all that a session of this lineage knows of, if one of it is here.
    pub(crate) fn epoch_of(&self, lineage: Nonce) -> Option<Option<Nonce>> {
        self.held.iter().find(|held| held.inside.lineage == lineage).map(|held| held.inside.epoch)
    }

    /// Puts a session under a new id.
    pub(super) fn create(&mut self, policy: &Policy, key: &StoreKey, inside: Inside) -> Outcome {
        self.forget(key);
        self.held.push(Held::new(policy, key.clone(), inside));
        self.unpublished = Some(key.clone());
        Outcome::Done(Version::from_u64(0))
    }

    /// The longest that a cookie of the session may live, if this node lets it or another one did.
    pub(super) fn longest(&self, policy: &Policy, key: &StoreKey) -> Duration {
        let entry = self.find(key).map(|index| policy.codec.decode(key, &self.held[index].inside.value));
        match entry {
            Some(Ok(Entry::Record(record))) => policy.longest.absolute().max(record.deadline.since(record.created)),
            _ => policy.longest.absolute(),
        }
    }

    /// Writes a session again.
    pub(super) fn put(&mut self, key: &StoreKey, value: &Value, until: UnixTime) -> Outcome {
        let Some(index) = self.find(key).filter(|&index| !self.held[index].is_elsewhere) else {
            return Outcome::Failed;
        };
        let held = &mut self.held[index];
        held.inside.value = value.clone();
        held.inside.until = until;
        held.version += 1;
        let version = held.version;
        if self.unpublished.as_ref() != Some(key) {
            self.written = Some(key.clone());
        }
        Outcome::Done(Version::from_u64(version))
    }

    pub(super) fn forget(&mut self, key: &StoreKey) {
        self.held.retain(|held| held.key != *key);
    }

    /// The client may be told of what stands under the key.
    pub(crate) fn publish(&mut self, key: &StoreKey) {
        self.unpublished = None;
        self.written = Some(key.clone());
    }

    /// Nothing of what was written is sent: the session ended.
    pub(crate) fn removals(&mut self, holder: &Holder) -> Vec<String> {
        self.written = None;
        holder.removals(1, self.present).collect()
    }

    /// The lines that the client is owed for what was written since the last time.
    pub(crate) fn lines(
        &mut self,
        policy: &Policy,
        holder: &Holder,
        now: UnixTime,
    ) -> Option<Result<CookieLine, CommitError>> {
        let key = self.written.take()?;
        let held = &self.held[self.find(&key)?];
        Some(match policy.codec.decode(&key, &held.inside.value) {
            Ok(Entry::Record(record)) => {
                let rest = record.persistent.then(|| policy.longest.deadline(&record).since(now));
                holder.lines(&held.inside, rest, self.present)
            }
            _ => Err(CommitError::Encode),
        })
    }
}

/// How late a state of a session is.
fn age(policy: &Policy, key: &StoreKey, inside: &Inside) -> (u64, UnixTime) {
    match policy.codec.decode(key, &inside.value) {
        Ok(Entry::Record(record)) => (record.commits, inside.until),
        _ => (0, inside.until),
    }
}

/// The key under which the store has what was ended of a lineage.
pub(crate) fn key_of(policy: &Policy, lineage: Nonce) -> StoreKey {
    policy.keys.store_key(&SessionId::of_nonce(lineage))
}
