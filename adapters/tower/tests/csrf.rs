//! Requests that another site forged.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use axum::{
    Form, Router,
    body::Body,
    routing::{get, post},
};
use cloakroom_tower::{CsrfLayer, Session, SessionError};
use common::{World, send, text, ticket};
use http::{Method, Request, Response, StatusCode};
use tower::ServiceExt;

const HOST: &str = "shop.example:8443";
const FORM: &str = "application/x-www-form-urlencoded";

fn app(w: &World, layer: CsrfLayer) -> Router {
    Router::new()
        .route("/token", get(token))
        .route("/buy", post(|body: String| async move { body }).get(|| async { "shown" }))
        .route("/form", post(|Form(fields): Form<Vec<(String, String)>>| async move { format!("{fields:?}") }))
        .layer(layer)
        .layer(w.layer())
}

async fn token(session: Session) -> Result<String, SessionError> {
    Ok(session.csrf_token().await?)
}

/// A token with the cookie of its session.
async fn page(app: &Router) -> (String, String) {
    let response = send(app, "/token", "").await;
    let jar = ticket(&response).unwrap();
    (text(response).await, jar)
}

async fn ask(app: &Router, jar: &str, headers: &[(&str, &str)], body: &str) -> Response<Body> {
    request(app, Method::POST, "/buy", jar, headers, body).await
}

async fn request(
    app: &Router,
    method: Method,
    path: &str,
    jar: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(path).header("host", HOST).header("cookie", jar);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_the_browser_says_comes_first() {
    let w = World::new();
    let app = app(&w, CsrfLayer::new());
    let (token, jar) = page(&app).await;
    let own = "https://shop.example:8443";
    for (headers, passes) in [
        (&[("sec-fetch-site", "same-origin")][..], true),
        (&[("sec-fetch-site", "none")], true),
        // A page that sends no referrer has no origin in its forms either.
        (&[("sec-fetch-site", "same-origin"), ("origin", "null")], true),
        (&[("sec-fetch-site", "same-site")], false),
        (&[("sec-fetch-site", "cross-site")], false),
        (&[("sec-fetch-site", "Same-Origin")], false),
        (&[("sec-fetch-site", "")], false),
        (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], false),
        (&[("sec-fetch-site", "cross-site"), ("origin", own)], false),
        (&[("origin", own)], true),
        (&[("origin", "http://shop.example:8443")], true),
        (&[("origin", "https://shop.example")], false),
        (&[("origin", "https://evil.example")], false),
        (&[("origin", "https://evil.example:8443")], false),
        (&[("origin", "https://shop.example:8443.evil.example")], false),
        (&[("origin", "null")], false),
        (&[("origin", "")], false),
        (&[("origin", own), ("origin", own)], false),
    ] {
        let response = ask(&app, &jar, headers, "").await;
        assert_eq!(response.status().is_success(), passes, "{headers:?}");
        // A token is no help against what the browser says.
        let headers = [headers, &[("x-csrf-token", token.as_str())]].concat();
        assert_eq!(ask(&app, &jar, &headers, "").await.status().is_success(), passes, "{headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_needs_a_token_of_the_session() {
    let w = World::new();
    let app = app(&w, CsrfLayer::new());
    let (token, jar) = page(&app).await;
    let (others, _) = page(&app).await;
    for (given, passes) in [(token.as_str(), true), (&others, false), ("", false), ("x", false)] {
        let response = ask(&app, &jar, &[("x-csrf-token", given)], "kept").await;
        assert_eq!(response.status(), if passes { StatusCode::OK } else { StatusCode::FORBIDDEN }, "{given}");
        let body = format!("a=1&csrf_token={given}&b=%20");
        let response = ask(&app, &jar, &[("content-type", FORM)], &body).await;
        assert_eq!(response.status(), if passes { StatusCode::OK } else { StatusCode::FORBIDDEN }, "{given}");
        if passes {
            assert_eq!(text(response).await, body, "the form is handed on as it was");
        }
    }
    assert_eq!(ask(&app, &jar, &[], "").await.status(), StatusCode::FORBIDDEN);
    assert_eq!(
        ask(&app, "", &[("x-csrf-token", &token)], "").await.status(),
        StatusCode::FORBIDDEN,
        "without the cookie"
    );
    let twice = [("x-csrf-token", token.as_str()), ("x-csrf-token", token.as_str())];
    assert_eq!(ask(&app, &jar, &twice, "").await.status(), StatusCode::FORBIDDEN);
    let json = ask(&app, &jar, &[("content-type", "application/json")], &format!("csrf_token={token}")).await;
    assert_eq!(json.status(), StatusCode::FORBIDDEN, "only a form is looked into");
    let form = [("content-type", "Application/X-WWW-Form-Urlencoded ; charset=utf-8")];
    assert_eq!(ask(&app, &jar, &form, &format!("csrf_token={token}")).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn extractors_inside_read_the_form_as_ever() {
    let w = World::new();
    let app = app(&w, CsrfLayer::new());
    let (token, jar) = page(&app).await;
    let body = format!("csrf_token={token}&text=a+b%26c");
    let response = request(&app, Method::POST, "/form", &jar, &[("content-type", FORM)], &body).await;
    let fields = vec![("csrf_token".to_owned(), token), ("text".to_owned(), "a b&c".to_owned())];
    assert_eq!(text(response).await, format!("{fields:?}"));
}

#[tokio::test(start_paused = true)]
async fn safe_methods_pass() {
    let w = World::new();
    let app = app(&w, CsrfLayer::new().always_token());
    for method in [Method::GET, Method::HEAD] {
        let response = request(&app, method, "/buy", "", &[("sec-fetch-site", "cross-site")], "").await;
        assert_eq!(response.status(), StatusCode::OK);
    }
    for method in [Method::OPTIONS, Method::TRACE] {
        let response = request(&app, method, "/buy", "", &[("sec-fetch-site", "cross-site")], "").await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "the router is asked");
    }
    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        let response = request(&app, method, "/buy", "", &[("sec-fetch-site", "cross-site")], "").await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
    }
}

#[tokio::test(start_paused = true)]
async fn settings_ask_for_more_or_less() {
    let w = World::new();
    let named = app(&w, CsrfLayer::new().origin("https://www.example").origin("https://example"));
    let (_, jar) = page(&named).await;
    for own in ["https://www.example", "https://example"] {
        assert_eq!(ask(&named, &jar, &[("origin", own)], "").await.status(), StatusCode::OK);
    }
    for other in ["http://example", "https://example:8443", "https://shop.example", "https://example.evil.example"] {
        assert_eq!(ask(&named, &jar, &[("origin", other)], "").await.status(), StatusCode::FORBIDDEN, "{other}");
    }
    let by_host = ask(&named, &jar, &[("origin", "https://shop.example:8443")], "").await;
    assert_eq!(by_host.status(), StatusCode::FORBIDDEN, "where origins are named, the host is not asked");

    let strict = app(&w, CsrfLayer::new().always_token());
    let (token, jar) = page(&strict).await;
    let site = ("sec-fetch-site", "same-origin");
    assert_eq!(ask(&strict, &jar, &[site], "").await.status(), StatusCode::FORBIDDEN);
    assert_eq!(ask(&strict, &jar, &[site, ("x-csrf-token", &token)], "").await.status(), StatusCode::OK);

    let silent = app(&w, CsrfLayer::new().dangerous_allow_silence());
    assert_eq!(ask(&silent, "", &[], "").await.status(), StatusCode::OK);
    assert_eq!(ask(&silent, "", &[("origin", "null")], "").await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test(start_paused = true)]
async fn a_form_has_a_bound() {
    let w = World::new();
    let app = app(&w, CsrfLayer::new());
    let (token, jar) = page(&app).await;
    assert_eq!(CsrfLayer::MAX_FORM, 1 << 20);
    let field = format!("csrf_token={token}&text=");
    for (more, status) in [(0, StatusCode::OK), (1, StatusCode::PAYLOAD_TOO_LARGE)] {
        let body = format!("{field}{}", "a".repeat(CsrfLayer::MAX_FORM - field.len() + more));
        let response = ask(&app, &jar, &[("content-type", FORM)], &body).await;
        assert_eq!(response.status(), status);
    }
}

#[tokio::test(start_paused = true)]
async fn the_host_is_that_of_the_address_where_that_has_one() {
    let w = World::new();
    let app = app(&w, CsrfLayer::new());
    for (host, origin, passes) in [
        (None, "https://shop.example", true),
        (None, "https://evil.example", false),
        (Some("evil.example"), "https://evil.example", false),
        (Some("evil.example"), "https://shop.example", true),
    ] {
        let request = Request::post("https://shop.example/buy").header("origin", origin);
        let request = host.into_iter().fold(request, |request, host| request.header("host", host));
        let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status().is_success(), passes, "{host:?} {origin}");
    }
    let nowhere = Request::post("/buy").header("origin", "https://").body(Body::empty()).unwrap();
    assert_eq!(app.oneshot(nowhere).await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test(start_paused = true)]
async fn outside_the_session_layer_nothing_passes_that_needs_a_token() {
    let app = Router::new().route("/buy", post(|| async { "bought" })).layer(CsrfLayer::new());
    assert_eq!(ask(&app, "", &[("x-csrf-token", "x")], "").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(ask(&app, "", &[("sec-fetch-site", "cross-site")], "").await.status(), StatusCode::FORBIDDEN);
}
