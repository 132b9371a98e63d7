//! A map with versions, expiry by a virtual clock, and faults on demand.

use std::{collections::BTreeMap, mem, time::Duration};

use cloakroom_core::{Members, Op, Outcome, StoreKey, Stored, UnixTime, Value, Version};

/// How an operation goes wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// `Conflict(None)` without anything having changed.
    Conflict,
    Failed,
    UnknownApplied,
    /// Applied when the test says [`TestStore::land`].
    UnknownLater,
    UnknownNever,
}

impl Fault {
    pub(crate) const ALL: [Self; 4] = [Self::Failed, Self::UnknownApplied, Self::UnknownLater, Self::UnknownNever];
}

#[derive(Clone)]
struct Slot {
    value: Value,
    version: u64,
    expires_at: Option<u64>,
}

/// A map with versions and a virtual clock.
#[derive(Clone)]
pub(crate) struct TestStore {
    pub(crate) now: u64,
    /// Conflicts bring what was found.
    pub(crate) brings: bool,
    pub(crate) log: Vec<Op>,
    pub(crate) told: usize,
    slots: BTreeMap<String, Slot>,
    /// Members and when they run out, for each index.
    indexes: BTreeMap<String, BTreeMap<String, u64>>,
    /// Whether there are indexes at all.
    pub(crate) has_indexes: bool,
    versions: u64,
    faults: BTreeMap<usize, Fault>,
    late: Vec<Op>,
}

impl TestStore {
    pub(crate) fn new() -> Self {
        let (slots, faults) = (BTreeMap::new(), BTreeMap::new());
        let (log, late) = (Vec::new(), Vec::new());
        Self {
            now: 1_800_000_000_000,
            brings: true,
            log,
            told: 0,
            slots,
            indexes: BTreeMap::new(),
            has_indexes: true,
            versions: 0,
            faults,
            late,
        }
    }

    /// Lets the `n`-th operation from here go wrong; the next one is 0.
    pub(crate) fn fault(&mut self, n: usize, fault: Fault) {
        self.faults.insert(self.log.len() + n, fault);
    }

    /// Lets nothing more go wrong.
    pub(crate) fn heal(&mut self) {
        self.faults.clear();
    }

    /// Lets the operations land that were sent long ago.
    pub(crate) fn land(&mut self) {
        for op in mem::take(&mut self.late) {
            self.apply(&op);
        }
    }

    pub(crate) fn perform(&mut self, op: &Op) -> Outcome {
        let fault = self.faults.remove(&self.log.len());
        self.log.push(op.clone());
        match fault {
            None => self.apply(op),
            Some(Fault::Conflict) => Outcome::Conflict(None),
            Some(Fault::Failed) => Outcome::Failed,
            Some(Fault::UnknownApplied) => {
                self.apply(op);
                Outcome::Unknown
            }
            Some(Fault::UnknownLater) => {
                self.late.push(op.clone());
                Outcome::Unknown
            }
            Some(Fault::UnknownNever) => Outcome::Unknown,
        }
    }

    fn apply(&mut self, op: &Op) -> Outcome {
        let found = self.look(op.key());
        let is_same = |version: &Version| found.as_ref().is_some_and(|found| found.version == *version);
        match op {
            Op::Enroll { .. } | Op::List { .. } | Op::Unenroll { .. } if !self.has_indexes => Outcome::Unsupported,
            Op::Enroll { index, member, ttl } => {
                let until = UnixTime::from_millis(self.now).saturating_add(*ttl).as_millis();
                let members = self.indexes.entry(index.as_str().to_owned()).or_default();
                let kept = members.entry(member.as_str().to_owned()).or_default();
                *kept = until.max(*kept);
                Outcome::Indexed
            }
            Op::List { index } => {
                let keys = self.members(index);
                Outcome::Listed(Members { total: keys.len() as u64, keys })
            }
            Op::Unenroll { index, member } => {
                if let Some(members) = self.indexes.get_mut(index.as_str()) {
                    members.remove(member.as_str());
                }
                Outcome::Indexed
            }
            Op::Load { .. } => found.map_or(Outcome::Absent, Outcome::Found),
            Op::Create { .. } if found.is_some() => Outcome::Exists,
            Op::Create { key, value, ttl } => self.set(key, value.clone(), Some(*ttl)),
            Op::Remove { .. } | Op::Replace { .. } | Op::Touch { .. } if found.is_none() => Outcome::Absent,
            Op::Remove { version, .. } | Op::Replace { version, .. } | Op::Touch { version, .. }
                if !is_same(version) =>
            {
                Outcome::Conflict(found.filter(|_| self.brings))
            }
            Op::Remove { key, .. } => {
                self.slots.remove(key.as_str());
                Outcome::Removed
            }
            Op::Replace { key, value, ttl, .. } | Op::Touch { key, value, ttl, .. } => {
                self.set(key, value.clone(), Some(*ttl))
            }
        }
    }

    pub(crate) fn set(&mut self, key: &StoreKey, value: Value, ttl: Option<Duration>) -> Outcome {
        self.versions += 1;
        let expires_at = ttl.map(|ttl| UnixTime::from_millis(self.now).saturating_add(ttl).as_millis());
        self.slots.insert(key.as_str().to_owned(), Slot { value, version: self.versions, expires_at });
        Outcome::Done(Version::from_u64(self.versions))
    }

    /// Loses all that it has.
    pub(crate) fn forget(&mut self) {
        self.slots.clear();
    }

    pub(crate) fn look(&self, key: &StoreKey) -> Option<Stored> {
        let slot = self.slots.get(key.as_str()).filter(|slot| slot.expires_at.is_none_or(|at| at > self.now))?;
        Some(Stored {
            value: slot.value.clone(),
            version: Version::from_u64(slot.version),
            expires_in: slot.expires_at.map(|at| Duration::from_millis(at - self.now)),
        })
    }

    /// The members of an index whose time is not over.
    pub(crate) fn members(&self, index: &StoreKey) -> Vec<StoreKey> {
        let members = self.indexes.get(index.as_str()).into_iter().flatten();
        let listed = members.filter(|(_, until)| **until > self.now);
        listed.map(|(member, _)| StoreKey::new(member).unwrap()).collect()
    }

    /// Drops what is there, as an eviction does.
    pub(crate) fn evict(&mut self, key: &StoreKey) {
        self.slots.remove(key.as_str());
    }

    pub(crate) fn keys(&self) -> Vec<StoreKey> {
        self.slots.keys().map(|key| StoreKey::new(key).unwrap()).filter(|key| self.look(key).is_some()).collect()
    }
}
