//! Entry and stored bytes: the third of the three policies of the wire.

use core::{error::Error, fmt, time::Duration};
use std::borrow::Cow;

use crate::{
    binding::Bound,
    data::{Data, Slots},
    id::StoreKey,
    json::Json,
    lifetime::Lifetime,
    limits::MAX_UNKNOWN_FIELDS,
    principal::{Label, Principal, SignIn},
    record::{EndCause, Ended, Entry, Moved, Nonce, Nonces, Record, Unknown},
    time::{UnixTime, millis},
    value::Value,
    wire::{
        text::{NotJson, Reader, push_number, push_text},
        usual,
    },
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

impl From<NotJson> for DecodeError {
    fn from(NotJson: NotJson) -> Self {
        Self::Malformed
    }
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

/// The texts below that are written say it too.
const FORMAT: u32 = 1;
/// No session gets there, and the counter must never stand still.
pub(super) const MAX_COMMITS: u64 = u64::MAX / 2;

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
        Ok(write(entry))
    }

    fn decode(&self, _key: &StoreKey, value: &Value) -> Result<Entry, DecodeError> {
        if let Some(record) = usual::record(value) {
            return Ok(Entry::Record(record));
        }
        let mut fields = Fields::read(value.as_bytes())?;
        let format: u32 = fields.number("format")?;
        let kind = fields.text("kind")?;
        if format != FORMAT {
            let is_record = *kind == *b"record";
            return Err(if is_record { DecodeError::UnsupportedRecord } else { DecodeError::UnsupportedMarker });
        }
        match &*kind {
            // What may hide a live successor is not ended over.
            b"ended" => fields.ended().map(Entry::Ended).map_err(|_| DecodeError::UnsupportedMarker),
            b"moved" => fields.moved().map(Entry::Moved).map_err(|_| DecodeError::UnsupportedMarker),
            b"record" => fields.record(value).map(|record| Entry::Record(Box::new(record))),
            _ => Err(DecodeError::UnsupportedMarker),
        }
    }
}

/// Writes an entry, field by field in one order.
fn write(entry: &Entry) -> Vec<u8> {
    let size = match entry {
        Entry::Ended(_) | Entry::Moved(_) => 256,
        Entry::Record(record) => record.data.size_hint(),
    };
    let mut out = Out(Vec::with_capacity(size));
    let unknown = match entry {
        Entry::Ended(ended) => {
            out.nonce(b"{\"format\":1,\"kind\":\"ended\",\"by\":", ended.by);
            out.text(b",\"cause\":", cause_name(ended.cause));
            out.number(b",\"at\":", ended.at.as_millis());
            ended.next.iter().for_each(|next| out.text(b",\"next\":", next.as_str()));
            None
        }
        Entry::Moved(moved) => {
            out.text(b"{\"format\":1,\"kind\":\"moved\",\"to\":", moved.to.as_str());
            moved.closes_at.iter().for_each(|at| out.number(b",\"closes_at\":", at.as_millis()));
            Some(&moved.unknown)
        }
        Entry::Record(record) => {
            out.record(record);
            Some(&record.unknown)
        }
    };
    for (name, value) in unknown.into_iter().flat_map(Unknown::iter) {
        out.0.push(b',');
        push_text(&mut out.0, name.as_bytes());
        out.0.push(b':');
        out.0.extend_from_slice(value.as_str().as_bytes());
    }
    out.0.push(b'}');
    out.0
}

/// An object that is being written.
struct Out(Vec<u8>);

impl Out {
    fn record(&mut self, record: &Record) {
        self.number(b"{\"format\":1,\"kind\":\"record\",\"created\":", record.created.as_millis());
        self.number(b",\"deadline\":", record.deadline.as_millis());
        self.number(b",\"idle\":", millis(record.idle));
        self.raw(b",\"persistent\":", if record.persistent { "true" } else { "false" });
        self.number(b",\"issued\":", record.issued.as_millis());
        self.nonce(b",\"lineage\":", record.lineage);
        if let Some(binding) = &record.binding {
            self.text(b",\"binding\":", &binding.to_text());
        }
        if let Some(sign_in) = &record.sign_in {
            self.raw(b",\"principal\":", sign_in.principal.as_json().as_str());
            self.number(b",\"since\":", sign_in.since.as_millis());
            self.number(b",\"authenticated\":", sign_in.authenticated.as_millis());
            if let Some(label) = &sign_in.label {
                self.text(b",\"label\":", label.as_str());
            }
        }
        self.number(b",\"commits\":", record.commits);
        self.raw(b",\"nonces\":", "[");
        for (index, nonce) in record.nonces.texts().iter().enumerate() {
            if index > 0 {
                self.0.push(b',');
            }
            self.nonce_chars(nonce);
        }
        self.0.push(b']');
        if let Some(predecessor) = &record.predecessor {
            self.text(b",\"predecessor\":", predecessor.as_str());
        }
        self.number(b",\"schema\":", record.schema.into());
        self.raw(b",\"data\":", "");
        record.data.write(&mut self.0);
    }

    // Each appends what comes before a value, up to its colon, and the value. A text whose length is known costs no call.

    fn raw<const N: usize>(&mut self, before: &[u8; N], text: &str) {
        self.0.extend_from_slice(before);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn number<const N: usize>(&mut self, before: &[u8; N], number: u64) {
        self.0.extend_from_slice(before);
        push_number(&mut self.0, number);
    }

    fn nonce<const N: usize>(&mut self, before: &[u8; N], nonce: Nonce) {
        self.0.extend_from_slice(before);
        self.nonce_chars(&nonce.chars());
    }

    /// They need no escapes.
    fn nonce_chars(&mut self, chars: &[u8; Nonce::CHARS]) {
        let quoted = self.0.len();
        self.0.extend_from_slice(&[b'"'; Nonce::CHARS + 2]);
        self.0[quoted + 1..][..Nonce::CHARS].copy_from_slice(chars);
    }

    fn text<const N: usize>(&mut self, before: &[u8; N], text: &str) {
        self.0.extend_from_slice(before);
        push_text(&mut self.0, text.as_bytes());
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
struct Fields<'a> {
    fields: Vec<Field<'a>>,
    /// The values of a field `data` that is an object.
    data: Option<Slots>,
    /// After the field that was found last: they are mostly asked for in the order in which they stand.
    next: usize,
}

struct Field<'a> {
    name: Cow<'a, [u8]>,
    /// The JSON text of its value.
    bytes: &'a [u8],
    is_found: bool,
}

impl Field<'_> {
    fn is(&self, name: &[u8]) -> bool {
        // Most names differ in length or beginning.
        self.name.len() == name.len() && self.name.first() == name.first() && *self.name == *name
    }
}

/// More than a record has, so that there is room for some that are not known.
const USUAL_FIELDS: usize = 20;

impl<'a> Fields<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut found = Self { fields: Vec::with_capacity(USUAL_FIELDS), data: None, next: 0 };
        let mut reader = Reader::new(bytes);
        reader.object(|reader, name| {
            let name = name.bytes()?;
            // Those that are known are fewer than 24.
            if found.fields.len() == MAX_UNKNOWN_FIELDS + 24 || found.fields.iter().any(|field| field.is(&name)) {
                return Err(DecodeError::Malformed);
            }
            let place = match (&*name, reader.next()) {
                (b"data", Some(b'{')) => {
                    let start = reader.at();
                    found.data = Some(Slots::read(reader, 0)?);
                    start..reader.at()
                }
                _ => reader.value()?,
            };
            found.fields.push(Field { name, bytes: reader.between(place), is_found: false });
            Ok(())
        })?;
        reader.end()?;
        Ok(found)
    }

    /// Returns the JSON text of a field.
    fn find(&mut self, name: &str) -> Option<&'a [u8]> {
        let count = self.fields.len();
        let places = (self.next..count).chain(0..self.next.min(count));
        let index = places.into_iter().find(|&index| self.fields[index].is(name.as_bytes()))?;
        self.next = index + 1;
        let field = &mut self.fields[index];
        field.is_found = true;
        Some(field.bytes)
    }

    fn get(&mut self, name: &str) -> Result<&'a [u8], DecodeError> {
        self.find(name).ok_or(DecodeError::Malformed)
    }

    fn number<T: TryFrom<u64>>(&mut self, name: &str) -> Result<T, DecodeError> {
        let digit = |number: u64, byte: &u8| match byte {
            b'0'..=b'9' => number.checked_mul(10)?.checked_add((byte - b'0').into()),
            _ => None,
        };
        // It is JSON, and so has a digit.
        let number = self.get(name)?.iter().try_fold(0, digit).ok_or(DecodeError::Malformed)?;
        T::try_from(number).map_err(|_| DecodeError::Malformed)
    }

    fn time(&mut self, name: &str) -> Result<UnixTime, DecodeError> {
        self.number(name).map(UnixTime::from_millis)
    }

    /// Returns the bytes of what a text says.
    fn text(&mut self, name: &str) -> Result<Cow<'a, [u8]>, DecodeError> {
        Ok(Reader::new(self.get(name)?).text()?.bytes()?)
    }

    fn find_text(&mut self, name: &str) -> Result<Option<Cow<'a, str>>, DecodeError> {
        let Some(bytes) = self.find(name) else { return Ok(None) };
        Ok(Some(Reader::new(bytes).text()?.read()?))
    }

    fn find_key(&mut self, name: &str) -> Result<Option<StoreKey>, DecodeError> {
        let parse = |text: Cow<'_, str>| StoreKey::new(&text).map_err(|_| DecodeError::Malformed);
        self.find_text(name)?.map(parse).transpose()
    }

    fn nonce(&mut self, name: &str) -> Result<Nonce, DecodeError> {
        Nonce::from_chars(&self.text(name)?).ok_or(DecodeError::Malformed)
    }

    fn nonces(&mut self) -> Result<Nonces, DecodeError> {
        let mut nonces = Nonces::default();
        Reader::new(self.get("nonces")?).list(|reader| {
            reader.next();
            nonces.push_chars(&reader.text()?.bytes()?).ok_or(DecodeError::Malformed)
        })?;
        Ok(nonces)
    }

    fn ended(mut self) -> Result<Ended, DecodeError> {
        Ok(Ended {
            by: self.nonce("by")?,
            cause: match &*self.text("cause")? {
                b"destroy" => EndCause::Destroy,
                b"elevation" => EndCause::Elevation,
                b"login" => EndCause::Login,
                _ => return Err(DecodeError::UnsupportedMarker),
            },
            at: self.time("at")?,
            next: self.find_key("next")?,
        })
    }

    fn moved(mut self) -> Result<Moved, DecodeError> {
        let to = self.find_key("to")?.ok_or(DecodeError::Malformed)?;
        let closes_at = match self.find("closes_at") {
            None | Some(b"null") => None,
            Some(_) => Some(self.time("closes_at")?),
        };
        Ok(Moved { to, closes_at, unknown: self.unknown(&[])? })
    }

    fn record(mut self, value: &Value) -> Result<Record, DecodeError> {
        let lifetime = Lifetime::new(Duration::ZERO, Duration::ZERO);
        let mut record = Record::new(self.time("created")?, lifetime);
        record.deadline = self.time("deadline")?;
        record.idle = Duration::from_millis(self.number("idle")?);
        record.persistent = match self.get("persistent")? {
            b"false" => false,
            b"true" => true,
            _ => return Err(DecodeError::Malformed),
        };
        record.issued = self.time("issued")?;
        record.lineage = self.nonce("lineage")?;
        let parse = |text: Cow<'_, str>| Bound::from_text(&text).ok_or(DecodeError::Malformed);
        record.binding = self.find_text("binding")?.map(parse).transpose()?;
        record.sign_in = self.sign_in()?;
        record.commits = self.number("commits")?;
        if record.commits > MAX_COMMITS {
            return Err(DecodeError::Malformed);
        }
        record.nonces = self.nonces()?;
        record.predecessor = self.find_key("predecessor")?;
        record.schema = self.number("schema")?;
        self.get("data")?;
        record.data = Data::of(value, self.data.take().ok_or(DecodeError::Malformed)?)?;
        // Without a principal, what goes with one says nothing.
        record.unknown = self.unknown(&["since", "authenticated", "label"])?;
        Ok(record)
    }

    fn sign_in(&mut self) -> Result<Option<SignIn>, DecodeError> {
        let Some(principal) = self.find("principal") else { return Ok(None) };
        let principal = Principal::from_json(json(principal)?).ok_or(DecodeError::Malformed)?;
        let mut sign_in = SignIn::new(principal, self.time("since")?);
        sign_in.authenticated = self.time("authenticated")?;
        sign_in.label = self.find_text("label")?.and_then(|text| Label::new(&text));
        Ok(Some(sign_in))
    }

    /// Returns the fields that were not asked for, but for some.
    fn unknown(self, but: &[&str]) -> Result<Unknown, DecodeError> {
        let mut unknown = Unknown::default();
        let mut count = 0;
        for Field { name, bytes, is_found } in self.fields {
            if !is_found && !but.iter().any(|known| known.as_bytes() == &*name) {
                let name = String::from_utf8(name.into_owned()).map_err(|_| DecodeError::Malformed)?;
                unknown.push(name, json(bytes)?);
                count += 1;
            }
        }
        if count > MAX_UNKNOWN_FIELDS { Err(DecodeError::Malformed) } else { Ok(unknown) }
    }
}

fn json(bytes: &[u8]) -> Result<Json, DecodeError> {
    str::from_utf8(bytes).ok().and_then(|text| Json::parse(text).ok()).ok_or(DecodeError::Malformed)
}
