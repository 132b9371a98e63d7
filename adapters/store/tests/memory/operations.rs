//! Each operation of the memory store, and each of its outcomes.

use std::{collections::HashSet, time::Duration};

use cloakroom_core::{Stored, Value, Version};
use cloakroom_store::{Created, MemoryStore, Removed, Store, Written};

use crate::common::{ManualRuntime, at_once, key, value};

const TTL: Duration = Duration::from_secs(60);

fn store() -> MemoryStore {
    MemoryStore::new(ManualRuntime::default())
}

fn create(store: &MemoryStore, number: usize, value: &Value) -> Version {
    match at_once(store.create(&key(number), value, TTL)).unwrap() {
        Created::Done(version) => version,
        Created::Exists => panic!("there is one"),
    }
}

fn stored(value: &Value, version: &Version) -> Stored {
    Stored { value: value.clone(), version: version.clone(), expires_in: Some(TTL) }
}

#[test]
fn load_finds_what_was_created_and_nothing_else() {
    let store = store();
    assert_eq!(at_once(store.load(&key(1))).unwrap(), None);
    let version = create(&store, 1, &value(10));
    assert_eq!(at_once(store.load(&key(1))).unwrap(), Some(stored(&value(10), &version)));
    assert_eq!(at_once(store.load(&key(2))).unwrap(), None);
}

#[test]
fn values_are_shared_and_not_copied() {
    let store = store();
    let (first, second) = (value(10), value(20));
    let version = create(&store, 1, &first);
    let found = at_once(store.load(&key(1))).unwrap().unwrap();
    assert_eq!(found.value.as_bytes().as_ptr(), first.as_bytes().as_ptr());
    at_once(store.replace(&key(1), &version, &second, TTL)).unwrap();
    let found = at_once(store.load(&key(1))).unwrap().unwrap();
    assert_eq!(found.value.as_bytes().as_ptr(), second.as_bytes().as_ptr());
}

#[test]
fn create_leaves_what_exists_alone() {
    let store = store();
    let version = create(&store, 1, &value(10));
    assert_eq!(at_once(store.create(&key(1), &value(20), TTL)).unwrap(), Created::Exists);
    assert_eq!(at_once(store.load(&key(1))).unwrap(), Some(stored(&value(10), &version)));
    assert_eq!(store.metrics().entries, 1);
}

#[test]
fn replace_stores_under_another_version() {
    let store = store();
    let first = create(&store, 1, &value(10));
    let Written::Done(second) = at_once(store.replace(&key(1), &first, &value(20), 2 * TTL)).unwrap() else { panic!() };
    assert_ne!(first, second);
    let expected = Stored { expires_in: Some(2 * TTL), ..stored(&value(20), &second) };
    assert_eq!(at_once(store.load(&key(1))).unwrap(), Some(expected));
}

#[test]
fn replace_of_what_changed_conflicts_and_brings_what_is_there() {
    let store = store();
    let first = create(&store, 1, &value(10));
    let Written::Done(second) = at_once(store.replace(&key(1), &first, &value(20), TTL)).unwrap() else { panic!() };
    let conflict = Written::Conflict(Some(stored(&value(20), &second)));
    assert_eq!(at_once(store.replace(&key(1), &first, &value(30), TTL)).unwrap(), conflict);
    assert_eq!(at_once(store.load(&key(1))).unwrap(), Some(stored(&value(20), &second)));
}

#[test]
fn replace_creates_nothing() {
    let store = store();
    let version = create(&store, 1, &value(10));
    assert_eq!(at_once(store.replace(&key(2), &version, &value(20), TTL)).unwrap(), Written::Absent);
    assert_eq!(at_once(store.load(&key(2))).unwrap(), None);
}

#[test]
fn touch_changes_the_time_to_live_alone() {
    let store = store();
    let version = create(&store, 1, &value(10));
    let touched = at_once(store.touch(&key(1), &version, &value(99), 3 * TTL)).unwrap();
    assert_eq!(touched, Written::Done(version.clone()));
    let expected = Stored { expires_in: Some(3 * TTL), ..stored(&value(10), &version) };
    assert_eq!(at_once(store.load(&key(1))).unwrap(), Some(expected));
}

#[test]
fn touch_disturbs_no_writer() {
    let store = store();
    let version = create(&store, 1, &value(10));
    at_once(store.touch(&key(1), &version, &value(10), TTL)).unwrap();
    assert!(matches!(at_once(store.replace(&key(1), &version, &value(20), TTL)).unwrap(), Written::Done(_)));
}

#[test]
fn touch_of_what_changed_conflicts_and_brings_what_is_there() {
    let store = store();
    let first = create(&store, 1, &value(10));
    let Written::Done(second) = at_once(store.replace(&key(1), &first, &value(20), TTL)).unwrap() else { panic!() };
    let conflict = Written::Conflict(Some(stored(&value(20), &second)));
    assert_eq!(at_once(store.touch(&key(1), &first, &value(10), 9 * TTL)).unwrap(), conflict);
    assert_eq!(at_once(store.load(&key(1))).unwrap(), Some(stored(&value(20), &second)));
}

#[test]
fn touch_creates_nothing() {
    let store = store();
    let version = create(&store, 1, &value(10));
    assert_eq!(at_once(store.touch(&key(2), &version, &value(10), TTL)).unwrap(), Written::Absent);
    assert_eq!(at_once(store.load(&key(2))).unwrap(), None);
}

#[test]
fn remove_takes_away_what_is_unchanged() {
    let store = store();
    let version = create(&store, 1, &value(10));
    assert_eq!(at_once(store.remove(&key(1), &version)).unwrap(), Removed::Done);
    assert_eq!(at_once(store.load(&key(1))).unwrap(), None);
    assert_eq!(at_once(store.remove(&key(1), &version)).unwrap(), Removed::Absent);
}

#[test]
fn remove_of_what_changed_conflicts_and_brings_what_is_there() {
    let store = store();
    let first = create(&store, 1, &value(10));
    let Written::Done(second) = at_once(store.replace(&key(1), &first, &value(20), TTL)).unwrap() else { panic!() };
    let conflict = Removed::Conflict(Some(stored(&value(20), &second)));
    assert_eq!(at_once(store.remove(&key(1), &first)).unwrap(), conflict);
    assert_eq!(at_once(store.load(&key(1))).unwrap(), Some(stored(&value(20), &second)));
}

#[test]
fn a_version_of_another_store_matches_nothing() {
    let store = store();
    let version = create(&store, 1, &value(10));
    let number = version.as_u64().unwrap();
    let foreign = Version::from_bytes(number.to_be_bytes().to_vec());
    assert!(matches!(at_once(store.replace(&key(1), &foreign, &value(1), TTL)).unwrap(), Written::Conflict(Some(_))));
    assert!(matches!(at_once(store.touch(&key(1), &foreign, &value(1), TTL)).unwrap(), Written::Conflict(Some(_))));
    assert!(matches!(at_once(store.remove(&key(1), &foreign)).unwrap(), Removed::Conflict(Some(_))));
}

#[test]
fn versions_never_repeat() {
    let store = store();
    let mut seen = HashSet::new();
    for round in 0..100 {
        // Each round the same bytes, under two keys, made again after a removal.
        for number in 0..2 {
            let created = create(&store, number, &value(10));
            assert!(seen.insert(created.as_u64().unwrap()), "round {round}");
            let replaced = at_once(store.replace(&key(number), &created, &value(10), TTL)).unwrap();
            let Written::Done(replaced) = replaced else { panic!("{replaced:?}") };
            assert!(seen.insert(replaced.as_u64().unwrap()), "round {round}");
            assert_eq!(at_once(store.remove(&key(number), &replaced)).unwrap(), Removed::Done);
        }
    }
}

#[test]
fn clones_are_handles_of_one_store() {
    let store = store();
    let clone = store.clone();
    let version = create(&store, 1, &value(10));
    drop(store);
    assert_eq!(at_once(clone.load(&key(1))).unwrap(), Some(stored(&value(10), &version)));
}

#[test]
fn debug_shows_neither_keys_nor_values() {
    let store = store();
    create(&store, 1234, &Value::from(b"secret".to_vec()));
    let debug = format!("{store:?}");
    assert!(debug.contains("entries: 1"), "{debug}");
    assert!(!debug.contains("1234") && !debug.contains("secret"), "{debug}");
    assert!(!debug.contains(&format!("{:?}", b"secret")), "{debug}");
}
