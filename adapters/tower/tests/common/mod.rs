//! What the tests of the layer need: an application in memory and its requests.

#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::panic, reason = "every test file uses a part of it")]

#[path = "../../../store/tests/handle/common/mod.rs"]
mod glue_common;

use axum::{Router, body::Body};
use cloakroom_tower::SessionLayer;
use http::{HeaderName, Request, Response, header};
use http_body_util::BodyExt;
use tower::ServiceExt;

pub(crate) use self::glue_common::*;

impl World {
    pub(crate) fn layer(&self) -> SessionLayer {
        SessionLayer::new(self.sessions.clone())
    }
}

pub(crate) fn get(path: &str, cookie: &str) -> Request<Body> {
    let request = Request::get(path);
    let request = if cookie.is_empty() { request } else { request.header(header::COOKIE, cookie) };
    request.body(Body::empty()).unwrap()
}

pub(crate) async fn send(app: &Router, path: &str, cookie: &str) -> Response<Body> {
    app.clone().oneshot(get(path, cookie)).await.unwrap()
}

pub(crate) async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// All lines of a header.
pub(crate) fn lines<B>(response: &Response<B>, name: HeaderName) -> Vec<String> {
    response.headers().get_all(name).iter().map(|line| line.to_str().unwrap().to_owned()).collect()
}

/// The ticket that a browser would keep of a response; panics on more than one.
pub(crate) fn ticket<B>(response: &Response<B>) -> Option<String> {
    let lines = lines(response, header::SET_COOKIE);
    let ours: Vec<_> = lines.iter().filter(|line| line.starts_with("__Host-id=")).collect();
    assert!(ours.len() <= 1, "two cookies");
    ours.first().map(|line| line.split(';').next().unwrap().to_owned())
}
