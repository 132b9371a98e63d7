//! The store as a map, with what the reference knows of each value beside it.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use cloakroom_core::{Members, Nonce, Op, Outcome, StoreKey, Stored, UnixTime, Value, Version};

use super::{account::Signed, edit::Map, program::Setting};

/// The number of a commit.
pub(super) type CommitNo = u32;

/// What a record holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) data: Map,
    /// The commits whose edits are in it, each once.
    pub(super) commits: BTreeSet<CommitNo>,
    pub(super) created: UnixTime,
    pub(super) deadline: UnixTime,
    pub(super) predecessor: Option<StoreKey>,
    /// What it and its successors have in common.
    pub(super) lineage: Nonce,
    pub(super) signed: Option<Signed>,
    /// The client that it is bound to.
    pub(super) client: u8,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Damaged,
    /// With what an end follows.
    Ended {
        next: Option<StoreKey>,
    },
    Moved {
        to: StoreKey,
        closes_at: Option<UnixTime>,
    },
    Record(Facts),
}

/// What was read or written under a key.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) value: Value,
    pub(super) version: Version,
    pub(super) content: Content,
}

/// What is under a key.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) seen: Seen,
    pub(super) expires_at: UnixTime,
}

/// A write, with what the reference knows of it.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) op: Op,
    pub(super) content: Option<Content>,
    pub(super) by: CommitNo,
}

pub(super) struct Store {
    pub(super) slots: BTreeMap<StoreKey, Slot>,
    /// The members of each index, and until when they stand there.
    pub(super) indexes: BTreeMap<StoreKey, BTreeMap<StoreKey, UnixTime>>,
    /// Writes whose answer was lost and that may still land.
    pub(super) late: Vec<Write>,
    versions: u64,
    setting: Setting,
}

impl Store {
    pub(super) fn new(setting: Setting) -> Self {
        Self { slots: BTreeMap::new(), indexes: BTreeMap::new(), late: Vec::new(), versions: 0, setting }
    }

    /// Does an operation, as one atomic step.
    pub(super) fn apply(&mut self, write: &Write, now: UnixTime) -> Outcome {
        let key = write.op.key();
        let held = self.load(key, now);
        let expected = match &write.op {
            Op::Create { .. } | Op::Load { .. } => None,
            Op::Enroll { .. } | Op::List { .. } | Op::Unenroll { .. } => None,
            Op::Remove { version, .. } | Op::Replace { version, .. } | Op::Touch { version, .. } => Some(version),
        };
        match (&write.op, held) {
            (Op::Load { .. }, Some(stored)) => Outcome::Found(stored),
            (Op::Create { .. }, Some(_)) => Outcome::Exists,
            (Op::Create { value, ttl, .. }, None) => self.put(write, value, *ttl, now),
            (Op::Enroll { .. } | Op::List { .. } | Op::Unenroll { .. }, _) if !self.setting.has_index() => {
                Outcome::Unsupported
            }
            (Op::Enroll { index, member, ttl }, _) => {
                let until = self.indexes.entry(index.clone()).or_default().entry(member.clone()).or_default();
                *until = now.saturating_add(*ttl).max(*until);
                Outcome::Indexed
            }
            (Op::List { index }, _) => {
                let keys: Vec<StoreKey> =
                    self.indexes.get(index).into_iter().flat_map(BTreeMap::keys).cloned().collect();
                let total = keys.len() as u64;
                Outcome::Listed(Members { keys, total })
            }
            (Op::Unenroll { index, member }, _) => {
                self.indexes.entry(index.clone()).or_default().remove(member);
                Outcome::Indexed
            }
            (_, None) => Outcome::Absent,
            (_, Some(stored)) if expected != Some(&stored.version) => {
                Outcome::Conflict((!self.setting.silent_conflicts()).then_some(stored))
            }
            (Op::Remove { .. }, Some(_)) => {
                self.slots.remove(key);
                Outcome::Removed
            }
            (Op::Replace { value, ttl, .. } | Op::Touch { value, ttl, .. }, Some(_)) => {
                self.put(write, value, *ttl, now)
            }
        }
    }

    pub(super) fn load(&self, key: &StoreKey, now: UnixTime) -> Option<Stored> {
        self.slots.get(key).map(|Slot { seen, expires_at }| Stored {
            value: seen.value.clone(),
            version: seen.version.clone(),
            expires_in: Some(expires_at.since(now)),
        })
    }

    fn put(&mut self, write: &Write, value: &Value, ttl: Duration, now: UnixTime) -> Outcome {
        self.versions += 1;
        let version = match self.setting.byte_versions() {
            true => Version::from_bytes(value.clone()),
            false => Version::from_u64(self.versions),
        };
        let content = write.content.clone().expect("a write has content");
        let seen = Seen { value: value.clone(), version: version.clone(), content };
        self.slots.insert(write.op.key().clone(), Slot { seen, expires_at: now.saturating_add(ttl) });
        Outcome::Done(version)
    }

    /// Overwrites a record by bytes that are none.
    pub(super) fn damage(&mut self, key: &StoreKey, value: &[u8]) {
        self.versions += 1;
        let value = Value::from(value);
        let version = match self.setting.byte_versions() {
            true => Version::from_bytes(value.clone()),
            false => Version::from_u64(self.versions),
        };
        if let Some(slot) = self.slots.get_mut(key) {
            slot.seen = Seen { value, version, content: Content::Damaged };
        }
    }
}
