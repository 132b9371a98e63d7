//! Lifetimes that a session cannot be given.

use std::time::Duration;

use cloakroom_core::{ConfigError, EditError, Engine, Lifetime, Loaded};

use crate::common::{DAY, HOUR, MINUTE, World, add, ring, ticket};

/// What setting a lifetime on a session that is not stored yet says.
fn set_new(w: &mut World, lifetime: Lifetime) -> Result<(), EditError> {
    let mut result = Ok(());
    let done = w.request("", |loaded| {
        result = loaded.set_lifetime(lifetime);
        add(1)(loaded);
    });
    assert_eq!(done.result(), Ok(()), "a refused lifetime fails nothing else");
    result
}

#[test]
fn no_cookie_is_persistent_for_more_than_400_days() {
    let mut w = World::with(|builder| builder.longest(Lifetime::new(HOUR, 500 * DAY)));
    let long = |days: u32| Lifetime::new(HOUR, days * DAY);
    assert_eq!(set_new(&mut w, long(400).persistent()), Ok(()));
    assert_eq!(set_new(&mut w, long(401).persistent()), Err(EditError::Lifetime));
    assert_eq!(set_new(&mut w, long(500).persistent()), Err(EditError::Lifetime));
    assert_eq!(set_new(&mut w, long(500)), Ok(()), "a cookie for the browser session has no age");

    let mut jar = String::new();
    w.act(&mut jar, |loaded| {
        loaded.set_lifetime(long(500)).unwrap();
        add(1)(loaded);
    });
    w.act(&mut jar, |loaded| {
        assert_eq!(loaded.set_lifetime(long(450).persistent()), Err(EditError::Lifetime));
        add(1)(loaded);
    });
    w.act(&mut jar, |loaded| loaded.set_lifetime(long(400).persistent()).unwrap());
    w.act(&mut jar, Loaded::rotate);
    assert_eq!(w.peek(&jar, "n"), Some(2));
}

#[test]
fn a_lifetime_that_would_end_a_session_at_once_is_refused() {
    let mut w = World::new();
    let jar = w.sign_in();
    for _ in 0..6 {
        w.pass(20 * MINUTE);
        assert_eq!(w.request(&jar, add(1)).result(), Ok(()));
    }
    for absolute in [Duration::from_millis(1), HOUR, 2 * HOUR] {
        let done = w.request(&jar, |loaded| {
            assert_eq!(loaded.set_lifetime(Lifetime::new(30 * MINUTE, absolute)), Err(EditError::Lifetime));
            add(1)(loaded);
        });
        assert_eq!(done.result(), Ok(()), "{absolute:?}");
    }
    assert_eq!(w.peek(&jar, "n"), Some(9));
    let shorter = Lifetime::new(30 * MINUTE, 2 * HOUR + MINUTE);
    assert_eq!(w.request(&jar, |loaded| loaded.set_lifetime(shorter).unwrap()).result(), Ok(()));
    assert!(w.opens(&jar));
    w.pass(MINUTE);
    assert!(!w.opens(&jar));
}

#[test]
fn lifetimes_are_kept_to_the_millisecond() {
    let micros = Duration::from_micros;
    let lifetime = Lifetime::new(micros(1_900), micros(2_900));
    assert_eq!((lifetime.idle(), lifetime.absolute()), (micros(1_000), micros(2_000)));
    assert_eq!(lifetime, Lifetime::new(micros(1_000), micros(2_000)));
    for none in [Lifetime::new(micros(900), HOUR), Lifetime::new(HOUR, micros(900))] {
        assert_eq!(set_new(&mut World::new(), none), Err(EditError::Lifetime));
        let built = Engine::builder(ring()).lifetime(none).build();
        assert_eq!(built.err(), Some(ConfigError::ZeroLifetime));
    }
    assert_eq!(set_new(&mut World::new(), Lifetime::new(micros(1_000), HOUR)), Ok(()));
}

#[test]
fn the_deadline_that_a_session_has_may_be_set_again() {
    let mut w = World::new();
    let jar = w.sign_in();
    w.pass(MINUTE);
    let same = |loaded: &mut Loaded| assert_eq!(loaded.set_lifetime(Lifetime::new(MINUTE, 8 * HOUR)), Ok(()));
    assert_eq!(w.request(&jar, same).result(), Ok(()));
    let more = Lifetime::new(MINUTE, 8 * HOUR + Duration::from_millis(1));
    assert_eq!(w.request(&jar, |loaded| assert!(loaded.set_lifetime(more).is_err())).result(), Ok(()));
}

#[test]
fn the_age_of_a_session_that_was_ended_does_not_bound_the_next() {
    let mut w = World::new();
    let jar = w.sign_in();
    for _ in 0..4 {
        w.pass(20 * MINUTE);
        assert_eq!(w.request(&jar, add(1)).result(), Ok(()));
    }
    let done = w.request(&jar, |loaded| {
        loaded.destroy();
        loaded.set_lifetime(Lifetime::new(30 * MINUTE, HOUR)).unwrap();
        add(1)(loaded);
    });
    assert_eq!(done.result(), Ok(()));
    assert_eq!(w.peek(&ticket(&done).unwrap(), "n"), Some(1));
}
