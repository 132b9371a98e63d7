//! Web sessions for axum, hyper and everything else that speaks tower.

#![forbid(unsafe_code)]

mod error;
mod failure;
mod future;
mod headers;
mod layer;
mod refusal;
mod session;
mod trace;

pub use cloakroom_core::{
    CookieName, CookiePolicy, Engine, EngineBuilder, Key, KeyId, Keyring, Lifetime, SameSite, UnixTime,
};
pub use cloakroom_store::{KeyringExt, MemoryStore, Sessions, Store, StoreFailure};

pub use self::{
    error::SessionError,
    failure::{OnStoreFailure, StoreFailureLayer},
    future::ResponseFuture,
    layer::{SessionLayer, SessionService},
    refusal::{Refusal, StatusOnly},
    session::{Main, MissingLayer, Session, SessionName},
    trace::SessionTrace,
};
