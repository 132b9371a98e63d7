//! The operations, and whether what one told follows from what the server said.

use core::time::Duration;

use cloakroom_core::{Members, Stored, Value, Version};
use cloakroom_redis::RedisStore;
use cloakroom_store::{Created, Directory as _, Removed, Store as _, StoreError, Written};

use super::{super::entry::key, server::Reply};

/// What an operation told, in short, with what it found.
pub(super) type Told = (&'static str, Option<Stored>, Members);

/// Those on sessions first, then those on indexes; the first of each only reads.
fn kind(op: u8) -> u8 {
    if op < 160 { op % 5 } else { 5 + op % 3 }
}

pub(super) async fn ask(store: &RedisStore, op: u8) -> (Told, Option<StoreError>) {
    let (key, member, value, ttl) = (key(1), key(2), Value::from(&b"new"[..]), Duration::from_secs(9));
    let version = Version::from_bytes(&b"old"[..]);
    let written = |told| match told {
        Written::Absent => ("absent", None),
        Written::Conflict(found) => ("conflict", found),
        Written::Done(_) => ("done", None),
    };
    let told: Result<(&'static str, Option<Stored>), StoreError> = match kind(op) {
        0 => store.load(&key).await.map(|found| ("loaded", found)),
        1 => store.create(&key, &value, ttl).await.map(|told| match told {
            Created::Done(_) => ("created", None),
            Created::Exists => ("exists", None),
        }),
        2 => store.replace(&key, &version, &value, ttl).await.map(written),
        3 => store.touch(&key, &version, &value, ttl).await.map(written),
        4 => store.remove(&key, &version).await.map(|told| match told {
            Removed::Absent => ("absent", None),
            Removed::Conflict(found) => ("conflict", found),
            Removed::Done => ("done", None),
        }),
        5 => {
            return match store.list(&key, 9).await {
                Ok(members) => (("listed", None, members), None),
                Err(error) => (("error", None, Members::default()), Some(error)),
            };
        }
        6 => store.enroll(&key, &member, ttl).await.map(|()| ("indexed", None)),
        _ => store.unenroll(&key, &member).await.map(|()| ("indexed", None)),
    };
    match told {
        Ok((told, found)) => ((told, found, Members::default()), None),
        Err(error) => (("error", None, Members::default()), Some(error)),
    }
}

pub(super) fn judge(op: u8, told: &Told, said: &[&Reply], error: Option<&StoreError>) {
    let last = said.last().copied();
    let holds = match (told.0, last, said) {
        ("loaded", _, [.., Reply::Bulk(value), Reply::Number(pttl)]) => told.1 == stored(value, *pttl),
        ("loaded", _, [.., Reply::Nothing, Reply::Number(_)]) => told.1.is_none(),
        ("created", Some(Reply::Okay), _) | ("exists", Some(Reply::Nothing), _) => true,
        ("absent", Some(Reply::Number(0)), _) | ("done", Some(Reply::Number(1)), _) => true,
        ("conflict", Some(Reply::Found(value, pttl)), _) => told.1 == stored(value, *pttl),
        ("indexed", Some(Reply::Number(_)), _) => true,
        ("listed", Some(Reply::Listed(total, members)), _) => {
            let keys = members.iter().map(|number| Reply::member(*number)).collect::<Option<Vec<_>>>();
            u64::try_from(*total).ok() == Some(told.2.total) && keys.as_ref() == Some(&told.2.keys)
        }
        // What only reads never writes, so that nothing of it can have happened.
        ("error", _, _) if matches!(kind(op), 0 | 5) => error.is_some_and(|error| !error.may_have_happened()),
        // Doubt is never wrong: what was sent may be lost on the way.
        ("error", _, _) if error.is_some_and(StoreError::may_have_happened) => true,
        ("error", last, _) => last.is_none_or(|last| matches!(last, Reply::Error(_) | Reply::Known(..))),
        _ => false,
    };
    assert!(holds, "{told:?} does not follow from {said:?}");
}

/// The value with what `PTTL` says of it.
fn stored(value: &[u8], pttl: i64) -> Option<Stored> {
    let expires_in = match pttl {
        -1 => None,
        left => Some(Duration::from_millis(u64::try_from(left).ok()?)),
    };
    let (value, version) = (value.into(), Version::from_bytes(value));
    Some(Stored { value, version, expires_in })
}
