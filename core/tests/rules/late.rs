//! Requests that take longer from their load to their commit than is allowed: they change, end and renew nothing.

use std::time::Duration;

use cloakroom_core::{
    Access, CommitError, CookieChange, End, Entry, Event, Loaded, Outcome, Session, Step, UnixTime, limits,
};

use crate::common::{Fault, MINUTE, SECOND, World, add, has, ticket};

const LONGEST: Duration = limits::DEFAULT_MAX_REQUEST;
const MILLI: Duration = Duration::from_millis(1);

#[test]
fn an_end_is_refused_and_the_session_lives() {
    let mut w = World::new();
    let jar = w.sign_in();
    for late in [MILLI, 9 * MINUTE] {
        let slow = w.slow(&jar, Loaded::destroy);
        w.pass(LONGEST + late);
        w.ops();
        let done = w.commit(slow);
        assert_eq!((done.result(), done.end()), (Err(CommitError::TooLate), Some(End::Failed)));
        assert_eq!((done.cookie(), w.ops().as_str()), (CookieChange::Keep, ""));
        assert!(!has(&done, Event::Ended));
        assert_eq!(w.request(&jar, add(1)).result(), Ok(()));
    }
    let slow = w.slow(&jar, Loaded::destroy);
    w.pass(LONGEST);
    let done = w.commit(slow);
    assert_eq!((done.result(), done.end(), done.cookie().name()), (Ok(()), Some(End::Ended), "clear"));
}

#[test]
fn an_end_of_a_ticket_renewed_away_meanwhile_does_not_take_the_newer_one_from_the_jar() {
    let mut w = World::new();
    let old = w.sign_in();
    let late = w.slow(&old, Loaded::destroy);
    let mut jar = old.clone();
    w.act(&mut jar, Loaded::rotate);
    for _ in 0..5 {
        w.act(&mut jar, add(1));
        w.pass(4 * MINUTE);
    }
    assert!(w.entry(&w.key(&old)).is_none(), "the pointer is gone");
    let done = w.commit(late);
    assert_eq!((done.result(), done.end()), (Err(CommitError::TooLate), Some(End::Failed)));
    assert_eq!(done.cookie(), CookieChange::Keep);
    assert!(w.opens(&jar));
}

#[test]
fn what_was_refused_is_dropped_and_the_request_goes_on() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, add(1));
    w.pass(LONGEST + MILLI);
    let refused = w.commit(slow);
    assert_eq!(refused.result(), Err(CommitError::TooLate));
    w.ops();
    let done = w.commit(refused.reopen());
    assert_eq!((done.result(), w.ops().as_str(), w.peek(&jar, "n")), (Ok(()), "", Some(0)));
}

#[test]
fn a_clock_that_goes_back_makes_nothing_less_late() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, Loaded::destroy);
    w.pass(LONGEST);
    let Step::Io(io) = w.start(slow) else { panic!("nothing to do") };
    w.pass(MILLI);
    let Step::Io(io) = io.resume(Outcome::Conflict(None), w.now()) else { panic!("nothing to look at") };
    let before = UnixTime::from_millis(w.now().as_millis() - 60_000);
    let Step::Done(done) = io.resume(Outcome::Absent, before) else { panic!("more to do") };
    assert_eq!((done.result(), done.end()), (Err(CommitError::TooLate), Some(End::Failed)));
}

#[test]
fn an_end_that_failed_is_not_tried_again_so_late() {
    let mut w = World::new();
    let old = w.sign_in();
    let late = w.slow(&old, Loaded::destroy);
    let mut jar = old.clone();
    w.act(&mut jar, Loaded::rotate);
    w.store.fault(0, Fault::Failed);
    let failed = w.commit(late);
    assert_eq!((failed.result(), failed.end()), (Err(CommitError::Store), Some(End::Failed)));
    let late = failed.reopen();
    for _ in 0..5 {
        w.act(&mut jar, add(1));
        w.pass(4 * MINUTE);
    }
    assert!(w.entry(&w.key(&old)).is_none(), "the pointer is gone");
    w.ops();
    let done = w.commit(late);
    assert_eq!((done.result(), done.end()), (Err(CommitError::TooLate), Some(End::Failed)));
    assert_eq!((done.cookie(), w.ops().as_str()), (CookieChange::Keep, ""));
    assert!(w.opens(&jar));
}

#[test]
fn an_end_that_was_on_its_way_so_long_tells_nothing_by_what_it_does_not_find() {
    let mut w = World::new();
    let old = w.sign_in();
    let slow = w.slow(&old, Loaded::destroy);
    let on_its_way = w.start(slow);
    let mut jar = old.clone();
    w.act(&mut jar, Loaded::rotate);
    for _ in 0..5 {
        w.act(&mut jar, add(1));
        w.pass(4 * MINUTE);
    }
    let done = w.finish(on_its_way);
    assert_eq!((done.result(), done.end()), (Err(CommitError::TooLate), Some(End::Failed)));
    assert_eq!(done.cookie(), CookieChange::Keep);
    assert!(w.opens(&jar));
}

#[test]
fn what_a_save_wrote_is_as_old_as_its_operation() {
    let mut w = World::new();
    let old = w.sign_in();
    let slow = w.slow(&old, add(1));
    let Step::Io(io) = w.start(slow) else { panic!("it writes") };
    let outcome = w.store.perform(io.op());
    let mut jar = old.clone();
    w.act(&mut jar, Loaded::rotate);
    for _ in 0..5 {
        w.act(&mut jar, add(1));
        w.pass(4 * MINUTE);
    }
    let Step::Done(done) = io.resume(outcome, w.now()) else { panic!("it wrote") };
    let mut session = done.reopen();
    w.access(&mut session).unwrap().destroy();
    let done = w.commit(session);
    assert_eq!((done.result(), done.end()), (Err(CommitError::TooLate), Some(End::Failed)));
    assert_eq!(done.cookie(), CookieChange::Keep);
    assert!(w.opens(&jar));
}

#[test]
fn what_came_after_a_write_makes_it_no_younger() {
    let mut w = World::new();
    let mut jar = w.sign_in();
    w.act(&mut jar, Loaded::rotate);
    let slow = w.slow(&jar, add(1));
    let Step::Io(io) = w.start(slow) else { panic!("it writes") };
    let outcome = w.store.perform(io.op());
    w.pass(LONGEST - MINUTE);
    let first_presentation = io.resume(outcome, w.now());
    w.store.fault(0, Fault::Failed);
    let mut session = w.finish(first_presentation).reopen();
    assert_eq!(w.ops(), "load,create,replace,load,replace,load");
    w.pass(MINUTE + MILLI);
    w.access(&mut session).unwrap().destroy();
    let done = w.commit(session);
    assert_eq!((done.result(), done.end()), (Err(CommitError::TooLate), Some(End::Failed)));
}

#[test]
fn a_renewal_that_learns_late_that_it_is_done_knows_no_more_than_what_it_wrote() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, Loaded::rotate);
    let step = w.start(slow);
    let Step::Io(pointer) = w.resume(step) else { panic!("it swings") };
    w.store.fault(0, Fault::UnknownApplied);
    let outcome = w.store.perform(pointer.op());
    assert_eq!(w.request(&jar, Loaded::destroy).end(), Some(End::Ended));
    w.pass(LONGEST + 2 * MINUTE);
    let look = pointer.resume(outcome, w.now());
    let mut session = w.finish(look).reopen();
    w.access(&mut session).unwrap().destroy();
    let done = w.commit(session);
    assert_eq!((done.result(), done.end()), (Err(CommitError::TooLate), Some(End::Failed)));
}

#[test]
fn nothing_renews_by_itself() {
    for (after, renews) in [(LONGEST, true), (LONGEST + MILLI, false)] {
        let mut w = World::with(|builder| builder.renew_after(10 * MINUTE));
        let jar = w.sign_in();
        w.pass(11 * MINUTE);
        let slow = w.slow(&jar, |_| ());
        w.pass(after);
        let done = w.commit(slow);
        assert_eq!((done.result(), ticket(&done).is_some()), (Ok(()), renews), "{after:?}");
        assert_eq!(w.ops(), if renews { "load,create,replace" } else { "load" }, "{after:?}");
        assert_eq!(has(&done, Event::Renewed), renews);
    }
}

#[test]
fn a_first_presentation_is_left_to_the_next_request() {
    for (after, presents) in [(LONGEST, true), (LONGEST + MILLI, false)] {
        let mut w = World::new();
        let old = w.sign_in();
        let mut new = old.clone();
        w.act(&mut new, Loaded::rotate);
        w.ops();
        let slow = w.slow(&new, |_| ());
        w.pass(after);
        let done = w.commit(slow);
        assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
        assert_eq!(w.ops(), if presents { "load,load,replace,replace" } else { "load" }, "{after:?}");
        let Some(Entry::Moved(moved)) = w.entry(&w.key(&old)) else { panic!("no pointer") };
        assert_eq!(moved.closes_at.is_some(), presents);
        assert_eq!(w.record(&w.key(&new)).predecessor.is_none(), presents);
    }
}

/// A request whose first load brings a pointer, and whose second one is sent a while later.
fn slow_pointer(w: &mut World, cookie: &str, between: Duration) -> Session {
    let mut session = w.open(cookie);
    let Access::Load(load) = session.access() else { panic!("nothing to load") };
    let found = w.store.look(load.key());
    let Access::Load(load) = load.supply(found, w.now()).unwrap() else { panic!("no pointer") };
    let found = w.store.look(load.key());
    w.pass(between);
    let Access::Ready(loaded) = load.supply(found, w.now()).unwrap() else { panic!("another pointer") };
    add(1)(loaded);
    session
}

#[test]
fn the_time_runs_from_the_first_load() {
    for (rest, result) in [(4 * MINUTE, Ok(())), (4 * MINUTE + SECOND, Err(CommitError::TooLate))] {
        let mut w = World::new();
        let old = w.sign_in();
        assert_eq!(w.request(&old, Loaded::rotate).result(), Ok(()));
        let session = slow_pointer(&mut w, &old, 6 * MINUTE);
        w.pass(rest);
        assert_eq!(w.commit(session).result(), result);
        assert_eq!(w.peek(&old, "n"), Some(result.is_ok().into()));
    }
}

#[test]
fn the_time_starts_anew_with_what_a_save_wrote() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, add(1));
    w.pass(9 * MINUTE);
    let done = w.commit(slow);
    assert_eq!(done.result(), Ok(()));
    let mut session = done.reopen();
    add(1)(w.access(&mut session).unwrap());
    w.pass(3 * MINUTE);
    let done = w.commit(session);
    assert_eq!(done.result(), Ok(()));
    let mut session = done.reopen();
    add(1)(w.access(&mut session).unwrap());
    w.pass(LONGEST + MILLI);
    assert_eq!(w.commit(session).result(), Err(CommitError::TooLate));
    assert_eq!(w.peek(&jar, "n"), Some(2));
}

#[test]
fn the_time_goes_on_after_a_save_that_wrote_nothing() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, |_| ());
    w.pass(5 * MINUTE);
    let done = w.commit(slow);
    assert_eq!(w.ops(), "load");
    let mut session = done.reopen();
    add(1)(w.access(&mut session).unwrap());
    w.pass(6 * MINUTE);
    assert_eq!(w.commit(session).result(), Err(CommitError::TooLate));
    assert_eq!(w.peek(&jar, "n"), Some(0));
}
