//! What an answer of the service means: a function of status, headers and body alone.

use bytes::Bytes;
use cloakroom_core::{Members, OpKind, Outcome, StoreKey, Stored, Value, Version};
use cloakroom_store::{Fault, StoreError};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;

use crate::protocol;

/// The longest word of a refusal that is passed on.
const MAX_WORD: usize = 32;

/// Reads the answer to an operation.
///
/// Status and outcome must agree, and fit the operation; whatever else comes is the answer of somebody between, or of
/// another service. It proves nothing, so that an operation that writes may have happened.
///
/// # Errors
///
/// [`StoreError::failed`] where the service says that nothing happened, and for operations that only read; else
/// [`StoreError::unknown`].
pub fn read(op: OpKind, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Result<Outcome, StoreError> {
    let outcome = single(headers, protocol::OUTCOME).unwrap_or_default();
    let understood = match (op, status.as_u16(), outcome) {
        (OpKind::Create, 201, "done") | (OpKind::Replace | OpKind::Touch, 204, "done") => {
            version(headers).map(Outcome::Done)
        }
        (OpKind::Create, 412, "exists") => Some(Outcome::Exists),
        (OpKind::Load, 200, "found") => stored(headers, body).map(Outcome::Found),
        (OpKind::Load | OpKind::Remove | OpKind::Replace | OpKind::Touch, 404, "absent") => Some(Outcome::Absent),
        (OpKind::Remove | OpKind::Replace | OpKind::Touch, 409, "conflict") => {
            stored(headers, body).map(|found| Outcome::Conflict(Some(found)))
        }
        (OpKind::Remove | OpKind::Replace | OpKind::Touch, 412, "conflict") => Some(Outcome::Conflict(None)),
        (OpKind::Remove, 204, "done") => Some(Outcome::Removed),
        (OpKind::Enroll | OpKind::Unenroll, 204, "done") => Some(Outcome::Indexed),
        (OpKind::List, 200, "listed") => listed(headers, &body).map(Outcome::Listed),
        (OpKind::Enroll | OpKind::List | OpKind::Unenroll, 501, "unsupported") => Some(Outcome::Unsupported),
        (_, 503, "failed") => return Err(StoreError::failed(fault(headers)).with_source(told(status, "failed"))),
        (_, 504, "unknown") => return Err(in_doubt(op, fault(headers), told(status, "unknown"))),
        (_, 400..=499, "refused") => {
            return Err(StoreError::failed(Fault::Refused).with_source(told(status, &refusal(&body))));
        }
        _ => None,
    };
    understood.ok_or_else(|| {
        let fault = match status.as_u16() {
            429 | 500..=599 => Fault::Unavailable,
            400..=499 => Fault::Refused,
            _ => Fault::Internal,
        };
        in_doubt(op, fault, told(status, "not in words of a session service"))
    })
}

/// Makes an error of an operation that may have happened, if it is one that can.
pub(crate) fn in_doubt(op: OpKind, fault: Fault, words: String) -> StoreError {
    let error = match op {
        OpKind::List | OpKind::Load => StoreError::failed(fault),
        _ => StoreError::unknown(fault),
    };
    error.with_source(words)
}

fn told(status: StatusCode, word: &str) -> String {
    format!("the service answered {}: {word}", status.as_u16())
}

/// Returns the only line of a header.
fn single<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next().map(HeaderValue::to_str)?.ok()?;
    lines.next().is_none().then_some(first)
}

fn version(headers: &HeaderMap) -> Option<Version> {
    let etag = protocol::unquote(single(headers, header::ETAG.as_str())?)?;
    Some(Version::from_bytes(etag.as_bytes()))
}

fn stored(headers: &HeaderMap, body: Bytes) -> Option<Stored> {
    let expires_in = match single(headers, protocol::TTL)? {
        protocol::FOREVER => None,
        millis => Some(protocol::parse_millis(millis)?),
    };
    // Bytes that somebody packed are others.
    let is_as_it_was = !headers.contains_key(header::CONTENT_ENCODING) && has_type(headers, "application/octet-stream");
    is_as_it_was.then_some(())?;
    Some(Stored { value: Value::from(Vec::from(body)), version: version(headers)?, expires_in })
}

#[derive(Deserialize)]
struct Listing {
    members: Vec<String>,
    total: u64,
}

fn listed(headers: &HeaderMap, body: &[u8]) -> Option<Members> {
    has_type(headers, "application/json").then_some(())?;
    let listing: Listing = serde_json::from_slice(body).ok()?;
    let keys: Vec<_> = listing.members.iter().map(|key| StoreKey::new(key).ok()).collect::<Option<_>>()?;
    (keys.len() as u64 <= listing.total).then_some(Members { keys, total: listing.total })
}

fn has_type(headers: &HeaderMap, expected: &str) -> bool {
    const TYPE: HeaderName = header::CONTENT_TYPE;
    single(headers, TYPE.as_str()).is_some_and(|found| found.eq_ignore_ascii_case(expected))
}

fn fault(headers: &HeaderMap) -> Fault {
    single(headers, protocol::FAULT).and_then(protocol::parse_fault).unwrap_or(Fault::Unavailable)
}

/// Returns the word of a refusal, which is one of the service's own and repeats nothing of the request.
fn refusal(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let is_word = |word: &String| word.len() <= MAX_WORD && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let word = serde_json::from_slice(body).ok().map(|refusal: Refusal| refusal.error).filter(is_word);
    word.unwrap_or_else(|| "refused".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::{error::Error as _, time::Duration};

    use bytes::Bytes;
    use cloakroom_core::{OpKind, Outcome, Version};
    use cloakroom_store::{Fault, StoreError};
    use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

    use super::read;

    const WRITES: [OpKind; 6] =
        [OpKind::Create, OpKind::Enroll, OpKind::Remove, OpKind::Replace, OpKind::Touch, OpKind::Unenroll];

    fn answer(op: OpKind, status: u16, headers: &[(&str, &str)], body: &str) -> Result<Outcome, StoreError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        read(op, StatusCode::from_u16(status).unwrap(), &map, Bytes::copy_from_slice(body.as_bytes()))
    }

    const FOUND: [(&str, &str); 4] = [
        ("cloakroom-outcome", "found"),
        ("cloakroom-ttl", "1500"),
        ("etag", "\"v\""),
        ("content-type", "application/octet-stream"),
    ];

    #[test]
    fn what_was_found_has_value_version_and_time() {
        let Outcome::Found(found) = answer(OpKind::Load, 200, &FOUND, "abc").unwrap() else { panic!() };
        assert_eq!(found.value.as_bytes(), b"abc");
        assert_eq!(found.version, Version::from_bytes(&b"v"[..]));
        assert_eq!(found.expires_in, Some(Duration::from_millis(1500)));
        let mut forever = FOUND;
        forever[1].1 = "none";
        let Outcome::Found(found) = answer(OpKind::Load, 200, &forever, "").unwrap() else { panic!() };
        assert_eq!(found.expires_in, None);
    }

    #[test]
    fn what_lacks_a_part_is_not_believed() {
        for missing in 0..FOUND.len() {
            let mut headers = FOUND.to_vec();
            headers.remove(missing);
            assert!(answer(OpKind::Load, 200, &headers, "abc").is_err(), "{headers:?}");
        }
        for (index, value) in [(1, "-1"), (1, "1.5"), (2, "v"), (2, "W/\"v\""), (2, "\"\""), (3, "text/html")] {
            let mut headers = FOUND;
            headers[index].1 = value;
            assert!(answer(OpKind::Load, 200, &headers, "abc").is_err(), "{headers:?}");
        }
        for twice in FOUND {
            let headers = [&FOUND[..], &[twice]].concat();
            assert!(answer(OpKind::Load, 200, &headers, "abc").is_err(), "{headers:?}");
        }
        let packed = [&FOUND[..], &[("content-encoding", "gzip")]].concat();
        assert!(answer(OpKind::Load, 200, &packed, "abc").is_err());
    }

    #[test]
    fn the_answer_of_somebody_between_proves_nothing() {
        for status in [200, 201, 204, 301, 400, 401, 403, 404, 409, 412, 413, 429, 500, 502, 503, 504] {
            for op in WRITES {
                assert!(answer(op, status, &[], "<html>").unwrap_err().may_have_happened(), "{op:?} {status}");
            }
            for op in [OpKind::List, OpKind::Load] {
                assert!(!answer(op, status, &[], "<html>").unwrap_err().may_have_happened(), "{op:?} {status}");
            }
        }
        assert_eq!(answer(OpKind::Load, 502, &[], "").unwrap_err().fault(), Fault::Unavailable);
        assert_eq!(answer(OpKind::Load, 404, &[], "").unwrap_err().fault(), Fault::Refused);
    }

    #[test]
    fn an_outcome_counts_with_its_status_and_operation_alone() {
        let absent = [("cloakroom-outcome", "absent")];
        assert_eq!(answer(OpKind::Load, 404, &absent, "").unwrap(), Outcome::Absent);
        assert!(answer(OpKind::Load, 200, &absent, "").is_err());
        assert!(answer(OpKind::Create, 404, &absent, "").unwrap_err().may_have_happened());
        let exists = [("cloakroom-outcome", "exists")];
        assert_eq!(answer(OpKind::Create, 412, &exists, "").unwrap(), Outcome::Exists);
        assert!(answer(OpKind::Replace, 412, &exists, "").is_err());
        let conflict = [("cloakroom-outcome", "conflict")];
        assert_eq!(answer(OpKind::Touch, 412, &conflict, "").unwrap(), Outcome::Conflict(None));
        assert!(answer(OpKind::Touch, 409, &conflict, "").is_err());
        let done = [("cloakroom-outcome", "done")];
        assert_eq!(answer(OpKind::Remove, 204, &done, "").unwrap(), Outcome::Removed);
        assert!(answer(OpKind::Replace, 204, &done, "").unwrap_err().may_have_happened(), "no version");
    }

    #[test]
    fn the_service_says_whether_it_may_have_happened() {
        for op in WRITES {
            let failed = [("cloakroom-outcome", "failed"), ("cloakroom-fault", "full")];
            let error = answer(op, 503, &failed, "").unwrap_err();
            assert!(!error.may_have_happened() && error.fault() == Fault::Full, "{error:?}");
            let unknown = [("cloakroom-outcome", "unknown"), ("cloakroom-fault", "timed-out")];
            let error = answer(op, 504, &unknown, "").unwrap_err();
            assert!(error.may_have_happened() && error.fault() == Fault::TimedOut, "{error:?}");
            let refused = [("cloakroom-outcome", "refused")];
            let error = answer(op, 401, &refused, "{\"error\":\"unauthorized\"}").unwrap_err();
            assert!(!error.may_have_happened() && error.fault() == Fault::Refused, "{error:?}");
            let words = error.source().unwrap().to_string();
            assert_eq!(words, "the service answered 401: unauthorized");
        }
    }

    #[test]
    fn a_word_that_is_none_is_not_passed_on() {
        let refused = [("cloakroom-outcome", "refused")];
        for body in
            ["{\"error\":\"Key abc\"}", "{\"error\":1}", "key", &format!("{{\"error\":\"{}\"}}", "a".repeat(33))]
        {
            let error = answer(OpKind::Create, 400, &refused, body).unwrap_err();
            assert_eq!(error.source().unwrap().to_string(), "the service answered 400: refused");
        }
    }

    #[test]
    fn a_listing_has_keys_and_no_more_than_there_are() {
        let listed = [("cloakroom-outcome", "listed"), ("content-type", "application/json")];
        let read = |body: &str| answer(OpKind::List, 200, &listed, body);
        let Outcome::Listed(members) = read("{\"members\":[\"a\",\"b\"],\"total\":3}").unwrap() else { panic!() };
        assert_eq!((members.keys.len(), members.total), (2, 3));
        for body in ["", "{}", "{\"members\":[\"a\",\"b\"],\"total\":1}", "{\"members\":[\"a b\"],\"total\":1}"] {
            assert!(read(body).is_err(), "{body}");
        }
    }
}
