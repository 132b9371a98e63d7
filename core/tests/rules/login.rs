//! A sign-in: a session of its own under a new id, and whatever ticket came before opens nothing from then on.

use std::time::Duration;

use cloakroom_core::{
    CookieChange, EditError, End, EndCause, Ended, Entry, Event, Lifetime, LoadError, Loaded, Login, Nonce, limits,
};

use crate::common::{DAY, HOUR, MINUTE, SECOND, SetCookie, World, add, has, ticket};

fn ada(loaded: &mut Loaded) {
    loaded.login("ada", Login::new()).unwrap();
}

/// A world in which a ticket opens nothing, or does in a way of its own.
fn situations() -> Vec<(&'static str, World, String)> {
    let ended = |cause| {
        let mut w = World::new();
        let jar = w.sign_in();
        let ended = Ended { by: Nonce::from_bytes([9; 8]), cause, at: w.now(), next: None };
        w.put(&w.key(&jar), &Entry::Ended(ended), HOUR);
        (w, jar)
    };
    let with_session = |change: fn(&mut World, &str)| {
        let mut w = World::new();
        let jar = w.sign_in();
        change(&mut w, &jar);
        (w, jar)
    };
    [
        ("no ticket", (World::new(), String::new())),
        ("live", with_session(|_, _| ())),
        ("through a pointer", with_session(|w, jar| assert_eq!(w.request(jar, Loaded::rotate).result(), Ok(())))),
        (
            "stale",
            with_session(|w, jar| {
                let mut new = jar.to_owned();
                w.act(&mut new, Loaded::rotate);
                w.act(&mut new, |_| ());
                w.pass(limits::DEFAULT_GRACE + SECOND);
            }),
        ),
        ("superseded", ended(EndCause::Login)),
        ("ended", ended(EndCause::Destroy)),
        ("absent", with_session(|w, jar| w.store.evict(&w.key(jar)))),
        ("undecodable", with_session(|w, jar| w.put_text(&w.key(jar), "{", HOUR))),
        (
            "expired",
            with_session(|w, jar| {
                let stored = w.store.look(&w.key(jar)).unwrap();
                w.store.set(&w.key(jar), stored.value, None);
            }),
        ),
    ]
    .into_iter()
    .map(|(name, (w, jar))| (name, w, jar))
    .collect()
}

#[test]
fn there_is_always_a_new_id_and_what_the_old_ticket_held_opens_nothing() {
    for (name, mut w, old) in situations() {
        let mut session = w.open(&old);
        match w.access(&mut session) {
            Ok(loaded) => ada(loaded),
            Err(LoadError::Undecodable) => ada(w.access(&mut session).unwrap()),
            Err(error) => panic!("{error}"),
        }
        let done = w.commit(session);
        assert_eq!((done.result(), done.end()), (Ok(()), None), "{name}");
        assert!(has(&done, Event::SignedIn) && !has(&done, Event::Created), "{name}");
        let new = ticket(&done).unwrap_or_else(|| panic!("no ticket: {name}"));
        assert_eq!((w.who(&new).as_deref(), w.peek(&new, "n")), (Some("ada"), None), "{name}");
        if !old.is_empty() {
            assert_ne!(w.key(&new), w.key(&old), "{name}");
            assert!(!w.opens(&old), "{name}");
        }
        assert_eq!(w.members("ada"), [w.key(&new)], "{name}");
        let rest: Vec<_> = w.live().into_iter().filter(|key| *key != w.key(&new)).collect();
        // Where a stale ticket leads to nobody follows.
        assert_eq!(rest.len(), usize::from(name == "stale"), "{name}");
    }
}

#[test]
fn the_ticket_behind_a_pointer_opens_nothing_either() {
    let mut w = World::new();
    let old = w.sign_in();
    let mut middle = old.clone();
    w.act(&mut middle, Loaded::rotate);
    let new = ticket(&w.log_in(&old, "ada")).unwrap();
    assert!(!w.opens(&old) && !w.opens(&middle) && w.opens(&new));
}

#[test]
fn the_new_session_is_stored_and_enrolled_before_the_old_one_ends() {
    let mut w = World::new();
    let old = w.sign_in();
    let mut jar = old.clone();
    assert_eq!(w.visit(&mut jar, ada).result(), Ok(()));
    assert_eq!(w.ops(), "load,create,enroll,replace");
    let Some(Entry::Ended(ended)) = w.entry(&w.key(&old)) else { panic!("no tombstone") };
    assert_eq!((ended.cause, ended.next, ended.at), (EndCause::Login, None, w.now()));

    let old = jar.clone();
    assert_eq!(w.visit(&mut jar, ada).result(), Ok(()));
    assert_eq!(w.ops(), "load,create,enroll,replace,unenroll");
    assert!(!w.opens(&old));
    assert_eq!(w.members("ada"), [w.key(&jar)], "the old key has left the index");
    assert_eq!(w.log_in("", "bob").result(), Ok(()));
    assert_eq!(w.ops(), "create,enroll");
}

#[test]
fn the_key_stays_in_the_index_as_long_as_the_session_can_live() {
    let mut w = World::new();
    let jar = w.session_of("ada");
    w.pass(8 * HOUR + 10 * MINUTE + 59 * SECOND);
    assert_eq!(w.members("ada"), [w.key(&jar)], "of another node's clock the session may live still");
    w.pass(SECOND);
    assert_eq!(w.members("ada"), []);
}

#[test]
fn the_session_is_of_another_lineage_and_as_young_as_its_sign_in() {
    let mut w = World::new();
    let jar = w.session_of("ada");
    let before = w.record(&w.key(&jar));
    w.pass(HOUR / 3);
    let new = ticket(&w.log_in_as(&jar, "ada", Login::new().label("  Firefox\n on Linux "))).unwrap();
    let after = w.record(&w.key(&new));
    assert_ne!(after.lineage, before.lineage);
    assert_eq!((after.created, after.issued, after.commits), (w.now(), w.now(), 1));
    assert_eq!(after.deadline.since(w.now()), 8 * HOUR);
    let sign_in = after.sign_in.unwrap();
    assert_eq!((sign_in.since, sign_in.authenticated), (w.now(), w.now()));
    assert_eq!(sign_in.label.unwrap().as_str(), "Firefox on Linux");
    assert!(after.predecessor.is_none());
}

#[test]
fn a_login_has_a_lifetime_of_its_own() {
    let month = Lifetime::new(7 * DAY, 30 * DAY).persistent();
    let mut w = World::with(|builder| builder.longest(month));
    let done = w.log_in_as("", "ada", Login::new().lifetime(month));
    let CookieChange::Set(line) = done.cookie() else { panic!("no ticket") };
    let lasts = (30 * DAY).as_secs().to_string();
    assert_eq!(SetCookie::parse(line).attribute("max-age"), Some(lasts.as_str()));
    let jar = ticket(&done).unwrap();
    let record = w.record(&w.key(&jar));
    assert_eq!((record.idle, record.deadline.since(w.now()), record.persistent), (7 * DAY, 30 * DAY, true));

    let done = w.log_in(&jar, "ada");
    let CookieChange::Set(line) = done.cookie() else { panic!("no ticket") };
    assert_eq!(SetCookie::parse(line).attribute("max-age"), None, "the one before has no say");
    assert_eq!(w.record(&w.key(&ticket(&done).unwrap())).deadline.since(w.now()), 8 * HOUR);
}

#[test]
fn a_lifetime_that_was_set_before_a_login_is_not_the_logins() {
    let mut w = World::new();
    let shorter = Lifetime::new(MINUTE, HOUR);
    let done = w.request("", |loaded| {
        loaded.set_lifetime(shorter).unwrap();
        ada(loaded);
    });
    let record = w.record(&w.key(&ticket(&done).unwrap()));
    assert_eq!(record.deadline.since(w.now()), 8 * HOUR);
    let done = w.request("", |loaded| {
        ada(loaded);
        loaded.set_lifetime(shorter).unwrap();
    });
    let record = w.record(&w.key(&ticket(&done).unwrap()));
    assert_eq!((record.idle, record.deadline.since(w.now())), (MINUTE, HOUR));
}

#[test]
fn what_does_not_fit_signs_nobody_in_and_changes_nothing() {
    let mut w = World::new();
    let jar = w.sign_in();
    let done = w.request(&jar, |loaded| {
        let long = "x".repeat(limits::MAX_PRINCIPAL - 1);
        assert_eq!(loaded.login(&long, Login::new()), Err(EditError::Principal));
        assert_eq!(loaded.login(&None::<u32>, Login::new()), Err(EditError::Principal));
        for lifetime in [Lifetime::new(HOUR, DAY), Lifetime::new(Duration::ZERO, HOUR)] {
            assert_eq!(loaded.login("ada", Login::new().lifetime(lifetime)), Err(EditError::Lifetime));
        }
        assert_eq!((loaded.principal::<String>(), loaded.get("n"), loaded.is_new()), (Ok(None), Ok(Some(0)), false));
    });
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    let longest = "x".repeat(limits::MAX_PRINCIPAL - 2);
    assert_eq!(w.log_in(&jar, &longest).result(), Ok(()));
}

#[test]
fn the_request_sees_who_it_signs_in() {
    let mut w = World::new();
    let jar = w.session_of("bob");
    let session = w.slow(&jar, |loaded| {
        assert_eq!(loaded.principal::<String>(), Ok(Some("bob".to_owned())));
        ada_and_nothing_else(loaded);
    });
    let mut session = w.commit(session).reopen();
    let loaded = w.access(&mut session).unwrap();
    assert_eq!(loaded.principal::<String>(), Ok(Some("ada".to_owned())));
    assert!(loaded.sign_in().is_some() && !loaded.is_new() && loaded.handle().is_some());
    add(3)(loaded);
    w.ops();
    let done = w.commit(session);
    assert_eq!((done.result(), w.ops().as_str()), (Ok(()), "replace"), "it goes on with the new session");
    assert_eq!(w.peek(&ticket(&done).unwrap(), "n"), Some(3));
}

/// Signs in, and checks that nothing of the session before is seen.
fn ada_and_nothing_else(loaded: &mut Loaded) {
    ada(loaded);
    assert_eq!(loaded.principal::<String>(), Ok(Some("ada".to_owned())));
    assert_eq!(loaded.principal::<u32>().map_err(|_| ()), Err(()));
    assert!(loaded.is_new() && loaded.is_readable() && loaded.sign_in().is_none());
    assert_eq!((loaded.handle(), loaded.created(), loaded.deadline()), (None, None, None));
    assert_eq!(loaded.get::<i64>("n"), Ok(None));
    assert!(loaded.authenticated_within(Duration::ZERO, cloakroom_core::UnixTime::from_millis(u64::MAX)));
}

#[test]
fn a_destroy_after_a_login_cancels_it() {
    let mut w = World::new();
    let jar = w.sign_in();
    let done = w.request(&jar, |loaded| {
        ada(loaded);
        loaded.logout();
        assert_eq!(loaded.principal::<String>(), Ok(None));
    });
    assert_eq!((done.result(), done.end(), done.cookie().name()), (Ok(()), Some(End::Ended), "clear"));
    assert_eq!(w.ops(), "load,replace");
    assert!(!w.opens(&jar) && w.members("ada").is_empty());
}

#[test]
fn a_login_after_a_destroy_carries_nothing_and_reports_the_end() {
    let carrying = |loaded: &mut Loaded| {
        loaded.destroy();
        loaded.login("ada", Login::new().carry("n")).unwrap();
        assert_eq!(loaded.get::<i64>("n"), Ok(None));
    };
    let mut w = World::new();
    let jar = w.sign_in();
    let done = w.request(&jar, carrying);
    assert_eq!((done.result(), done.end(), done.cookie().name()), (Ok(()), Some(End::Ended), "set"));
    assert_eq!(w.ops(), "load,create,enroll,replace");
    assert!(!w.opens(&jar));
    assert_eq!(w.peek(&ticket(&done).unwrap(), "n"), None);

    let jar = w.sign_in();
    let slow = w.slow(&jar, carrying);
    assert_eq!(w.request(&jar, add(10)).result(), Ok(()));
    let done = w.commit(slow);
    assert_eq!((done.result(), done.end()), (Ok(()), Some(End::Ended)));
    assert_eq!(w.peek(&ticket(&done).unwrap(), "n"), None, "nor what was written meanwhile");

    let done = w.request("", carrying);
    assert_eq!((done.result(), done.end()), (Ok(()), Some(End::NothingToEnd)));

    let jar = w.sign_in();
    let slow = w.slow(&jar, carrying);
    assert_eq!(w.request(&jar, Loaded::destroy).result(), Ok(()));
    let done = w.commit(slow);
    assert_eq!((done.result(), done.end(), done.cookie().name()), (Ok(()), Some(End::AlreadyEnded), "set"));
    assert_eq!(w.peek(&ticket(&done).unwrap(), "n"), None);

    let jar = w.sign_in();
    let slow = w.slow(&jar, carrying);
    w.store.evict(&w.key(&jar));
    let done = w.commit(slow);
    assert_eq!((done.result(), done.end(), done.cookie().name()), (Ok(()), Some(End::Vanished), "set"));
}

#[test]
fn a_second_login_replaces_the_first() {
    let mut w = World::new();
    let jar = w.sign_in();
    let done = w.request(&jar, |loaded| {
        loaded.login("bob", Login::new().label("first").lifetime(Lifetime::new(MINUTE, HOUR))).unwrap();
        loaded.insert("m", &1).unwrap();
        loaded.login("ada", Login::new().carry("n").carry("m")).unwrap();
    });
    assert_eq!(done.result(), Ok(()));
    assert_eq!(w.ops(), "load,create,enroll,replace");
    let new = ticket(&done).unwrap();
    assert_eq!((w.who(&new).as_deref(), w.peek(&new, "n"), w.peek(&new, "m")), (Some("ada"), Some(0), None));
    let record = w.record(&w.key(&new));
    assert_eq!((record.sign_in.unwrap().label, record.deadline.since(w.now())), (None, 8 * HOUR));
    assert!(w.members("bob").is_empty());
}

#[test]
fn a_login_takes_a_rotation_in() {
    let edits: [fn(&mut Loaded); 2] = [
        |loaded| {
            loaded.rotate();
            ada(loaded);
        },
        |loaded| {
            ada(loaded);
            loaded.rotate();
        },
    ];
    for edit in edits {
        let mut w = World::new();
        let jar = w.sign_in();
        let done = w.request(&jar, edit);
        assert_eq!(w.ops(), "load,create,enroll,replace");
        assert!(has(&done, Event::SignedIn) && !has(&done, Event::Renewed));
        assert!(!w.opens(&jar));
    }
}

#[test]
fn a_failed_request_drops_its_login_and_sees_the_session_again() {
    let mut w = World::new();
    let jar = w.sign_in();
    let mut session = w.slow(&jar, |loaded| {
        add(5)(loaded);
        loaded.login("ada", Login::new().carry("n").lifetime(Lifetime::new(MINUTE, HOUR))).unwrap();
        loaded.insert("m", &1).unwrap();
    });
    session.drop_edits();
    let loaded = w.access(&mut session).unwrap();
    assert_eq!((loaded.principal::<String>(), loaded.is_new()), (Ok(None), false));
    assert_eq!((loaded.get("n"), loaded.get::<i64>("m")), (Ok(Some(0)), Ok(None)), "as it was loaded");
    let done = w.commit(session);
    assert_eq!((done.result(), done.cookie(), w.ops().as_str()), (Ok(()), CookieChange::Keep, "load"));
    assert!(w.members("ada").is_empty());
}

#[test]
fn a_failed_request_drops_its_login_but_not_the_end_before_it() {
    let mut w = World::new();
    let jar = w.sign_in();
    let mut session = w.slow(&jar, |loaded| {
        loaded.destroy();
        ada(loaded);
        add(1)(loaded);
    });
    session.drop_edits();
    assert_eq!(w.access(&mut session).unwrap().get::<i64>("n"), Ok(None));
    let done = w.commit(session);
    assert_eq!((done.result(), done.end(), done.cookie().name()), (Ok(()), Some(End::Ended), "clear"));
    assert!(!w.opens(&jar) && w.live().is_empty() && w.members("ada").is_empty());
}
