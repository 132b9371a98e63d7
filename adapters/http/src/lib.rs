//! Cloakroom's sessions behind an HTTP service, on any runtime.
//!
//! ```no_run
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! use cloakroom_core::Keyring;
//! use cloakroom_http::HttpConfig;
//! use cloakroom_smol::Smol;
//! use cloakroom_store::{KeyringExt, Sessions};
//!
//! let store = HttpConfig::new("https://sessions.example")?.token(&std::env::var("SESSIONS_TOKEN")?)?.connect(Smol).await?;
//! let sessions = Sessions::new(Keyring::from_env("SESSION_KEYS")?, store, Smol);
//! # Ok(()) }
//! ```
//!
//! The service is `cloakroom serve`, in front of any store, or another that speaks as the next part says. It is for applications
//! in other languages, and for those that must not reach the store itself.
//!
//! # The protocol
//!
//! A value is bytes under `{base}/sessions/{key}`; the key is percent-encoded. Its version is a strong `ETag`, its time to
//! live `Cloakroom-TTL` in milliseconds (`none` for what never expires). Every write is on condition of a version:
//!
//! | operation | request | done |
//! |---|---|---|
//! | load | `GET` | `200 found`: value, `ETag`, `Cloakroom-TTL` |
//! | create | `PUT`, `If-None-Match: *`, `Cloakroom-TTL`, value | `201 done`: `ETag` |
//! | replace | `PUT`, `If-Match`, `Cloakroom-TTL`, value | `204 done`: `ETag` |
//! | touch | `PATCH`, `If-Match`, `Cloakroom-TTL`, the value as it was read | `204 done`: `ETag` |
//! | remove | `DELETE`, `If-Match` | `204 done` |
//! | enroll | `PUT {base}/indexes/{index}/members/{member}`, `Cloakroom-TTL` | `204 done` |
//! | unenroll | `DELETE` of the same | `204 done` |
//! | list | `GET {base}/indexes/{index}/members?limit=..` | `200 listed`: `{"members":[..],"total":..}` |
//!
//! A touch without a body has the service read the value itself, at the cost of one operation more; with one, it must be what
//! was read: a store that touches by rewriting writes it. The word behind the status stands in the header
//! `Cloakroom-Outcome`. The other outcomes:
//!
//! | answer | what it means |
//! |---|---|
//! | `404 absent` | nothing is under the key |
//! | `409 conflict` | another version is there, and comes along: value, `ETag`, `Cloakroom-TTL` |
//! | `412 conflict` | another version is there, which the store does not bring |
//! | `412 exists` | a create found something |
//! | `501 unsupported` | the store keeps no indexes |
//! | `503 failed` | the store failed, and nothing happened; `Cloakroom-Fault` says whose fault it was |
//! | `504 unknown` | the store failed: it happened, did not, or will happen later; `Cloakroom-Fault` likewise |
//! | `4xx refused` | the request never reached the store: 400 malformed, 401 no token, 404 no such path, 405, 408, 413, 421, 428 no condition; and 431, a head that is too large, without a word |
//!
//! An answer whose status and word are no row of these tables is none of the service's: a proxy's, or that of another server. It
//! proves nothing; a `404` without its word is no absent session. [`answer::read`] is all of it, a pure function.
//!
//! # Round trips
//!
//! One for each operation, over a connection that is kept for the next request: one request at a time on each, up to
//! [`HttpConfig::connections`]. A conflict brings what is there. Nothing is sent while nobody asks. Over a store whose versions
//! are the values (Redis) the service tells a digest of them, and reads what is there before each conditional write: one more
//! operation on the store, none more here.
//!
//! # What the service must do
//!
//! That an end is final and no update is lost holds as long as the store behind the service keeps what it acknowledged: see its
//! page. The service adds nothing to lose. Several services may stand in front of one store.
//!
//! What is between must pass `Cloakroom-` headers, `ETag`, `If-Match` and bodies as they are, keep no answer, and try no
//! request again: a write that is tried again conflicts with itself. A key opens no session, but paths have it: logs between do too.
//!
//! # Faults
//!
//! Every operation has a deadline, connecting included; let it be longer than the service's own (`--deadline`), whose answer says more than
//! silence. A connection that timed out, broke, or whose request was dropped is closed and never used again, and what else was
//! open with it, where it was silent for long. After an attempt to connect that failed, operations fail at once for 50 ms, then for
//! longer, up to half a second.
//!
//! A request of which no byte was sent goes over another connection. One that was sent is sent again only if it reads, and
//! once; a write is [`unknown`](cloakroom_store::StoreError::unknown) then, unless the service said that it
//! [`failed`](cloakroom_store::StoreError::failed).
//!
//! # Secrets
//!
//! The token is set apart from the URL, which takes none. Neither it, nor a key or value, is in `Debug` or an error. Without
//! `https://` whoever is on the network between reads the token and the sessions, or writes others:
//! [`SealedCodec`](cloakroom_core::SealedCodec) is against reading and forging, not against removal.
//!
//! # Runtimes
//!
//! The connection is the runtime's own, the protocol that of hyper. No runtime is started or guessed.

#![forbid(unsafe_code)]

pub mod answer;
mod config;
mod connection;
mod env;
mod failure;
mod io;
mod pool;
pub mod protocol;
mod request;
mod store;
mod url;

pub use futures_rustls::rustls;

pub use self::{
    config::{ConnectError, HttpConfig, HttpConfigError},
    store::HttpStore,
};
