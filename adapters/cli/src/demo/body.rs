//! Reading a request's body before anything else is done.

use std::{error::Error as _, pin::pin, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::Response,
};
use cloakroom_runtime::Runtime as _;
use futures_util::future::{Either, select};
use http_body_util::LengthLimitError;

use super::{App, error::Failure, refuse};

/// Bytes of a request's body.
const MAX: usize = 1024 * 1024;
/// How long a client may take to send it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Takes in the whole body, whether the handler looks at it or not.
///
/// A server that answers before it has read the body must close the connection, and the client may never see the answer.
pub(super) async fn take(State(app): State<App>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = match select(pin!(to_bytes(body, MAX)), app.0.runtime.sleep(PATIENCE)).await {
        Either::Left((body, _)) => body.map_err(|error| match error.source() {
            Some(source) if source.is::<LengthLimitError>() => Failure::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("a request's body has at most {MAX} bytes"),
            ),
            _ => Failure::new(StatusCode::BAD_REQUEST, "bad_body", "the request's body broke off"),
        }),
        Either::Right(_) => {
            Err(Failure::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the request's body did not come in time"))
        }
    };
    match body {
        Ok(body) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(failure) => refuse(&parts.uri, failure),
    }
}
