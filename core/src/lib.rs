//! Web sessions as a pure state machine: no I/O, no clock, no randomness, no async.
//!
//! A server hands over a request's `Cookie` lines, what it loads, the time and random bytes; the machine decides which
//! cookie is ours, what to load, what changed, what to write and which `Set-Cookie` to send. It runs under every runtime
//! and without one. Most applications take a runtime adapter with glue for their framework instead; this crate is for
//! those who embed the machine in a server of their own, or want to see what they trust.
//!
//! # The states of a request
//!
//! * **Unopened**: [`Engine::open`] noted the cookies of our name. Nothing is checked, loaded or allocated.
//! * **Loading**: somebody called [`Session::access`]; the tags of the tickets are valid, and [`Load`] names a key to
//!   load. It borrows the session, so that nothing else can happen meanwhile.
//! * **Ready**: [`Loaded`] reads and changes the data. It keeps the edits, to do them again over what others wrote.
//! * **Writing**: [`Session::commit`] gave an [`Io`] with an operation for the store; its outcome leads to the next.
//! * **Done**: the [`Verdict`], the only place where the cookie can be had. [`Session::settled`] has it where there is nothing to
//!   write.
//!
//! ```text
//! Engine::open ──► Session ──access──► Load ──supply──► Loaded
//!                     │      ◄──────────────────────────────┘
//!                   commit ──► Step::Io ──resume──► Step::Io … ──► Step::Done ──► headers
//!                     │                                               │
//!                     └──────── nothing to write ─────────────────────┘
//! ```
//!
//! # Example
//!
//! ```
//! use cloakroom_core::{
//!     Access, Engine, Entropy, EntropyError, Keyring, Op, Outcome, RequestInfo, Step, UnixTime, Version,
//! };
//!
//! /// The operating system's randomness in real life.
//! struct Random(u8);
//! impl Entropy for Random {
//!     fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
//!         bytes.fill_with(|| { self.0 = self.0.wrapping_mul(5).wrapping_add(37); self.0 });
//!         Ok(())
//!     }
//! }
//!
//! // -------- Engine: once, for all requests --------
//! let ring: Keyring = "1:primary:b2xkLfqXkm3PJVTVE_Ec7PZUR8w8ugMvAfqTKmlWcBw".parse()?;
//! let engine = Engine::new(ring);
//! let now = UnixTime::from_millis(1_800_000_000_000);
//!
//! // -------- Unopened: the request came without a cookie --------
//! let mut session = engine.open([], &RequestInfo::new().method("POST"));
//!
//! // -------- Ready: without a ticket there is nothing to load --------
//! let Access::Ready(loaded) = session.access() else { unreachable!() };
//! loaded.insert("cart", &["umbrella"])?;
//!
//! // -------- Writing: the machine asks, the server does --------
//! let Step::Io(io) = session.commit(now, &mut Random(1)) else { unreachable!() };
//! assert!(matches!(io.op(), Op::Create { .. }));
//! let step = io.resume(Outcome::Done(Version::from_u64(1)), now);
//!
//! // -------- Done: the record is stored, so there is a cookie to send --------
//! let Step::Done(done) = step else { unreachable!() };
//! assert_eq!(done.result(), Ok(()));
//! let (name, line) = done.headers().next().unwrap();
//! assert_eq!(name, "set-cookie");
//! assert!(line.starts_with("__Host-id=") && line.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `examples/blocking.rs` is a whole server on threads.
//!
//! # What holds
//!
//! * **Logout is final.** Once an end is acknowledged, no ticket of the session or of its renewals ever loads data.
//! * **No lost updates.** The edits of every acknowledged commit are in the record exactly once. Nothing is written
//!   without a condition, and edits are done again over what others wrote.
//! * **Minted only.** A key is derived from a ticket only after its tag was checked.
//! * **Honest cookies.** A ticket is set for a stored record only, and removed only by the request that ended it.
//!
//! They assume a store that does not drop acknowledged writes; each store says whether it is one. And no server can
//! close two gaps: a renewal's `Set-Cookie` that overtakes a login's on its way, and two requests without a cookie that
//! each make a session; both end with the visitor in one of the sessions or signed out, never as someone else.
//!
//! # Why
//!
//! * **Why is there no unconditional write?** A slow request that writes what it loaded brings an ended session back, or
//!   undoes what another request did. Every write names the version that it replaces.
//! * **Why is a session not simply deleted?** A renewal that is under way would find nothing, and its new record would
//!   live on. A tombstone tells it, and everybody else, that the session ended.
//! * **Why do edits keep their functions?** Two requests that both load 5 and store 6 lose an update. The one that comes
//!   second is asked again, with 6.
//! * **Why does the time to live do idle expiry?** Reads then write nothing until a fifth of the idle time is used up,
//!   and an idle session costs its store nothing. The absolute deadline is in the record, where no store can lose it.
//! * **Why is a bad cookie no error?** Anybody can send one. It is an absent session, and an [`Event`] to count.
//! * **Why are there three types of identifiers?** A [`SessionId`] opens a session, a [`StoreKey`] finds it in a store,
//!   a [`Handle`] names it in a list. Whoever learns one must not gain another.

#![forbid(unsafe_code)]

mod binding;
pub mod cookie;
mod csrf;
mod data;
mod edits;
mod engine;
mod entropy;
mod event;
pub mod forwarded;
#[doc = include_str!("how_we_know.md")]
pub mod how_we_know {}
mod held;
mod id;
mod json;
mod keyring;
mod lifetime;
pub mod limits;
mod loaded;
mod login;
mod machine;
mod macs;
mod op;
mod principal;
mod record;
mod request;
mod roster;
mod session;
mod step;
mod time;
mod value;
mod verdict;
mod wire;
mod words;

pub use self::{
    binding::{Binding, Bound, Mismatch},
    cookie::{CookieError, CookieName, CookiePolicy, InvalidCookieName, SameSite},
    data::Data,
    edits::{EditError, ReplayError},
    engine::{ConfigError, Engine, EngineBuilder},
    entropy::{Entropy, EntropyError},
    event::{Event, Events},
    forwarded::{AddressError, ForwardedHeader, TrustedProxies},
    held::CookieHeld,
    id::{Handle, InvalidHandle, InvalidStoreKey, SessionId, StoreKey},
    json::Json,
    keyring::{Key, KeyId, Keyring, KeyringError},
    lifetime::Lifetime,
    loaded::Loaded,
    login::{Excess, Login},
    op::{Members, Op, OpKind, Outcome},
    principal::{Label, Principal, SignIn},
    record::{EndCause, Ended, Entry, Moved, Nonce, Nonces, Record, Unknown},
    request::RequestInfo,
    roster::{Listed, RosterError, RosterIo, RosterStep, Which},
    session::{Access, Load, LoadError, Session},
    step::{Biggest, CommitError, Done, End, Io, Step},
    time::UnixTime,
    value::{Stored, Value, Version},
    verdict::{CookieChange, Verdict},
    wire::{
        codec::{Codec, DecodeError, EncodeError, JsonCodec},
        key_scheme::{HashedKeys, KeyScheme},
        sealed::SealedCodec,
        token::{Refusal, SignedTokens, TokenScheme, Verified},
    },
};
