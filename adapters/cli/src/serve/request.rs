//! What a request asks for.

use std::{str::FromStr as _, time::Duration};

use bytes::Bytes;
use cloakroom_core::{OpKind, StoreKey, Value, limits::MAX_LISTED};
use cloakroom_http::protocol;
use hyper::{
    HeaderMap, Method, Uri,
    header::{HeaderValue, IF_MATCH, IF_NONE_MATCH},
};

use super::{etag::Etag, refusal::Refusal, routes::Route};

/// What is to be done.
#[derive(Debug)]
pub(super) enum Ask {
    Create { key: StoreKey, ttl: Duration },
    Document,
    Enroll { index: StoreKey, member: StoreKey, ttl: Duration },
    Health,
    List { index: StoreKey, limit: usize },
    Load { key: StoreKey },
    Metrics,
    Remove { key: StoreKey, etag: Etag },
    Replace { key: StoreKey, etag: Etag, ttl: Duration },
    Touch { key: StoreKey, etag: Etag, ttl: Duration },
    Unenroll { index: StoreKey, member: StoreKey },
}

impl Ask {
    /// Reads all of a request but its body.
    pub(super) fn read(route: Route, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Self, Refusal> {
        let wrong = Refusal::WrongMethod(route.methods());
        Ok(match (route, method.as_str()) {
            (Route::Document, "GET") => Self::Document,
            (Route::Health, "GET") => Self::Health,
            (Route::Member { index, member }, "PUT") => Self::Enroll { index, member, ttl: ttl(headers)? },
            (Route::Member { index, member }, "DELETE") => Self::Unenroll { index, member },
            (Route::Members { index }, "GET") => Self::List { index, limit: limit(uri.query())? },
            (Route::Metrics, "GET") => Self::Metrics,
            (Route::Session { key }, "GET") => Self::Load { key },
            (Route::Session { key }, "PUT") => match condition(headers)? {
                Condition::Absent => Self::Create { key, ttl: ttl(headers)? },
                Condition::Unchanged(etag) => Self::Replace { key, etag, ttl: ttl(headers)? },
            },
            (Route::Session { key }, "PATCH") => Self::Touch { key, etag: unchanged(headers)?, ttl: ttl(headers)? },
            (Route::Session { key }, "DELETE") => Self::Remove { key, etag: unchanged(headers)? },
            _ => return Err(wrong),
        })
    }

    /// Returns which operation of the store it is, if one.
    pub(super) fn op(&self) -> Option<OpKind> {
        match self {
            Self::Create { .. } => Some(OpKind::Create),
            Self::Document | Self::Health | Self::Metrics => None,
            Self::Enroll { .. } => Some(OpKind::Enroll),
            Self::List { .. } => Some(OpKind::List),
            Self::Load { .. } => Some(OpKind::Load),
            Self::Remove { .. } => Some(OpKind::Remove),
            Self::Replace { .. } => Some(OpKind::Replace),
            Self::Touch { .. } => Some(OpKind::Touch),
            Self::Unenroll { .. } => Some(OpKind::Unenroll),
        }
    }

    /// Tells whether its body is a value.
    pub(super) fn has_value(&self) -> bool {
        matches!(self, Self::Create { .. } | Self::Replace { .. } | Self::Touch { .. })
    }
}

/// Takes a body as a value.
pub(super) fn value(body: Bytes) -> Value {
    Value::from(Vec::from(body))
}

enum Condition {
    Absent,
    Unchanged(Etag),
}

fn condition(headers: &HeaderMap) -> Result<Condition, Refusal> {
    match (single(headers, IF_MATCH.as_str()), single(headers, IF_NONE_MATCH.as_str())) {
        (Ok(None), Ok(None)) | (Ok(Some(_)), Ok(Some(_))) => Err(Refusal::PreconditionRequired),
        (Ok(None), Ok(Some("*"))) => Ok(Condition::Absent),
        (Ok(Some(etag)), Ok(None)) => Etag::read(etag).map(Condition::Unchanged).ok_or(Refusal::BadPrecondition),
        _ => Err(Refusal::BadPrecondition),
    }
}

fn unchanged(headers: &HeaderMap) -> Result<Etag, Refusal> {
    match condition(headers)? {
        Condition::Absent => Err(Refusal::BadPrecondition),
        Condition::Unchanged(etag) => Ok(etag),
    }
}

fn ttl(headers: &HeaderMap) -> Result<Duration, Refusal> {
    let line = single(headers, protocol::TTL).map_err(|()| Refusal::BadTtl)?;
    line.and_then(protocol::parse_millis).ok_or(Refusal::BadTtl)
}

fn limit(query: Option<&str>) -> Result<usize, Refusal> {
    let Some(query) = query.filter(|query| !query.is_empty()) else { return Ok(MAX_LISTED) };
    let number = query.strip_prefix("limit=").filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    let number = number.and_then(|number| usize::from_str(number).ok()).filter(|&number| number <= MAX_LISTED);
    number.ok_or(Refusal::BadLimit)
}

/// Returns the only line of a header, if there is one.
fn single<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, ()> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next().map(HeaderValue::to_str).transpose().map_err(drop)?;
    if lines.next().is_some() { Err(()) } else { Ok(first) }
}
