//! What the core leaves to others, for its tests: a store, a clock, randomness and a browser's jar.

mod store;
mod users;

use std::time::Duration;

use cloakroom_core::{
    Access, Codec, CookieChange, Done, Engine, EngineBuilder, Entropy, EntropyError, Entry, Event, JsonCodec, Key,
    KeyId, Keyring, LoadError, Loaded, Op, OpKind, Outcome, Record, RequestInfo, Session, Step, StoreKey, UnixTime,
};

pub(crate) use self::{
    store::{Fault, TestStore},
    users::user,
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// SplitMix64: deterministic "randomness", for ids and for generated cases.
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
}

impl Entropy for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        bytes.fill_with(|| self.next() as u8);
        Ok(())
    }
}

/// Entropy that must not be asked.
pub(crate) struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&mut self, _: &mut [u8]) -> Result<(), EntropyError> {
        panic!("entropy was drawn");
    }
}

pub(crate) fn bytes<const N: usize>(seed: u64) -> [u8; N] {
    let mut bytes = [0; N];
    Seeded(seed).fill(&mut bytes).unwrap();
    bytes
}

pub(crate) fn key(id: u8) -> Key {
    Key::from_bytes(KeyId::new(id), &bytes::<32>(id.into())).unwrap()
}

pub(crate) fn ring() -> Keyring {
    Keyring::new(key(1))
}

/// An engine with its store.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) store: TestStore,
    pub(crate) entropy: Seeded,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(settings: impl FnOnce(EngineBuilder) -> EngineBuilder) -> Self {
        let engine = settings(Engine::builder(ring())).build().unwrap();
        Self { engine, store: TestStore::new(), entropy: Seeded(7) }
    }

    pub(crate) fn now(&self) -> UnixTime {
        UnixTime::from_millis(self.store.now)
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.store.now += time.as_millis() as u64;
    }

    pub(crate) fn open(&self, cookie: &str) -> Session {
        self.open_as(cookie, &RequestInfo::new())
    }

    pub(crate) fn open_as(&self, cookie: &str, request: &RequestInfo<'_>) -> Session {
        self.engine.open([cookie.as_bytes()], request)
    }

    pub(crate) fn access<'s>(&mut self, session: &'s mut Session) -> Result<&'s mut Loaded, LoadError> {
        let mut access = session.access();
        loop {
            match access {
                Access::Ready(loaded) => return Ok(loaded),
                Access::Load(load) => {
                    let found = match self.store.perform(&Op::Load { key: load.key().clone() }) {
                        Outcome::Found(stored) => Some(stored),
                        Outcome::Absent => None,
                        outcome => panic!("a load in an admission ended in {outcome:?}"),
                    };
                    let now = self.now();
                    access = load.supply(found, now)?;
                }
            }
        }
    }

    /// A request that has done `edit`, but is not committed yet.
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

    /// A whole request of a browser that keeps its jar.
    pub(crate) fn visit(&mut self, jar: &mut String, edit: impl FnOnce(&mut Loaded)) -> Done {
        let done = self.request(jar, edit);
        match done.cookie() {
            CookieChange::Keep => {}
            CookieChange::Clear(_) => jar.clear(),
            CookieChange::Set(line) => *jar = pair_of(line),
        }
        done
    }

    /// A visit that succeeds.
    pub(crate) fn act(&mut self, jar: &mut String, edit: impl FnOnce(&mut Loaded)) {
        assert_eq!(self.visit(jar, edit).result(), Ok(()));
    }

    /// The ticket of a fresh session with `n` = 0.
    pub(crate) fn sign_in(&mut self) -> String {
        let mut jar = String::new();
        self.act(&mut jar, |loaded| loaded.insert("n", &0).unwrap());
        self.ops();
        jar
    }

    pub(crate) fn start(&mut self, session: Session) -> Step {
        let now = self.now();
        let settled = session.settled(now);
        let step = session.commit(now, &mut self.entropy);
        if let Some(verdict) = settled {
            let Step::Done(done) = &step else { panic!("it needs an operation") };
            assert_eq!((verdict.result(), verdict.end(), verdict.cookie()), (Ok(()), None, CookieChange::Keep));
            assert_eq!((done.result(), done.end(), done.cookie()), (Ok(()), None, CookieChange::Keep));
            assert_eq!(done.events(), verdict.events());
            assert!(done.headers().eq(verdict.headers()));
        }
        step
    }

    /// Does the operation that a step asks for.
    pub(crate) fn resume(&mut self, step: Step) -> Step {
        let Step::Io(io) = step else { panic!("the commit is over") };
        let outcome = self.store.perform(io.op());
        io.resume(outcome, self.now())
    }

    pub(crate) fn finish(&mut self, mut step: Step) -> Done {
        loop {
            match step {
                Step::Done(done) => return done,
                io => step = self.resume(io),
            }
        }
    }

    pub(crate) fn commit(&mut self, session: Session) -> Done {
        let step = self.start(session);
        self.finish(step)
    }

    /// Looks at the value that a ticket opens, without a trace.
    pub(crate) fn peek(&self, cookie: &str, name: &str) -> Option<i64> {
        self.with_peeked(cookie, |loaded| loaded.get(name).unwrap())
    }

    /// Tells whether a ticket opens a session.
    pub(crate) fn opens(&self, cookie: &str) -> bool {
        self.with_peeked(cookie, |loaded| !loaded.is_new())
    }

    pub(crate) fn with_peeked<T>(&self, cookie: &str, look: impl FnOnce(&Loaded) -> T) -> T {
        let mut session = self.open(cookie);
        let mut access = session.access();
        loop {
            match access {
                Access::Ready(loaded) => return look(loaded),
                Access::Load(load) => {
                    let found = self.store.look(load.key());
                    access = load.supply(found, self.now()).unwrap();
                }
            }
        }
    }

    /// The key of the ticket itself, before any pointer.
    pub(crate) fn key(&self, cookie: &str) -> StoreKey {
        match self.open(cookie).access() {
            Access::Load(load) => load.key().clone(),
            Access::Ready(_) => panic!("no ticket of ours"),
        }
    }

    pub(crate) fn entry(&self, key: &StoreKey) -> Option<Entry> {
        self.store.look(key).map(|stored| JsonCodec.decode(key, &stored.value).unwrap())
    }

    pub(crate) fn record(&self, key: &StoreKey) -> Record {
        match self.entry(key) {
            Some(Entry::Record(record)) => *record,
            other => panic!("no record but {other:?}"),
        }
    }

    pub(crate) fn text(&self, key: &StoreKey) -> String {
        String::from_utf8(self.store.look(key).unwrap().value.as_bytes().to_vec()).unwrap()
    }

    pub(crate) fn put(&mut self, key: &StoreKey, entry: &Entry, ttl: Duration) {
        let value = JsonCodec.encode(key, entry).unwrap();
        self.store.set(key, value.into(), Some(ttl));
    }

    pub(crate) fn put_text(&mut self, key: &StoreKey, text: &str, ttl: Duration) {
        self.store.set(key, text.as_bytes().to_vec().into(), Some(ttl));
    }

    /// The keys under which a live record stands.
    pub(crate) fn live(&self) -> Vec<StoreKey> {
        let is_live = |key: &StoreKey| matches!(self.entry(key), Some(Entry::Record(_)));
        self.store.keys().into_iter().filter(is_live).collect()
    }

    /// The operations since the last call, in order.
    pub(crate) fn ops(&mut self) -> String {
        let names: Vec<_> = self.store.log[self.store.told..].iter().map(|op| OpKind::name(op.kind())).collect();
        self.store.told = self.store.log.len();
        names.join(",")
    }
}

pub(crate) fn add(by: i64) -> impl FnOnce(&mut Loaded) {
    move |loaded| {
        loaded.update("n", move |n: Option<i64>| n.unwrap_or(0) + by).unwrap();
    }
}

pub(crate) fn has(done: &Done, event: Event) -> bool {
    done.events().iter().any(|seen| seen == event)
}

/// The ticket that a response sets, as a `Cookie` line.
pub(crate) fn ticket(done: &Done) -> Option<String> {
    match done.cookie() {
        CookieChange::Set(line) => Some(pair_of(line)),
        CookieChange::Clear(_) | CookieChange::Keep => None,
    }
}

fn pair_of(line: &str) -> String {
    line.split(';').next().unwrap().to_owned()
}

/// A `Set-Cookie` line taken apart as a user agent does (RFC 6265bis, section 5.6).
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct SetCookie {
    pub(crate) name: String,
    pub(crate) value: String,
    /// Names in lower case, in order.
    pub(crate) attributes: Vec<(String, String)>,
}

impl SetCookie {
    pub(crate) fn parse(line: &str) -> Self {
        let mut parts = line.split(';');
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let attributes = parts.map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (name.trim().to_ascii_lowercase(), value.trim().to_owned())
        });
        Self { name: name.to_owned(), value: value.to_owned(), attributes: attributes.collect() }
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}
