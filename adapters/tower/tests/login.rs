//! Routes that ask for somebody to be signed in.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use axum::{
    Router,
    body::Body,
    routing::{get, post},
};
use cloakroom_core::Login;
use cloakroom_core::OpKind;
use cloakroom_tower::{Principal, RequireLogin, ReturnTo, Session, SessionError, SessionLayer, StoreFailure};
use common::{Trouble, World, lines, send, text, ticket};
use http::{Method, Request, Response, StatusCode, header};
use tower::ServiceExt;

fn app(w: &World) -> Router {
    routes(w.layer())
}

fn with_page(w: &World) -> Router {
    routes(w.layer().login_page("/login?theme=dark"))
}

fn routes(layer: SessionLayer) -> Router {
    let inside = Router::new()
        .route("/inside", get(|| async { "inside" }).post(|| async { "done" }))
        .route_layer(RequireLogin::new());
    let api =
        Router::new().route("/api/inside", get(|| async { "inside" })).route_layer(RequireLogin::new().status_only());
    Router::new()
        .route("/login", post(login))
        .route("/me", get(|user: Principal<String>| async move { user.into_inner() }))
        .route("/maybe", get(maybe))
        .route("/number", get(|user: Principal<u64>| async move { user.to_string() }))
        .merge(inside)
        .merge(api)
        .layer(layer)
}

async fn login(session: Session) -> Result<(), SessionError> {
    Ok(session.login("alice", Login::new()).await?)
}

async fn maybe(user: Option<Principal<String>>) -> String {
    user.map_or_else(|| "nobody".to_owned(), Principal::into_inner)
}

async fn ask(app: &Router, method: Method, path: &str, mode: Option<&str>) -> Response<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = mode.into_iter().fold(request, |request, mode| request.header("sec-fetch-mode", mode));
    app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn sign_in(app: &Router) -> String {
    let response = ask(app, Method::POST, "/login", None).await;
    assert_eq!(response.status(), StatusCode::OK);
    ticket(&response).unwrap()
}

#[tokio::test(start_paused = true)]
async fn who_is_signed_in_is_known_by_type() {
    let w = World::new();
    let app = app(&w);
    let jar = sign_in(&app).await;
    assert_eq!(text(send(&app, "/me", &jar).await).await, "alice");
    assert_eq!(text(send(&app, "/maybe", &jar).await).await, "alice");
    assert_eq!(text(send(&app, "/maybe", "").await).await, "nobody");
    assert_eq!(text(send(&app, "/inside", &jar).await).await, "inside");
    let other_type = send(&app, "/number", &jar).await;
    assert_eq!(other_type.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_a_401_where_there_is_no_login_page() {
    let w = World::new();
    let app = app(&w);
    for path in ["/me", "/inside", "/api/inside"] {
        let response = send(&app, path, "").await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(lines(&response, header::LOCATION).len(), 0);
        assert_eq!((lines(&response, header::VARY), ticket(&response)), (vec!["Cookie".to_owned()], None));
    }
}

#[tokio::test(start_paused = true)]
async fn who_wants_to_see_a_page_is_sent_to_the_login_page_and_back() {
    let w = World::new();
    let app = with_page(&w);
    for path in ["/me?a=1&b=/x", "/inside?a=1&b=/x"] {
        for mode in [None, Some("navigate")] {
            let response = ask(&app, Method::GET, path, mode).await;
            assert_eq!(response.status(), StatusCode::SEE_OTHER);
            assert_eq!(lines(&response, header::CACHE_CONTROL), ["no-store"]);
            let [location] = &lines(&response, header::LOCATION)[..] else { panic!("one way") };
            let back = location.strip_prefix("/login?theme=dark&return_to=").unwrap();
            let back = percent_encoding::percent_decode_str(back).decode_utf8().unwrap();
            assert_eq!(ReturnTo::parse(&back).unwrap().as_str(), path);
            assert!(!location[19..].contains(['&', '?', '#', '%']) || !location.contains("b=/x"), "{location}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_way_back_is_whole_from_within_a_nested_router() {
    let w = World::new();
    let nested = Router::new().route("/me", get(|user: Principal<String>| async move { user.into_inner() }));
    let app = Router::new().nest("/app", nested).layer(w.layer().login_page("/login"));
    let response = send(&app, "/app/me?a=1", "").await;
    assert_eq!(lines(&response, header::LOCATION), ["/login?return_to=/app/me%3Fa%3D1"]);
}

#[tokio::test(start_paused = true)]
async fn a_way_back_that_is_too_long_is_left_out() {
    let w = World::new();
    let app = with_page(&w);
    let longest = format!("/me?{}", "a".repeat(ReturnTo::MAX_LEN - 4));
    for (path, has_way) in [(longest.clone(), true), (longest + "a", false)] {
        let response = ask(&app, Method::HEAD, &path, None).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let [location] = &lines(&response, header::LOCATION)[..] else { panic!("one way") };
        assert_eq!(location == "/login?theme=dark", !has_way, "{location}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_shows_no_page_gets_a_401_there_too() {
    let w = World::new();
    let app = with_page(&w);
    for (method, path, mode) in [
        (Method::GET, "/me", Some("cors")),
        (Method::GET, "/inside", Some("same-origin")),
        (Method::POST, "/inside", Some("navigate")),
        (Method::GET, "/api/inside", Some("navigate")),
        (Method::GET, "/api/inside", None),
    ] {
        let response = ask(&app, method.clone(), path, mode).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{method} {path} {mode:?}");
        assert_eq!(lines(&response, header::LOCATION).len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_signs_nobody_in_or_out() {
    for failure in [StoreFailure::Refuse, StoreFailure::ServeWithout] {
        let w = World::new();
        let app = routes(w.layer().on_store_failure(failure));
        let jar = sign_in(&app).await;
        for path in ["/me", "/inside"] {
            w.store.once(OpKind::Load, Trouble::Fail);
            let response = send(&app, path, &jar).await;
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path} {failure:?}");
            assert_eq!(lines(&response, header::CACHE_CONTROL), ["no-store"], "{path} {failure:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_outside_the_layer_is_the_servers_fault() {
    let app = Router::new().route("/inside", get(|| async { "inside" })).route_layer(RequireLogin::new());
    assert_eq!(send(&app, "/inside", "").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[test]
fn a_way_back_never_leads_to_another_site() {
    let long = format!("/{}", "a".repeat(ReturnTo::MAX_LEN));
    for elsewhere in [
        "",
        "x",
        "//evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/a b",
        "/a\nLocation: //evil.example",
        "/\t/evil.example",
        "/ä",
        " /a",
        &long,
    ] {
        assert_eq!(ReturnTo::parse(elsewhere), None, "{elsewhere}");
    }
    for here in ["/", "/a//b", "/?next=//evil.example", "/%2f%2fevil.example", &long[..ReturnTo::MAX_LEN]] {
        assert_eq!(ReturnTo::parse(here).unwrap().as_str(), here);
    }
}
