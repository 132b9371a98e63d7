//! Everything public in the states in which it holds something secret, printed.

use std::{
    any::type_name,
    collections::BTreeSet,
    error::Error,
    fmt::{Debug, Display},
};

use axum::body::Body;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use cloakroom_core::{
    Access, Codec, CommitError, ConfigError, CookieError, CookieHeld, CookieName, CookiePolicy, DecodeError, EditError,
    EncodeError, EndCause, Ended, Engine, EntropyError, Entry, Event, HashedKeys, Json, JsonCodec, Key, KeyId,
    KeyScheme, Keyring, Lifetime, Loaded, Moved, Nonce, Op, OpKind, Outcome, ReplayError, RequestInfo, SameSite,
    SealedCodec, SessionId, SignedTokens, Step, StoreKey, TokenScheme, Value, Version,
    cookie::{Scan, Scanner},
};
use cloakroom_redb::{OpenError, RedbConfig, RedbStore};
use cloakroom_redis::{ConnectError, RedisConfig, RedisStore};
use cloakroom_store::{
    CookieOnly, Created, Fault, Finish, KeyringExt as _, MemoryStore, MovingStore, NullStore, Removed, Session,
    SessionError, Sessions, Store, StoreError, StoreFailure, Written,
};
use cloakroom_tokio::Tokio;
use cloakroom_tower::{Main, SessionLayer, SessionTrace, StatusOnly, StoreFailureLayer};
use http::{Request, Response};
use tower::{Layer as _, Service as _, service_fn};

use crate::{
    forms::Forms,
    printed_accounts,
    sources::public_types,
    web::{self, SECRET, Site},
    world::{World, key, ring, ticket, token},
};

/// A password of a server, as it stands in a URL.
const PASSWORD: &str = "tr0ub4dor-and-3";

/// Types that are not printed here, each with the reason why it can hold no secret.
const HARMLESS: &[(&str, &str)] = &[];

/// Prints what it is given in every way, and keeps which types it saw.
#[derive(Default)]
pub(crate) struct Printer {
    pub(crate) forms: Forms,
    types: BTreeSet<String>,
    printed: usize,
}

impl Printer {
    #[track_caller]
    pub(crate) fn debug<T: Debug + ?Sized>(&mut self, value: &T) {
        self.text(&format!("{value:?}"));
        self.text(&format!("{value:#?}"));
        // `&mut a::b::Type<c::D>` is `a::Type`.
        let name = type_name::<T>().trim_start_matches('&').trim_start_matches("mut ");
        let path = name.split('<').next().unwrap();
        if let (Some((krate, _)), Some((_, ident))) = (path.split_once("::"), path.rsplit_once("::")) {
            self.types.insert(format!("{krate}::{ident}"));
        }
    }

    #[track_caller]
    fn display<T: Debug + Display + ?Sized>(&mut self, value: &T) {
        self.debug(value);
        self.text(&value.to_string());
    }

    #[track_caller]
    pub(crate) fn error<T: Error>(&mut self, error: &T) {
        self.display(error);
        let mut source = error.source();
        while let Some(error) = source {
            self.text(&format!("{error} {error:?} {error:#?}"));
            source = error.source();
        }
    }

    #[track_caller]
    fn text(&mut self, text: &str) {
        self.printed += text.len();
        if let Some(part) = self.forms.find(text.as_bytes()) {
            panic!("{part:?} is in {text}");
        }
    }
}

pub(crate) fn nothing_public_prints_an_id_a_token_or_a_key() {
    let mut printer = Printer::default();
    printer.forms.text("the value", SECRET);
    printer.forms.text("the password", PASSWORD);
    for id in [1, 2] {
        let entry = key(id).dangerous_entry(true);
        let text = entry.rsplit(':').next().unwrap();
        printer.forms.text("the ring's key", text);
        printer.forms.bytes("the ring's key", &BASE64.decode(text).unwrap());
    }
    let secret = web::RING.rsplit(':').next().unwrap();
    printer.forms.bytes("the site's key", &BASE64.decode(secret).unwrap());
    the_search_finds_what_is_there(&printer);
    states_of_the_machine(&mut printer);
    values_and_settings(&mut printer);
    errors_of_the_core(&mut printer);
    printed_accounts::states(&mut printer);
    web::run(async {
        handles_and_layers(&mut printer).await;
        printed_accounts::layers(&mut printer).await;
        stores(&mut printer).await;
    });
    let harmless: BTreeSet<String> = HARMLESS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert!(printer.types.is_disjoint(&harmless), "printed and said to be harmless");
    let told: BTreeSet<String> = printer.types.union(&harmless).cloned().collect();
    let public = public_types();
    let untold: Vec<_> = public.difference(&told).collect();
    assert!(untold.is_empty(), "neither printed nor said to be harmless: {untold:?}");
    let gone: Vec<_> = harmless.difference(&public).collect();
    assert!(gone.is_empty(), "said to be harmless and not there: {gone:?}");
    assert!(printer.printed > 30_000, "{} characters are little", printer.printed);
}

/// Adds what is secret of a ticket: the token, the id, the tag, and the store key.
pub(crate) fn add_ticket(forms: &mut Forms, jar: &str, key: &StoreKey) {
    let raw = BASE64.decode(token(jar)).unwrap();
    forms.text("the token", token(jar));
    forms.bytes("the id", &raw[1..17]);
    forms.bytes("the tag", &raw[17..]);
    // The prefix is everybody's.
    forms.text("the store key", key.as_str().rsplit(':').next().unwrap());
}

fn the_search_finds_what_is_there(printer: &Printer) {
    let bytes = SECRET.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let spaced: Vec<_> = bytes.iter().map(|byte| format!("0x{byte:02x}")).collect();
    for text in [
        format!("a {SECRET} b"),
        format!("{:?}", &SECRET[3..14]),
        format!("{bytes:?}"),
        format!("{bytes:#?}"),
        format!("{:?}", &bytes[5..]),
        format!("Secret({bytes:?}, 1)"),
        format!("x{hex}x"),
        hex.to_uppercase(),
        spaced.join(", "),
        BASE64.encode(bytes),
        BASE64.encode([b"x", bytes].concat()),
        BASE64.encode([b"xy", bytes].concat()),
        format!("{:?}", std::str::from_utf8(&bytes[..12])),
    ] {
        assert!(printer.forms.find(text.as_bytes()).is_some(), "not found in {text}");
    }
    assert_eq!(printer.forms.find(b"a session, its events and [1, 2, 3, 4, 5, 6, 7, 8]"), None);
}

fn signed_in(printer: &mut Printer) -> (World, String) {
    let mut world = World::new();
    world.entropy.0 = printer.printed as u64;
    let done = world.request("", |loaded| loaded.insert("name", SECRET).unwrap());
    let jar = ticket(&done).unwrap();
    let key = world.key(&jar);
    add_ticket(&mut printer.forms, &jar, &key);
    printer.debug(&done);
    (world, jar)
}

fn states_of_the_machine(printer: &mut Printer) {
    let edits: [fn(&mut Loaded); 5] = [
        |_| (),
        |loaded| loaded.insert("another", SECRET).unwrap(),
        |loaded| loaded.update("name", |_: Option<String>| SECRET.to_owned()).map(drop).unwrap(),
        |loaded| {
            loaded.rotate();
            loaded.insert("another", SECRET).unwrap();
        },
        Loaded::destroy,
    ];
    for edit in edits {
        let (mut world, jar) = signed_in(printer);
        world.pass(crate::world::MINUTE * 7);
        let mut session = world.open(&jar);
        printer.debug(&session);
        printer.debug(&session.access());
        let Access::Load(load) = session.access() else { panic!("a ticket is loaded") };
        printer.debug(&load);
        printer.debug(load.key());
        drop(load);
        let loaded = world.access(&mut session).unwrap();
        edit(loaded);
        printer.debug(loaded);
        printer.debug(loaded.data().unwrap());
        printer.debug(&session.access());
        printer.debug(&session);
        // In the way of the commit.
        world.act(&jar, |loaded| loaded.insert("theirs", SECRET).unwrap());
        let mut step = session.commit(world.now(), &mut world.entropy);
        while let Step::Io(io) = &step {
            printer.debug(&step);
            printer.debug(io);
            printer.debug(io.op());
            printer.debug(&io.op().kind());
            if let Op::Create { key, .. } = io.op() {
                printer.forms.text("the store key", key.as_str().rsplit(':').next().unwrap());
            }
            let outcome = world.store.perform(io.op(), world.now);
            printer.debug(&outcome);
            let Step::Io(io) = step else { unreachable!() };
            step = io.resume(outcome, world.now());
        }
        printer.debug(&step);
        let Step::Done(done) = step else { unreachable!() };
        if let Some(jar) = ticket(&done) {
            let key = world.key(&jar);
            add_ticket(&mut printer.forms, &jar, &key);
        }
        printer.debug(&done);
        printer.debug(&done.cookie());
        printer.debug(&done.result());
        done.end().iter().for_each(|end| printer.debug(end));
        printer.debug(done.events());
        done.events().iter().for_each(|event| printer.debug(&event));
        let session = done.reopen();
        printer.debug(&session);
        printer.debug(&world.commit(session).into_verdict());
        // All that is stored by now: records, pointers and tombstones.
        for key in world.store.keys() {
            let stored = world.store.look(&key, world.now).unwrap();
            let entry = JsonCodec.decode(&key, &stored.value).unwrap();
            printer.debug(&entry);
            printer.debug(&stored);
            printer.debug(&stored.value);
            printer.debug(&stored.version);
            printer.debug(&Outcome::Conflict(Some(stored.clone())));
            printer.debug(&Op::Remove { key: key.clone(), version: Version::from_bytes(stored.value.clone()) });
            if let Entry::Record(mut record) = entry {
                record.predecessor = Some(key.clone());
                record.unknown.push("field".to_owned(), Json::of(SECRET).unwrap());
                printer.debug(&*record);
                printer.debug(&record.unknown);
                printer.debug(&record.nonces);
                printer.debug(&Moved { to: key.clone(), closes_at: None, unknown: record.unknown.clone() });
            }
            let by = Nonce::from_bytes([1; 8]);
            printer.display(&by);
            printer.debug(&Ended { by, cause: EndCause::Login, at: world.now(), next: Some(key.clone()) });
            printer.debug(&EndCause::Destroy);
            printer.display(&key.handle());
        }
    }
}

fn values_and_settings(printer: &mut Printer) {
    let (world, jar) = signed_in(printer);
    let token = token(&jar).as_bytes();
    let tokens = SignedTokens::new(&ring(), "main", "__Host-id");
    let verified = tokens.verify(token).unwrap();
    printer.debug(&verified);
    printer.debug(&verified.id);
    printer.debug(&SessionId::from_bytes(token));
    printer.debug(&tokens);
    let keys = HashedKeys::new("main", "cloakroom:").unwrap();
    printer.debug(&keys);
    printer.debug(&keys.store_key(&verified.id));
    printer.debug(&SealedCodec::new(&ring().accept(key(2)).unwrap(), "main"));
    printer.debug(&JsonCodec);
    held_in_the_cookie(printer);
    printer.debug(&ring().accept(key(2)).unwrap());
    printer.debug(&key(1));
    printer.display(&KeyId::new(1));
    printer.debug(&Engine::builder(ring()).codec(SealedCodec::new(&ring(), "main")));
    printer.debug(&world.engine);
    printer.debug(world.engine.cookie());
    printer.display(world.engine.cookie().name());
    printer.debug(&world.engine.inspect(token));
    printer.debug(&RequestInfo::new().method("POST").sec_fetch_site(b"same-origin"));
    printer.debug(&Json::of(SECRET).unwrap());
    printer.debug(&Value::from(token));
    printer.debug(&Version::from_bytes(token));
    printer.debug(&Lifetime::default());
    printer.debug(&world.now());
    printer.debug(&SameSite::Lax);
    printer.debug(&Scan::Complete);
    printer.debug(&Scanner::new(CookiePolicy::default().name()));
    for kind in [OpKind::Create, OpKind::Load, OpKind::Remove, OpKind::Replace, OpKind::Touch] {
        printer.debug(&kind);
    }
    printer.debug(&Event::UnknownKey(KeyId::new(9)));
}

/// A session that is held in the cookie, and one that does not fit it.
fn held_in_the_cookie(printer: &mut Printer) {
    for held in [CookieHeld::encrypted(), CookieHeld::dangerous_readable().pieces(3)] {
        printer.debug(&held);
        let mut world = World::with(|builder| builder.hold_in_cookie(held));
        printer.debug(&world.engine);
        let jar = world.sign_in();
        printer.forms.text("cookie", token(&jar));
        let mut session = world.slow(&jar, |loaded| loaded.insert("n", SECRET).unwrap());
        printer.debug(&session);
        printer.debug(&session.access());
        let done = world.commit(session);
        printer.debug(&done);
        printer.debug(&world.engine.inspect(token(&jar).as_bytes()));
        let done = world.request(&jar, |loaded| loaded.insert("long", &SECRET.repeat(2000)).unwrap());
        let error = done.result().unwrap_err();
        printer.error(&error);
        let CommitError::CookieTooLarge { biggest, .. } = error else { panic!("{error}") };
        printer.debug(&biggest);
        printer.text(&biggest.to_string());
    }
    printer.debug(&CookieOnly);
    printer.debug(&NullStore);
    printer.debug(&MovingStore::moving(NullStore, CookieOnly));
}

/// Errors that come of what is secret.
fn errors_of_the_core(printer: &mut Printer) {
    let (mut world, jar) = signed_in(printer);
    let (token, at) = (token(&jar).to_owned(), world.key(&jar));
    for bad in [&token[1..], &token.replace(&token[20..22], "__"), &format!("{token}{token}"), SECRET] {
        printer.error(&world.engine.inspect(bad.as_bytes()).unwrap_err());
    }
    let entry = key(1).dangerous_entry(true);
    let secret = entry.rsplit(':').next().unwrap();
    for ring in [
        format!("1:{secret}"),
        secret.to_owned(),
        format!("1:primary:{secret}="),
        format!("1:primary:{}", &secret[..30]),
        format!("1:primary:{secret}{}", secret.repeat(40)),
        format!("{secret}:primary:{secret}"),
        format!("1:{secret}:{secret}"),
        format!("1:primary:{secret} 1:accept:{secret}"),
        format!("1:primary:{secret} 2:primary:{secret}"),
        format!("1:accept:{secret}"),
        format!("1:primary:{}", BASE64.encode(SECRET.repeat(2))),
    ] {
        printer.error(&ring.parse::<Keyring>().unwrap_err());
    }
    printer.error(&Key::from_bytes(KeyId::new(1), token.as_bytes()).unwrap_err());
    printer.error(&StoreKey::new(&format!("{token} {token}")).unwrap_err());
    printer.error(&CookieName::new(format!("{token};")).unwrap_err());
    printer.error(&CookiePolicy::default().set(&format!("{token};"), None).unwrap_err());
    printer.error(&CookiePolicy::default().set(&token.repeat(100), None).unwrap_err());
    printer.error(&CookiePolicy::default().path(format!("{token};")).check().unwrap_err());
    printer.error(&CookiePolicy::default().dangerous_domain(token.as_str()).check().unwrap_err());
    printer.error(&Engine::builder(ring()).name(token.repeat(4)).build().unwrap_err());
    printer.error(&Engine::builder(ring()).key_prefix(token.repeat(4)).build().unwrap_err());
    printer.error(&ConfigError::Cookie(CookieError::HostPrefix));
    let loaded = |jar: &str| world.peek(jar, |loaded| (loaded.get::<u64>("name"), loaded.whole::<Vec<u8>>()));
    let (get, whole) = loaded(&jar);
    printer.error(&get.unwrap_err());
    printer.error(&whole.unwrap_err());
    printer.error(&Json::read::<u64>(&format!("\"{SECRET}\"")).unwrap_err());
    printer.error(&Json::parse(SECRET).unwrap_err());
    printer.error(&EditError::Replay(ReplayError::WrongType));
    printer.error(&EncodeError);
    printer.error(&EntropyError);
    for bytes in [SECRET, token.as_str(), at.as_str(), "{\"format\":1,\"kind\":\"correct-horse-battery\"}"] {
        let value = Value::from(bytes.as_bytes());
        printer.error(&JsonCodec.decode(&at, &value).unwrap_err());
        printer.error(&SealedCodec::new(&ring(), "main").decode(&at, &value).unwrap_err());
        world.put(&at, bytes.as_bytes());
        let mut session = world.open(&jar);
        printer.error(&world.access(&mut session).map(drop).unwrap_err());
        printer.debug(&session);
    }
    printer.error(&DecodeError::TooLarge);
    for error in [CommitError::Lost, CommitError::RecordTooLarge { size: 2, limit: 1 }, CommitError::Store] {
        printer.error(&error);
    }
}

async fn handles_and_layers(printer: &mut Printer) {
    let site = Site::new();
    let session = site.sessions.open([], &RequestInfo::new(), StoreFailure::Refuse);
    session.insert("name", SECRET).await.unwrap();
    printer.debug(&session);
    let commit = Session::commit(&session, Finish::Keep);
    printer.debug(&commit);
    let report = commit.await;
    let line = report.headers().find(|(name, _)| *name == "set-cookie").unwrap().1;
    let jar = line.split(';').next().unwrap().to_owned();
    let at = site.store.keys().pop().unwrap();
    add_ticket(&mut printer.forms, &jar, &at);
    printer.debug(&report);
    printer.debug(&report.cookie());
    printer.display(report.ops());
    printer.debug(&site.sessions);
    printer.debug(&Sessions::builder(Engine::new(web::ring()), MemoryStore::new(Tokio), Tokio));
    printer.debug(site.sessions.counters());
    printer.debug(&StoreFailure::Refuse);
    printer.debug(&Finish::Keep);

    let session = site.sessions.open([jar.as_bytes()], &RequestInfo::new(), StoreFailure::Refuse);
    printer.error(&session.get::<u64>("name").await.unwrap_err());
    session.rotate().await.unwrap();
    printer.debug(&session);
    printer.text(&session.read(|loaded| Ok(format!("{loaded:?} {loaded:#?}"))).await.unwrap().unwrap());
    printer.debug(&Session::commit(&session, Finish::Keep).await);
    printer.error(&session.get::<u64>("name").await.unwrap_err());
    let stored = site.sessions.store().load(&at).await.unwrap().unwrap();
    printer.debug(&Written::Conflict(Some(stored.clone())));
    printer.debug(&Removed::Conflict(Some(stored.clone())));
    printer.debug(&Created::Done(Version::from_bytes(stored.value.clone())));
    printer.debug(&Fault::Unavailable);
    printer.error(&StoreError::unknown(Fault::Unavailable).with_source("down"));
    printer.error(&SessionError::Store(StoreError::failed(Fault::Unavailable)));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("1:primary:{}", key(1).dangerous_entry(true).as_str())).unwrap();
    printer.error(&Keyring::from_file(file.path()).unwrap_err());

    // A request on its way through the layers, and its response.
    let layer: SessionLayer = SessionLayer::new(site.sessions.clone()).trace_responses();
    printer.debug(&layer);
    printer.debug(&StatusOnly);
    let within = StoreFailureLayer::new(StoreFailure::Refuse);
    printer.debug(&within);
    let handler = service_fn(async |request: Request<Body>| {
        let session = cloakroom_tower::Session::<Main>::find(request.extensions()).unwrap();
        let shown = format!("{session:?} {request:?}");
        session.insert("name", SECRET).await.unwrap();
        let mut response = Response::new(Body::from(shown));
        response.extensions_mut().insert(session);
        Ok::<_, std::convert::Infallible>(response)
    });
    let within = within.layer(handler);
    let mut service = layer.layer(within.clone());
    // A service is printed with whatever it is around, so here around one that can be.
    printer.debug(&layer.layer(StatusOnly));
    printer.debug(&StoreFailureLayer::new(StoreFailure::Refuse).layer(StatusOnly));
    let future = service.call(Request::new(Body::empty()));
    printer.debug(&future);
    let response = future.await.unwrap();
    let line = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    let jar = line.split(';').next().unwrap().to_owned();
    add_ticket(&mut printer.forms, &jar, &site.store.keys().pop().unwrap());
    // The ticket is in the headers, and marked so that printing them does not show it.
    printer.debug(&response);
    printer.debug(response.extensions().get::<SessionTrace>().unwrap());
    let mut extensions = http::Extensions::new();
    printer.error(&cloakroom_tower::Session::<Main>::find(&extensions).unwrap_err());
    extensions.insert(Main);
    printer.debug(&Main);
    printer.debug(&cloakroom_tower::Session::<Main>::find(&extensions));
    printer.error(&cloakroom_tower::SessionError::from(SessionError::Unavailable));
    printer.debug(response.extensions().get::<cloakroom_tower::Session>().unwrap());
}

/// Stores that hold a session, and what they say when they fail.
async fn stores(printer: &mut Printer) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.redb");
    let builder = MemoryStore::builder();
    printer.debug(&builder);
    let memory = builder.build(Tokio);
    printer.debug(&RedbConfig::new(&path));
    let redb = RedbStore::open(&path, Tokio).await.unwrap();
    for store in [Site::over(memory.clone()), Site::over(redb.clone())] {
        let jar = store.sign_in().await;
        let at = store.store.keys().pop().unwrap();
        add_ticket(&mut printer.forms, &jar, &at);
        printer.debug(&store.sessions);
    }
    printer.debug(&memory);
    printer.debug(&memory.metrics());
    printer.debug(&redb);
    printer.debug(&redb.metrics());
    printer.debug(&redb.walk_entries("cloakroom:"));
    printer.error(&RedbStore::open(&path, Tokio).await.unwrap_err());
    redb.close().await;
    printer.debug(&redb);
    let at = StoreKey::new("cloakroom:x").unwrap();
    printer.error(&Store::load(&redb, &at).await.unwrap_err());
    printer.debug(&cloakroom_redb::compact(&path).unwrap());
    std::fs::write(&path, SECRET.repeat(1000)).unwrap();
    let error: OpenError = RedbStore::open(&path, Tokio).await.unwrap_err();
    printer.error(&error);

    // Nobody listens on the port.
    for url in [
        format!("redis://user:{PASSWORD}@127.0.0.1:1/0"),
        format!("redis+sentinel://user:{PASSWORD}@127.0.0.1:1/main?sentinel_user=u&sentinel_password={PASSWORD}"),
        format!("redis+cluster://user:{PASSWORD}@127.0.0.1:1"),
    ] {
        let config = RedisConfig::new(&url).unwrap().key_prefix("shop:").unwrap();
        printer.debug(&config);
        let store: RedisStore = config.clone().lazy(Tokio);
        printer.debug(&store);
        printer.debug(&store.walk_entries("cloakroom:"));
        let failed = store.load(&at).await.unwrap_err();
        printer.error(&failed);
        let error: ConnectError = config.connect(Tokio).await.unwrap_err();
        printer.error(&error);
    }
    for url in [
        format!("redis://user:{PASSWORD}@"),
        format!("redis://user:{PASSWORD}@h/{PASSWORD}"),
        format!("{PASSWORD}://h"),
    ] {
        printer.error(&RedisConfig::new(&url).unwrap_err());
    }
}
