//! The engine of a search, and numbers for the keys and values that were met.

use core::{fmt, time::Duration};
use std::collections::HashMap;

use cloakroom_core::{
    Codec, CookiePolicy, DecodeError, EncodeError, Engine, Entropy, EntropyError, Entry, Handle, HashedKeys, JsonCodec,
    KeyScheme, Keyring, SessionId, SignedTokens, StoreKey, TokenScheme, UnixTime, Value,
};

use super::world::StoreKind;

/// A store key by number; 0 is that of the ticket at the start.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyNo(pub u8);

/// Stored bytes by number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ValueNo(pub u32);

/// When a search starts.
pub const NOW: UnixTime = UnixTime::from_millis(1_700_000_000_000);

/// Seconds since the start of the search.
pub type At = u32;

/// Returns a moment as the machine is told it.
pub fn moment(at: At) -> UnixTime {
    NOW.saturating_add(Duration::from_secs(at.into()))
}

/// How the engine and the store are set up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setting {
    /// How the store behaves where stores differ.
    pub store: StoreKind,
    /// Pointers close as soon as the successor was presented; else the usual grace later.
    pub no_grace: bool,
    /// Every request that came without a pointer renews by itself.
    pub renews: bool,
    /// The session was renewed once before, and that response was lost or is still on its way: both tickets are out.
    pub starts_renewed: bool,
    /// A request may also bring two tickets at once.
    pub two_tickets: bool,
    /// Somebody is signed in at the start; else only logins sign in.
    pub signed_in: bool,
    /// The codec can express neither pointers nor tombstones.
    pub no_markers: bool,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            (self.store.silent_conflicts, "silent conflicts"),
            (self.store.byte_versions, "versions are bytes"),
            (self.no_grace, "no grace"),
            (self.renews, "renews by itself"),
            (self.starts_renewed, "starts renewed"),
            (self.two_tickets, "two tickets"),
            (self.signed_in, "signed in"),
            (self.no_markers, "no markers"),
        ];
        let words: Vec<&str> = words.into_iter().filter_map(|(is_set, word)| is_set.then_some(word)).collect();
        f.write_str(if words.is_empty() { "as usual" } else { "" })?;
        f.write_str(&words.join(", "))
    }
}

/// What is stored under a key, as far as the rules look at it.
#[derive(Clone, Debug)]
pub enum Content {
    /// A tombstone, and the request that set it.
    Ended(u8),
    /// A pointer, and when it closes if its successor was presented.
    Moved(KeyNo, Option<At>),
    /// A record.
    Record(Held),
}

/// What a record holds, as far as the rules look at it.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// How often each edit is in it, by the edit's number.
    pub edits: Vec<(u8, u64)>,
    /// The number that every edit adds one to.
    pub sum: u64,
    /// The edit that wrote last what every edit overwrites.
    pub last: Option<u8>,
    /// The key whose pointer is to be closed.
    pub predecessor: Option<KeyNo>,
    /// The absolute deadline.
    pub deadline: At,
    /// Somebody is signed in.
    pub signed_in: bool,
}

/// The name of the number that every edit adds one to.
pub const SUM: &str = "sum";
/// The name of what every edit overwrites.
pub const LAST: &str = "last";

const RING: &str = "1:primary:b2xkLfqXkm3PJVTVE_Ec7PZUR8w8ugMvAfqTKmlWcBw";
const STRANGERS_RING: &str = "1:primary:bmV3LZIvWKNo4vJ8RFUlWsEAW0Al5iXgbDBzCkeVLzk";

/// Who signs in.
pub const USER: &str = "alice";

/// The edit that the session at the start holds.
pub const FIRST_EDIT: u8 = 99;
/// Who made the session at the start.
pub const FOUNDER: u8 = 9;
/// Who renewed it before the search, where that is part of the setting.
pub const RENEWER: u8 = 8;

/// The engine of a search, and numbers for the keys and values that were met.
#[derive(Debug)]
pub struct Names {
    pub(super) engine: Engine,
    tokens: SignedTokens,
    scheme: HashedKeys,
    minted: HashMap<StoreKey, (u8, u8)>,
    keys: Vec<StoreKey>,
    tickets: HashMap<KeyNo, String>,
    forged: String,
    values: Vec<(Value, Content)>,
    by_bytes: HashMap<Vec<u8>, ValueNo>,
}

impl Names {
    /// Builds the engine.
    pub fn new(setting: Setting) -> Self {
        let ring = || RING.parse::<Keyring>().expect("a ring");
        let mut builder = Engine::builder(ring());
        if setting.no_grace {
            builder = builder.grace(Duration::ZERO);
        }
        if setting.renews {
            builder = builder.renew_after(Duration::ZERO);
        }
        if setting.no_markers {
            builder = builder.codec(RecordsOnly);
        }
        let scheme = HashedKeys::new("main", HashedKeys::PREFIX).expect("a prefix");
        let mut minted = HashMap::new();
        for author in 0..=FOUNDER {
            for draw in 0..16 {
                let mut bytes = [0; SessionId::NATIVE_LEN];
                Drawn { author, draw }.fill(&mut bytes).expect("bytes");
                minted.insert(scheme.store_key(&SessionId::from_bytes(&bytes).expect("an id")), (author, draw));
            }
        }
        let mut forged = format!("{}=", CookiePolicy::NAME);
        let stranger: Keyring = STRANGERS_RING.parse().expect("a ring");
        let id = SessionId::from_bytes(&[7; SessionId::NATIVE_LEN]).expect("an id");
        SignedTokens::new(&stranger, "main", CookiePolicy::NAME).mint(&id, &mut forged);
        Self {
            forged,
            engine: builder.build().expect("an engine"),
            tokens: SignedTokens::new(&ring(), "main", CookiePolicy::NAME),
            scheme,
            minted,
            keys: Vec::new(),
            tickets: HashMap::new(),
            values: Vec::new(),
            by_bytes: HashMap::new(),
        }
    }

    /// Returns the number of a key.
    pub fn key_no(&mut self, key: &StoreKey) -> KeyNo {
        let known = self.keys.iter().position(|known| known == key);
        let at = known.unwrap_or_else(|| {
            self.keys.push(key.clone());
            self.keys.len() - 1
        });
        KeyNo(u8::try_from(at).expect("few keys"))
    }

    /// Returns a key by its number.
    pub fn store_key(&self, key: KeyNo) -> StoreKey {
        self.keys[usize::from(key.0)].clone()
    }

    /// Returns the key that people see as this handle.
    pub fn key_of(&self, handle: Handle) -> KeyNo {
        let at = self.keys.iter().position(|key| key.handle() == handle).expect("a known key");
        KeyNo(u8::try_from(at).expect("few keys"))
    }

    /// Tells whether the key is that of an id that the engine drew.
    pub fn is_minted(&self, key: KeyNo) -> bool {
        self.minted.contains_key(&self.keys[usize::from(key.0)])
    }

    /// Returns the key's name in a story.
    pub fn key_name(&self, key: KeyNo) -> String {
        match self.minted.get(&self.keys[usize::from(key.0)]) {
            Some((FOUNDER, _)) => "K".to_owned(),
            Some((RENEWER, _)) => "K'".to_owned(),
            // The first draw is the nonce, the second the id.
            Some((author, 1)) => format!("K{author}"),
            Some((author, draw)) => format!("K{author}.{draw}"),
            None => "a key that nobody minted".to_owned(),
        }
    }

    /// Learns the ticket in a `Set-Cookie` line. Returns its key.
    pub fn learn(&mut self, line: &str) -> KeyNo {
        let pair = line.split(';').next().unwrap_or_default();
        let token = pair.split_once('=').expect("a cookie").1;
        let id = self.tokens.verify(token.as_bytes()).expect("a ticket of ours").id;
        let key = self.key_no(&self.scheme.store_key(&id));
        self.tickets.insert(key, pair.to_owned());
        key
    }

    /// Returns the header of a request with these tickets, and beside them one that somebody made up.
    pub fn header(&self, tickets: impl IntoIterator<Item = KeyNo>) -> String {
        tickets.into_iter().fold(self.forged.clone(), |header, ticket| format!("{header}; {}", self.tickets[&ticket]))
    }

    /// Returns the number of stored bytes.
    pub fn value_no(&mut self, key: &StoreKey, value: &Value) -> ValueNo {
        if let Some(known) = self.by_bytes.get(value.as_bytes()) {
            return *known;
        }
        let content = match JsonCodec.decode(key, value).expect("an entry") {
            Entry::Ended(ended) => Content::Ended(ended.by.as_bytes()[0]),
            Entry::Moved(moved) => {
                let closes_at = moved.closes_at.map(|at| seconds(&at.since(NOW)));
                Content::Moved(self.key_no(&moved.to), closes_at)
            }
            Entry::Record(record) => {
                let mut held = Held {
                    predecessor: record.predecessor.as_ref().map(|key| self.key_no(key)),
                    deadline: seconds(&record.deadline.since(NOW)),
                    signed_in: record.sign_in.is_some(),
                    ..Held::default()
                };
                for (name, raw) in record.data.iter() {
                    match name {
                        SUM => held.sum = raw.parse().expect("a count"),
                        LAST => held.last = Some(raw.parse().expect("an edit")),
                        edit => held.edits.push((edit.parse().expect("an edit"), raw.parse().expect("a count"))),
                    }
                }
                Content::Record(held)
            }
        };
        // Numbers start at 1, so that 0 is free for "nothing".
        self.values.push((value.clone(), content));
        let number = ValueNo(u32::try_from(self.values.len()).expect("few values"));
        self.by_bytes.insert(value.as_bytes().to_vec(), number);
        number
    }

    /// Returns stored bytes.
    pub fn value(&self, number: ValueNo) -> &Value {
        &self.values[number.0 as usize - 1].0
    }

    /// Returns what stored bytes mean.
    pub fn content(&self, number: ValueNo) -> &Content {
        &self.values[number.0 as usize - 1].1
    }
}

/// Returns a length in seconds, whole as all are here.
pub fn seconds(length: &Duration) -> At {
    At::try_from(length.as_secs()).expect("short")
}

/// A codec of a format that has nothing but records.
#[derive(Debug)]
struct RecordsOnly;

impl Codec for RecordsOnly {
    fn encode(&self, key: &StoreKey, entry: &Entry) -> Result<Vec<u8>, EncodeError> {
        match entry {
            Entry::Record(_) => JsonCodec.encode(key, entry),
            Entry::Ended(_) | Entry::Moved(_) => Err(EncodeError),
        }
    }

    fn decode(&self, key: &StoreKey, value: &Value) -> Result<Entry, DecodeError> {
        JsonCodec.decode(key, value)
    }

    fn has_markers(&self) -> bool {
        false
    }
}

/// Randomness that is a function of who draws and how often.
#[derive(Debug)]
pub struct Drawn {
    /// Who draws.
    pub author: u8,
    /// The number of the next draw.
    pub draw: u8,
}

impl Entropy for Drawn {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        bytes.fill(0xa5);
        bytes[0] = self.author;
        bytes[1] = self.draw;
        self.draw += 1;
        Ok(())
    }
}
