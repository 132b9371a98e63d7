//! A renewal whose pointer did not say what became of it: in doubt only while it may still land.

use cloakroom_core::{CommitError, CookieChange, Loaded, Step};

use crate::common::{Fault, World, add, ticket};

/// A renewal with an edit, after its pointer's try was answered by `fault`.
fn in_doubt(fault: Fault) -> (World, String, Step) {
    let mut w = World::new();
    let old = w.sign_in();
    let slow = w.slow(&old, |loaded| {
        loaded.rotate();
        add(1)(loaded);
    });
    let step = w.start(slow);
    let step = w.resume(step);
    w.store.fault(0, fault);
    let step = w.resume(step);
    w.ops();
    (w, old, step)
}

#[test]
fn a_change_over_the_old_record_settles_that_the_pointer_never_lands() {
    for fault in [Fault::UnknownLater, Fault::UnknownNever] {
        let (mut w, old, step) = in_doubt(fault);
        assert_eq!(w.request(&old, add(10)).result(), Ok(()));
        w.ops();
        w.store.fault(1, Fault::Failed);
        let done = w.finish(step);
        assert_eq!((done.result(), done.cookie()), (Err(CommitError::Store), CookieChange::Keep), "{fault:?}");
        assert_eq!(w.ops(), "load,replace");
        w.store.land();
        assert_eq!(w.peek(&old, "n"), Some(10), "{fault:?}");
    }
}

#[test]
fn anothers_renewal_settles_that_the_pointer_never_lands() {
    for fault in [Fault::UnknownLater, Fault::UnknownNever] {
        for (at, ops) in [(2, "load,remove,load"), (3, "load,remove,load,replace")] {
            let (mut w, old, step) = in_doubt(fault);
            assert_eq!(w.request(&old, Loaded::rotate).result(), Ok(()));
            w.ops();
            w.store.fault(at, Fault::Failed);
            let done = w.finish(step);
            assert_eq!((done.result(), done.cookie()), (Err(CommitError::Store), CookieChange::Keep), "{fault:?}");
            assert_eq!(w.ops(), ops);
            w.store.land();
            assert_eq!(w.peek(&old, "n"), Some(0), "{fault:?}");
        }
    }
}

#[test]
fn until_then_a_failure_leaves_the_edits_in_doubt() {
    for fault in [Fault::UnknownApplied, Fault::UnknownLater, Fault::UnknownNever] {
        let (mut w, old, step) = in_doubt(fault);
        w.store.fault(0, Fault::Failed);
        let done = w.finish(step);
        let error = Err(CommitError::OutcomeUnknown);
        assert_eq!((done.result(), done.cookie()), (error, CookieChange::Keep), "{fault:?}");
        w.store.land();
        assert!(matches!(w.peek(&old, "n"), Some(0 | 1)), "{fault:?}");
    }
}

#[test]
fn what_was_written_under_the_new_id_in_doubt_is_looked_at_and_goes_on() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, Loaded::rotate);
    let step = w.start(slow);
    let step = w.resume(step);
    assert_eq!(w.request(&jar, add(1)).result(), Ok(()));
    w.ops();
    let step = w.resume(step);
    w.store.fault(0, Fault::UnknownApplied);
    let done = w.finish(step);
    assert_eq!((done.result(), w.ops().as_str()), (Ok(()), "replace,replace,load,replace"));
    assert_eq!(w.peek(&ticket(&done).unwrap(), "n"), Some(1));
}

#[test]
fn a_pointer_in_doubt_whose_key_is_then_gone_stays_in_doubt() {
    let mut w = World::new();
    let jar = w.sign_in();
    let key = w.key(&jar);
    let slow = w.slow(&jar, Loaded::rotate);
    let step = w.start(slow);
    let step = w.resume(step);
    w.store.fault(0, Fault::UnknownApplied);
    let step = w.resume(step);
    w.store.evict(&key);
    let done = w.finish(step);
    assert_eq!((done.result(), done.cookie()), (Err(CommitError::OutcomeUnknown), CookieChange::Keep));
}
