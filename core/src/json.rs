//! JSON text, checked once.

use core::fmt;
use std::{collections::BTreeMap, io};

use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned, ser};
use serde_json::value::RawValue;

use crate::edits::ReplayError;

/// The JSON text of one value, known to be well-formed.
#[derive(Clone)]
pub struct Json(Box<str>);

impl Json {
    /// Writes a value as JSON.
    ///
    /// # Errors
    ///
    /// [`ReplayError::NotJson`] when it does not serialize to JSON.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, ReplayError> {
        let mut out = Text::default();
        serde_json::to_writer(&mut out, value).map_err(|_| ReplayError::NotJson)?;
        str::from_utf8(out.written()).map(|text| Self(text.into())).map_err(|_| ReplayError::NotJson)
    }

    /// Takes a text as it is.
    ///
    /// # Errors
    ///
    /// [`ReplayError::NotJson`] when it is not one JSON value.
    pub fn parse(text: &str) -> Result<Self, ReplayError> {
        serde_json::from_str(text).map(|raw: &RawValue| Self(raw.get().into())).map_err(|_| ReplayError::NotJson)
    }

    /// Reads a text as a value of a type.
    ///
    /// # Errors
    ///
    /// [`ReplayError::WrongType`] when the text is not JSON for it.
    pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, ReplayError> {
        serde_json::from_str(text).map_err(|_| ReplayError::WrongType)
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is being written: a short one without an allocation, so that it has its place at once and not first one with room
/// for more.
struct Text {
    short: [u8; Self::SHORT],
    len: usize,
    /// All of it, where it is longer.
    long: Vec<u8>,
}

impl Text {
    /// Most have no more bytes.
    const SHORT: usize = 64;

    fn written(&self) -> &[u8] {
        if self.long.is_empty() { &self.short[..self.len] } else { &self.long }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self { short: [0; Self::SHORT], len: 0, long: Vec::new() }
    }
}

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.long.is_empty() {
            if let Some(place) = self.short.get_mut(self.len..self.len + bytes.len()) {
                place.copy_from_slice(bytes);
                self.len += bytes.len();
                return Ok(bytes.len());
            }
            self.long.reserve(4 * Self::SHORT + bytes.len());
            self.long.extend_from_slice(&self.short[..self.len]);
        }
        self.long.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tells whether two texts are the same JSON: white space, escapes and the order of members do not count; numbers are
/// the same only as text, so that none is rounded. Values that are long or nested deeper than `levels` are compared as
/// text: at worst, an equal one is written again.
pub(crate) fn is_same(a: &str, b: &str, levels: u32) -> bool {
    if a == b {
        return true;
    }
    let (Some(first), true) = (a.bytes().next(), levels > 0 && a.len().max(b.len()) <= 16 * 1024) else { return false };
    let is_same = |(a, b): (&&RawValue, &&RawValue)| is_same(a.get(), b.get(), levels - 1);
    match first {
        b'"' => both::<String>(a, b).is_some_and(|(a, b)| a == b),
        b'[' => both::<Vec<&RawValue>>(a, b).is_some_and(|(a, b)| a.len() == b.len() && a.iter().zip(&b).all(is_same)),
        b'{' => both::<BTreeMap<String, &RawValue>>(a, b)
            .is_some_and(|(a, b)| a.keys().eq(b.keys()) && a.values().zip(b.values()).all(is_same)),
        _ => false,
    }
}

fn both<'a, T: Deserialize<'a>>(a: &'a str, b: &'a str) -> Option<(T, T)> {
    serde_json::from_str(a).ok().zip(serde_json::from_str(b).ok())
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
