//! What a request did is stored before its response's headers leave, whole, whoever hangs up.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes},
    response::{IntoResponse, Redirect},
    routing::get,
};
use cloakroom_core::OpKind;
use cloakroom_tower::Session;
use common::{Gate, Trouble, World, add_one, get as request, let_run, lines, poll_once, send, text, ticket, until};
use futures_util::stream;
use http::{StatusCode, header};
use tower::ServiceExt;

#[tokio::test(start_paused = true)]
async fn an_untouched_request_costs_nothing_and_says_nothing() {
    let w = World::new();
    let valid = w.sign_in(1).await;
    let app = Router::new()
        .route("/", get(async || "no session"))
        .route("/held", get(async |_: Session| "taken and never used"))
        .layer(w.layer());
    let forged = "__Host-id=AbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbA";
    let before = w.runtime.uses();
    for cookie in [valid.as_str(), forged, ""] {
        for path in ["/", "/held"] {
            let response = send(&app, path, cookie).await;
            assert_eq!(response.status(), StatusCode::OK);
            for name in [header::SET_COOKIE, header::VARY, header::CACHE_CONTROL] {
                assert_eq!(lines(&response, name).len(), 0);
            }
        }
    }
    assert_eq!(w.store.take_ops(), "");
    assert_eq!(w.runtime.uses(), before);
}

#[tokio::test(start_paused = true)]
async fn a_streamed_body_starts_after_the_session_is_stored() {
    let w = World::new();
    let polled = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&polled);
    let handler = async move |session: Session| {
        session.insert("n", &1).await.unwrap();
        Body::from_stream(stream::once(async move {
            seen.store(true, Ordering::Relaxed);
            let read = session.get::<u64>("n").await;
            let written = session.insert("late", &1).await;
            Ok::<_, std::io::Error>(Bytes::from(format!("{read:?} {written:?}")))
        }))
    };
    let app = Router::new().route("/", get(handler)).layer(w.layer());
    let gate = Gate::default();
    w.store.once(OpKind::Create, Trouble::Hold(gate.clone()));
    let answer = tokio::spawn(async move { send(&app, "/", "").await });
    until(|| w.store.count(OpKind::Create) == 1).await;
    let_run().await;
    assert!(!answer.is_finished(), "the headers left before the session was stored");
    gate.open();
    let response = answer.await.unwrap();
    assert!(!polled.load(Ordering::Relaxed));
    assert_eq!(w.store.live(), 1);
    let browser = ticket(&response).unwrap();
    assert_eq!(text(response).await, "Err(Closed) Err(Closed)");
    assert!(polled.load(Ordering::Relaxed) && !w.store.holds("late"));
    assert_eq!(w.read(&browser).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn redirects_and_upgrades_and_client_errors_are_stored() {
    let w = World::new();
    let app = Router::new()
        .route("/redirect", get(async |s: Session| s.update("n", add_one).await.map(|_| Redirect::to("/")).unwrap()))
        .route("/{status}", {
            get(async |axum::extract::Path(status): axum::extract::Path<u16>, session: Session| {
                session.update("n", add_one).await.unwrap();
                let upgrade = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "echo")];
                (StatusCode::from_u16(status).unwrap(), upgrade).into_response()
            })
        })
        .layer(w.layer());
    let first = send(&app, "/redirect", "").await;
    assert_eq!(first.status(), StatusCode::SEE_OTHER);
    assert_eq!(lines(&first, header::LOCATION), ["/"]);
    let browser = ticket(&first).unwrap();
    for (n, status) in [(2, 101), (3, 204), (4, 304), (5, 404), (6, 499)] {
        let response = send(&app, &format!("/{status}"), &browser).await;
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(lines(&response, header::UPGRADE), ["echo"]);
        assert_eq!(w.read(&browser).await, Some(n));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_during_the_commit_leaves_it_whole() {
    let w = World::new();
    let browser = w.sign_in(1).await;
    let app = Router::new()
        .route(
            "/",
            get(async |session: Session| {
                session.insert("a", &1).await.unwrap();
                session.insert("b", &2).await.unwrap();
                session.rotate().await.unwrap();
            }),
        )
        .layer(w.layer());
    let (first, second) = (Gate::default(), Gate::default());
    w.store.once(OpKind::Create, Trouble::Hold(first.clone()));
    w.store.once(OpKind::Replace, Trouble::Hold(second.clone()));
    let mut response = Box::pin(app.oneshot(request("/", &browser)));
    assert!(poll_once(response.as_mut()).is_pending());
    until(|| w.store.count(OpKind::Create) == 1).await;
    drop(response);
    let_run().await;
    first.open();
    until(|| w.store.count(OpKind::Replace) == 1).await;
    second.open();
    until(|| w.store.live() == 1).await;
    assert!(w.store.holds(r#""a":1"#) && w.store.holds(r#""b":2"#));
    assert_eq!(w.read(&browser).await, Some(1), "the old ticket works, for the new one was never presented");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_at_once_leaves_the_commit_whole() {
    let w = World::new();
    let browser = w.sign_in(1).await;
    let app =
        Router::new().route("/", get(async |session: Session| session.insert("n", &2).await.unwrap())).layer(w.layer());
    // The store answers at once: so is the commit done by the first poll, after which the client is gone.
    assert!(poll_once(app.oneshot(request("/", &browser))).is_ready());
    assert!(w.store.holds(r#""n":2"#));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_during_the_handler_leaves_nothing() {
    let w = World::new();
    let browser = w.sign_in(1).await;
    let app = Router::new()
        .route(
            "/",
            get(async |session: Session| {
                session.insert("n", &2).await.unwrap();
                session.destroy().await.unwrap();
                pending::<()>().await;
            }),
        )
        .layer(w.layer());
    let mut response = Box::pin(app.oneshot(request("/", &browser)));
    assert!(poll_once(response.as_mut()).is_pending());
    let_run().await;
    drop(response);
    let_run().await;
    assert_eq!(w.store.take_ops(), "load");
    assert_eq!(w.read(&browser).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_leftover_clone_in_a_background_task_writes_nothing() {
    let w = World::new();
    let browser = w.sign_in(1).await;
    let gate = Gate::default();
    let late = Arc::new(AtomicBool::new(false));
    let (held, told) = (gate.clone(), Arc::clone(&late));
    let handler = async move |session: Session| {
        drop(tokio::spawn(async move {
            held.pass().await;
            let closed = session.insert("n", &9).await.is_err() && session.save().await.is_err();
            told.store(closed, Ordering::Relaxed);
        }));
    };
    let app = Router::new().route("/", get(handler)).layer(w.layer());
    let response = send(&app, "/", &browser).await;
    assert_eq!(response.status(), StatusCode::OK);
    gate.open();
    until(|| late.load(Ordering::Relaxed)).await;
    assert_eq!(w.store.take_ops(), "");
}
