//! Entry and stored bytes: the third of the three policies of the wire.

use core::{error::Error, fmt, time::Duration};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _, MapAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::value::RawValue;

use crate::{
    binding::Bound,
    data::{CowKey, Data},
    id::StoreKey,
    json::Json,
    lifetime::Lifetime,
    limits::MAX_UNKNOWN_FIELDS,
    principal::{Label, Principal, SignIn},
    record::{EndCause, Ended, Entry, Moved, Nonce, Record, Unknown},
    time::{UnixTime, millis},
    value::Value,
};

/// How an entry becomes the bytes that a store holds, and back.
///
/// The native codec is [`JsonCodec`]; [`SealedCodec`](crate::SealedCodec) encrypts. An implementation of one's own reads
/// another framework's records.
pub trait Codec: fmt::Debug + Send + Sync {
    /// Writes an entry.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when the format cannot express it. Nothing is then written to the store.
    fn encode(&self, key: &StoreKey, entry: &Entry) -> Result<Vec<u8>, EncodeError>;

    /// Reads an entry.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the bytes are none. That is never taken for an absent session.
    fn decode(&self, key: &StoreKey, value: &Value) -> Result<Entry, DecodeError>;

    /// Tells whether the format can express pointers and tombstones.
    ///
    /// Where it cannot, a session ends by a conditional removal, and a renewal has no grace: the old id opens nothing
    /// as soon as the new one exists, so that a lost response signs the visitor out. Nothing then renews by itself.
    fn has_markers(&self) -> bool {
        true
    }
}

/// An entry that a format cannot express.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EncodeError;

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the codec cannot express the entry")
    }
}

impl Error for EncodeError {}

/// Why stored bytes are no entry.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DecodeError {
    /// The bytes are not of this format, or damaged.
    Malformed,
    /// The bytes were not sealed with a key of the ring, or not for this key of the store.
    NotAuthentic,
    /// There are more bytes than a record may have.
    TooLarge,
    /// A pointer or a tombstone of a newer version or with a broken field, or something that is unknown.
    UnsupportedMarker,
    /// A newer version wrote a record.
    UnsupportedRecord,
}

impl DecodeError {
    /// Tells whether a session may be ended over these bytes: they are surely no pointer to a live successor.
    pub(crate) fn may_be_ended(self) -> bool {
        matches!(self, Self::Malformed | Self::TooLarge | Self::UnsupportedRecord)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the stored bytes are no entry of this format",
            Self::NotAuthentic => "the stored bytes were not sealed with a key of the ring for this place",
            Self::TooLarge => "the stored bytes are more than a record may have",
            Self::UnsupportedMarker => "the stored entry is of a newer version and not known to be a record",
            Self::UnsupportedRecord => "the stored record is of a newer version",
        })
    }
}

impl Error for DecodeError {}

/// The native codec: one JSON object, readable from every language.
///
/// `format` is 1 and `kind` is `record`, `moved` or `ended`; both keep their meaning in every later version. Times are
/// milliseconds since the Unix epoch, lengths milliseconds, nonces and keys text.
///
/// * A record has `created`, `deadline`, `idle`, `persistent`, `issued`, `lineage`, `commits`, `nonces`, `predecessor`
///   where there is one, `schema`, and `data`: an object with the application's values. Where somebody is signed in, it
///   has `principal` (the user id, any JSON but `null`), `since`, `authenticated`, and `label` where there is one;
///   `binding` where it is bound to a client. Fields that are not known are kept.
/// * A pointer has `to`, and `closes_at` once its successor's ticket was presented.
/// * A tombstone has `by`, `cause` (`destroy`, `elevation` or `login`), `at`, and `next` where there is one.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonCodec;

const FORMAT: u32 = 1;
/// No session gets there, and the counter must never stand still.
const MAX_COMMITS: u64 = u64::MAX / 2;

impl Codec for JsonCodec {
    fn encode(&self, _key: &StoreKey, entry: &Entry) -> Result<Vec<u8>, EncodeError> {
        // What is written can be read.
        let fits = match entry {
            Entry::Ended(_) => true,
            Entry::Moved(moved) => moved.unknown.iter().count() <= MAX_UNKNOWN_FIELDS,
            Entry::Record(record) => {
                record.commits <= MAX_COMMITS && record.unknown.iter().count() <= MAX_UNKNOWN_FIELDS
            }
        };
        if !fits {
            return Err(EncodeError);
        }
        serde_json::to_vec(&EntryText(entry)).map_err(|_| EncodeError)
    }

    fn decode(&self, _key: &StoreKey, value: &Value) -> Result<Entry, DecodeError> {
        let fields: Fields<'_> = serde_json::from_slice(value.as_bytes()).map_err(|_| DecodeError::Malformed)?;
        let kind: String = fields.get("kind")?;
        if fields.get::<u32>("format")? != FORMAT {
            let is_record = kind == "record";
            return Err(if is_record { DecodeError::UnsupportedRecord } else { DecodeError::UnsupportedMarker });
        }
        match kind.as_str() {
            // What may hide a live successor is not ended over.
            "ended" => fields.ended().map(Entry::Ended).map_err(|_| DecodeError::UnsupportedMarker),
            "moved" => fields.moved().map(Entry::Moved).map_err(|_| DecodeError::UnsupportedMarker),
            "record" => fields.record(value).map(|record| Entry::Record(Box::new(record))),
            _ => Err(DecodeError::UnsupportedMarker),
        }
    }
}

struct EntryText<'a>(&'a Entry);

impl Serialize for EntryText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("format", &FORMAT)?;
        let unknown = match self.0 {
            Entry::Ended(ended) => {
                map.serialize_entry("kind", "ended")?;
                map.serialize_entry("by", &ended.by.to_string())?;
                map.serialize_entry("cause", cause_name(ended.cause))?;
                map.serialize_entry("at", &ended.at.as_millis())?;
                if let Some(next) = &ended.next {
                    map.serialize_entry("next", next.as_str())?;
                }
                None
            }
            Entry::Moved(moved) => {
                map.serialize_entry("kind", "moved")?;
                map.serialize_entry("to", moved.to.as_str())?;
                if let Some(closes_at) = moved.closes_at {
                    map.serialize_entry("closes_at", &closes_at.as_millis())?;
                }
                Some(&moved.unknown)
            }
            Entry::Record(record) => {
                map.serialize_entry("kind", "record")?;
                map.serialize_entry("created", &record.created.as_millis())?;
                map.serialize_entry("deadline", &record.deadline.as_millis())?;
                map.serialize_entry("idle", &millis(record.idle))?;
                map.serialize_entry("persistent", &record.persistent)?;
                map.serialize_entry("issued", &record.issued.as_millis())?;
                map.serialize_entry("lineage", &record.lineage.to_string())?;
                if let Some(binding) = &record.binding {
                    map.serialize_entry("binding", &binding.to_text())?;
                }
                if let Some(sign_in) = &record.sign_in {
                    map.serialize_entry("principal", sign_in.principal.as_json())?;
                    map.serialize_entry("since", &sign_in.since.as_millis())?;
                    map.serialize_entry("authenticated", &sign_in.authenticated.as_millis())?;
                    if let Some(label) = &sign_in.label {
                        map.serialize_entry("label", label.as_str())?;
                    }
                }
                map.serialize_entry("commits", &record.commits)?;
                let nonces: Vec<String> = record.nonces.iter().map(|nonce| nonce.to_string()).collect();
                map.serialize_entry("nonces", &nonces)?;
                if let Some(predecessor) = &record.predecessor {
                    map.serialize_entry("predecessor", predecessor.as_str())?;
                }
                map.serialize_entry("schema", &record.schema)?;
                map.serialize_entry("data", &record.data)?;
                Some(&record.unknown)
            }
        };
        for (name, value) in unknown.into_iter().flat_map(Unknown::iter) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

const fn cause_name(cause: EndCause) -> &'static str {
    match cause {
        EndCause::Destroy => "destroy",
        EndCause::Elevation => "elevation",
        EndCause::Login => "login",
    }
}

/// The fields of an envelope as they stand in the text, each at most once.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl Fields<'_> {
    fn raw(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T, DecodeError> {
        self.find(name)?.ok_or(DecodeError::Malformed)
    }

    fn find<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, DecodeError> {
        let parse = |raw: &RawValue| serde_json::from_str(raw.get()).map_err(|_| DecodeError::Malformed);
        self.raw(name).map(parse).transpose()
    }

    fn time(&self, name: &str) -> Result<UnixTime, DecodeError> {
        self.get(name).map(UnixTime::from_millis)
    }

    fn find_key(&self, name: &str) -> Result<Option<StoreKey>, DecodeError> {
        let parse = |text: String| StoreKey::new(&text).map_err(|_| DecodeError::Malformed);
        self.find(name)?.map(parse).transpose()
    }

    fn ended(&self) -> Result<Ended, DecodeError> {
        Ok(Ended {
            by: Nonce::from_text(&self.get::<String>("by")?).ok_or(DecodeError::Malformed)?,
            cause: match self.get::<String>("cause")?.as_str() {
                "destroy" => EndCause::Destroy,
                "elevation" => EndCause::Elevation,
                "login" => EndCause::Login,
                _ => return Err(DecodeError::UnsupportedMarker),
            },
            at: self.time("at")?,
            next: self.find_key("next")?,
        })
    }

    fn moved(self) -> Result<Moved, DecodeError> {
        Ok(Moved {
            to: self.find_key("to")?.ok_or(DecodeError::Malformed)?,
            closes_at: self.find::<Option<u64>>("closes_at")?.flatten().map(UnixTime::from_millis),
            unknown: self.unknown(&["to", "closes_at"])?,
        })
    }

    fn record(self, value: &Value) -> Result<Record, DecodeError> {
        let data = self.raw("data").ok_or(DecodeError::Malformed)?.get();
        // The text was borrowed from the value, so its address tells its place.
        let start = data.as_ptr() as usize - value.as_bytes().as_ptr() as usize;
        let nonces: Vec<String> = self.get("nonces")?;
        let nonces: Option<Vec<Nonce>> = nonces.iter().map(|text| Nonce::from_text(text)).collect();
        let lifetime = Lifetime::new(Duration::ZERO, Duration::ZERO);
        let mut record = Record::new(self.time("created")?, lifetime);
        record.deadline = self.time("deadline")?;
        record.idle = Duration::from_millis(self.get("idle")?);
        record.persistent = self.get("persistent")?;
        record.issued = self.time("issued")?;
        record.lineage = Nonce::from_text(&self.get::<String>("lineage")?).ok_or(DecodeError::Malformed)?;
        let parse = |text: String| Bound::from_text(&text).ok_or(DecodeError::Malformed);
        record.binding = self.find("binding")?.map(parse).transpose()?;
        record.sign_in = self.sign_in()?;
        record.commits = self.get("commits")?;
        if record.commits > MAX_COMMITS {
            return Err(DecodeError::Malformed);
        }
        nonces.ok_or(DecodeError::Malformed)?.into_iter().for_each(|nonce| record.nonces.push(nonce));
        record.predecessor = self.find_key("predecessor")?;
        record.schema = self.get("schema")?;
        record.data = Data::from_json(value, start..start + data.len()).map_err(|_| DecodeError::Malformed)?;
        record.unknown = self.unknown(&[
            "created",
            "deadline",
            "idle",
            "persistent",
            "issued",
            "lineage",
            "binding",
            "principal",
            "since",
            "authenticated",
            "label",
            "commits",
            "nonces",
            "predecessor",
            "schema",
            "data",
        ])?;
        Ok(record)
    }

    fn sign_in(&self) -> Result<Option<SignIn>, DecodeError> {
        let Some(principal) = self.raw("principal") else { return Ok(None) };
        let principal = Principal::from_json(Json::from_raw(principal)).ok_or(DecodeError::Malformed)?;
        let mut sign_in = SignIn::new(principal, self.time("since")?);
        sign_in.authenticated = self.time("authenticated")?;
        sign_in.label = self.find::<String>("label")?.and_then(|text| Label::new(&text));
        Ok(Some(sign_in))
    }

    fn unknown(self, known: &[&str]) -> Result<Unknown, DecodeError> {
        let mut unknown = Unknown::default();
        for (name, value) in self.0 {
            if name != "format" && name != "kind" && !known.contains(&name.as_str()) {
                unknown.push(name, Json::from_raw(value));
            }
        }
        if unknown.iter().count() > MAX_UNKNOWN_FIELDS { Err(DecodeError::Malformed) } else { Ok(unknown) }
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields: Vec<(String, &'de RawValue)> = Vec::new();
                while let Some(name) = map.next_key_seed(CowKey)? {
                    // Those that are known are fewer than 24.
                    if fields.len() == MAX_UNKNOWN_FIELDS + 24 {
                        return Err(A::Error::custom("there are too many fields"));
                    }
                    if fields.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom("a field stands twice"));
                    }
                    fields.push((name.into_owned(), map.next_value()?));
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}
