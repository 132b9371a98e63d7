//! Web sessions as a pure state machine.

#![forbid(unsafe_code)]

mod codec;
mod commit;
pub mod cookie;
mod data;
mod edits;
mod engine;
mod entropy;
mod event;
mod id;
mod json;
mod key_scheme;
mod keyring;
mod lifetime;
pub mod limits;
mod loaded;
mod op;
mod protocol;
mod record;
mod request;
mod sealed;
mod session;
mod step;
mod time;
mod token;
mod value;

pub use self::{
    codec::{Codec, DecodeError, EncodeError, JsonCodec},
    cookie::{CookieError, CookieName, CookiePolicy, InvalidCookieName, SameSite},
    data::Data,
    edits::{EditError, ReplayError},
    engine::{ConfigError, Engine, EngineBuilder},
    entropy::{Entropy, EntropyError},
    event::{Event, Events},
    id::{Handle, InvalidStoreKey, SessionId, StoreKey},
    json::Json,
    key_scheme::{HashedKeys, KeyScheme},
    keyring::{Key, KeyId, Keyring, KeyringError},
    lifetime::Lifetime,
    loaded::Loaded,
    op::{Op, OpKind, Outcome},
    record::{EndCause, Ended, Entry, Moved, Nonce, Nonces, Record, Unknown},
    request::RequestInfo,
    sealed::SealedCodec,
    session::{Access, Load, LoadError, Session},
    step::{CommitError, CookieChange, Done, End, Io, Step},
    time::UnixTime,
    token::{Refusal, SignedTokens, TokenScheme, Verified},
    value::{Stored, Value, Version},
};
