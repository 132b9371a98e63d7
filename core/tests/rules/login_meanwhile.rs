//! What others do, and what time does, while a request signs somebody in.

use std::time::Duration;

use cloakroom_core::{CommitError, CookieChange, DecodeError, End, LoadError, Loaded, Login, limits};

use crate::common::{Fault, HOUR, MINUTE, SECOND, World, add, ticket};

fn ada(loaded: &mut Loaded) {
    loaded.login("ada", Login::new()).unwrap();
}

#[test]
fn a_login_goes_on_when_another_request_ends_the_old_session_meanwhile() {
    let enders: [fn(&mut Loaded); 2] = [Loaded::destroy, |loaded| loaded.login("bob", Login::new()).unwrap()];
    for ender in enders {
        for brings in [true, false] {
            let mut w = World::new();
            w.store.brings = brings;
            let jar = w.sign_in();
            let slow = w.slow(&jar, ada);
            assert_eq!(w.request(&jar, ender).result(), Ok(()));
            w.ops();
            let done = w.commit(slow);
            assert_eq!((done.result(), done.end()), (Ok(()), None));
            assert_eq!(w.ops(), if brings { "create,enroll,replace" } else { "create,enroll,replace,load" });
            assert_eq!(w.who(&ticket(&done).unwrap()).as_deref(), Some("ada"));
            assert!(!w.opens(&jar));
        }
    }
}

#[test]
fn a_login_ends_what_the_session_was_renewed_or_elevated_to_meanwhile() {
    let others: [fn(&mut Loaded); 2] = [Loaded::rotate, |loaded| loaded.elevate().unwrap()];
    for other in others {
        let mut w = World::new();
        let old = w.session_of("ada");
        let slow = w.slow(&old, |loaded| loaded.login("bob", Login::new()).unwrap());
        let mut jar = old.clone();
        w.act(&mut jar, other);
        let done = w.commit(slow);
        assert_eq!(done.result(), Ok(()));
        assert!(!w.opens(&old) && !w.opens(&jar));
        assert_eq!(w.live(), [w.key(&ticket(&done).unwrap())]);
        assert!(w.members("ada").is_empty());
    }
}

#[test]
fn a_request_that_takes_too_long_signs_nobody_in() {
    let milli = Duration::from_millis(1);
    for (after, result) in [(Duration::ZERO, Ok(())), (milli, Err(CommitError::TooLate))] {
        let mut w = World::new();
        let jar = w.sign_in();
        let slow = w.slow(&jar, ada);
        w.pass(limits::DEFAULT_MAX_REQUEST + after);
        w.ops();
        let done = w.commit(slow);
        assert_eq!(done.result(), result);
        assert_eq!(ticket(&done).is_some(), result.is_ok());
        assert_eq!(w.opens(&jar), result.is_err());
        assert_eq!(w.ops(), if result.is_ok() { "create,enroll,replace" } else { "" });
    }
}

#[test]
fn a_login_that_is_on_its_way_too_long_tells_nothing_by_what_it_does_not_find() {
    let mut w = World::new();
    let old = w.sign_in();
    let slow = w.slow(&old, ada);
    let step = w.start(slow);
    let step = w.resume(step);
    let mut jar = old.clone();
    w.act(&mut jar, Loaded::rotate);
    for _ in 0..5 {
        w.act(&mut jar, add(1));
        w.pass(4 * MINUTE);
    }
    assert!(w.entry(&w.key(&old)).is_none(), "the pointer is gone");
    let done = w.finish(step);
    assert_eq!((done.result(), done.cookie()), (Err(CommitError::TooLate), CookieChange::Keep));
    assert!(w.opens(&jar) && w.members("ada").is_empty());
    assert_eq!(w.live(), [w.key(&jar)], "what was made is removed");
}

#[test]
fn tickets_of_two_sessions_sign_nobody_in() {
    let mut w = World::new();
    let (a, b) = (w.sign_in(), w.sign_in());
    let done = w.log_in(&format!("{a}; {b}"), "ada");
    assert_eq!((done.result(), done.cookie()), (Err(CommitError::Ambiguous), CookieChange::Keep));
    assert!(w.opens(&a) && w.opens(&b));
}

#[test]
fn what_may_lead_to_a_live_session_is_not_signed_in_over() {
    let mut w = World::new();
    let jar = w.sign_in();
    w.put_text(&w.key(&jar), r#"{"format":1,"kind":"moved"}"#, HOUR);
    let mut session = w.open(&jar);
    assert_eq!(w.access(&mut session).err(), Some(LoadError::Undecodable));
    ada(w.access(&mut session).unwrap());
    w.ops();
    let done = w.commit(session);
    assert_eq!(done.result(), Err(CommitError::Undecodable(DecodeError::UnsupportedMarker)));
    assert_eq!((done.cookie(), w.ops().as_str()), (CookieChange::Keep, ""));
}

#[test]
fn what_no_longer_decodes_is_signed_in_over_unless_it_may_lead_to_a_live_session() {
    for (text, result) in [
        ("damaged", Ok(())),
        (r#"{"format":1,"kind":"moved"}"#, Err(CommitError::Undecodable(DecodeError::UnsupportedMarker))),
    ] {
        let mut w = World::new();
        let jar = w.sign_in();
        let slow = w.slow(&jar, ada);
        w.put_text(&w.key(&jar), text, HOUR);
        let done = w.commit(slow);
        assert_eq!((done.result(), ticket(&done).is_some()), (result, result.is_ok()), "{text}");
        assert_eq!(w.members("ada").len(), usize::from(result.is_ok()), "{text}");
        let stands = w.store.look(&w.key(&jar)).unwrap().value.as_bytes() == text.as_bytes();
        assert_eq!(stands, result.is_err(), "{text}");
    }
}

#[test]
fn what_is_to_be_the_session_and_vanishes_is_told_to_nobody() {
    let edits: [fn(&mut Loaded); 2] = [|loaded| loaded.login("ada", Login::new().carry("n")).unwrap(), Loaded::rotate];
    for (edit, error) in edits.into_iter().zip([CommitError::Lost, CommitError::Store]) {
        let mut w = World::new();
        let jar = w.sign_in();
        let slow = w.slow(&jar, edit);
        assert_eq!(w.request(&jar, add(1)).result(), Ok(()));
        let mut step = w.start(slow);
        while w.live().len() == 1 {
            step = w.resume(step);
        }
        let new = w.live().into_iter().find(|key| *key != w.key(&jar)).unwrap();
        w.store.evict(&new);
        let done = w.finish(step);
        assert_eq!((done.result(), done.cookie()), (Err(error), CookieChange::Keep));
        assert_eq!(w.peek(&jar, "n"), Some(1));
    }
}

#[test]
fn when_the_old_session_cannot_be_looked_at_nobody_is_signed_in() {
    let mut w = World::new();
    w.store.brings = false;
    let jar = w.sign_in();
    let slow = w.slow(&jar, ada);
    assert_eq!(w.request(&jar, add(1)).result(), Ok(()));
    w.ops();
    w.store.fault(3, Fault::Failed);
    let done = w.commit(slow);
    assert_eq!((done.result(), done.cookie()), (Err(CommitError::Store), CookieChange::Keep));
    assert_eq!(w.ops(), "create,enroll,replace,load,remove,unenroll", "what was made is removed");
    assert_eq!((w.peek(&jar, "n"), w.live(), w.members("ada")), (Some(1), vec![w.key(&jar)], vec![]));
}

#[test]
fn a_session_that_was_written_again_is_as_old_as_that_write() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, |loaded| loaded.login("ada", Login::new().carry("n")).unwrap());
    assert_eq!(w.request(&jar, add(1)).result(), Ok(()));
    let mut step = w.start(slow);
    while w.live().len() == 1 {
        step = w.resume(step);
    }
    w.pass(limits::DEFAULT_MAX_REQUEST - SECOND);
    let done = w.finish(step);
    let new = ticket(&done).unwrap();
    let mut session = done.reopen();
    w.pass(2 * SECOND);
    add(1)(w.access(&mut session).unwrap());
    assert_eq!((w.commit(session).result(), w.peek(&new, "n")), (Ok(()), Some(2)));
}

#[test]
fn a_store_without_an_index_signs_in_and_out() {
    let mut w = World::new();
    w.store.has_indexes = false;
    let old = w.sign_in();
    let done = w.log_in(&old, "ada");
    assert_eq!((done.result(), w.ops().as_str()), (Ok(()), "load,create,enroll,replace"));
    let mut jar = ticket(&done).unwrap();
    assert!(w.opens(&jar) && !w.opens(&old));
    w.act(&mut jar, Loaded::rotate);
    w.act(&mut jar, |loaded| loaded.elevate().unwrap());
    assert_eq!(w.who(&jar).as_deref(), Some("ada"));
    let done = w.request(&jar, Loaded::logout);
    assert_eq!((done.result(), done.end()), (Ok(()), Some(End::Ended)));
    assert!(!w.opens(&jar));
}
