//! Web sessions for axum, hyper and everything else that speaks tower, on any runtime and store.
//!
//! ```rust
//! use axum::{Router, routing::get};
//! use cloakroom_tokio::Tokio;
//! use cloakroom_tower::{Keyring, KeyringExt, MemoryStore, Session, SessionError, SessionLayer, Sessions};
//!
//! fn app() -> Result<Router, Box<dyn std::error::Error>> {
//!     let sessions = Sessions::new(Keyring::from_env("SESSION_KEYS")?, MemoryStore::new(Tokio), Tokio);
//!     Ok(Router::new().route("/", get(visits)).layer(SessionLayer::new(sessions)))
//! }
//!
//! async fn visits(session: Session) -> Result<String, SessionError> {
//!     let n = session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1).await?;
//!     Ok(format!("visit {n}"))
//! }
//! ```
//!
//! The browser holds a ticket that only we can print, the store holds the coat. A pure state machine decides everything
//! about a session; the glue around it only does what it asks.
//!
//! * **Logout is final.** No interleaving of requests, faults and renewals brings an ended session back.
//! * **No lost updates.** Two requests that change one session at the same time both keep their changes, key by key;
//!   concurrent increments all count.
//! * **An id that we did not mint costs nothing.** It is refused by its signature, before any store sees it.
//! * **Quiet.** A request that never touches its session costs no store operation, no `Set-Cookie` and no `Vary`.
//! * **Honest.** A ticket is set only for a stored record, and a response never tells of success what is not stored.
//! * **Safe by default.** `__Host-id; Secure; HttpOnly; SameSite=Lax`, ids that no store ever sees, idle and absolute
//!   timeout, keys that rotate, a store that is down is a 503 and never an empty session.
//!
//! # In a handler
//!
//! [`Session`] is an extractor; [`Session::find`] gives it to services that are not axum handlers. Its methods come from
//! [`cloakroom_store::Session`]: `get`, `insert`, `remove`, `update`, `clear`, `rotate`, `destroy`, `save` and more. The
//! first of them loads, once; what they change is stored before the response's headers leave.
//!
//! # Signing in
//!
//! Who signs in gets a new session, and the old ticket opens nothing. The page [`accounts`] has the rest: signing out,
//! devices, fresh proof before sensitive steps, limits, and what is done against forgery and theft.
//!
//! ```
//! use axum::{Router, routing::{get, post}};
//! use cloakroom_tower::{Login, Principal, RequireLogin, Session, SessionError};
//!
//! async fn sign_in(session: Session) -> Result<(), SessionError> {
//!     let user: u64 = 7; // whose password was checked
//!     Ok(session.login(&user, Login::new()).await?)
//! }
//!
//! let inside = Router::new()
//!     .route("/", get(|user: Principal<u64>| async move { format!("user {}", *user) }))
//!     .route_layer(RequireLogin::new());
//! let app: Router = Router::new().route("/login", post(sign_in)).merge(inside);
//! ```
//!
//! # Settings
//!
//! [`Engine::builder`] has those of the session: cookie, lifetimes, renewal, codec. [`Sessions::builder`] joins an engine
//! to a store and a runtime, and [`SessionLayer`] has those of the glue. Several sessions side by side differ by a marker
//! type, each with an engine of its own:
//!
//! ```
//! use std::time::Duration;
//!
//! use axum::{Router, routing::get};
//! use cloakroom_tokio::Tokio;
//! use cloakroom_tower::{
//!     CookiePolicy, Engine, KeyId, Keyring, KeyringExt, Lifetime, MemoryStore, Session, SessionError, SessionLayer,
//!     SessionName, Sessions,
//! };
//!
//! #[derive(Clone, Copy, Debug)]
//! struct Admin;
//! impl SessionName for Admin {}
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ring = Keyring::generate(KeyId::new(1))?;
//! let store = MemoryStore::new(Tokio);
//! let admin = Engine::builder(ring.clone())
//!     .name("admin")
//!     .cookie(CookiePolicy::named("__Host-admin".parse()?))
//!     .lifetime(Lifetime::new(Duration::from_secs(5 * 60), Duration::from_secs(60 * 60)))
//!     .build()?;
//! let app: Router = Router::new()
//!     .route("/", get(both))
//!     .layer(SessionLayer::new(Sessions::new(ring, store.clone(), Tokio)))
//!     .layer(SessionLayer::<Admin>::named(Sessions::builder(admin, store, Tokio).build()));
//!
//! async fn both(main: Session, admin: Session<Admin>) -> Result<String, SessionError> {
//!     Ok(format!("{} {}", main.is_new().await?, admin.is_new().await?))
//! }
//! # Ok(()) }
//! ```
//!
//! # What a response tells
//!
//! | what happened | response |
//! |---|---|
//! | all is stored | the handler's |
//! | the handler answered 5xx | the handler's; edits are dropped, an end is not |
//! | the store is down | 503, or the handler's where [`StoreFailure::ServeWithout`] is set and nothing was written |
//! | an end is not known to be stored | 503 |
//! | the session ended meanwhile, or too many others changed it | 409 |
//! | tickets of several live sessions came together, and something was asked of it | 409 |
//! | a value is of another type than the handler asked for | 500 |
//! | the session's record would be too large | 413 |
//! | a cross-site request without our cookie wrote | 403 |
//! | nobody is signed in where somebody must be | 401, or 303 to the login page |
//! | the user has as many sessions as allowed | 403 |
//! | no session of the user has the handle | 404 |
//! | the user's sessions were to be listed, limited, or ended together or by handle, and the store keeps no index of them | 501 |
//!
//! Three give these answers, and each says `Cache-Control: no-store` where it is not the handler's own:
//!
//! * **The layer**, where the handler's response must not go out: what the request did could not be stored when the handler
//!   was done, or the store was down and the handler answered as if it were not. [`SessionLayer::refusal`] makes these look
//!   like the application's.
//! * **The handler** that passes on with `?` what a method of the session failed with: the 503 of a store that was down for
//!   the load, the 500, what [`save`](cloakroom_store::Session::save) could not store. [`SessionError`] is a status and
//!   its words in plain text. For another look, such handlers return an error type of the application's that is made from it.
//! * **[`Principal`] and [`RequireLogin`]**, which let no handler be called: 401, 303, or the 503. A handler that takes
//!   `Result<Principal<U>, LoginRejection>` answers itself.
//!
//! ```
//! use axum::{http::StatusCode, response::{Html, IntoResponse, Response}};
//! use cloakroom_tower::{Session, SessionError, SessionLayer, Sessions, cloakroom_store};
//!
//! /// What goes wrong in this application, as a page.
//! struct Failure(StatusCode);
//!
//! impl From<cloakroom_store::SessionError> for Failure {
//!     fn from(error: cloakroom_store::SessionError) -> Self {
//!         Self(SessionError::from(error).status())
//!     }
//! }
//!
//! impl IntoResponse for Failure {
//!     fn into_response(self) -> Response {
//!         (self.0, [("cache-control", "no-store")], Html(format!("<h1>{}</h1>", self.0))).into_response()
//!     }
//! }
//!
//! async fn visits(session: Session) -> Result<String, Failure> {
//!     Ok(format!("visit {}", session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1).await?))
//! }
//!
//! # fn app(sessions: Sessions) -> axum::Router {
//! let layer = SessionLayer::new(sessions).refusal(|status, _: &SessionError| Failure(status).into_response());
//! # axum::Router::new().route("/", axum::routing::get(visits)).layer(layer)
//! # }
//! ```
//!
//! What was noticed goes to `tracing`, target `cloakroom`, to [`Sessions::counters`], and, for the services around the layer, as
//! [`SessionTrace`] into the response's extensions where [`SessionLayer::trace_responses`] asks for it.

#![forbid(unsafe_code)]

#[doc = include_str!("accounts.md")]
pub mod accounts {}
mod address;
mod csrf;
mod error;
mod failure;
mod future;
mod headers;
mod layer;
mod login;
mod refusal;
mod return_to;
mod session;
mod trace;

// All of both is there for those who match on errors or write a store; what most applications name stands below.
pub use cloakroom_core::{
    self, AddressError, Binding, CommitError, CookieName, CookiePolicy, Engine, EngineBuilder, Excess, ForwardedHeader,
    Handle, Key, KeyId, Keyring, Lifetime, Listed, Loaded, Login, SameSite, SealedCodec, TrustedProxies, UnixTime,
    Which,
};
pub use cloakroom_store::{self, Flash, KeyringExt, MemoryStore, Sessions, Store, StoreFailure};

pub use self::{
    address::{ClientAddr, PeerAddr},
    csrf::{CsrfChecked, CsrfLayer},
    error::SessionError,
    failure::{OnStoreFailure, StoreFailureLayer},
    future::ResponseFuture,
    layer::{SessionLayer, SessionService},
    login::{LoginRejection, LoginRequired, Principal, RequireLogin, SignInFirst},
    refusal::{Refusal, StatusOnly},
    return_to::ReturnTo,
    session::{Main, MissingLayer, Session, SessionName},
    trace::SessionTrace,
};
