//! A change: merged over what others wrote, exactly once, never a creation.

use cloakroom_core::{CommitError, CookieChange, Done, Entry, Event, Loaded, Step, limits};

use crate::common::{HOUR, MINUTE, SECOND, World, add, has};

fn insert(key: &'static str, value: i64) -> impl FnOnce(&mut Loaded) {
    move |loaded| loaded.insert(key, &value).unwrap()
}

fn assert_quiet(done: &Done) {
    assert_eq!(done.cookie(), CookieChange::Keep);
}

#[test]
fn two_writers_of_different_keys_both_keep_their_changes() {
    let mut w = World::new();
    let jar = w.sign_in();
    let first = w.slow(&jar, insert("a", 1));
    let second = w.slow(&jar, insert("b", 2));
    w.ops();
    assert_eq!(w.commit(first).result(), Ok(()));
    assert_eq!(w.ops(), "replace");
    let done = w.commit(second);
    assert_eq!(done.result(), Ok(()));
    assert_eq!(w.ops(), "replace,replace", "the conflict brought what is there");
    assert!(has(&done, Event::Conflict(1)));
    assert_eq!((w.peek(&jar, "a"), w.peek(&jar, "b"), w.peek(&jar, "n")), (Some(1), Some(2), Some(0)));
}

#[test]
fn a_store_that_brings_nothing_with_a_conflict_is_asked_by_a_load() {
    let mut w = World::new();
    w.store.brings = false;
    let jar = w.sign_in();
    let first = w.slow(&jar, insert("a", 1));
    let second = w.slow(&jar, add(5));
    assert_eq!(w.commit(first).result(), Ok(()));
    w.ops();
    assert_eq!(w.commit(second).result(), Ok(()));
    assert_eq!(w.ops(), "replace,load,replace");
    assert_eq!((w.peek(&jar, "a"), w.peek(&jar, "n")), (Some(1), Some(5)));
}

#[test]
fn of_two_writers_of_one_key_the_later_commit_wins() {
    let mut w = World::new();
    let jar = w.sign_in();
    let first = w.slow(&jar, insert("a", 1));
    let second = w.slow(&jar, insert("a", 2));
    assert_eq!(w.commit(second).result(), Ok(()));
    assert_eq!(w.commit(first).result(), Ok(()));
    assert_eq!(w.peek(&jar, "a"), Some(1));
}

#[test]
fn removals_and_clears_are_replayed_over_what_others_wrote() {
    let mut w = World::new();
    let jar = w.sign_in();
    let removes = w.slow(&jar, |loaded| assert_eq!(loaded.remove("n"), Ok(true)));
    assert_eq!(w.request(&jar, insert("n", 9)).result(), Ok(()));
    assert_eq!(w.commit(removes).result(), Ok(()));
    assert_eq!(w.peek(&jar, "n"), None);

    assert_eq!(w.request(&jar, insert("n", 1)).result(), Ok(()));
    let clears = w.slow(&jar, |loaded| {
        loaded.clear().unwrap();
        loaded.insert("after", &1).unwrap();
    });
    assert_eq!(w.request(&jar, insert("theirs", 9)).result(), Ok(()));
    assert_eq!(w.commit(clears).result(), Ok(()));
    assert_eq!((w.peek(&jar, "theirs"), w.peek(&jar, "n"), w.peek(&jar, "after")), (None, None, Some(1)));
}

#[test]
fn ten_slow_updates_all_count() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow: Vec<_> = (0..10).map(|_| w.slow(&jar, add(1))).collect();
    for session in slow {
        assert_eq!(w.commit(session).result(), Ok(()));
    }
    assert_eq!(w.peek(&jar, "n"), Some(10));
}

#[test]
fn an_equal_write_is_replayed_with_its_commit_so_that_none_is_torn() {
    let mut w = World::new();
    let jar = w.sign_in();
    let both = w.slow(&jar, |loaded| {
        loaded.insert("n", &0).unwrap();
        loaded.insert("a", &1).unwrap();
    });
    assert_eq!(w.request(&jar, insert("n", 7)).result(), Ok(()));
    assert_eq!(w.commit(both).result(), Ok(()));
    assert_eq!((w.peek(&jar, "n"), w.peek(&jar, "a")), (Some(0), Some(1)));
}

#[test]
fn a_change_to_an_ended_session_is_lost_and_creates_nothing() {
    for brings in [true, false] {
        let mut w = World::new();
        w.store.brings = brings;
        let jar = w.sign_in();
        let slow = w.slow(&jar, add(1));
        assert_eq!(w.request(&jar, Loaded::destroy).result(), Ok(()));
        w.ops();
        let done = w.commit(slow);
        assert_eq!(done.result(), Err(CommitError::Lost));
        assert!(has(&done, Event::Lost));
        assert_quiet(&done);
        assert_eq!(w.ops(), if brings { "replace" } else { "replace,load" });
        assert!(w.live().is_empty());
    }
}

#[test]
fn a_change_to_a_vanished_session_is_lost_and_creates_nothing() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, add(1));
    w.store.evict(&w.key(&jar));
    w.ops();
    let done = w.commit(slow);
    assert_eq!(done.result(), Err(CommitError::Lost));
    assert_quiet(&done);
    assert_eq!(w.ops(), "replace");
    assert!(w.store.keys().is_empty());
}

#[test]
fn contention_is_bounded_and_writes_nothing() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, insert("mine", 1));
    let mut step = w.start(slow);
    let mut others = 0;
    let done = loop {
        match step {
            Step::Done(done) => break done,
            io => {
                assert_eq!(w.request(&jar, add(1)).result(), Ok(()));
                others += 1;
                assert!(others <= i64::from(limits::MAX_OPERATIONS), "it goes on for ever");
                step = w.resume(io);
            }
        }
    };
    assert_eq!(done.result(), Err(CommitError::Contention));
    assert_quiet(&done);
    assert_eq!(others, i64::from(limits::MAX_REPLAYS) + 1, "the first try, and so many more");
    assert_eq!((w.peek(&jar, "n"), w.peek(&jar, "mine")), (Some(others), None));
}

#[test]
fn a_change_follows_a_renewal_to_the_live_record_and_sends_no_ticket() {
    for brings in [true, false] {
        let mut w = World::new();
        w.store.brings = brings;
        let old = w.sign_in();
        let mut new = old.clone();
        let slow = w.slow(&old, add(1));
        w.act(&mut new, Loaded::rotate);
        w.ops();
        let done = w.commit(slow);
        assert_eq!(done.result(), Ok(()));
        assert_quiet(&done);
        assert_eq!(w.ops(), if brings { "replace,load,replace" } else { "replace,load,load,replace" });
        assert_eq!(w.peek(&new, "n"), Some(1));
        assert_eq!(w.live(), [w.key(&new)]);
    }
}

#[test]
fn the_grace_is_no_matter_at_commit() {
    let mut w = World::with(|builder| builder.grace(SECOND));
    let old = w.sign_in();
    let mut new = old.clone();
    let slow = w.slow(&old, add(1));
    w.act(&mut new, Loaded::rotate);
    w.act(&mut new, |_| ());
    w.pass(5 * MINUTE);
    assert!(!w.opens(&old), "the pointer has closed");
    assert_eq!(w.commit(slow).result(), Ok(()));
    assert_eq!(w.peek(&new, "n"), Some(1));
}

#[test]
fn a_commit_long_after_its_load_is_refused() {
    let mut w = World::new();
    let jar = w.sign_in();
    let in_time = w.slow(&jar, add(1));
    let late = w.slow(&jar, add(1));
    w.pass(limits::DEFAULT_MAX_REQUEST);
    assert_eq!(w.commit(in_time).result(), Ok(()));
    w.pass(SECOND);
    w.ops();
    let done = w.commit(late);
    assert_eq!(done.result(), Err(CommitError::TooLate));
    assert_quiet(&done);
    assert_eq!(w.ops(), "");
    assert_eq!(w.peek(&jar, "n"), Some(1));
}

#[test]
fn a_dropped_commit_is_whole_or_absent() {
    for applied in [false, true] {
        let mut w = World::new();
        let jar = w.sign_in();
        let slow = w.slow(&jar, add(1));
        let step = w.start(slow);
        if applied {
            let Step::Io(io) = step else { panic!("a change writes") };
            w.store.perform(io.op());
        } else {
            drop(step);
        }
        assert_eq!(w.peek(&jar, "n"), Some(i64::from(applied)));
        assert_eq!(w.request(&jar, add(1)).result(), Ok(()));
    }
}

#[test]
fn a_change_keeps_the_time_to_live_in_the_limits() {
    let mut w = World::new();
    let jar = w.sign_in();
    for _ in 0..19 {
        w.pass(25 * MINUTE);
        assert_eq!(w.request(&jar, add(1)).result(), Ok(()));
    }
    let stored = w.store.look(&w.key(&jar)).unwrap();
    assert_eq!(stored.expires_in, Some(8 * HOUR - 19 * 25 * MINUTE), "the rest of the absolute lifetime");
    assert!(matches!(w.entry(&w.key(&jar)), Some(Entry::Record(_))));
}
