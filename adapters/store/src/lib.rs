//! Sessions over a store, on any async runtime.
//!
//! [`Sessions`] joins an [`Engine`](cloakroom_core::Engine), a [`Store`] and a [`Runtime`](cloakroom_runtime::Runtime);
//! [`Session`] is the handle that a request's code holds. Web glue opens one for each request and commits it before the
//! response's headers leave:
//!
//! ```
//! # use std::{sync::Arc, time::{Duration, SystemTime}};
//! use cloakroom_core::{Keyring, RequestInfo};
//! use cloakroom_store::{Finish, MemoryStore, Session, SessionError, Sessions, StoreFailure};
//! # use cloakroom_tokio::Tokio;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ring: Keyring = "1:primary:b2xkLfqXkm3PJVTVE_Ec7PZUR8w8ugMvAfqTKmlWcBw".parse()?;
//! let sessions = Sessions::new(ring, MemoryStore::new(Tokio), Tokio);
//!
//! let session = sessions.open([], &RequestInfo::new(), StoreFailure::Refuse);
//! let visits = session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1).await?;
//! assert_eq!(visits, 1);
//!
//! let report = Session::commit(&session, Finish::Keep).await;
//! assert!(report.result().is_ok());
//! assert_eq!(report.headers().next().map(|(name, _)| name), Some("set-cookie"));
//! # Ok(()) }
//! ```
//!
//! [`MemoryStore`] is a store; others are crates. [`MovingStore`] moves live traffic from one store to another, and says why
//! there is no cache in front of a store. [`NullStore`] is none: sessions are off.

#![forbid(unsafe_code)]

#[doc = include_str!("cookie_held.md")]
pub mod cookie_held {}
mod cookie_only;
mod counters;
mod directory;
mod driver;
mod entropy;
mod error;
mod keyring;
mod memory;
mod moving;
mod null;
mod report;
mod session;
mod session_error;
mod sessions;
mod store;
mod turns;
mod users;
mod words;

pub use self::{
    cookie_only::CookieOnly,
    counters::Counters,
    directory::{Directory, DynDirectory},
    error::{Fault, StoreError},
    keyring::{KeyringExt, KeyringReadError},
    memory::{MemoryMetrics, MemoryStore, MemoryStoreBuilder},
    moving::MovingStore,
    null::NullStore,
    report::{OpLog, Report},
    session::{Commit, Finish, Flash, Session},
    session_error::SessionError,
    sessions::{Sessions, SessionsBuilder, StoreFailure},
    store::{Created, DynStore, Removed, Store, Written},
    users::UserSessions,
};
