//! What the layer tells the engine of a request: its method, where it comes from, and all of its cookies.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::time::Duration;

use axum::{Router, body::Body, routing::any};
use cloakroom_tower::{CookiePolicy, Engine, SameSite, Session, SessionLayer, Sessions};
use common::{TestRuntime, TestStore, World, add_one, ring, ticket};
use http::{Method, Request, Response, StatusCode, header};
use tower::ServiceExt;

fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/", any(async |session: Session| session.update("n", add_one).await.map(drop).unwrap()))
        .layer(layer)
}

async fn send(app: &Router, method: Method, headers: &[(&str, &str)]) -> Response<Body> {
    let mut request = Request::builder().method(method).uri("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_cross_site_unsafe_request_without_the_cookie_makes_no_session() {
    let w = World::new();
    let app = app(w.layer());
    let cross = ("sec-fetch-site", "cross-site");
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let response = send(&app, method, &[cross]).await;
        assert_eq!((response.status(), ticket(&response)), (StatusCode::FORBIDDEN, None));
    }
    assert_eq!(w.store.take_ops(), "");
    assert!(ticket(&send(&app, Method::GET, &[cross]).await).is_some(), "a safe method");
    assert!(ticket(&send(&app, Method::POST, &[("sec-fetch-site", "same-origin")]).await).is_some());
    assert!(ticket(&send(&app, Method::POST, &[]).await).is_some(), "no browser");
    let browser = w.sign_in(1).await;
    let response = send(&app, Method::POST, &[cross, ("cookie", &browser)]).await;
    assert_eq!(response.status(), StatusCode::OK, "the cookie came along");
}

#[tokio::test(start_paused = true)]
async fn ids_are_renewed_on_navigations_alone() {
    let store = TestStore::default();
    let engine = Engine::builder(ring()).renew_after(Duration::from_secs(60)).build().unwrap();
    let app = app(SessionLayer::new(Sessions::builder(engine, store, TestRuntime::new()).build()));
    let browser = ticket(&send(&app, Method::GET, &[]).await).unwrap();
    tokio::time::sleep(Duration::from_secs(90)).await;
    for mode in ["cors", "no-cors", "same-origin"] {
        let response = send(&app, Method::GET, &[("cookie", &browser), ("sec-fetch-mode", mode)]).await;
        assert_eq!((response.status(), ticket(&response)), (StatusCode::OK, None));
    }
    let response = send(&app, Method::GET, &[("cookie", &browser), ("sec-fetch-mode", "navigate")]).await;
    assert_ne!(ticket(&response).unwrap(), browser);
}

#[tokio::test(start_paused = true)]
async fn every_cookie_line_is_read() {
    let w = World::new();
    let app = app(w.layer());
    let browser = w.sign_in(1).await;
    let lines = [("cookie", "theme=dark; a"), ("cookie", browser.as_str()), ("cookie", "lang=\"en\"")];
    assert_eq!(ticket(&send(&app, Method::GET, &lines).await), None);
    assert_eq!(w.read(&browser).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn tickets_of_two_live_sessions_are_a_conflict() {
    let w = World::new();
    let app = app(w.layer());
    let (one, two) = (w.sign_in(1).await, w.sign_in(1).await);
    let response = send(&app, Method::GET, &[("cookie", &format!("{one}; {two}"))]).await;
    assert_eq!((response.status(), ticket(&response)), (StatusCode::CONFLICT, None));
    assert_eq!((w.read(&one).await, w.read(&two).await), (Some(1), Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_too_large_is_refused() {
    let store = TestStore::default();
    let engine = Engine::builder(ring()).max_record(4096).cookie(CookiePolicy::default().same_site(SameSite::Strict));
    let sessions = Sessions::builder(engine.build().unwrap(), store.clone(), TestRuntime::new()).build();
    let handler = async |session: Session| session.insert("big", &"x".repeat(5000)).await.unwrap();
    let app = Router::new().route("/", any(handler)).layer(SessionLayer::new(sessions));
    let response = send(&app, Method::GET, &[]).await;
    assert_eq!((response.status(), ticket(&response)), (StatusCode::PAYLOAD_TOO_LARGE, None));
    assert_eq!(store.take_ops(), "");
    assert_eq!(response.headers()[header::VARY], "Cookie");
}
