//! Idle and absolute timeouts, persistence and touches. Expiry by the clock never writes.

use std::time::Duration;

use cloakroom_core::{
    CommitError, ConfigError, CookieChange, CookieError, EditError, Engine, Entry, Event, Lifetime, Loaded, Op, Record,
    UnixTime, limits,
};

use crate::common::{DAY, Fault, HOUR, MINUTE, SECOND, SetCookie, World, add, has, ring, ticket};

fn ttl(w: &World, jar: &str) -> Duration {
    w.store.look(&w.key(jar)).unwrap().expires_in.unwrap()
}

fn max_age(change: CookieChange<'_>) -> Option<u64> {
    let CookieChange::Set(line) = change else { panic!("no ticket") };
    SetCookie::parse(line).attribute("max-age").map(|seconds| seconds.parse().unwrap())
}

#[test]
fn an_idle_session_is_over_and_an_used_one_lives_to_the_absolute_deadline() {
    let mut w = World::new();
    let (mut idle, used) = (w.sign_in(), w.sign_in());
    w.pass(30 * MINUTE - SECOND);
    assert!(w.opens(&idle));
    w.pass(2 * SECOND);
    assert!(!w.opens(&idle));
    w.act(&mut idle, |loaded| assert!(loaded.is_new()));
    drop(used);
    let used = w.sign_in();
    for _ in 0..23 {
        w.pass(20 * MINUTE);
        assert_eq!(w.request(&used, |loaded| assert!(!loaded.is_new())).result(), Ok(()));
    }
    w.pass(20 * MINUTE);
    assert!(!w.opens(&used), "eight hours");
}

#[test]
fn the_absolute_deadline_holds_also_when_the_store_still_has_the_record() {
    let mut w = World::new();
    let jar = w.sign_in();
    let key = w.key(&jar);
    let text = w.text(&key);
    w.pass(8 * HOUR);
    w.put_text(&key, &text, 20 * MINUTE);
    w.ops();
    let done = w.request(&jar, |loaded| assert!(loaded.is_new()));
    assert!(has(&done, Event::Expired));
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    assert_eq!(w.ops(), "load", "a skewed node must not end sessions");
    assert_eq!(w.text(&key), text);
    let done = w.request(&jar, add(1));
    assert_eq!(w.ops(), "load,create");
    assert_ne!(ticket(&done), None);
    assert_eq!(w.text(&key), text);
}

#[test]
fn a_record_without_or_with_too_long_a_time_to_live_is_expired() {
    for (ttl, lives) in [
        (None, false),
        (Some(30 * MINUTE), true),
        (Some(30 * MINUTE + limits::DEFAULT_CLOCK_SKEW), true),
        (Some(30 * MINUTE + limits::DEFAULT_CLOCK_SKEW + SECOND), false),
        (Some(1000 * DAY), false),
        (Some(Duration::MAX), false),
    ] {
        let mut w = World::new();
        let jar = w.sign_in();
        let key = w.key(&jar);
        let value = w.store.look(&key).unwrap().value;
        w.store.set(&key, value, ttl);
        let done = w.request(&jar, |loaded| assert_eq!(loaded.is_new(), !lives, "{ttl:?}"));
        assert_eq!(has(&done, Event::Expired), !lives);
        assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
        assert!(w.store.log.iter().all(|op| !matches!(op, Op::Replace { .. } | Op::Remove { .. })));
    }
}

#[test]
fn the_time_to_live_is_the_smaller_remainder() {
    let mut w = World::new();
    let jar = w.sign_in();
    assert_eq!(ttl(&w, &jar), 30 * MINUTE);
    let key = w.key(&jar);
    let mut record = w.record(&key);
    record.deadline = w.now().saturating_add(10 * MINUTE);
    w.put(&key, &Entry::Record(Box::new(record)), 10 * MINUTE);
    assert_eq!(w.request(&jar, add(1)).result(), Ok(()));
    assert_eq!(ttl(&w, &jar), 10 * MINUTE, "the record's own deadline");

    let jar = w.sign_in();
    let store = w.store;
    let mut w = World::with(|builder| builder.lifetime(Lifetime::new(5 * MINUTE, HOUR)));
    w.store = store;
    assert_eq!(w.request(&jar, add(1)).result(), Ok(()));
    assert_eq!(ttl(&w, &jar), 5 * MINUTE, "the engine's idle time");
    for _ in 0..14 {
        w.pass(4 * MINUTE);
        assert_eq!(w.request(&jar, add(1)).result(), Ok(()));
    }
    assert_eq!(ttl(&w, &jar), 4 * MINUTE, "the engine's absolute time");
    w.pass(4 * MINUTE);
    assert!(!w.opens(&jar));
}

#[test]
fn nothing_moves_the_deadline_further_away() {
    let mut w = World::with(|builder| builder.longest(Lifetime::new(DAY, 30 * DAY)));
    let mut jar = w.sign_in();
    let deadline = w.record(&w.key(&jar)).deadline;
    for _ in 0..10 {
        w.pass(20 * MINUTE);
        w.act(&mut jar, add(1));
        w.act(&mut jar, Loaded::rotate);
        w.act(&mut jar, |_| ());
        w.act(&mut jar, |loaded| {
            assert_eq!(loaded.set_lifetime(Lifetime::new(DAY, 9 * HOUR)), Err(EditError::Lifetime));
            assert_eq!(loaded.deadline(), Some(deadline));
        });
        assert_eq!(w.record(&w.key(&jar)).deadline, deadline);
    }
    w.act(&mut jar, |loaded| loaded.set_lifetime(Lifetime::new(HOUR, 5 * HOUR)).unwrap());
    let record = w.record(&w.key(&jar));
    assert_eq!(record.deadline, record.created.saturating_add(5 * HOUR));
    w.act(&mut jar, |loaded| {
        assert_eq!(loaded.set_lifetime(Lifetime::new(HOUR, 6 * HOUR)), Err(EditError::Lifetime));
    });
}

#[test]
fn a_remembered_session_has_a_persistent_cookie_for_the_rest_of_its_life() {
    let month = Lifetime::new(7 * DAY, 30 * DAY).persistent();
    let mut w = World::with(|builder| builder.longest(month));
    assert_eq!(max_age(w.request("", add(1)).cookie()), None, "by default it ends with the browser");
    let done = w.request("", |loaded| {
        loaded.set_lifetime(month).unwrap();
        add(1)(loaded);
    });
    assert_eq!(max_age(done.cookie()), Some(30 * 86_400));
    let jar = ticket(&done).unwrap();
    assert_eq!(ttl(&w, &jar), 7 * DAY);
    w.pass(5 * DAY);
    assert_eq!(w.request(&jar, |_| ()).cookie(), CookieChange::Keep, "a touch sends nothing");
    w.pass(5 * DAY);
    let done = w.request(&jar, Loaded::rotate);
    assert_eq!(max_age(done.cookie()), Some(20 * 86_400), "the rest at minting");
    let jar = ticket(&done).unwrap();
    let record = w.record(&w.key(&jar));
    assert!(record.persistent && record.idle == 7 * DAY);
}

#[test]
fn a_lifetime_chosen_for_a_session_stays_in_the_engines_longest() {
    let mut w = World::with(|builder| builder.longest(Lifetime::new(HOUR, DAY)));
    let done = w.request("", |loaded| {
        for (idle, absolute) in
            [(2 * HOUR, DAY), (HOUR, 2 * DAY), (Duration::ZERO, DAY), (Duration::MAX, Duration::MAX)]
        {
            assert_eq!(loaded.set_lifetime(Lifetime::new(idle, absolute)), Err(EditError::Lifetime), "{idle:?}");
        }
        loaded.set_lifetime(Lifetime::new(MINUTE, 2 * MINUTE)).unwrap();
        add(1)(loaded);
    });
    let jar = ticket(&done).unwrap();
    assert_eq!(ttl(&w, &jar), MINUTE);
}

#[test]
fn a_lifetime_alone_makes_no_session() {
    let mut w = World::new();
    let done = w.request("", |loaded| loaded.set_lifetime(Lifetime::new(MINUTE, HOUR)).unwrap());
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    assert_eq!(w.ops(), "");
}

#[test]
fn a_touch_is_due_only_beyond_a_fifth_of_the_idle_time() {
    for (after, due) in [(MINUTE, false), (6 * MINUTE, false), (6 * MINUTE + SECOND, true), (29 * MINUTE, true)] {
        let mut w = World::new();
        let jar = w.sign_in();
        let before = w.text(&w.key(&jar));
        w.pass(after);
        let done = w.request(&jar, |_| ());
        assert_eq!(w.ops(), if due { "load,touch" } else { "load" }, "{after:?}");
        assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
        assert_eq!(has(&done, Event::Touched), due);
        if let Some(Op::Touch { value, ttl, .. }) = w.store.log.last() {
            assert_eq!((value.as_bytes(), *ttl), (before.as_bytes(), 30 * MINUTE), "the value as it was read");
        }
    }
    let mut w = World::with(|builder| builder.touch_part(2));
    let jar = w.sign_in();
    w.pass(14 * MINUTE);
    assert_eq!(w.request(&jar, |_| ()).result(), Ok(()));
    assert_eq!(w.ops(), "load");
    w.pass(2 * MINUTE);
    assert_eq!(w.request(&jar, |_| ()).result(), Ok(()));
    assert_eq!(w.ops(), "load,touch");
}

#[test]
fn a_session_in_use_outlives_the_engines_shorter_idle_time() {
    let mut w = World::new();
    let jar = w.sign_in();
    let store = w.store;
    let mut w = World::with(|builder| builder.lifetime(Lifetime::new(5 * MINUTE, HOUR)));
    w.store = store;
    assert_eq!(w.request(&jar, add(1)).result(), Ok(()));
    assert_eq!(ttl(&w, &jar), 5 * MINUTE);
    for _ in 0..10 {
        w.pass(3 * MINUTE);
        assert_eq!(w.request(&jar, |_| ()).result(), Ok(()));
        assert!(w.opens(&jar), "it is read every three minutes");
    }
}

#[test]
fn near_the_deadline_a_touch_that_adds_little_is_not_due() {
    let mut w = World::with(|builder| builder.lifetime(Lifetime::new(30 * MINUTE, 34 * MINUTE)));
    let jar = w.sign_in();
    w.pass(20 * MINUTE);
    assert_eq!(w.request(&jar, |_| ()).result(), Ok(()));
    assert_eq!(w.ops(), "load", "it would add four minutes");
}

#[test]
fn a_failed_touch_is_nobodys_failure() {
    for fault in Fault::ALL.into_iter().chain([Fault::Conflict]) {
        let mut w = World::new();
        let jar = w.sign_in();
        w.pass(10 * MINUTE);
        let slow = w.slow(&jar, |_| ());
        w.store.fault(0, fault);
        let done = w.commit(slow);
        assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep), "{fault:?}");
        assert_eq!(w.ops(), "load,touch", "{fault:?}");
    }
    for vanishes in [true, false] {
        let mut w = World::new();
        let jar = w.sign_in();
        w.pass(10 * MINUTE);
        let slow = w.slow(&jar, |_| ());
        if vanishes {
            w.store.evict(&w.key(&jar));
        } else {
            assert_eq!(w.request(&jar, Loaded::destroy).result(), Ok(()));
        }
        w.ops();
        let done = w.commit(slow);
        assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
        assert_eq!(w.ops(), "touch");
        assert!(!w.opens(&jar));
    }
}

#[test]
fn no_time_and_no_lifetime_panics() {
    let durations = [Duration::from_millis(1), MINUTE, Duration::from_millis(u64::MAX), Duration::MAX];
    let times = [0, 1, 1_800_000_000_000, u64::MAX - 1, u64::MAX];
    for idle in durations {
        for absolute in durations {
            let lifetime = Lifetime::new(idle, absolute);
            for now in times {
                let mut w = World::with(|builder| {
                    let builder = builder.lifetime(lifetime).grace(idle).max_request(absolute).clock_skew(absolute);
                    builder.superseded(absolute).renew_after(idle)
                });
                w.store.now = now;
                let mut jar = String::new();
                let _ = w.visit(&mut jar, add(1));
                let jar = if jar.is_empty() { "x=y".to_owned() } else { jar };
                for later in times {
                    w.store.now = later;
                    for edit in [|_: &mut Loaded| (), |loaded: &mut Loaded| add(1)(loaded), Loaded::rotate] {
                        let _ = w.request(&jar, edit);
                    }
                }
                let _ = w.request(&jar, Loaded::destroy);
            }
        }
    }
}

#[test]
fn times_of_every_size_in_a_record_panic_nowhere() {
    for time in [0, 1, u64::MAX / 2, u64::MAX] {
        let mut w = World::with(|builder| builder.renew_after(MINUTE));
        let jar = w.sign_in();
        let key = w.key(&jar);
        for field in 0..4 {
            let mut record = Record::new(w.now(), Lifetime::default());
            let at = UnixTime::from_millis(time);
            match field {
                0 => record.created = at,
                1 => record.deadline = at,
                2 => record.issued = at,
                _ => record.idle = Duration::from_millis(time),
            }
            record.commits = time.min(u64::MAX / 2);
            for edit in [|_: &mut Loaded| (), |loaded: &mut Loaded| add(1)(loaded), Loaded::rotate, Loaded::destroy] {
                w.put(&key, &Entry::Record(Box::new(record.clone())), 10 * MINUTE);
                let _ = w.request(&jar, edit);
            }
        }
    }
}

#[test]
fn settings_that_make_no_sense_make_no_engine() {
    let build = |lifetime, longest: Option<Lifetime>| {
        let builder = Engine::builder(ring()).lifetime(lifetime);
        longest.map_or(builder, |longest| Engine::builder(ring()).lifetime(lifetime).longest(longest)).build().err()
    };
    let usual = Lifetime::default();
    assert_eq!(build(Lifetime::new(Duration::ZERO, HOUR), None), Some(ConfigError::ZeroLifetime));
    assert_eq!(build(Lifetime::new(Duration::from_micros(999), HOUR), None), Some(ConfigError::ZeroLifetime));
    assert_eq!(build(usual, Some(Lifetime::new(MINUTE, DAY))), Some(ConfigError::LongerThanLongest));
    assert_eq!(build(usual, Some(Lifetime::new(HOUR, HOUR))), Some(ConfigError::LongerThanLongest));
    let too_long = Lifetime::new(DAY, 401 * DAY);
    let error = Some(ConfigError::Cookie(CookieError::MaxAge));
    assert_eq!(build(too_long.persistent(), None), error);
    assert_eq!(build(usual, Some(too_long.persistent())), error);
    assert_eq!(build(too_long, None), None, "a cookie for the browser session has no Max-Age");
    assert_eq!(build(Lifetime::new(DAY, 400 * DAY).persistent(), None), None);
    assert!(Engine::builder(ring()).touch_part(0).build().is_err());
    assert!(Engine::builder(ring()).name("").build().is_err());
}

#[test]
fn a_persistent_cookie_of_a_lifetime_beyond_the_cap_is_an_error_not_a_dropped_cookie() {
    let long = Lifetime::new(DAY, 500 * DAY);
    let mut w = World::with(|builder| builder.longest(long));
    let mut refused = false;
    let done = w.request("", |loaded| {
        refused = loaded.set_lifetime(long.persistent()).is_err();
        add(1)(loaded);
    });
    match done.cookie() {
        CookieChange::Set(line) => assert!(refused && !line.contains("Max-Age"), "{line}"),
        _ => assert_eq!(done.result(), Err(CommitError::Cookie(CookieError::MaxAge))),
    }
}
