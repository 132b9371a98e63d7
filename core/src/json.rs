//! JSON text, checked once.

use core::fmt;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned, ser};
use serde_json::value::RawValue;

use crate::edits::ReplayError;

/// The JSON text of one value, known to be well-formed.
#[derive(Clone)]
pub struct Json(String);

impl Json {
    /// Writes a value as JSON.
    ///
    /// # Errors
    ///
    /// [`ReplayError::NotJson`] when it does not serialize to JSON.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, ReplayError> {
        // As it was written, with room for more: to make it fit is another allocation, and it does not live for long.
        serde_json::to_string(value).map(Self).map_err(|_| ReplayError::NotJson)
    }

    /// Takes a text as it is.
    ///
    /// # Errors
    ///
    /// [`ReplayError::NotJson`] when it is not one JSON value.
    pub fn parse(text: &str) -> Result<Self, ReplayError> {
        serde_json::from_str(text).map(|raw: &RawValue| Self(raw.get().to_owned())).map_err(|_| ReplayError::NotJson)
    }

    /// Reads a text as a value of a type.
    ///
    /// # Errors
    ///
    /// [`ReplayError::WrongType`] when the text is not JSON for it.
    pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, ReplayError> {
        Self::read_bytes(text.as_bytes())
    }

    pub(crate) fn read_bytes<T: DeserializeOwned>(text: &[u8]) -> Result<T, ReplayError> {
        serde_json::from_slice(text).map_err(|_| ReplayError::WrongType)
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Tells whether two texts are the same JSON: white space, escapes and the order of members do not count; numbers are
/// the same only as text, so that none is rounded. Values that are long or nested deeper than `levels` are compared as
/// text: at worst, an equal one is written again.
pub(crate) fn is_same(a: &[u8], b: &[u8], levels: u32) -> bool {
    if a == b {
        return true;
    }
    let (Some(first), true) = (a.first(), levels > 0 && a.len().max(b.len()) <= 16 * 1024) else { return false };
    let is_same = |(a, b): (&&RawValue, &&RawValue)| is_same(a.get().as_bytes(), b.get().as_bytes(), levels - 1);
    match first {
        b'"' => both::<String>(a, b).is_some_and(|(a, b)| a == b),
        b'[' => both::<Vec<&RawValue>>(a, b).is_some_and(|(a, b)| a.len() == b.len() && a.iter().zip(&b).all(is_same)),
        b'{' => both::<BTreeMap<String, &RawValue>>(a, b)
            .is_some_and(|(a, b)| a.keys().eq(b.keys()) && a.values().zip(b.values()).all(is_same)),
        _ => false,
    }
}

fn both<'a, T: Deserialize<'a>>(a: &'a [u8], b: &'a [u8]) -> Option<(T, T)> {
    serde_json::from_slice(a).ok().zip(serde_json::from_slice(b).ok())
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// Values are private to the application: only their length is printed.
impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.as_str().len())
    }
}
