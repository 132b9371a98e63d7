//! What a store holds under a key, and how it tells one state of it from the next.

use core::{fmt, time::Duration};
use std::sync::Arc;

/// The bytes under a key: opaque to a store, cheap to clone.
#[derive(Clone, Eq, PartialEq)]
pub struct Value(Arc<[u8]>);

impl Value {
    /// Returns the number of bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        // In one piece, without what the vector has in reserve: a store that counts bytes counts these alone.
        Self(bytes.into())
    }
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes)", self.len())
    }
}

/// Whatever a store compares to see that a value is unchanged: a CAS number, a revision column, the bytes.
///
/// A version must never come back for another value under the same key, also not after the key was removed and made
/// again. The machine only hands it back.
#[derive(Clone, Eq, PartialEq)]
pub struct Version(Repr);

#[derive(Clone, Eq, PartialEq)]
enum Repr {
    Bytes(Value),
    Number(u64),
}

impl Version {
    /// Makes a version of a number.
    pub const fn from_u64(number: u64) -> Self {
        Self(Repr::Number(number))
    }

    /// Makes a version of bytes; those of a [`Value`] are shared, not copied.
    pub fn from_bytes(bytes: impl Into<Value>) -> Self {
        Self(Repr::Bytes(bytes.into()))
    }

    /// Returns the number that this version was made of.
    pub fn as_u64(&self) -> Option<u64> {
        match self.0 {
            Repr::Bytes(_) => None,
            Repr::Number(number) => Some(number),
        }
    }

    /// Returns the bytes that this version was made of.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Repr::Bytes(bytes) => Some(bytes.as_bytes()),
            Repr::Number(_) => None,
        }
    }
}

/// Bytes may be the value itself, which is private: only their number is printed.
impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Bytes(bytes) => write!(f, "Version({} bytes)", bytes.len()),
            Repr::Number(number) => write!(f, "Version({number})"),
        }
    }
}

/// What a store found under a key.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "stores build it; a further field would change what a store must know")]
pub struct Stored {
    /// The bytes.
    pub value: Value,
    /// What a conditional write compares.
    pub version: Version,
    /// How long until the store drops it; `None` when it never does, which counts as expired.
    pub expires_in: Option<Duration>,
}
