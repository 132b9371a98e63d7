//! The memory store under threads: every operation is one atomic step, and both bounds are exact.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use cloakroom_core::{Value, Version};
use cloakroom_store::{Created, MemoryStore, Removed, Store, Written};

use crate::common::{ManualRuntime, at_once, key, value};

const TTL: Duration = Duration::from_secs(60);
const THREADS: usize = 8;

/// Runs a function on several threads that begin together, and sums up what they return.
fn together(function: impl Fn(usize) -> usize + Sync) -> usize {
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        let each = |thread| {
            let (barrier, function) = (&barrier, &function);
            scope.spawn(move || {
                barrier.wait();
                function(thread)
            })
        };
        let threads: Vec<_> = (0..THREADS).map(each).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

fn number(value: &Value) -> usize {
    usize::from_le_bytes(value.as_bytes().try_into().unwrap())
}

#[test]
fn exactly_one_create_wins() {
    let store = MemoryStore::new(ManualRuntime::default());
    for round in 0..500 {
        let won = together(|thread| {
            let created = at_once(store.create(&key(round), &value(thread), TTL)).unwrap();
            usize::from(matches!(created, Created::Done(_)))
        });
        assert_eq!(won, 1, "round {round}");
    }
    assert_eq!(store.metrics().entries, 500);
}

#[test]
fn exactly_one_replace_and_one_remove_of_a_version_win() {
    let store = MemoryStore::new(ManualRuntime::default());
    for round in 0..500 {
        let Created::Done(version) = at_once(store.create(&key(1), &value(1), TTL)).unwrap() else { panic!() };
        let won = together(|thread| {
            let replaced = at_once(store.replace(&key(1), &version, &value(thread), TTL)).unwrap();
            usize::from(matches!(replaced, Written::Done(_)))
        });
        assert_eq!(won, 1, "round {round}");
        let version = at_once(store.load(&key(1))).unwrap().unwrap().version;
        let won = together(|_| usize::from(at_once(store.remove(&key(1), &version)).unwrap() == Removed::Done));
        assert_eq!(won, 1, "round {round}");
    }
}

#[test]
fn compare_and_swap_loses_no_increment() {
    const EACH: usize = 2000;
    let store = MemoryStore::new(ManualRuntime::default());
    let value_of = |number: usize| Value::from(number.to_le_bytes().to_vec());
    at_once(store.create(&key(1), &value_of(0), TTL)).unwrap();
    together(|_| {
        for _ in 0..EACH {
            let mut found = at_once(store.load(&key(1))).unwrap().unwrap();
            loop {
                let more = value_of(number(&found.value) + 1);
                match at_once(store.replace(&key(1), &found.version, &more, TTL)).unwrap() {
                    Written::Conflict(Some(there)) => found = there,
                    Written::Done(_) => break,
                    other => panic!("{other:?}"),
                }
            }
        }
        0
    });
    let found = at_once(store.load(&key(1))).unwrap().unwrap();
    assert_eq!(number(&found.value), THREADS * EACH);
    // Each write took one version, and no other thread's.
    assert_eq!(found.version, Version::from_u64(1 + (THREADS * EACH) as u64));
}

#[test]
fn the_count_is_exact() {
    const ROOM: usize = 777;
    let store = MemoryStore::builder().max_entries(ROOM).build(ManualRuntime::default());
    let created = together(|thread| {
        (0..500).filter(|number| at_once(store.create(&key(thread * 500 + number), &value(9), TTL)).is_ok()).count()
    });
    assert_eq!(created, ROOM);
    let metrics = store.metrics();
    assert_eq!((metrics.entries, metrics.refused_total), (ROOM, (THREADS * 500 - ROOM) as u64));
}

#[test]
fn bounds_are_never_overshot_nor_underused() {
    const ENTRY: usize = MemoryStore::ENTRY_OVERHEAD + 24;
    const BYTES: usize = 40 * ENTRY;
    let runtime = ManualRuntime::default();
    let store = MemoryStore::builder().max_bytes(BYTES).build(runtime.clone());
    let (is_over, ends) = (AtomicBool::new(false), AtomicUsize::new(0));
    together(|thread| {
        if thread == 0 {
            while ends.load(Ordering::SeqCst) < THREADS - 1 {
                if store.metrics().bytes > BYTES {
                    is_over.store(true, Ordering::SeqCst);
                }
                runtime.advance(Duration::from_millis(1));
            }
            return 0;
        }
        let _ends = AtTheEnd(&ends);
        for turn in 0..5000 {
            let key = key((thread * 31 + turn * 7) % 60);
            let ttl = Duration::from_millis((turn % 5) as u64);
            match at_once(store.load(&key)).unwrap() {
                None => drop(at_once(store.create(&key, &value(turn % 500), ttl))),
                Some(found) if turn % 3 == 0 => drop(at_once(store.remove(&key, &found.version))),
                Some(found) => drop(at_once(store.replace(&key, &found.version, &value(turn % 900), ttl))),
            }
        }
        0
    });
    assert!(!is_over.load(Ordering::SeqCst));
    assert!(store.metrics().refused_total > 0, "it was never full");

    // What is counted is what is there: all of it expires, and all room can be had again.
    runtime.advance(2 * TTL);
    assert_eq!((store.metrics().entries, store.metrics().bytes), (0, 0));
    for number in 0..40 {
        at_once(store.create(&key(number), &value(0), TTL)).unwrap();
    }
    assert!(at_once(store.create(&key(40), &value(0), TTL)).is_err());
}

/// Counts the thread's end, be it a panic.
struct AtTheEnd<'a>(&'a AtomicUsize);

impl Drop for AtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
