//! JSON text, checked once.

use core::fmt;

use serde::{Serialize, Serializer, de::DeserializeOwned};
use serde_json::value::{RawValue, to_raw_value};

use crate::edits::ReplayError;

/// The JSON text of one value, known to be well-formed.
#[derive(Clone)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Writes a value as JSON.
    ///
    /// # Errors
    ///
    /// [`ReplayError::NotJson`] when it does not serialize to JSON.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, ReplayError> {
        to_raw_value(value).map(Self).map_err(|_| ReplayError::NotJson)
    }

    /// Takes a text as it is.
    ///
    /// # Errors
    ///
    /// [`ReplayError::NotJson`] when it is not one JSON value.
    pub fn parse(text: &str) -> Result<Self, ReplayError> {
        serde_json::from_str(text).map(Self).map_err(|_| ReplayError::NotJson)
    }

    pub(crate) fn from_raw(text: &RawValue) -> Self {
        Self(text.to_owned())
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
        self.0.get()
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Values are private to the application: only their length is printed.
impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.as_str().len())
    }
}
