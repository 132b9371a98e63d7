//! Answers. Each of an operation says its outcome in a header, so that nobody between can be taken for the service.

use bytes::Bytes;
use cloakroom_core::{Outcome, StoreKey, Stored};
use cloakroom_http::protocol;
use cloakroom_store::StoreError;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, WWW_AUTHENTICATE},
};
use serde::Serialize;
use serde_json::json;

use super::{etag::Etag, refusal::Refusal};

pub(super) type Reply = Response<Full<Bytes>>;

const BYTES: &str = "application/octet-stream";
const JSON: &str = "application/json";

/// Says how an operation ended, and by which word.
pub(super) fn done(outcome: Outcome, is_creation: bool) -> (Reply, &'static str) {
    let done = if is_creation { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
    match outcome {
        Outcome::Absent => word(StatusCode::NOT_FOUND, "absent", "nothing is under this key"),
        Outcome::Conflict(Some(found)) => stored(StatusCode::CONFLICT, "conflict", found),
        Outcome::Conflict(None) => word(StatusCode::PRECONDITION_FAILED, "conflict", "another version is there"),
        Outcome::Done(version) => {
            let (mut reply, outcome) = empty(done, "done");
            set_etag(&mut reply, &Etag::write(&version));
            (reply, outcome)
        }
        Outcome::Exists => word(StatusCode::PRECONDITION_FAILED, "exists", "something is under this key"),
        Outcome::Found(found) => stored(StatusCode::OK, "found", found),
        Outcome::Indexed | Outcome::Removed => empty(done, "done"),
        Outcome::Listed(members) => {
            let listing =
                Listing { members: members.keys.iter().map(StoreKey::as_str).collect(), total: members.total };
            let body = serde_json::to_vec(&listing).unwrap_or_default();
            with_outcome(reply(StatusCode::OK, JSON, body.into()), "listed")
        }
        Outcome::Unsupported => {
            word(StatusCode::NOT_IMPLEMENTED, "unsupported", "the store keeps no index of users' sessions")
        }
        // No operation of the store's ends so.
        Outcome::Failed | Outcome::Unknown => word(StatusCode::GATEWAY_TIMEOUT, "unknown", "it may have happened"),
    }
}

/// Says that the store failed. What only reads has not happened, whatever came of it.
pub(super) fn failed(error: &StoreError, reads: bool) -> (Reply, &'static str) {
    let (mut reply, outcome) = match error.may_have_happened() && !reads {
        false => word(StatusCode::SERVICE_UNAVAILABLE, "failed", "the store failed, and nothing happened"),
        true => word(StatusCode::GATEWAY_TIMEOUT, "unknown", "the store failed; it happened, did not, or will"),
    };
    let fault = HeaderValue::from_static(protocol::fault_word(error.fault()));
    reply.headers_mut().insert(HeaderName::from_static(protocol::FAULT), fault);
    (reply, outcome)
}

/// Says that a request was refused.
pub(super) fn refused(refusal: Refusal) -> Reply {
    let body = json!({ "error": refusal.word(), "message": refusal.message() });
    let (mut reply, _) = with_outcome(reply(refusal.status(), JSON, body.to_string().into()), "refused");
    match refusal {
        Refusal::Unauthorized => {
            reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"cloakroom\""));
        }
        Refusal::WrongMethod(allowed) => {
            reply.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        }
        _ => {}
    }
    reply
}

/// Makes an answer that is about no operation.
pub(super) fn reply(status: StatusCode, kind: &'static str, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

#[derive(Serialize)]
struct Listing<'a> {
    members: Vec<&'a str>,
    total: u64,
}

fn stored(status: StatusCode, outcome: &'static str, found: Stored) -> (Reply, &'static str) {
    let mut reply = reply(status, BYTES, Bytes::from_owner(found.value));
    let ttl = match found.expires_in {
        None => HeaderValue::from_static(protocol::FOREVER),
        Some(ttl) => protocol::millis(ttl).into(),
    };
    reply.headers_mut().insert(HeaderName::from_static(protocol::TTL), ttl);
    set_etag(&mut reply, &Etag::write(&found.version));
    with_outcome(reply, outcome)
}

fn word(status: StatusCode, outcome: &'static str, message: &str) -> (Reply, &'static str) {
    let body = json!({ "error": outcome, "message": message });
    with_outcome(reply(status, JSON, body.to_string().into()), outcome)
}

fn empty(status: StatusCode, outcome: &'static str) -> (Reply, &'static str) {
    let mut reply = reply(status, BYTES, Bytes::new());
    reply.headers_mut().remove(CONTENT_TYPE);
    with_outcome(reply, outcome)
}

fn with_outcome(mut reply: Reply, outcome: &'static str) -> (Reply, &'static str) {
    reply.headers_mut().insert(HeaderName::from_static(protocol::OUTCOME), HeaderValue::from_static(outcome));
    (reply, outcome)
}

fn set_etag(reply: &mut Reply, etag: &str) {
    // Quotes around base64url are a legal value.
    if let Ok(etag) = HeaderValue::from_str(etag) {
        reply.headers_mut().insert(ETAG, etag);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cloakroom_core::{Members, OpKind, Outcome, StoreKey, Stored, Value, Version};
    use cloakroom_http::answer;
    use cloakroom_store::{Fault, StoreError};
    use futures_util::FutureExt as _;
    use http_body_util::BodyExt as _;

    use super::{Refusal, Reply, done, failed, refused};

    const OPS: [OpKind; 8] = [
        OpKind::Create,
        OpKind::Enroll,
        OpKind::List,
        OpKind::Load,
        OpKind::Remove,
        OpKind::Replace,
        OpKind::Touch,
        OpKind::Unenroll,
    ];

    /// Reads an answer as the client does.
    fn read(op: OpKind, reply: Reply) -> Result<Outcome, StoreError> {
        let (head, body) = reply.into_parts();
        let body = body.collect().now_or_never().unwrap().unwrap().to_bytes();
        answer::read(op, head.status, &head.headers, body)
    }

    fn found() -> Stored {
        let value = Value::from(&b"value"[..]);
        Stored { value, version: Version::from_u64(7), expires_in: Some(Duration::from_millis(1500)) }
    }

    /// The same, with the version as clients see it.
    fn seen() -> Stored {
        let etag = super::Etag::write(&found().version);
        Stored { version: Version::from_bytes(etag.trim_matches('"').as_bytes()), ..found() }
    }

    #[test]
    fn the_client_reads_every_outcome_as_it_was() {
        let members = Members { keys: vec![StoreKey::new("a\"/b").unwrap()], total: 3 };
        let touching = [OpKind::Remove, OpKind::Replace, OpKind::Touch];
        for (outcome, ops) in [
            (Outcome::Absent, &[OpKind::Load, OpKind::Remove, OpKind::Replace, OpKind::Touch][..]),
            (Outcome::Conflict(None), &touching),
            (Outcome::Conflict(Some(found())), &touching),
            (Outcome::Done(found().version), &[OpKind::Create, OpKind::Replace, OpKind::Touch]),
            (Outcome::Exists, &[OpKind::Create]),
            (Outcome::Found(found()), &[OpKind::Load]),
            (Outcome::Found(Stored { expires_in: None, ..found() }), &[OpKind::Load]),
            (Outcome::Indexed, &[OpKind::Enroll, OpKind::Unenroll]),
            (Outcome::Listed(members), &[OpKind::List]),
            (Outcome::Removed, &[OpKind::Remove]),
            (Outcome::Unsupported, &[OpKind::Enroll, OpKind::List, OpKind::Unenroll]),
        ] {
            for &op in ops {
                let told = read(op, done(outcome.clone(), op == OpKind::Create).0).unwrap();
                let expected = match outcome.clone() {
                    Outcome::Conflict(Some(_)) => Outcome::Conflict(Some(seen())),
                    Outcome::Done(_) => Outcome::Done(seen().version),
                    Outcome::Found(found) => Outcome::Found(Stored { version: seen().version, ..found }),
                    other => other,
                };
                assert_eq!(told, expected, "{op:?}");
            }
        }
    }

    #[test]
    fn the_client_reads_every_failure_as_it_was() {
        for op in OPS {
            let reads = matches!(op, OpKind::List | OpKind::Load);
            for fault in [Fault::Full, Fault::Internal, Fault::Refused, Fault::TimedOut, Fault::Unavailable] {
                for error in [StoreError::failed(fault), StoreError::unknown(fault)] {
                    let told = read(op, failed(&error, reads).0).unwrap_err();
                    let may_have_happened = error.may_have_happened() && !reads;
                    assert_eq!((told.fault(), told.may_have_happened()), (fault, may_have_happened), "{op:?}");
                }
            }
        }
    }

    #[test]
    fn no_refusal_is_in_doubt() {
        let mut words = Vec::new();
        for refusal in [
            Refusal::BadBody,
            Refusal::BadKey,
            Refusal::BadLimit,
            Refusal::BadPrecondition,
            Refusal::BadTtl,
            Refusal::Misdirected,
            Refusal::NotFound,
            Refusal::PreconditionRequired,
            Refusal::TooLarge,
            Refusal::TooSlow,
            Refusal::Unauthorized,
            Refusal::WrongMethod("GET"),
        ] {
            words.push(refusal.word());
            for op in OPS {
                let error = read(op, refused(refusal)).unwrap_err();
                assert!(!error.may_have_happened() && error.fault() == Fault::Refused, "{op:?} {refusal:?}");
            }
        }
        assert_eq!(words, Refusal::WORDS);
    }
}
