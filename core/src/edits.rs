//! What a request does to the data, kept so that it can be done again over what others wrote meanwhile.

use core::{error::Error, fmt};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value as Tree};
use smol_str::SmolStr;

use crate::{
    data::Data,
    json::Json,
    limits::{MAX_DATA_KEY, MAX_EDITS, MAX_PRINCIPAL},
};

/// A function from the JSON text of a value to that of its successor.
pub(crate) type UpdateFn = Box<dyn FnMut(Option<&str>) -> Result<Json, ReplayError> + Send>;
/// A function over all values.
pub(crate) type WholeFn = Box<dyn FnMut(&mut Data) -> Result<(), ReplayError> + Send>;

/// One edit, with all that is needed to do it again.
pub(crate) enum Edit {
    Clear,
    Insert(SmolStr, Json),
    Remove(SmolStr),
    Update(SmolStr, UpdateFn),
    Whole(WholeFn),
}

impl Edit {
    fn key(&self) -> Option<&SmolStr> {
        match self {
            Self::Insert(key, _) | Self::Remove(key) | Self::Update(key, _) => Some(key),
            Self::Clear | Self::Whole(_) => None,
        }
    }

    fn apply(&mut self, data: &mut Data) -> Result<(), ReplayError> {
        match self {
            Self::Clear => data.clear(),
            Self::Insert(key, value) => data.set_key(key.clone(), value.clone()),
            Self::Remove(key) => data.remove(key),
            Self::Update(key, f) => {
                let value = f(data.raw(key))?;
                data.set_key(key.clone(), value);
            }
            Self::Whole(f) => f(data)?,
        }
        Ok(())
    }
}

/// The edits of one commit in order, without those that a later one overwrites.
#[derive(Default)]
pub(crate) struct Edits(Vec<Edit>);

impl Edits {
    /// Does the edit on the data and keeps it. On an error both are as before.
    pub(crate) fn push(&mut self, mut edit: Edit, data: &mut Data) -> Result<(), EditError> {
        self.check(&edit)?;
        edit.apply(data)?;
        match &edit {
            Edit::Clear => self.0.clear(),
            Edit::Insert(key, _) | Edit::Remove(key) => {
                // Earlier edits of the key have no effect any more, back to one that looks at all keys and stays.
                let from = self.0.iter().rposition(|kept| kept.key().is_none()).unwrap_or(0);
                let mut index = 0;
                self.0.retain(|kept| {
                    index += 1;
                    index <= from || kept.key() != Some(key)
                });
            }
            Edit::Update(..) | Edit::Whole(_) => {}
        }
        self.0.push(edit);
        Ok(())
    }

    /// Keeps an update whose function made its first value already. On an error the data is as before.
    pub(crate) fn push_update(
        &mut self,
        key: &str,
        f: UpdateFn,
        first: Json,
        data: &mut Data,
    ) -> Result<(), EditError> {
        let key = SmolStr::new(key);
        let edit = Edit::Update(key.clone(), f);
        self.check(&edit)?;
        data.set_key(key, first);
        self.0.push(edit);
        Ok(())
    }

    fn check(&self, edit: &Edit) -> Result<(), EditError> {
        if edit.key().is_some_and(|key| key.len() > MAX_DATA_KEY) {
            return Err(EditError::KeyTooLong);
        }
        if self.0.len() >= MAX_EDITS && !self.is_overwritten_by(edit) {
            return Err(EditError::TooManyEdits);
        }
        Ok(())
    }

    /// Does all edits again over other data.
    pub(crate) fn replay(&mut self, data: &mut Data) -> Result<(), ReplayError> {
        self.0.iter_mut().try_for_each(|edit| edit.apply(data))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    fn is_overwritten_by(&self, edit: &Edit) -> bool {
        match edit {
            Edit::Clear => true,
            Edit::Insert(key, _) | Edit::Remove(key) => {
                self.0.iter().rev().take_while(|kept| kept.key().is_some()).any(|kept| kept.key() == Some(key))
            }
            Edit::Update(..) | Edit::Whole(_) => false,
        }
    }
}

impl fmt::Debug for Edits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Edits({})", self.0.len())
    }
}

/// Reads the whole data as one value of the user's; a field that is not there is that of the default value.
pub(crate) fn whole_from<T: Serialize + DeserializeOwned + Default>(data: &Data) -> Result<T, ReplayError> {
    let mut fields = fields_of(&T::default())?;
    for (key, raw) in data.iter() {
        match Json::read(raw) {
            Ok(tree) => fields.insert(key.to_owned(), tree),
            Err(error) if fields.contains_key(key) => return Err(error),
            // Too odd for a tree, and nothing that the type is known to have.
            Err(_) => continue,
        };
    }
    serde_json::from_value(Tree::Object(fields)).map_err(|_| ReplayError::WrongType)
}

/// What must be edited to get from one state of a user's value to another: one top-level field is one key, so that
/// requests that change different fields both keep their changes. `None` removes.
pub(crate) fn difference<T: Serialize>(before: &T, after: &T) -> Result<Vec<(String, Option<Json>)>, ReplayError> {
    let (before, after) = (fields_of(before)?, fields_of(after)?);
    if after.keys().any(|key| key.len() > MAX_DATA_KEY) {
        return Err(ReplayError::KeyTooLong);
    }
    let gone = before.keys().filter(|key| !after.contains_key(*key)).map(|key| Ok((key.clone(), None)));
    let changed = after.iter().filter(|(key, value)| before.get(*key) != Some(value));
    changed.map(|(key, value)| Ok((key.clone(), Some(Json::of(value)?)))).chain(gone).collect()
}

/// The top-level fields of a user's value.
fn fields_of<T: Serialize>(value: &T) -> Result<Map<String, Tree>, ReplayError> {
    match serde_json::to_value(value) {
        Ok(Tree::Object(fields)) => Ok(fields),
        _ => Err(ReplayError::NotJson),
    }
}

/// Why an edit could not be done, on the data as loaded or on what others wrote meanwhile.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReplayError {
    /// A field of a typed whole makes a key of more than [`MAX_DATA_KEY`] bytes.
    KeyTooLong,
    /// The value does not serialize to JSON, or a typed whole not to an object.
    NotJson,
    /// The function of a `try_update` refused.
    Refused,
    /// The value in the session is not of the type that was asked for.
    WrongType,
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyTooLong => "a field of the typed whole makes too long a key",
            Self::NotJson => "the value is no JSON, or a typed whole no object",
            Self::Refused => "the update was refused by its function",
            Self::WrongType => "the value in the session is of another type",
        })
    }
}

impl Error for ReplayError {}

/// Why an access to the session's data failed. The data is as before.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EditError {
    /// The source of randomness failed.
    Entropy,
    /// The key has more than [`MAX_DATA_KEY`] bytes.
    KeyTooLong,
    /// The lifetime is longer than the engine's longest, or later than the session's absolute deadline.
    Lifetime,
    /// Nobody is signed in.
    NotSignedIn,
    /// The user id is `null` or has more than [`MAX_PRINCIPAL`] bytes as JSON.
    Principal,
    /// The edit itself failed.
    Replay(ReplayError),
    /// The request made more than [`MAX_EDITS`] edits.
    TooManyEdits,
    /// The stored record does not decode.
    Undecodable,
}

impl From<ReplayError> for EditError {
    fn from(error: ReplayError) -> Self {
        Self::Replay(error)
    }
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entropy => f.write_str("the source of randomness failed"),
            Self::KeyTooLong => write!(f, "a key of the session's data has more than {MAX_DATA_KEY} bytes"),
            Self::Lifetime => f.write_str("the lifetime is longer than allowed; a session's can only be shortened"),
            Self::NotSignedIn => f.write_str("nobody is signed in"),
            Self::Principal => write!(f, "a user id is not null and has at most {MAX_PRINCIPAL} bytes as JSON"),
            Self::Replay(error) => error.fmt(f),
            Self::TooManyEdits => write!(f, "one request made more than {MAX_EDITS} edits"),
            Self::Undecodable => f.write_str("the stored record does not decode"),
        }
    }
}

impl Error for EditError {}
