//! What the store is asked in place of what the machine asks, and what the machine is told.

use core::time::Duration;

use super::{Jar, sealing::Inside};
use crate::{
    engine::Policy,
    id::{SessionId, StoreKey},
    limits::MAX_REPLAYS,
    op::{Op, Outcome},
    record::{Ended, Entry, Nonce, Record},
    time::UnixTime,
    value::Value,
};

/// What becomes of an operation that the machine asks for.
pub(crate) enum Answer {
    /// The store must do this first.
    Ask(Box<Op>),
    /// It ended so.
    Is(Outcome),
}

impl Answer {
    fn ask(op: Op) -> Self {
        Self::Ask(Box::new(op))
    }
}

impl Jar {
    /// Goes on with an operation, of which the store did a part. `id` is that of the session that the commit makes.
    pub(crate) fn answer(
        &mut self,
        policy: &Policy,
        op: &Op,
        part: Option<(Op, Outcome)>,
        id: Option<&SessionId>,
        now: UnixTime,
    ) -> Answer {
        match op {
            Op::Load { key } => match (part, self.lineage_key(key).cloned()) {
                (None, Some(lineage)) => Answer::ask(Op::Load { key: lineage }),
                (None, None) => Answer::Is(Outcome::Absent),
                (Some((_, outcome)), _) => Answer::Is(self.seen(policy, key, outcome, now)),
            },
            Op::Create { key, value, ttl } => match (policy.codec.decode(key, value), id) {
                (Ok(Entry::Record(record)), Some(id)) => {
                    let epoch = match self.epoch(policy, &record, part) {
                        Ok(epoch) => epoch,
                        Err(answer) => return answer,
                    };
                    let inside = Inside {
                        id: id.clone(),
                        until: now.saturating_add(*ttl),
                        lineage: record.lineage,
                        epoch,
                        value: value.clone(),
                    };
                    Answer::Is(self.create(policy, key, inside))
                }
                _ => Answer::Is(Outcome::Failed),
            },
            Op::Replace { key, value, ttl, .. } => match policy.codec.decode(key, value) {
                Ok(Entry::Record(_)) => Answer::Is(self.put(key, value, now.saturating_add(*ttl))),
                Ok(Entry::Ended(ended)) => self.strike(policy, key, ended, part),
                _ => Answer::Is(Outcome::Failed),
            },
            // One that has ended meanwhile must not come over its successor in the browser.
            Op::Touch { key, value, ttl, .. } => match (part, self.lineage_key(key).cloned()) {
                (None, Some(lineage)) => Answer::ask(Op::Load { key: lineage }),
                (Some((_, outcome)), _) => Answer::Is(match self.seen(policy, key, outcome, now) {
                    Outcome::Found(found) if found.value == *value => self.put(key, value, now.saturating_add(*ttl)),
                    Outcome::Found(_) => Outcome::Conflict(None),
                    outcome => outcome,
                }),
                (None, None) => Answer::Is(Outcome::Absent),
            },
            Op::Remove { key, .. } => {
                self.forget(key);
                Answer::Is(Outcome::Removed)
            }
            Op::Enroll { .. } | Op::List { .. } | Op::Unenroll { .. } => Answer::Is(Outcome::Unsupported),
        }
    }

    /// The last end of all of the user's sessions before this one. A session that goes on under another id knows no more
    /// than before.
    fn epoch(&self, policy: &Policy, record: &Record, part: Option<(Op, Outcome)>) -> Result<Option<Nonce>, Answer> {
        if let Some(epoch) = self.epoch_of(record.lineage) {
            return Ok(epoch);
        }
        let Some(sign_in) = &record.sign_in else { return Ok(None) };
        let user = policy.keys.index_key(&sign_in.principal);
        match part {
            None => Err(Answer::ask(Op::Load { key: user })),
            Some((_, Outcome::Absent)) => Ok(None),
            Some((_, Outcome::Found(stored))) => match policy.codec.decode(&user, &stored.value) {
                Ok(Entry::Ended(ended)) => Ok(Some(ended.by)),
                _ => Err(Answer::Is(Outcome::Failed)),
            },
            Some(_) => Err(Answer::Is(Outcome::Failed)),
        }
    }

    /// Puts a tombstone in the place of a session: where the store has none of its lineage, or one that led to it.
    fn strike(&mut self, policy: &Policy, key: &StoreKey, ended: Ended, part: Option<(Op, Outcome)>) -> Answer {
        let Some((lineage, value, ttl)) = self.marker(policy, key, &ended) else { return Answer::Is(Outcome::Failed) };
        let Some((asked, outcome)) = part else {
            self.tries = 0;
            return Answer::ask(Op::Create { key: lineage, value, ttl });
        };
        match (asked, outcome) {
            (Op::Load { .. }, Outcome::Found(stored)) => match policy.codec.decode(&lineage, &stored.value) {
                Ok(Entry::Ended(there)) if there.next.as_ref() == Some(key) => {
                    Answer::ask(Op::Replace { key: lineage, version: stored.version, value, ttl })
                }
                Ok(Entry::Ended(there)) => Answer::Is(match self.tombstone(policy, key, there, stored) {
                    Outcome::Found(stored) => Outcome::Conflict(Some(stored)),
                    outcome => outcome,
                }),
                _ => Answer::Is(Outcome::Failed),
            },
            (_, Outcome::Done(version)) => Answer::Is(Outcome::Done(version)),
            (Op::Load { .. }, Outcome::Absent) if self.may_try() => {
                Answer::ask(Op::Create { key: lineage, value, ttl })
            }
            (_, Outcome::Absent | Outcome::Conflict(_) | Outcome::Exists) if self.may_try() => {
                Answer::ask(Op::Load { key: lineage })
            }
            (Op::Create { .. } | Op::Replace { .. }, Outcome::Unknown) => Answer::Is(Outcome::Unknown),
            _ => Answer::Is(Outcome::Failed),
        }
    }

    fn may_try(&mut self) -> bool {
        self.tries += 1;
        self.tries <= MAX_REPLAYS
    }

    /// A tombstone under the key of the lineage. It outlives every cookie of it, and what requests that are under way may
    /// make of them.
    fn marker(&self, policy: &Policy, key: &StoreKey, ended: &Ended) -> Option<(StoreKey, Value, Duration)> {
        let lineage = self.lineage_key(key)?.clone();
        let value = policy.codec.encode(&lineage, &Entry::Ended(ended.clone())).ok()?;
        let ttl = self.longest(policy, key).saturating_add(policy.max_request).saturating_add(policy.skew);
        Some((lineage, Value::from(value), ttl))
    }
}
