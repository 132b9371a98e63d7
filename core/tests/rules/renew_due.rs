//! Renewals that nobody asked for: by the id's age or an older key of the ring, on navigations only.

use cloakroom_core::{
    CommitError, CookieChange, Done, Engine, Event, Keyring, Loaded, RequestInfo, SignedTokens, TokenScheme,
};

use crate::common::{Fault, HOUR, MINUTE, SECOND, World, add, has, key, ring, ticket};

fn aged() -> (World, String) {
    let mut w = World::with(|builder| builder.renew_after(10 * MINUTE));
    let jar = w.sign_in();
    (w, jar)
}

fn request(w: &mut World, cookie: &str, info: &RequestInfo<'_>, edit: impl FnOnce(&mut Loaded)) -> Done {
    let mut session = w.open_as(cookie, info);
    edit(w.access(&mut session).unwrap());
    w.commit(session)
}

#[test]
fn renewal_by_age_is_off_by_default() {
    let mut w = World::new();
    let jar = w.sign_in();
    for _ in 0..16 {
        w.pass(25 * MINUTE);
        assert_eq!(w.request(&jar, add(1)).cookie(), CookieChange::Keep);
    }
}

#[test]
fn an_id_is_renewed_at_its_age_and_not_before() {
    let (mut w, jar) = aged();
    w.pass(10 * MINUTE - SECOND);
    assert_eq!(w.request(&jar, |_| ()).cookie(), CookieChange::Keep);
    w.pass(2 * SECOND);
    w.ops();
    let done = w.request(&jar, |_| ());
    assert_eq!(done.result(), Ok(()));
    assert!(has(&done, Event::Renewed));
    assert_eq!(w.ops(), "load,create,replace");
    let new = ticket(&done).expect("a ticket");
    assert_eq!(w.request(&new, |_| ()).cookie(), CookieChange::Keep, "the new id is young");
    w.pass(11 * MINUTE);
    assert!(ticket(&w.request(&new, |_| ())).is_some(), "and ages");
}

#[test]
fn a_session_that_nobody_accessed_is_not_renewed() {
    let (mut w, jar) = aged();
    w.pass(11 * MINUTE);
    let session = w.open(&jar);
    let done = w.commit(session);
    assert_eq!((done.headers().count(), w.ops().as_str()), (0, ""));
}

#[test]
fn only_navigations_renew_by_themselves() {
    for (mode, renews) in [
        (None, true),
        (Some("navigate"), true),
        (Some("cors"), false),
        (Some("no-cors"), false),
        (Some("same-origin"), false),
        (Some("websocket"), false),
        (Some("Navigate"), false),
        (Some(""), false),
    ] {
        let (mut w, jar) = aged();
        w.pass(11 * MINUTE);
        let mut info = RequestInfo::new().method("GET");
        if let Some(mode) = mode {
            info = info.sec_fetch_mode(mode.as_bytes());
        }
        let done = request(&mut w, &jar, &info, add(1));
        assert_eq!(ticket(&done).is_some(), renews, "{mode:?}");
        assert_eq!(w.peek(&jar, "n"), Some(1));
        // Asked for, it is done whoever asks.
        let done = request(&mut w, &jar, &info, Loaded::rotate);
        assert!(ticket(&done).is_some(), "{mode:?}");
    }
}

#[test]
fn a_request_that_came_through_a_pointer_does_not_renew_by_itself() {
    let (mut w, old) = aged();
    let mut new = old.clone();
    w.act(&mut new, Loaded::rotate);
    w.pass(11 * MINUTE);
    w.ops();
    let done = w.request(&old, add(1));
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    assert_eq!(w.ops(), "load,load,replace");
    assert_eq!(w.live(), [w.key(&new)]);
}

#[test]
fn a_failed_renewal_that_nobody_asked_for_is_nobodys_failure() {
    for at in 0..3 {
        for fault in Fault::ALL {
            let (mut w, jar) = aged();
            w.pass(11 * MINUTE);
            let slow = w.slow(&jar, |_| ());
            w.store.fault(at, fault);
            let done = w.commit(slow);
            assert_eq!(done.result(), Ok(()), "{fault:?} at {at}");
            w.store.land();
            assert_eq!(w.peek(&jar, "n"), Some(0), "{fault:?} at {at}");
            if let Some(new) = ticket(&done) {
                assert_eq!(w.peek(&new, "n"), Some(0), "{fault:?} at {at}");
            }
        }
    }
}

#[test]
fn a_renewal_in_doubt_that_nobody_asked_for_is_nobodys_failure_either() {
    for pointer in [Fault::UnknownApplied, Fault::UnknownLater, Fault::UnknownNever] {
        let (mut w, jar) = aged();
        w.pass(11 * MINUTE);
        let slow = w.slow(&jar, |_| ());
        w.store.fault(1, pointer);
        w.store.fault(2, Fault::Failed);
        let done = w.commit(slow);
        assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep), "{pointer:?}");
        w.store.land();
        assert_eq!(w.peek(&jar, "n"), Some(0), "{pointer:?}");
    }
}

#[test]
fn edits_beside_a_renewal_that_nobody_asked_for_are_never_lost_silently() {
    for at in 0..4 {
        for fault in Fault::ALL {
            let (mut w, jar) = aged();
            w.pass(11 * MINUTE);
            let slow = w.slow(&jar, add(1));
            w.store.fault(at, fault);
            let done = w.commit(slow);
            w.store.land();
            let n = w.peek(&jar, "n").unwrap();
            match done.result() {
                Ok(()) => assert_eq!(n, 1, "{fault:?} at {at}"),
                Err(_) => assert!(done.cookie() == CookieChange::Keep && n <= 1, "{fault:?} at {at}"),
            }
        }
    }
}

#[test]
fn edits_are_stored_where_the_new_record_cannot_be_created() {
    let (mut w, jar) = aged();
    w.pass(11 * MINUTE);
    let slow = w.slow(&jar, add(1));
    w.store.fault(0, Fault::Failed);
    let done = w.commit(slow);
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    assert_eq!(w.peek(&jar, "n"), Some(1));
}

#[test]
fn a_renewal_by_age_that_meets_an_end_is_no_session_and_no_cookie() {
    let (mut w, jar) = aged();
    w.pass(11 * MINUTE);
    let slow = w.slow(&jar, |_| ());
    assert_eq!(w.request(&jar, Loaded::destroy).result(), Ok(()));
    let done = w.commit(slow);
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    assert!(w.live().is_empty());
}

/// The same store under a ring in which another key signs.
fn with_ring(mut w: World, ring: Keyring) -> World {
    w.engine = Engine::builder(ring).build().unwrap();
    w
}

#[test]
fn a_ticket_under_an_older_key_opens_and_makes_a_renewal_due() {
    let mut w = World::new();
    let old = w.sign_in();
    let mut w = with_ring(w, Keyring::new(key(2)).accept(key(1)).unwrap());
    let done = w.request(&old, |loaded| assert!(!loaded.is_new()));
    assert_eq!(w.ops(), "load,create,replace");
    let new = ticket(&done).expect("a ticket under the primary");
    assert_eq!(w.peek(&new, "n"), Some(0));
    let mut w = with_ring(w, Keyring::new(key(2)));
    assert!(w.opens(&new), "it outlives the old key");
    let done = w.request(&old, |loaded| assert!(loaded.is_new()));
    assert!(has(&done, Event::UnknownKey(key(1).id())));
}

#[test]
fn a_ticket_under_an_older_key_waits_for_a_navigation() {
    let mut w = World::new();
    let old = w.sign_in();
    let mut w = with_ring(w, Keyring::new(key(2)).accept(key(1)).unwrap());
    let info = RequestInfo::new().sec_fetch_mode(b"cors");
    let done = request(&mut w, &old, &info, |loaded| assert!(!loaded.is_new()));
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    assert_eq!(w.ops(), "load");
}

#[test]
fn a_key_is_accepted_everywhere_before_it_signs() {
    let mut w = with_ring(World::new(), Keyring::new(key(2)).accept(key(1)).unwrap());
    let promoted = w.sign_in();
    let mut w = with_ring(w, ring().accept(key(2)).unwrap());
    let done = w.request(&promoted, |loaded| assert!(!loaded.is_new()));
    assert_eq!(done.result(), Ok(()));
}

#[test]
fn a_ticket_under_an_older_key_does_not_renew_through_a_pointer() {
    let mut w = World::new();
    let old = w.sign_in();
    let mut new = old.clone();
    w.act(&mut new, Loaded::rotate);
    let mut w = with_ring(w, Keyring::new(key(2)).accept(key(1)).unwrap());
    assert_eq!(w.request(&old, |_| ()).cookie(), CookieChange::Keep);
    assert!(ticket(&w.request(&new, |_| ())).is_some());
}

#[test]
fn one_id_under_several_keys_of_the_ring_is_one_ticket() {
    let mut w = World::new();
    let jar = w.sign_in();
    let id = SignedTokens::new(&ring(), "main", "__Host-id").verify(&jar.as_bytes()[10..]).unwrap().id;
    let tokens = (1..7).map(|n| {
        let mut line = "__Host-id=".to_owned();
        SignedTokens::new(&Keyring::new(key(n)), "main", "__Host-id").mint(&id, &mut line);
        line
    });
    let cookie = tokens.collect::<Vec<_>>().join("; ");
    let many = (2..7).fold(ring(), |ring, n| ring.accept(key(n)).unwrap());
    let mut w = with_ring(w, many);
    let done = w.request(&cookie, add(1));
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep), "the primary's ticket is there");
    assert_eq!(w.ops(), "load,replace");
}

#[test]
fn retiring_a_key_refuses_tickets_and_ends_no_session() {
    let mut w = World::new();
    let jar = w.sign_in();
    let mut w = with_ring(w, Keyring::new(key(2)));
    w.ops();
    let done = w.request(&jar, |loaded| assert!(loaded.is_new()));
    assert_eq!(done.cookie(), CookieChange::Keep);
    assert_eq!(w.ops(), "");
    w.pass(HOUR / 4);
    let w = with_ring(w, ring());
    assert!(w.opens(&jar));
}

#[test]
fn a_renewal_by_age_that_would_make_the_record_too_large_is_left_undone() {
    let mut w = World::with(|builder| builder.renew_after(10 * MINUTE).max_record(4096));
    let jar = w.sign_in();
    let key = w.key(&jar);
    let fill = |len: usize| move |loaded: &mut Loaded| loaded.insert("fill", &"x".repeat(len)).unwrap();
    for _ in 0..9 {
        assert_eq!(w.request(&jar, add(1)).result(), Ok(()));
    }
    assert_eq!(w.request(&jar, fill(1)).result(), Ok(()));
    // Room for another digit or two, not for the key of the predecessor.
    let room = 4096 - w.text(&key).len() - 4;
    assert_eq!(w.request(&jar, fill(1 + room)).result(), Ok(()));
    w.pass(11 * MINUTE);
    w.ops();
    let done = w.request(&jar, add(1));
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    assert_eq!((w.ops().as_str(), w.peek(&jar, "n")), ("load,load,replace", Some(10)));
    assert!(matches!(w.request(&jar, Loaded::rotate).result(), Err(CommitError::RecordTooLarge { .. })), "asked for");
    for _ in 0..2 {
        w.pass(20 * MINUTE);
        let done = w.request(&jar, |_| ());
        assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
        assert!(w.opens(&jar), "what is used lives on");
    }
}

#[test]
fn a_request_that_came_through_a_pointer_when_it_looked_again_renews_nothing() {
    let mut w = World::with(|builder| builder.renew_after(10 * MINUTE));
    let jar = w.sign_in();
    let slow = w.slow(&jar, add(1));
    w.store.fault(0, Fault::Failed);
    let failed = w.commit(slow);
    assert_eq!(w.request(&jar, Loaded::rotate).result(), Ok(()));
    w.pass(11 * MINUTE);
    let mut session = failed.reopen();
    add(1)(w.access(&mut session).unwrap());
    w.ops();
    let done = w.commit(session);
    assert_eq!((done.result(), w.ops().as_str()), (Ok(()), "replace"));
}

#[test]
fn a_renewal_by_age_that_finds_the_session_ended_loses_what_was_changed_and_nothing_else() {
    for (changes, result) in [(true, Err(CommitError::Lost)), (false, Ok(()))] {
        let mut w = World::with(|builder| builder.renew_after(10 * MINUTE));
        let jar = w.sign_in();
        w.pass(11 * MINUTE);
        let slow = w.slow(&jar, |loaded| {
            if changes {
                add(1)(loaded);
            }
        });
        assert_eq!(w.request(&jar, Loaded::destroy).result(), Ok(()));
        let done = w.commit(slow);
        assert_eq!((done.result(), done.cookie().name()), (result, "keep"), "{changes}");
    }
}
