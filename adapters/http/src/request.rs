//! The operations as requests.

use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::{
    OpKind, StoreKey, Value,
    limits::{MAX_LISTED, MAX_STORE_KEY},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use http_body_util::Full;

use crate::{
    env::Settings,
    protocol::{self, INDEXES, MEMBERS, SESSIONS, encode_key},
};

/// Bytes of the longest listing: every key with all its characters escaped, in quotes, and what is around them.
const MAX_LISTING: usize = MAX_LISTED * (2 * MAX_STORE_KEY + 3) + 1024;

/// A request that can be sent again.
pub(crate) struct Request {
    pub(crate) op: OpKind,
    /// The longest body that an answer may have.
    pub(crate) max_answer: usize,
    method: Method,
    target: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Request {
    pub(crate) fn load(settings: &Settings, key: &StoreKey) -> Self {
        Self::of_session(settings, OpKind::Load, Method::GET, key)
    }

    pub(crate) fn create(settings: &Settings, key: &StoreKey, value: &Value, ttl: Duration) -> Self {
        let mut request = Self::of_session(settings, OpKind::Create, Method::PUT, key).with_value(value).with_ttl(ttl);
        request.headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        request
    }

    pub(crate) fn replace(settings: &Settings, key: &StoreKey, etag: &Etag, value: &Value, ttl: Duration) -> Self {
        let request = Self::of_session(settings, OpKind::Replace, Method::PUT, key);
        request.with_etag(etag).with_value(value).with_ttl(ttl)
    }

    pub(crate) fn touch(settings: &Settings, key: &StoreKey, etag: &Etag, value: &Value, ttl: Duration) -> Self {
        let request = Self::of_session(settings, OpKind::Touch, Method::PATCH, key);
        request.with_etag(etag).with_value(value).with_ttl(ttl)
    }

    pub(crate) fn remove(settings: &Settings, key: &StoreKey, etag: &Etag) -> Self {
        Self::of_session(settings, OpKind::Remove, Method::DELETE, key).with_etag(etag)
    }

    pub(crate) fn enroll(settings: &Settings, index: &StoreKey, member: &StoreKey, ttl: Duration) -> Self {
        Self::of_member(settings, OpKind::Enroll, Method::PUT, index, member).with_ttl(ttl)
    }

    pub(crate) fn unenroll(settings: &Settings, index: &StoreKey, member: &StoreKey) -> Self {
        Self::of_member(settings, OpKind::Unenroll, Method::DELETE, index, member)
    }

    pub(crate) fn list(settings: &Settings, index: &StoreKey, limit: usize) -> Self {
        let path = format!("{INDEXES}/{}/{MEMBERS}?limit={}", encode_key(index), limit.min(MAX_LISTED));
        Self { max_answer: MAX_LISTING, ..Self::new(settings, OpKind::List, Method::GET, &path) }
    }

    /// Makes what is sent.
    pub(crate) fn build(&self) -> http::Request<Full<Bytes>> {
        let mut request = http::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    fn of_session(settings: &Settings, op: OpKind, method: Method, key: &StoreKey) -> Self {
        Self::new(settings, op, method, &format!("{SESSIONS}/{}", encode_key(key)))
    }

    fn of_member(settings: &Settings, op: OpKind, method: Method, index: &StoreKey, member: &StoreKey) -> Self {
        let path = format!("{INDEXES}/{}/{MEMBERS}/{}", encode_key(index), encode_key(member));
        Self::new(settings, op, method, &path)
    }

    fn new(settings: &Settings, op: OpKind, method: Method, path: &str) -> Self {
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(header::HOST, settings.place.host.clone());
        if let Some(token) = &settings.token {
            headers.insert(header::AUTHORIZATION, token.clone());
        }
        // The base was read as a path, and the rest has nothing but what paths have.
        let target = Uri::try_from(format!("{}/{path}", settings.place.base)).unwrap_or_default();
        Self { op, max_answer: settings.max_value, method, target, headers, body: Bytes::new() }
    }

    fn with_value(mut self, value: &Value) -> Self {
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        self.body = Bytes::from_owner(value.clone());
        self
    }

    fn with_ttl(mut self, ttl: Duration) -> Self {
        self.headers.insert(HeaderName::from_static(protocol::TTL), HeaderValue::from(protocol::millis(ttl)));
        self
    }

    fn with_etag(mut self, etag: &Etag) -> Self {
        self.headers.insert(header::IF_MATCH, etag.0.clone());
        self
    }
}

/// A version as `If-Match` says it.
pub(crate) struct Etag(HeaderValue);

impl Etag {
    /// Takes the bytes of a version; `None` for those that no service made.
    pub(crate) fn of(version: &[u8]) -> Option<Self> {
        if !protocol::is_etag(version) {
            return None;
        }
        HeaderValue::from_bytes(&[b"\"", version, b"\""].concat()).ok().map(Self)
    }
}
