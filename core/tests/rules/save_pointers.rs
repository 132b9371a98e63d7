//! Saves of a request whose ticket is behind: they forget neither the way to the session nor who presented what.

use cloakroom_core::{
    CommitError, CookieChange, Done, End, Entry, Event, Excess, Loaded, Login, OpKind, Session, limits,
};

use crate::common::{Fault, MINUTE, World, add, has, ticket};

fn save(w: &mut World, session: Session) -> Session {
    let done = w.commit(session);
    assert_eq!(done.result(), Ok(()));
    done.reopen()
}

fn go_on(w: &mut World, mut session: Session, edit: impl FnOnce(&mut Loaded)) -> Done {
    edit(w.access(&mut session).unwrap());
    w.commit(session)
}

fn is_open(w: &World, cookie: &str) -> bool {
    matches!(w.entry(&w.key(cookie)), Some(Entry::Moved(moved)) if moved.closes_at.is_none())
}

/// A ticket that is due, and whose renewal has its response lost if `renewed`.
fn aged(renewed: bool) -> (World, String) {
    let mut w = World::with(|builder| builder.renew_after(5 * MINUTE));
    let old = w.sign_in();
    w.pass(6 * MINUTE);
    if renewed {
        assert!(has(&w.request(&old, |_| ()), Event::Renewed));
        w.pass(6 * MINUTE);
    }
    w.ops();
    (w, old)
}

#[test]
fn a_request_that_came_through_a_pointer_does_not_renew_by_itself_after_a_save() {
    let (mut w, old) = aged(true);
    let slow = w.slow(&old, add(1));
    let mut session = save(&mut w, slow);
    for _ in 0..3 {
        let done = go_on(&mut w, session, add(1));
        assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
        assert!(!has(&done, Event::Renewed));
        session = done.reopen();
    }
    assert_eq!(w.ops(), "load,load,replace,replace,replace,replace");
}

#[test]
fn a_request_that_was_led_on_by_its_commit_does_not_renew_by_itself_either() {
    for fails in [false, true] {
        let (mut w, old) = aged(false);
        let slow = w.slow(&old, add(1));
        assert_eq!(w.request(&old, Loaded::rotate).result(), Ok(()));
        if fails {
            w.store.fault(4, Fault::Failed);
        }
        let done = w.commit(slow);
        assert_eq!(done.result(), if fails { Err(CommitError::Store) } else { Ok(()) });
        let mut session = done.reopen();
        add(1)(w.access(&mut session).unwrap());
        w.pass(6 * MINUTE);
        let done = w.commit(session);
        assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep), "failed before: {fails}");
    }
}

#[test]
fn a_request_that_came_through_a_pointer_does_not_renew_by_itself_after_a_login_that_failed() {
    let (mut w, old) = aged(true);
    w.session_of("ada");
    let login = || Login::new().at_most(1, Excess::Refuse);
    let slow = w.slow(&old, |loaded| loaded.login("ada", login()).unwrap());
    let done = w.commit(slow);
    assert_eq!(done.result(), Err(CommitError::TooManySessions));
    let done = go_on(&mut w, done.reopen(), add(1));
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    assert!(!has(&done, Event::Renewed));
}

#[test]
fn a_ticket_whose_responses_are_lost_works_however_often_its_requests_save() {
    let mut w = World::with(|builder| builder.renew_after(10 * MINUTE));
    let old = w.sign_in();
    for round in 1..=12 {
        w.pass(11 * MINUTE);
        let slow = w.slow(&old, add(1));
        let session = save(&mut w, slow);
        let done = go_on(&mut w, session, add(1));
        assert_eq!(done.result(), Ok(()), "round {round}");
        assert_eq!(w.peek(&old, "n"), Some(2 * round));
    }
}

#[test]
fn rotations_of_one_request_stop_where_the_presented_ticket_would_not_follow() {
    for behind in 0..3 {
        let mut w = World::new();
        let old = w.sign_in();
        for _ in 0..behind {
            assert_eq!(w.request(&old, Loaded::rotate).result(), Ok(()));
        }
        let mut session = w.slow(&old, Loaded::rotate);
        for n in 1..20 {
            let done = go_on(&mut w, session, |loaded| {
                loaded.rotate();
                loaded.insert("n", &n).unwrap();
            });
            assert_eq!(done.result(), Ok(()));
            assert_eq!(has(&done, Event::TooManyHops), n + behind > i64::from(limits::MAX_HOPS), "{n}");
            let new = ticket(&done).expect("the last rotation's ticket");
            assert_eq!((w.peek(&old, "n"), w.peek(&new, "n")), (Some(n), Some(n)), "{behind} behind");
            session = done.reopen();
        }
        let made = w.store.log.iter().filter(|op| op.kind() == OpKind::Create).count();
        assert_eq!(made, 1 + limits::MAX_HOPS as usize, "the first record and one for each pointer");
        let done = w.request(&old, Loaded::destroy);
        assert_eq!((done.result(), done.end()), (Ok(()), Some(End::Ended)));
        assert!(w.live().is_empty());
    }
}

#[test]
fn the_loser_of_two_renewals_by_age_does_not_present_the_winners_ticket() {
    for saves in [|_: &mut Loaded| (), |loaded: &mut Loaded| add(1)(loaded)] {
        let (mut w, old) = aged(false);
        let loser = w.slow(&old, saves);
        assert!(has(&w.request(&old, |_| ()), Event::Renewed), "and its response is lost");
        let done = w.commit(loser);
        assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
        let done = go_on(&mut w, done.reopen(), add(1));
        assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
        assert!(is_open(&w, &old));
        w.pass(2 * limits::DEFAULT_GRACE);
        assert!(w.opens(&old), "its owner has no other ticket");
    }
}

#[test]
fn the_loser_of_two_renewals_by_age_is_a_pointer_behind_from_then_on() {
    for saves in [|_: &mut Loaded| (), |loaded: &mut Loaded| add(1)(loaded)] {
        let (mut w, old) = aged(false);
        let loser = w.slow(&old, saves);
        assert!(has(&w.request(&old, |_| ()), Event::Renewed), "and its response is lost");
        let mut session = save(&mut w, loser);
        for n in 0..20 {
            let done = go_on(&mut w, session, |loaded| {
                loaded.rotate();
                loaded.insert("n", &n).unwrap();
            });
            assert_eq!((done.result(), w.peek(&old, "n")), (Ok(()), Some(n)));
            session = done.reopen();
        }
        let (mut w, old) = aged(false);
        let loser = w.slow(&old, saves);
        assert!(has(&w.request(&old, |_| ()), Event::Renewed), "and its response is lost");
        let mut session = save(&mut w, loser);
        add(1)(w.access(&mut session).unwrap());
        w.pass(6 * MINUTE);
        assert_eq!(w.commit(session).cookie(), CookieChange::Keep);
    }
}

#[test]
fn a_failed_save_behind_a_pointer_does_not_present_the_successors_ticket() {
    for fault in [Fault::Failed, Fault::UnknownNever, Fault::UnknownApplied] {
        let mut w = World::new();
        let old = w.sign_in();
        let slow = w.slow(&old, add(1));
        assert_eq!(w.request(&old, Loaded::rotate).result(), Ok(()), "and its response is lost");
        w.ops();
        w.store.fault(2, fault);
        if fault != Fault::Failed {
            w.store.fault(3, Fault::Failed);
        }
        let done = w.commit(slow);
        assert!(done.result().is_err(), "{fault:?}");
        assert!(w.ops().starts_with("replace,load,replace"));
        let done = go_on(&mut w, done.reopen(), |loaded| loaded.insert("m", &1).unwrap());
        assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep), "{fault:?}");
        assert!(is_open(&w, &old), "{fault:?}");
        w.pass(2 * limits::DEFAULT_GRACE);
        assert_eq!(w.peek(&old, "m"), Some(1), "{fault:?}");
    }
}
