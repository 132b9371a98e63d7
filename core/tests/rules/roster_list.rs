//! The list of a user's sessions, as the user sees it; what the index holds beyond them is taken out on the way.

use cloakroom_core::{Event, Loaded, Login, Op, OpKind, Outcome, RosterError, RosterStep};

use crate::common::{Fault, HOUR, MINUTE, SECOND, World, add, has, ticket, user};

#[test]
fn it_says_when_each_session_was_signed_in_and_used_what_it_is_named_and_which_asks() {
    let mut w = World::new();
    let start = w.now();
    let phone = w.session_with("ada", Login::new().label("phone"));
    w.pass(5 * MINUTE);
    let laptop = w.session_with("ada", Login::new().label("laptop"));
    w.pass(5 * MINUTE);
    let nameless = w.session_of("ada");
    w.session_of("bob");
    assert_eq!(w.request(&phone, add(1)).result(), Ok(()));
    w.pass(MINUTE);
    w.ops();
    let listed = w.list("ada", &phone).unwrap();
    assert_eq!(w.ops(), "list,load,load,load");
    let at = |minutes: u64| start.saturating_add(MINUTE * minutes as u32);
    let rows: Vec<_> = listed
        .iter()
        .map(|it| (it.handle, it.created, it.seen, it.label.as_ref().map(|it| it.as_str()), it.current))
        .collect();
    assert_eq!(
        rows,
        [
            (w.key(&nameless).handle(), at(10), at(10), None, false),
            (w.key(&laptop).handle(), at(5), at(5), Some("laptop"), false),
            (w.key(&phone).handle(), at(0), at(10), Some("phone"), true),
        ],
        "newest first"
    );
}

#[test]
fn who_has_no_session_has_an_empty_list_and_nobody_else_is_current() {
    let mut w = World::new();
    let bobs = w.session_of("bob");
    let anonymous = w.sign_in();
    assert_eq!(w.list("ada", &bobs), Ok(Vec::new()));
    for asking in [&anonymous, ""] {
        let listed = w.list("bob", asking).unwrap();
        assert_eq!(listed.iter().map(|it| it.current).collect::<Vec<_>>(), [false]);
    }
    let step = w.engine.list_sessions(user("bob"), None);
    assert_eq!(w.drive(step).unwrap().len(), 1);
}

#[test]
fn a_session_is_the_same_after_a_renewal_and_an_elevation() {
    let mut w = World::new();
    let created = w.now();
    let mut jar = w.session_with("ada", Login::new().label("phone"));
    for edit in [Loaded::rotate as fn(&mut Loaded), |loaded| loaded.elevate().unwrap()] {
        w.pass(MINUTE);
        w.act(&mut jar, edit);
        let listed = w.list("ada", &jar).unwrap();
        assert_eq!(listed.len(), 1);
        let it = &listed[0];
        assert_eq!((it.handle, it.created, it.seen), (w.key(&jar).handle(), created, w.now()));
        assert_eq!((it.label.as_ref().map(|it| it.as_str()), it.current), (Some("phone"), true));
    }
}

#[test]
fn a_session_was_seen_no_earlier_than_its_id_was_issued() {
    let mut w = World::new();
    let mut jar = w.session_of("ada");
    for _ in 0..18 {
        w.pass(25 * MINUTE);
        w.act(&mut jar, add(1));
    }
    w.pass(15 * MINUTE);
    w.act(&mut jar, Loaded::rotate);
    let listed = w.list("ada", &jar).unwrap();
    assert_eq!(listed[0].seen, w.now(), "though its time to live is cut by the deadline");
}

#[test]
fn what_is_no_live_session_is_taken_out() {
    let mut w = World::new();
    let mut jars: Vec<String> = (0..4).map(|_| w.session_of("ada")).collect();
    let keys: Vec<_> = jars.iter().map(|jar| w.key(jar)).collect();
    w.store.evict(&keys[0]);
    w.store.has_indexes = false;
    w.act(&mut jars[1], Loaded::destroy);
    w.act(&mut jars[2], Loaded::rotate);
    w.store.has_indexes = true;
    assert_eq!(w.members("ada").len(), 4, "what was not told of it");
    w.ops();
    let listed = w.list("ada", &jars[3]).unwrap();
    assert_eq!(listed.iter().map(|it| it.handle).collect::<Vec<_>>(), [keys[3].handle()]);
    assert_eq!(w.members("ada"), [keys[3].clone()]);
    let ops = w.ops();
    assert_eq!(ops.matches("unenroll").count(), 3, "{ops}");
    assert_eq!(w.list("ada", "").unwrap().len(), 1);
    assert_eq!(w.ops(), "list,load", "once");
}

#[test]
fn an_entry_that_cannot_be_taken_out_disturbs_nobody() {
    for fault in Fault::ALL {
        let mut w = World::new();
        let jars = [w.session_of("ada"), w.session_of("ada")];
        w.store.evict(&w.key(&jars[0]));
        let at = w.members("ada").iter().position(|key| *key == w.key(&jars[0])).unwrap();
        // The last member is loaded first.
        w.store.fault(if at == 1 { 2 } else { 3 }, fault);
        assert_eq!(w.list("ada", "").unwrap().len(), 1, "{fault:?}");
    }
}

#[test]
fn what_does_not_decode_is_left_alone() {
    let mut w = World::new();
    let jars = [w.session_of("ada"), w.session_of("ada")];
    w.put_text(&w.key(&jars[0]), "{", HOUR);
    assert_eq!(w.list("ada", "").unwrap().len(), 1);
    assert_eq!(w.members("ada").len(), 2, "to end it, its key is enough");
}

#[test]
fn what_has_expired_is_not_listed() {
    let mut w = World::new();
    let jars = [w.session_of("ada"), w.session_of("ada")];
    let stored = w.store.look(&w.key(&jars[0])).unwrap();
    w.store.set(&w.key(&jars[0]), stored.value.clone(), None);
    assert_eq!(w.list("ada", "").unwrap().len(), 1);
    w.store.set(&w.key(&jars[0]), stored.value, Some(9 * HOUR));
    assert_eq!(w.list("ada", "").unwrap().len(), 1, "it lives longer than it may");
}

#[test]
fn a_session_of_another_user_in_the_index_is_not_shown() {
    let mut w = World::new();
    let bobs = w.session_of("bob");
    let anonymous = w.sign_in();
    for jar in [&bobs, &anonymous] {
        let op = Op::Enroll { index: w.index_of("ada"), member: w.key(jar), ttl: HOUR };
        assert_eq!(w.store.perform(&op), Outcome::Indexed);
    }
    assert_eq!(w.list("ada", ""), Ok(Vec::new()));
}

/// A renewal that made a record and went no further.
fn abandoned_renewal(seed: u64) -> (World, String) {
    let mut w = World::new();
    w.entropy.0 = seed;
    let jar = w.session_of("ada");
    let slow = w.slow(&jar, Loaded::rotate);
    let step = w.start(slow);
    let step = w.resume(step);
    drop(w.resume(step));
    assert_eq!(w.members("ada").len(), 2);
    (w, jar)
}

#[test]
fn what_an_abandoned_renewal_made_is_not_listed() {
    let (mut w, jar) = abandoned_renewal(7);
    w.ops();
    let listed = w.list("ada", &jar).unwrap();
    assert_eq!(listed.iter().map(|it| it.handle).collect::<Vec<_>>(), [w.key(&jar).handle()]);
    assert_eq!(w.ops(), "list,load,load,load", "its predecessor is looked at");
    let mut renewed = jar.clone();
    w.act(&mut renewed, Loaded::rotate);
    let listed = w.list("ada", &renewed).unwrap();
    assert_eq!(listed.iter().map(|it| it.handle).collect::<Vec<_>>(), [w.key(&renewed).handle()]);
    w.act(&mut renewed, Loaded::destroy);
    assert_eq!(w.list("ada", "").unwrap(), []);
}

#[test]
fn what_an_abandoned_renewal_made_never_stands_for_the_session() {
    for seed in 0..20 {
        let (mut w, mut jar) = abandoned_renewal(seed);
        w.act(&mut jar, Loaded::rotate);
        w.act(&mut jar, add(1));
        w.pass(12 * MINUTE);
        w.act(&mut jar, add(1));
        let listed = w.list("ada", &jar).unwrap();
        assert_eq!(listed.iter().map(|it| it.handle).collect::<Vec<_>>(), [w.key(&jar).handle()], "{seed}");
    }
}

#[test]
fn what_an_abandoned_elevation_made_is_not_listed() {
    for seed in 0..20 {
        let mut w = World::new();
        w.entropy.0 = seed;
        let jar = w.session_of("ada");
        let slow = w.slow(&jar, |loaded| loaded.elevate().unwrap());
        let step = w.start(slow);
        let step = w.resume(step);
        drop(w.resume(step));
        let listed = w.list("ada", &jar).unwrap();
        assert_eq!(listed.iter().map(|it| it.handle).collect::<Vec<_>>(), [w.key(&jar).handle()], "{seed}");
        assert_eq!(w.request(&jar, Loaded::logout).result(), Ok(()));
        assert_eq!(w.list("ada", "").unwrap(), [], "{seed}");
    }
}

#[test]
fn what_a_renewal_made_is_listed_before_and_after_its_first_presentation() {
    let mut w = World::new();
    let mut jar = w.session_of("ada");
    w.act(&mut jar, Loaded::rotate);
    assert_eq!(w.list("ada", &jar).unwrap().len(), 1);
    w.act(&mut jar, add(1));
    assert_eq!(w.list("ada", &jar).unwrap().len(), 1);
    w.pass(12 * MINUTE);
    assert_eq!(w.list("ada", &jar).unwrap().len(), 1, "its pointer is gone");
}

#[test]
fn a_session_that_could_not_forget_its_pointer_is_listed_when_that_is_gone() {
    let mut w = World::new();
    let old = w.session_of("ada");
    let mut jar = old.clone();
    w.act(&mut jar, Loaded::rotate);
    // The pointer is loaded and closed, but the record goes on to name it.
    w.store.fault(3, Fault::Failed);
    w.act(&mut jar, |_| ());
    w.pass(12 * MINUTE);
    assert!(w.record(&w.key(&jar)).predecessor.is_some() && w.entry(&w.key(&old)).is_none());
    assert_eq!(w.list("ada", &jar).unwrap().len(), 1);
}

#[test]
fn a_session_that_is_renewed_while_it_is_listed_stands_there_once() {
    for before in 1..3 {
        for seed in 0..10 {
            let mut w = World::new();
            w.entropy.0 = seed;
            let jar = w.session_of("ada");
            let slow = w.slow(&jar, Loaded::rotate);
            let mut renewal = w.start(slow);
            for _ in 0..2 {
                renewal = w.resume(renewal);
            }
            let mut step = w.listing("ada", &jar);
            for _ in 0..before {
                step = w.advance(step);
            }
            let done = w.finish(renewal);
            assert!(has(&done, Event::Renewed));
            assert!(w.drive(step).unwrap().len() <= 1, "{before}, {seed}");
            let new = ticket(&done).unwrap();
            assert_eq!(w.list("ada", &new).unwrap()[0].handle, w.key(&new).handle());
        }
    }
}

#[test]
fn a_store_that_fails_lists_nothing() {
    for fault in Fault::ALL {
        for n in 0..2 {
            let mut w = World::new();
            w.session_of("ada");
            w.store.fault(n, fault);
            assert_eq!(w.list("ada", ""), Err(RosterError::Store), "{fault:?} at {n}");
        }
    }
}

#[test]
fn without_an_index_there_is_no_list() {
    let mut w = World::new();
    w.session_of("ada");
    w.store.has_indexes = false;
    assert_eq!(w.list("ada", ""), Err(RosterError::NoIndex));
}

#[test]
fn outcomes_that_an_operation_cannot_have_end_it() {
    let outcomes = [Outcome::Exists, Outcome::Removed, Outcome::Indexed, Outcome::Conflict(None)];
    for steps in 0..3 {
        for outcome in outcomes.clone() {
            let mut w = World::new();
            let jars = [w.session_of("ada"), w.session_of("ada")];
            w.store.evict(&w.members("ada")[1].clone());
            assert!(jars.iter().any(|jar| w.opens(jar)));
            let mut step = w.listing("ada", "");
            for _ in 0..steps {
                step = w.advance(step);
            }
            let RosterStep::Io(io) = step else { panic!("it goes on") };
            if io.op().kind() == OpKind::Unenroll && outcome == Outcome::Indexed {
                continue;
            }
            let RosterStep::Done(result) = io.resume(outcome.clone(), w.now()) else { panic!("{outcome:?}") };
            assert_eq!(result, Err(RosterError::UnexpectedOutcome), "{outcome:?} after {steps}");
        }
    }
}

#[test]
fn listing_changes_no_session() {
    let mut w = World::new();
    let jar = w.session_of("ada");
    let before = w.text(&w.key(&jar));
    w.pass(20 * MINUTE + SECOND);
    w.list("ada", &jar).unwrap();
    assert_eq!(w.text(&w.key(&jar)), before);
    w.pass(9 * MINUTE + 59 * SECOND);
    assert!(!w.opens(&jar), "and extends none");
}
