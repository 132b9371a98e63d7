//! Nothing that is printed holds an id, a token, a store key or a value.

use core::fmt::Debug;
use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use cloakroom_core::{
    Access, Codec, CommitError, Engine, Entry, Event, Excess, HashedKeys, Json, JsonCodec, KeyScheme, Label, Loaded,
    Login, Members, Op, Outcome, RequestInfo, RosterStep, SealedCodec, SessionId, SignedTokens, Step, Stored,
    TokenScheme, Value, Version, Which,
};

use crate::common::{MINUTE, World, key, ring, ticket, user};

const SECRET: &str = "hunter2-the-value";

/// All that must not be seen, in every form in which it could be.
struct Secrets {
    needles: Vec<String>,
    seen: Vec<String>,
}

impl Secrets {
    fn new(w: &World, jar: &str) -> Self {
        let token = jar.split_once('=').unwrap().1;
        let raw = BASE64.decode(token).unwrap();
        let store_key = w.key(jar);
        let key_bytes = key(1).dangerous_entry(true)["1:primary:".len()..].to_owned();
        let mut needles = vec![
            token.to_owned(),
            token[..20].to_owned(),
            BASE64.encode(&raw[1..17]),
            store_key.as_str().to_owned(),
            store_key.as_str()["cloakroom:".len()..].to_owned(),
            SECRET.to_owned(),
            key_bytes.clone(),
        ];
        let secret_key = BASE64.decode(key_bytes).unwrap();
        for bytes in [&raw[1..17], &raw[17..], token.as_bytes(), store_key.as_bytes(), SECRET.as_bytes(), &secret_key] {
            needles.push(bytes[..8].iter().map(|byte| format!("{byte:02x}")).collect());
            needles.push(bytes[..8].iter().map(|byte| format!("{byte:02X}")).collect());
            needles.push(bytes[..5].iter().map(u8::to_string).collect::<Vec<_>>().join(", "));
            needles.push(bytes[..5].iter().map(|byte| format!("0x{byte:02x}")).collect::<Vec<_>>().join(", "));
        }
        Self { needles, seen: Vec::new() }
    }

    #[track_caller]
    fn check(&mut self, what: &impl Debug) {
        let text = format!("{what:?}");
        // The pretty form puts every byte on a line of its own.
        let pretty = format!("{what:#?}").replace(",\n", ",").split_whitespace().collect::<Vec<_>>().join(" ");
        for needle in &self.needles {
            assert!(!text.contains(needle.as_str()), "{needle} in {text}");
            assert!(!pretty.contains(needle.as_str()), "{needle} in {pretty}");
        }
        assert!(!text.is_empty(), "something is said");
        self.seen.push(text);
    }
}

fn signed_in() -> (World, String, Secrets) {
    let mut w = World::new();
    let done = w.request("", |loaded| loaded.insert("password", SECRET).unwrap());
    let jar = ticket(&done).unwrap();
    let mut secrets = Secrets::new(&w, &jar);
    secrets.check(&done);
    secrets.check(&done.cookie());
    secrets.check(done.events());
    (w, jar, secrets)
}

#[test]
fn the_needles_are_found_where_they_are() {
    let (w, jar, mut secrets) = signed_in();
    for visible in [jar.clone(), w.key(&jar).as_str().to_owned(), SECRET.to_owned()] {
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| secrets.check(&visible))).is_err());
        let bytes = visible.into_bytes();
        let tail = bytes[bytes.iter().position(|byte| *byte == b'=').map_or(0, |place| place + 1)..].to_vec();
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| secrets.check(&tail))).is_err());
    }
}

#[test]
fn a_session_in_every_state() {
    let (mut w, jar, mut secrets) = signed_in();
    let mut session = w.open(&jar);
    secrets.check(&session);
    secrets.check(&session.access());
    let Access::Load(load) = session.access() else { panic!("a ticket is loaded") };
    secrets.check(&load);
    drop(load);
    let loaded = w.access(&mut session).unwrap();
    loaded.insert("another", SECRET).unwrap();
    loaded.update("password", |_: Option<String>| SECRET.to_owned()).unwrap();
    secrets.check(&loaded);
    secrets.check(loaded.data().unwrap());
    secrets.check(&session.access());
    secrets.check(&session);
}

#[test]
fn every_step_of_every_commit() {
    let edits: [fn(&mut Loaded); 4] = [
        |_| (),
        |loaded| loaded.insert("another", SECRET).unwrap(),
        |loaded| {
            loaded.rotate();
            loaded.insert("another", SECRET).unwrap();
        },
        Loaded::destroy,
    ];
    for edit in edits {
        let (mut w, jar, mut secrets) = signed_in();
        w.pass(7 * MINUTE);
        let slow = w.slow(&jar, edit);
        let conflicting = w.request(&jar, |loaded| loaded.insert("theirs", SECRET).unwrap());
        secrets.check(&conflicting);
        let mut step = w.start(slow);
        loop {
            secrets.check(&step);
            match step {
                Step::Done(done) => {
                    secrets.check(&done);
                    secrets.check(&done.cookie());
                    secrets.check(&done.result());
                    secrets.check(&done.reopen());
                    break;
                }
                Step::Io(io) => {
                    secrets.check(&io);
                    secrets.check(io.op());
                    let outcome = w.store.perform(io.op());
                    secrets.check(&outcome);
                    step = io.resume(outcome, w.now());
                }
            }
        }
    }
}

#[test]
fn operations_and_what_they_bring() {
    let (w, jar, mut secrets) = signed_in();
    let key = w.key(&jar);
    let stored = w.store.look(&key).unwrap();
    secrets.check(&stored);
    secrets.check(&stored.value);
    secrets.check(&Op::Load { key: key.clone() });
    secrets.check(&Op::Remove { key: key.clone(), version: stored.version.clone() });
    secrets.check(&Outcome::Conflict(Some(stored.clone())));
    secrets.check(&Outcome::Found(stored.clone()));
    let entry = w.entry(&key).unwrap();
    secrets.check(&entry);
    let Entry::Record(mut record) = entry else { panic!("no record") };
    record.predecessor = Some(key.clone());
    record.unknown.push("field".to_owned(), Json::of(SECRET).unwrap());
    secrets.check(&record);
    secrets.check(&record.unknown);
    secrets.check(&Json::of(SECRET).unwrap());
    secrets.check(&cloakroom_core::Moved { to: key.clone(), closes_at: None, unknown: record.unknown.clone() });
    let by = cloakroom_core::Nonce::from_bytes([1; 8]);
    let cause = cloakroom_core::EndCause::Elevation;
    secrets.check(&cloakroom_core::Ended { by, cause, at: w.now(), next: Some(key.clone()) });
    secrets.check(&key);
    secrets.check(&key.handle());
    assert!(JsonCodec.decode(&key, &stored.value).is_ok());
}

#[test]
fn a_version_made_of_the_stored_bytes() {
    let (_, _, mut secrets) = signed_in();
    let version = Version::from_bytes(SECRET.as_bytes());
    secrets.check(&version);
    let expires_in = Some(Duration::from_secs(1));
    secrets.check(&Stored { value: Value::from(SECRET.as_bytes().to_vec()), version, expires_in });
}

#[test]
fn engines_schemes_codecs_and_errors() {
    let (w, jar, mut secrets) = signed_in();
    let token = jar.split_once('=').unwrap().1;
    let tokens = SignedTokens::new(&ring(), "main", "__Host-id");
    let verified = tokens.verify(token.as_bytes()).unwrap();
    secrets.check(&verified);
    secrets.check(&verified.id);
    secrets.check(&SessionId::from_bytes(verified.id.dangerous_bytes()));
    secrets.check(&tokens);
    let keys = HashedKeys::new("main", "cloakroom:").unwrap();
    secrets.check(&keys);
    secrets.check(&keys.store_key(&verified.id));
    secrets.check(&SealedCodec::new(&ring(), "main"));
    secrets.check(&ring());
    secrets.check(&key(1));
    secrets.check(&Engine::builder(ring()));
    secrets.check(&w.engine);
    secrets.check(&w.engine.cookie());
    secrets.check(&w.engine.inspect(token.as_bytes()));
    secrets.check(&w.engine.inspect(&token.as_bytes()[1..]));
    secrets.check(&RequestInfo::new().method("GET"));
    let wrong = CommitError::RecordTooLarge { size: 1, limit: 0 };
    secrets.check(&wrong);
    secrets.check(&wrong.to_string());
}

/// A login that says secrets wherever it can.
fn login() -> Login {
    Login::new().carry(SECRET).label(SECRET).at_most(1, Excess::EndOldest)
}

#[test]
fn every_step_of_a_login_and_an_elevation() {
    let edits: [fn(&mut Loaded); 2] =
        [|loaded| loaded.login(SECRET, login()).unwrap(), |loaded| loaded.elevate().unwrap()];
    for edit in edits {
        let mut w = World::new();
        w.session_of(SECRET);
        let jar = w.session_with(SECRET, Login::new().label(SECRET));
        let mut secrets = Secrets::new(&w, &jar);
        let index = w.index_of(SECRET);
        secrets.needles.extend([index.as_str().to_owned(), index.as_str()["cloakroom:user:".len()..].to_owned()]);
        let mut session = w.open(&jar);
        let loaded = w.access(&mut session).unwrap();
        secrets.check(&loaded.sign_in());
        edit(loaded);
        secrets.check(&loaded);
        secrets.check(&session);
        let mut step = w.start(session);
        let mut ops = 0;
        loop {
            secrets.check(&step);
            match step {
                Step::Done(done) => {
                    secrets.check(&done);
                    secrets.check(&done.events());
                    secrets.check(&done.reopen());
                    break;
                }
                Step::Io(io) => {
                    secrets.check(io.op());
                    let outcome = w.store.perform(io.op());
                    secrets.check(&outcome);
                    step = io.resume(outcome, w.now());
                    ops += 1;
                }
            }
        }
        assert!(ops >= 4, "{ops}");
    }
}

#[test]
fn what_is_said_of_users_and_their_sessions() {
    let mut w = World::new();
    let jar = w.session_with(SECRET, Login::new().label(SECRET));
    let mut secrets = Secrets::new(&w, &jar);
    // A handle is made to be shown; what it is of is not.
    secrets.check(&login());
    secrets.check(&Label::new(SECRET));
    secrets.check(&user(SECRET));
    secrets.check(&w.record(&w.key(&jar)));
    let handle = w.key(&jar).handle();
    secrets.check(&Which::One(handle));
    let members = Members { keys: vec![w.key(&jar)], total: 1 };
    secrets.check(&members);
    secrets.check(&Outcome::Listed(members));
    let mut listing = w.listing(SECRET, &jar);
    while let RosterStep::Io(io) = &listing {
        secrets.check(&listing);
        secrets.check(io.op());
        listing = w.advance(listing);
    }
    secrets.check(&listing);
    let mut ending = w.ending(SECRET, Which::All, &jar);
    while let RosterStep::Io(_) = ending {
        secrets.check(&ending);
        ending = w.advance(ending);
    }
    secrets.check(&ending);
}

#[test]
fn what_is_printed_is_not_nothing() {
    let (_, _, secrets) = signed_in();
    assert!(secrets.seen.iter().any(|text| text.contains("Done") && text.contains("set")));
    assert_eq!(Event::NAMES[Event::ForgedToken.index()], Event::ForgedToken.name());
    assert_eq!(format!("{:?}", Label::new(SECRET).unwrap()), "Label(..)");
    let mut w = World::new();
    let engine = format!("{:?}", w.engine);
    assert!(engine.contains("CsrfTokens(Macs { primary: KeyId(1), accepted: [] })"), "{engine}");
    let listing = format!("{:?}", w.listing(SECRET, ""));
    assert!(listing.contains("RosterIo { op: List"), "{listing}");
    let mut session = w.slow("", |loaded| loaded.login(SECRET, Login::new().carry("n")).unwrap());
    let loaded = format!("{:?}", w.access(&mut session).unwrap());
    assert!(loaded.contains("LoginMark { carry: 0, .. }"), "{loaded}");
}
