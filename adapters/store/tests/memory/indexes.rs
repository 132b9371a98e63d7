//! Indexes of the memory store: what they count, when they go, and that they leave nothing.

use std::{sync::Arc, thread, time::Duration};

use allocation_counter::measure;
use cloakroom_core::StoreKey;
use cloakroom_store::{Created, Directory, Fault, MemoryStore, MemoryStoreBuilder, Store, StoreError};

use crate::common::{ManualRuntime, at_once, key, value};

const TTL: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);
/// Of an index and a member.
const KEYS: usize = 2 * 24;
const MEMBER: usize = MemoryStore::ENTRY_OVERHEAD + KEYS;

fn index(number: usize) -> StoreKey {
    StoreKey::new(&format!("u:{number:022}")).unwrap()
}

fn enroll(store: &MemoryStore, of: usize, member: usize, ttl: Duration) -> Result<(), StoreError> {
    at_once(store.enroll(&index(of), &key(member), ttl))
}

fn unenroll(store: &MemoryStore, of: usize, member: usize) {
    at_once(store.unenroll(&index(of), &key(member))).unwrap();
}

/// The members of an index, in the order of their keys.
fn list(store: &MemoryStore, of: usize) -> Vec<StoreKey> {
    let members = at_once(store.list(&index(of), usize::MAX)).unwrap();
    assert_eq!(members.total, members.keys.len() as u64);
    let mut keys = members.keys;
    keys.sort();
    keys
}

fn keys(numbers: impl IntoIterator<Item = usize>) -> Vec<StoreKey> {
    numbers.into_iter().map(key).collect()
}

/// A store that is not swept within a test.
fn unswept(builder: MemoryStoreBuilder) -> (ManualRuntime, MemoryStore) {
    let runtime = ManualRuntime::default();
    (runtime.clone(), builder.sweep_every(Duration::from_secs(1_000_000)).build(runtime))
}

#[track_caller]
fn assert_full(outcome: Result<(), StoreError>) {
    let error = outcome.unwrap_err();
    assert_eq!((error.fault(), error.may_have_happened()), (Fault::Full, false));
}

#[test]
fn a_member_counts_its_keys_and_no_entry() {
    let (_, store) = unswept(MemoryStore::builder());
    enroll(&store, 1, 1, TTL).unwrap();
    enroll(&store, 1, 2, TTL).unwrap();
    enroll(&store, 2, 1, TTL).unwrap();
    enroll(&store, 1, 1, 2 * TTL).unwrap();
    let metrics = store.metrics();
    assert_eq!((metrics.members, metrics.bytes, metrics.entries), (3, 3 * MEMBER, 0));
    unenroll(&store, 1, 1);
    unenroll(&store, 1, 1);
    unenroll(&store, 3, 1);
    assert_eq!((store.metrics().members, store.metrics().bytes), (2, 2 * MEMBER));
}

#[test]
fn an_enrolment_beyond_the_count_is_refused_and_drops_nobody() {
    let (_, store) = unswept(MemoryStore::builder().max_entries(50));
    for number in 0..50 {
        enroll(&store, number % 7, number, TTL).unwrap();
    }
    assert_full(enroll(&store, 1, 50, TTL));
    assert_eq!((store.metrics().members, store.metrics().refused_total), (50, 1));
    assert_eq!(list(&store, 1), keys((1..50).step_by(7)));
    // Entries have a count of their own.
    assert!(matches!(at_once(store.create(&key(1), &value(1), TTL)).unwrap(), Created::Done(_)));
}

#[test]
fn an_enrolment_beyond_the_bytes_is_refused() {
    let (_, store) = unswept(MemoryStore::builder().max_bytes(10 * MEMBER - 1));
    for number in 0..9 {
        enroll(&store, 1, number, TTL).unwrap();
    }
    assert_full(enroll(&store, 1, 9, TTL));
    assert_eq!((list(&store, 1), store.metrics().bytes), (keys(0..9), 9 * MEMBER));
    let no_room = at_once(store.create(&key(1), &value(MEMBER), TTL));
    assert_eq!(no_room.unwrap_err().fault(), Fault::Full, "entries and members share the bytes");
}

#[test]
fn a_full_store_prolongs_unenrolls_and_lists() {
    let (runtime, store) = unswept(MemoryStore::builder().max_entries(3));
    for number in 0..3 {
        enroll(&store, 1, number, TTL).unwrap();
    }
    enroll(&store, 1, 0, 3 * TTL).unwrap();
    // Which a shorter one does not take back.
    enroll(&store, 1, 0, TTL / 2).unwrap();
    unenroll(&store, 1, 1);
    enroll(&store, 1, 3, TTL).unwrap();
    assert_full(enroll(&store, 1, 4, TTL));
    assert_eq!(list(&store, 1), keys([0, 2, 3]));
    runtime.advance(TTL);
    assert_eq!(list(&store, 1), keys([0]));
}

#[test]
fn what_has_expired_makes_room_for_members_and_for_entries() {
    // More than is reclaimed at once.
    const MANY: usize = 5_000;
    let (runtime, store) = unswept(MemoryStore::builder().max_entries(MANY).max_bytes(MANY * MEMBER));
    for number in 0..MANY {
        enroll(&store, number, number, TTL).unwrap();
    }
    assert_full(enroll(&store, 0, MANY, TTL));
    runtime.advance(TTL);
    for number in MANY..2 * MANY {
        enroll(&store, number, number, TTL).unwrap();
    }
    assert_full(enroll(&store, 0, 0, TTL));
    runtime.advance(TTL);
    let whole = value(MANY * MEMBER - MemoryStore::ENTRY_OVERHEAD - 24);
    assert!(matches!(at_once(store.create(&key(0), &whole, TTL)).unwrap(), Created::Done(_)));
    assert_eq!((store.metrics().members, store.metrics().entries), (0, 1));
}

#[test]
fn a_sweep_drops_members_that_have_expired_and_nothing_else() {
    let runtime = ManualRuntime::default();
    let store = MemoryStore::new(runtime.clone());
    runtime.settle();
    for number in 0..2000 {
        let ttl = if number % 2 == 0 { MINUTE } else { MINUTE + Duration::from_nanos(1) };
        enroll(&store, number % 10, number, ttl).unwrap();
        at_once(store.create(&key(number), &value(10), ttl)).unwrap();
    }
    runtime.advance(MINUTE - Duration::from_nanos(1));
    assert_eq!(store.metrics().members, 2000);
    runtime.advance(Duration::from_nanos(1));
    let metrics = store.metrics();
    assert_eq!((metrics.members, metrics.entries, metrics.expired_total), (1000, 1000, 1000));
    for of in 0..10 {
        let left = (of..2000).step_by(10).filter(|number| number % 2 == 1);
        assert_eq!(list(&store, of), keys(left), "{of}");
    }
    runtime.advance(MINUTE);
    assert_eq!((store.metrics().members, store.metrics().bytes), (0, 0));
}

#[test]
fn sessions_find_the_indexes_of_the_store() {
    let (_, store) = unswept(MemoryStore::builder());
    assert!(store.directory().is_some() && Arc::new(store).directory().is_some());
}

#[test]
fn a_list_has_no_more_than_it_is_asked_for_and_tells_how_many_there_are() {
    let (_, store) = unswept(MemoryStore::builder());
    for member in 0..3 {
        enroll(&store, 1, member, TTL).unwrap();
    }
    for limit in 0..5 {
        let members = at_once(store.list(&index(1), limit)).unwrap();
        assert_eq!((members.keys.len(), members.total), (limit.min(3), 3));
    }
}

#[test]
fn who_was_seen_to_be_gone_stays_away_when_the_clock_is_set_back() {
    let (runtime, store) = unswept(MemoryStore::builder());
    enroll(&store, 1, 1, TTL).unwrap();
    enroll(&store, 1, 2, 2 * TTL).unwrap();
    runtime.set_clock(TTL);
    assert_eq!(list(&store, 1), keys([2]));
    runtime.set_clock(Duration::ZERO);
    assert_eq!(list(&store, 1), keys([2]));
    assert_eq!(store.metrics().members, 1);
}

#[test]
fn memory_is_steady_over_many_members_that_come_and_go() {
    const MANY: usize = 30_000;
    let runtime = ManualRuntime::default();
    let store = MemoryStore::new(runtime.clone());
    runtime.settle();
    // By every way that a member goes; most in an index of their own.
    let fill = |round: usize| {
        for number in 0..MANY {
            enroll(&store, if number % 3 == 0 { 0 } else { number }, round * MANY + number, TTL).unwrap();
        }
    };
    for round in 0..3 {
        let mut counted = 0;
        let filled = measure(|| {
            fill(round);
            counted = store.metrics().bytes;
        });
        assert_eq!(store.metrics().members, MANY);
        // The metrics promise no less than the heap holds.
        assert!(filled.bytes_current <= counted as i64, "{} > {counted}", filled.bytes_current);
        let emptied = measure(|| {
            for number in 0..MANY / 2 {
                unenroll(&store, if number % 3 == 0 { 0 } else { number }, round * MANY + number);
            }
            runtime.set_clock(TTL + u32::try_from(round).unwrap() * 2 * MINUTE);
            assert!(list(&store, 0).is_empty());
            runtime.advance(2 * MINUTE - TTL);
        });
        let metrics = store.metrics();
        assert_eq!((metrics.members, metrics.bytes), (0, 0));
        let left = filled.bytes_current + emptied.bytes_current;
        assert!(left < 16 * 1024, "round {round}: {left} bytes are left");
    }
}

#[test]
fn threads_lose_no_member() {
    const THREADS: usize = 8;
    const EACH: usize = 2_000;
    let store = MemoryStore::builder().max_entries(THREADS * EACH / 2).build(ManualRuntime::default());
    let enrolled: usize = thread::scope(|scope| {
        let each = |thread: usize| {
            let store = &store;
            scope.spawn(move || {
                // Half of them are enrolled by another as well, and all of them want more room than there is.
                let member = |number: usize| (thread / 2 * 2 + number % 2) * EACH + number;
                (0..EACH).filter(|&number| enroll(store, number % 5, member(number), TTL).is_ok()).count()
            })
        };
        let threads: Vec<_> = (0..THREADS).map(each).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let listed: usize = (0..5).map(|of| list(&store, of).len()).sum();
    assert_eq!((listed, store.metrics().members), (THREADS * EACH / 2, THREADS * EACH / 2));
    assert_eq!(store.metrics().bytes, listed * MEMBER);
    assert!(enrolled >= listed);
}
