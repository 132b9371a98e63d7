//! What a read and a change of a session in memory come to as straight code: from the line to the store key, a map behind a
//! lock, the record, and for a change a nonce. No request, no handle that is shared, nothing that has to be decided.

use std::{
    cell::RefCell,
    collections::HashMap,
    hint::black_box,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, ensure};
use bench_kit::{COUNT_KEY, READ_KEY, Shape};
use cloakroom_core::{Codec as _, Entry, Json, JsonCodec, Lifetime, Nonce, Record, StoreKey, UnixTime, Value};

use crate::bare::Bare;

/// A session and where it is kept.
pub struct Visited {
    bare: Bare,
    kept: Mutex<HashMap<Vec<u8>, Kept>>,
    key: StoreKey,
    entry: Entry,
    value: Value,
}

struct Kept {
    value: Value,
    version: u64,
    expires: UnixTime,
}

impl Visited {
    /// Stores a session of 200 bytes that was filled and changed once, as those that the others are measured with.
    pub fn new(bare: Bare, line: &str) -> anyhow::Result<Self> {
        let now = now()?;
        let mut record = Box::new(Record::new(now, Lifetime::default()));
        for (key, text) in Shape::Small.pairs() {
            record.data.set(&key, Json::of(&text)?);
        }
        record.data.set(COUNT_KEY, Json::of(&1)?);
        for commit in 0..2u64 {
            record.commits += 1;
            record.nonces.push(Nonce::from_bytes(commit.to_be_bytes()));
        }
        let chars = bare.store_key(line)?;
        let key = StoreKey::new(str::from_utf8(&chars)?)?;
        let entry = Entry::Record(record);
        let value = Value::from(JsonCodec.encode(&key, &entry)?);
        let entry = JsonCodec.decode(&key, &value)?;
        let expires = now.saturating_add(Duration::from_secs(3600));
        let kept = Kept { value: value.clone(), version: 1, expires };
        let kept = Mutex::new(HashMap::from([(bare.key_chars(line)?.to_vec(), kept)]));
        Ok(Self { bare, kept, key, entry, value })
    }

    /// Returns the record with which it began.
    pub fn value(&self) -> Value {
        self.value.clone()
    }

    /// Reads one value.
    pub fn read(&self, line: &str) -> anyhow::Result<String> {
        let (_, record, _) = self.load(line)?;
        Ok(Json::read(record.data.raw(READ_KEY).context("no value")?)?)
    }

    /// Adds one to a number, unless the record has changed meanwhile.
    pub fn change(&self, line: &str) -> anyhow::Result<u64> {
        let (chars, mut record, version) = self.load(line)?;
        let count = Json::read::<u64>(record.data.raw(COUNT_KEY).context("no value")?)? + 1;
        record.data.set(COUNT_KEY, Json::of(&count)?);
        record.commits += 1;
        record.nonces.push(nonce()?);
        let value = Value::from(JsonCodec.encode(&self.key, &Entry::Record(record))?);
        let expires = now()?.saturating_add(Duration::from_secs(3600));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.get_mut(chars.as_slice()).context("no session")?;
        ensure!(kept.version == version, "somebody else changed it");
        *kept = Kept { value, version: version + 1, expires };
        Ok(count)
    }

    fn load(&self, line: &str) -> anyhow::Result<([u8; 22], Box<Record>, u64)> {
        let chars = self.bare.key_chars(line)?;
        let now = now()?;
        let (value, version) = {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = kept.get(chars.as_slice()).filter(|kept| now < kept.expires).context("no session")?;
            (kept.value.clone(), kept.version)
        };
        match JsonCodec.decode(&self.key, &value)? {
            Entry::Record(record) => Ok((chars, record, version)),
            Entry::Ended(_) | Entry::Moved(_) => anyhow::bail!("no record"),
        }
    }

    /// Reads the record from its bytes.
    pub fn decode(&self) {
        drop(black_box(JsonCodec.decode(&self.key, black_box(&self.value))));
    }

    /// Writes the record as bytes.
    pub fn encode(&self) {
        drop(black_box(JsonCodec.encode(&self.key, black_box(&self.entry))));
    }
}

thread_local! {
    /// Those that were drawn and are left.
    static NONCES: RefCell<Vec<[u8; Nonce::LEN]>> = const { RefCell::new(Vec::new()) };
}

/// Draws what a change is known by, of the operating system, so many at a time as it gives in one piece.
pub fn nonce() -> anyhow::Result<Nonce> {
    NONCES.with_borrow_mut(|nonces| {
        if nonces.is_empty() {
            let mut bytes = [0; 256];
            getrandom::fill(&mut bytes)?;
            nonces.extend(bytes.as_chunks().0);
        }
        nonces.pop().map(Nonce::from_bytes).context("none was drawn")
    })
}

/// Returns the time.
pub fn now() -> anyhow::Result<UnixTime> {
    Ok(UnixTime::from_millis(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64))
}
