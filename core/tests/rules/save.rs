//! Saving in the middle of a request: commit, reopen, go on.

use cloakroom_core::{
    CommitError, CookieChange, Done, End, EndCause, Ended, Entry, Event, Loaded, Nonce, Session, limits,
};

use crate::common::{Fault, HOUR, SECOND, World, add, has, ticket};

fn save(w: &mut World, cookie: &str, edit: impl FnOnce(&mut Loaded)) -> Session {
    let done = w.request(cookie, edit);
    assert_eq!(done.result(), Ok(()));
    done.reopen()
}

fn go_on(w: &mut World, mut session: Session, edit: impl FnOnce(&mut Loaded)) -> Done {
    edit(w.access(&mut session).unwrap());
    w.commit(session)
}

#[test]
fn a_second_commit_builds_on_the_first_without_another_load() {
    let mut w = World::new();
    let session = save(&mut w, "", add(1));
    let done = go_on(&mut w, session, add(1));
    assert_eq!(done.result(), Ok(()));
    assert_eq!(w.ops(), "create,replace");
    let jar = ticket(&done).expect("the first commit's ticket is owed");
    assert_eq!(w.peek(&jar, "n"), Some(2));

    let session = save(&mut w, &jar, add(1));
    let done = go_on(&mut w, session, add(1));
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    assert_eq!(w.ops(), "load,replace,replace");
    assert_eq!(w.peek(&jar, "n"), Some(4));
}

#[test]
fn nothing_done_after_a_save_costs_nothing() {
    let mut w = World::new();
    let session = save(&mut w, "", add(1));
    w.ops();
    let done = w.commit(session);
    assert_eq!(done.result(), Ok(()));
    assert_eq!(w.ops(), "");
    assert_eq!(done.cookie().name(), "set");
}

#[test]
fn a_reopened_session_shows_what_was_stored() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, add(1));
    assert_eq!(w.request(&jar, add(10)).result(), Ok(()));
    let done = w.commit(slow);
    assert_eq!(done.result(), Ok(()));
    let mut session = done.reopen();
    let loaded = w.access(&mut session).unwrap();
    assert_eq!(loaded.get::<i64>("n"), Ok(Some(11)), "with what others wrote");
    assert!(!loaded.is_new());
    let mut session = save(&mut w, "", add(1));
    let now = w.now();
    let loaded = w.access(&mut session).unwrap();
    assert!(!loaded.is_new());
    assert_eq!((loaded.created(), loaded.get("n")), (Some(now), Ok(Some(1))));
    assert!(loaded.handle().is_some());
}

#[test]
fn edits_are_not_done_again_by_a_later_commit() {
    let mut w = World::new();
    let jar = w.sign_in();
    let mut session = save(&mut w, &jar, add(1));
    for _ in 0..3 {
        assert_eq!(w.request(&jar, add(10)).result(), Ok(()));
        let done = go_on(&mut w, session, |loaded| {
            loaded.update("m", |m: Option<i64>| m.unwrap_or(0) + 1).unwrap();
        });
        assert_eq!(done.result(), Ok(()));
        session = done.reopen();
    }
    assert_eq!((w.peek(&jar, "n"), w.peek(&jar, "m")), (Some(31), Some(3)));
}

#[test]
fn an_owed_cookie_survives_a_later_failure() {
    let mut w = World::new();
    let session = save(&mut w, "", add(1));
    w.store.fault(0, Fault::Failed);
    let done = go_on(&mut w, session, add(1));
    assert_eq!(done.result(), Err(CommitError::Store));
    let jar = ticket(&done).expect("the first record is stored");
    assert_eq!(w.peek(&jar, "n"), Some(1));
    assert_eq!(done.headers().map(|(name, _)| name).collect::<Vec<_>>(), ["set-cookie", "cache-control", "vary"]);
}

#[test]
fn the_last_cookie_wins() {
    let mut w = World::new();
    let session = save(&mut w, "", add(1));
    let first = w.live();
    let done = go_on(&mut w, session, Loaded::rotate);
    assert_eq!(done.headers().filter(|(name, _)| *name == "set-cookie").count(), 1);
    let jar = ticket(&done).expect("a ticket");
    assert_eq!(w.live(), [w.key(&jar)]);
    assert_ne!(w.live(), first);
    assert_eq!(w.peek(&jar, "n"), Some(1));

    let done = go_on(&mut w, done.reopen(), Loaded::destroy);
    assert_eq!((done.result(), done.end(), done.cookie().name()), (Ok(()), Some(End::Ended), "clear"));
    assert_eq!(done.headers().filter(|(name, _)| *name == "set-cookie").count(), 1);

    let done = go_on(&mut w, done.reopen(), |loaded| {
        assert!(loaded.is_new());
        add(5)(loaded);
    });
    let jar = ticket(&done).expect("a ticket of another session");
    assert_eq!(w.peek(&jar, "n"), Some(5));
    assert_eq!(w.live(), [w.key(&jar)]);
}

#[test]
fn events_are_those_of_the_whole_request() {
    let mut w = World::new();
    let session = save(&mut w, "__Host-id=junk", add(1));
    let done = go_on(&mut w, session, Loaded::destroy);
    assert!(has(&done, Event::MalformedToken) && has(&done, Event::Created) && has(&done, Event::Ended));
    assert_eq!(done.events().iter().filter(|event| *event == Event::MalformedToken).count(), 1);
}

#[test]
fn a_session_that_ended_between_two_saves_is_lost_and_stays_ended() {
    let mut w = World::new();
    let jar = w.sign_in();
    let session = save(&mut w, &jar, add(1));
    assert_eq!(w.request(&jar, Loaded::destroy).result(), Ok(()));
    let done = go_on(&mut w, session, add(1));
    assert_eq!((done.result(), done.cookie()), (Err(CommitError::Lost), CookieChange::Keep));
    assert!(w.live().is_empty());
    let done = go_on(&mut w, done.reopen(), |loaded| {
        assert!(loaded.is_new());
        loaded.insert("m", &1).unwrap();
    });
    assert!(!w.opens(&jar));
    if let Some(other) = ticket(&done) {
        assert_eq!((w.peek(&other, "n"), w.peek(&other, "m")), (None, Some(1)), "nothing of the old one");
    }
}

#[test]
fn a_session_given_up_for_a_login_between_two_saves_makes_no_other() {
    let mut w = World::new();
    let jar = w.sign_in();
    let session = save(&mut w, &jar, add(1));
    let by = Nonce::from_bytes([9; 8]);
    let ended = Ended { by, cause: EndCause::Login, at: w.now(), next: None };
    w.put(&w.key(&jar), &Entry::Ended(ended), HOUR);
    let done = go_on(&mut w, session, add(1));
    assert_eq!((done.result(), done.cookie()), (Err(CommitError::Lost), CookieChange::Keep));
    let done = go_on(&mut w, done.reopen(), add(1));
    assert_eq!((done.result(), done.cookie()), (Err(CommitError::Lost), CookieChange::Keep));
    assert!(w.live().is_empty(), "its cookie would overwrite the login's");
}

#[test]
fn edits_of_a_failed_commit_are_dropped() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, add(1));
    w.store.fault(0, Fault::Failed);
    let done = w.commit(slow);
    assert_eq!(done.result(), Err(CommitError::Store));
    let done = w.commit(done.reopen());
    assert_eq!(done.result(), Ok(()));
    assert_eq!(w.peek(&jar, "n"), Some(0));
}

#[test]
fn edits_whose_outcome_is_unknown_are_not_done_again() {
    for fault in [Fault::UnknownApplied, Fault::UnknownNever, Fault::UnknownLater] {
        let mut w = World::new();
        let jar = w.sign_in();
        let slow = w.slow(&jar, add(1));
        w.store.fault(0, fault);
        w.store.fault(1, Fault::Failed);
        let done = w.commit(slow);
        assert_eq!(done.result(), Err(CommitError::OutcomeUnknown));
        let mut session = done.reopen();
        let goes_on = w.access(&mut session).is_ok_and(|loaded| loaded.insert("m", &1).is_ok());
        let done = w.commit(session);
        w.store.land();
        let n = w.peek(&jar, "n").unwrap();
        assert!((0..=1).contains(&n), "{fault:?}: {n}");
        if goes_on && done.result() == Ok(()) {
            assert_eq!(w.peek(&jar, "m"), Some(1), "{fault:?}");
        }
    }
}

#[test]
fn a_failed_creation_owes_nothing_and_a_later_one_does() {
    for fault in Fault::ALL {
        let mut w = World::new();
        let slow = w.slow("", add(1));
        w.store.fault(0, fault);
        let done = w.commit(slow);
        assert!(done.result().is_err(), "{fault:?}");
        assert_eq!(done.cookie(), CookieChange::Keep);
        let done = go_on(&mut w, done.reopen(), add(5));
        w.store.land();
        assert_eq!(done.result(), Ok(()), "{fault:?}");
        assert_eq!(w.peek(&ticket(&done).unwrap(), "n"), Some(5), "{fault:?}: nothing of the failed one");
    }
}

#[test]
fn a_renewal_after_a_save_is_of_the_record_that_was_saved() {
    let mut w = World::new();
    let jar = w.sign_in();
    let session = save(&mut w, &jar, add(1));
    w.pass(SECOND);
    let done = go_on(&mut w, session, |loaded| {
        loaded.rotate();
        add(1)(loaded);
    });
    assert_eq!(w.ops(), "load,replace,create,replace");
    let new = ticket(&done).expect("a ticket");
    assert_eq!((w.peek(&jar, "n"), w.peek(&new, "n")), (Some(2), Some(2)));
}

#[test]
fn a_ticket_minted_by_this_request_was_not_presented_by_it() {
    let mut w = World::new();
    let old = w.sign_in();
    let session = save(&mut w, &old, Loaded::rotate);
    let done = go_on(&mut w, session, add(1));
    assert_eq!(done.result(), Ok(()));
    assert_eq!(w.ops(), "load,create,replace,replace");
    w.pass(HOUR / 4);
    assert!(w.opens(&old), "its response may be lost");
}

#[test]
fn edits_that_were_dropped_are_not_replayed_with_later_ones() {
    let mut w = World::new();
    let jar = w.sign_in();
    let mut session = w.slow(&jar, |loaded| loaded.insert("dropped", &1).unwrap());
    session.drop_edits();
    w.access(&mut session).unwrap().insert("kept", &1).unwrap();
    assert_eq!(w.request(&jar, add(1)).result(), Ok(()));
    assert_eq!(w.commit(session).result(), Ok(()));
    assert_eq!((w.peek(&jar, "n"), w.peek(&jar, "kept"), w.peek(&jar, "dropped")), (Some(1), Some(1), None));
}

#[test]
fn a_request_whose_session_was_ended_meanwhile_makes_no_other() {
    for rotates in [false, true] {
        let mut w = World::new();
        let jar = w.sign_in();
        let slow = w.slow(&jar, |loaded| if rotates { loaded.rotate() } else { add(1)(loaded) });
        w.store.fault(0, Fault::Failed);
        let failed = w.commit(slow);
        assert_eq!(failed.result(), Err(CommitError::Store));
        assert_eq!(w.request(&jar, Loaded::destroy).end(), Some(End::Ended));
        let mut session = failed.reopen();
        add(1)(w.access(&mut session).unwrap());
        w.ops();
        let done = w.commit(session);
        assert_eq!((done.result(), done.cookie(), w.ops().as_str()), (Err(CommitError::Lost), CookieChange::Keep, ""));
    }
}

#[test]
fn what_follows_a_first_presentation_goes_over_the_version_that_it_wrote() {
    let mut w = World::new();
    let mut jar = w.sign_in();
    w.act(&mut jar, Loaded::rotate);
    w.ops();
    let done = w.request(&jar, add(1));
    assert_eq!(w.ops(), "load,replace,load,replace,replace");
    let mut session = done.reopen();
    add(1)(w.access(&mut session).unwrap());
    assert_eq!((w.commit(session).result(), w.ops().as_str()), (Ok(()), "replace"));
    assert_eq!(w.peek(&jar, "n"), Some(2));
}

#[test]
fn what_follows_a_touch_goes_over_the_version_that_it_wrote() {
    let mut w = World::new();
    let jar = w.sign_in();
    w.pass(limits::DEFAULT_IDLE / 2);
    let done = w.request(&jar, |_| ());
    assert_eq!(w.ops(), "load,touch");
    let mut session = done.reopen();
    add(1)(w.access(&mut session).unwrap());
    assert_eq!((w.commit(session).result(), w.ops().as_str()), (Ok(()), "replace"));
    assert_eq!(w.peek(&jar, "n"), Some(1));
}
