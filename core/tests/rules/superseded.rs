//! Tickets that a login or an elevation gave up a moment ago.

use cloakroom_core::{
    CommitError, CookieChange, End, EndCause, Ended, Entry, Event, Loaded, Login, Nonce, StoreKey, limits,
};

use crate::common::{HOUR, SECOND, World, add, has, ticket};

const MILLI: std::time::Duration = std::time::Duration::from_millis(1);

/// A world in which `cause` ended the session of the ticket, as another request would.
fn given_up(cause: EndCause, next: Option<StoreKey>) -> (World, String) {
    let mut w = World::new();
    let jar = w.sign_in();
    let ended = Ended { by: Nonce::from_bytes([9; 8]), cause, at: w.now(), next };
    w.put(&w.key(&jar), &Entry::Ended(ended), HOUR);
    (w, jar)
}

#[test]
fn writes_are_lost_and_make_no_session() {
    for cause in [EndCause::Login, EndCause::Elevation] {
        let (mut w, jar) = given_up(cause, None);
        w.pass(limits::DEFAULT_SUPERSEDED - SECOND);
        for _ in 0..2 {
            let done = w.request(&jar, |loaded| {
                assert!(loaded.is_new());
                add(1)(loaded);
            });
            assert_eq!((done.result(), done.cookie()), (Err(CommitError::Lost), CookieChange::Keep), "{cause:?}");
            assert!(has(&done, Event::Superseded));
            assert_eq!(w.ops(), "load");
        }
        assert!(w.live().is_empty());
    }
}

#[test]
fn reads_are_empty_and_send_nothing() {
    let (mut w, jar) = given_up(EndCause::Login, None);
    let done = w.request(&jar, |loaded| assert_eq!(loaded.get::<i64>("n"), Ok(None)));
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    assert!(has(&done, Event::Superseded));
}

#[test]
fn writes_after_a_destroy_are_lost_too() {
    let (mut w, jar) = given_up(EndCause::Login, None);
    let done = w.request(&jar, |loaded| {
        loaded.destroy();
        add(1)(loaded);
    });
    assert_eq!((done.result(), done.cookie()), (Err(CommitError::Lost), CookieChange::Keep));
    assert!(w.live().is_empty());
}

#[test]
fn a_login_with_it_signs_in_all_the_same() {
    for destroys in [false, true] {
        let (mut w, jar) = given_up(EndCause::Login, None);
        let done = w.request(&jar, |loaded| {
            if destroys {
                loaded.destroy();
            }
            loaded.login("ada", Login::new()).unwrap();
            add(1)(loaded);
        });
        assert_eq!(done.result(), Ok(()));
        let new = ticket(&done).unwrap();
        assert_eq!((w.who(&new).as_deref(), w.peek(&new, "n")), (Some("ada"), Some(1)));
    }
}

#[test]
fn after_a_while_it_is_an_ended_ticket_like_others() {
    for cause in [EndCause::Login, EndCause::Elevation] {
        let (mut w, jar) = given_up(cause, None);
        w.pass(limits::DEFAULT_SUPERSEDED + SECOND);
        let done = w.request(&jar, |_| ());
        assert!(has(&done, Event::ReusedEnded) && !has(&done, Event::Superseded));
        assert!(ticket(&w.request(&jar, add(1))).is_some());
    }
}

#[test]
fn a_destroyed_session_supersedes_nothing() {
    let (mut w, jar) = given_up(EndCause::Destroy, None);
    let done = w.request(&jar, add(1));
    assert_eq!(done.result(), Ok(()));
    assert!(!has(&done, Event::Superseded));
    assert!(ticket(&done).is_some());
}

#[test]
fn the_clock_of_the_node_that_wrote_it_may_be_ahead() {
    let (mut w, jar) = given_up(EndCause::Login, None);
    w.store.now -= 5000;
    let done = w.request(&jar, add(1));
    assert_eq!(done.result(), Err(CommitError::Lost));
}

#[test]
fn beside_a_live_ticket_it_does_not_matter() {
    let (mut w, jar) = given_up(EndCause::Login, None);
    let live = w.sign_in();
    for cookie in [format!("{jar}; {live}"), format!("{live}; {jar}")] {
        let done = w.request(&cookie, add(1));
        assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    }
    assert_eq!(w.peek(&live, "n"), Some(2));
}

#[test]
fn beside_a_dead_ticket_it_still_makes_no_session() {
    let (mut w, jar) = given_up(EndCause::Login, None);
    let dead = w.sign_in();
    w.store.evict(&w.key(&dead));
    for cookie in [format!("{jar}; {dead}"), format!("{dead}; {jar}")] {
        let done = w.request(&cookie, add(1));
        assert_eq!((done.result(), done.cookie()), (Err(CommitError::Lost), CookieChange::Keep));
    }
}

/// A session that an elevation gave up for the live one of another ticket.
fn elevated() -> (World, String, String) {
    let mut w = World::new();
    let new = w.sign_in();
    let old = w.sign_in();
    let next = Some(w.key(&new));
    let ended = Ended { by: Nonce::from_bytes([9; 8]), cause: EndCause::Elevation, at: w.now(), next };
    w.put(&w.key(&old), &Entry::Ended(ended), HOUR);
    w.ops();
    (w, old, new)
}

#[test]
fn only_an_end_follows_what_an_elevation_made() {
    let (mut w, old, new) = elevated();
    let done = w.request(&old, |loaded| assert!(loaded.is_new()));
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    let done = w.request(&old, add(1));
    assert_eq!(done.result(), Err(CommitError::Lost));
    assert_eq!(w.peek(&new, "n"), Some(0));
    for late in [false, true] {
        let (mut w, old, new) = elevated();
        if late {
            w.pass(limits::DEFAULT_SUPERSEDED + SECOND);
        }
        let done = w.request(&old, Loaded::destroy);
        assert_eq!((done.result(), done.end()), (Ok(()), Some(End::Ended)), "{late}");
        assert!(!w.opens(&new), "{late}");
    }
}

#[test]
fn what_is_written_after_such_an_end_makes_a_session() {
    let (mut w, old, new) = elevated();
    let done = w.request(&old, |loaded| {
        loaded.destroy();
        add(1)(loaded);
    });
    assert_eq!((done.result(), done.end()), (Ok(()), Some(End::Ended)));
    assert!(!w.opens(&new) && w.opens(&ticket(&done).unwrap()));
}

#[test]
fn an_end_under_way_follows_what_an_elevation_made_meanwhile() {
    for brings in [true, false] {
        let mut w = World::new();
        w.store.brings = brings;
        let new = w.sign_in();
        let old = w.sign_in();
        let slow = w.slow(&old, Loaded::destroy);
        let next = Some(w.key(&new));
        let ended = Ended { by: Nonce::from_bytes([9; 8]), cause: EndCause::Elevation, at: w.now(), next };
        w.put(&w.key(&old), &Entry::Ended(ended), HOUR);
        let done = w.commit(slow);
        assert_eq!((done.result(), done.end()), (Ok(()), Some(End::Ended)));
        assert!(w.live().is_empty());
    }
}

#[test]
fn an_end_with_writes_after_it_still_strikes_what_an_elevation_made() {
    let (mut w, old, new) = elevated();
    let done = w.request(&old, |loaded| {
        loaded.destroy();
        add(1)(loaded);
    });
    assert_eq!(done.end(), Some(End::Ended));
    assert!(!w.opens(&new));
}

#[test]
fn writes_after_an_end_are_lost_when_a_login_gave_the_session_up_meanwhile() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, |loaded| {
        loaded.destroy();
        add(1)(loaded);
    });
    let ended = Ended { by: Nonce::from_bytes([9; 8]), cause: EndCause::Login, at: w.now(), next: None };
    w.put(&w.key(&jar), &Entry::Ended(ended), HOUR);
    let done = w.commit(slow);
    assert_eq!((done.result(), done.cookie()), (Err(CommitError::Lost), CookieChange::Keep));
    assert!(w.live().is_empty());
}

#[test]
fn an_end_of_what_an_elevation_made_that_is_gone_is_nothing_to_boast_of() {
    let (mut w, old, new) = elevated();
    w.store.evict(&w.key(&new));
    let done = w.request(&old, Loaded::destroy);
    assert_ne!(done.end(), Some(End::Ended));
    assert!(w.live().is_empty());
}

#[test]
fn a_change_under_way_is_lost_when_the_session_was_given_up() {
    for cause in [EndCause::Login, EndCause::Elevation] {
        let mut w = World::new();
        let new = w.sign_in();
        let old = w.sign_in();
        let slow = w.slow(&old, add(1));
        let ended = Ended { by: Nonce::from_bytes([9; 8]), cause, at: w.now(), next: Some(w.key(&new)) };
        w.put(&w.key(&old), &Entry::Ended(ended), HOUR);
        let done = w.commit(slow);
        assert_eq!((done.result(), done.cookie()), (Err(CommitError::Lost), CookieChange::Keep));
        assert_eq!(w.peek(&new, "n"), Some(0), "no fixation: the old ticket's edits never reach it");
    }
}

#[test]
fn the_while_ends_to_the_millisecond() {
    for (passed, is_superseded) in [(limits::DEFAULT_SUPERSEDED - MILLI, true), (limits::DEFAULT_SUPERSEDED, false)] {
        let (mut w, jar) = given_up(EndCause::Login, None);
        w.pass(passed);
        assert_eq!(has(&w.request(&jar, |_| ()), Event::Superseded), is_superseded, "{passed:?}");
    }
}

#[test]
fn an_end_goes_before_what_was_written_after_it() {
    let mut w = World::new();
    let successor = w.sign_in();
    let jar = w.sign_in();
    let next = Some(w.key(&successor));
    let ended = Ended { by: Nonce::from_bytes([9; 8]), cause: EndCause::Elevation, at: w.now(), next };
    w.put(&w.key(&jar), &Entry::Ended(ended), HOUR);
    let done = w.request(&jar, |loaded| {
        loaded.destroy();
        add(1)(loaded);
    });
    assert_eq!((done.result(), done.end()), (Ok(()), Some(End::Ended)));
    assert!(!w.opens(&successor));
    assert_eq!(w.peek(&ticket(&done).unwrap(), "n"), Some(1));
}

#[test]
fn what_is_lost_is_counted() {
    let (mut w, jar) = given_up(EndCause::Login, None);
    let done = w.request(&jar, |loaded| {
        loaded.destroy();
        add(1)(loaded);
    });
    assert_eq!((has(&done, Event::Lost), done.end()), (true, Some(End::NothingToEnd)));
}
