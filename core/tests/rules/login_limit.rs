//! How many sessions a user may have.

use cloakroom_core::{CommitError, CookieChange, Done, Event, Excess, Loaded, Login, Step, Which, limits};

use crate::common::{Fault, HOUR, MINUTE, SECOND, World, has, ticket};

fn at_most(sessions: usize) -> Login {
    Login::new().at_most(sessions, Excess::Refuse)
}

fn ending_oldest(sessions: usize) -> Login {
    Login::new().at_most(sessions, Excess::EndOldest)
}

/// Sessions of ada, a second apart, oldest first.
fn with_sessions(count: usize) -> (World, Vec<String>) {
    let mut w = World::new();
    let jars = (0..count)
        .map(|_| {
            w.pass(SECOND);
            w.session_of("ada")
        })
        .collect();
    (w, jars)
}

#[test]
fn one_too_many_is_refused_and_leaves_no_trace() {
    let (mut w, jars) = with_sessions(2);
    let own = w.sign_in();
    let done = w.log_in_as(&own, "ada", at_most(2));
    assert_eq!((done.result(), done.cookie()), (Err(CommitError::TooManySessions), CookieChange::Keep));
    assert!(!has(&done, Event::SignedIn));
    assert!(w.opens(&own) && jars.iter().all(|jar| w.opens(jar)));
    assert_eq!((w.live().len(), w.members("ada").len()), (3, 2), "what was made is removed");
    assert_eq!(w.log_in_as(&own, "ada", at_most(3)).result(), Ok(()));
}

#[test]
fn the_session_that_gives_way_is_not_counted() {
    for login in [at_most(1), ending_oldest(1)] {
        let (mut w, jars) = with_sessions(1);
        let done = w.log_in_as(&jars[0], "ada", login);
        assert_eq!(done.result(), Ok(()));
        assert!(!w.opens(&jars[0]) && w.opens(&ticket(&done).unwrap()));
    }
    let (mut w, jars) = with_sessions(1);
    let mut renewed = jars[0].clone();
    w.act(&mut renewed, Loaded::rotate);
    assert_eq!(w.log_in_as(&jars[0], "ada", at_most(1)).result(), Ok(()), "through a pointer too");
}

#[test]
fn the_oldest_give_way() {
    for most in 1..=4 {
        let (mut w, jars) = with_sessions(4);
        w.pass(SECOND);
        let done = w.log_in_as("", "ada", ending_oldest(most));
        assert_eq!(done.result(), Ok(()));
        let open: Vec<bool> = jars.iter().map(|jar| w.opens(jar)).collect();
        let kept: Vec<bool> = (0..4).map(|at| at >= 5 - most).collect();
        assert_eq!(open, kept, "of four with a limit of {most}");
        assert_eq!(w.members("ada").len(), most);
        assert!(w.opens(&ticket(&done).unwrap()));
    }
}

#[test]
fn the_age_is_that_of_the_sign_in() {
    let (mut w, mut jars) = with_sessions(3);
    w.pass(MINUTE);
    w.act(&mut jars[0], Loaded::rotate);
    w.act(&mut jars[1], |loaded| loaded.elevate().unwrap());
    assert_eq!(w.log_in_as("", "ada", ending_oldest(2)).result(), Ok(()));
    assert_eq!(jars.iter().map(|jar| w.opens(jar)).collect::<Vec<_>>(), [false, false, true]);
}

#[test]
fn only_live_sessions_of_the_user_are_counted() {
    let (mut w, mut jars) = with_sessions(5);
    w.session_of("bob");
    w.act(&mut jars[0], Loaded::destroy);
    w.store.evict(&w.key(&jars[1]));
    let stored = w.store.look(&w.key(&jars[2])).unwrap();
    w.store.set(&w.key(&jars[2]), stored.value, None);
    w.act(&mut jars[3], Loaded::rotate);
    assert_eq!(w.log_in_as("", "ada", at_most(2)).result(), Err(CommitError::TooManySessions));
    assert_eq!(w.log_in_as("", "ada", at_most(3)).result(), Ok(()));
}

#[test]
fn sessions_that_ran_out_are_not_counted() {
    let (mut w, _) = with_sessions(3);
    w.pass(HOUR);
    assert_eq!(w.log_in_as("", "ada", at_most(1)).result(), Ok(()));
}

#[test]
fn one_session_is_the_least_limit() {
    for login in [at_most(0), at_most(1)] {
        let mut w = World::new();
        assert_eq!(w.log_in_as("", "ada", login.clone()).result(), Ok(()));
        assert_eq!(w.log_in_as("", "ada", login).result(), Err(CommitError::TooManySessions));
    }
    assert_eq!(World::new().log_in_as("", "ada", at_most(limits::MAX_LISTED + 1)).result(), Ok(()));
}

#[test]
fn the_count_is_taken_once_the_session_is_in_the_index() {
    let (mut w, jars) = with_sessions(1);
    assert_eq!(w.log_in_as("", "ada", at_most(2)).result(), Ok(()));
    assert_eq!(w.ops(), "create,enroll,list,load,load");
    assert_eq!(w.log_in_as("", "ada", ending_oldest(2)).result(), Ok(()));
    assert_eq!(w.ops(), "create,enroll,list,load,load,load,list,load,replace,unenroll");
    assert!(!w.opens(&jars[0]));
}

#[test]
fn of_two_logins_at_once_not_both_are_let_in() {
    let (mut w, _) = with_sessions(0);
    let first = w.slow("", |loaded| loaded.login("ada", at_most(1)).unwrap());
    let second = w.slow("", |loaded| loaded.login("ada", at_most(1)).unwrap());
    let mut first = w.start(first);
    for _ in 0..2 {
        first = w.resume(first);
    }
    let second = w.commit(second);
    let first = w.finish(first);
    assert!(first.result().is_err() || second.result().is_err());
    assert!(w.members("ada").len() <= 1);
}

/// Two logins at the same time, one operation at a time, in the order of the bits of `order`.
fn race(order: u32, login: impl Fn() -> Login) -> (World, [Done; 2]) {
    let (mut w, _) = with_sessions(1);
    let mut steps: [Option<Step>; 2] = [(), ()].map(|()| {
        let session = w.slow("", |loaded| loaded.login("ada", login()).unwrap());
        Some(w.start(session))
    });
    let mut done: [Option<Done>; 2] = [None, None];
    for at in 0.. {
        let wanted = usize::from(order >> (at % 32) & 1 == 1);
        let who = if done[wanted].is_none() { wanted } else { 1 - wanted };
        match steps[who].take() {
            None => break,
            Some(Step::Done(it)) => done[who] = Some(it),
            Some(io) => steps[who] = Some(w.resume(io)),
        }
    }
    (w, done.map(Option::unwrap))
}

#[test]
fn of_two_logins_at_once_never_each_ends_the_other() {
    for order in 0..1 << 14 {
        let (w, done) = race(order, || ending_oldest(1));
        let open = done.iter().filter(|done| ticket(done).is_some_and(|jar| w.opens(&jar))).count();
        assert_eq!((open, w.live().len()), (1, 1), "{order:b}");
        assert!(done.iter().all(|done| done.result().is_ok() == ticket(done).is_some()), "{order:b}");
    }
}

#[test]
fn of_two_logins_at_once_the_later_one_is_let_in() {
    let (mut w, _) = with_sessions(0);
    let sign_in = |w: &mut World| w.slow("", |loaded| loaded.login("ada", ending_oldest(1)).unwrap());
    let earlier = sign_in(&mut w);
    let mut earlier = w.start(earlier);
    w.pass(SECOND);
    let later = sign_in(&mut w);
    let mut later = w.start(later);
    for _ in 0..2 {
        earlier = w.resume(earlier);
        later = w.resume(later);
    }
    let earlier = w.finish(earlier);
    assert_eq!((earlier.result(), earlier.cookie()), (Err(CommitError::Contention), CookieChange::Keep));
    let later = w.finish(later);
    assert_eq!(later.result(), Ok(()));
    assert!(w.opens(&ticket(&later).unwrap()));
}

#[test]
fn a_login_whose_session_is_ended_before_it_is_counted_is_lost() {
    for login in [at_most(9), ending_oldest(9)] {
        let (mut w, _) = with_sessions(1);
        let own = w.sign_in();
        let slow = w.slow(&own, |loaded| loaded.login("ada", login).unwrap());
        let mut step = w.start(slow);
        for _ in 0..2 {
            step = w.resume(step);
        }
        assert_eq!(w.end_many("ada", Which::All, ""), Ok(2));
        let done = w.finish(step);
        assert_eq!((done.result(), done.cookie()), (Err(CommitError::Lost), CookieChange::Keep));
        assert!(w.opens(&own) && w.members("ada").is_empty());
    }
}

#[test]
fn a_renewal_meanwhile_does_not_make_the_session_count_that_gives_way() {
    for login in [at_most(1), ending_oldest(1)] {
        let (mut w, jars) = with_sessions(1);
        let slow = w.slow(&jars[0], |loaded| loaded.login("ada", login.carry("n")).unwrap());
        let step = w.start(slow);
        let mut renewed = jars[0].clone();
        w.act(&mut renewed, |loaded| {
            loaded.rotate();
            loaded.insert("n", &7).unwrap();
        });
        let done = w.finish(step);
        assert_eq!(done.result(), Ok(()));
        let new = ticket(&done).unwrap();
        assert_eq!((w.peek(&new, "n"), w.opens(&renewed), w.live().len()), (Some(7), false, 1));
    }
}

#[test]
fn without_an_index_a_limit_is_an_error() {
    for login in [at_most(9), ending_oldest(9)] {
        let mut w = World::new();
        w.store.has_indexes = false;
        let jar = w.sign_in();
        let done = w.log_in_as(&jar, "ada", login);
        assert_eq!((done.result(), done.cookie()), (Err(CommitError::NoIndex), CookieChange::Keep));
        assert_eq!(w.live(), [w.key(&jar)], "what was made is removed");
    }
}

#[test]
fn what_goes_wrong_while_counting_or_ending_leaves_the_old_ticket_or_sets_a_new_one() {
    let mut failures = 0;
    for n in 0..14 {
        for fault in Fault::ALL {
            let (mut w, _) = with_sessions(3);
            let own = w.sign_in();
            let slow = w.slow(&own, |loaded| loaded.login("ada", ending_oldest(2)).unwrap());
            w.store.fault(n, fault);
            let done = w.commit(slow);
            for _ in 0..2 {
                match (done.result(), ticket(&done)) {
                    (Ok(()), Some(new)) => assert!(w.opens(&new) && !w.opens(&own), "{n}, {fault:?}"),
                    (Err(CommitError::OutcomeUnknown), None) => {}
                    (Err(_), None) => assert!(w.opens(&own), "{n}, {fault:?}"),
                    (result, _) => panic!("{result:?} and a cookie do not go together: {n}, {fault:?}"),
                }
                w.store.land();
            }
            if done.result().is_ok() {
                assert!(w.list("ada", "").unwrap().len() <= 2, "{n}, {fault:?}");
            }
            failures += usize::from(done.result().is_err());
        }
    }
    assert!(failures > 20, "{failures}");
}
