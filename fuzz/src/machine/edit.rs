//! What requests do to the data, twice: by the machine's calls, and on a plain map.

use core::time::Duration;
use std::collections::BTreeMap;

use cloakroom_core::{EditError, Lifetime, Loaded, limits::MAX_DATA_KEY};

use super::{
    account::Account,
    program::{Act, Call},
};

/// Data as the reference sees it: JSON texts by key.
pub(super) type Map = BTreeMap<String, String>;

/// An edit of one value, or of all.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    Add(String),
    AddToFew(String),
    Clear,
    Insert(String, String),
    Remove(String),
}

/// The most that [`Edit::AddToFew`] makes.
const FEW: u64 = 4;

/// A call on the data.
pub(super) enum Change {
    Account(Account),
    Destroy,
    DropEdits,
    Edit(Edit),
    Lifetime(Lifetime),
    Rotate,
}

impl Change {
    pub(super) fn of(call: Call) -> Self {
        if matches!(call.act(), Act::Account) {
            return Self::Account(Account::of(call));
        }
        let key = match call.by & 7 {
            7 => "k".repeat(MAX_DATA_KEY + 1),
            short => format!("k{}", short % 4),
        };
        let value = match call.by >> 3 {
            31 => "x".repeat(4096),
            30 => "text".to_owned(),
            number => return Self::numbered(call, key, number),
        };
        Self::Edit(Edit::Insert(key, format!("{value:?}")))
    }

    fn numbered(call: Call, key: String, number: u8) -> Self {
        let seconds = |number: u64| Duration::from_secs(number);
        match call.fate % 12 {
            0..=2 => Self::Edit(Edit::Add(key)),
            3 => Self::Edit(Edit::AddToFew(key)),
            4 => Self::Edit(Edit::Clear),
            5 | 6 => Self::Edit(Edit::Insert(key, number.to_string())),
            7 => Self::Edit(Edit::Remove(key)),
            8 => Self::Rotate,
            9 => Self::Destroy,
            10 => Self::DropEdits,
            _ => Self::Lifetime(match number % 4 {
                0 => Lifetime::new(seconds(1), seconds(2)),
                1 => Lifetime::new(seconds(1), seconds(3600)),
                2 => Lifetime::new(seconds(60), seconds(1800)).persistent(),
                _ => Lifetime::new(seconds(0), seconds(0)),
            }),
        }
    }
}

impl Edit {
    /// Does it by the machine's call.
    pub(super) fn make(&self, loaded: &mut Loaded) -> Result<(), EditError> {
        let one_more = |value: Option<u64>| value.unwrap_or(0).saturating_add(1);
        match self {
            Self::Add(key) => loaded.update(key, one_more).map(|_| ()),
            Self::AddToFew(key) => loaded
                .try_update(key, move |value| match one_more(value) {
                    few if few <= FEW => Ok(few),
                    _ => Err(EditError::TooManyEdits),
                })
                .map(|_| ()),
            Self::Clear => loaded.clear(),
            Self::Insert(key, json) => match json.parse::<u64>() {
                Ok(number) => loaded.insert(key, &number),
                Err(_) => loaded.insert(key, json.trim_matches('"')),
            },
            Self::Remove(key) => loaded.remove(key).map(|_| ()),
        }
    }

    /// Adds it to those that are done again; what it overwrites is not.
    pub(super) fn keep(self, edits: &mut Vec<Self>) {
        match &self {
            Self::Add(_) | Self::AddToFew(_) => {}
            Self::Clear => edits.clear(),
            Self::Insert(key, _) | Self::Remove(key) => edits.retain(|kept| kept.key() != Some(key)),
        }
        edits.push(self);
    }

    fn key(&self) -> Option<&String> {
        match self {
            Self::Add(key) | Self::AddToFew(key) | Self::Insert(key, _) | Self::Remove(key) => Some(key),
            Self::Clear => None,
        }
    }

    /// Does it on the map. Returns false, with nothing done, when it cannot be.
    pub(super) fn apply(&self, data: &mut Map) -> bool {
        let (key, most) = match self {
            Self::Add(key) => (key, u64::MAX),
            Self::AddToFew(key) => (key, FEW),
            Self::Clear => {
                data.clear();
                return true;
            }
            Self::Insert(key, json) => {
                let fits = key.len() <= MAX_DATA_KEY;
                if fits {
                    data.insert(key.clone(), json.clone());
                }
                return fits;
            }
            Self::Remove(key) => {
                data.remove(key);
                return key.len() <= MAX_DATA_KEY;
            }
        };
        let value = data.get(key).map_or(Ok(0), |json| json.parse::<u64>());
        let sum = value.ok().map(|value| value + 1).filter(|sum| *sum <= most && key.len() <= MAX_DATA_KEY);
        sum.map(|sum| data.insert(key.clone(), sum.to_string())).is_some()
    }
}
