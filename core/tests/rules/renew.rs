//! A renewal asked for: a new id of the same authority, published only when everything leads to it.

use cloakroom_core::{CommitError, CookieChange, Entry, Event, Loaded, Op, OpKind, limits};

use crate::common::{Fault, HOUR, MINUTE, World, add, has, ticket};

fn rotate_and_add(loaded: &mut Loaded) {
    loaded.rotate();
    add(1)(loaded);
}

#[test]
fn a_renewal_creates_the_new_record_then_points_the_old_key_at_it() {
    let mut w = World::new();
    let old = w.sign_in();
    let before = w.record(&w.key(&old));
    w.pass(MINUTE);
    let done = w.request(&old, rotate_and_add);
    assert_eq!(done.result(), Ok(()));
    assert!(has(&done, Event::Renewed));
    assert_eq!(w.ops(), "load,create,replace");
    let new = ticket(&done).expect("a ticket");
    assert_ne!(old, new);

    let after = w.record(&w.key(&new));
    assert_eq!(after.predecessor, Some(w.key(&old)));
    assert_eq!((after.created, after.deadline, after.idle), (before.created, before.deadline, before.idle));
    assert_eq!(after.issued, w.now());
    assert!(before.nonces.iter().all(|nonce| after.nonces.contains(nonce)), "nonces go on across renewals");
    assert_eq!(after.commits, before.commits + 1);
    let Some(Entry::Moved(moved)) = w.entry(&w.key(&old)) else { panic!("no pointer") };
    assert_eq!((moved.to, moved.closes_at), (w.key(&new), None));
    assert!(w.store.look(&w.key(&old)).unwrap().expires_in.unwrap() >= 8 * HOUR - MINUTE);
    assert_eq!((w.peek(&old, "n"), w.peek(&new, "n")), (Some(1), Some(1)));
    assert_eq!(w.live(), [w.key(&new)]);
}

#[test]
fn without_a_created_record_there_is_no_ticket_and_the_old_one_works() {
    for fault in Fault::ALL {
        let mut w = World::new();
        let old = w.sign_in();
        let slow = w.slow(&old, Loaded::rotate);
        w.store.fault(0, fault);
        let done = w.commit(slow);
        assert!(done.result().is_err(), "{fault:?}");
        assert_eq!(done.cookie(), CookieChange::Keep, "{fault:?}");
        w.store.land();
        assert_eq!(w.peek(&old, "n"), Some(0));
        assert!(matches!(w.entry(&w.key(&old)), Some(Entry::Record(_))));
    }
}

#[test]
fn a_conflict_with_a_newer_record_brings_the_new_one_up_to_date() {
    for brings in [true, false] {
        let mut w = World::new();
        w.store.brings = brings;
        let old = w.sign_in();
        let slow = w.slow(&old, rotate_and_add);
        assert_eq!(w.request(&old, add(10)).result(), Ok(()));
        w.ops();
        let done = w.commit(slow);
        assert_eq!(done.result(), Ok(()));
        let expected = if brings { "create,replace,replace,replace" } else { "create,replace,load,replace,replace" };
        assert_eq!(w.ops(), expected);
        let new = ticket(&done).expect("a ticket");
        assert_eq!((w.peek(&old, "n"), w.peek(&new, "n")), (Some(11), Some(11)));
        assert_eq!(w.live(), [w.key(&new)]);
    }
}

#[test]
fn when_the_new_record_cannot_be_brought_up_to_date_the_old_one_stays() {
    for fault in Fault::ALL {
        let mut w = World::new();
        let old = w.sign_in();
        let slow = w.slow(&old, rotate_and_add);
        assert_eq!(w.request(&old, add(10)).result(), Ok(()));
        w.store.fault(2, fault);
        let done = w.commit(slow);
        w.store.land();
        let n = w.peek(&old, "n").expect("the old ticket works");
        match ticket(&done) {
            Some(new) => assert_eq!((done.result(), n, w.peek(&new, "n")), (Ok(()), 11, Some(11)), "{fault:?}"),
            None => assert!(done.result().is_err() && n == 10, "{fault:?}: {:?}, {n}", done.result()),
        }
    }
}

#[test]
fn anothers_renewal_wins_and_the_edits_go_there() {
    for brings in [true, false] {
        for edits in [true, false] {
            let mut w = World::new();
            w.store.brings = brings;
            let old = w.sign_in();
            let mut theirs = old.clone();
            let slow = w.slow(&old, if edits { rotate_and_add } else { Loaded::rotate });
            w.act(&mut theirs, Loaded::rotate);
            w.ops();
            let done = w.commit(slow);
            assert_eq!(done.result(), Ok(()));
            assert_eq!(done.cookie(), CookieChange::Keep, "nothing is published");
            assert!(!has(&done, Event::Renewed));
            assert!(w.ops().contains("remove"), "the new record is removed");
            assert_eq!(w.peek(&theirs, "n"), Some(i64::from(edits)));
            assert_eq!(w.live(), [w.key(&theirs)]);
        }
    }
}

#[test]
fn a_renewal_of_an_ended_session_is_lost_and_its_record_removed() {
    for brings in [true, false] {
        let mut w = World::new();
        w.store.brings = brings;
        let old = w.sign_in();
        let slow = w.slow(&old, rotate_and_add);
        assert_eq!(w.request(&old, Loaded::destroy).result(), Ok(()));
        w.ops();
        let done = w.commit(slow);
        assert_eq!(done.result(), Err(CommitError::Lost));
        assert!(has(&done, Event::Lost));
        assert_eq!(done.cookie(), CookieChange::Keep);
        assert_eq!(w.ops(), if brings { "create,replace,remove" } else { "create,replace,load,remove" });
        assert!(w.live().is_empty());
    }
}

#[test]
fn a_renewal_of_a_vanished_session_is_lost_and_its_record_left_to_expire() {
    let mut w = World::new();
    let old = w.sign_in();
    let slow = w.slow(&old, rotate_and_add);
    w.store.evict(&w.key(&old));
    w.ops();
    let done = w.commit(slow);
    assert_eq!(done.result(), Err(CommitError::Lost));
    assert_eq!(done.cookie(), CookieChange::Keep);
    assert_eq!(w.ops(), "create,replace");
    assert_eq!(w.live().len(), 1, "an orphan that no ticket opens");
}

#[test]
fn an_unknown_pointer_is_settled_by_looking() {
    for fault in [Fault::UnknownApplied, Fault::UnknownLater, Fault::UnknownNever] {
        let mut w = World::new();
        let old = w.sign_in();
        let slow = w.slow(&old, rotate_and_add);
        w.ops();
        w.store.fault(1, fault);
        let done = w.commit(slow);
        assert_eq!(done.result(), Ok(()), "{fault:?}");
        let new = ticket(&done).expect("a ticket");
        w.store.land();
        assert_eq!((w.peek(&old, "n"), w.peek(&new, "n")), (Some(1), Some(1)), "{fault:?}");
        assert_eq!(w.live(), [w.key(&new)], "{fault:?}");
        if fault == Fault::UnknownApplied {
            assert_eq!(w.ops(), "create,replace,load");
        }
    }
}

#[test]
fn when_the_look_fails_the_new_record_is_left_alone() {
    for pointer in [Fault::UnknownApplied, Fault::UnknownLater, Fault::UnknownNever] {
        for look in Fault::ALL {
            let mut w = World::new();
            let old = w.sign_in();
            let slow = w.slow(&old, rotate_and_add);
            w.ops();
            w.store.fault(1, pointer);
            w.store.fault(2, look);
            let done = w.commit(slow);
            assert_eq!(done.result(), Err(CommitError::OutcomeUnknown), "{pointer:?}, {look:?}");
            assert_eq!(done.cookie(), CookieChange::Keep);
            assert_eq!(w.ops(), "create,replace,load", "no removal: the pointer may lead there");
            w.store.land();
            let n = if pointer == Fault::UnknownNever { 0 } else { 1 };
            assert_eq!(w.peek(&old, "n"), Some(n), "the old ticket works");
        }
    }
}

#[test]
fn an_unknown_pointer_that_was_ended_behind_us_is_lost() {
    for fault in [Fault::UnknownApplied, Fault::UnknownNever] {
        let mut w = World::new();
        let old = w.sign_in();
        let slow = w.slow(&old, rotate_and_add);
        let other = w.slow(&old, Loaded::destroy);
        w.store.fault(1, fault);
        let step = w.start(slow);
        let step = w.resume(step);
        let step = w.resume(step);
        assert_eq!(w.commit(other).result(), Ok(()));
        let done = w.finish(step);
        // Our pointer was there first: the ticket may be published, and it opens nothing.
        if let Some(new) = ticket(&done) {
            assert_eq!(fault, Fault::UnknownApplied);
            assert!(!w.opens(&new));
        } else {
            assert_eq!(done.result(), Err(CommitError::Lost));
        }
        assert!(w.live().is_empty(), "{fault:?}");
    }
}

#[test]
fn an_end_at_any_moment_of_a_renewal_is_final() {
    for steps in 0..6 {
        for end_first in [false, true] {
            let mut w = World::new();
            let old = w.sign_in();
            let slow = w.slow(&old, rotate_and_add);
            let end = end_first.then(|| w.slow(&old, Loaded::destroy));
            let mut step = w.start(slow);
            for _ in 0..steps {
                if matches!(step, cloakroom_core::Step::Io(_)) {
                    step = w.resume(step);
                }
            }
            let ended = match end {
                Some(session) => w.commit(session),
                None => w.request(&old, Loaded::destroy),
            };
            assert_eq!(ended.result(), Ok(()));
            let done = w.finish(step);
            assert!(!w.opens(&old));
            assert!(ticket(&done).is_none_or(|new| !w.opens(&new)), "{steps}");
            assert!(w.live().is_empty(), "{steps}");
        }
    }
}

#[test]
fn no_pair_of_faults_publishes_a_ticket_that_opens_nothing_or_loses_the_old_one() {
    let faults = || Fault::ALL.into_iter().chain([Fault::Conflict]);
    for (first, second) in faults().flat_map(|first| faults().map(move |second| (first, second))) {
        for (i, j) in [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3), (2, 4), (3, 4)] {
            for contended in [false, true] {
                let mut w = World::new();
                let old = w.sign_in();
                let slow = w.slow(&old, rotate_and_add);
                if contended {
                    assert_eq!(w.request(&old, add(10)).result(), Ok(()));
                }
                w.store.fault(i, first);
                w.store.fault(j, second);
                let done = w.commit(slow);
                let base = if contended { 10 } else { 0 };
                let case = format!("{first:?} at {i}, {second:?} at {j}, {contended}: {:?}", done.result());
                for _ in 0..2 {
                    let n = w.peek(&old, "n").unwrap_or_else(|| panic!("the old ticket is dead: {case}")) - base;
                    if let Some(new) = ticket(&done) {
                        assert_eq!(w.peek(&new, "n"), Some(base + 1), "{case}");
                        assert_eq!(done.result(), Ok(()), "{case}");
                    }
                    match done.result() {
                        Ok(()) => assert_eq!(n, 1, "{case}"),
                        Err(CommitError::OutcomeUnknown) => assert!((0..=1).contains(&n), "{case}"),
                        Err(_) => assert_eq!(n, 0, "{case}"),
                    }
                    w.store.land();
                }
            }
        }
    }
}

#[test]
fn an_explicit_renewal_through_a_pointer_renews_the_live_key() {
    let mut w = World::new();
    let old = w.sign_in();
    let mut middle = old.clone();
    w.act(&mut middle, Loaded::rotate);
    w.ops();
    let done = w.request(&old, Loaded::rotate);
    assert_eq!(done.result(), Ok(()));
    assert_eq!(w.ops(), "load,load,create,replace");
    let new = ticket(&done).expect("a ticket");
    assert_eq!(w.live(), [w.key(&new)]);
    for jar in [&old, &middle, &new] {
        assert!(w.opens(jar));
    }
}

#[test]
fn contention_on_a_renewal_is_bounded() {
    let mut w = World::new();
    let old = w.sign_in();
    let slow = w.slow(&old, rotate_and_add);
    let mut step = w.start(slow);
    let mut others = 0;
    let done = loop {
        match step {
            cloakroom_core::Step::Done(done) => break done,
            io => {
                assert_eq!(w.request(&old, add(10)).result(), Ok(()));
                others += 10;
                assert!(others < 10 * i64::from(limits::MAX_OPERATIONS) + 10);
                step = w.resume(io);
            }
        }
    };
    assert_eq!(done.result(), Err(CommitError::Contention));
    assert_eq!(done.cookie(), CookieChange::Keep);
    assert_eq!(w.peek(&old, "n"), Some(others));
}

#[test]
fn a_new_record_is_only_ever_removed_at_the_version_we_wrote() {
    let mut w = World::new();
    let old = w.sign_in();
    let slow = w.slow(&old, rotate_and_add);
    assert_eq!(w.request(&old, Loaded::destroy).result(), Ok(()));
    let from = w.store.log.len();
    let _ = w.commit(slow);
    let log = &w.store.log[from..];
    let created = log.iter().find(|op| op.kind() == OpKind::Create).unwrap().key();
    let removed: Vec<_> = log.iter().filter(|op| matches!(op, Op::Remove { .. })).collect();
    assert_eq!(removed.len(), 1);
    assert_eq!(removed[0].key(), created);
}

#[test]
fn a_session_that_is_not_stored_has_nothing_to_renew() {
    let mut w = World::new();
    let done = w.request("", Loaded::rotate);
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    assert_eq!(w.ops(), "");
    let done = w.request("", rotate_and_add);
    assert_eq!(w.ops(), "create");
    assert_eq!(w.peek(&ticket(&done).unwrap(), "n"), Some(1));
}

#[test]
fn each_try_goes_over_the_version_that_the_one_before_wrote() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, |loaded| {
        add(1)(loaded);
        loaded.rotate();
    });
    let mut step = w.start(slow);
    step = w.resume(step);
    for _ in 0..2 {
        assert_eq!(w.request(&jar, add(10)).result(), Ok(()));
        w.ops();
        step = w.resume(step);
        step = w.resume(step);
        assert_eq!(w.ops(), "replace,replace", "the old key's conflict, and the new one written again");
    }
    let done = w.finish(step);
    assert_eq!((done.result(), w.ops().as_str()), (Ok(()), "replace"));
    assert_eq!(w.peek(&ticket(&done).unwrap(), "n"), Some(21));
}
