//! What was noticed is told to logs and to the services around, without an id, a ticket, a key or a value.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::{
    cell::RefCell,
    io,
    sync::{Arc, Once},
};

use axum::{Router, extract::State, routing::get};
use cloakroom_core::{Event, OpKind};
use cloakroom_store::Finish;
use cloakroom_tower::{Main, Session, SessionError, SessionTrace};
use common::{RING, Trouble, World, add_one, send, ticket};
use http::Response;

const VALUE: &str = "correct-horse-battery";

thread_local! {
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what is logged on each thread, and so in each test, apart. The subscriber is the process's own: one that a
/// thread sets for itself misses what other threads were the first to log.
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
        Self::take();
    }

    fn take() -> String {
        String::from_utf8(LOG.take()).unwrap()
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

fn app(w: &Arc<World>) -> Router {
    Router::new()
        .route("/write", get(async |s: Session| s.insert("password", VALUE).await.unwrap()))
        .route(
            "/read",
            get(async |s: Session| -> Result<String, SessionError> { Ok(s.whole::<Whole>().await?.password) }),
        )
        .route("/wrong", get(async |s: Session| s.get::<u64>("password").await.map(drop).map_err(SessionError::from)))
        .route("/add", get(async |s: Session| s.update("n", add_one).await.map(drop).map_err(SessionError::from)))
        .route("/rotate", get(async |s: Session| s.rotate().await.unwrap()))
        .route("/end", get(async |s: Session| s.destroy().await.map_err(SessionError::from)))
        .route("/untouched", get(async |_: Session| ()))
        .route(
            "/conflict",
            get(async |State(w): State<Arc<World>>, session: Session, headers: http::HeaderMap| {
                session.update("n", add_one).await.unwrap();
                let other = w.open(headers["cookie"].to_str().unwrap());
                other.update("n", add_one).await.unwrap();
                cloakroom_store::Session::commit(&other, Finish::Keep).await.result().unwrap();
            }),
        )
        .layer(w.layer().trace_responses())
        .with_state(Arc::clone(w))
}

#[derive(Default, serde::Deserialize, serde::Serialize)]
struct Whole {
    password: String,
}

#[tokio::test(start_paused = true)]
async fn no_log_line_holds_a_ticket_an_id_a_key_or_a_value() {
    Log::listen();
    let w = Arc::new(World::new());
    let app = app(&w);
    let mut browser = ticket(&send(&app, "/write", "").await).unwrap();
    let mut secrets = vec![VALUE.to_owned(), RING.rsplit(':').next().unwrap().to_owned()];
    for path in ["/read", "/wrong", "/add", "/conflict", "/rotate", "/read", "/untouched"] {
        secrets.push(browser.split_once('=').unwrap().1.to_owned());
        if let Some(next) = ticket(&send(&app, path, &browser).await) {
            browser = next;
        }
    }
    let token = browser.split_once('=').unwrap().1.to_owned();
    let tampered = format!("{}{}", &token[..40], if token.ends_with('A') { "BAAA" } else { "AAAA" });
    for forged in
        [tampered, "AbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbA".to_owned(), "short-and-malformed".to_owned()]
    {
        send(&app, "/read", &format!("__Host-id={forged}")).await;
        secrets.push(forged);
    }
    for trouble in [Trouble::Fail, Trouble::Hang] {
        for kind in [OpKind::Load, OpKind::Replace] {
            w.store.always(kind, trouble.clone());
            send(&app, "/add", &browser).await;
            send(&app, "/end", &browser).await;
            w.store.recover();
        }
    }
    secrets
        .extend(w.store.held_keys().iter().flat_map(|key| [key.as_str().to_owned(), key.handle().as_str().to_owned()]));
    w.store.corrupt();
    send(&app, "/read", &browser).await;
    send(&app, "/end", &browser).await;
    send(&app, "/read", &browser).await;
    let _ = Session::<Main>::find(&http::Extensions::new());
    let text = Log::take();
    for event in ["created", "conflict", "renewed", "malformed_token", "undecodable", "ended", "reused_ended"] {
        assert!(text.contains(event), "{event} is not in {text}");
    }
    assert!(text.contains("forged_token") || text.contains("unknown_key"));
    assert!(text.contains("WARN"), "{text}");
    for secret in secrets {
        assert!(!text.contains(&secret), "{secret} is in {text}");
        if secret.len() > 20 {
            // Without the key id in front, which may be told, or the prefix of a store key.
            let part = &secret[secret.len() - 14..];
            assert!(!text.contains(part), "{part} is in {text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_record_has_the_level_of_what_it_tells() {
    Log::listen();
    let w = Arc::new(World::new());
    let app = app(&w);
    let browser = ticket(&send(&app, "/write", "").await).unwrap();
    send(&app, "/conflict", &browser).await;
    send(&app, "/read", "__Host-id=CbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbA").await;
    send(&app, "/read", "__Host-id=short").await;
    w.store.corrupt();
    send(&app, "/read", &browser).await;
    send(&app, "/end", &browser).await;
    let text = Log::take();
    for (level, record) in [
        ("DEBUG", r#"session event="created""#),
        ("DEBUG", r#"session event="conflict" replays=1"#),
        ("INFO", r#"session event="unknown_key" key=9"#),
        ("INFO", r#"session event="malformed_token""#),
        ("ERROR", r#"session event="undecodable""#),
        ("DEBUG", r#"session event="ended""#),
    ] {
        let found = text.lines().any(|line| line.contains(level) && line.ends_with(&format!("cloakroom: {record}")));
        assert!(found, "{level} {record} is not in {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_untouched_request_logs_nothing_of_its_session() {
    let w = Arc::new(World::new());
    let app = app(&w);
    let browser = w.sign_in(1).await;
    Log::listen();
    send(&app, "/untouched", &browser).await;
    send(&app, "/untouched", "__Host-id=AbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbA").await;
    assert!(!Log::take().contains("cloakroom"));
}

fn trace<B>(response: &Response<B>) -> (String, &'static str, Vec<Event>) {
    let trace = response.extensions().get::<SessionTrace<Main>>().unwrap();
    (trace.ops().to_string(), trace.cookie(), trace.events().iter().collect())
}

#[tokio::test(start_paused = true)]
async fn nothing_is_put_into_a_response_unless_it_is_asked_for() {
    let w = Arc::new(World::new());
    let app = Router::new()
        .route("/", get(async |s: Session| s.update("n", add_one).await.map(drop).map_err(SessionError::from)))
        .layer(w.layer());
    let response = send(&app, "/", "").await;
    assert!(ticket(&response).is_some());
    assert!(response.extensions().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_response_carries_what_was_decided() {
    Log::listen();
    let w = Arc::new(World::new());
    let app = app(&w);
    let response = send(&app, "/add", "").await;
    assert_eq!(trace(&response), ("create".to_owned(), "set", vec![Event::Created]));
    let browser = ticket(&response).unwrap();
    assert_eq!(trace(&send(&app, "/add", &browser).await), ("load,replace".to_owned(), "keep", vec![]));
    assert_eq!(trace(&send(&app, "/read", &browser).await), ("load".to_owned(), "keep", vec![]));
    assert!(send(&app, "/untouched", &browser).await.extensions().get::<SessionTrace<Main>>().is_none());
    let conflict = trace(&send(&app, "/conflict", &browser).await);
    assert_eq!(conflict, ("load,replace,replace".to_owned(), "keep", vec![Event::Conflict(1)]));

    w.store.once(OpKind::Replace, Trouble::Fail);
    let failed = send(&app, "/add", &browser).await;
    assert_eq!(failed.status().as_u16(), 503);
    assert_eq!(trace(&failed), ("load,replace".to_owned(), "keep", vec![]));
    w.store.once(OpKind::Load, Trouble::Fail);
    assert_eq!(trace(&send(&app, "/add", &browser).await).0, "load");

    let response = send(&app, "/rotate", &browser).await;
    assert_eq!(trace(&response), ("load,create,replace".to_owned(), "set", vec![Event::Renewed]));
    let browser = ticket(&response).unwrap();
    // The first presentation of a renewed ticket may add three.
    assert_eq!(trace(&send(&app, "/read", &browser).await).0, "load,load,replace,replace");
    assert_eq!(trace(&send(&app, "/read", &browser).await).0, "load");
    assert_eq!(trace(&send(&app, "/end", &browser).await), ("load,replace".to_owned(), "clear", vec![Event::Ended]));
    let (ops, cookie, events) = trace(&send(&app, "/read", &browser).await);
    assert_eq!((ops.as_str(), cookie, events.as_slice()), ("load", "keep", &[Event::ReusedEnded][..]));
}
