//! What an untouched request costs through the layer, in allocations.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::task::{Context, Poll};

use axum::{Router, body::Body, routing::get};
use common::{World, get as request};
use http::Request;
use tower::{Layer, Service, ServiceExt};

/// A layer that does nothing.
#[derive(Clone)]
struct NoOp<S = ()>(S);

impl<S> Layer<S> for NoOp {
    type Service = NoOp<S>;

    fn layer(&self, inner: S) -> NoOp<S> {
        NoOp(inner)
    }
}

impl<S: Service<R>, R> Service<R> for NoOp<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.0.call(request)
    }
}

fn allocations(app: &Router, cookie: &str) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let measured = |request: Request<Body>| {
        let app = app.clone();
        let info = allocation_counter::measure(|| drop(runtime.block_on(app.oneshot(request)).unwrap()));
        info.count_total
    };
    // The first may fill what is filled once.
    measured(request("/", cookie));
    measured(request("/", cookie))
}

#[test]
fn an_untouched_request_allocates_little_more_than_through_a_layer_that_does_nothing() {
    const MORE: u64 = 3;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let w = World::new();
    let valid = runtime.block_on(w.sign_in(1));
    let router = || Router::new().route("/", get(async || "static"));
    // As `axum::serve` has it: with the state, routes are made once and not for each request.
    let (plain, layered) = (router().layer(NoOp(())).with_state(()), router().layer(w.layer()).with_state(()));
    for cookie in ["", &valid, "__Host-id=AbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbA", "theme=dark; lang=en"] {
        let (plain, layered) = (allocations(&plain, cookie), allocations(&layered, cookie));
        println!("{plain} through a layer that does nothing, {layered} through ours: {} more", layered - plain);
        assert!(layered <= plain + MORE, "{layered} against {plain}");
    }
}
