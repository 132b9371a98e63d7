//! A store whose every step is asked for and answered from outside, and numbers for what stores hold.

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use cloakroom_core::{
    Codec, DecodeError, EncodeError, Engine, Entropy, EntropyError, Entry, JsonCodec, Keyring, Lifetime, Op, Outcome,
    RequestInfo, Step, StoreKey, Stored, UnixTime, Value, Version,
};
use cloakroom_store::{Created, Fault, Removed, Store, StoreError, Written};

use super::Setting;

const RING: &str = "1:primary:b2xkLfqXkm3PJVTVE_Ec7PZUR8w8ugMvAfqTKmlWcBw";
const NOW: UnixTime = UnixTime::from_millis(1_700_000_000_000);
const IDLE: Duration = Duration::from_secs(2 * 60 * 60);
/// What the move's own marks are, but for the letter and the nonce.
const MARK: &[u8] = b"\x02cloakroom moves:";
const NONCE_LEN: usize = 16;

/// Stored bytes by number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct ValueNo(pub(crate) u16);

/// Which store.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Side {
    Old,
    New,
}

/// A single step of a store, on the session's key.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Ask {
    pub(crate) side: Side,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum What {
    Create(ValueNo, u32),
    Load,
    Remove(u32),
    Replace(u32, ValueNo, u32),
    Touch(u32, u32),
}

/// What a load or a conflict brings.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Seen {
    pub(crate) value: ValueNo,
    pub(crate) version: u32,
    pub(crate) left: u32,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Answer {
    Absent,
    Conflict(Option<Seen>),
    Done(u32),
    Exists,
    Failed,
    Found(Seen),
    Removed,
    Unknown,
}

impl Ask {
    pub(crate) fn is_write(self) -> bool {
        self.what != What::Load
    }

    pub(crate) fn words(self, names: &Names) -> String {
        let Self { side, what } = self;
        match what {
            What::Create(value, ttl) => format!("{side:?} create {} for {ttl} s", names.words(value)),
            What::Replace(version, value, ttl) => {
                format!("{side:?} replace v{version} by {} for {ttl} s", names.words(value))
            }
            other => format!("{side:?} {other:?}"),
        }
    }
}

/// The engine, the session at the start, and numbers for values.
pub(crate) struct Names {
    pub(crate) setting: Setting,
    pub(crate) engine: Engine,
    pub(crate) key: StoreKey,
    pub(crate) cookie: String,
    /// The session at the start.
    pub(crate) first: ValueNo,
    pub(crate) first_ttl: u32,
    values: Arc<Mutex<Values>>,
}

#[derive(Default)]
struct Values {
    all: Vec<Value>,
    numbers: HashMap<Vec<u8>, ValueNo>,
}

impl Values {
    fn number(&mut self, value: &Value) -> ValueNo {
        if let Some(known) = self.numbers.get(value.as_bytes()) {
            return *known;
        }
        let number = ValueNo(u16::try_from(self.all.len()).unwrap());
        self.all.push(value.clone());
        self.numbers.insert(value.as_bytes().to_vec(), number);
        number
    }
}

impl Names {
    pub(crate) fn new(setting: Setting) -> Self {
        let lifetime = Lifetime::new(IDLE, 10 * IDLE);
        let mut builder = Engine::builder(RING.parse::<Keyring>().unwrap()).lifetime(lifetime).longest(lifetime);
        if setting.no_markers {
            builder = builder.codec(Markerless);
        }
        let engine = builder.build().unwrap();
        let mut session = engine.open([], &RequestInfo::new());
        let cloakroom_core::Access::Ready(loaded) = session.access() else { panic!("there is nothing to load") };
        loaded.insert("n", &0_u64).unwrap();
        let Step::Io(io) = session.commit(NOW, &mut Drawn(99)) else { panic!("it is to be stored") };
        let Op::Create { key, value, ttl } = io.op().clone() else { panic!("it is to be created") };
        let Step::Done(done) = io.resume(Outcome::Done(Version::from_u64(0)), NOW) else { panic!("it is stored") };
        let (_, line) = done.headers().find(|(name, _)| *name == "set-cookie").unwrap();
        let cookie = line.split(';').next().unwrap().to_owned();
        let values = Arc::new(Mutex::new(Values::default()));
        let first = values.lock().unwrap().number(&value);
        // A quarter of it was used up.
        let first_ttl =
            ttl.as_secs() as u32 / if setting.touches { 4 } else { 1 } * if setting.touches { 3 } else { 1 };
        Self { setting, engine, key, cookie, first, first_ttl, values }
    }

    /// The session at the start is as old as what it has left says.
    pub(crate) fn moment(&self, at: u32) -> UnixTime {
        NOW.saturating_add(Duration::from_secs(u64::from(at) + IDLE.as_secs() - u64::from(self.first_ttl)))
    }

    /// Returns a value as a store keeps it: marks that never were are counted, so that worlds are alike.
    pub(crate) fn kept(&self, value: ValueNo, marks: &mut u8) -> ValueNo {
        let mut values = self.values.lock().unwrap();
        let Some((letter, rest)) = fresh_mark(&values.all[usize::from(value.0)]) else { return value };
        *marks += 1;
        let mut counted = [0; NONCE_LEN];
        counted[0] = *marks;
        values.number(&Value::from([MARK, &[letter], &counted, &rest].concat()))
    }

    fn words(&self, value: ValueNo) -> String {
        let values = self.values.lock().unwrap();
        let bytes = values.all[usize::from(value.0)].as_bytes();
        let letter = bytes.strip_prefix(MARK).and_then(<[u8]>::first);
        match letter {
            Some(b'c') => "a claim".to_owned(),
            Some(b'f') => "what it is, frozen".to_owned(),
            Some(b'g') => "gone".to_owned(),
            _ => {
                let text = String::from_utf8_lossy(bytes);
                let at = text.find("\"data\"").or_else(|| text.find("\"kind\"")).unwrap_or_default();
                format!("#{} {}", value.0, &text[at..])
            }
        }
    }

    pub(crate) fn gates(&self) -> (Gate, Gate, Script) {
        let script = Script(Arc::new(Mutex::new(Talk::default())));
        let gate = |side| Gate { side, script: script.clone(), values: Arc::clone(&self.values) };
        (gate(Side::Old), gate(Side::New), script)
    }
}

/// What is asked and answered.
#[derive(Clone)]
pub(crate) struct Script(Arc<Mutex<Talk>>);

#[derive(Default)]
struct Talk {
    /// The answers that are to come, last first, each with when it comes.
    answers: Vec<(Answer, u32)>,
    asked: Option<Ask>,
    now: u32,
}

impl Script {
    pub(crate) fn talk(&self) -> (Option<Ask>, u32) {
        let talk = self.lock();
        (talk.asked, talk.now)
    }

    pub(crate) fn give(&self, start: u32, answers: Vec<(Answer, u32)>) {
        let mut talk = self.lock();
        talk.answers = answers;
        talk.answers.reverse();
        talk.now = start;
    }

    fn lock(&self) -> MutexGuard<'_, Talk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the two stores, as the moving store sees it.
pub(crate) struct Gate {
    side: Side,
    script: Script,
    values: Arc<Mutex<Values>>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("side", &self.side).finish_non_exhaustive()
    }
}

impl Gate {
    /// Asks; goes on once it is answered.
    async fn ask(&self, what: What) -> Result<Answer, StoreError> {
        let mut is_asked = false;
        let answer = poll_fn(|_| {
            let mut talk = self.script.lock();
            if !is_asked && let Some((answer, now)) = talk.answers.pop() {
                talk.now = now;
                return Poll::Ready(answer);
            }
            is_asked = true;
            talk.asked = Some(Ask { side: self.side, what });
            Poll::Pending
        })
        .await;
        match answer {
            Answer::Failed => Err(StoreError::failed(Fault::Unavailable)),
            Answer::Unknown => Err(StoreError::unknown(Fault::TimedOut)),
            answer => Ok(answer),
        }
    }

    /// Marks that never were are one until a store keeps them: all that counts is that they differ.
    fn number(&self, value: &Value) -> ValueNo {
        let mut values = self.values.lock().unwrap();
        match fresh_mark(value) {
            None => values.number(value),
            Some((letter, rest)) => {
                values.number(&Value::from([MARK, &[letter], &[u8::MAX; NONCE_LEN], &rest].concat()))
            }
        }
    }

    fn stored(&self, seen: Seen) -> Stored {
        Stored {
            value: self.values.lock().unwrap().all[usize::from(seen.value.0)].clone(),
            version: Version::from_u64(seen.version.into()),
            expires_in: Some(Duration::from_secs(seen.left.into())),
        }
    }

    fn written(&self, answer: Answer) -> Written {
        match answer {
            Answer::Absent => Written::Absent,
            Answer::Conflict(seen) => Written::Conflict(seen.map(|seen| self.stored(seen))),
            Answer::Done(version) => Written::Done(Version::from_u64(version.into())),
            other => panic!("{other:?}"),
        }
    }
}

/// Returns the letter of a mark with random bytes, and what follows these.
fn fresh_mark(value: &Value) -> Option<(u8, Vec<u8>)> {
    let (&letter, rest) = value.as_bytes().strip_prefix(MARK)?.split_first()?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>()?;
    nonce[1..].iter().any(|byte| *byte != 0).then(|| (letter, rest.to_vec()))
}

fn of(version: &Version) -> u32 {
    u32::try_from(version.as_u64().unwrap()).unwrap()
}

fn seconds(ttl: Duration) -> u32 {
    u32::try_from(ttl.as_secs()).unwrap()
}

impl Store for Gate {
    async fn load(&self, _: &StoreKey) -> Result<Option<Stored>, StoreError> {
        match self.ask(What::Load).await? {
            Answer::Absent => Ok(None),
            Answer::Found(seen) => Ok(Some(self.stored(seen))),
            other => panic!("{other:?}"),
        }
    }

    async fn create(&self, _: &StoreKey, value: &Value, ttl: Duration) -> Result<Created, StoreError> {
        match self.ask(What::Create(self.number(value), seconds(ttl))).await? {
            Answer::Exists => Ok(Created::Exists),
            Answer::Done(version) => Ok(Created::Done(Version::from_u64(version.into()))),
            other => panic!("{other:?}"),
        }
    }

    async fn replace(&self, _: &StoreKey, at: &Version, value: &Value, ttl: Duration) -> Result<Written, StoreError> {
        Ok(self.written(self.ask(What::Replace(of(at), self.number(value), seconds(ttl))).await?))
    }

    async fn touch(&self, _: &StoreKey, at: &Version, _: &Value, ttl: Duration) -> Result<Written, StoreError> {
        Ok(self.written(self.ask(What::Touch(of(at), seconds(ttl))).await?))
    }

    async fn remove(&self, _: &StoreKey, at: &Version) -> Result<Removed, StoreError> {
        Ok(match self.ask(What::Remove(of(at))).await? {
            Answer::Absent => Removed::Absent,
            Answer::Conflict(seen) => Removed::Conflict(seen.map(|seen| self.stored(seen))),
            Answer::Removed => Removed::Done,
            other => panic!("{other:?}"),
        })
    }
}

/// Randomness that follows from who draws.
pub(crate) struct Drawn(pub(crate) u8);

impl Entropy for Drawn {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        bytes.fill(self.0);
        self.0 += 16;
        Ok(())
    }
}

/// JSON without pointers and tombstones.
#[derive(Debug)]
struct Markerless;

impl Codec for Markerless {
    fn encode(&self, key: &StoreKey, entry: &Entry) -> Result<Vec<u8>, EncodeError> {
        match entry {
            Entry::Record(_) => JsonCodec.encode(key, entry),
            _ => Err(EncodeError),
        }
    }

    fn decode(&self, key: &StoreKey, value: &Value) -> Result<Entry, DecodeError> {
        JsonCodec.decode(key, value)
    }

    fn has_markers(&self) -> bool {
        false
    }
}
