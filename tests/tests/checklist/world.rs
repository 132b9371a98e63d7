//! An engine with all that it leaves to others: a store, a clock, randomness and a browser's jar.

#![allow(dead_code, reason = "the corpora use a part of it")]

use std::{collections::BTreeMap, time::Duration};

use cloakroom_core::{
    Access, CookieChange, Done, Engine, EngineBuilder, Entropy, EntropyError, Event, Key, KeyId, Keyring, LoadError,
    Loaded, Members, Op, Outcome, RequestInfo, Session, Step, StoreKey, Stored, UnixTime, Value, Version,
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// SplitMix64: what it draws follows from its seed.
#[derive(Clone)]
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        bytes.fill_with(|| self.next() as u8);
        Ok(())
    }
}

pub(crate) fn key(id: u8) -> Key {
    Key::from_bytes(KeyId::new(id), &Seeded(id.into()).bytes(32)).unwrap()
}

pub(crate) fn ring() -> Keyring {
    Keyring::new(key(1))
}

/// How an operation goes wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Trouble {
    /// It did not happen.
    Failed,
    /// It happened, and nobody said so.
    UnknownApplied,
    /// It will happen when [`Store::land`] is called, and nobody says so.
    UnknownLater,
    /// It did not happen, and nobody said so.
    UnknownNever,
}

impl Trouble {
    pub(crate) const ALL: [Self; 4] = [Self::Failed, Self::UnknownApplied, Self::UnknownLater, Self::UnknownNever];
}

#[derive(Clone)]
struct Slot {
    value: Value,
    version: u64,
    expires_at: Option<u64>,
}

/// A map with versions that records all that it is asked.
#[derive(Clone, Default)]
pub(crate) struct Store {
    pub(crate) log: Vec<Op>,
    /// What the next operation meets.
    pub(crate) trouble: Option<Trouble>,
    slots: BTreeMap<String, Slot>,
    /// Until when each member of an index is there.
    indexes: BTreeMap<String, BTreeMap<StoreKey, u64>>,
    versions: u64,
    late: Vec<Op>,
}

impl Store {
    pub(crate) fn perform(&mut self, op: &Op, now: u64) -> Outcome {
        self.log.push(op.clone());
        match self.trouble.take() {
            None => self.apply(op, now),
            Some(Trouble::Failed) => Outcome::Failed,
            Some(Trouble::UnknownNever) => Outcome::Unknown,
            Some(Trouble::UnknownApplied) => {
                self.apply(op, now);
                Outcome::Unknown
            }
            Some(Trouble::UnknownLater) => {
                self.late.push(op.clone());
                Outcome::Unknown
            }
        }
    }

    /// Lets what was sent long ago happen.
    pub(crate) fn land(&mut self, now: u64) {
        for op in std::mem::take(&mut self.late) {
            self.apply(&op, now);
        }
    }

    fn apply(&mut self, op: &Op, now: u64) -> Outcome {
        let found = self.look(op.key(), now);
        match op {
            Op::Load { .. } => found.map_or(Outcome::Absent, Outcome::Found),
            Op::Create { .. } if found.is_some() => Outcome::Exists,
            Op::Create { key, value, ttl } => self.put(key, value.clone(), now, Some(*ttl)),
            Op::Enroll { index, member, ttl } => {
                let end = now.saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
                let members = self.indexes.entry(index.as_str().to_owned()).or_default();
                let there = members.entry(member.clone()).or_insert(end);
                *there = end.max(*there);
                Outcome::Indexed
            }
            Op::Unenroll { index, member } => {
                self.indexes.entry(index.as_str().to_owned()).or_default().remove(member);
                Outcome::Indexed
            }
            Op::List { index } => {
                let members = self.indexes.get(index.as_str()).into_iter().flatten();
                let keys: Vec<_> = members.filter(|(_, at)| **at > now).map(|(member, _)| member.clone()).collect();
                Outcome::Listed(Members { total: keys.len() as u64, keys })
            }
            Op::Remove { version, .. } | Op::Replace { version, .. } | Op::Touch { version, .. } => match (found, op) {
                (None, _) => Outcome::Absent,
                (Some(found), _) if found.version != *version => Outcome::Conflict(Some(found)),
                (_, Op::Replace { key, value, ttl, .. } | Op::Touch { key, value, ttl, .. }) => {
                    self.put(key, value.clone(), now, Some(*ttl))
                }
                _ => {
                    self.slots.remove(op.key().as_str());
                    Outcome::Removed
                }
            },
        }
    }

    pub(crate) fn put(&mut self, key: &StoreKey, value: Value, now: u64, ttl: Option<Duration>) -> Outcome {
        self.versions += 1;
        let expires_at = ttl.map(|ttl| now.saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)));
        self.slots.insert(key.as_str().to_owned(), Slot { value, version: self.versions, expires_at });
        Outcome::Done(Version::from_u64(self.versions))
    }

    pub(crate) fn look(&self, key: &StoreKey, now: u64) -> Option<Stored> {
        let slot = self.slots.get(key.as_str()).filter(|slot| slot.expires_at.is_none_or(|at| at > now))?;
        Some(Stored {
            value: slot.value.clone(),
            version: Version::from_u64(slot.version),
            expires_in: slot.expires_at.map(|at| Duration::from_millis(at - now)),
        })
    }

    pub(crate) fn keys(&self) -> Vec<StoreKey> {
        self.slots.keys().map(|key| StoreKey::new(key).unwrap()).collect()
    }

    /// What is held, whether expired or not.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.slots.values().map(|slot| String::from_utf8_lossy(slot.value.as_bytes()).into_owned()).collect()
    }

    /// The kinds of the operations from the `n`-th on, in order.
    pub(crate) fn ops_from(&self, n: usize) -> String {
        self.log[n..].iter().map(|op| op.kind().name()).collect::<Vec<_>>().join(",")
    }
}

/// An engine with its store.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) store: Store,
    pub(crate) entropy: Seeded,
    pub(crate) now: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(settings: impl FnOnce(EngineBuilder) -> EngineBuilder) -> Self {
        Self::of(settings(Engine::builder(ring())).build().unwrap())
    }

    pub(crate) fn of(engine: Engine) -> Self {
        Self { engine, store: Store::default(), entropy: Seeded(7), now: 1_800_000_000_000 }
    }

    pub(crate) fn now(&self) -> UnixTime {
        UnixTime::from_millis(self.now)
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += u64::try_from(time.as_millis()).unwrap();
    }

    pub(crate) fn open(&self, cookie: &str) -> Session {
        self.engine.open([cookie.as_bytes()], &RequestInfo::new())
    }

    /// Loads what the session asks for; a load that fails is as if nothing were there.
    pub(crate) fn access<'s>(&mut self, session: &'s mut Session) -> Result<&'s mut Loaded, LoadError> {
        let mut access = session.access();
        loop {
            match access {
                Access::Ready(loaded) => return Ok(loaded),
                Access::Load(load) => {
                    let now = self.now;
                    let found = match self.store.perform(&Op::Load { key: load.key().clone() }, now) {
                        Outcome::Found(stored) => Some(stored),
                        _ => None,
                    };
                    access = load.supply(found, UnixTime::from_millis(now))?;
                }
            }
        }
    }

    /// A request that has done `edit` and is not committed.
    pub(crate) fn slow(&mut self, cookie: &str, edit: impl FnOnce(&mut Loaded)) -> Session {
        let mut session = self.open(cookie);
        edit(self.access(&mut session).unwrap());
        session
    }

    /// A whole request.
    pub(crate) fn request(&mut self, cookie: &str, edit: impl FnOnce(&mut Loaded)) -> Done {
        let session = self.slow(cookie, edit);
        self.commit(session)
    }

    /// A whole request that succeeds.
    pub(crate) fn act(&mut self, cookie: &str, edit: impl FnOnce(&mut Loaded)) {
        assert_eq!(self.request(cookie, edit).result(), Ok(()));
    }

    pub(crate) fn commit(&mut self, session: Session) -> Done {
        let mut step = session.commit(self.now(), &mut self.entropy);
        loop {
            match step {
                Step::Done(done) => return done,
                Step::Io(io) => {
                    let outcome = self.store.perform(io.op(), self.now);
                    step = io.resume(outcome, self.now());
                }
            }
        }
    }

    /// The ticket of a fresh session with `n` = 0, as a `Cookie` line.
    pub(crate) fn sign_in(&mut self) -> String {
        let done = self.request("", |loaded| loaded.insert("n", &0).unwrap());
        assert_eq!(done.result(), Ok(()));
        ticket(&done).unwrap()
    }

    /// Tells whether a ticket opens a session, without a trace.
    pub(crate) fn opens(&self, cookie: &str) -> bool {
        self.peek(cookie, |loaded| !loaded.is_new())
    }

    /// Looks at what a ticket opens, without a trace.
    pub(crate) fn peek<T>(&self, cookie: &str, look: impl FnOnce(&Loaded) -> T) -> T {
        let mut session = self.open(cookie);
        look(self.clone().access(&mut session).unwrap())
    }

    /// The key of the ticket itself.
    pub(crate) fn key(&self, cookie: &str) -> StoreKey {
        match self.open(cookie).access() {
            Access::Load(load) => load.key().clone(),
            Access::Ready(_) => panic!("no ticket of ours"),
        }
    }

    /// Damages or replaces what is under a key.
    pub(crate) fn put(&mut self, key: &StoreKey, value: impl Into<Value>) {
        let now = self.now;
        self.store.put(key, value.into(), now, Some(20 * MINUTE));
    }
}

pub(crate) fn has(done: &Done, event: Event) -> bool {
    done.events().iter().any(|seen| seen == event)
}

/// The ticket that a response sets, as a `Cookie` line.
pub(crate) fn ticket(done: &Done) -> Option<String> {
    match done.cookie() {
        CookieChange::Set(line) => line.split(';').next().map(str::to_owned),
        CookieChange::Clear(_) | CookieChange::Keep => None,
    }
}

/// The token of a `Cookie` line of one pair.
pub(crate) fn token(cookie: &str) -> &str {
    cookie.split_once('=').unwrap().1
}
