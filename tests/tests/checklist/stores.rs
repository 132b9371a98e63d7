//! What is stored, and what a store that fails or is tampered with does to a session.

use std::sync::Arc;

use cloakroom_core::{
    Access, Codec, CommitError, EditError, Event, Json, JsonCodec, Keyring, Lifetime, LoadError, Loaded, Login, OpKind,
    ReplayError, RequestInfo, SealedCodec, StoreKey,
};
use cloakroom_redb::RedbStore;
use cloakroom_redis::RedisStore;
use cloakroom_store::{DynStore, Finish, MemoryStore, Session, SessionError, StoreFailure};
use cloakroom_tests::{
    conformance::{self, Bench},
    servers::{Options, Redis},
};
use cloakroom_tokio::Tokio;
use serde::{Deserialize, Serialize};

use crate::{
    web::{self, SECRET, Site, get_from},
    world::{HOUR, MINUTE, Seeded, World, has, key, ring, ticket, token},
};

/// Bytes that are not sealed by us are an error whatever they would decode to, and never a session.
pub(crate) fn bytes_that_are_not_authentic_are_never_decoded() {
    let sealed = |ring: &Keyring, engine: &str| SealedCodec::new(ring, engine);
    let mut world = World::with(|builder| builder.codec(sealed(&ring(), "main")));
    let jar = world.sign_in();
    let other = world.sign_in();
    let (at, elsewhere) = (world.key(&jar), world.key(&other));
    let good = world.store.look(&at, world.now).unwrap().value.as_bytes().to_vec();
    let entry = sealed(&ring(), "main").decode(&at, &good.clone().into()).unwrap();
    let foreign = Keyring::new(key(2));
    let plain = JsonCodec.encode(&at, &entry).unwrap();
    let mut bad = vec![
        ("the record itself, unsealed", plain.clone()),
        ("unsealed, behind the head of a sealed one", [&good[..14], &plain].concat()),
        ("sealed with a key of another's", sealed(&foreign, "main").encode(&at, &entry).unwrap()),
        ("sealed for another engine", sealed(&ring(), "other").encode(&at, &entry).unwrap()),
        ("sealed for another key of the store", sealed(&ring(), "main").encode(&elsewhere, &entry).unwrap()),
        (
            "another session's record, moved here",
            world.store.look(&elsewhere, world.now).unwrap().value.as_bytes().to_vec(),
        ),
        ("nothing", Vec::new()),
        ("an empty object", b"{}".to_vec()),
    ];
    for bit in 0..good.len() * 8 {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        bad.push(("a flipped bit", flipped));
    }
    for len in 0..good.len() {
        bad.push(("the beginning alone", good[..len].to_vec()));
    }
    for (what, bytes) in bad {
        world.put(&at, bytes);
        assert_unreadable(&mut world, &jar, what);
    }
    world.put(&at, good);
    assert!(world.opens(&jar), "what is authentic opens");
    // In a cookie: what is not signed is absent, whatever it decodes to.
    use base64::Engine as _;
    let raw = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(token(&jar)).unwrap();
    let before = world.store.log.len();
    for unsigned in [&raw[1..17], &raw[..17], &raw[..32], plain.as_slice()] {
        for text in
            [base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(unsigned), String::from_utf8_lossy(unsigned).into_owned()]
        {
            let line = format!("__Host-id={text}");
            let mut session = world.engine.open([line.as_bytes()], &RequestInfo::new());
            assert!(world.access(&mut session).unwrap().is_new());
        }
    }
    assert_eq!(world.store.log.len(), before);
}

/// A record that cannot be read: an error for whoever asks, and nothing is written over it.
#[track_caller]
fn assert_unreadable(world: &mut World, jar: &str, what: &str) {
    let before = world.store.texts();
    let mut session = world.open(jar);
    assert_eq!(world.access(&mut session).map(drop), Err(LoadError::Undecodable), "{what}");
    let Access::Ready(loaded) = session.access() else { panic!("{what}") };
    assert!(!loaded.is_new(), "{what}: an error is no absence");
    assert_eq!(loaded.get::<i64>("n"), Err(EditError::Undecodable), "{what}");
    assert_eq!(loaded.insert("n", &1), Err(EditError::Undecodable), "{what}");
    let done = world.commit(session);
    assert!(has(&done, Event::Undecodable) && ticket(&done).is_none(), "{what}");
    assert_eq!(world.store.texts(), before, "{what}: it is written over");
}

/// What other libraries would run or build objects of is bytes that do not decode, or the text that it is.
pub(crate) fn stored_bytes_and_values_are_data_alone() {
    const PAYLOADS: &[&[u8]] = &[
        b"\x80\x04\x95\x1d\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94.",
        b"cos\nsystem\n(S'id'\ntR.",
        b"O:8:\"stdClass\":1:{s:4:\"exec\";s:2:\"id\";}",
        b"a:1:{i:0;O:40:\"Illuminate\\Broadcasting\\PendingBroadcast\":0:{}}",
        b"\xac\xed\0\x05sr\0\x11java.util.HashSet",
        b"\x04\x08o:\x1aActiveSupport::Cache",
        b"!!python/object/apply:os.system ['id']",
        b"{\"$type\":\"System.Windows.Data.ObjectDataProvider\"}",
        b"{\"__proto__\":{\"admin\":true}}",
        b"{\"json_class\":\"Kernel\",\"py/object\":\"os.system\"}",
        b"_$$ND_FUNC$$_function(){}()",
        b"\x00asm\x01\0\0\0",
    ];
    let mut world = World::new();
    let jar = world.sign_in();
    let key = world.key(&jar);
    let good = world.store.look(&key, world.now).unwrap().value.as_bytes().to_vec();
    let is_json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).is_ok();
    assert!(is_json(&good), "a record is JSON");
    for payload in PAYLOADS {
        let shown = payload.escape_ascii().to_string();
        world.put(&key, *payload);
        assert_unreadable(&mut world, &jar, &shown);
        // As a value of the data it comes out as the text that went in.
        let text = String::from_utf8_lossy(payload).into_owned();
        let mut world = World::new();
        let jar = world.sign_in();
        let key = world.key(&jar);
        let stored = text.clone();
        world.act(&jar, move |loaded| loaded.insert("__proto__", &stored).unwrap());
        assert_eq!(world.peek(&jar, |loaded| loaded.get("__proto__")), Ok(Some(text)), "{shown}");
        assert!(is_json(world.store.look(&key, world.now).unwrap().value.as_bytes()));
    }
    // A codec of any kind writes entries and pointers; both are bytes to a store.
    world.put(&key, good);
    world.act(&jar, Loaded::rotate);
    world.act(&jar, Loaded::destroy);
    assert!(world.store.texts().iter().all(|text| is_json(text.as_bytes())));
}

pub(crate) fn create_never_overwrites_in_any_store_here() {
    web::run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.redb");
        check_creates(Arc::new(MemoryStore::new(Tokio))).await;
        check_creates(Arc::new(RedbStore::open(&path, Tokio).await.unwrap())).await;
    });
}

pub(crate) fn create_never_overwrites_in_redis() {
    let server = Redis::start(Options::new());
    web::run(async { check_creates(Arc::new(RedisStore::connect(&server.url(), Tokio).await.unwrap())).await });
}

async fn check_creates(store: Arc<dyn DynStore>) {
    let bench = Bench::new(store, Arc::new(Tokio));
    let mut checked = 0;
    for case in conformance::CASES.iter().filter(|case| case.name().starts_with("create_")) {
        assert_eq!(case.check(bench.clone()).await, Ok(()), "{}", case.name());
        checked += 1;
    }
    assert!(checked > 0);
}

/// Randomness that repeats itself is an error for the one that comes second, and nothing of the first one's is touched.
pub(crate) fn an_id_that_is_drawn_twice_is_an_error_and_no_session() {
    let mut world = World::new();
    let again = world.entropy.clone();
    let jar = world.sign_in();
    let key = world.key(&jar);
    world.act(&jar, |loaded| loaded.insert("name", SECRET).unwrap());
    let before = world.store.look(&key, world.now);
    world.entropy = again;
    let done = world.request("", |loaded| loaded.insert("name", "mallory").unwrap());
    assert_eq!(done.result(), Err(CommitError::IdCollision));
    assert!(ticket(&done).is_none(), "a ticket to another's session");
    assert_eq!(world.store.look(&key, world.now), before);
}

#[derive(Debug, Default, Deserialize, PartialEq, Serialize)]
struct Whole {
    cart: Vec<String>,
    name: Option<String>,
}

/// A change, and how to see that it is stored.
type Mutator = (&'static str, fn(&mut Loaded), fn(&Loaded) -> bool);

/// Those that are shown elsewhere: a fresh proof with its row, tokens for forms by the tests of the core.
const OTHERS: [&str; 2] = ["csrf_token", "elevate"];
const MUTATORS: &[Mutator] = &[
    ("insert", |l| l.insert("a", &2).unwrap(), |l| l.get("a") == Ok(Some(2))),
    ("insert_text", |l| l.insert_text("a", Json::of(&6).unwrap()).unwrap(), |l| l.get("a") == Ok(Some(6))),
    ("remove", |l| assert!(l.remove("a").unwrap()), |l| l.get::<i64>("a") == Ok(None)),
    ("clear", |l| l.clear().unwrap(), |l| l.data().unwrap().is_empty() && !l.is_new()),
    ("update", |l| l.update("a", |a: Option<i64>| a.unwrap() + 1).map(drop).unwrap(), |l| l.get("a") == Ok(Some(2))),
    (
        "try_update",
        |l| l.try_update("a", |a: Option<i64>| Ok::<_, EditError>(a.unwrap() + 2)).map(drop).unwrap(),
        |l| l.get("a") == Ok(Some(3)),
    ),
    (
        "update_text",
        |l| l.update_text("a", Box::new(|_| Json::of(&4).map_err(|_| ReplayError::Refused))).unwrap(),
        |l| l.get("a") == Ok(Some(4)),
    ),
    (
        "set_whole",
        |l| l.set_whole(&Whole { cart: vec!["x".to_owned()], name: None }).unwrap(),
        |l| l.whole::<Whole>().unwrap().cart == ["x"],
    ),
    (
        "update_whole",
        |l| l.update_whole(|w: &mut Whole| w.name = Some("x".to_owned())).unwrap(),
        |l| l.whole::<Whole>().unwrap().name.as_deref() == Some("x"),
    ),
    (
        "set_lifetime",
        |l| l.set_lifetime(Lifetime::new(MINUTE, HOUR)).unwrap(),
        |l| l.deadline() == l.created().map(|at| at.saturating_add(HOUR)),
    ),
    ("rotate", Loaded::rotate, |l| l.get("a") == Ok(Some(1))),
    ("destroy", Loaded::destroy, Loaded::is_new),
    ("logout", Loaded::logout, Loaded::is_new),
    (
        "login",
        |l| l.login("bob", Login::new()).unwrap(),
        |l| l.principal::<String>().unwrap().as_deref() == Some("bob"),
    ),
];

pub(crate) fn every_change_of_the_machines_is_stored() {
    crate::sources::assert_all_told(
        "core/src/loaded.rs",
        "pub fn",
        "&mut self",
        MUTATORS.iter().map(|mutator| mutator.0).chain(OTHERS),
    );
    for (name, change, is_stored) in MUTATORS {
        let mut world = World::new();
        let jar = ticket(&world.request("", |loaded| loaded.insert("a", &1).unwrap())).unwrap();
        assert!(*name == "rotate" || !world.peek(&jar, is_stored), "{name} changes nothing");
        let done = world.request(&jar, change);
        assert_eq!(done.result(), Ok(()), "{name}");
        let jar = ticket(&done).unwrap_or(jar);
        assert!(world.peek(&jar, is_stored), "{name} is not stored");
    }
}

/// What changes a session through the handle, and what a later request then reads under `a`, which was 1.
pub(crate) fn every_change_of_the_handles_is_stored() {
    const TOLD: &[&str] = &[
        "clear",
        "destroy",
        "insert",
        "remove",
        "rotate",
        "save",
        "set_lifetime",
        "set_whole",
        "try_update",
        "update",
        "update_now",
        "update_whole",
        "with",
    ];
    /// What changes nothing.
    const READS: &[&str] = &["created", "get", "handle", "is_new", "read", "whole"];
    let methods = TOLD.iter().chain(READS).copied();
    crate::sources::assert_all_told("adapters/store/src/session/mod.rs", "pub async fn", "&self", methods);
    web::run(async {
        for method in TOLD {
            let site = Site::new();
            let open =
                |cookie: &str| site.sessions.open([cookie.as_bytes()], &RequestInfo::new(), StoreFailure::Refuse);
            let session = open("");
            session.insert("a", &1).await.unwrap();
            let jar = cookie_of(Session::commit(&session, Finish::Keep).await).unwrap();
            let s = open(&jar);
            let expected = match *method {
                "insert" => s.insert("a", &2).await.map(|()| Some(2)),
                "remove" => s.remove("a").await.map(|_| None),
                "clear" => s.clear().await.map(|()| None),
                "update" => s.update("a", |a: Option<i64>| a.unwrap() + 1).await.map(Some),
                "try_update" => {
                    s.try_update("a", |a: Option<i64>| Ok::<_, SessionError>(a.unwrap() + 1)).await.map(Some)
                }
                "update_now" => s.update_now("a", |a: Option<i64>| a.unwrap() + 1).await.map(Some),
                "with" => s.with(|loaded| loaded.insert("a", &2)).await.map(|()| Some(2)),
                "save" => {
                    s.insert("a", &2).await.unwrap();
                    s.save().await.map(|()| Some(2))
                }
                "set_whole" => s.set_whole(&Numbers { a: 2 }).await.map(|()| Some(2)),
                "update_whole" => s.update_whole(|whole: &mut Numbers| whole.a += 1).await.map(|()| Some(2)),
                "set_lifetime" => s.set_lifetime(Lifetime::new(MINUTE, HOUR)).await.map(|()| Some(1)),
                "rotate" => s.rotate().await.map(|()| Some(1)),
                "destroy" => s.destroy().await.map(|()| None),
                other => panic!("{other} is not tried"),
            };
            let report = Session::commit(&s, Finish::Keep).await;
            report.result().unwrap();
            assert!(site.store.take().contains("replace"), "{method} writes nothing");
            let next = cookie_of(report);
            assert_eq!(next.is_some(), *method == "rotate");
            let later = open(&next.unwrap_or(jar));
            assert_eq!(later.get::<i64>("a").await.unwrap(), expected.unwrap(), "{method}");
            if *method == "set_lifetime" {
                let deadline = later.read(|loaded| Ok(loaded.deadline())).await.unwrap().unwrap();
                assert_eq!(deadline, later.created().await.unwrap().map(|at| at.saturating_add(HOUR)));
            }
        }
    });
}

#[derive(Default, Deserialize, Serialize)]
struct Numbers {
    a: i64,
}

/// The ticket that a report sets.
fn cookie_of(report: cloakroom_store::Report) -> Option<String> {
    let line = report.headers().find(|(name, _)| *name == "set-cookie")?.1.split(';').next()?.to_owned();
    (line != "__Host-id=").then_some(line)
}

pub(crate) fn a_load_error_is_an_error_and_nothing_is_saved_over_the_record() {
    web::run(async {
        let site = Site::new();
        let jar = site.sign_in().await;
        site.get("/add", &jar).await;
        let lenient = site.serving_without();
        let (before, key) = (stored(&site, &jar).await, key_of(&site, &jar));
        site.store.take();
        site.store.fail(&[OpKind::Load]);
        for path in ["/read", "/write", "/add", "/rotate", "/end", "/end-and-write", "/end-and-save"] {
            let answer = site.get(path, &jar).await;
            assert_eq!((answer.status, answer.set_cookies()), (503, Vec::new()), "{path}: {answer:?}");
            assert!(site.store.keys().iter().all(|asked| *asked == key), "{path} asks for another key");
            assert_eq!(site.store.take(), "load", "{path} writes");
        }
        // Served without a session: what is read is empty, and nothing may be written.
        assert_eq!(get_from(&lenient, "/read", &jar).await.text, "anonymous");
        for path in ["/write", "/add", "/rotate", "/end", "/end-and-write"] {
            let answer = get_from(&lenient, path, &jar).await;
            assert_eq!((answer.status, answer.set_cookies()), (503, Vec::new()), "{path}: {answer:?}");
        }
        assert!(!site.store.take().contains(['c', 'p', 't']), "only loads");
        site.store.fail(&[]);
        assert_eq!(stored(&site, &jar).await, before, "the record is as it was");
        assert_eq!(site.get("/read", &jar).await.text, SECRET);
        assert_eq!(site.get("/add", &jar).await.text, "2");
    });
}

fn key_of(site: &Site, jar: &str) -> StoreKey {
    let mut session = site.sessions.engine().open([jar.as_bytes()], &RequestInfo::new());
    match session.access() {
        Access::Load(load) => load.key().clone(),
        Access::Ready(_) => panic!("no ticket of ours"),
    }
}

async fn stored(site: &Site, jar: &str) -> Vec<u8> {
    site.sessions.store().load(&key_of(site, jar)).await.unwrap().unwrap().value.as_bytes().to_vec()
}

pub(crate) fn a_record_that_does_not_decode_is_an_error_and_nothing_is_saved_over_it() {
    let mut world = World::new();
    let jar = world.sign_in();
    let key = world.key(&jar);
    let good = world.store.look(&key, world.now).unwrap().value.as_bytes().to_vec();
    let mut random = Seeded(5);
    for len in 0..good.len() {
        world.put(&key, &good[..len]);
        assert_unreadable(&mut world, &jar, "the beginning alone");
    }
    for _ in 0..500 {
        let len = random.below(200);
        world.put(&key, random.bytes(len));
        assert_unreadable(&mut world, &jar, "random bytes");
    }
}
