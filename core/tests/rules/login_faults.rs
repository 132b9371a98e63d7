//! Logins and elevations whose operations go wrong, at every place and in every way.

use cloakroom_core::{CommitError, CookieChange, Done, Loaded, Login, RosterError};

use crate::common::{Fault, World, add, ticket};

/// The last operation of any of these, and some more.
const LAST: usize = 7;

fn in_every_way(mut check: impl FnMut(&[(usize, Fault)], bool)) {
    for first in 0..LAST {
        for fault in Fault::ALL {
            for contended in [false, true] {
                check(&[(first, fault)], contended);
                for second in first + 1..LAST {
                    for other in Fault::ALL {
                        check(&[(first, fault), (second, other)], contended);
                    }
                }
            }
        }
    }
}

/// A session of a user, and a request that has done its edits on it.
fn commit(edit: fn(&mut Loaded), faults: &[(usize, Fault)], contended: bool) -> (World, String, Done) {
    let mut w = World::new();
    let old = w.session_of("ada");
    let slow = w.slow(&old, edit);
    if contended {
        assert_eq!(w.request(&old, add(10)).result(), Ok(()));
    }
    for (n, fault) in faults {
        w.store.fault(*n, *fault);
    }
    let done = w.commit(slow);
    (w, old, done)
}

/// The old ticket works or the one that was set, and never both.
fn assert_one(w: &mut World, old: &str, done: &Done, case: &str) {
    for _ in 0..2 {
        match (done.result(), ticket(done)) {
            (Ok(()), Some(new)) => {
                assert!(w.opens(&new), "the ticket that was set opens nothing: {case}");
                assert!(!w.opens(old), "both tickets work: {case}");
            }
            (Ok(()), None) => panic!("a success without a ticket: {case}"),
            (Err(_), Some(_)) => panic!("a ticket of a failure: {case}"),
            (Err(CommitError::OutcomeUnknown), None) => {}
            (Err(_), None) => assert!(w.opens(old), "no ticket is left: {case}"),
        }
        w.store.land();
    }
}

#[test]
fn a_login_leaves_the_old_ticket_or_sets_a_new_one() {
    let edits: [fn(&mut Loaded); 3] = [
        |loaded| loaded.login("ada", Login::new()).unwrap(),
        |loaded| loaded.login("ada", Login::new().carry("n")).unwrap(),
        |loaded| loaded.login("bob", Login::new().carry("n")).unwrap(),
    ];
    for edit in edits {
        let mut failures = 0;
        in_every_way(|faults, contended| {
            let (mut w, old, done) = commit(edit, faults, contended);
            let case = format!("{faults:?}, {contended}: {:?}", done.result());
            failures += u32::from(done.result().is_err());
            assert_one(&mut w, &old, &done, &case);
        });
        assert!(failures > 100, "{failures}");
    }
}

#[test]
fn an_elevation_leaves_the_old_ticket_or_sets_a_new_one() {
    let mut failures = 0;
    in_every_way(|faults, contended| {
        let (mut w, old, done) = commit(|loaded| loaded.elevate().unwrap(), faults, contended);
        let case = format!("{faults:?}, {contended}: {:?}", done.result());
        failures += u32::from(done.result().is_err());
        assert_one(&mut w, &old, &done, &case);
        if let Some(new) = ticket(&done) {
            assert_eq!(w.peek(&new, "n"), Some(if contended { 10 } else { 0 }), "{case}");
        }
    });
    assert!(failures > 100, "{failures}");
}

#[test]
fn whoever_signs_in_is_found_in_the_index_unless_that_failed() {
    in_every_way(|faults, contended| {
        let edit: fn(&mut Loaded) = |loaded| loaded.login("bob", Login::new()).unwrap();
        let (mut w, _, done) = commit(edit, faults, contended);
        w.store.heal();
        w.store.land();
        if let Some(new) = ticket(&done) {
            let listed = w.list("bob", &new).unwrap();
            assert_eq!(listed.iter().filter(|listed| listed.current).count(), 1, "{faults:?}, {contended}");
        }
    });
}

#[test]
fn a_failed_login_goes_on_with_the_session_that_is_there() {
    for n in 0..3 {
        let (mut w, old, done) =
            commit(|loaded| loaded.login("bob", Login::new()).unwrap(), &[(n, Fault::Failed)], false);
        assert_eq!((done.result(), done.cookie()), (Err(CommitError::Store), CookieChange::Keep), "{n}");
        let mut session = done.reopen();
        let loaded = w.access(&mut session).unwrap();
        assert_eq!(loaded.principal::<String>(), Ok(Some("ada".to_owned())));
        add(1)(loaded);
        assert_eq!(w.commit(session).result(), Ok(()));
        assert_eq!(w.peek(&old, "n"), Some(1));
        assert_eq!(w.live(), [w.key(&old)], "what was made is removed");
        assert!(w.members("bob").is_empty());
    }
}

#[test]
fn a_login_whose_end_failed_after_a_destroy_is_no_success_and_the_end_is_tried_again() {
    let edit: fn(&mut Loaded) = |loaded| {
        loaded.destroy();
        loaded.login("bob", Login::new()).unwrap();
    };
    for n in 0..3 {
        let (mut w, old, done) = commit(edit, &[(n, Fault::Failed)], false);
        assert_eq!(done.result(), Err(CommitError::Store), "{n}");
        assert_eq!((done.end(), done.cookie()), (Some(cloakroom_core::End::Failed), CookieChange::Keep), "{n}");
        assert!(w.opens(&old));
        let done = w.commit(done.reopen());
        assert_eq!((done.result(), done.end()), (Ok(()), Some(cloakroom_core::End::Ended)), "{n}");
        assert!(!w.opens(&old) && w.live().is_empty());
    }
}

#[test]
fn a_login_that_is_dropped_on_its_way_signs_nobody_in() {
    for steps in 0..3 {
        let mut w = World::new();
        let old = w.session_of("ada");
        let slow = w.slow(&old, |loaded| loaded.login("bob", Login::new()).unwrap());
        let mut step = w.start(slow);
        for _ in 0..steps {
            step = w.resume(step);
        }
        drop(step);
        assert_eq!(w.who(&old).as_deref(), Some("ada"), "after {steps}");
    }
}

#[test]
fn an_elevation_that_failed_is_not_listed_beside_the_session() {
    for n in 0..40 {
        let mut w = World::new();
        w.entropy.0 = n;
        let old = w.session_of("ada");
        let slow = w.slow(&old, |loaded| loaded.elevate().unwrap());
        w.store.fault(2, Fault::Failed);
        let done = w.commit(slow);
        assert_eq!(done.result(), Err(CommitError::Store));
        let listed = w.list("ada", &old).unwrap();
        assert_eq!(listed.iter().map(|it| it.handle).collect::<Vec<_>>(), [w.key(&old).handle()], "{n}");
        let which = cloakroom_core::Which::One(listed[0].handle);
        assert_eq!(w.end_many("ada", which, ""), Ok::<_, RosterError>(1));
        assert!(!w.opens(&old), "what was shown has ended");
    }
}
