//! A change whose write failed, or did not say what became of it: settled by looking, never done twice.

use cloakroom_core::{CommitError, CookieChange, Done, Loaded, limits};

use crate::common::{Fault, World, add};

fn assert_quiet(done: &Done) {
    assert_eq!(done.cookie(), CookieChange::Keep);
}

#[test]
fn a_write_that_surely_failed_is_an_error_and_nothing_is_written() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, add(1));
    w.ops();
    w.store.fault(0, Fault::Failed);
    let done = w.commit(slow);
    assert_eq!(done.result(), Err(CommitError::Store));
    assert_quiet(&done);
    assert_eq!(w.ops(), "replace");
    assert_eq!(w.peek(&jar, "n"), Some(0));
}

#[test]
fn an_unknown_write_is_settled_by_looking() {
    for (fault, ops) in [
        (Fault::UnknownApplied, "replace,load"),
        (Fault::UnknownNever, "replace,load,replace"),
        (Fault::UnknownLater, "replace,load,replace"),
    ] {
        let mut w = World::new();
        let jar = w.sign_in();
        let slow = w.slow(&jar, add(1));
        w.ops();
        w.store.fault(0, fault);
        let done = w.commit(slow);
        assert_eq!(done.result(), Ok(()), "{fault:?}");
        assert_quiet(&done);
        assert_eq!(w.ops(), ops, "{fault:?}");
        w.store.land();
        assert_eq!(w.peek(&jar, "n"), Some(1), "{fault:?}");
    }
}

#[test]
fn a_write_that_lands_between_the_look_and_the_next_try_counts_once() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, add(1));
    w.store.fault(0, Fault::UnknownLater);
    let step = w.start(slow);
    let step = w.resume(step);
    let step = w.resume(step);
    w.store.land();
    assert_eq!(w.finish(step).result(), Ok(()));
    assert_eq!(w.peek(&jar, "n"), Some(1));
}

#[test]
fn when_the_look_fails_the_outcome_is_unknown() {
    for write in [Fault::UnknownApplied, Fault::UnknownNever, Fault::UnknownLater] {
        for look in Fault::ALL {
            let mut w = World::new();
            let jar = w.sign_in();
            let slow = w.slow(&jar, add(1));
            w.ops();
            w.store.fault(0, write);
            w.store.fault(1, look);
            let done = w.commit(slow);
            assert_eq!(done.result(), Err(CommitError::OutcomeUnknown), "{write:?}, {look:?}");
            assert_quiet(&done);
            assert_eq!(w.ops(), "replace,load");
        }
    }
}

#[test]
fn nonces_tell_our_write_from_others_until_too_many_followed() {
    let kept = limits::NONCES_KEPT as i64;
    for (fault, mine) in [(Fault::UnknownApplied, 1), (Fault::UnknownNever, 0)] {
        for others in [1, kept - 1, kept, kept + 1] {
            let mut w = World::new();
            let jar = w.sign_in();
            let slow = w.slow(&jar, add(100));
            w.store.fault(0, fault);
            let step = w.start(slow);
            let step = w.resume(step);
            for _ in 0..others {
                assert_eq!(w.request(&jar, add(1)).result(), Ok(()));
            }
            let done = w.finish(step);
            let n = w.peek(&jar, "n").unwrap();
            // A record that was written over ours and then by `kept` others may have forgotten it.
            if others + mine <= kept {
                assert_eq!((done.result(), n), (Ok(()), 100 + others), "{fault:?}, {others}");
            } else {
                assert_eq!((done.result(), n), (Err(CommitError::OutcomeUnknown), mine * 100 + others), "{fault:?}");
            }
        }
    }
}

#[test]
fn an_unknown_write_is_found_again_behind_a_renewal() {
    for fault in [Fault::UnknownApplied, Fault::UnknownNever] {
        let mut w = World::new();
        let old = w.sign_in();
        let mut new = old.clone();
        let slow = w.slow(&old, add(1));
        w.store.fault(0, fault);
        let step = w.start(slow);
        let step = w.resume(step);
        w.act(&mut new, Loaded::rotate);
        let done = w.finish(step);
        assert_eq!(done.result(), Ok(()), "{fault:?}");
        assert_quiet(&done);
        assert_eq!(w.peek(&new, "n"), Some(1), "{fault:?}");
    }
}

#[test]
fn an_unknown_write_to_a_session_that_then_ended_is_lost_and_to_one_that_then_vanished_in_doubt() {
    let cases =
        [(Fault::UnknownApplied, false, CommitError::Lost), (Fault::UnknownNever, true, CommitError::OutcomeUnknown)];
    for (fault, vanishes, error) in cases {
        let mut w = World::new();
        let jar = w.sign_in();
        let slow = w.slow(&jar, add(1));
        w.store.fault(0, fault);
        let step = w.start(slow);
        let step = w.resume(step);
        if vanishes {
            w.store.evict(&w.key(&jar));
        } else {
            assert_eq!(w.request(&jar, Loaded::destroy).result(), Ok(()));
        }
        let done = w.finish(step);
        assert_eq!(done.result(), Err(error));
        assert_quiet(&done);
        assert!(w.live().is_empty());
    }
}

#[test]
fn an_unknown_write_to_a_session_that_was_then_elevated_may_have_been_carried_over() {
    for (fault, n) in [(Fault::UnknownApplied, 1), (Fault::UnknownNever, 0)] {
        let mut w = World::new();
        let mut jar = w.session_of("ada");
        let slow = w.slow(&jar, add(1));
        w.store.fault(0, fault);
        let step = w.start(slow);
        let step = w.resume(step);
        w.act(&mut jar, |loaded| loaded.elevate().unwrap());
        let done = w.finish(step);
        assert_eq!(done.result(), Err(CommitError::OutcomeUnknown));
        assert_quiet(&done);
        assert_eq!(w.peek(&jar, "n"), Some(n));
    }
}

#[test]
fn no_pair_of_faults_applies_an_update_twice_or_acknowledges_it_unwritten() {
    for first in Fault::ALL.into_iter().chain([Fault::Conflict]) {
        for second in Fault::ALL.into_iter().chain([Fault::Conflict]) {
            for at in 1..5 {
                for contended in [false, true] {
                    let mut w = World::new();
                    let jar = w.sign_in();
                    let slow = w.slow(&jar, add(1));
                    if contended {
                        assert_eq!(w.request(&jar, add(10)).result(), Ok(()));
                    }
                    w.store.fault(0, first);
                    w.store.fault(at, second);
                    let session = w.start(slow);
                    let done = w.finish(session);
                    let base = if contended { 10 } else { 0 };
                    let case = format!("{first:?}, {second:?} at {at}, {contended}: {:?}", done.result());
                    for _ in 0..2 {
                        let times = w.peek(&jar, "n").unwrap() - base;
                        match done.result() {
                            Ok(()) => assert_eq!(times, 1, "{case}"),
                            Err(CommitError::OutcomeUnknown) => assert!((0..=1).contains(&times), "{case}"),
                            Err(_) => assert_eq!(times, 0, "{case}"),
                        }
                        w.store.land();
                    }
                    assert_quiet(&done);
                }
            }
        }
    }
}
