//! What a whole application writes to its log, at the level that tells most.

use std::{cell::RefCell, io, sync::Once};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use cloakroom_core::OpKind;
use cloakroom_redb::RedbStore;
use cloakroom_redis::RedisConfig;
use cloakroom_store::{MemoryStore, Store};
use cloakroom_tests::servers::{Options, Redis};
use cloakroom_tokio::Tokio;

use crate::{
    forms::Forms,
    web::{self, SECRET, Site, get_from},
    world::token,
};

thread_local! {
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the logs of threads, and so of tests, apart; the subscriber is the process's.
#[derive(Clone, Copy)]
struct Log;

impl Log {
    fn listen() {
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| {
            tracing_subscriber::fmt()
                .with_max_level(tracing::Level::TRACE)
                .with_ansi(false)
                .with_writer(|| Self)
                .init();
        });
        LOG.take();
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn no_log_line_holds_an_id_a_token_or_a_key() {
    Log::listen();
    web::run(async { check(MemoryStore::new(Tokio)).await });
}

pub(crate) fn no_log_line_of_a_store_in_a_file_holds_one() {
    Log::listen();
    web::run(async {
        let folder = tempfile::tempdir().unwrap();
        check(RedbStore::open(&folder.path().join("sessions.redb"), Tokio).await.unwrap()).await;
    });
}

pub(crate) fn no_log_line_of_a_store_in_redis_holds_one() {
    Log::listen();
    let server = Redis::start(Options::new());
    web::run(async { check(RedisConfig::new(&server.url()).unwrap().connect(Tokio).await.unwrap()).await });
}

async fn check(store: impl Store) {
    let site = Site::over(store);
    let mut jars = vec![site.sign_in().await];
    let mut told = String::new();
    for path in ["/read", "/wrong", "/add", "/rotate", "/untouched", "/add", "/wrong", "/end-and-write", "/rotate"] {
        let answer = site.get(path, jars.last().unwrap()).await;
        told += &format!("{answer:?}").replace(SECRET, "");
        jars.extend(answer.ticket());
    }
    let last = jars.last().unwrap().clone();
    for bad in
        [last[..40].to_owned(), format!("{last}{last}"), last.replace(&last[30..32], "__"), format!("{last}; {last}x")]
    {
        site.get("/wrong", &bad).await;
    }
    for kinds in [[OpKind::Load, OpKind::Load], [OpKind::Replace, OpKind::Create]] {
        site.store.fail(&kinds);
        for path in ["/wrong", "/add", "/end", "/rotate", "/write"] {
            told += &format!("{:?}", site.get(path, &last).await);
            told += &format!("{:?}", get_from(&site.serving_without(), path, &last).await);
        }
        site.store.fail(&[]);
    }
    let keys = site.store.keys();
    // A record that is damaged under a valid ticket.
    let fresh = site.sign_in().await;
    let at = site.store.keys().pop().unwrap();
    let store = site.sessions.store();
    let found = store.load(&at).await.unwrap().unwrap();
    let damaged = [SECRET.as_bytes(), found.value.as_bytes()].concat().into();
    store.replace(&at, &found.version, &damaged, found.expires_in.unwrap()).await.unwrap();
    for path in ["/wrong", "/add", "/end", "/wrong"] {
        told += &format!("{:?}", site.get(path, &fresh).await);
    }
    for (path, jar) in [("/end", &last), ("/wrong", &last), ("/add", &jars[0])] {
        site.get(path, jar).await;
    }
    jars.push(fresh);

    let mut forms = Forms::default();
    forms.text("the value", SECRET);
    let secret = web::RING.rsplit(':').next().unwrap();
    forms.text("the ring's key", secret);
    forms.bytes("the ring's key", &BASE64.decode(secret).unwrap());
    for jar in &jars {
        let raw = BASE64.decode(token(jar)).unwrap();
        forms.text("the token", token(jar));
        forms.bytes("the id", &raw[1..17]);
        forms.bytes("the tag", &raw[17..]);
    }
    for key in keys.iter().chain([&at]) {
        forms.text("the store key", key.as_str().rsplit(':').next().unwrap());
    }
    let log = LOG.take();
    let text = String::from_utf8_lossy(&log).into_owned();
    for event in ["created", "renewed", "malformed_token", "undecodable", "ended", "reused_ended"] {
        assert!(text.contains(event), "{event} is not in {text}");
    }
    assert!(text.contains("WARN") && text.contains("ERROR"), "{text}");
    assert_eq!(forms.find(&log), None, "{text}");
    // What clients are told when something goes wrong; headers print without the ticket that is in them.
    assert!(told.contains("503") && told.contains("Sensitive"), "{told}");
    assert_eq!(forms.find(told.as_bytes()), None, "{told}");
    assert!(forms.find(format!("{text}{}", &jars[0][..]).as_bytes()).is_some(), "the search finds a ticket");
}
