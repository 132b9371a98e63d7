//! The framework with no sessions.

use std::task::{Context, Poll};

use axum::{Router, routing::get};
use tower_layer::Layer;
use tower_service::Service;

pub fn router() -> Router {
    let ok = || async { "ok" };
    Router::new()
        .route("/untouched", get(ok))
        .route("/read", get(ok))
        .route("/change", get(ok))
        .route("/rotate", get(ok))
        .route("/fill/{shape}", get(ok))
}

/// A layer that does nothing: what `Router::layer` costs by itself.
#[derive(Clone)]
pub struct Nothing;

impl<S> Layer<S> for Nothing {
    type Service = Passing<S>;

    fn layer(&self, inner: S) -> Passing<S> {
        Passing(inner)
    }
}

#[derive(Clone)]
pub struct Passing<S>(S);

impl<S: Service<R>, R> Service<R> for Passing<S> {
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
