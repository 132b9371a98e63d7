//! What has expired in the memory store is absent, whether it was swept or not.

use std::time::Duration;

use cloakroom_core::Version;
use cloakroom_store::{Created, MemoryStore, Removed, Store, Written};

use crate::common::{ManualRuntime, at_once, key, value};

const TTL: Duration = Duration::from_secs(10);
const NANO: Duration = Duration::from_nanos(1);

/// A store that is not swept within these tests.
fn unswept() -> (ManualRuntime, MemoryStore, Version) {
    let runtime = ManualRuntime::default();
    let store = MemoryStore::builder().sweep_every(Duration::from_secs(1_000_000)).build(runtime.clone());
    let Created::Done(version) = at_once(store.create(&key(1), &value(10), TTL)).unwrap() else { panic!() };
    (runtime, store, version)
}

fn left(store: &MemoryStore) -> Option<Duration> {
    at_once(store.load(&key(1))).unwrap().map(|stored| stored.expires_in.unwrap())
}

#[test]
fn load_tells_the_time_left() {
    let (runtime, store, _) = unswept();
    assert_eq!(left(&store), Some(TTL));
    runtime.advance(Duration::from_millis(3500));
    assert_eq!(left(&store), Some(Duration::from_millis(6500)));
    runtime.advance(Duration::from_millis(6500) - NANO);
    assert_eq!(left(&store), Some(NANO));
    runtime.advance(NANO);
    assert_eq!(left(&store), None);
}

#[test]
fn a_conflict_tells_the_time_left() {
    let (runtime, store, _) = unswept();
    runtime.advance(TTL / 4);
    let conflict = at_once(store.replace(&key(1), &Version::from_u64(0), &value(10), TTL)).unwrap();
    let Written::Conflict(Some(found)) = conflict else { panic!("{conflict:?}") };
    assert_eq!(found.expires_in, Some(TTL / 4 * 3));
}

#[test]
fn the_expired_is_absent_for_a_replace() {
    let (runtime, store, version) = unswept();
    runtime.advance(TTL);
    assert_eq!(at_once(store.replace(&key(1), &version, &value(10), TTL)).unwrap(), Written::Absent);
    assert_eq!(left(&store), None);
}

#[test]
fn the_expired_is_absent_for_a_touch() {
    let (runtime, store, version) = unswept();
    runtime.advance(TTL);
    assert_eq!(at_once(store.touch(&key(1), &version, &value(10), TTL)).unwrap(), Written::Absent);
    assert_eq!(left(&store), None);
}

#[test]
fn the_expired_is_absent_for_a_remove() {
    let (runtime, store, version) = unswept();
    runtime.advance(TTL);
    assert_eq!(at_once(store.remove(&key(1), &version)).unwrap(), Removed::Absent);
}

#[test]
fn the_expired_is_absent_for_a_create() {
    let (runtime, store, old) = unswept();
    runtime.advance(TTL);
    let created = at_once(store.create(&key(1), &value(20), TTL)).unwrap();
    let Created::Done(version) = created else { panic!("{created:?}") };
    assert_ne!(version, old);
    assert_eq!(left(&store), Some(TTL));
    assert_eq!((store.metrics().entries, store.metrics().expired_total), (1, 1));
    assert!(matches!(at_once(store.replace(&key(1), &old, &value(1), TTL)).unwrap(), Written::Conflict(Some(_))));
}

#[test]
fn what_was_seen_to_be_expired_does_not_come_back_when_the_clock_is_set_back() {
    let (runtime, store, _) = unswept();
    runtime.set_clock(TTL);
    assert_eq!(left(&store), None);
    runtime.set_clock(Duration::ZERO);
    assert_eq!(left(&store), None);
    assert_eq!(store.metrics().entries, 0);
}

#[test]
fn load_tells_no_more_than_was_set_when_the_clock_is_set_back() {
    let back = Duration::from_secs(120);
    let runtime = ManualRuntime::default();
    runtime.set_clock(2 * back);
    let store = MemoryStore::builder().sweep_every(Duration::from_secs(1_000_000)).build(runtime.clone());
    let Created::Done(version) = at_once(store.create(&key(1), &value(10), TTL)).unwrap() else { panic!() };
    runtime.set_clock(back);
    assert_eq!(left(&store), Some(TTL));
    let conflict = at_once(store.replace(&key(1), &Version::from_u64(0), &value(10), TTL)).unwrap();
    let Written::Conflict(Some(found)) = conflict else { panic!("{conflict:?}") };
    assert_eq!(found.expires_in, Some(TTL));

    at_once(store.touch(&key(1), &version, &value(10), 2 * TTL)).unwrap();
    runtime.set_clock(Duration::ZERO);
    assert_eq!(left(&store), Some(2 * TTL), "what was set last");
    runtime.set_clock(back);
    at_once(store.replace(&key(1), &version, &value(10), TTL)).unwrap();
    runtime.set_clock(Duration::ZERO);
    assert_eq!(left(&store), Some(TTL));
    runtime.set_clock(back + TTL);
    assert_eq!(left(&store), None, "and no longer than that by the clock that it was set by");
}

#[test]
fn a_replace_sets_the_time_to_live() {
    let (runtime, store, version) = unswept();
    runtime.advance(TTL - NANO);
    at_once(store.replace(&key(1), &version, &value(10), 3 * TTL)).unwrap();
    runtime.advance(2 * TTL);
    assert_eq!(left(&store), Some(TTL));
}

#[test]
fn a_touch_lengthens_and_shortens_the_time_to_live() {
    let (runtime, store, version) = unswept();
    runtime.advance(TTL - NANO);
    at_once(store.touch(&key(1), &version, &value(10), 3 * TTL)).unwrap();
    runtime.advance(2 * TTL);
    assert_eq!(left(&store), Some(TTL));
    at_once(store.touch(&key(1), &version, &value(10), NANO)).unwrap();
    assert_eq!(left(&store), Some(NANO));
    runtime.advance(NANO);
    assert_eq!(left(&store), None);
}

#[test]
fn what_is_removed_and_made_again_does_not_expire_at_the_old_time() {
    let runtime = ManualRuntime::default();
    let store = MemoryStore::builder().sweep_every(TTL).build(runtime.clone());
    runtime.settle();
    let Created::Done(version) = at_once(store.create(&key(1), &value(10), TTL)).unwrap() else { panic!() };
    assert_eq!(at_once(store.remove(&key(1), &version)).unwrap(), Removed::Done);
    assert!(matches!(at_once(store.create(&key(1), &value(10), 3 * TTL)).unwrap(), Created::Done(_)));
    runtime.advance(TTL);
    assert_eq!(left(&store), Some(2 * TTL));
}

#[test]
fn no_time_to_live_is_expired_at_once() {
    let store = MemoryStore::new(ManualRuntime::default());
    assert!(matches!(at_once(store.create(&key(1), &value(10), Duration::ZERO)).unwrap(), Created::Done(_)));
    assert_eq!(left(&store), None);
}

#[test]
fn the_longest_time_to_live_does_not_overflow() {
    let store = MemoryStore::new(ManualRuntime::default());
    assert!(matches!(at_once(store.create(&key(1), &value(10), Duration::MAX)).unwrap(), Created::Done(_)));
    let century = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    assert!(left(&store).unwrap() > century);
}
