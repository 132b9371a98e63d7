//! Taking in the body of a request.

use std::{error::Error as _, pin::pin, time::Duration};

use bytes::{Bytes, BytesMut};
use cloakroom_http::HttpConfig;
use cloakroom_runtime::Runtime;
use futures_util::future::{Either, select};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use super::refusal::Refusal;

/// Bytes of a value.
pub(super) const MAX: usize = HttpConfig::MAX_VALUE;
/// Bytes of a body that is too long which are read and dropped: a client that still writes may never see the answer.
const MAX_DROPPED: usize = 8 * MAX;
/// How long a client may take to send it.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Takes in a whole body; drops it where it is not wanted.
///
/// A server that answers before it has read the body must close the connection.
pub(super) async fn take(body: Incoming, is_wanted: bool, runtime: &dyn Runtime) -> Result<Bytes, Refusal> {
    match select(pin!(read(body, is_wanted)), runtime.sleep(PATIENCE)).await {
        Either::Left((body, _)) => body,
        Either::Right(_) => Err(Refusal::TooSlow),
    }
}

async fn read(mut body: Incoming, is_wanted: bool) -> Result<Bytes, Refusal> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let (mut whole, mut length) = (BytesMut::new(), 0);
    if is_wanted && announced <= MAX {
        whole.reserve(announced);
    }
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            tracing::debug!(error = error.source(), "a body broke off");
            Refusal::BadBody
        })?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if is_wanted && length <= MAX {
            whole.extend_from_slice(&data);
        }
        if length > MAX_DROPPED {
            break;
        }
    }
    if length > MAX { Err(Refusal::TooLarge) } else { Ok(whole.freeze()) }
}
