//! Each operation of the store, and each of its outcomes.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod common;

use std::{collections::HashSet, time::Duration};

use cloakroom_core::{StoreKey, Stored, Value, Version};
use cloakroom_redb::RedbStore;
use cloakroom_store::{Created, Fault, Removed, Store, Written};

use self::common::{Case, TTL, key, stored, value};

#[tokio::test]
async fn load_finds_what_was_created_and_nothing_else() {
    let case = Case::new().await;
    assert_eq!(case.load(1).await, None);
    let version = case.create(1, &value(10), TTL).await;
    assert_eq!(case.load(1).await, Some(stored(&value(10), &version)));
    assert_eq!(case.load(2).await, None);
}

#[tokio::test]
async fn values_may_be_empty_binary_and_large() {
    let case = Case::new().await;
    let all = [Vec::new(), (0..=255).collect(), vec![0; 4096], vec![0xff; 1024 * 1024], vec![7; 20 * 1024 * 1024]];
    for (number, bytes) in all.into_iter().enumerate() {
        let value = Value::from(bytes);
        let version = case.create(number, &value, TTL).await;
        assert_eq!(case.load(number).await, Some(stored(&value, &version)));
    }
}

#[tokio::test]
async fn a_value_beyond_the_limit_is_refused_and_changes_nothing() {
    let case = Case::new().await;
    let version = case.create(1, &value(10), TTL).await;
    let huge = Value::from(vec![0; RedbStore::MAX_VALUE + 1]);
    let error = case.store.create(&key(2), &huge, TTL).await.unwrap_err();
    assert_eq!((error.fault(), error.may_have_happened()), (Fault::Refused, false));
    let error = case.store.replace(&key(1), &version, &huge, TTL).await.unwrap_err();
    assert_eq!((error.fault(), error.may_have_happened()), (Fault::Refused, false));
    assert_eq!((case.load(1).await, case.load(2).await), (Some(stored(&value(10), &version)), None));
}

#[tokio::test]
async fn keys_of_every_length_are_kept_apart() {
    let case = Case::new().await;
    let keys: Vec<_> = (1..=120).map(|len| StoreKey::new(&"k".repeat(len)).unwrap()).collect();
    for (len, key) in keys.iter().enumerate() {
        assert!(matches!(case.store.create(key, &value(len), TTL).await.unwrap(), Created::Done(_)));
    }
    for (len, key) in keys.iter().enumerate() {
        assert_eq!(case.store.load(key).await.unwrap().unwrap().value, value(len));
    }
}

#[tokio::test]
async fn create_leaves_what_exists_alone() {
    let case = Case::new().await;
    let version = case.create(1, &value(10), TTL).await;
    assert_eq!(case.store.create(&key(1), &value(20), TTL).await.unwrap(), Created::Exists);
    assert_eq!(case.load(1).await, Some(stored(&value(10), &version)));
    assert_eq!(case.store.metrics().entries, 1);
}

#[tokio::test]
async fn replace_stores_under_another_version() {
    let case = Case::new().await;
    let first = case.create(1, &value(10), TTL).await;
    let second = case.replace(1, &first, &value(20), 2 * TTL).await;
    assert_ne!(first, second);
    let expected = Stored { expires_in: Some(2 * TTL), ..stored(&value(20), &second) };
    assert_eq!(case.load(1).await, Some(expected));
}

#[tokio::test]
async fn what_changed_conflicts_and_is_brought() {
    let case = Case::new().await;
    let first = case.create(1, &value(10), TTL).await;
    let second = case.replace(1, &first, &value(20), TTL).await;
    let there = stored(&value(20), &second);
    let conflict = Written::Conflict(Some(there.clone()));
    assert_eq!(case.store.replace(&key(1), &first, &value(30), TTL).await.unwrap(), conflict);
    assert_eq!(case.store.touch(&key(1), &first, &value(10), 9 * TTL).await.unwrap(), conflict);
    let conflict = Removed::Conflict(Some(there.clone()));
    assert_eq!(case.store.remove(&key(1), &first).await.unwrap(), conflict);
    assert_eq!(case.load(1).await, Some(there));
}

#[tokio::test]
async fn what_is_not_there_is_absent_and_is_not_created() {
    let case = Case::new().await;
    let version = case.create(1, &value(10), TTL).await;
    assert_eq!(case.store.replace(&key(2), &version, &value(20), TTL).await.unwrap(), Written::Absent);
    assert_eq!(case.store.touch(&key(2), &version, &value(10), TTL).await.unwrap(), Written::Absent);
    assert_eq!(case.store.remove(&key(2), &version).await.unwrap(), Removed::Absent);
    assert_eq!(case.load(2).await, None);
}

#[tokio::test]
async fn touch_changes_the_time_to_live_alone_and_disturbs_no_writer() {
    let case = Case::new().await;
    let version = case.create(1, &value(10), TTL).await;
    let touched = case.store.touch(&key(1), &version, &value(99), 3 * TTL).await.unwrap();
    assert_eq!(touched, Written::Done(version.clone()));
    let expected = Stored { expires_in: Some(3 * TTL), ..stored(&value(10), &version) };
    assert_eq!(case.load(1).await, Some(expected));
    case.replace(1, &version, &value(20), TTL).await;
}

#[tokio::test]
async fn remove_takes_away_what_is_unchanged() {
    let case = Case::new().await;
    let version = case.create(1, &value(10), TTL).await;
    assert_eq!(case.store.remove(&key(1), &version).await.unwrap(), Removed::Done);
    assert_eq!(case.load(1).await, None);
    assert_eq!(case.store.remove(&key(1), &version).await.unwrap(), Removed::Absent);
    assert_eq!(case.store.metrics().entries, 0);
}

#[tokio::test]
async fn a_version_of_another_store_matches_nothing() {
    let case = Case::new().await;
    let number = case.create(1, &value(10), TTL).await.as_u64().unwrap();
    let foreign = Version::from_bytes(number.to_be_bytes().to_vec());
    let replaced = case.store.replace(&key(1), &foreign, &value(1), TTL).await.unwrap();
    assert!(matches!(replaced, Written::Conflict(Some(_))));
    let touched = case.store.touch(&key(1), &foreign, &value(1), TTL).await.unwrap();
    assert!(matches!(touched, Written::Conflict(Some(_))));
    assert!(matches!(case.store.remove(&key(1), &foreign).await.unwrap(), Removed::Conflict(Some(_))));
}

#[tokio::test]
async fn versions_never_repeat() {
    let case = Case::new().await;
    let mut seen = HashSet::new();
    for round in 0..20 {
        // Each round the same bytes, under two keys, made again after a removal.
        for number in 0..2 {
            let created = case.create(number, &value(10), TTL).await;
            assert!(seen.insert(created.as_u64().unwrap()), "round {round}");
            let replaced = case.replace(number, &created, &value(10), TTL).await;
            assert!(seen.insert(replaced.as_u64().unwrap()), "round {round}");
            assert_eq!(case.store.remove(&key(number), &replaced).await.unwrap(), Removed::Done);
        }
    }
}

#[tokio::test]
async fn clones_are_handles_of_one_store() {
    let case = Case::new().await;
    let clone = case.store.clone();
    let version = case.create(1, &value(10), TTL).await;
    drop(case.store);
    assert_eq!(clone.load(&key(1)).await.unwrap(), Some(stored(&value(10), &version)));
}

#[tokio::test]
async fn operations_fail_after_the_store_was_closed() {
    let case = Case::new().await;
    let version = case.create(1, &value(10), TTL).await;
    case.store.close().await;
    case.store.close().await;
    for error in [
        case.store.load(&key(1)).await.unwrap_err(),
        case.store.create(&key(2), &value(10), TTL).await.unwrap_err(),
        case.store.touch(&key(1), &version, &value(10), TTL).await.unwrap_err(),
        case.store.sweep_now().await.unwrap_err(),
    ] {
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::Unavailable, false));
    }
}

#[tokio::test]
async fn metrics_count_what_was_done() {
    let case = Case::unswept().await;
    let version = case.create(1, &value(10), TTL).await;
    case.create(2, &value(10), TTL / 2).await;
    case.store.touch(&key(1), &version, &value(10), TTL).await.unwrap();
    case.store.create(&key(1), &value(10), TTL).await.unwrap();
    let metrics = case.store.metrics();
    assert_eq!((metrics.entries, metrics.writes_total, metrics.commits_total), (2, 3, 3));
    assert_eq!((metrics.expired_total, metrics.failures_total), (0, 0));
    assert_eq!(metrics.file_bytes, std::fs::metadata(case.path()).unwrap().len());
    case.runtime.advance(TTL / 2);
    assert_eq!(case.store.sweep_now().await.unwrap(), 1);
    assert_eq!((case.store.metrics().entries, case.store.metrics().expired_total), (1, 1));
}

#[tokio::test]
async fn neither_debug_nor_errors_show_keys_and_values() {
    let case = Case::new().await;
    let value = Value::from(b"secret".to_vec());
    case.create(1234, &value, Duration::from_secs(1)).await;
    let debug = format!("{:?}", case.store);
    assert!(debug.contains("entries: 1"), "{debug}");
    case.store.close().await;
    let closed = case.store.create(&key(1234), &value, TTL).await.unwrap_err();
    std::fs::write(case.folder.path().join("other"), "secret 1234").unwrap();
    let other = RedbStore::open(case.folder.path().join("other"), case.runtime).await.unwrap_err();
    let bytes = format!("{:?}", b"secret");
    for shown in [debug, format!("{closed:?} {closed}"), format!("{other:?} {other}").replace("other", "")] {
        assert!(!shown.contains("1234") && !shown.contains("secret") && !shown.contains(&bytes), "{shown}");
    }
}
