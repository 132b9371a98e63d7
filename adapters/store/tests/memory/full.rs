//! What the memory store does when it is full.

use std::time::Duration;

use cloakroom_core::Version;
use cloakroom_store::{Created, Fault, MemoryStore, MemoryStoreBuilder, Removed, Store, StoreError, Written};

use crate::common::{ManualRuntime, at_once, key, to_a_beginning, value};

const TTL: Duration = Duration::from_secs(10);
const KEY: usize = 24;
const ENTRY: usize = MemoryStore::ENTRY_OVERHEAD + KEY + 100;

fn builder() -> MemoryStoreBuilder {
    MemoryStore::builder().sweep_every(Duration::from_secs(1_000_000))
}

fn create(store: &MemoryStore, number: usize, bytes: usize) -> Result<Version, StoreError> {
    match at_once(store.create(&key(number), &value(bytes), TTL))? {
        Created::Done(version) => Ok(version),
        Created::Exists => panic!("there is one"),
    }
}

/// A store with as many entries of 100 bytes as fit, and the version of the first.
fn full(entries: usize, builder: MemoryStoreBuilder) -> (ManualRuntime, MemoryStore, Version) {
    let runtime = ManualRuntime::default();
    let store = builder.build(runtime.clone());
    let versions: Vec<_> = (0..entries).map(|number| create(&store, number, 100).unwrap()).collect();
    assert_eq!((store.metrics().entries, store.metrics().bytes), (entries, entries * ENTRY));
    (runtime, store, versions[0].clone())
}

#[track_caller]
fn assert_full<T>(outcome: Result<T, StoreError>) {
    let error = outcome.err().unwrap();
    assert_eq!(error.fault(), Fault::Full);
    assert!(!error.may_have_happened());
}

fn all_alive(store: &MemoryStore, entries: usize) -> bool {
    (0..entries).all(|number| at_once(store.load(&key(number))).unwrap().is_some())
}

#[test]
fn a_create_beyond_the_count_is_refused_and_evicts_nothing() {
    let (_, store, _) = full(50, builder().max_entries(50));
    assert_full(create(&store, 50, 0));
    assert_eq!(at_once(store.load(&key(50))).unwrap(), None);
    assert!(all_alive(&store, 50));
    assert_eq!((store.metrics().entries, store.metrics().refused_total), (50, 1));
}

#[test]
fn a_create_beyond_the_bytes_is_refused_and_evicts_nothing() {
    let (_, store, _) = full(50, builder().max_bytes(51 * ENTRY));
    assert_full(create(&store, 50, 101));
    assert_eq!(store.metrics().bytes, 50 * ENTRY);
    create(&store, 50, 100).unwrap();
    assert_eq!(store.metrics().bytes, 51 * ENTRY);
    assert_full(create(&store, 51, 0));
    assert!(all_alive(&store, 51));
    assert_eq!(store.metrics().refused_total, 2);
}

#[test]
fn a_create_of_what_exists_is_no_matter_of_room() {
    let (_, store, _) = full(50, builder().max_entries(50));
    assert_eq!(at_once(store.create(&key(7), &value(100), TTL)).unwrap(), Created::Exists);
    assert_eq!(store.metrics().refused_total, 0);
}

#[test]
fn a_create_that_is_larger_than_all_room_is_refused() {
    let (_, store, _) = full(1, builder().max_bytes(ENTRY));
    assert_full(create(&store, 1, ENTRY));
    assert!(all_alive(&store, 1));
}

#[test]
fn a_replace_that_grows_beyond_the_bytes_is_refused_and_changes_nothing() {
    let (_, store, version) = full(50, builder().max_bytes(50 * ENTRY + 1));
    assert_full(at_once(store.replace(&key(0), &version, &value(102), 9 * TTL)));
    let found = at_once(store.load(&key(0))).unwrap().unwrap();
    assert_eq!((found.value.len(), found.version, found.expires_in), (100, version.clone(), Some(TTL)));
    assert_eq!((store.metrics().bytes, store.metrics().refused_total), (50 * ENTRY, 1));

    let grown = at_once(store.replace(&key(0), &version, &value(101), TTL)).unwrap();
    assert!(matches!(grown, Written::Done(_)), "{grown:?}");
    assert_eq!(store.metrics().bytes, 50 * ENTRY + 1);
}

#[test]
fn a_replace_that_does_not_grow_always_works() {
    let (_, store, version) = full(50, builder().max_entries(50).max_bytes(50 * ENTRY));
    let same = at_once(store.replace(&key(0), &version, &value(100), TTL)).unwrap();
    let Written::Done(version) = same else { panic!("{same:?}") };
    let tombstone = at_once(store.replace(&key(0), &version, &value(60), TTL)).unwrap();
    assert!(matches!(tombstone, Written::Done(_)), "{tombstone:?}");
    assert_eq!(store.metrics().bytes, 50 * ENTRY - 40);
    assert_eq!(store.metrics().refused_total, 0);
}

#[test]
fn a_replace_of_what_changed_conflicts_however_large_it_is() {
    let (_, store, version) = full(2, builder().max_bytes(2 * ENTRY));
    at_once(store.replace(&key(0), &version, &value(100), TTL)).unwrap();
    let outcome = at_once(store.replace(&key(0), &version, &value(9999), TTL)).unwrap();
    assert!(matches!(outcome, Written::Conflict(Some(_))), "{outcome:?}");
    assert_eq!(at_once(store.replace(&key(9), &version, &value(9999), TTL)).unwrap(), Written::Absent);
}

#[test]
fn a_touch_and_a_remove_always_work() {
    let (_, store, version) = full(50, builder().max_entries(50).max_bytes(50 * ENTRY));
    let touched = at_once(store.touch(&key(0), &version, &value(100), 2 * TTL)).unwrap();
    let Written::Done(version) = touched else { panic!("{touched:?}") };
    assert_eq!(at_once(store.remove(&key(0), &version)).unwrap(), Removed::Done);
    create(&store, 50, 100).unwrap();
    assert_full(create(&store, 51, 100));
}

#[test]
fn the_expired_is_reclaimed_before_a_create_is_refused() {
    let (runtime, store, _) = full(1000, builder().max_entries(1000));
    runtime.advance(TTL);
    // As many as there were, whatever shard each of them is in.
    for number in 1000..2000 {
        create(&store, number, 100).unwrap();
    }
    assert_full(create(&store, 2000, 100));
    let metrics = store.metrics();
    assert_eq!((metrics.entries, metrics.expired_total, metrics.refused_total), (1000, 1000, 1));
}

#[test]
fn the_expired_is_reclaimed_before_a_replace_is_refused() {
    // More than is reclaimed at once.
    const ENTRIES: usize = 10_000;
    let (runtime, store, version) = full(ENTRIES, builder().max_bytes(ENTRIES * ENTRY));
    at_once(store.touch(&key(0), &version, &value(100), 2 * TTL)).unwrap();
    runtime.advance(TTL);
    let grown = at_once(store.replace(&key(0), &version, &value(100 + (ENTRIES - 1) * ENTRY), TTL)).unwrap();
    assert!(matches!(grown, Written::Done(_)), "{grown:?}");
    assert_eq!((store.metrics().entries, store.metrics().bytes), (1, ENTRIES * ENTRY));
}

#[test]
fn what_is_alive_is_not_reclaimed_with_the_expired() {
    let (runtime, store, version) = full(100, builder().max_entries(100));
    at_once(store.touch(&key(0), &version, &value(100), 2 * TTL)).unwrap();
    runtime.advance(TTL);
    for number in 100..199 {
        create(&store, number, 100).unwrap();
    }
    assert_full(create(&store, 199, 100));
    assert!(at_once(store.load(&key(0))).unwrap().is_some());
}

#[test]
fn the_expired_is_found_behind_many_that_expire_in_a_moment() {
    // More than are looked at under one lock.
    const SOON: usize = 10_000;
    let runtime = ManualRuntime::default();
    let store = builder().max_entries(SOON + 1).build(runtime.clone());
    to_a_beginning(&runtime);
    for number in 0..SOON {
        at_once(store.create(&key(number), &value(100), TTL + Duration::from_millis(100))).unwrap();
    }
    create(&store, SOON, 100).unwrap();
    runtime.advance(TTL - Duration::from_nanos(1));
    assert_full(create(&store, SOON + 1, 100));
    runtime.advance(Duration::from_nanos(1));
    create(&store, SOON + 1, 100).unwrap();
    assert!(all_alive(&store, SOON));
    assert_full(create(&store, SOON + 2, 100));
    runtime.advance(Duration::from_millis(100));
    create(&store, SOON + 2, 100).unwrap();
}

#[test]
fn a_store_without_room_takes_nothing() {
    let store = builder().max_entries(0).build(ManualRuntime::default());
    assert_full(create(&store, 0, 0));
    let store = builder().max_bytes(0).build(ManualRuntime::default());
    assert_full(create(&store, 0, 0));
    assert_eq!(store.metrics().entries, 0);
}
