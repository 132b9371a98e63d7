//! Ends of sessions that are held in the cookie: final with a store of revocations, against every copy of every cookie.

use cloakroom_core::{
    Access, CommitError, CookieChange, CookieHeld, End, Event, Excess, Lifetime, Loaded, Login, Op, Outcome,
    RosterError, RosterStep, SealedCodec, Step, Which,
};

use crate::common::{DAY, Fault, HOUR, MINUTE, World, add, has, ring, ticket};

fn world() -> World {
    World::with(|builder| builder.hold_in_cookie(CookieHeld::encrypted()))
}

impl World {
    fn end(&mut self, cookie: &str) {
        assert_eq!(self.request(cookie, |loaded| loaded.destroy()).end(), Some(End::Ended));
    }
}

/// The cookie of a session in which a user is signed in.
fn signed_in(w: &mut World, id: &str) -> String {
    ticket(&w.log_in("", id)).unwrap()
}

fn elevate(loaded: &mut Loaded) {
    loaded.elevate().unwrap();
}

#[test]
fn after_a_logout_no_copy_opens_anything() {
    let mut w = world();
    let first = w.sign_in();
    let second = ticket(&w.request(&first, add(1))).unwrap();
    let slow = w.slow(&first, add(5));
    w.ops();
    let done = w.request(&second, |loaded| loaded.destroy());
    assert_eq!((done.result(), done.end()), (Ok(()), Some(End::Ended)));
    assert!(matches!(done.cookie(), CookieChange::Clear(_)));
    assert_eq!(w.ops(), "load,create");
    // Who loaded before the end may still answer with a cookie; it opens nothing either.
    let third = ticket(&w.commit(slow)).unwrap();
    for cookie in [&first, &second, &third] {
        assert!(!w.opens(cookie));
    }
    let again = w.request(&first, |loaded| assert!(loaded.is_new()));
    assert!(has(&again, Event::ReusedEnded));
}

#[test]
fn an_end_is_kept_until_no_cookie_can_be_alive() {
    let mut w = World::with(|builder| {
        builder
            .hold_in_cookie(CookieHeld::encrypted())
            .lifetime(Lifetime::new(DAY, DAY))
            .longest(Lifetime::new(DAY, DAY * 3))
    });
    let jar = w.sign_in();
    w.end(&jar);
    w.pass(DAY * 3 - MINUTE);
    assert_eq!(w.store.keys().len(), 1);
    w.pass(HOUR);
    assert!(!w.opens(&jar));
}

#[test]
fn without_revocations_a_copy_opens_the_session_again() {
    let mut w = world();
    let jar = w.sign_in();
    w.end(&jar);
    assert!(!w.opens(&jar));
    w.store.forget();
    assert_eq!(w.peek(&jar, "n"), Some(0));
}

#[test]
fn ending_twice_is_already_ended() {
    let mut w = world();
    let jar = w.sign_in();
    let slow = w.slow(&jar, |loaded| loaded.destroy());
    w.end(&jar);
    let done = w.commit(slow);
    assert_eq!((done.end(), done.cookie()), (Some(End::AlreadyEnded), CookieChange::Keep));
}

#[test]
fn a_failed_end_is_no_end_and_removes_no_cookie() {
    for fault in [Fault::Failed, Fault::UnknownNever] {
        let mut w = world();
        let jar = w.sign_in();
        let slow = w.slow(&jar, |loaded| loaded.destroy());
        w.store.fault(0, fault);
        w.store.fault(1, Fault::Failed);
        let done = w.commit(slow);
        assert_eq!((done.end(), done.cookie()), (Some(End::Failed), CookieChange::Keep), "{fault:?}");
        assert!(w.opens(&jar));
        let mut again = done.reopen();
        w.store.heal();
        w.access(&mut again).unwrap();
        assert_eq!(w.commit(again).end(), Some(End::Ended));
        assert!(!w.opens(&jar));
    }
}

#[test]
fn an_end_whose_answer_is_missing_is_settled_by_looking() {
    for fault in [Fault::UnknownApplied, Fault::UnknownNever, Fault::UnknownLater] {
        let mut w = world();
        let jar = w.sign_in();
        let slow = w.slow(&jar, |loaded| loaded.destroy());
        w.store.fault(0, fault);
        assert_eq!(w.commit(slow).end(), Some(End::Ended), "{fault:?}");
        w.store.land();
        assert!(!w.opens(&jar));
    }
}

#[test]
fn an_end_tries_again_where_what_was_there_is_gone_and_not_for_ever() {
    for flips in [1, 1000] {
        let mut w = world();
        let jar = w.sign_in();
        let slow = w.slow(&jar, |loaded| loaded.destroy());
        let (mut step, mut asked) = (w.start(slow), 0);
        let done = loop {
            let io = match step {
                Step::Done(done) => break done,
                Step::Io(io) => io,
            };
            asked += 1;
            // Something is there whenever it writes, and nothing whenever it looks.
            let outcome = match io.op() {
                Op::Create { .. } if asked <= 2 * flips => Outcome::Exists,
                Op::Load { .. } => Outcome::Absent,
                op => w.store.perform(op),
            };
            step = io.resume(outcome, w.now());
        };
        assert!(asked < 100, "{asked}");
        let expected = if flips == 1 { End::Ended } else { End::Failed };
        assert_eq!((done.end(), w.opens(&jar)), (Some(expected), flips > 1));
    }
}

#[test]
fn a_store_that_is_down_opens_no_session() {
    let mut w = world();
    let jar = w.sign_in();
    let mut session = w.open(&jar);
    // A driver that has no answer does not supply one: the session stays unloaded, and nothing is written.
    assert!(matches!(session.access(), Access::Load(_)));
    let done = w.commit(session);
    assert_eq!(done.cookie(), CookieChange::Keep);
}

#[test]
fn what_is_written_after_a_destroy_is_a_new_session() {
    let mut w = world();
    let old = w.sign_in();
    let done = w.request(&old, |loaded| {
        loaded.destroy();
        loaded.insert("m", &1).unwrap();
    });
    let new = ticket(&done).unwrap();
    assert_eq!((w.opens(&old), w.peek(&new, "m"), w.peek(&new, "n")), (false, Some(1), None));
}

#[test]
fn a_ticket_from_before_a_login_opens_nothing_after_it() {
    let mut w = world();
    let before = w.sign_in();
    let done = w.log_in(&before, "alice");
    let after = ticket(&done).unwrap();
    assert!(!w.opens(&before));
    assert_eq!((w.who(&after).as_deref(), w.peek(&after, "n")), (Some("alice"), None));
    let again = ticket(&w.log_in(&after, "bob")).unwrap();
    assert_eq!((w.who(&after), w.who(&again).as_deref()), (None, Some("bob")));
}

#[test]
fn after_an_elevation_old_copies_open_nothing_and_end_what_it_made() {
    let mut w = world();
    let old = signed_in(&mut w, "alice");
    let new = ticket(&w.request(&old, elevate)).unwrap();
    assert_eq!((w.opens(&old), w.who(&new).as_deref()), (false, Some("alice")));
    let newer = ticket(&w.request(&new, elevate)).unwrap();
    assert_eq!((w.opens(&old), w.opens(&new), w.opens(&newer)), (false, false, true));
    let late = w.request(&old, add(1));
    assert_eq!(late.result(), Err(CommitError::Lost));
    let done = w.request(&old, |loaded| loaded.destroy());
    assert_eq!(done.end(), Some(End::Ended));
    assert!(!w.opens(&newer));
}

#[test]
fn an_end_that_races_with_an_elevation_follows_it() {
    let mut w = world();
    let old = signed_in(&mut w, "alice");
    let slow = w.slow(&old, |loaded| loaded.destroy());
    let new = ticket(&w.request(&old, elevate)).unwrap();
    assert_eq!(w.commit(slow).end(), Some(End::Ended));
    assert!(!w.opens(&new));
}

#[test]
fn an_elevation_that_comes_after_an_end_is_lost() {
    let mut w = world();
    let old = signed_in(&mut w, "alice");
    let slow = w.slow(&old, elevate);
    w.end(&old);
    let done = w.commit(slow);
    assert_eq!((done.result(), done.cookie()), (Err(CommitError::Lost), CookieChange::Keep));
}

#[test]
fn the_end_of_all_ends_every_login_before_it_and_none_after() {
    let mut w = world();
    let [phone, desk, other] = [signed_in(&mut w, "alice"), signed_in(&mut w, "alice"), signed_in(&mut w, "bob")];
    let slow = w.slow(&phone, add(1));
    assert_eq!(w.end_many("alice", Which::All, &desk), Ok(0));
    let late = ticket(&w.commit(slow)).unwrap();
    for cookie in [&phone, &desk, &late] {
        assert!(!w.opens(cookie));
    }
    assert!(w.opens(&other));
    let after = signed_in(&mut w, "alice");
    assert!(w.opens(&after));
    assert_eq!(w.end_many("alice", Which::All, ""), Ok(0));
    assert!(!w.opens(&after));
}

#[test]
fn a_login_or_an_elevation_that_races_with_an_end_of_all_opens_nothing() {
    let mut w = world();
    let desk = signed_in(&mut w, "alice");
    let elevation = w.slow(&desk, elevate);
    let session = w.slow("", |loaded| loaded.login("alice", Login::new()).unwrap());
    let step = w.start(session);
    // The login has looked for the last end of all.
    let outcome = match &step {
        Step::Io(io) => w.store.perform(io.op()),
        done => panic!("{done:?}"),
    };
    assert_eq!(w.end_many("alice", Which::All, ""), Ok(0));
    let Step::Io(io) = step else { unreachable!() };
    let now = w.now();
    let done = w.finish(io.resume(outcome, now));
    assert!(!w.opens(&ticket(&done).unwrap()));
    let elevated = w.commit(elevation);
    assert!(!w.opens(&ticket(&elevated).unwrap()));
}

#[test]
fn the_end_of_the_others_spares_the_one_that_asks_and_what_it_becomes() {
    let mut w = world();
    let [phone, desk] = [signed_in(&mut w, "alice"), signed_in(&mut w, "alice")];
    assert_eq!(w.end_many("alice", Which::Others, &desk), Ok(0));
    assert_eq!((w.opens(&phone), w.opens(&desk)), (false, true));
    let elevated = ticket(&w.request(&desk, elevate)).unwrap();
    assert!(w.opens(&elevated));
    let phone = signed_in(&mut w, "alice");
    assert_eq!(w.end_many("alice", Which::Others, &phone), Ok(0));
    assert_eq!((w.opens(&phone), w.opens(&elevated)), (true, false));
}

#[test]
fn an_end_of_all_is_settled_by_looking() {
    for fault in Fault::ALL {
        let mut w = world();
        let desk = signed_in(&mut w, "alice");
        let step = w.ending("alice", Which::All, &desk);
        w.store.fault(1, fault);
        let result = w.drive(step);
        assert_eq!(result.is_ok(), fault != Fault::Failed, "{fault:?}");
        assert_eq!(w.opens(&desk), fault == Fault::Failed, "{fault:?}");
    }
}

#[test]
fn a_login_that_cannot_ask_for_the_last_end_of_all_fails() {
    let mut w = world();
    let session = w.slow("", |loaded| loaded.login("alice", Login::new()).unwrap());
    w.store.fault(0, Fault::Failed);
    let done = w.commit(session);
    assert_eq!((done.result(), done.cookie()), (Err(CommitError::Store), CookieChange::Keep));
}

#[test]
fn nobodys_sessions_are_listed_counted_or_ended_by_handle() {
    let mut w = world();
    let jar = signed_in(&mut w, "alice");
    assert_eq!(w.list("alice", &jar), Err(RosterError::NoIndex));
    let handle = w.key(&jar).handle();
    assert_eq!(w.end_many("alice", Which::One(handle), ""), Err(RosterError::NoIndex));
    let done = w.log_in_as("", "alice", Login::new().at_most(3, Excess::Refuse));
    assert_eq!((done.result(), done.cookie()), (Err(CommitError::NoIndex), CookieChange::Keep));
}

#[test]
fn a_session_of_nobody_asks_once_and_one_of_a_user_twice() {
    let mut w = world();
    let [nobody, alice] = [w.sign_in(), signed_in(&mut w, "alice")];
    w.ops();
    assert_eq!(w.request(&nobody, |_| ()).result(), Ok(()));
    assert_eq!(w.ops(), "load");
    assert_eq!(w.request(&alice, |_| ()).result(), Ok(()));
    assert_eq!(w.ops(), "load,load");
    w.end(&alice);
    assert_eq!(w.ops(), "load,load,create");
    signed_in(&mut w, "alice");
    assert_eq!(w.ops(), "load");
}

#[test]
fn an_end_of_all_that_is_tried_again_brings_nothing_back() {
    let mut w = world();
    let desk = signed_in(&mut w, "alice");
    let first = w.ending("alice", Which::All, &desk);
    let first = w.advance(first);
    w.store.fault(0, Fault::UnknownApplied);
    let first = w.advance(first);
    // The login notes what landed, and another end of all ends it.
    let after = signed_in(&mut w, "alice");
    assert!(w.opens(&after));
    assert_eq!(w.end_many("alice", Which::All, ""), Ok(0));
    assert!(matches!(first, RosterStep::Io(_)) && !w.opens(&after));
    assert_eq!(w.drive(first), Ok(0));
    assert!(!w.opens(&after));
}

#[test]
fn a_codec_that_binds_to_the_key_ends_what_an_elevation_made_too() {
    let sealed = || {
        World::with(|builder| builder.hold_in_cookie(CookieHeld::encrypted()).codec(SealedCodec::new(&ring(), "main")))
    };
    let mut w = sealed();
    let old = signed_in(&mut w, "alice");
    let new = ticket(&w.request(&old, elevate)).unwrap();
    w.end(&old);
    assert!(!w.opens(&new));
    let mut w = sealed();
    let old = signed_in(&mut w, "alice");
    let new = ticket(&w.request(&old, elevate)).unwrap();
    assert_eq!(w.log_in(&old, "bob").result(), Ok(()));
    assert!(!w.opens(&new));
}

#[test]
fn an_end_by_a_node_with_shorter_lifetimes_is_kept_as_long_as_the_cookie_lives() {
    let held =
        |lifetime: Lifetime| World::with(|builder| builder.hold_in_cookie(CookieHeld::encrypted()).lifetime(lifetime));
    let mut w = held(Lifetime::new(DAY * 30, DAY * 30));
    let (long, short) = (w.engine.clone(), held(Lifetime::new(HOUR, DAY)).engine);
    let jar = signed_in(&mut w, "alice");
    w.engine = short;
    w.end(&jar);
    w.pass(DAY * 2);
    w.engine = long;
    assert!(!w.opens(&jar));
}

#[test]
fn a_slow_read_sends_no_cookie_over_that_of_an_elevation() {
    let mut w =
        World::with(|builder| builder.hold_in_cookie(CookieHeld::encrypted()).lifetime(Lifetime::new(HOUR, DAY)));
    let old = signed_in(&mut w, "alice");
    w.pass(HOUR / 2);
    let slow = w.slow(&old, |_| ());
    let new = ticket(&w.request(&old, elevate)).unwrap();
    let done = w.commit(slow);
    assert_eq!((done.result(), done.cookie(), w.opens(&new)), (Ok(()), CookieChange::Keep, true));
}

#[test]
fn a_login_carries_nothing_of_what_an_elevation_took_away() {
    let mut w = world();
    let old = signed_in(&mut w, "alice");
    let old = ticket(&w.request(&old, add(1))).unwrap();
    let slow = w.slow(&old, |loaded| loaded.login("alice", Login::new().carry("n")).unwrap());
    let new = ticket(&w.request(&old, |loaded| {
        elevate(loaded);
        add(8)(loaded);
    }))
    .unwrap();
    let after = ticket(&w.commit(slow)).unwrap();
    assert_eq!((w.peek(&after, "n"), w.opens(&new)), (None, false));
}

/// A login that fails on its way to end what an elevation made has not opened that.
fn a_failed_login_opens_nothing(w: &mut World) {
    let old = signed_in(w, "alice");
    let new = ticket(&w.request(&old, elevate)).unwrap();
    let mut failed = 0;
    for at in 0..8 {
        for fault in [Fault::Failed, Fault::UnknownNever] {
            let mut w = w.clone();
            let session = w.slow(&old, |loaded| loaded.login("mallory", Login::new()).unwrap());
            w.store.fault(at, fault);
            let done = w.commit(session);
            if done.result().is_ok() {
                continue;
            }
            failed += 1;
            w.store.heal();
            let mut again = done.reopen();
            let loaded = w.access(&mut again).unwrap();
            assert_eq!(loaded.principal::<String>().unwrap(), None, "{at} {fault:?}");
            // And it can still be ended.
            loaded.destroy();
            assert_eq!(w.commit(again).end(), Some(End::Ended), "{at} {fault:?}");
            assert!(!w.opens(&new));
        }
    }
    assert!(failed > 2, "{failed}");
}

#[test]
fn a_login_that_fails_opens_nothing_that_its_ticket_did_not() {
    a_failed_login_opens_nothing(&mut world());
    a_failed_login_opens_nothing(&mut World::new());
}
