//! The end of many sessions of a user: acknowledged when all of them have ended.

use std::time::Duration;

use cloakroom_core::{
    CommitError, CookieChange, DecodeError, End, EndCause, Entry, Loaded, Login, Op, OpKind, Outcome, RosterError,
    RosterStep, Which, limits,
};

use crate::common::{Fault, HOUR, MINUTE, SECOND, Seeded, World, add, user};

fn sessions(count: usize) -> (World, Vec<String>) {
    let mut w = World::new();
    let jars = (0..count).map(|_| w.session_of("ada")).collect();
    (w, jars)
}

#[test]
fn all_sessions_end_and_leave_tombstones() {
    let (mut w, jars) = sessions(3);
    let bobs = w.session_of("bob");
    w.ops();
    assert_eq!(w.end_many("ada", Which::All, &jars[0]), Ok(3));
    let one = "load,replace,unenroll";
    assert_eq!(w.ops(), format!("list,{one},{one},{one},list"), "until nothing is left");
    for jar in &jars {
        assert!(!w.opens(jar));
        let Some(Entry::Ended(ended)) = w.entry(&w.key(jar)) else { panic!("no tombstone") };
        assert_eq!((ended.cause, ended.next), (EndCause::Destroy, None));
    }
    assert!(w.opens(&bobs) && w.members("ada").is_empty());
    assert_eq!(w.end_many("ada", Which::All, ""), Ok(0));
}

#[test]
fn the_others_end_and_the_one_that_asks_lives() {
    let (mut w, jars) = sessions(3);
    let mut own = jars[1].clone();
    w.act(&mut own, Loaded::rotate);
    w.act(&mut own, |loaded| loaded.elevate().unwrap());
    assert_eq!(w.end_many("ada", Which::Others, &own), Ok(2));
    assert!(w.opens(&own) && !w.opens(&jars[0]) && !w.opens(&jars[2]));
    assert_eq!(w.members("ada"), [w.key(&own)]);
}

#[test]
fn when_none_of_the_users_asks_the_others_are_all() {
    for asks in ["", "bob"] {
        let (mut w, jars) = sessions(2);
        let asking = if asks.is_empty() { w.sign_in() } else { w.session_of(asks) };
        assert_eq!(w.end_many("ada", Which::Others, &asking), Ok(2));
        assert!(jars.iter().all(|jar| !w.opens(jar)) && w.opens(&asking));
    }
    let (mut w, jars) = sessions(1);
    let now = w.now();
    let step = w.engine.end_sessions(&user("ada"), Which::Others, None, now, &mut Seeded(1));
    assert_eq!(w.drive(step), Ok(1));
    assert!(!w.opens(&jars[0]));
}

#[test]
fn one_ends_by_its_handle() {
    let (mut w, jars) = sessions(3);
    let handle = w.key(&jars[1]).handle();
    w.ops();
    assert_eq!(w.end_many("ada", Which::One(handle), &jars[0]), Ok(1));
    assert_eq!(w.ops(), "list,load,replace,unenroll");
    assert_eq!(jars.iter().map(|jar| w.opens(jar)).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(w.end_many("ada", Which::One(handle), &jars[0]), Err(RosterError::UnknownHandle));
    let own = w.key(&jars[0]).handle();
    assert_eq!(w.end_many("ada", Which::One(own), &jars[0]), Ok(1), "one's own too");
}

#[test]
fn a_handle_of_somebody_elses_session_is_unknown() {
    let (mut w, _) = sessions(1);
    let bobs = w.session_of("bob");
    let handle = w.key(&bobs).handle();
    assert_eq!(w.end_many("ada", Which::One(handle), ""), Err(RosterError::UnknownHandle));
    assert!(w.opens(&bobs));
}

#[test]
fn each_ends_where_it_lives_through_pointers_and_elevations() {
    let moves: [fn(&mut Loaded); 2] = [Loaded::rotate, |loaded| loaded.elevate().unwrap()];
    for which in [Which::All, Which::Others] {
        for first in moves {
            for second in moves {
                let (mut w, jars) = sessions(1);
                let mut jar = jars[0].clone();
                let mut step = w.ending("ada", which, "");
                // It is listed, and then moves twice.
                step = w.advance(step);
                w.act(&mut jar, first);
                w.act(&mut jar, second);
                assert_eq!(w.drive(step), Ok(1));
                assert!(!w.opens(&jar) && w.live().is_empty());
            }
        }
    }
}

#[test]
fn one_that_moves_meanwhile_ends_too() {
    let moves: [fn(&mut Loaded); 2] = [Loaded::rotate, |loaded| loaded.elevate().unwrap()];
    for edit in moves {
        for steps in 1..3 {
            let (mut w, jars) = sessions(1);
            let mut jar = jars[0].clone();
            let handle = w.key(&jar).handle();
            let mut step = w.ending("ada", Which::One(handle), "");
            for _ in 0..steps {
                step = w.advance(step);
            }
            w.act(&mut jar, edit);
            assert_eq!(w.drive(step), Ok(1), "after {steps}");
            assert!(!w.opens(&jar) && w.live().is_empty(), "after {steps}");
        }
    }
}

#[test]
fn the_one_that_asks_is_spared_wherever_it_moves_to() {
    let moves: [fn(&mut Loaded); 2] = [Loaded::rotate, |loaded| loaded.elevate().unwrap()];
    for edit in moves {
        let (mut w, jars) = sessions(2);
        let mut own = jars[0].clone();
        let mut step = w.ending("ada", Which::Others, &own);
        step = w.advance(step);
        w.act(&mut own, edit);
        assert_eq!(w.drive(step), Ok(1));
        assert!(w.opens(&own) && !w.opens(&jars[1]));
    }
}

#[test]
fn what_changes_meanwhile_ends_all_the_same() {
    for brings in [true, false] {
        let (mut w, jars) = sessions(1);
        w.store.brings = brings;
        let mut step = w.ending("ada", Which::All, "");
        for _ in 0..2 {
            step = w.advance(step);
        }
        assert_eq!(w.request(&jars[0], add(1)).result(), Ok(()));
        assert_eq!(w.drive(step), Ok(1));
        assert!(!w.opens(&jars[0]));
    }
}

#[test]
fn what_ended_meanwhile_is_taken_out_and_not_counted() {
    let (mut w, jars) = sessions(2);
    let step = w.ending("ada", Which::All, "");
    let step = w.advance(step);
    assert_eq!(w.request(&jars[0], Loaded::destroy).result(), Ok(()));
    w.store.evict(&w.key(&jars[1]));
    assert_eq!(w.drive(step), Ok(0));
    assert!(w.members("ada").is_empty());
}

#[test]
fn what_vanishes_meanwhile_is_as_dead_as_what_was_ended() {
    let (mut w, jars) = sessions(2);
    let step = w.ending("ada", Which::All, "");
    let step = w.advance(step);
    let step = w.advance(step);
    let RosterStep::Io(io) = &step else { panic!("it ends one") };
    let key = io.op().key().clone();
    w.store.evict(&key);
    assert_eq!(w.drive(step), Ok(2));
    assert!(jars.iter().all(|jar| !w.opens(jar)) && w.members("ada").is_empty());
}

#[test]
fn a_session_that_is_signed_in_while_all_end_ends_too() {
    let (mut w, jars) = sessions(1);
    let step = w.ending("ada", Which::All, "");
    let step = w.advance(step);
    let new = w.session_of("ada");
    assert_eq!(w.drive(step), Ok(2));
    assert!(!w.opens(&jars[0]) && !w.opens(&new));
}

#[test]
fn a_login_on_its_way_does_not_outlive_the_end_of_all() {
    let (mut w, jars) = sessions(1);
    let slow = w.slow(&jars[0], |loaded| loaded.elevate().unwrap());
    let mut step = w.start(slow);
    for _ in 0..2 {
        step = w.resume(step);
    }
    assert_eq!(w.end_many("ada", Which::All, ""), Ok(2), "what the elevation made too");
    let done = w.finish(step);
    assert_eq!(done.result(), Err(CommitError::Lost));
    assert!(w.live().is_empty() && w.members("ada").is_empty());
}

#[test]
fn what_is_ended_before_its_ticket_is_published_has_none() {
    let edits: [fn(&mut Loaded); 2] =
        [|loaded| loaded.elevate().unwrap(), |loaded| loaded.login("ada", Login::new().carry("n")).unwrap()];
    for edit in edits {
        let mut cases = 0;
        for seed in 0..10 {
            let mut w = World::new();
            w.entropy.0 = seed;
            let old = w.session_of("ada");
            let slow = w.slow(&old, edit);
            assert_eq!(w.request(&old, add(1)).result(), Ok(()));
            let step = w.start(slow);
            // It made and enrolled its record, and learns that the old one was changed.
            let step = w.resume(step);
            let step = w.resume(step);
            let step = w.resume(step);
            let new = w.members("ada").into_iter().find(|key| *key != w.key(&old)).unwrap();
            let mut ending = w.ending("ada", Which::All, "");
            while !matches!(w.entry(&new), Some(Entry::Ended(_))) {
                ending = w.advance(ending);
            }
            cases += u32::from(w.opens(&old));
            let done = w.finish(step);
            assert_eq!((done.result(), done.cookie()), (Err(CommitError::Lost), CookieChange::Keep), "{seed}");
            assert!(w.drive(ending).is_ok());
            assert!(w.live().is_empty());
        }
        assert!(cases > 0, "the old one was always ended first");
    }
}

#[test]
fn sessions_that_come_as_fast_as_they_are_ended_are_contention() {
    let (mut w, _) = sessions(1);
    let mut step = w.ending("ada", Which::All, "");
    let mut rounds = 0;
    let result = loop {
        match step {
            RosterStep::Done(result) => break result,
            RosterStep::Io(ref io) => {
                if io.op().kind() == OpKind::Unenroll {
                    rounds += 1;
                    w.session_of("ada");
                }
                assert!(rounds <= limits::MAX_ROUNDS);
                step = w.advance(step);
            }
        }
    };
    assert_eq!((result, rounds), (Err(RosterError::Contention), limits::MAX_ROUNDS));
}

#[test]
fn what_was_listed_too_long_ago_is_listed_again() {
    let moves: [fn(&mut Loaded); 2] = [Loaded::rotate, |loaded| loaded.elevate().unwrap()];
    for edit in moves {
        let (mut w, jars) = sessions(1);
        let mut jar = jars[0].clone();
        let step = w.ending("ada", Which::All, "");
        let step = w.advance(step);
        w.act(&mut jar, edit);
        w.act(&mut jar, add(1));
        w.pass(limits::DEFAULT_MAX_REQUEST + 2 * MINUTE);
        assert!(w.entry(&w.key(&jars[0])).is_none(), "nothing leads on");
        assert_eq!(w.drive(step), Ok(1));
        assert!(!w.opens(&jar));
    }
}

#[test]
fn one_that_was_loaded_too_long_ago_is_looked_for_again() {
    let (mut w, jars) = sessions(1);
    let mut jar = jars[0].clone();
    let handle = w.key(&jar).handle();
    let mut step = w.ending("ada", Which::All, "");
    for _ in 0..2 {
        step = w.advance(step);
    }
    w.act(&mut jar, Loaded::rotate);
    w.act(&mut jar, add(1));
    w.pass(limits::DEFAULT_MAX_REQUEST + 2 * MINUTE);
    assert_eq!(w.drive(step), Ok(1));
    assert!(!w.opens(&jar));
    assert_eq!(w.end_many("ada", Which::One(handle), ""), Err(RosterError::UnknownHandle));
}

#[test]
fn a_failure_is_an_error_and_a_second_try_finishes() {
    for n in 0..12 {
        for fault in Fault::ALL {
            for other in [None, Some(Fault::Failed)] {
                let (mut w, jars) = sessions(3);
                let own = jars[0].clone();
                let step = w.ending("ada", Which::Others, &own);
                w.store.fault(n, fault);
                if let Some(other) = other {
                    w.store.fault(n + 1, other);
                }
                let result = w.drive(step);
                let case = format!("{fault:?} at {n}, {other:?}: {result:?}");
                let rest = |w: &World| jars[1..].iter().filter(|jar| w.opens(jar)).count();
                if result.is_ok() {
                    assert_eq!(rest(&w), 0, "{case}");
                }
                w.store.heal();
                w.store.land();
                assert!(w.end_many("ada", Which::Others, &own).is_ok(), "{case}");
                assert_eq!((rest(&w), w.opens(&own)), (0, true), "{case}");
            }
        }
    }
}

#[test]
fn a_list_or_a_load_or_an_end_that_fails_is_no_success() {
    for (n, error) in [(0, RosterError::Store), (1, RosterError::Store), (2, RosterError::End(CommitError::Store))] {
        let (mut w, jars) = sessions(1);
        w.store.fault(n, Fault::Failed);
        assert_eq!(w.end_many("ada", Which::All, ""), Err(error));
        assert!(w.opens(&jars[0]));
    }
}

#[test]
fn what_cannot_be_taken_out_of_the_index_is_ended_all_the_same() {
    let (mut w, jars) = sessions(1);
    w.store.fault(3, Fault::Failed);
    assert_eq!(w.end_many("ada", Which::All, ""), Ok(1));
    assert!(!w.opens(&jars[0]) && w.members("ada").is_empty(), "the last look takes it out");
}

#[test]
fn a_record_that_does_not_decode_is_ended() {
    let (mut w, jars) = sessions(2);
    w.put_text(&w.key(&jars[0]), "{", HOUR);
    assert_eq!(w.end_many("ada", Which::All, ""), Ok(2));
    assert!(matches!(w.entry(&w.key(&jars[0])), Some(Entry::Ended(_))));
}

#[test]
fn what_may_lead_to_a_live_session_is_an_error() {
    let (mut w, jars) = sessions(1);
    w.put_text(&w.key(&jars[0]), r#"{"format":1,"kind":"moved"}"#, HOUR);
    let error = RosterError::Undecodable(DecodeError::UnsupportedMarker);
    assert_eq!(w.end_many("ada", Which::All, ""), Err(error));
}

#[test]
fn pointers_are_followed_as_far_as_by_others() {
    let (mut w, jars) = sessions(1);
    let mut jar = jars[0].clone();
    let step = w.ending("ada", Which::All, "");
    let step = w.advance(step);
    for _ in 0..limits::MAX_HOPS {
        w.act(&mut jar, Loaded::rotate);
    }
    assert_eq!(w.drive(step), Ok(1));
    assert!(!w.opens(&jar));
}

#[test]
fn a_session_that_moved_on_farther_is_contention_and_the_next_try_ends_it() {
    let moves: [fn(&mut Loaded); 2] = [Loaded::rotate, |loaded| loaded.elevate().unwrap()];
    for edit in moves {
        let (mut w, jars) = sessions(1);
        let mut jar = jars[0].clone();
        let step = w.ending("ada", Which::All, "");
        let step = w.advance(step);
        for _ in 0..=limits::MAX_HOPS {
            w.act(&mut jar, edit);
        }
        assert_eq!(w.drive(step), Err(RosterError::Contention));
        assert!(w.opens(&jar));
        assert_eq!(w.end_many("ada", Which::All, ""), Ok(1));
        assert!(!w.opens(&jar));
    }
}

#[test]
fn a_list_is_good_for_as_long_as_a_request_may_take() {
    for (after, ops) in [(Duration::ZERO, "list"), (Duration::from_millis(1), "list,list")] {
        let (mut w, _) = sessions(0);
        let step = w.ending("ada", Which::All, "");
        w.pass(limits::DEFAULT_MAX_REQUEST + after);
        assert_eq!(w.drive(step), Ok(0));
        assert_eq!(w.ops(), ops);
    }
}

#[test]
fn without_an_index_nothing_ends() {
    let (mut w, jars) = sessions(1);
    w.store.has_indexes = false;
    for which in [Which::All, Which::Others, Which::One(w.key(&jars[0]).handle())] {
        assert_eq!(w.end_many("ada", which, ""), Err(RosterError::NoIndex));
    }
    assert!(w.opens(&jars[0]));
}

#[test]
fn without_randomness_nothing_is_asked_for() {
    struct Broken;
    impl cloakroom_core::Entropy for Broken {
        fn fill(&mut self, _: &mut [u8]) -> Result<(), cloakroom_core::EntropyError> {
            Err(cloakroom_core::EntropyError)
        }
    }
    let w = World::new();
    let step = w.engine.end_sessions(&user("ada"), Which::All, None, w.now(), &mut Broken);
    assert!(matches!(step, RosterStep::Done(Err(RosterError::Entropy))));
}

#[test]
fn outcomes_that_an_operation_cannot_have_end_it() {
    for (steps, op) in [(0, OpKind::List), (1, OpKind::Load), (2, OpKind::Replace), (3, OpKind::Unenroll)] {
        for outcome in [Outcome::Exists, Outcome::Removed] {
            let (mut w, _) = sessions(1);
            let mut step = w.ending("ada", Which::All, "");
            for _ in 0..steps {
                step = w.advance(step);
            }
            let RosterStep::Io(io) = step else { panic!("it goes on") };
            assert_eq!(io.op().kind(), op);
            let RosterStep::Done(result) = io.resume(outcome, w.now()) else { panic!("it ends") };
            assert_eq!(result, Err(RosterError::UnexpectedOutcome), "{op:?}");
        }
    }
}

#[test]
fn requests_that_were_under_way_learn_of_the_end() {
    let (mut w, jars) = sessions(2);
    let writing = w.slow(&jars[0], add(1));
    let ending = w.slow(&jars[1], Loaded::destroy);
    assert_eq!(w.end_many("ada", Which::All, ""), Ok(2));
    assert_eq!(w.commit(writing).result(), Err(CommitError::Lost));
    assert_eq!(w.commit(ending).end(), Some(End::AlreadyEnded));
}

#[test]
fn a_run_of_the_steps_does_all_of_them() {
    let (mut w, jars) = sessions(2);
    w.pass(SECOND);
    let now = w.now();
    let step = w.ending("ada", Which::All, "");
    let store = &mut w.store;
    assert_eq!(step.run(|op: &Op| store.perform(op), || now), Ok(2));
    assert!(jars.iter().all(|jar| !w.opens(jar)));
}

#[test]
fn one_that_cannot_be_ended_does_not_keep_the_others_alive() {
    for at in 0..3 {
        let (mut w, jars) = sessions(3);
        let key = w.key(&jars[at]);
        w.put_text(&key, r#"{"format":2,"kind":"moved"}"#, MINUTE);
        let ended = w.end_many("ada", Which::All, "");
        assert_eq!(ended, Err(RosterError::Undecodable(DecodeError::UnsupportedMarker)), "{at}");
        for (index, jar) in jars.iter().enumerate() {
            assert!(index == at || !w.opens(jar), "{index} of {at}");
        }
        assert_eq!(w.members("ada"), [key]);
    }
}

#[test]
fn what_was_listed_is_as_old_as_markers_of_other_engines_live() {
    let mut w = World::with(|builder| builder.max_request(HOUR));
    let jar = w.session_of("ada");
    let now = w.now();
    let step = w.engine.end_sessions(&user("ada"), Which::All, None, now, &mut Seeded(1));
    let RosterStep::Io(io) = step else { panic!("it lists") };
    let listed = w.store.perform(io.op());
    // Another node's engine: its pointers are gone by the time that this one goes on.
    let shorter = World::new().engine;
    let long = core::mem::replace(&mut w.engine, shorter);
    let mut renewed = jar;
    w.act(&mut renewed, Loaded::rotate);
    w.act(&mut renewed, add(1));
    w.pass(12 * MINUTE);
    w.engine = long;
    let step = io.resume(listed, w.now());
    assert_eq!(w.drive(step), Ok(1));
    assert!(!w.opens(&renewed));
}
