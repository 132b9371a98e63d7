//! A session's data: string keys to JSON values, decoded when asked for, copied as bytes when unchanged.

use core::{fmt, ops::Range};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeSeed, MapAccess, Visitor},
    ser::{SerializeMap, Serializer},
};
use serde_json::value::RawValue;

use crate::{
    json::{Json, is_same},
    value::Value,
    wire::codec::DecodeError,
};

/// The data of a record: what was loaded, as bytes, and what was changed since.
///
/// Keys come in a fixed order (by bytes). The loaded bytes are shared, never copied, until the record is written.
#[derive(Clone, Default)]
pub struct Data {
    base: Base,
    changed: BTreeMap<String, Option<Json>>,
}

impl Data {
    /// Makes empty data.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the data from JSON text that lies at `place` in `bytes`, without copying.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Malformed`] when there is no JSON object, or a key stands twice in it.
    pub fn from_json(bytes: &Value, place: Range<usize>) -> Result<Self, DecodeError> {
        let text = bytes.as_bytes().get(place.clone()).ok_or(DecodeError::Malformed)?;
        let visitor = SlotsVisitor { origin: text.as_ptr() as usize, offset: place.start };
        let mut parser = serde_json::Deserializer::from_slice(text);
        let slots = parser.deserialize_map(visitor).and_then(|slots| parser.end().map(|()| slots));
        let mut slots = slots.map_err(|_| DecodeError::Malformed)?;
        slots.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        if slots.windows(2).any(|pair| pair[0].key == pair[1].key) {
            return Err(DecodeError::Malformed);
        }
        Ok(Self { base: Base { bytes: Some(bytes.clone()), slots }, changed: BTreeMap::new() })
    }

    /// Returns the JSON text of a value.
    pub fn raw(&self, key: &str) -> Option<&str> {
        match self.changed.get(key) {
            Some(change) => change.as_ref().map(Json::as_str),
            None => self.base.get(key),
        }
    }

    /// Sets a value.
    pub fn set(&mut self, key: &str, value: Json) {
        self.changed.insert(key.to_owned(), Some(value));
    }

    /// Removes a value.
    pub fn remove(&mut self, key: &str) {
        if self.base.get(key).is_some() {
            self.changed.insert(key.to_owned(), None);
        } else {
            self.changed.remove(key);
        }
    }

    /// Removes all values.
    pub fn clear(&mut self) {
        self.changed = self.base.slots.iter().map(|slot| (slot.key.to_string(), None)).collect();
    }

    /// Goes back to what was loaded.
    pub(crate) fn revert(&mut self) {
        self.changed.clear();
    }

    /// Returns the keys and the JSON text of their values, ordered by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let keys: BTreeSet<&str> = self.base.keys().chain(self.changed.keys().map(String::as_str)).collect();
        keys.into_iter().filter_map(|key| self.raw(key).map(|raw| (key, raw)))
    }

    /// Tells whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Tells whether a value differs from what was loaded, as JSON.
    pub fn is_changed(&self) -> bool {
        self.changed.iter().any(|(key, change)| match (self.base.get(key), change) {
            (Some(old), Some(new)) => !is_same(old, new.as_str(), 32),
            _ => true,
        })
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, raw) in self.iter() {
            // Every text came out of the parser or the serializer.
            let value: &RawValue = serde_json::from_str(raw).map_err(serde::ser::Error::custom)?;
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// Values are private to the application: only their number is printed.
impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({} values)", self.len())
    }
}

/// The loaded bytes and where in them the values are, sorted by key.
#[derive(Clone, Default)]
struct Base {
    bytes: Option<Value>,
    slots: Vec<Slot>,
}

#[derive(Clone)]
struct Slot {
    key: Box<str>,
    value: Range<usize>,
}

impl Base {
    fn get(&self, key: &str) -> Option<&str> {
        let index = self.slots.binary_search_by(|slot| (*slot.key).cmp(key)).ok()?;
        let bytes = self.bytes.as_ref()?.as_bytes().get(self.slots[index].value.clone())?;
        str::from_utf8(bytes).ok()
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().map(|slot| &*slot.key)
    }
}

struct SlotsVisitor {
    /// The address of the text that is parsed, to tell places from borrowed slices of it.
    origin: usize,
    /// Where that text starts in the bytes that are kept.
    offset: usize,
}

impl<'de> Visitor<'de> for SlotsVisitor {
    type Value = Vec<Slot>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Slot>, A::Error> {
        let mut slots = Vec::new();
        while let Some(key) = map.next_key_seed(CowKey)? {
            let value: &'de RawValue = map.next_value()?;
            let start = value.get().as_ptr() as usize - self.origin + self.offset;
            slots.push(Slot { key: key.into(), value: start..start + value.get().len() });
        }
        Ok(slots)
    }
}

/// Reads a key as borrowed text where it has no escapes.
pub(crate) struct CowKey;

impl<'de> DeserializeSeed<'de> for CowKey {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        #[derive(Deserialize)]
        struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
        Text::deserialize(deserializer).map(|text| text.0)
    }
}
