//! The bodies of the fuzz targets: each takes any bytes and panics when an invariant is broken.
//!
//! `fuzz_targets/` hands them to libFuzzer, and `tests/tests/corpus.rs` takes in this file to replay the corpus on stable.

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a panic is how a fuzz target reports"
)]

mod cookie_header;
mod entry;
mod forwarded;
mod held_cookie;
mod http_answer;
mod machine;
mod memcached_wire;
mod record;
mod redb_rows;
mod redis_url;
mod redis_wire;
mod reference;
mod set_cookie;
mod token;

use cloakroom_core::Keyring;

pub use self::{
    cookie_header::cookie_header, forwarded::forwarded, held_cookie::held_cookie, http_answer::http_answer,
    machine::machine, memcached_wire::memcached_wire, record::record, redb_rows::redb_rows, redis_url::redis_url,
    redis_wire::redis_wire, set_cookie::set_cookie, token::token,
};

/// A fuzz target by its name, which is also that of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 12] = [
    ("cookie_header", cookie_header),
    ("forwarded", forwarded),
    ("held_cookie", held_cookie),
    ("http_answer", http_answer),
    ("machine", machine),
    ("memcached_wire", memcached_wire),
    ("record", record),
    ("redb_rows", redb_rows),
    ("redis_url", redis_url),
    ("redis_wire", redis_wire),
    ("set_cookie", set_cookie),
    ("token", token),
];

/// A ring of two keys, of which 1 or 2 signs; the keys guard nothing.
fn ring(primary: u8) -> Keyring {
    let role = |id| if id == primary { "primary" } else { "accept" };
    let (one, two) = (role(1), role(2));
    format!(
        "1:{one}:{}, 2:{two}:{}",
        "b2xkLfqXkm3PJVTVE_Ec7PZUR8w8ugMvAfqTKmlWcBw", "bmV3LZIvWKNo4vJ8RFUlWsEAW0Al5iXgbDBzCkeVLzk"
    )
    .parse()
    .expect("a ring")
}

/// Takes the next eight bytes, or as many as there are, as a number.
fn number(data: &mut &[u8]) -> u64 {
    let (head, rest) = data.split_at(data.len().min(8));
    *data = rest;
    head.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}
