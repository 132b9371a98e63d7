//! Ids, tokens, store keys and handles.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use cloakroom_core::{
    ConfigError, CookieName, CookiePolicy, Engine, Event, Handle, Key, KeyId, Keyring, KeyringError, Loaded, Login,
    Principal, Refusal, RequestInfo, RosterError, SessionId, StoreKey, UnixTime, Which,
};
use cloakroom_store::{KeyringExt as _, KeyringReadError};

use crate::{
    forms::Forms,
    web::{self, Site},
    world::{Seeded, World, has, ring, ticket, token},
};

pub(crate) fn a_recording_store_never_sees_the_id_or_a_part_of_it() {
    let mut world = World::new();
    let mut jars = Vec::new();
    for n in 0..20 {
        let jar = world.sign_in();
        world.act(&jar, move |loaded| loaded.insert("n", &n).unwrap());
        let rotated = ticket(&world.request(&jar, Loaded::rotate)).unwrap();
        world.act(&rotated, |loaded| loaded.insert("m", &n).unwrap());
        let ends_and_begins = |loaded: &mut Loaded| {
            loaded.destroy();
            loaded.insert("m", &n).unwrap();
        };
        let fresh = ticket(&world.request(&rotated, ends_and_begins)).unwrap();
        world.act(&fresh, Loaded::destroy);
        jars.extend([jar, rotated, fresh]);
    }
    let mut forms = Forms::default();
    for jar in &jars {
        let raw = BASE64.decode(token(jar)).unwrap();
        forms.text("the token", token(jar));
        forms.bytes("the id", &raw[1..17]);
        forms.bytes("the tag", &raw[17..]);
    }
    let mut seen = Vec::new();
    for op in &world.store.log {
        seen.extend(op.key().as_bytes());
        if let cloakroom_core::Op::Create { value, .. } | cloakroom_core::Op::Replace { value, .. } = op {
            seen.extend(value.as_bytes());
        }
    }
    assert!(seen.len() > 10_000, "{} bytes were recorded", seen.len());
    assert_eq!(forms.find(&seen), None);
    // The same search does find an id, wherever it stands.
    for jar in &jars {
        let raw = BASE64.decode(token(jar)).unwrap();
        let with_id = [&seen[..777], &raw[1..17], &seen[777..]].concat();
        assert!(forms.find(&with_id).is_some());
    }
}

pub(crate) fn a_random_well_formed_token_makes_no_store_operation() {
    let mut world = World::new();
    world.sign_in();
    let before = world.store.log.len();
    let mut random = Seeded(1);
    let mut raws: Vec<Vec<u8>> = (0..20_000).map(|_| random.bytes(33)).collect();
    // Those with the key id of the ring, which anybody can see in a token of their own.
    raws.iter_mut().step_by(2).for_each(|raw| raw[0] = 1);
    raws.extend([vec![0; 33], vec![1; 33], vec![255; 33]]);
    for raw in raws {
        let done = world.request(&format!("__Host-id={}", BASE64.encode(&raw)), |loaded| {
            assert!(loaded.is_new());
            assert_eq!(loaded.get::<i64>("n"), Ok(None));
        });
        let event = if raw[0] == 1 { Event::ForgedToken } else { Event::UnknownKey(KeyId::new(raw[0])) };
        assert!(has(&done, event) && ticket(&done).is_none(), "{:?}", done.events());
    }
    assert_eq!(world.store.log.len(), before);
}

pub(crate) fn an_unknown_id_is_never_stored_under() {
    // A token that is rightly signed, but of another store: as after a restore of an older state.
    let stranger = World::new().sign_in();
    let mut world = World::new();
    world.entropy = Seeded(99);
    let key = world.key(&stranger);
    for edit in [|loaded: &mut Loaded| loaded.insert("n", &1).unwrap(), Loaded::rotate, Loaded::destroy] {
        let done = world.request(&stranger, edit);
        assert_ne!(ticket(&done).as_ref(), Some(&stranger));
    }
    let kept = world.request(&stranger, |loaded| loaded.insert("n", &1).unwrap());
    let ours = ticket(&kept).unwrap();
    assert!(world.opens(&ours) && !world.opens(&stranger));
    assert!(world.store.keys().iter().all(|held| *held != key), "something is stored under the client's id");
    assert!(world.store.log.iter().all(|op| *op.key() != key || op.kind().name() == "load"));
    // A forged one never becomes the id either.
    let forged = format!("__Host-id={}", BASE64.encode([[1; 17].as_slice(), &[7; 16]].concat()));
    let done = world.request(&forged, |loaded| loaded.insert("n", &1).unwrap());
    let fresh = ticket(&done).unwrap();
    assert_ne!(BASE64.decode(token(&fresh)).unwrap()[1..17], [1; 16]);
}

pub(crate) fn no_key_name_or_id_can_be_empty() {
    let id = KeyId::new(1);
    for len in [0, 1, 31] {
        assert_eq!(Key::from_bytes(id, &vec![7; len]).unwrap_err(), KeyringError::KeyLength { id, len });
    }
    assert_eq!(Key::from_bytes(id, &[0; 32]).unwrap_err(), KeyringError::LowEntropy(id), "zeros are no key");
    for text in ["", " \n", "# nothing", ",", "1:primary:", "1:primary:=", "1:primary", ":primary:", "1::"] {
        assert!(text.parse::<Keyring>().is_err(), "{text:?} is a ring");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(
        matches!(Keyring::from_file(file.path()), Err(KeyringReadError::RingInFile(..))),
        "an empty file is no ring"
    );
    assert!(matches!(Keyring::from_env("CLOAKROOM_NO_SUCH_VARIABLE"), Err(KeyringReadError::Variable(_))));
    assert!(StoreKey::new("").is_err());
    assert!(SessionId::from_bytes(&[]).is_none());
    assert!(CookieName::new("").is_err());
    assert_eq!(Engine::builder(ring()).name("").build().unwrap_err(), ConfigError::Name);
}

pub(crate) fn requests_with_random_tokens_make_no_write() {
    web::run(async {
        let site = Site::new();
        let mut random = Seeded(2);
        for _ in 0..500 {
            let mut raw = random.bytes(33);
            raw[0] = 1;
            let cookie = format!("__Host-id={}", BASE64.encode(raw));
            for path in ["/untouched", "/read", "/end", "/rotate"] {
                let answer = site.get(path, &cookie).await;
                assert_eq!((answer.status, answer.set_cookies()), (200, Vec::new()), "{path}");
            }
        }
        assert_eq!(site.store.take(), "");
        // Tickets that are rightly signed and stand for nothing cost a load each.
        let elsewhere = Site::new();
        for _ in 0..50 {
            let cookie = elsewhere.sign_in().await;
            assert_eq!(site.get("/untouched", &cookie).await.status, 200);
            assert_eq!(site.get("/read", &cookie).await.text, "anonymous");
            assert_eq!(site.store.take(), "load");
        }
    });
}

/// The secret part of a token is its tag, but no bit of it may be changed at all.
pub(crate) fn every_flipped_bit_of_a_token_is_refused() {
    let mut world = World::new();
    let jar = world.sign_in();
    let good = token(&jar).as_bytes().to_vec();
    assert!(world.engine.inspect(&good).is_ok());
    let mut refused = 0;
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_refused(&mut world, &bad);
        refused += 1;
    }
    assert_eq!(refused, 44 * 8);
    // And of what the token encodes, each bit: key id, id and tag.
    let raw = BASE64.decode(&good).unwrap();
    for bit in 0..raw.len() * 8 {
        let mut bad = raw.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_refused(&mut world, BASE64.encode(bad).as_bytes());
    }
}

pub(crate) fn every_other_character_length_and_spelling_of_a_token_is_refused() {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut world = World::new();
    let jar = world.sign_in();
    let good = token(&jar).as_bytes().to_vec();
    for place in 0..good.len() {
        for byte in (0..=255).filter(|byte| *byte != good[place]) {
            let mut bad = good.clone();
            bad[place] = byte;
            assert_refused(&mut world, &bad);
        }
    }
    for len in 0..good.len() {
        assert_refused(&mut world, &good[..len]);
        assert_refused(&mut world, &good[good.len() - len..]);
    }
    for &more in ALPHABET {
        assert_refused(&mut world, &[&good[..], &[more]].concat());
        assert_refused(&mut world, &[&[more], &good[..]].concat());
    }
    let text = String::from_utf8(good.clone()).unwrap();
    let raw = BASE64.decode(&good).unwrap();
    for bad in [
        format!("{text}="),
        format!("{text}===="),
        format!("\"{text}\""),
        format!("{text}{text}"),
        text.to_lowercase(),
        text.chars().rev().collect(),
        raw.iter().map(|byte| format!("{byte:02x}")).collect(),
        base64::prelude::BASE64_STANDARD.encode([&raw[..], &[0xfb, 0xff]].concat()),
    ] {
        assert_refused(&mut world, bad.as_bytes());
    }
    // Parts of two good tokens make none.
    let other = world.sign_in();
    let before = world.store.log.len();
    for cut in 1..good.len() {
        let spliced = [&good[..cut], &token(&other).as_bytes()[cut..]].concat();
        if spliced != good && spliced != token(&other).as_bytes() {
            assert!(world.engine.inspect(&spliced).is_err(), "{cut}");
        }
    }
    assert_eq!(world.store.log.len(), before);
    assert!(world.opens(&jar) && world.opens(&other));
}

fn assert_refused(world: &mut World, bad: &[u8]) {
    let before = world.store.log.len();
    let shown = String::from_utf8_lossy(bad).into_owned();
    assert!(world.engine.inspect(bad).is_err(), "{shown}");
    let line = [b"__Host-id=", bad].concat();
    let mut session = world.engine.open([line.as_slice()], &RequestInfo::new());
    let loaded = world.access(&mut session).unwrap();
    assert!(loaded.is_new() && loaded.get::<i64>("n") == Ok(None), "{shown}");
    let done = world.commit(session);
    assert!(done.headers().all(|(name, _)| name != "set-cookie"), "{shown}");
    assert_eq!(world.store.log.len(), before, "{shown} made a store operation");
}

pub(crate) fn a_token_of_one_engine_is_refused_by_every_other_with_the_same_key() {
    // Among them names that would be one if they were joined without their lengths.
    let names =
        [("main", "__Host-id"), ("main", "__Host-a"), ("other", "__Host-id"), ("main__Host-", "id"), ("m", "id")];
    let mut worlds: Vec<World> = names
        .map(|(engine, cookie)| {
            let policy = CookiePolicy::named(CookieName::new(cookie).unwrap());
            World::with(|builder| builder.name(engine).cookie(policy))
        })
        .into();
    let jars: Vec<String> = worlds.iter_mut().map(World::sign_in).collect();
    for (at, world) in worlds.iter_mut().enumerate() {
        let before = world.store.log.len();
        for (from, jar) in jars.iter().enumerate() {
            let verdict = world.engine.inspect(token(jar).as_bytes());
            if at == from {
                assert_eq!(verdict, Ok(Some(KeyId::new(1))));
                continue;
            }
            assert_eq!(verdict, Err(Refusal::Forged), "{:?} takes a token of {:?}", names[at], names[from]);
            let line = format!("{}={}", names[at].1, token(jar));
            let done = world.request(&line, |loaded| assert!(loaded.is_new()));
            assert!(has(&done, Event::ForgedToken));
        }
        assert_eq!(world.store.log.len(), before);
    }
}

pub(crate) fn two_engines_on_one_store_never_meet() {
    // The same randomness makes the same ids in both.
    let mut shop = World::with(|builder| builder.name("shop"));
    let bought = shop.sign_in();
    let mut admin = World::with(|builder| builder.name("admin"));
    admin.store = shop.store.clone();
    let done = admin.request("", |loaded| loaded.insert("n", &77).unwrap());
    assert_eq!(done.result(), Ok(()), "the other's record is in the way");
    let administers = ticket(&done).unwrap();
    let id = |jar: &str| BASE64.decode(token(jar)).unwrap()[1..17].to_vec();
    assert_eq!(id(&bought), id(&administers), "one id, two sessions");
    assert_ne!(shop.key(&bought), admin.key(&administers));
    shop.store = admin.store.clone();
    assert_eq!(shop.peek(&bought, |loaded| loaded.get("n")), Ok(Some(0)));
    assert_eq!(admin.peek(&administers, |loaded| loaded.get("n")), Ok(Some(77)));
    admin.act(&administers, Loaded::destroy);
    shop.store = admin.store.clone();
    assert!(shop.opens(&bought) && !admin.opens(&administers));
}

pub(crate) fn listing_handle_store_key_and_id_do_not_stand_for_each_other() {
    let mut world = World::new();
    let jar = world.sign_in();
    let key = world.key(&jar);
    let handle = world.peek(&jar, Loaded::handle).unwrap();
    // The listed handle is the stored key's, derived once.
    assert_eq!(handle, key.handle());
    let twice = StoreKey::new(handle.as_str()).unwrap();
    assert_ne!(twice.handle(), handle);
    assert_eq!(handle.as_str().len(), Handle::LEN);
    // In a store a handle finds nothing, in a cookie neither a handle nor a key opens anything.
    assert!(world.store.look(&twice, world.now).is_none());
    let before = world.store.log.len();
    let id = &token(&jar)[..24];
    for text in [handle.as_str(), key.as_str(), &key.as_str()["cloakroom:".len()..], id] {
        let line = format!("__Host-id={text}");
        world.act(&line, |loaded| assert!(loaded.is_new()));
        world.act(&format!("{line}{line}"), |loaded| assert!(loaded.is_new()));
    }
    assert_eq!(world.store.log.len(), before);
    // Each session has another of each.
    let others: BTreeSet<_> = (0..100)
        .map(|_| {
            let jar = world.sign_in();
            world.key(&jar).handle().as_str().to_owned()
        })
        .collect();
    assert_eq!(others.len(), 100);
    assert!(!others.contains(handle.as_str()));
}

pub(crate) fn a_listed_handle_ends_its_session_and_no_other() {
    let mut world = World::new();
    let user = Principal::of("alice").unwrap();
    let login = |loaded: &mut Loaded| loaded.login("alice", Login::new()).unwrap();
    let mut jars: Vec<String> = (0..3).map(|_| ticket(&world.request("", login)).unwrap()).collect();
    // One has another id since.
    jars[2] = ticket(&world.request(&jars[2], Loaded::rotate)).unwrap();
    while let Some(jar) = jars.pop() {
        let handle = world.peek(&jar, Loaded::handle).unwrap();
        let now = world.now;
        let listed = world.engine.list_sessions(user.clone(), None);
        let listed = listed.run(|op| world.store.perform(op, now), || UnixTime::from_millis(now)).unwrap();
        assert_eq!(listed.len(), jars.len() + 1);
        assert!(listed.iter().any(|one| one.handle == handle), "what a user sees is what ends it");
        let time = world.now();
        let step = world.engine.end_sessions(&user, Which::One(handle), None, time, &mut world.entropy);
        let ended = step.run(|op| world.store.perform(op, now), || UnixTime::from_millis(now));
        assert_eq!(ended, Ok(1));
        assert!(!world.opens(&jar), "it is ended, and not only taken off the list");
        assert!(jars.iter().all(|other| world.opens(other)));
        // Neither a key in place of a handle nor the handle again ends anything.
        let wrong = StoreKey::new(handle.as_str()).unwrap().handle();
        for gone in [handle, wrong] {
            let step = world.engine.end_sessions(&user, Which::One(gone), None, time, &mut world.entropy);
            let ended = step.run(|op| world.store.perform(op, now), || UnixTime::from_millis(now));
            assert_eq!(ended, Err(RosterError::UnknownHandle));
        }
    }
}
