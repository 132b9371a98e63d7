mod input;

use arbitrary::{Arbitrary, Unstructured};
use cloakroom_core::{
    OpKind::{Create, Enroll, List, Load, Remove, Replace, Touch, Unenroll},
    Outcome, Stored,
};
use cloakroom_http::{answer, protocol};
use http::{HeaderMap, StatusCode};

use self::input::Input;

/// Whatever comes is the outcome that status and word say together, or an error; and only the service's own word proves that
/// a write did not happen.
pub fn http_answer(data: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let (op, status, headers) = (input.op(), input.status(), input.headers());
    let lines: Vec<_> = headers.get_all(protocol::OUTCOME).iter().collect();
    let word = if let [line] = lines[..] { line.to_str().unwrap_or_default() } else { "" };
    let read = answer::read(op, StatusCode::from_u16(status).expect("a status"), &headers, input.body.to_vec().into());
    match (read, op, status, word) {
        (Ok(Outcome::Found(found)), Load, 200, "found")
        | (Ok(Outcome::Conflict(Some(found))), Remove | Replace | Touch, 409, "conflict") => {
            assert_eq!(found.value.as_bytes(), input.body);
            as_the_headers_say(&found, &headers);
        }
        (Ok(Outcome::Done(version)), Create, 201, "done")
        | (Ok(Outcome::Done(version)), Replace | Touch, 204, "done") => {
            assert!(version.as_bytes().is_some_and(protocol::is_etag), "it can be sent back");
        }
        (Ok(Outcome::Listed(members)), List, 200, "listed") => {
            assert!(members.keys.len() as u64 <= members.total, "there are fewer than are listed");
        }
        (Ok(Outcome::Absent), Load | Remove | Replace | Touch, 404, "absent")
        | (Ok(Outcome::Conflict(None)), Remove | Replace | Touch, 412, "conflict")
        | (Ok(Outcome::Exists), Create, 412, "exists")
        | (Ok(Outcome::Indexed), Enroll | Unenroll, 204, "done")
        | (Ok(Outcome::Removed), Remove, 204, "done")
        | (Ok(Outcome::Unsupported), Enroll | List | Unenroll, 501, "unsupported") => {}
        (Ok(outcome), ..) => panic!("{op:?}, {status}, {word:?} is no {outcome:?}"),
        (Err(error), ..) => {
            let is_proof = matches!((status, word), (503, "failed") | (400..=499, "refused"));
            let may_have_happened = !is_proof && !matches!(op, List | Load);
            assert_eq!(error.may_have_happened(), may_have_happened, "{op:?}, {status}, {word:?}");
        }
    }
}

/// Version and time are those of the only lines that there are.
fn as_the_headers_say(found: &Stored, headers: &HeaderMap) {
    let etag = found.version.as_bytes().expect("bytes");
    assert!(protocol::is_etag(etag), "it can be sent back");
    assert_eq!(headers["etag"].as_bytes(), [b"\"", etag, b"\""].concat());
    let left = found.expires_in.map_or_else(|| protocol::FOREVER.to_owned(), |left| left.as_millis().to_string());
    assert_eq!(headers[protocol::TTL].as_bytes(), left.as_bytes());
    for name in ["etag", protocol::TTL] {
        assert_eq!(headers.get_all(name).iter().count(), 1, "two lines of {name}");
    }
    assert!(!headers.contains_key("content-encoding"), "bytes that somebody packed");
}
