//! An elevation: the same session under a new id once the user proved again who they are; the old ticket is dead at once.

use std::time::Duration;

use cloakroom_core::{
    CommitError, CookieChange, EditError, End, EndCause, Entry, Event, Lifetime, LoadError, Loaded, Login, limits,
};

use crate::common::{HOUR, MINUTE, SECOND, World, add, has, ticket};

fn elevate(loaded: &mut Loaded) {
    loaded.elevate().unwrap();
}

#[test]
fn it_needs_somebody_who_is_signed_in() {
    let mut w = World::new();
    let jar = w.sign_in();
    for cookie in ["", &jar] {
        let done = w.request(cookie, |loaded| assert_eq!(loaded.elevate(), Err(EditError::NotSignedIn)));
        assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    }
    let jar = w.session_of("ada");
    let done = w.request(&jar, |loaded| {
        loaded.destroy();
        assert_eq!(loaded.elevate(), Err(EditError::NotSignedIn));
    });
    assert_eq!(done.end(), Some(End::Ended));
    let jar = w.session_of("ada");
    w.put_text(&w.key(&jar), "{", HOUR);
    let mut session = w.open(&jar);
    assert_eq!(w.access(&mut session).err(), Some(LoadError::Undecodable));
    assert_eq!(w.access(&mut session).unwrap().elevate(), Err(EditError::Undecodable));
}

#[test]
fn the_session_has_a_new_id_and_the_old_ticket_opens_nothing() {
    let mut w = World::new();
    let old = w.session_of("ada");
    let done = w.request(&old, elevate);
    assert_eq!(done.result(), Ok(()));
    assert!(has(&done, Event::Elevated) && !has(&done, Event::Renewed));
    assert_eq!(w.ops(), "load,create,enroll,replace,unenroll");
    let new = ticket(&done).unwrap();
    assert!(!w.opens(&old));
    assert_eq!((w.who(&new).as_deref(), w.peek(&new, "n")), (Some("ada"), Some(0)));
    assert_eq!(w.members("ada"), [w.key(&new)]);
    let Some(Entry::Ended(ended)) = w.entry(&w.key(&old)) else { panic!("no tombstone") };
    assert_eq!((ended.cause, ended.next, ended.at), (EndCause::Elevation, Some(w.key(&new)), w.now()));
}

#[test]
fn its_lifetime_starts_anew_and_its_sign_in_stays() {
    let mut w = World::new();
    let mut jar = w.session_with("ada", Login::new().label("Firefox"));
    let before = w.record(&w.key(&jar));
    w.pass(MINUTE * 25);
    w.act(&mut jar, |loaded| {
        elevate(loaded);
        add(1)(loaded);
    });
    let after = w.record(&w.key(&jar));
    assert_eq!((after.created, after.issued), (w.now(), w.now()));
    assert_eq!(after.deadline.since(w.now()), 8 * HOUR);
    assert_eq!((after.lineage, after.commits), (before.lineage, before.commits + 1));
    let (before, after) = (before.sign_in.unwrap(), after.sign_in.unwrap());
    assert_eq!((after.principal, after.since, after.label), (before.principal, before.since, before.label));
    assert_eq!(after.authenticated, w.now());
    assert_eq!(w.peek(&jar, "n"), Some(1));
}

#[test]
fn a_shorter_lifetime_stays_as_short_and_can_be_shortened() {
    let mut w = World::new();
    let mut jar = w.session_with("ada", Login::new().lifetime(Lifetime::new(10 * MINUTE, HOUR)));
    w.pass(5 * MINUTE);
    w.act(&mut jar, elevate);
    let record = w.record(&w.key(&jar));
    assert_eq!((record.idle, record.deadline.since(w.now())), (10 * MINUTE, HOUR));
    w.act(&mut jar, |loaded| {
        elevate(loaded);
        loaded.set_lifetime(Lifetime::new(MINUTE, 2 * MINUTE)).unwrap();
    });
    let record = w.record(&w.key(&jar));
    assert_eq!((record.idle, record.deadline.since(w.now())), (MINUTE, 2 * MINUTE));
}

#[test]
fn how_long_ago_the_user_proved_who_they_are_can_be_asked() {
    let mut w = World::new();
    let mut jar = w.session_of("ada");
    w.pass(10 * MINUTE);
    let now = w.now();
    w.act(&mut jar, |loaded| {
        assert!(loaded.authenticated_within(10 * MINUTE, now));
        assert!(!loaded.authenticated_within(10 * MINUTE - SECOND, now));
        elevate(loaded);
        assert!(loaded.authenticated_within(Duration::ZERO, now));
    });
    w.pass(MINUTE);
    let now = w.now();
    w.act(&mut jar, |loaded| {
        assert!(loaded.authenticated_within(MINUTE, now) && !loaded.authenticated_within(MINUTE - SECOND, now));
    });
    let anonymous = w.sign_in();
    let now = w.now();
    assert!(!w.with_peeked(&anonymous, |loaded| loaded.authenticated_within(HOUR, now)));
}

#[test]
fn an_end_with_the_old_ticket_ends_what_was_elevated() {
    let lasts = limits::DEFAULT_MAX_REQUEST + limits::DEFAULT_CLOCK_SKEW;
    for after in [Duration::ZERO, limits::DEFAULT_SUPERSEDED + SECOND, lasts - SECOND] {
        let mut w = World::new();
        let old = w.session_of("ada");
        let mut new = old.clone();
        w.act(&mut new, elevate);
        w.pass(after);
        let done = w.request(&old, |loaded| {
            assert!(loaded.is_new());
            loaded.logout();
        });
        assert_eq!((done.result(), done.end(), done.cookie().name()), (Ok(()), Some(End::Ended), "clear"), "{after:?}");
        assert!(!w.opens(&new) && w.live().is_empty());
        assert_eq!(w.list("ada", "").unwrap(), []);
    }
}

#[test]
fn an_end_that_was_under_way_ends_what_was_elevated() {
    let mut w = World::new();
    let old = w.session_of("ada");
    let slow = w.slow(&old, Loaded::destroy);
    let mut new = old.clone();
    w.act(&mut new, elevate);
    w.act(&mut new, elevate);
    w.act(&mut new, Loaded::rotate);
    assert_eq!(w.commit(slow).end(), Some(End::Ended));
    assert!(!w.opens(&new) && w.live().is_empty());
}

#[test]
fn writes_of_the_old_tickets_requests_are_lost() {
    let mut w = World::new();
    let old = w.session_of("ada");
    let slow = w.slow(&old, add(5));
    let mut new = old.clone();
    w.act(&mut new, elevate);
    let done = w.commit(slow);
    assert_eq!((done.result(), done.cookie()), (Err(CommitError::Lost), CookieChange::Keep));
    let done = w.request(&old, add(5));
    assert_eq!((done.result(), done.cookie()), (Err(CommitError::Lost), CookieChange::Keep));
    assert!(has(&done, Event::Superseded));
    assert_eq!(w.peek(&new, "n"), Some(0));
}

#[test]
fn what_another_request_wrote_before_is_kept() {
    for brings in [true, false] {
        let mut w = World::new();
        w.store.brings = brings;
        let old = w.session_of("ada");
        let slow = w.slow(&old, |loaded| {
            elevate(loaded);
            add(1)(loaded);
        });
        assert_eq!(w.request(&old, add(10)).result(), Ok(()));
        w.ops();
        let done = w.commit(slow);
        assert_eq!(done.result(), Ok(()));
        let look = if brings { "" } else { "load," };
        assert_eq!(w.ops(), format!("create,enroll,replace,{look}replace,replace,unenroll"));
        let new = ticket(&done).unwrap();
        assert_eq!(w.peek(&new, "n"), Some(11));
        assert_eq!(w.record(&w.key(&new)).sign_in.unwrap().authenticated, w.now());
        assert!(!w.opens(&old));
    }
}

#[test]
fn of_two_elevations_one_is_lost() {
    let mut w = World::new();
    let old = w.session_of("ada");
    let (first, second) = (w.slow(&old, elevate), w.slow(&old, elevate));
    let first = w.commit(first);
    assert_eq!(first.result(), Ok(()));
    w.ops();
    let second = w.commit(second);
    assert_eq!((second.result(), second.cookie()), (Err(CommitError::Lost), CookieChange::Keep));
    assert!(has(&second, Event::Lost));
    assert_eq!(w.ops(), "create,enroll,replace,remove,unenroll");
    assert_eq!(w.live(), [w.key(&ticket(&first).unwrap())]);
    assert_eq!(w.members("ada"), w.live());
}

#[test]
fn an_elevation_of_a_session_that_ended_meanwhile_is_lost() {
    let mut w = World::new();
    let old = w.session_of("ada");
    let slow = w.slow(&old, elevate);
    assert_eq!(w.request(&old, Loaded::destroy).result(), Ok(()));
    let done = w.commit(slow);
    assert_eq!((done.result(), done.cookie()), (Err(CommitError::Lost), CookieChange::Keep));
    assert!(w.live().is_empty() && w.members("ada").is_empty());
}

#[test]
fn all_tickets_from_before_it_are_dead() {
    for meanwhile in [false, true] {
        let mut w = World::new();
        let old = w.session_of("ada");
        let mut middle = old.clone();
        let slow = meanwhile.then(|| w.slow(&old, elevate));
        w.act(&mut middle, Loaded::rotate);
        w.act(&mut middle, add(1));
        let slow = slow.unwrap_or_else(|| w.slow(&old, elevate));
        let done = w.commit(slow);
        assert_eq!(done.result(), Ok(()));
        let new = ticket(&done).unwrap();
        assert!(!w.opens(&old) && !w.opens(&middle));
        assert_eq!(w.peek(&new, "n"), Some(1));
        assert_eq!(w.members("ada"), [w.key(&new)]);
    }
}

#[test]
fn it_takes_a_rotation_in() {
    let edits: [fn(&mut Loaded); 2] = [
        |loaded| {
            loaded.rotate();
            elevate(loaded);
        },
        |loaded| {
            elevate(loaded);
            loaded.rotate();
        },
    ];
    for edit in edits {
        let mut w = World::new();
        let old = w.session_of("ada");
        let done = w.request(&old, edit);
        assert_eq!(w.ops(), "load,create,enroll,replace,unenroll");
        assert!(has(&done, Event::Elevated) && !has(&done, Event::Renewed));
        assert!(!w.opens(&old));
    }
}

#[test]
fn a_login_proves_as_much_and_an_end_cancels_it() {
    let mut w = World::new();
    let done = w.request("", |loaded| {
        loaded.login("ada", Login::new()).unwrap();
        elevate(loaded);
    });
    assert!(has(&done, Event::SignedIn) && !has(&done, Event::Elevated));
    assert_eq!(w.ops(), "create,enroll");
    let jar = ticket(&done).unwrap();
    let done = w.request(&jar, |loaded| {
        elevate(loaded);
        loaded.login("ada", Login::new()).unwrap();
    });
    assert!(has(&done, Event::SignedIn) && !has(&done, Event::Elevated));
    let jar = ticket(&done).unwrap();
    let done = w.request(&jar, |loaded| {
        elevate(loaded);
        loaded.destroy();
    });
    assert_eq!((done.end(), w.live().len()), (Some(End::Ended), 0));
}

#[test]
fn it_takes_a_rotation_in_however_far_behind_the_ticket_is_and_so_does_a_login() {
    let acts: [fn(&mut Loaded); 2] =
        [|loaded| loaded.elevate().unwrap(), |loaded| loaded.login("ada", Login::new()).unwrap()];
    for act in acts {
        let mut w = World::new();
        let old = w.session_of("ada");
        let mut jar = old.clone();
        for _ in 0..limits::MAX_HOPS {
            w.act(&mut jar, Loaded::rotate);
        }
        let done = w.request(&old, |loaded| {
            act(loaded);
            loaded.rotate();
        });
        assert_eq!(done.result(), Ok(()));
        assert!(!has(&done, Event::TooManyHops));
        assert!(!w.opens(&old) && w.opens(&ticket(&done).unwrap()));
    }
}

#[test]
fn a_failed_request_drops_it() {
    let mut w = World::new();
    let jar = w.session_of("ada");
    w.pass(MINUTE);
    let mut session = w.slow(&jar, |loaded| {
        elevate(loaded);
        add(1)(loaded);
    });
    session.drop_edits();
    let now = w.now();
    assert!(!w.access(&mut session).unwrap().authenticated_within(Duration::ZERO, now));
    let done = w.commit(session);
    assert_eq!((done.result(), done.cookie(), w.ops().as_str()), (Ok(()), CookieChange::Keep, "load"));
    assert_eq!(w.peek(&jar, "n"), Some(0));
}

#[test]
fn a_request_that_takes_too_long_elevates_nothing() {
    for (after, result) in [(Duration::ZERO, Ok(())), (Duration::from_millis(1), Err(CommitError::TooLate))] {
        let mut w = World::new();
        let old = w.session_of("ada");
        let slow = w.slow(&old, elevate);
        w.pass(limits::DEFAULT_MAX_REQUEST + after);
        let done = w.commit(slow);
        assert_eq!((done.result(), ticket(&done).is_some()), (result, result.is_ok()));
        assert_eq!(w.opens(&old), result.is_err());
    }
}

#[test]
fn the_request_goes_on_with_the_new_session() {
    let mut w = World::new();
    let old = w.session_of("ada");
    let slow = w.slow(&old, elevate);
    let mut session = w.commit(slow).reopen();
    w.ops();
    add(1)(w.access(&mut session).unwrap());
    let done = w.commit(session);
    assert_eq!((done.result(), w.ops().as_str()), (Ok(()), "replace"));
    assert_eq!(w.peek(&ticket(&done).unwrap(), "n"), Some(1));
}
