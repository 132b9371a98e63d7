//! What could not be stored is never told to have succeeded.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::sync::Arc;

use axum::{Router, body::Body, extract::State, response::IntoResponse, routing::get};
use cloakroom_core::OpKind;
use cloakroom_store::Finish;
use cloakroom_tower::{Principal, Session, SessionError, SessionLayer, StoreFailure, StoreFailureLayer};
use common::{Trouble, World, add_one, get as request, lines, send, text, ticket};
use http::{Request, Response, StatusCode, header};
use tower::{Layer, ServiceExt, service_fn};

/// Handlers that fail in all ways.
fn app(w: &Arc<World>, layer: SessionLayer) -> Router {
    Router::new()
        .route("/write", get(async |s: Session| s.update("n", add_one).await.map(|n| n.to_string()).unwrap()))
        .route(
            "/headers",
            get(async |session: Session| {
                session.insert("n", &2).await.unwrap();
                let headers =
                    [(header::SET_COOKIE, "theme=dark"), (header::VARY, "Accept"), (header::CACHE_CONTROL, "private")];
                (headers, "it worked")
            }),
        )
        .route(
            "/write-500",
            get(async |session: Session| {
                session.insert("n", &9).await.unwrap();
                (StatusCode::BAD_GATEWAY, "failed")
            }),
        )
        .route(
            "/saved-500",
            get(async |session: Session| {
                session.insert("n", &5).await.unwrap();
                session.save().await.unwrap();
                session.insert("n", &6).await.unwrap();
                StatusCode::INTERNAL_SERVER_ERROR
            }),
        )
        .route("/end", get(async |session: Session| session.destroy().await.map(|()| "signed out").unwrap()))
        .route(
            "/end-500",
            get(async |session: Session| {
                session.insert("n", &9).await.unwrap();
                session.destroy().await.unwrap();
                session.insert("n", &9).await.unwrap();
                StatusCode::INTERNAL_SERVER_ERROR
            }),
        )
        .route(
            "/lost",
            get(async |State(w): State<Arc<World>>, session: Session, headers: http::HeaderMap| {
                session.insert("n", &2).await.unwrap();
                let other = w.open(headers[header::COOKIE].to_str().unwrap());
                other.destroy().await.unwrap();
                cloakroom_store::Session::commit(&other, Finish::Keep).await.result().unwrap();
            }),
        )
        .route(
            "/swallow",
            get(async |session: Session| session.get::<u64>("n").await.ok().flatten().unwrap_or_default().to_string()),
        )
        .route(
            "/try",
            get(async |session: Session| -> Result<String, SessionError> {
                Ok(format!("{:?} {}", session.get::<u64>("n").await?, session.is_new().await?))
            }),
        )
        .route(
            "/panics-on-replay",
            get(async |State(w): State<Arc<World>>, session: Session, headers: http::HeaderMap| {
                let mut calls = 0;
                let fatal = move |n: Option<u64>| {
                    calls += 1;
                    assert!(calls < 2, "a replay");
                    n.unwrap_or(0) + 10
                };
                session.update("n", fatal).await.unwrap();
                let other = w.open(headers[header::COOKIE].to_str().unwrap());
                other.update("n", add_one).await.unwrap();
                cloakroom_store::Session::commit(&other, Finish::Keep).await.result().unwrap();
            }),
        )
        .layer(layer)
        .with_state(Arc::clone(w))
}

fn start() -> (Arc<World>, Router) {
    let w = Arc::new(World::new());
    let app = app(&w, w.layer());
    (w, app)
}

#[tokio::test(start_paused = true)]
async fn a_server_error_drops_the_edits() {
    let (w, app) = start();
    let browser = w.sign_in(1).await;
    let response = send(&app, "/write-500", &browser).await;
    assert_eq!((response.status(), ticket(&response)), (StatusCode::BAD_GATEWAY, None));
    assert_eq!(text(response).await, "failed");
    assert_eq!(w.store.take_ops(), "load");
    let response = send(&app, "/write-500", "").await;
    assert_eq!((ticket(&response), w.store.take_ops().as_str()), (None, ""));
    assert_eq!(w.read(&browser).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_server_error_keeps_what_was_saved_and_its_cookie() {
    let (w, app) = start();
    let response = send(&app, "/saved-500", "").await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(lines(&response, header::CACHE_CONTROL), ["no-store"]);
    assert_eq!(w.read(&ticket(&response).unwrap()).await, Some(5));
}

#[tokio::test(start_paused = true)]
async fn a_server_error_is_stored_where_the_layer_says_so() {
    let w = Arc::new(World::new());
    let app = app(&w, w.layer().save_on_server_error());
    let browser = w.sign_in(1).await;
    let response = send(&app, "/write-500", &browser).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(w.read(&browser).await, Some(9));
}

#[tokio::test(start_paused = true)]
async fn a_server_error_never_drops_an_end() {
    let (w, app) = start();
    let browser = w.sign_in(1).await;
    let response = send(&app, "/end-500", &browser).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(ticket(&response).as_deref(), Some("__Host-id="));
    assert_eq!((w.store.live(), w.store.take_ops().as_str()), (0, "load,replace"));
    assert_eq!(w.read(&browser).await, None);
}

#[tokio::test(start_paused = true)]
async fn an_inner_error_commits_an_end_and_drops_edits() {
    let w = World::new();
    let service = w.layer().layer(service_fn(async |request: Request<Body>| {
        let session = Session::<cloakroom_tower::Main>::find(request.extensions()).unwrap();
        session.insert("n", &9).await.unwrap();
        if request.uri().path() == "/end" {
            session.destroy().await.unwrap();
        }
        Err::<Response<Body>, &str>("broken")
    }));
    let browser = w.sign_in(1).await;
    assert_eq!(service.clone().oneshot(request("/", &browser)).await.unwrap_err(), "broken");
    assert_eq!(w.store.take_ops(), "load");
    assert_eq!(w.read(&browser).await, Some(1));
    assert_eq!(service.oneshot(request("/end", &browser)).await.unwrap_err(), "broken");
    assert_eq!(w.read(&browser).await, None);
    assert_eq!(w.store.live(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_not_stored_replaces_the_response() {
    let (w, app) = start();
    let browser = w.sign_in(1).await;
    w.store.always(OpKind::Replace, Trouble::Fail);
    let response = send(&app, "/headers", &browser).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(lines(&response, header::SET_COOKIE), ["theme=dark"]);
    assert_eq!(lines(&response, header::CACHE_CONTROL), ["private, no-store"], "a refusal is not kept");
    let vary = lines(&response, header::VARY).join(", ");
    assert!(vary.contains("Accept") && vary.contains("Cookie"), "{vary}");
    assert_eq!(text(response).await, "");
    w.store.always(OpKind::Create, Trouble::Fail);
    let response = send(&app, "/write", "").await;
    assert_eq!((response.status(), ticket(&response)), (StatusCode::SERVICE_UNAVAILABLE, None));
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_is_a_conflict_and_keeps_the_cookie() {
    let (w, app) = start();
    let browser = w.sign_in(1).await;
    let response = send(&app, "/lost", &browser).await;
    assert_eq!((response.status(), ticket(&response)), (StatusCode::CONFLICT, None));
    assert_eq!(w.store.live(), 0);
}

#[tokio::test(start_paused = true)]
async fn contention_is_a_conflict() {
    let (w, app) = start();
    let browser = w.sign_in(1).await;
    w.store.always(OpKind::Replace, Trouble::Overtaken);
    let response = send(&app, "/write", &browser).await;
    assert_eq!((response.status(), ticket(&response)), (StatusCode::CONFLICT, None));
    w.store.recover();
    assert_eq!(text(send(&app, "/write", &browser).await).await, "2");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_failed_is_service_unavailable() {
    for trouble in [Trouble::Fail, Trouble::Hang, Trouble::Overtaken] {
        let (w, app) = start();
        let browser = w.sign_in(1).await;
        w.store.always(OpKind::Replace, trouble);
        let response = send(&app, "/end", &browser).await;
        assert_eq!((response.status(), ticket(&response)), (StatusCode::SERVICE_UNAVAILABLE, None));
        w.store.recover();
        assert_eq!(w.read(&browser).await, Some(1));
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_failed_is_service_unavailable_in_place_of_a_server_error_too() {
    let (w, app) = start();
    let browser = w.sign_in(1).await;
    w.store.always(OpKind::Replace, Trouble::Fail);
    let response = send(&app, "/end-500", &browser).await;
    assert_eq!((response.status(), ticket(&response)), (StatusCode::SERVICE_UNAVAILABLE, None));
}

#[tokio::test(start_paused = true)]
async fn an_end_of_a_record_that_vanished_is_no_acknowledged_end() {
    let w = Arc::new(World::new());
    let handler = async |State(w): State<Arc<World>>, session: Session| {
        session.destroy().await.unwrap();
        w.store.wipe();
        "signed out"
    };
    let app = Router::new().route("/", get(handler)).layer(w.layer()).with_state(Arc::clone(&w));
    let browser = w.sign_in(1).await;
    let response = send(&app, "/", &browser).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ticket(&response).as_deref(), Some("__Host-id="));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_is_service_unavailable_and_touches_no_cookie() {
    for (path, has_text) in [("/swallow", false), ("/try", true)] {
        for trouble in [Trouble::Fail, Trouble::Hang] {
            let (w, app) = start();
            let browser = w.sign_in(1).await;
            w.store.always(OpKind::Load, trouble);
            let response = send(&app, path, &browser).await;
            assert_eq!((response.status(), ticket(&response)), (StatusCode::SERVICE_UNAVAILABLE, None));
            assert_eq!(lines(&response, header::VARY), ["Cookie"]);
            assert_eq!(lines(&response, header::CACHE_CONTROL), ["no-store"], "{path}");
            assert_eq!(!text(response).await.is_empty(), has_text);
            assert_eq!(w.store.take_ops(), "load");
            w.store.recover();
            assert_eq!(text(send(&app, "/try", &browser).await).await, "Some(1) false");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_can_serve_without_the_store() {
    let w = Arc::new(World::new());
    let app = app(&w, w.layer().on_store_failure(StoreFailure::ServeWithout));
    let browser = w.sign_in(1).await;
    w.store.always(OpKind::Load, Trouble::Fail);
    let response = send(&app, "/try", &browser).await;
    assert_eq!((response.status(), ticket(&response)), (StatusCode::OK, None));
    assert_eq!(lines(&response, header::VARY), ["Cookie"]);
    assert_eq!(text(response).await, "None true");
    let write = Router::new().route("/", get(async |s: Session| -> Result<(), SessionError> { Ok(s.clear().await?) }));
    let write = write.layer(w.layer().on_store_failure(StoreFailure::ServeWithout));
    let response = send(&write, "/", &browser).await;
    assert_eq!((response.status(), ticket(&response)), (StatusCode::SERVICE_UNAVAILABLE, None));
}

#[tokio::test(start_paused = true)]
async fn a_route_has_a_policy_of_its_own() {
    async fn read(session: Session) -> Result<String, SessionError> {
        Ok(format!("{:?}", session.get::<u64>("n").await?))
    }
    let w = World::new();
    let browser = w.sign_in(1).await;
    let route = |failure| get(read).layer(StoreFailureLayer::new(failure));
    let refusing =
        Router::new().route("/serve", route(StoreFailure::ServeWithout)).route("/default", get(read)).layer(w.layer());
    let serving = Router::new()
        .route("/refuse", route(StoreFailure::Refuse))
        .route("/default", get(read))
        .layer(w.layer().on_store_failure(StoreFailure::ServeWithout));
    assert_eq!(text(send(&refusing, "/serve", &browser).await).await, "Some(1)");
    w.store.always(OpKind::Load, Trouble::Fail);
    let down = StatusCode::SERVICE_UNAVAILABLE;
    assert_eq!(send(&refusing, "/default", &browser).await.status(), down);
    assert_eq!(send(&refusing, "/serve", &browser).await.status(), StatusCode::OK);
    assert_eq!(send(&serving, "/default", &browser).await.status(), StatusCode::OK);
    assert_eq!(send(&serving, "/refuse", &browser).await.status(), down);
    // Without a ticket there is nothing to ask the store for.
    assert_eq!(send(&refusing, "/default", "").await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn an_undecodable_record_is_the_servers_fault_until_it_is_ended() {
    let (w, app) = start();
    let browser = w.sign_in(1).await;
    w.store.corrupt();
    let response = send(&app, "/try", &browser).await;
    assert_eq!((response.status(), ticket(&response)), (StatusCode::INTERNAL_SERVER_ERROR, None));
    let response = send(&app, "/end", &browser).await;
    assert_eq!((response.status(), ticket(&response).as_deref()), (StatusCode::OK, Some("__Host-id=")));
    assert_eq!(text(send(&app, "/try", &browser).await).await, "None true");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_broke_down_is_an_error_that_varies_by_cookie() {
    let (w, app) = start();
    let browser = w.sign_in(1).await;
    let response = send(&app, "/panics-on-replay", &browser).await;
    assert_eq!((response.status(), ticket(&response)), (StatusCode::INTERNAL_SERVER_ERROR, None));
    assert_eq!(w.read(&browser).await, Some(2));
    assert_eq!(lines(&response, header::VARY), ["Cookie"]);
}

#[tokio::test(start_paused = true)]
async fn the_application_can_write_the_refusal() {
    let w = World::new();
    let refuse = |status: StatusCode, error: &SessionError| (status, format!("sorry: {error}")).into_response();
    let app = Router::new()
        .route("/", get(async |session: Session| session.insert("n", &1).await.unwrap()))
        .layer(w.layer().refusal(refuse));
    w.store.always(OpKind::Create, Trouble::Fail);
    let response = send(&app, "/", "").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(text(response).await.starts_with("sorry: "));
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_answers_itself_is_not_written_by_the_refusal() {
    let w = Arc::new(World::new());
    let layer = w.layer().refusal(|status: StatusCode, _: &SessionError| (status, "sorry").into_response());
    let app = Router::new()
        .route("/passes-on", get(async |s: Session| -> Result<(), SessionError> { Ok(s.clear().await?) }))
        .route("/hides", get(async |s: Session| drop(s.clear().await)))
        .route("/user", get(async |_: Principal<u64>| ()))
        .layer(layer);
    let browser = w.sign_in(1).await;
    w.store.always(OpKind::Load, Trouble::Fail);
    for (path, cookie, status, by_refusal) in [
        ("/passes-on", browser.as_str(), StatusCode::SERVICE_UNAVAILABLE, false),
        ("/hides", &browser, StatusCode::SERVICE_UNAVAILABLE, true),
        ("/user", &browser, StatusCode::SERVICE_UNAVAILABLE, false),
        ("/user", "", StatusCode::UNAUTHORIZED, false),
    ] {
        let response = send(&app, path, cookie).await;
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(lines(&response, header::CACHE_CONTROL), ["no-store"], "{path}");
        assert_eq!(text(response).await == "sorry", by_refusal, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cookie_that_a_save_owes_is_sent_with_the_refusal() {
    let w = World::new();
    let handler = async |session: Session| {
        session.insert("n", &1).await.unwrap();
        session.save().await.unwrap();
        session.insert("n", &2).await.unwrap();
    };
    let app = Router::new().route("/", get(handler)).layer(w.layer());
    w.store.always(OpKind::Replace, Trouble::Fail);
    let response = send(&app, "/", "").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(lines(&response, header::CACHE_CONTROL), ["no-store"]);
    assert_eq!(w.read(&ticket(&response).unwrap()).await, Some(1));
}
