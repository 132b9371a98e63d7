//! The operations, by number.

use core::time::Duration;

use cloakroom_core::{Value, Version};
use cloakroom_redb::RedbStore;
use cloakroom_store::{Created, Removed, Store as _, StoreError, Written};

use super::{super::entry::key, file::Row};

/// What an operation left under the key, if it was done.
pub(super) type Done = Option<Option<(u64, Vec<u8>)>>;

pub(super) async fn act(store: &RedbStore, op: u8, row: Option<&Row>, ttl: Duration) -> Result<Done, StoreError> {
    let (key, value) = (key(u64::from(op % 4)), vec![op; 3]);
    let (version, old) = match row {
        Some(Row::Whole { version, value, .. }) => (Version::from_u64(*version), value.clone()),
        _ => (Version::from_u64(1), Vec::new()),
    };
    let done = |version: &Version, value| Some(Some((version.as_u64().expect("a number"), value)));
    Ok(match op / 4 % 6 {
        0 => match store.create(&key, &Value::from(value.clone()), ttl).await? {
            Created::Done(version) => done(&version, value),
            Created::Exists => None,
        },
        1 => match store.replace(&key, &version, &Value::from(value.clone()), ttl).await? {
            Written::Done(version) => done(&version, value),
            _ => None,
        },
        2 => match store.touch(&key, &version, &Value::from(old.clone()), ttl).await? {
            Written::Done(version) => done(&version, old),
            _ => None,
        },
        3 => (store.remove(&key, &version).await? == Removed::Done).then_some(None),
        4 => store.sweep_now().await.map(|_| None)?,
        _ => None,
    })
}
