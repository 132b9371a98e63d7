//! The store, the requests and what the clients know: one state of the search.

use super::names::{At, KeyNo, ValueNo};

/// One state of the search.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct World {
    /// What the store holds, by key.
    pub slots: Vec<Slot>,
    /// How far the requests are.
    pub requests: Vec<Progress>,
    /// The tickets that clients were given, each with the lineage that it belongs to.
    pub published: Vec<(KeyNo, Lineage)>,
    /// Writes whose answer was lost and that may still land.
    pub late: Vec<Ask>,
    /// What the requests were told of their edits.
    pub verdicts: Vec<Verdict>,
    /// The lineages whose end was acknowledged.
    pub ended: Vec<Lineage>,
    /// How many more things may go wrong.
    pub faults: u8,
    /// How many of them may be entries that the store drops.
    pub evictions: u8,
    /// How late it is.
    pub now: At,
    /// The tickets that requests brought, by the bits of their keys.
    pub presented: u32,
    /// The index of the user's sessions, ordered by key, and when each runs out there.
    pub index: Vec<(KeyNo, At)>,
    /// The tickets that an acknowledged elevation gave up, by the bits of their keys.
    pub given_up: u32,
    /// What was published when requests started that end many sessions.
    pub marks: Vec<Mark>,
    /// The lineages of which logins carried the data over, each with the one that has it.
    pub carried: Vec<(Lineage, Lineage)>,
}

/// What a request met when it started that ends many sessions.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Mark {
    /// The request.
    pub number: u8,
    /// The lineage of its own session.
    pub own: Lineage,
    /// The tickets that were out, by the bits of their keys.
    pub published: u32,
}

/// A session and its successors by renewal, named by a number; 0 is the one at the start.
pub type Lineage = u8;

/// The lineage of a request without a ticket.
pub const NOBODYS: Lineage = Lineage::MAX;

/// Where a request is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Progress {
    /// Not started.
    Idle,
    /// Answered, refused or dropped.
    Over,
    /// At a place in the tree of histories, in a session of a lineage.
    Running(u32, Lineage),
}

/// What a request was told of one of its edits; none was told of an edit that is not listed.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Verdict {
    /// The edit.
    pub edit: u8,
    /// Where it was made.
    pub lineage: Lineage,
    /// It is stored; or it surely is not.
    pub stored: bool,
}

/// What the store holds under a key.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Slot {
    /// Nothing, or a value.
    pub value: Option<ValueNo>,
    /// How often the key was written; it outlives what is stored.
    pub version: u32,
    /// When it runs out.
    pub expires: At,
    /// What was there last when it ran out.
    pub lapsed: Option<ValueNo>,
}

impl Slot {
    /// Tells whether nothing is there, and nothing ran out there.
    pub fn is_empty(self) -> bool {
        self.value.is_none() && self.lapsed.is_none()
    }
}

/// An operation, with numbers in place of keys and values.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[allow(missing_docs, reason = "they are the machine's")]
pub enum Ask {
    Create { key: KeyNo, value: ValueNo, ttl: u32 },
    Enroll { member: KeyNo, ttl: u32 },
    List,
    Load { key: KeyNo },
    Remove { key: KeyNo, version: u32 },
    Replace { key: KeyNo, version: u32, value: ValueNo, ttl: u32 },
    Touch { key: KeyNo, version: u32, value: ValueNo, ttl: u32 },
    Unenroll { member: KeyNo },
}

impl Ask {
    /// Returns the session's key that it is about, if it is about one.
    pub fn key(self) -> Option<KeyNo> {
        match self {
            Self::List => None,
            Self::Enroll { member, .. } | Self::Unenroll { member } => Some(member),
            Self::Create { key, .. }
            | Self::Load { key }
            | Self::Remove { key, .. }
            | Self::Replace { key, .. }
            | Self::Touch { key, .. } => Some(key),
        }
    }

    /// Tells whether it changes the store.
    pub fn is_write(self) -> bool {
        !matches!(self, Self::List | Self::Load { .. })
    }
}

/// What a load or a conflict brings.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[allow(missing_docs, reason = "they are the machine's")]
pub struct Seen {
    pub value: ValueNo,
    pub version: u32,
    pub ttl: u32,
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[allow(missing_docs, reason = "they are the machine's")]
pub enum Answer {
    Absent,
    Conflict(Option<Seen>),
    Done(u32),
    Exists,
    Failed,
    Found(Seen),
    Indexed,
    /// The bits of the keys.
    Listed(u32),
    Removed,
    Unknown,
}

/// How the store behaves where stores differ.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoreKind {
    /// A conflict does not bring what is there.
    pub silent_conflicts: bool,
    /// Versions are the bytes themselves, and a touch leaves them.
    pub byte_versions: bool,
}

impl World {
    /// Returns what is under a key.
    pub fn slot(&self, key: KeyNo) -> Slot {
        self.slots.get(usize::from(key.0)).copied().unwrap_or_default()
    }

    /// Returns what a load of a key brings.
    pub fn seen(&self, key: KeyNo, kind: StoreKind) -> Option<Seen> {
        let slot = self.slot(key);
        slot.value.map(|value| {
            let version = if kind.byte_versions { value.0 } else { slot.version };
            Seen { value, version, ttl: slot.expires - self.now }
        })
    }

    /// Does an operation, as one atomic step.
    pub fn apply(&mut self, ask: Ask, kind: StoreKind) -> Answer {
        let key = match (ask, ask.key()) {
            (Ask::Enroll { member, ttl }, _) => {
                let until = self.now + ttl;
                match self.index.iter_mut().find(|(known, _)| *known == member) {
                    Some((_, kept)) => *kept = until.max(*kept),
                    None => self.index.push((member, until)),
                }
                self.index.sort_unstable();
                return Answer::Indexed;
            }
            (Ask::Unenroll { member }, _) => {
                self.index.retain(|(known, _)| *known != member);
                return Answer::Indexed;
            }
            (_, None) => return Answer::Listed(self.index.iter().fold(0, |bits, (key, _)| bits | 1 << key.0)),
            (_, Some(key)) => key,
        };
        let held = self.seen(key, kind);
        let expected = match ask {
            Ask::Create { .. } | Ask::Enroll { .. } | Ask::List | Ask::Load { .. } | Ask::Unenroll { .. } => None,
            Ask::Remove { version, .. } | Ask::Replace { version, .. } | Ask::Touch { version, .. } => Some(version),
        };
        match (ask, held) {
            (Ask::Enroll { .. } | Ask::List | Ask::Unenroll { .. }, _) => Answer::Indexed,
            (Ask::Load { .. }, Some(seen)) => Answer::Found(seen),
            (Ask::Create { .. }, Some(_)) => Answer::Exists,
            (Ask::Create { value, ttl, .. }, None) => self.put(key, Some(value), ttl, kind),
            (_, None) => Answer::Absent,
            (_, Some(seen)) if expected != Some(seen.version) => {
                Answer::Conflict((!kind.silent_conflicts).then_some(seen))
            }
            (Ask::Remove { .. }, Some(_)) => {
                self.put(key, None, 0, kind);
                Answer::Removed
            }
            (Ask::Replace { value, ttl, .. } | Ask::Touch { value, ttl, .. }, Some(_)) => {
                self.put(key, Some(value), ttl, kind)
            }
        }
    }

    /// Drops what is under a key.
    pub fn evict(&mut self, key: KeyNo, kind: StoreKind) {
        self.put(key, None, 0, kind);
    }

    /// Lets time pass; what has run out is gone.
    pub fn pass(&mut self, to: At, kind: StoreKind) {
        self.now = to;
        self.index.retain(|(_, until)| *until > to);
        for at in 0..self.slots.len() {
            let Slot { value, expires, .. } = self.slots[at];
            if value.is_some() && expires <= to {
                self.put(KeyNo(u8::try_from(at).expect("few keys")), None, 0, kind);
                self.slots[at].lapsed = value;
            }
        }
    }

    fn put(&mut self, key: KeyNo, value: Option<ValueNo>, ttl: u32, kind: StoreKind) -> Answer {
        let at = usize::from(key.0);
        if self.slots.len() <= at {
            self.slots.resize(at + 1, Slot::default());
        }
        let version = if kind.byte_versions { 0 } else { self.slots[at].version + 1 };
        self.slots[at] = Slot { value, version, expires: self.now + ttl, lapsed: None };
        Answer::Done(if kind.byte_versions { value.map_or(0, |value| value.0) } else { version })
    }

    /// Tells whether a write could still change something, at some later time.
    pub fn may_land(&self, ask: Ask, kind: StoreKind) -> bool {
        match ask {
            Ask::Create { .. } | Ask::Enroll { .. } => true,
            Ask::List | Ask::Load { .. } => false,
            Ask::Unenroll { member } => {
                let enrolls = |late: &Ask| matches!(late, Ask::Enroll { member: it, .. } if *it == member);
                self.index.iter().any(|(known, _)| *known == member) || self.late.iter().any(enrolls)
            }
            // A version that was replaced never comes back.
            Ask::Remove { key, version } | Ask::Replace { key, version, .. } | Ask::Touch { key, version, .. } => {
                kind.byte_versions || (self.slot(key).value.is_some() && self.slot(key).version == version)
            }
        }
    }

    /// Tells whether something ran out.
    pub fn has_lapsed(&self) -> bool {
        self.slots.iter().any(|slot| slot.lapsed.is_some())
    }

    /// Returns how many bytes it holds beside its own.
    pub fn heap(&self) -> usize {
        size_of_val(self.slots.as_slice())
            + size_of_val(self.requests.as_slice())
            + size_of_val(self.published.as_slice())
            + size_of_val(self.late.as_slice())
            + size_of_val(self.verdicts.as_slice())
            + size_of_val(self.ended.as_slice())
            + size_of_val(self.index.as_slice())
            + size_of_val(self.marks.as_slice())
            + size_of_val(self.carried.as_slice())
    }

    /// Adds a ticket that a client was given.
    pub fn publish(&mut self, key: KeyNo, lineage: Lineage) {
        if !self.published.contains(&(key, lineage)) {
            self.published.push((key, lineage));
            self.published.sort_unstable();
        }
    }
}
