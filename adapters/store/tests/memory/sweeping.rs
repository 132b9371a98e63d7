//! The memory store gives back what has expired, all of it, and leaves nothing behind when it is dropped.

use std::{
    io,
    time::{Duration, SystemTime},
};

use allocation_counter::measure;
use cloakroom_core::Value;
use cloakroom_runtime::{BoxFuture, Endpoint, Runtime, Stream, Task};
use cloakroom_store::{Created, MemoryStore, Removed, Store, Written};

use crate::common::{ManualRuntime, at_once, key, to_a_beginning, value};

const MANY: usize = 100_000;
const TTL: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);

fn create_many(store: &MemoryStore, first: usize) {
    for number in first..first + MANY {
        let value = Value::from(Vec::from([b'x'; 300]));
        assert!(matches!(at_once(store.create(&key(number), &value, TTL)).unwrap(), Created::Done(_)));
    }
}

#[test]
fn a_sweep_drops_what_has_expired_and_nothing_else() {
    let runtime = ManualRuntime::default();
    let store = MemoryStore::new(runtime.clone());
    runtime.settle();
    for number in 0..1000 {
        let ttl = if number % 2 == 0 { MINUTE } else { MINUTE + Duration::from_nanos(1) };
        at_once(store.create(&key(number), &value(10), ttl)).unwrap();
    }
    runtime.advance(MINUTE - Duration::from_nanos(1));
    assert_eq!(store.metrics().entries, 1000);
    runtime.advance(Duration::from_nanos(1));
    let metrics = store.metrics();
    assert_eq!((metrics.entries, metrics.expired_total), (500, 500));
    assert!((0..1000).all(|number| at_once(store.load(&key(number))).unwrap().is_some() == (number % 2 == 1)));
}

#[test]
fn a_store_is_swept_at_the_interval_that_was_set() {
    let runtime = ManualRuntime::default();
    let store = MemoryStore::builder().sweep_every(Duration::from_secs(5)).build(runtime.clone());
    runtime.settle();
    for round in 1..=3 {
        at_once(store.create(&key(round), &value(10), Duration::from_secs(1))).unwrap();
        runtime.advance(Duration::from_secs(4));
        assert_eq!(store.metrics().entries, 1, "round {round}");
        runtime.advance(Duration::from_secs(1));
        assert_eq!(store.metrics().entries, 0, "round {round}");
    }
}

#[test]
fn a_sweep_gives_way_to_others() {
    let runtime = ManualRuntime::default();
    let store = MemoryStore::new(runtime.clone());
    runtime.settle();
    create_many(&store, 0);
    runtime.set_clock(MINUTE);
    runtime.wake_sleepers();
    let polls = runtime.settle();
    assert_eq!(store.metrics().entries, 0);
    assert!(polls > 100, "swept within {polls} polls");
}

#[test]
fn what_lives_on_when_memory_is_given_back_is_found_changed_and_expires() {
    let runtime = ManualRuntime::default();
    let store = MemoryStore::new(runtime.clone());
    runtime.settle();
    let lives_on = |number: usize| number % 50 == 49;
    for number in 0..10_000 {
        let ttl = if lives_on(number) { MINUTE * 3 } else { TTL };
        at_once(store.create(&key(number), &value(number), ttl)).unwrap();
    }
    runtime.advance(MINUTE);
    assert_eq!(store.metrics().entries, 200);
    for number in 0..10_000 {
        let Some(found) = at_once(store.load(&key(number))).unwrap() else {
            assert!(!lives_on(number), "entry {number} is there");
            continue;
        };
        assert_eq!(found.value, value(number));
        if number % 100 == 49 {
            let written = at_once(store.replace(&key(number), &found.version, &value(7), MINUTE * 9)).unwrap();
            assert!(matches!(written, Written::Done(_)));
        }
    }
    at_once(store.create(&key(0), &value(1), MINUTE * 9)).unwrap();
    runtime.advance(MINUTE * 2);
    assert_eq!(store.metrics().entries, 101);
    runtime.advance(MINUTE * 9);
    assert_eq!((store.metrics().entries, store.metrics().bytes), (0, 0));
}

#[test]
fn what_was_put_off_or_brought_forward_goes_when_its_time_is_there() {
    let runtime = ManualRuntime::default();
    let store = MemoryStore::new(runtime.clone());
    runtime.settle();
    // More than are looked at under one lock; those of numbers that 3 divides are put off, the next brought forward.
    for number in 0..30_000 {
        let created = at_once(store.create(&key(number), &value(9), MINUTE * 2)).unwrap();
        let Created::Done(version) = created else { panic!("nothing was there") };
        let ttl = match number % 3 {
            0 => MINUTE * 4,
            1 => MINUTE,
            _ => continue,
        };
        let touched = at_once(store.touch(&key(number), &version, &value(9), ttl)).unwrap();
        assert_eq!(touched, Written::Done(version));
    }
    // And once more, when nothing is left that could be found in two places.
    for (left, expired) in [(20_000, 10_000), (10_000, 20_000), (10_000, 20_000), (0, 30_000), (0, 30_000)] {
        runtime.advance(MINUTE);
        assert_eq!((store.metrics().entries, store.metrics().expired_total), (left, expired));
    }
}

#[test]
fn a_sweep_goes_by_the_time_to_the_nanosecond() {
    let runtime = ManualRuntime::default();
    to_a_beginning(&runtime);
    let store = MemoryStore::new(runtime.clone());
    runtime.settle();
    // In turn, so that those that go stand among those that stay, and more of them than are looked at under one lock.
    for number in 0..20_000 {
        let ttl = MINUTE + Duration::from_nanos(if number % 2 == 0 { 0 } else { 1 });
        at_once(store.create(&key(number), &value(9), ttl)).unwrap();
    }
    runtime.advance(MINUTE);
    assert_eq!(store.metrics().entries, 10_000);
    assert!((0..20_000).all(|number| at_once(store.load(&key(number))).unwrap().is_some() == (number % 2 == 1)));
    runtime.advance(MINUTE);
    assert_eq!(store.metrics().entries, 0);
}

#[test]
fn what_was_put_off_makes_no_room() {
    let runtime = ManualRuntime::default();
    let store = MemoryStore::builder().max_entries(20_000).sweep_every(MINUTE * 99).build(runtime.clone());
    runtime.settle();
    for number in 0..20_000 {
        let created = at_once(store.create(&key(number), &value(9), TTL)).unwrap();
        let Created::Done(version) = created else { panic!("nothing was there") };
        let ttl = if number == 19_999 { TTL } else { MINUTE };
        assert!(matches!(at_once(store.touch(&key(number), &version, &value(9), ttl)).unwrap(), Written::Done(_)));
    }
    runtime.set_clock(TTL);
    assert!(matches!(at_once(store.create(&key(50_000), &value(9), TTL)).unwrap(), Created::Done(_)));
    assert!(at_once(store.create(&key(50_001), &value(9), TTL)).is_err(), "one place was free");
    assert_eq!(store.metrics().entries, 20_000);
}

#[test]
fn no_entry_nor_byte_is_left_after_many_expired() {
    let runtime = ManualRuntime::default();
    let store = MemoryStore::new(runtime.clone());
    runtime.settle();
    create_many(&store, 0);
    // By every way that an entry goes.
    for number in 0..300 {
        let found = at_once(store.load(&key(number))).unwrap().unwrap();
        match number % 3 {
            0 => drop(at_once(store.remove(&key(number), &found.version)).unwrap()),
            1 => drop(at_once(store.replace(&key(number), &found.version, &value(7), TTL)).unwrap()),
            _ => drop(at_once(store.touch(&key(number), &found.version, &found.value, TTL / 2)).unwrap()),
        }
    }
    runtime.set_clock(TTL / 2);
    for number in (2..150).step_by(3) {
        assert_eq!(at_once(store.load(&key(number))).unwrap(), None);
    }
    runtime.advance(MINUTE);
    let metrics = store.metrics();
    assert_eq!((metrics.entries, metrics.bytes, metrics.expired_total), (0, 0, MANY as u64 - 100));
}

#[test]
fn memory_is_steady_over_rounds_of_many_that_expire() {
    let runtime = ManualRuntime::default();
    let mut store = None;
    let everything = measure(|| {
        let made = MemoryStore::new(runtime.clone());
        runtime.settle();
        for round in 0..3 {
            let mut counted = 0;
            let filled = measure(|| {
                create_many(&made, round * MANY);
                counted = made.metrics().bytes;
            });
            assert_eq!(made.metrics().entries, MANY);
            // The metrics promise no less than the heap holds, but for the allocator's own rounding.
            assert!(filled.bytes_current <= counted as i64, "{} > {counted}", filled.bytes_current);
            runtime.advance(MINUTE);
            assert_eq!(made.metrics().entries, 0);
        }
        store = Some(made);
    });
    // An empty store, its sweeper, and the clock's book of who sleeps.
    assert!(everything.bytes_current < 16 * 1024, "{} bytes are left", everything.bytes_current);
    let dropped = measure(|| drop(store.take()));
    let left = everything.bytes_current + dropped.bytes_current;
    assert!(left < 1024, "{left} bytes are left after the drop");
}

#[test]
fn memory_is_steady_over_many_that_are_removed() {
    let runtime = ManualRuntime::default();
    let store = MemoryStore::new(runtime);
    let value = value(10);
    let left = measure(|| {
        for number in 0..10_000 {
            let created = at_once(store.create(&key(number), &value, TTL)).unwrap();
            let Created::Done(version) = created else { panic!("{created:?}") };
            assert_eq!(at_once(store.remove(&key(number), &version)).unwrap(), Removed::Done);
        }
    });
    assert!(left.bytes_current < 16 * 1024, "{} bytes are left", left.bytes_current);
}

#[test]
fn the_sweeper_ends_with_the_last_handle() {
    let runtime = ManualRuntime::default();
    let store = MemoryStore::new(runtime.clone());
    let clone = store.clone();
    runtime.settle();
    assert_eq!((runtime.tasks(), runtime.sleepers()), (1, 1));
    drop(store);
    runtime.advance(MINUTE);
    assert_eq!((runtime.tasks(), runtime.sleepers()), (1, 1));
    drop(clone);
    assert_eq!((runtime.tasks(), runtime.sleepers()), (0, 0));
}

#[test]
fn the_sweeper_ends_when_its_runtime_ignores_the_cancellation() {
    let runtime = ManualRuntime::default();
    let store = MemoryStore::new(NeverCancels(runtime.clone()));
    runtime.settle();
    drop(store);
    assert_eq!(runtime.tasks(), 1);
    runtime.advance(MINUTE);
    assert_eq!((runtime.tasks(), runtime.sleepers()), (0, 0));
}

#[derive(Debug)]
struct NeverCancels(ManualRuntime);

impl Runtime for NeverCancels {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.0.sleep(duration)
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) -> Task {
        drop(self.0.spawn(future));
        Task::new(|| ())
    }

    fn unblock(&self, function: Box<dyn FnOnce() + Send + 'static>) -> Task {
        self.0.unblock(function)
    }

    fn connect(&self, endpoint: &Endpoint) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        self.0.connect(endpoint)
    }

    fn now(&self) -> SystemTime {
        self.0.now()
    }
}
