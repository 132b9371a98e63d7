//! Who is signed in, and since when.

use core::fmt;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    edits::{EditError, ReplayError},
    json::Json,
    limits::{MAX_LABEL, MAX_PRINCIPAL},
    time::UnixTime,
};

/// The application's user id as JSON text, of at most [`MAX_PRINCIPAL`] bytes.
///
/// Two ids are the same user only if they are the same text: `7` and `"7"` are two. `Debug` does not print it.
#[derive(Clone)]
pub struct Principal(Json);

impl Principal {
    /// Writes a user id as JSON.
    ///
    /// # Errors
    ///
    /// [`EditError::Principal`] when the text is `null` or longer than [`MAX_PRINCIPAL`] bytes, and
    /// [`ReplayError::NotJson`] when the id does not serialize to JSON.
    pub fn of<U: Serialize + ?Sized>(user: &U) -> Result<Self, EditError> {
        Self::from_json(Json::of(user)?).ok_or(EditError::Principal)
    }

    pub(crate) fn from_json(json: Json) -> Option<Self> {
        let text = json.as_str();
        (text != "null" && text.len() <= MAX_PRINCIPAL).then_some(Self(json))
    }

    /// Reads the user id.
    ///
    /// # Errors
    ///
    /// [`ReplayError::WrongType`] when it is no `U`.
    pub fn read<U: DeserializeOwned>(&self) -> Result<U, ReplayError> {
        Json::read(self.0.as_str())
    }

    /// Returns the JSON text.
    pub fn as_json(&self) -> &Json {
        &self.0
    }
}

impl Eq for Principal {}

impl PartialEq for Principal {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Principal(..)")
    }
}

/// A sign-in as it stands in a record.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignIn {
    /// Who.
    pub principal: Principal,
    /// When the session was signed in; renewals and elevations keep it.
    pub since: UnixTime,
    /// When the user last proved who they are: at the login, or at an elevation.
    pub authenticated: UnixTime,
    /// What tells the user's devices apart.
    pub label: Option<Label>,
}

impl SignIn {
    /// Makes a sign-in of this moment.
    pub fn new(principal: Principal, now: UnixTime) -> Self {
        Self { principal, since: now, authenticated: now, label: None }
    }
}

/// A text that tells a user's devices apart, of at most [`MAX_LABEL`] bytes without control characters. `Debug` does not
/// print it.
#[derive(Clone, Eq, PartialEq)]
pub struct Label(Box<str>);

impl Label {
    /// Makes a label of a text, a user agent's name for itself or the application's own: control characters are dropped,
    /// and what is too long is cut. `None` when nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        let mut label = String::new();
        let visible = text.chars().filter(|char| !char.is_control());
        for char in visible.skip_while(|char| char.is_whitespace()) {
            if label.len() + char.len_utf8() > MAX_LABEL {
                break;
            }
            label.push(char);
        }
        // Last, so that what is made of a label is the same label.
        label.truncate(label.trim_end().len());
        (!label.is_empty()).then(|| Self(label.into()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Label(..)")
    }
}
