//! Sessions that are held in the cookie: what the client has, and what the store is asked.

use cloakroom_core::{
    Access, CommitError, ConfigError, CookieHeld, CookieName, CookiePolicy, Engine, EngineBuilder, Event, Key, Keyring,
    Lifetime, Refusal, RequestInfo, SealedCodec,
};

use crate::common::{DAY, HOUR, MINUTE, Seeded, SetCookie, World, add, bytes, has, key, ring, ticket};

fn held(builder: EngineBuilder) -> EngineBuilder {
    builder.hold_in_cookie(CookieHeld::encrypted())
}

fn world() -> World {
    World::with(held)
}

#[test]
fn the_cookie_holds_the_session_and_the_store_nothing() {
    let mut w = world();
    let mut jar = String::new();
    w.act(&mut jar, |loaded| loaded.insert("n", &7).unwrap());
    assert_eq!(w.peek(&jar, "n"), Some(7));
    w.act(&mut jar, add(1));
    assert_eq!(w.peek(&jar, "n"), Some(8));
    assert_eq!(w.ops(), "load");
    assert_eq!(w.store.keys(), []);
    assert!(jar.starts_with("__Host-id="), "{jar}");
}

#[test]
fn reading_sends_no_cookie_and_an_untouched_request_asks_nothing() {
    let mut w = world();
    let jar = w.sign_in();
    let done = w.request(&jar, |loaded| assert_eq!(loaded.get("n").unwrap(), Some(0)));
    assert_eq!((ticket(&done), w.ops().as_str()), (None, "load"));
    let session = w.open(&jar);
    assert_eq!(w.commit(session).headers().count(), 0);
    assert_eq!(w.ops(), "");
}

#[test]
fn every_write_sends_the_cookie_with_all_attributes() {
    let mut w = World::with(|builder| held(builder).lifetime(Lifetime::new(HOUR, DAY).persistent()));
    let jar = w.sign_in();
    w.pass(HOUR / 2);
    let done = w.request(&jar, add(1));
    let headers: Vec<_> = done.headers().collect();
    assert_eq!(headers[1..], [("cache-control", "no-store"), ("vary", "Cookie")]);
    let line = SetCookie::parse(headers[0].1);
    let names: Vec<_> = line.attributes.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["httponly", "samesite", "secure", "path", "max-age"]);
    assert_eq!(line.attribute("max-age"), Some("84600"));
}

#[test]
fn both_deadlines_stand_in_the_cookie() {
    let mut w = World::with(|builder| held(builder).lifetime(Lifetime::new(HOUR, HOUR * 3)));
    let first = w.sign_in();
    w.pass(HOUR - MINUTE);
    let touched = w.request(&first, |_| ());
    assert!(has(&touched, Event::Touched));
    let second = ticket(&touched).unwrap();
    w.pass(MINUTE);
    assert!(!w.opens(&first));
    let done = w.request(&first, |_| ());
    assert!(has(&done, Event::Expired));
    assert!(w.opens(&second));
    w.pass(HOUR - MINUTE * 2);
    let third = ticket(&w.request(&second, |_| ())).unwrap();
    w.pass(HOUR - MINUTE);
    let fourth = ticket(&w.request(&third, add(1))).unwrap();
    assert!(w.opens(&fourth));
    // Three hours after the first one.
    w.pass(MINUTE * 3);
    assert!(!w.opens(&fourth));
}

#[test]
fn a_touch_waits_for_its_part_of_the_idle_time() {
    let mut w = World::with(|builder| held(builder).lifetime(Lifetime::new(HOUR, DAY)));
    let jar = w.sign_in();
    w.pass(HOUR / 5);
    assert_eq!(ticket(&w.request(&jar, |_| ())), None);
    w.pass(MINUTE);
    assert!(ticket(&w.request(&jar, |_| ())).is_some());
}

#[test]
fn every_flipped_bit_is_refused() {
    for setting in [CookieHeld::encrypted(), CookieHeld::dangerous_readable()] {
        let mut w = World::with(|builder| builder.hold_in_cookie(setting));
        let jar = w.sign_in();
        for at in "__Host-id=".len()..jar.len() {
            for bit in 0..8 {
                let mut changed = jar.clone().into_bytes();
                changed[at] ^= 1 << bit;
                let mut session = w.engine.open([&changed[..]], &RequestInfo::new());
                assert!(matches!(session.access(), Access::Ready(loaded) if loaded.is_new()));
            }
        }
        assert_eq!(w.ops(), "");
    }
}

#[test]
fn a_cookie_opens_for_its_engine_name_ring_and_form_alone() {
    let builders: [fn() -> EngineBuilder; 6] = [
        || held(Engine::builder(ring())),
        || held(Engine::builder(ring()).name("other")),
        || held(Engine::builder(ring()).cookie(CookiePolicy::named(CookieName::new("__Host-other").unwrap()))),
        || held(Engine::builder(Keyring::new(Key::from_bytes(key(1).id(), &bytes::<32>(99)).unwrap()))),
        || Engine::builder(ring()).hold_in_cookie(CookieHeld::dangerous_readable()),
        || Engine::builder(ring()),
    ];
    for (from, made) in builders.iter().enumerate() {
        let mut w = World::with(|_| made());
        let jar = w.sign_in();
        let value = jar.split_once('=').unwrap().1.to_owned();
        for (to, opened) in builders.iter().enumerate() {
            let other = World::with(|_| opened());
            let cookie = format!("{}={value}", other.engine.cookie().name());
            if from == to {
                w.engine = other.engine;
                assert_eq!(w.peek(&cookie, "n"), Some(0), "{from}");
            } else {
                assert!(!other.opens(&cookie), "{from} {to}");
                assert!(other.engine.inspect(value.as_bytes()).is_err(), "{from} {to}");
            }
        }
    }
}

#[test]
fn a_readable_cookie_is_read_by_anybody_and_an_encrypted_one_by_nobody() {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    for (setting, readable) in [(CookieHeld::encrypted(), false), (CookieHeld::dangerous_readable(), true)] {
        let mut w = World::with(|builder| builder.hold_in_cookie(setting));
        let mut jar = String::new();
        w.act(&mut jar, |loaded| loaded.insert("colour", "green").unwrap());
        let raw = BASE64_URL_SAFE_NO_PAD.decode(jar.split_once('=').unwrap().1).unwrap();
        assert_eq!(raw.windows(5).any(|window| window == b"green"), readable);
    }
}

#[test]
fn an_older_key_opens_until_it_is_retired_and_the_next_write_seals_anew() {
    let mut w = world();
    let old = w.sign_in();
    w.engine = held(Engine::builder(Keyring::new(key(2)).accept(key(1)).unwrap())).build().unwrap();
    let read = w.request(&old, |_| ());
    assert_eq!((read.result(), ticket(&read)), (Ok(()), None));
    let new = ticket(&w.request(&old, add(1))).unwrap();
    w.engine = held(Engine::builder(Keyring::new(key(2)))).build().unwrap();
    assert_eq!(w.peek(&new, "n"), Some(1));
    let done = w.request(&old, |loaded| assert!(loaded.is_new()));
    assert!(has(&done, Event::UnknownKey(key(1).id())));
    let value = |cookie: &str| cookie.split_once('=').unwrap().1.to_owned();
    assert_eq!(w.engine.inspect(value(&new).as_bytes()), Ok(Some(key(2).id())));
    assert_eq!(w.engine.inspect(value(&old).as_bytes()), Err(Refusal::UnknownKey(key(1).id())));
}

#[test]
fn rotating_seals_again_under_the_primary_key() {
    let mut w = world();
    let old = w.sign_in();
    w.engine = held(Engine::builder(Keyring::new(key(2)).accept(key(1)).unwrap())).build().unwrap();
    let new = ticket(&w.request(&old, |loaded| loaded.rotate())).unwrap();
    let value = new.split_once('=').unwrap().1;
    assert_eq!(w.engine.inspect(value.as_bytes()), Ok(Some(key(2).id())));
    assert!(w.opens(&old));
    let nothing = w.request("", |loaded| loaded.rotate());
    assert_eq!((nothing.result(), ticket(&nothing)), (Ok(()), None));
}

#[test]
fn nothing_renews_by_itself() {
    let mut w = World::with(|builder| held(builder).renew_after(MINUTE).lifetime(Lifetime::new(DAY, DAY)));
    let jar = w.sign_in();
    w.pass(HOUR);
    assert_eq!(ticket(&w.request(&jar, |_| ())), None);
}

#[test]
fn what_does_not_fit_is_an_error_that_names_the_size_and_the_biggest_keys() {
    let mut w = world();
    let mut jar = w.sign_in();
    let before = jar.clone();
    let done = w.visit(&mut jar, |loaded| {
        loaded.insert("small", "x").unwrap();
        loaded.insert("a name that is too long to be shown", &"y".repeat(2000)).unwrap();
        loaded.insert("big", &"z".repeat(1500)).unwrap();
    });
    let Err(error @ CommitError::CookieTooLarge { size, limit, biggest }) = done.result() else { panic!("{done:?}") };
    assert_eq!(limit, 4096 - "__Host-id".len());
    assert!(size > 4096 && size < 6000, "{size}");
    let keys: Vec<_> = biggest.iter().collect();
    assert_eq!(keys, [("a name that is too", 2037), ("big", 1505), ("small", 8)]);
    assert_eq!(
        error.to_string(),
        format!(
            "the session needs {size} characters in its cookie, {limit} fit; the biggest keys: \"a name that is too\".. \
             (2037 bytes), \"big\" (1505 bytes), \"small\" (8 bytes)"
        )
    );
    assert_eq!((jar == before, w.peek(&jar, "n"), w.ops().as_str()), (true, Some(0), "load"));
}

#[test]
fn all_that_is_said_to_fit_fits() {
    let mut w = world();
    let mut fitted = 0;
    for len in (2000..3200).step_by(7) {
        let mut jar = String::new();
        let done = w.visit(&mut jar, |loaded| loaded.insert("k", &"x".repeat(len)).unwrap());
        match done.result() {
            Ok(()) => fitted = len,
            Err(CommitError::CookieTooLarge { .. }) => assert_eq!(jar, ""),
            Err(error) => panic!("{len}: {error}"),
        }
        assert_eq!(w.opens(&jar), done.result().is_ok());
    }
    assert!(fitted > 2500, "{fitted}");
}

#[test]
fn of_two_states_of_one_session_the_later_is_read() {
    let mut w = world();
    let first = w.sign_in();
    w.pass(MINUTE);
    let second = ticket(&w.request(&first, add(1))).unwrap();
    let both = |w: &World, one: &str, other: &str, n| {
        for cookie in [format!("{one}; {other}"), format!("{other}; {one}")] {
            assert_eq!(w.peek(&cookie, "n"), Some(n));
        }
    };
    both(&w, &first, &second, 1);
    // Though it is to expire sooner, or as soon.
    let third = ticket(&w.request(&second, |loaded| {
        loaded.set_lifetime(Lifetime::new(MINUTE, HOUR)).unwrap();
        add(1)(loaded);
    }))
    .unwrap();
    both(&w, &second, &third, 2);
    let fourth = ticket(&w.request(&third, add(1))).unwrap();
    both(&w, &third, &fourth, 3);
}

#[test]
fn two_sessions_in_one_request_are_ambiguous() {
    let mut w = world();
    let [a, b] = [w.sign_in(), w.sign_in()];
    let done = w.request(&format!("{a}; {b}"), |_| ());
    assert!(has(&done, Event::Ambiguous));
}

#[test]
fn a_save_and_what_follows_are_one_cookie() {
    let mut w = world();
    let jar = w.sign_in();
    let session = w.slow(&jar, add(1));
    let mut session = w.commit(session).reopen();
    add(1)(w.access(&mut session).unwrap());
    let done = w.commit(session);
    assert_eq!(done.headers().filter(|(name, _)| *name == "set-cookie").count(), 1);
    assert_eq!(w.peek(&ticket(&done).unwrap(), "n"), Some(2));
}

#[test]
fn another_codec_works_in_the_cookie_and_for_tombstones() {
    let mut w = World::with(|builder| held(builder).codec(SealedCodec::new(&ring(), "main")));
    let jar = w.sign_in();
    let later = ticket(&w.request(&jar, add(1))).unwrap();
    assert_eq!(w.peek(&later, "n"), Some(1));
    assert_eq!(w.request(&jar, |loaded| loaded.destroy()).result(), Ok(()));
    assert!(!w.opens(&jar) && !w.opens(&later));
}

#[test]
fn settings_that_do_not_fit_are_refused() {
    let pieces = |most| Engine::builder(ring()).hold_in_cookie(CookieHeld::encrypted().pieces(most)).build().err();
    assert_eq!([pieces(0), pieces(16)], [Some(ConfigError::CookiePieces); 2]);
    assert_eq!([pieces(1), pieces(15)], [None; 2]);
    assert_eq!(CookieHeld::default(), CookieHeld::encrypted());
}

#[test]
fn random_values_of_the_right_shape_ask_the_store_nothing() {
    let mut w = world();
    let mut random = Seeded(3);
    for _ in 0..100 {
        let chars: String = (0..200)
            .map(|_| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[random.below(64)]))
            .collect();
        for start in ["", "AQE", "AgE", "~20"] {
            let done = w.request(&format!("__Host-id={start}{chars}"), |loaded| assert!(loaded.is_new()));
            assert_eq!(done.headers().next(), Some(("vary", "Cookie")));
        }
    }
    assert_eq!(w.ops(), "");
}

#[test]
fn a_cookie_of_one_user_opens_as_no_other_and_one_of_another_version_not_at_all() {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    for setting in [CookieHeld::encrypted(), CookieHeld::dangerous_readable()] {
        let mut w = World::with(|builder| builder.hold_in_cookie(setting));
        let [alice, carol] = ["alice", "carol"].map(|user| ticket(&w.log_in("", user)).unwrap());
        assert_eq!((w.who(&alice).as_deref(), w.who(&carol).as_deref()), (Some("alice"), Some("carol")));
        let raw = |cookie: &str| BASE64_URL_SAFE_NO_PAD.decode(cookie.split_once('=').unwrap().1).unwrap();
        let [alice, carol] = [raw(&alice), raw(&carol)];
        let opens = |raw: &[u8]| w.opens(&format!("__Host-id={}", BASE64_URL_SAFE_NO_PAD.encode(raw)));
        assert!(opens(&alice) && opens(&carol));
        // The head of one before the rest of the other, wherever they are cut.
        for at in 1..alice.len().min(carol.len()) {
            if alice[..at] != carol[..at] && alice[at..] != carol[at..] {
                assert!(!opens(&[&alice[..at], &carol[at..]].concat()), "{at}");
            }
        }
        for version in (0..=255).filter(|version| *version != alice[0]) {
            assert!(!opens(&[&[version], &alice[1..]].concat()), "{version}");
        }
    }
}
