//! The end of a session: a tombstone on what is live, acknowledged only when it stands.

use cloakroom_core::{CommitError, CookieChange, Done, End, Entry, Event, Loaded, Login, Op};

use crate::common::{Fault, HOUR, SetCookie, World, add, has, ticket};

fn assert_ended(done: &Done) {
    assert_eq!((done.result(), done.end()), (Ok(()), Some(End::Ended)));
    assert!(has(done, Event::Ended));
    assert_eq!(done.cookie().name(), "clear");
}

#[test]
fn an_end_leaves_a_tombstone_and_removes_the_cookie() {
    let mut w = World::new();
    let jar = w.sign_in();
    let done = w.request(&jar, Loaded::destroy);
    assert_ended(&done);
    assert_eq!(w.ops(), "load,replace");
    assert!(matches!(w.entry(&w.key(&jar)), Some(Entry::Ended(_))));
    let CookieChange::Clear(line) = done.cookie() else { panic!("no removal") };
    let cookie = SetCookie::parse(line);
    assert_eq!((cookie.name.as_str(), cookie.value.as_str()), ("__Host-id", ""));
    assert_eq!(cookie.attribute("max-age"), Some("0"));
    assert!(!w.opens(&jar));
}

#[test]
fn an_ended_ticket_opens_nothing_and_a_write_with_it_makes_a_new_session() {
    let mut w = World::new();
    let jar = w.sign_in();
    assert_ended(&w.request(&jar, Loaded::destroy));
    let tombstone = w.text(&w.key(&jar));
    let done = w.request(&jar, |loaded| assert!(loaded.is_new()));
    assert!(has(&done, Event::ReusedEnded));
    assert_eq!(done.cookie(), CookieChange::Keep);
    let done = w.request(&jar, |loaded| loaded.insert("m", &1).unwrap());
    let new = ticket(&done).expect("a ticket");
    assert_ne!(new, jar);
    assert_eq!((w.peek(&new, "n"), w.peek(&new, "m")), (None, Some(1)), "nothing of the old one");
    assert_eq!(w.text(&w.key(&jar)), tombstone);
}

#[test]
fn an_end_strikes_also_what_changed_meanwhile() {
    for brings in [true, false] {
        let mut w = World::new();
        w.store.brings = brings;
        let jar = w.sign_in();
        let slow = w.slow(&jar, Loaded::destroy);
        assert_eq!(w.request(&jar, add(1)).result(), Ok(()));
        w.ops();
        assert_ended(&w.commit(slow));
        assert_eq!(w.ops(), if brings { "replace,replace" } else { "replace,load,replace" });
        assert!(!w.opens(&jar));
    }
}

#[test]
fn an_end_follows_pointers_to_what_is_live() {
    let mut w = World::new();
    let old = w.sign_in();
    let mut new = old.clone();
    let slow = w.slow(&old, Loaded::destroy);
    w.act(&mut new, Loaded::rotate);
    assert_ended(&w.commit(slow));
    assert!(!w.opens(&old) && !w.opens(&new) && w.live().is_empty());

    let old = w.sign_in();
    let mut new = old.clone();
    w.act(&mut new, Loaded::rotate);
    w.ops();
    assert_ended(&w.request(&old, Loaded::destroy));
    assert_eq!(w.ops(), "load,load,replace");
    assert!(!w.opens(&old) && !w.opens(&new) && w.live().is_empty());
}

#[test]
fn an_unknown_end_is_settled_by_looking() {
    for (fault, ops) in [
        (Fault::UnknownApplied, "replace,load"),
        (Fault::UnknownNever, "replace,load,replace"),
        (Fault::UnknownLater, "replace,load,replace"),
    ] {
        let mut w = World::new();
        let jar = w.sign_in();
        let slow = w.slow(&jar, Loaded::destroy);
        w.ops();
        w.store.fault(0, fault);
        assert_ended(&w.commit(slow));
        assert_eq!(w.ops(), ops);
        w.store.land();
        assert!(!w.opens(&jar));
    }
}

#[test]
fn an_end_that_cannot_be_settled_is_not_acknowledged_and_sends_no_cookie() {
    for first in Fault::ALL {
        for second in Fault::ALL {
            let mut w = World::new();
            let jar = w.sign_in();
            let slow = w.slow(&jar, Loaded::destroy);
            w.store.fault(0, first);
            w.store.fault(1, second);
            let done = w.commit(slow);
            assert!(done.result().is_err(), "{first:?}, {second:?}");
            assert_eq!(done.end(), Some(End::Failed));
            assert_eq!(done.cookie(), CookieChange::Keep);
        }
    }
}

#[test]
fn a_failed_end_is_tried_again_after_reopening() {
    for fault in [Fault::Failed, Fault::UnknownApplied, Fault::UnknownNever, Fault::UnknownLater] {
        let mut w = World::new();
        let jar = w.sign_in();
        let slow = w.slow(&jar, Loaded::destroy);
        w.store.fault(0, fault);
        if fault != Fault::Failed {
            w.store.fault(1, Fault::Failed);
        }
        let done = w.commit(slow);
        assert_eq!((done.end(), done.cookie()), (Some(End::Failed), CookieChange::Keep), "{fault:?}");
        let done = w.commit(done.reopen());
        assert!(matches!(done.end(), Some(End::Ended | End::AlreadyEnded)), "{fault:?}: {:?}", done.end());
        w.store.land();
        assert!(!w.opens(&jar), "{fault:?}");
    }
}

#[test]
fn a_record_that_vanished_after_its_load_is_no_acknowledged_end() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, Loaded::destroy);
    w.store.evict(&w.key(&jar));
    w.ops();
    let done = w.commit(slow);
    assert_eq!((done.result(), done.end()), (Err(CommitError::Vanished), Some(End::Vanished)));
    assert!(has(&done, Event::Vanished) && !has(&done, Event::Ended));
    assert_eq!(done.cookie().name(), "clear", "this ticket opens nothing any more");
    assert_eq!(w.ops(), "replace", "nothing is created in its place");
    assert!(w.store.keys().is_empty());
}

#[test]
fn a_session_that_another_request_ended_needs_no_end_and_sends_no_cookie() {
    for brings in [true, false] {
        let mut w = World::new();
        w.store.brings = brings;
        let jar = w.sign_in();
        let slow = w.slow(&jar, Loaded::destroy);
        assert_ended(&w.request(&jar, Loaded::destroy));
        let tombstone = w.text(&w.key(&jar));
        let done = w.commit(slow);
        assert_eq!((done.result(), done.end()), (Ok(()), Some(End::AlreadyEnded)));
        assert_eq!(done.cookie(), CookieChange::Keep, "the jar may hold a newer ticket");
        assert_eq!(w.text(&w.key(&jar)), tombstone);
    }
}

#[test]
fn where_nothing_opened_there_is_nothing_to_end() {
    let mut w = World::new();
    let jar = w.sign_in();
    let mut ended = w.sign_in();
    let ended_jar = ended.clone();
    w.act(&mut ended, Loaded::destroy);
    let mut expired = w.sign_in();
    w.store.evict(&w.key(&expired));
    expired.push_str("; other=1");
    let forged = format!("{}A", &jar[..jar.len() - 1]);
    let forged = if forged == jar { format!("{}B", &jar[..jar.len() - 1]) } else { forged };
    for cookie in ["", "__Host-id=x", &forged, &ended_jar, &expired] {
        let kept = w.store.log.len();
        let done = w.request(cookie, Loaded::destroy);
        assert_eq!((done.result(), done.end()), (Ok(()), Some(End::NothingToEnd)), "{cookie}");
        assert_eq!(done.cookie(), CookieChange::Keep);
        assert!(w.store.log[kept..].iter().all(|op| matches!(op, Op::Load { .. })));
    }
    assert!(w.opens(&jar));
}

#[test]
fn of_an_end_is_told_only_where_one_was_asked_for() {
    let mut w = World::new();
    let done = w.request("", |loaded| {
        loaded.destroy();
        add(1)(loaded);
    });
    assert_eq!((done.result(), done.end()), (Ok(()), Some(End::NothingToEnd)));
    let jar = ticket(&done).unwrap();
    assert_eq!(w.request(&jar, |_| ()).end(), None);
    assert_eq!(w.request(&jar, add(1)).end(), None);
    assert_eq!(w.request(&jar, Loaded::rotate).end(), None);
}

#[test]
fn edits_before_an_end_are_dropped() {
    let mut w = World::new();
    let jar = w.sign_in();
    let done = w.request(&jar, |loaded| {
        loaded.rotate();
        loaded.insert("a", &1).unwrap();
        loaded.destroy();
    });
    assert_ended(&done);
    assert_eq!(w.ops(), "load,replace");
    assert!(w.live().is_empty());

    let done = w.request("", |loaded| {
        loaded.insert("a", &1).unwrap();
        loaded.destroy();
    });
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    assert_eq!(w.ops(), "");
}

#[test]
fn writing_after_an_end_makes_a_new_session_with_nothing_of_the_old_one() {
    let mut w = World::new();
    let jar = w.sign_in();
    let done = w.request(&jar, |loaded| {
        loaded.insert("before", &1).unwrap();
        loaded.destroy();
        assert!(loaded.is_new());
        assert_eq!(loaded.get::<i64>("n"), Ok(None));
        assert_eq!((loaded.created(), loaded.handle()), (None, None));
        loaded.insert("after", &2).unwrap();
    });
    assert_eq!((done.result(), done.end()), (Ok(()), Some(End::Ended)));
    assert_eq!(w.ops(), "load,replace,create");
    let new = ticket(&done).expect("a ticket, and no removal");
    assert_eq!(done.headers().filter(|(name, _)| *name == "set-cookie").count(), 1);
    assert_ne!(new, jar);
    assert_eq!((w.peek(&new, "n"), w.peek(&new, "before"), w.peek(&new, "after")), (None, None, Some(2)));
    assert!(!w.opens(&jar));
    assert_eq!(w.record(&w.key(&new)).predecessor, None);
    assert_eq!(w.live(), [w.key(&new)]);
}

#[test]
fn a_failed_end_makes_no_new_session_in_its_place() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, |loaded| {
        loaded.destroy();
        loaded.insert("after", &2).unwrap();
    });
    w.ops();
    w.store.fault(0, Fault::Failed);
    let done = w.commit(slow);
    assert_eq!((done.result(), done.end()), (Err(CommitError::Store), Some(End::Failed)));
    assert_eq!(done.cookie(), CookieChange::Keep);
    assert_eq!(w.ops(), "replace");
    assert_eq!(w.live(), [w.key(&jar)]);
}

#[test]
fn when_only_the_new_session_fails_the_end_stands() {
    for fault in Fault::ALL {
        let mut w = World::new();
        let jar = w.sign_in();
        let slow = w.slow(&jar, |loaded| {
            loaded.destroy();
            loaded.insert("after", &2).unwrap();
        });
        w.store.fault(1, fault);
        let done = w.commit(slow);
        assert!(done.result().is_err(), "{fault:?}");
        assert_eq!((done.end(), done.cookie().name()), (Some(End::Ended), "clear"), "{fault:?}");
        assert!(!w.opens(&jar));
    }
}

#[test]
fn dropping_the_edits_of_a_failed_request_never_drops_its_end() {
    let mut w = World::new();
    let jar = w.sign_in();
    let mut session = w.slow(&jar, |loaded| {
        loaded.destroy();
        loaded.insert("after", &2).unwrap();
    });
    session.drop_edits();
    assert_ended(&w.commit(session));
    assert!(w.live().is_empty());

    let jar = w.sign_in();
    let mut session = w.slow(&jar, |loaded| {
        loaded.rotate();
        loaded.insert("n", &9).unwrap();
    });
    session.drop_edits();
    let done = w.commit(session);
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    assert_eq!((w.ops().as_str(), w.peek(&jar, "n")), ("load", Some(0)));
}

#[test]
fn what_does_not_decode_can_be_read_once_it_is_to_end() {
    let acts: [fn(&mut Loaded); 2] = [Loaded::destroy, |loaded| loaded.login("ada", Login::new()).unwrap()];
    for act in acts {
        let mut w = World::new();
        let jar = w.sign_in();
        w.put_text(&w.key(&jar), "damaged", HOUR);
        let mut session = w.open(&jar);
        assert!(w.access(&mut session).is_err());
        let loaded = w.access(&mut session).unwrap();
        assert!(!loaded.is_readable() && !loaded.is_new());
        act(loaded);
        assert!(loaded.is_readable() && loaded.is_new());
        assert_eq!(loaded.get::<i64>("n"), Ok(None));
    }
}
