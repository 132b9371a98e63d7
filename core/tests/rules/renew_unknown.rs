//! A renewal whose pointer did not say what became of it: in doubt only while it may still land.

use cloakroom_core::{CommitError, CookieChange, Loaded, Step};

use crate::common::{Fault, World, add};

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
