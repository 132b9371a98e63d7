//! Sessions that are bound to clients: the layer tells the engine what it knows of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::net::IpAddr;

use axum::{Router, body::Body, routing::get};
use cloakroom_core::{Binding, Engine};
use cloakroom_tower::{PeerAddr, Session, SessionError, SessionLayer, Sessions};
use common::{TestRuntime, TestStore, ring, text, ticket};
use http::{Extensions, HeaderMap, Request, Response};
use tower::ServiceExt;

#[derive(Clone)]
struct Certificate(&'static [u8]);

fn certificate<'r>(_: &'r HeaderMap, extensions: &'r Extensions) -> Option<&'r [u8]> {
    extensions.get::<Certificate>().map(|certificate| certificate.0)
}

fn app(binding: Binding) -> Router {
    let engine = Engine::builder(ring()).bind_to(binding).build().unwrap();
    let sessions = Sessions::builder(engine, TestStore::default(), TestRuntime::new()).build();
    Router::new().route("/", get(visits)).layer(SessionLayer::new(sessions).binding(certificate).login_page("/login"))
}

async fn visits(session: Session) -> Result<String, SessionError> {
    Ok(session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).await?.to_string())
}

/// A client, by address, user agent and certificate.
type Client = (&'static str, &'static str, &'static [u8]);

async fn ask(app: &Router, jar: &str, (address, agent, certificate): Client) -> Response<Body> {
    let request = Request::get("/")
        .header("cookie", jar)
        .header("user-agent", agent)
        .extension(PeerAddr(address.parse::<IpAddr>().unwrap()))
        .extension(Certificate(certificate));
    app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_part_counts_where_the_engine_asks_for_it() {
    const OWN: Client = ("192.0.2.7", "browser", b"a");
    let bare = Binding::new().any_address();
    for (binding, other) in [
        (Binding::new(), ("192.0.2.8", "browser", &b"a"[..])),
        (bare.user_agent(), ("192.0.2.7", "another", b"a")),
        (bare.bytes(), ("192.0.2.7", "browser", b"b")),
    ] {
        let app = app(binding);
        let jar = ticket(&ask(&app, "", OWN).await).unwrap();
        assert_eq!(text(ask(&app, &jar, OWN).await).await, "2", "{binding:?}");
        let refused = ask(&app, &jar, other).await;
        assert!(ticket(&refused).is_some_and(|new| new != jar), "{binding:?}");
        assert_eq!(text(refused).await, "1", "a session of its own");
        assert_eq!(text(ask(&app, &jar, OWN).await).await, "3", "{binding:?}");
    }
    let app = app(bare);
    let jar = ticket(&ask(&app, "", OWN).await).unwrap();
    assert_eq!(text(ask(&app, &jar, ("::1", "another", b"b")).await).await, "2", "bound to nothing");
}
