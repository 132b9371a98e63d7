//! Tokens: only what we minted, for this cookie of this engine, ever reaches the store.

use core::hash::{BuildHasher, BuildHasherDefault};
use std::collections::hash_map::DefaultHasher;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use cloakroom_core::{
    CookieChange, CookieName, CookiePolicy, Done, Engine, Entropy, Event, Handle, HashedKeys, InvalidHandle, KeyId,
    KeyScheme, Keyring, Loaded, Principal, Refusal, RequestInfo, SessionId, SignedTokens, Step, StoreKey, TokenScheme,
};

use crate::common::{NoEntropy, Seeded, World, add, has, key, ring, ticket};

const NAME: &str = "__Host-id";

/// A token of a live session.
fn token(w: &mut World) -> String {
    let jar = w.sign_in();
    jar.strip_prefix("__Host-id=").unwrap().to_owned()
}

/// Presents a value under our name, accesses the session, and commits without any entropy.
fn present(w: &mut World, value: &[u8]) -> Done {
    let line = [b"__Host-id=", value].concat();
    let mut session = w.engine.open([&line[..]], &RequestInfo::new());
    assert!(w.access(&mut session).unwrap().is_new());
    let Step::Done(done) = session.commit(w.now(), &mut NoEntropy) else { panic!("an operation was asked for") };
    done
}

#[track_caller]
fn assert_refused(w: &mut World, value: &[u8], event: Event) {
    let done = present(w, value);
    assert_eq!(done.events().iter().collect::<Vec<_>>(), [event], "{:?}", String::from_utf8_lossy(value));
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    assert_eq!(w.ops(), "");
    let refusal = match event {
        Event::ForgedToken => Refusal::Forged,
        Event::UnknownKey(id) => Refusal::UnknownKey(id),
        _ => Refusal::Malformed,
    };
    assert_eq!(w.engine.inspect(value), Err(refusal));
}

#[test]
fn a_token_is_44_characters_of_key_id_id_and_tag() {
    let mut w = World::new();
    let token = token(&mut w);
    assert_eq!(token.len(), 44);
    let raw = BASE64.decode(&token).unwrap();
    assert_eq!((raw.len(), raw[0]), (33, 1));
    assert_eq!(w.engine.inspect(token.as_bytes()), Ok(Some(KeyId::new(1))));
    let scheme = SignedTokens::new(&ring(), "main", NAME);
    let verified = scheme.verify(token.as_bytes()).unwrap();
    assert_eq!(verified.id.dangerous_bytes(), &raw[1..17]);
    let mut again = String::new();
    scheme.mint(&verified.id, &mut again);
    assert_eq!(again, token, "there is one text per token");
}

#[test]
fn a_token_is_well_formed_by_each_of_its_characters_and_their_number() {
    let scheme = SignedTokens::new(&ring(), "main", NAME);
    for place in 0..44 {
        for byte in 0..=u8::MAX {
            let mut value = [b'a'; 44];
            value[place] = byte;
            let is_url_safe = byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            assert_eq!(scheme.is_well_formed(&value), is_url_safe, "{byte:#04x} at {place}");
        }
    }
    for len in 0..100 {
        assert_eq!(scheme.is_well_formed(&vec![b'a'; len]), len == 44, "{len} characters");
    }
}

#[test]
fn every_single_bit_flip_is_refused() {
    let mut w = World::new();
    let raw = BASE64.decode(token(&mut w)).unwrap();
    for bit in 0..raw.len() * 8 {
        let mut flipped = raw.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let event = if bit < 8 { Event::UnknownKey(KeyId::new(flipped[0])) } else { Event::ForgedToken };
        assert_refused(&mut w, BASE64.encode(flipped).as_bytes(), event);
    }
}

#[test]
fn every_substituted_character_is_refused() {
    let mut w = World::new();
    let token = token(&mut w).into_bytes();
    for place in 0..token.len() {
        for byte in (0..=255).filter(|byte| !matches!(byte, b';' | b' ' | b'\t') && *byte != token[place]) {
            let mut changed = token.clone();
            changed[place] = byte;
            let done = present(&mut w, &changed);
            let events: Vec<_> = done.events().iter().collect();
            let is_base64 = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            match events[..] {
                [Event::ForgedToken | Event::UnknownKey(_)] => assert!(is_base64),
                [Event::MalformedToken] => assert!(!is_base64),
                _ => panic!("{events:?} for {byte} at {place}"),
            }
        }
    }
    assert_eq!(w.ops(), "");
}

#[test]
fn truncated_extended_and_padded_tokens_are_refused() {
    let mut w = World::new();
    let token = token(&mut w);
    for len in 0..token.len() {
        assert_refused(&mut w, &token.as_bytes()[..len], Event::MalformedToken);
    }
    for extended in [
        format!("{token}A"),
        format!("A{token}"),
        format!("{token}="),
        format!("{token}===="),
        format!("{token}{token}"),
        format!("\"{token}\""),
        format!("%20{token}"),
        format!("{token},"),
        token.replace(['-', '_'], "+"),
        format!("{}{}", &token[..43], '='),
    ] {
        if extended != token {
            assert_refused(&mut w, extended.as_bytes(), Event::MalformedToken);
        }
    }
}

#[test]
fn a_token_of_another_cookie_or_engine_or_ring_is_refused() {
    let mut w = World::new();
    let policy = CookiePolicy::named(CookieName::new("__Host-other").unwrap());
    let mut foreign = vec![
        Engine::builder(ring()).cookie(policy).build().unwrap(),
        Engine::builder(ring()).name("other").build().unwrap(),
        Engine::builder(ring()).name("mai").build().unwrap(),
    ];
    let mut bytes: Vec<u8> = (0..32).map(|n: u8| n.wrapping_mul(37) ^ 0x5a).collect();
    bytes[0] = 0xff;
    let other = cloakroom_core::Key::from_bytes(KeyId::new(1), &bytes).unwrap();
    foreign.push(Engine::builder(Keyring::new(other)).build().unwrap());
    for engine in foreign {
        let mut theirs = World::new();
        theirs.engine = engine;
        let done = theirs.request("", add(1));
        let jar = ticket(&done).unwrap();
        let token = jar.split_once('=').unwrap().1;
        assert_eq!(theirs.engine.inspect(token.as_bytes()), Ok(Some(KeyId::new(1))));
        assert_refused(&mut w, token.as_bytes(), Event::ForgedToken);
    }
}

#[test]
fn engine_and_cookie_name_cannot_be_shifted_into_each_other() {
    let mut w = World::new();
    let id = SignedTokens::new(&ring(), "main", NAME).verify(token(&mut w).as_bytes()).unwrap().id;
    let mint = |engine: &str, cookie: &str| {
        let mut text = String::new();
        SignedTokens::new(&ring(), engine, cookie).mint(&id, &mut text);
        text
    };
    assert_ne!(mint("ab", "c"), mint("a", "bc"));
    assert_ne!(mint("main", NAME), mint(NAME, "main"));
}

#[test]
fn engines_in_one_store_never_meet() {
    let mut w = World::new();
    let jar = w.sign_in();
    let id = SignedTokens::new(&ring(), "main", NAME).verify(&jar.as_bytes()[10..]).unwrap().id;
    let keys = |engine: &str| HashedKeys::new(engine, "cloakroom:").unwrap();
    assert_eq!(keys("main").store_key(&id), w.key(&jar));
    assert_ne!(keys("other").store_key(&id), w.key(&jar));
}

/// Made by another implementation: Python's hashlib, by the words of [`HashedKeys`].
#[test]
fn store_keys_are_what_is_written_of_them() {
    let long = "an engine whose name alone is longer than the rest of its block";
    let id = SessionId::from_bytes(&core::array::from_fn::<u8, 16, _>(|n| n as u8)).unwrap();
    let keys = |engine: &str| HashedKeys::new(engine, "cloakroom:").unwrap();
    assert_eq!(keys("main").store_key(&id).as_str(), "cloakroom:v_bHYWvbxsQNc8OWBP39Xg");
    assert_eq!(keys(long).store_key(&id).as_str(), "cloakroom:P742ZYIDlNoZW2pQjSXM5A");
    let user = Principal::of(&7).unwrap();
    assert_eq!(keys("main").index_key(&user).as_str(), "cloakroom:user:oWx3UcpdiYyepJIz6NvhJA");
}

#[test]
fn no_well_formed_value_that_we_did_not_mint_reaches_the_store() {
    let mut w = World::new();
    for _ in 0..2000 {
        let mut raw = [0; 33];
        Entropy::fill(&mut w.entropy, &mut raw).unwrap();
        raw[0] = 1;
        assert_refused(&mut w, BASE64.encode(raw).as_bytes(), Event::ForgedToken);
    }
}

#[test]
fn a_refused_id_is_never_adopted() {
    let mut w = World::new();
    let raw = BASE64.decode(token(&mut w)).unwrap();
    let mut forged = raw.clone();
    forged[32] ^= 1;
    let cookie = format!("__Host-id={}", BASE64.encode(&forged));
    let done = w.request(&cookie, add(1));
    assert_eq!(w.ops(), "create");
    let new = ticket(&done).expect("a session of its own");
    let id = BASE64.decode(new.strip_prefix("__Host-id=").unwrap()).unwrap()[1..17].to_vec();
    assert_ne!(id, raw[1..17]);
}

#[test]
fn a_valid_ticket_that_opens_nothing_is_never_stored_under() {
    let mut w = World::new();
    let jar = w.sign_in();
    let gone = w.key(&jar);
    w.store.evict(&gone);
    let done = w.request(&jar, add(1));
    assert!(has(&done, Event::NotFound));
    let new = ticket(&done).expect("a session of its own");
    assert_ne!(w.key(&new), gone);
    assert!(w.store.look(&gone).is_none());
}

#[test]
fn a_stolen_store_opens_no_session() {
    let mut w = World::new();
    let jar = w.sign_in();
    let stolen = w.key(&jar);
    let digest = stolen.as_str().strip_prefix("cloakroom:").unwrap();
    let handle = stolen.handle();
    for text in [stolen.as_str(), digest, handle.as_str()] {
        assert_refused(&mut w, text.as_bytes(), Event::MalformedToken);
    }
    for text in [digest, handle.as_str()] {
        let raw = BASE64.decode(text).unwrap();
        let made = [&[1][..], &raw, &[0; 16]].concat();
        assert_refused(&mut w, BASE64.encode(made).as_bytes(), Event::ForgedToken);
        let made = [&[1][..], &raw, &raw].concat();
        assert_refused(&mut w, BASE64.encode(made).as_bytes(), Event::ForgedToken);
    }
    assert_ne!(handle.as_str(), digest, "a handle is no store key");
}

#[test]
fn a_store_never_sees_an_id_or_a_token() {
    let mut w = World::new();
    let mut jar = w.sign_in();
    let mut jars = vec![jar.clone()];
    for _ in 0..3 {
        w.act(&mut jar, Loaded::rotate);
        jars.push(jar.clone());
        w.act(&mut jar, add(1));
    }
    w.act(&mut jar, Loaded::destroy);
    let mut seen = Vec::new();
    for op in &w.store.log {
        seen.extend_from_slice(op.key().as_bytes());
        if let cloakroom_core::Op::Create { value, .. } | cloakroom_core::Op::Replace { value, .. } = op {
            seen.extend_from_slice(value.as_bytes());
        }
    }
    for jar in jars {
        let token = jar.strip_prefix("__Host-id=").unwrap();
        let raw = BASE64.decode(token).unwrap();
        let id = &raw[1..17];
        let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        for needle in [token.as_bytes(), id, &id[..8], hex.as_bytes(), BASE64.encode(id).as_bytes(), &raw[17..]] {
            assert!(!seen.windows(needle.len()).any(|window| window == needle));
        }
    }
}

#[test]
fn ids_come_from_the_entropy_and_all_differ() {
    let mut w = World::new();
    let mut jars: Vec<String> = (0..200).map(|_| w.sign_in()).collect();
    jars.sort();
    jars.dedup();
    assert_eq!(jars.len(), 200);
    let mut keys = w.store.keys();
    keys.dedup();
    assert_eq!(keys.len(), 200);
}

#[test]
fn a_key_of_the_ring_is_picked_by_its_id_and_no_other_is_tried() {
    let two = Keyring::new(key(1)).accept(key(2)).unwrap();
    let scheme = SignedTokens::new(&two, "main", NAME);
    let id = SessionId::from_bytes(&[7; 16]).unwrap();
    let mut token = String::new();
    scheme.mint(&id, &mut token);
    let mut raw = BASE64.decode(&token).unwrap();
    raw[0] = 2;
    assert_eq!(scheme.verify(BASE64.encode(&raw).as_bytes()), Err(Refusal::Forged));
    raw[0] = 3;
    assert_eq!(scheme.verify(BASE64.encode(&raw).as_bytes()), Err(Refusal::UnknownKey(KeyId::new(3))));
}

#[test]
fn ids_are_equal_by_all_their_bytes() {
    let id = |bytes: &[u8]| SessionId::from_bytes(bytes).unwrap();
    assert_eq!(id(&[7; 16]), id(&[7; 16]));
    for at in 0..16 {
        let mut other = [7; 16];
        other[at] ^= 1;
        assert_ne!(id(&[7; 16]), id(&other));
    }
    assert_ne!(id(&[7; 16]), id(&[7; 17]));
}

#[test]
fn entropy_may_be_lent() {
    let drawn = |entropy: &mut dyn Entropy| {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes).unwrap();
        bytes
    };
    assert_eq!(drawn(&mut &mut Seeded(5)), drawn(&mut Seeded(5)));
    assert_ne!(drawn(&mut Seeded(5)), drawn(&mut Seeded(6)));
}

#[test]
fn store_keys_and_handles_serve_as_keys_of_maps() {
    let keys = ["a", "b", "ab"].map(|text| StoreKey::new(text).unwrap());
    assert!(keys[0] < keys[1] && keys[0] < keys[2] && keys[2] < keys[1], "by their bytes");
    let hash = |key: &StoreKey| BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
    assert_eq!(hash(&keys[0]), hash(&keys[0].clone()));
    assert_ne!(hash(&keys[0]), hash(&keys[1]));
    let handle = keys[0].handle();
    assert_eq!((handle, handle.as_str().len()), (keys[0].clone().handle(), Handle::LEN));
    assert_ne!(handle, keys[1].handle());
    assert_eq!(handle.to_string(), handle.as_str());
}

#[test]
fn a_handle_reads_back_and_nothing_else_is_one() {
    let handle = StoreKey::new("a").unwrap().handle();
    assert_eq!(handle.to_string().parse(), Ok(handle));
    for text in ["A".repeat(22), "-_09azAZ".repeat(3)[..22].to_owned()] {
        assert_eq!(text.parse::<Handle>().unwrap().as_str(), text);
    }
    for text in ["".to_owned(), "A".repeat(21), "A".repeat(23), format!("{} ", "A".repeat(21)), "é".repeat(11)] {
        assert_eq!(text.parse::<Handle>(), Err(InvalidHandle), "{text}");
    }
    for byte in (0_u8..128).filter(|byte| !byte.is_ascii_alphanumeric() && !b"-_".contains(byte)) {
        assert!(format!("{}{}", "A".repeat(21), byte as char).parse::<Handle>().is_err(), "{byte}");
    }
    assert!(InvalidHandle.to_string().contains("22"));
}
