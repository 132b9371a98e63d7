//! Outcomes that an operation cannot have: the driver's fault, and never taken for a success.

use std::time::Duration;

use cloakroom_core::{
    CommitError, CookieChange, Done, Excess, Loaded, Login, Members, OpKind, Outcome, Session, Step, Stored, Value,
    Version,
};

use crate::common::{MINUTE, World, add};

fn is_possible(op: OpKind, outcome: &Outcome) -> bool {
    let of_index = matches!(op, OpKind::Enroll | OpKind::List | OpKind::Unenroll);
    match outcome {
        Outcome::Absent => op != OpKind::Create && !of_index,
        Outcome::Conflict(_) => matches!(op, OpKind::Remove | OpKind::Replace | OpKind::Touch),
        Outcome::Done(_) => matches!(op, OpKind::Create | OpKind::Replace | OpKind::Touch),
        Outcome::Exists => op == OpKind::Create,
        Outcome::Failed | Outcome::Unknown => true,
        Outcome::Found(_) => op == OpKind::Load,
        Outcome::Indexed => matches!(op, OpKind::Enroll | OpKind::Unenroll),
        Outcome::Listed(_) => op == OpKind::List,
        Outcome::Removed => op == OpKind::Remove,
        Outcome::Unsupported => of_index,
    }
}

fn outcomes() -> Vec<Outcome> {
    let version = Version::from_u64(1);
    let found = Stored {
        value: Value::from(b"{}".to_vec()),
        version: version.clone(),
        expires_in: Some(Duration::from_secs(1)),
    };
    vec![
        Outcome::Absent,
        Outcome::Conflict(None),
        Outcome::Conflict(Some(found.clone())),
        Outcome::Done(version),
        Outcome::Exists,
        Outcome::Failed,
        Outcome::Found(found),
        Outcome::Indexed,
        Outcome::Listed(Members::default()),
        Outcome::Removed,
        Outcome::Unknown,
        Outcome::Unsupported,
    ]
}

/// Answers the operation after `steps` others with every outcome that it cannot have.
#[track_caller]
fn check(steps: usize, op: OpKind, make: impl Fn() -> (World, Session)) {
    for outcome in outcomes() {
        let (mut w, session) = make();
        let mut step = w.start(session);
        for _ in 0..steps {
            step = w.resume(step);
        }
        let Step::Io(io) = step else { panic!("no operation {op:?}") };
        assert_eq!(io.op().kind(), op);
        if is_possible(op, &outcome) {
            continue;
        }
        let what = format!("{op:?} answered with {outcome:?}");
        let step = io.resume(outcome, w.now());
        let done: Done = w.finish(step);
        assert_eq!((done.result(), done.cookie()), (Err(CommitError::UnexpectedOutcome), CookieChange::Keep), "{what}");
    }
}

fn requested(edit: fn(&mut Loaded)) -> (World, Session) {
    let mut w = World::new();
    let jar = w.sign_in();
    let session = w.slow(&jar, edit);
    (w, session)
}

fn contended(edit: fn(&mut Loaded)) -> (World, Session) {
    let mut w = World::new();
    w.store.brings = false;
    let jar = w.sign_in();
    let session = w.slow(&jar, edit);
    assert_eq!(w.request(&jar, add(10)).result(), Ok(()));
    (w, session)
}

#[test]
fn a_new_session() {
    let make = || {
        let mut w = World::new();
        let session = w.slow("", add(1));
        (w, session)
    };
    check(0, OpKind::Create, make);
}

#[test]
fn a_change() {
    check(0, OpKind::Replace, || requested(|loaded| add(1)(loaded)));
    check(1, OpKind::Load, || contended(|loaded| add(1)(loaded)));
    check(2, OpKind::Replace, || contended(|loaded| add(1)(loaded)));
}

#[test]
fn an_end() {
    check(0, OpKind::Replace, || requested(Loaded::destroy));
    check(1, OpKind::Load, || contended(Loaded::destroy));
    check(2, OpKind::Replace, || contended(Loaded::destroy));
}

#[test]
fn a_renewal() {
    check(0, OpKind::Create, || requested(Loaded::rotate));
    check(1, OpKind::Replace, || requested(Loaded::rotate));
    check(2, OpKind::Load, || contended(Loaded::rotate));
    check(3, OpKind::Replace, || contended(Loaded::rotate));
    check(4, OpKind::Replace, || contended(Loaded::rotate));
}

/// A request on a session in which ada is signed in.
fn signed_in(contended: bool, edit: fn(&mut Loaded)) -> (World, Session) {
    let mut w = World::new();
    w.store.brings = false;
    let jar = w.session_of("ada");
    let session = w.slow(&jar, edit);
    if contended {
        assert_eq!(w.request(&jar, add(10)).result(), Ok(()));
    }
    (w, session)
}

#[test]
fn a_login() {
    let login: fn(&mut Loaded) = |loaded| loaded.login("ada", Login::new().carry("n")).unwrap();
    check(0, OpKind::Create, || signed_in(false, login));
    check(1, OpKind::Enroll, || signed_in(false, login));
    check(2, OpKind::Replace, || signed_in(false, login));
    check(3, OpKind::Load, || signed_in(true, login));
    check(4, OpKind::Replace, || signed_in(true, login));
    check(5, OpKind::Replace, || signed_in(true, login));
}

#[test]
fn a_login_with_a_limit() {
    let login: fn(&mut Loaded) = |loaded| {
        loaded.login("ada", Login::new().at_most(1, Excess::EndOldest)).unwrap();
    };
    let make = || {
        let mut w = World::new();
        w.session_of("ada");
        let session = w.slow("", login);
        (w, session)
    };
    check(2, OpKind::List, make);
    check(3, OpKind::Load, make);
    check(4, OpKind::Load, make);
    check(5, OpKind::List, make);
    check(6, OpKind::Load, make);
    check(7, OpKind::Replace, make);
}

#[test]
fn an_elevation() {
    let elevate: fn(&mut Loaded) = |loaded| loaded.elevate().unwrap();
    check(0, OpKind::Create, || signed_in(false, elevate));
    check(1, OpKind::Enroll, || signed_in(false, elevate));
    check(2, OpKind::Replace, || signed_in(false, elevate));
    check(3, OpKind::Load, || signed_in(true, elevate));
    check(4, OpKind::Replace, || signed_in(true, elevate));
}

#[test]
fn what_is_taken_out_of_an_index_is_ignored_whatever_becomes_of_it() {
    let edits: [fn(&mut Loaded); 3] =
        [|loaded| loaded.login("bob", Login::new()).unwrap(), |loaded| loaded.elevate().unwrap(), Loaded::logout];
    for (edit, steps) in edits.into_iter().zip([3, 3, 1]) {
        for outcome in outcomes() {
            let (mut w, session) = signed_in(false, edit);
            let mut step = w.start(session);
            for _ in 0..steps {
                step = w.resume(step);
            }
            let Step::Io(io) = step else { panic!("it goes on") };
            assert_eq!(io.op().kind(), OpKind::Unenroll);
            let Step::Done(done) = io.resume(outcome.clone(), w.now()) else { panic!("and is the last") };
            assert_eq!(done.result(), Ok(()), "{outcome:?}");
            assert_ne!(done.cookie(), CookieChange::Keep, "{outcome:?}");
        }
    }
}

#[test]
fn a_touch_is_ignored_whatever_becomes_of_it() {
    for outcome in outcomes() {
        let mut w = World::new();
        let jar = w.sign_in();
        w.pass(7 * MINUTE);
        let session = w.slow(&jar, |_| ());
        let Step::Io(io) = w.start(session) else { panic!("a touch is due") };
        assert_eq!(io.op().kind(), OpKind::Touch);
        let Step::Done(done) = io.resume(outcome.clone(), w.now()) else { panic!("and is the last") };
        assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep), "{outcome:?}");
    }
}

#[test]
fn a_first_presentation_is_ignored_whatever_becomes_of_it() {
    for (steps, op) in [(1, OpKind::Load), (2, OpKind::Replace), (3, OpKind::Replace)] {
        for outcome in outcomes() {
            let mut w = World::new();
            let mut jar = w.sign_in();
            w.act(&mut jar, Loaded::rotate);
            let session = w.slow(&jar, add(1));
            let mut step = w.start(session);
            for _ in 0..steps {
                step = w.resume(step);
            }
            let Step::Io(io) = step else { panic!("no operation {op:?}") };
            assert_eq!(io.op().kind(), op);
            let step = io.resume(outcome.clone(), w.now());
            let done = w.finish(step);
            assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep), "{outcome:?} after {steps}");
            assert_eq!(w.peek(&jar, "n"), Some(1));
        }
    }
}
