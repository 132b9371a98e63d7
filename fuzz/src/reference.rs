use core::{fmt, time::Duration};
use std::collections::BTreeSet;

use cloakroom_core::{
    Bound, DecodeError, EndCause, Ended, Entry, Json, Label, Lifetime, Moved, Nonce, Nonces, Principal, Record, SignIn,
    StoreKey, UnixTime, Unknown, limits::MAX_UNKNOWN_FIELDS,
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Reads an entry as `JsonCodec` has to, with nothing but `serde_json`.
pub(crate) fn decode(bytes: &[u8]) -> Result<Entry, DecodeError> {
    let Members(fields) = serde_json::from_slice(bytes).map_err(malformed)?;
    // Those that are known are fewer than 24.
    if fields.len() > MAX_UNKNOWN_FIELDS + 24 {
        return Err(DecodeError::Malformed);
    }
    let fields = Fields(fields);
    let (format, kind): (u32, String) = (fields.get("format")?, fields.get("kind")?);
    match (format, kind.as_str()) {
        (1, "record") => fields.record().map(|record| Entry::Record(Box::new(record))),
        (_, "record") => Err(DecodeError::UnsupportedRecord),
        (1, "moved") => fields.moved().map(Entry::Moved).map_err(|_| DecodeError::UnsupportedMarker),
        (1, "ended") => fields.ended().map(Entry::Ended).map_err(|_| DecodeError::UnsupportedMarker),
        _ => Err(DecodeError::UnsupportedMarker),
    }
}

/// Writes the same object otherwise, and one in it: members in the reverse order, names in escapes, blanks all over.
pub(crate) fn otherwise(object: &str, inner: Option<&str>) -> String {
    let Members(members) = serde_json::from_str(object).expect("an object");
    let member = |(name, value): &(String, Box<RawValue>)| {
        let units: String = name.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        let is_inner = inner == Some(name);
        let value = if is_inner { otherwise(value.get(), None) } else { value.get().to_owned() };
        format!("\r\"{units}\"\n:\t{value} ")
    };
    format!(" {{ {} }}\n", members.iter().rev().map(member).collect::<Vec<_>>().join(" , "))
}

fn malformed<E>(_: E) -> DecodeError {
    DecodeError::Malformed
}

/// The members of an object, in their order and each once.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let (mut members, mut names) = (Vec::new(), BTreeSet::new());
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom("a name stands twice"));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Each)
    }
}

struct Fields(Vec<(String, Box<RawValue>)>);

impl Fields {
    fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.get())
    }

    fn find<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, DecodeError> {
        self.raw(name).map(|text| serde_json::from_str(text).map_err(malformed)).transpose()
    }

    fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T, DecodeError> {
        self.find(name)?.ok_or(DecodeError::Malformed)
    }

    fn time(&self, name: &str) -> Result<UnixTime, DecodeError> {
        self.get(name).map(UnixTime::from_millis)
    }

    fn key(&self, name: &str) -> Result<Option<StoreKey>, DecodeError> {
        self.find::<String>(name)?.map(|text| StoreKey::new(&text).map_err(malformed)).transpose()
    }

    fn nonce(&self, name: &str) -> Result<Nonce, DecodeError> {
        Nonce::from_text(&self.get::<String>(name)?).ok_or(DecodeError::Malformed)
    }

    fn ended(&self) -> Result<Ended, DecodeError> {
        let cause = match self.get::<String>("cause")?.as_str() {
            "destroy" => EndCause::Destroy,
            "elevation" => EndCause::Elevation,
            "login" => EndCause::Login,
            _ => return Err(DecodeError::Malformed),
        };
        Ok(Ended { by: self.nonce("by")?, cause, at: self.time("at")?, next: self.key("next")? })
    }

    fn moved(&self) -> Result<Moved, DecodeError> {
        let closes_at = self.find::<Option<u64>>("closes_at")?.flatten().map(UnixTime::from_millis);
        let to = self.key("to")?.ok_or(DecodeError::Malformed)?;
        Ok(Moved { to, closes_at, unknown: self.unknown("to closes_at")? })
    }

    fn record(&self) -> Result<Record, DecodeError> {
        let mut record = Record::new(self.time("created")?, Lifetime::new(Duration::ZERO, Duration::ZERO));
        (record.deadline, record.issued) = (self.time("deadline")?, self.time("issued")?);
        record.idle = Duration::from_millis(self.get("idle")?);
        (record.persistent, record.schema) = (self.get("persistent")?, self.get("schema")?);
        record.lineage = self.nonce("lineage")?;
        let bound = |text: String| Bound::from_text(&text).ok_or(DecodeError::Malformed);
        record.binding = self.find("binding")?.map(bound).transpose()?;
        if let Some(principal) = self.raw("principal") {
            let principal = Json::parse(principal).map_err(malformed)?;
            let mut sign_in = SignIn::new(Principal::of(&principal).map_err(malformed)?, self.time("since")?);
            sign_in.authenticated = self.time("authenticated")?;
            sign_in.label = self.find::<String>("label")?.and_then(|text| Label::new(&text));
            record.sign_in = Some(sign_in);
        }
        record.commits =
            Some(self.get("commits")?).filter(|&commits| commits <= u64::MAX / 2).ok_or(DecodeError::Malformed)?;
        let mut nonces = Nonces::default();
        for text in self.get::<Vec<String>>("nonces")? {
            nonces.push(Nonce::from_text(&text).ok_or(DecodeError::Malformed)?);
        }
        (record.nonces, record.predecessor) = (nonces, self.key("predecessor")?);
        for (name, value) in self.get::<Members>("data")?.0 {
            record.data.set(&name, Json::parse(value.get()).map_err(malformed)?);
        }
        record.unknown = self.unknown(
            "created deadline idle persistent issued lineage binding principal since authenticated label commits nonces \
             predecessor schema data",
        )?;
        Ok(record)
    }

    fn unknown(&self, known: &str) -> Result<Unknown, DecodeError> {
        let mut unknown = Unknown::default();
        for (name, value) in &self.0 {
            if !matches!(name.as_str(), "format" | "kind") && known.split(' ').all(|known| known != name) {
                unknown.push(name.clone(), Json::parse(value.get()).map_err(malformed)?);
            }
        }
        if unknown.iter().count() > MAX_UNKNOWN_FIELDS { Err(DecodeError::Malformed) } else { Ok(unknown) }
    }
}
