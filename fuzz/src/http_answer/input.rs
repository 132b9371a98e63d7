use arbitrary::Arbitrary;
use cloakroom_core::OpKind;
use cloakroom_http::protocol;
use http::{HeaderMap, HeaderName, HeaderValue};

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
const STATUSES: [u16; 12] = [200, 201, 204, 302, 401, 404, 409, 412, 501, 502, 503, 504];
const NAMES: [&str; 6] =
    [protocol::OUTCOME, protocol::TTL, protocol::FAULT, "etag", "content-type", "content-encoding"];
const WORDS: [&str; 14] = [
    "absent",
    "conflict",
    "done",
    "exists",
    "failed",
    "found",
    "listed",
    "refused",
    "unknown",
    "unsupported",
    "application/octet-stream",
    "application/json",
    "\"v\"",
    "none",
];

#[derive(Arbitrary)]
pub(super) struct Input<'a> {
    op: u8,
    status: u8,
    headers: Vec<(u8, Text<'a>)>,
    pub(super) body: &'a [u8],
}

#[derive(Arbitrary)]
enum Text<'a> {
    Number(u64),
    Raw(&'a [u8]),
    Word(u8),
}

impl Input<'_> {
    pub(super) fn op(&self) -> OpKind {
        OPS[usize::from(self.op) % OPS.len()]
    }

    pub(super) fn status(&self) -> u16 {
        STATUSES[usize::from(self.status) % STATUSES.len()]
    }

    pub(super) fn headers(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, text) in &self.headers {
            let value = match text {
                Text::Number(number) => Ok(HeaderValue::from(*number)),
                Text::Raw(bytes) => HeaderValue::from_bytes(bytes),
                Text::Word(word) => HeaderValue::from_str(WORDS[usize::from(*word) % WORDS.len()]),
            };
            let name = HeaderName::from_static(NAMES[usize::from(*name) % NAMES.len()]);
            if let Ok(value) = value {
                map.append(name, value);
            }
        }
        map
    }
}
