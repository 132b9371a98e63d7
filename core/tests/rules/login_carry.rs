//! What a login takes over from the session before it: what it names, as it stands when that session ends.

use std::sync::Arc;

use cloakroom_core::{
    CommitError, CookieChange, EditError, EndCause, Ended, Entry, Loaded, Login, Nonce, OpKind, ReplayError, limits,
};

use crate::common::{HOUR, SECOND, World, add, ticket};

fn carrying(keys: &[&str]) -> Login {
    keys.iter().fold(Login::new(), |login, key| login.carry(*key))
}

fn ada_with_n(loaded: &mut Loaded) {
    loaded.login("ada", carrying(&["n"])).unwrap();
}

#[test]
fn nothing_is_carried_over_but_what_is_named() {
    let mut w = World::new();
    let mut jar = w.sign_in();
    w.act(&mut jar, |loaded| {
        loaded.insert("cart", &[1, 2]).unwrap();
        loaded.insert("role", "admin").unwrap();
    });
    let done = w.request(&jar, |loaded| {
        loaded.login("ada", carrying(&["cart", "nothing"])).unwrap();
        assert_eq!(loaded.get("cart"), Ok(Some(vec![1, 2])));
    });
    let new = ticket(&done).unwrap();
    let data = w.record(&w.key(&new)).data;
    assert_eq!(data.iter().map(|(key, _)| key.to_owned()).collect::<Vec<_>>(), ["cart"]);
    assert_eq!(w.request(&new, |loaded| assert_eq!(loaded.get("cart"), Ok(Some([1, 2])))).result(), Ok(()));
}

#[test]
fn nothing_is_carried_over_from_somebody_else() {
    for (before, n) in [("bob", None), ("ada", Some(0))] {
        let mut w = World::new();
        let jar = w.session_of(before);
        let done = w.request(&jar, ada_with_n);
        assert_eq!(done.result(), Ok(()));
        assert_eq!(w.peek(&ticket(&done).unwrap(), "n"), n, "from {before}");
        assert!(!w.opens(&jar));
    }
}

#[test]
fn two_user_ids_are_one_user_only_as_the_same_json() {
    let mut w = World::new();
    let jar = ticket(&w.request("", |loaded| {
        loaded.login(&7, Login::new()).unwrap();
        loaded.insert("n", &0).unwrap();
    }))
    .unwrap();
    let done = w.request(&jar, |loaded| loaded.login("7", carrying(&["n"])).unwrap());
    assert_eq!(w.peek(&ticket(&done).unwrap(), "n"), None);
}

fn put_ended(w: &mut World, jar: &str, cause: EndCause) {
    let ended = Ended { by: Nonce::from_bytes([9; 8]), cause, at: w.now(), next: None };
    w.put(&w.key(jar), &Entry::Ended(ended), HOUR);
}

/// What becomes of a session before its ticket is presented.
type Change = fn(&mut World, &str);

#[test]
fn what_opens_nothing_has_nothing_to_carry() {
    let changes: [Change; 6] = [
        |w, jar| put_ended(w, jar, EndCause::Login),
        |w, jar| put_ended(w, jar, EndCause::Destroy),
        |w, jar| w.store.evict(&w.key(jar)),
        |w, jar| w.put_text(&w.key(jar), "{", HOUR),
        |w, jar| {
            let stored = w.store.look(&w.key(jar)).unwrap();
            w.store.set(&w.key(jar), stored.value, None);
        },
        |w, jar| {
            let mut new = jar.to_owned();
            w.act(&mut new, Loaded::rotate);
            w.act(&mut new, |_| ());
            w.pass(limits::DEFAULT_GRACE + SECOND);
        },
    ];
    for change in changes {
        let mut w = World::new();
        let jar = w.sign_in();
        change(&mut w, &jar);
        let mut session = w.open(&jar);
        let _ = w.access(&mut session);
        ada_with_n(w.access(&mut session).unwrap());
        let done = w.commit(session);
        assert_eq!(done.result(), Ok(()));
        assert_eq!(w.peek(&ticket(&done).unwrap(), "n"), None);
    }
}

#[test]
fn it_is_carried_over_from_where_a_pointer_leads_to() {
    let mut w = World::new();
    let old = w.sign_in();
    let mut jar = old.clone();
    w.act(&mut jar, Loaded::rotate);
    w.act(&mut jar, add(3));
    let done = w.request(&old, ada_with_n);
    assert_eq!(w.peek(&ticket(&done).unwrap(), "n"), Some(3));
}

#[test]
fn edits_before_a_login_are_carried_over_by_their_key_and_later_ones_are_its_own() {
    let mut w = World::new();
    let jar = w.sign_in();
    let done = w.request(&jar, |loaded| {
        add(5)(loaded);
        loaded.insert("before", &1).unwrap();
        ada_with_n(loaded);
        assert_eq!((loaded.get("n"), loaded.get::<i64>("before")), (Ok(Some(5)), Ok(None)));
        add(10)(loaded);
        loaded.insert("after", &1).unwrap();
    });
    let new = ticket(&done).unwrap();
    assert_eq!((w.peek(&new, "n"), w.peek(&new, "before"), w.peek(&new, "after")), (Some(15), None, Some(1)));
    assert_eq!(w.record(&w.key(&new)).commits, 1);
}

#[test]
fn what_was_removed_before_is_not_carried_over() {
    let mut w = World::new();
    let jar = w.sign_in();
    let done = w.request(&jar, |loaded| {
        loaded.remove("n").unwrap();
        ada_with_n(loaded);
    });
    assert_eq!(w.peek(&ticket(&done).unwrap(), "n"), None);
}

#[test]
fn what_another_request_writes_meanwhile_is_carried_over() {
    for brings in [true, false] {
        let mut w = World::new();
        w.store.brings = brings;
        let jar = w.sign_in();
        let slow = w.slow(&jar, |loaded| {
            add(1)(loaded);
            ada_with_n(loaded);
            add(100)(loaded);
        });
        let other = w.request(&jar, |loaded| {
            add(10)(loaded);
            loaded.insert("m", &1).unwrap();
        });
        assert_eq!(other.result(), Ok(()));
        w.ops();
        let done = w.commit(slow);
        assert_eq!(done.result(), Ok(()));
        let look = if brings { "" } else { "load," };
        assert_eq!(w.ops(), format!("create,enroll,replace,{look}replace,replace"));
        let new = ticket(&done).unwrap();
        assert_eq!((w.peek(&new, "n"), w.peek(&new, "m")), (Some(111), None), "every edit once");
        assert!(!w.opens(&jar));
    }
}

#[test]
fn what_was_edited_between_two_logins_is_not_done_again() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, |loaded| {
        add(1)(loaded);
        loaded.login("bob", carrying(&["n"])).unwrap();
        add(1000)(loaded);
        loaded.insert("between", &1).unwrap();
        ada_with_n(loaded);
        add(100)(loaded);
    });
    assert_eq!(w.request(&jar, add(10)).result(), Ok(()));
    let done = w.commit(slow);
    assert_eq!(done.result(), Ok(()));
    let new = ticket(&done).unwrap();
    assert_eq!((w.peek(&new, "n"), w.peek(&new, "between")), (Some(111), None));
}

#[test]
fn a_login_that_carries_nothing_writes_its_record_once() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, |loaded| loaded.login("ada", Login::new()).unwrap());
    assert_eq!(w.request(&jar, add(10)).result(), Ok(()));
    w.ops();
    let done = w.commit(slow);
    assert_eq!((done.result(), w.ops().as_str()), (Ok(()), "create,enroll,replace,replace"));
    assert!(!w.opens(&jar));
}

#[test]
fn what_was_written_after_a_renewal_meanwhile_is_carried_over() {
    let mut w = World::new();
    let old = w.sign_in();
    let slow = w.slow(&old, ada_with_n);
    let mut jar = old.clone();
    w.act(&mut jar, Loaded::rotate);
    w.act(&mut jar, add(10));
    let done = w.commit(slow);
    assert_eq!(done.result(), Ok(()));
    assert_eq!(w.peek(&ticket(&done).unwrap(), "n"), Some(10));
    assert!(!w.opens(&old) && !w.opens(&jar));
}

#[test]
fn nothing_is_carried_over_from_a_session_that_another_request_ended() {
    let enders: [fn(&mut Loaded); 2] = [Loaded::destroy, |loaded| loaded.login("bob", Login::new()).unwrap()];
    for ender in enders {
        let mut w = World::new();
        let jar = w.sign_in();
        let slow = w.slow(&jar, |loaded| {
            add(5)(loaded);
            ada_with_n(loaded);
            loaded.insert("own", &1).unwrap();
        });
        assert_eq!(w.request(&jar, ender).result(), Ok(()));
        let done = w.commit(slow);
        assert_eq!((done.result(), done.end()), (Ok(()), None));
        let new = ticket(&done).unwrap();
        assert_eq!((w.peek(&new, "n"), w.peek(&new, "own")), (None, Some(1)));
        assert_eq!(w.who(&new).as_deref(), Some("ada"));
    }
}

#[test]
fn nothing_is_carried_over_from_a_session_that_vanished() {
    let mut w = World::new();
    let jar = w.sign_in();
    let slow = w.slow(&jar, ada_with_n);
    w.store.evict(&w.key(&jar));
    let done = w.commit(slow);
    assert_eq!(done.result(), Ok(()));
    assert_eq!(w.peek(&ticket(&done).unwrap(), "n"), None);
}

#[test]
fn what_somebody_else_signed_in_meanwhile_is_not_carried_over() {
    let mut w = World::new();
    let old = w.sign_in();
    let slow = w.slow(&old, ada_with_n);
    let bobs = ticket(&w.request(&old, |loaded| {
        loaded.login("bob", carrying(&["n"])).unwrap();
        add(7)(loaded);
    }))
    .unwrap();
    let done = w.commit(slow);
    let adas = ticket(&done).unwrap();
    assert_eq!((w.peek(&adas, "n"), w.peek(&bobs, "n")), (None, Some(7)));
}

#[test]
fn an_edit_that_refuses_what_is_there_fails_the_login_and_leaves_no_trace() {
    for before in [true, false] {
        let refusing = |loaded: &mut Loaded| {
            let once = |n: Option<i64>| n.filter(|n| *n == 0).map(|n| n + 1).ok_or(EditError::KeyTooLong);
            loaded.try_update("n", once).map(drop).unwrap();
        };
        let mut w = World::new();
        let jar = w.sign_in();
        let slow = w.slow(&jar, |loaded| {
            if before {
                refusing(loaded);
            }
            ada_with_n(loaded);
            if !before {
                refusing(loaded);
            }
        });
        assert_eq!(w.request(&jar, add(10)).result(), Ok(()));
        let done = w.commit(slow);
        assert_eq!(done.result(), Err(CommitError::Replay(ReplayError::Refused)));
        assert_eq!(done.cookie(), CookieChange::Keep);
        assert_eq!(w.peek(&jar, "n"), Some(10));
        assert_eq!(w.live(), [w.key(&jar)], "what was made is removed");
        assert!(w.members("ada").is_empty(), "from the index too");
    }
}

#[test]
fn contention_on_a_login_is_bounded() {
    for brings in [true, false] {
        let mut w = World::new();
        w.store.brings = brings;
        let jar = w.sign_in();
        let slow = w.slow(&jar, ada_with_n);
        let mut step = w.start(slow);
        let mut swings = 0;
        let done = loop {
            match step {
                cloakroom_core::Step::Done(done) => break done,
                cloakroom_core::Step::Io(io) => {
                    if io.op().kind() == OpKind::Replace && *io.op().key() == w.key(&jar) {
                        swings += 1;
                        assert_eq!(w.request(&jar, add(10)).result(), Ok(()));
                    }
                    assert!(swings <= limits::MAX_REPLAYS + 1);
                    step = w.resume(cloakroom_core::Step::Io(io));
                }
            }
        };
        assert_eq!((done.result(), done.cookie()), (Err(CommitError::Contention), CookieChange::Keep));
        assert_eq!(w.peek(&jar, "n"), Some(10 * i64::from(swings)));
        assert_eq!(w.live(), [w.key(&jar)], "what was made is removed");
        assert!(w.members("ada").is_empty());
    }
}

#[test]
fn what_the_application_gave_is_dropped_with_the_commit() {
    let given = Arc::new(());
    let asks: [fn(&mut Loaded); 3] = [|_| (), ada_with_n, Loaded::destroy];
    for ask in asks {
        let mut w = World::new();
        let jar = w.sign_in();
        let kept = Arc::clone(&given);
        let done = w.request(&jar, |loaded| {
            loaded.update("n", move |n: Option<u64>| n.unwrap_or(0) + Arc::strong_count(&kept) as u64).unwrap();
            ask(loaded);
        });
        assert_eq!((done.result(), Arc::strong_count(&given)), (Ok(()), 1));
    }
}
