//! An engine, a store and a runtime, joined.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use cloakroom_core::{ConfigError, CookieHeld, Engine, Keyring, RequestInfo, UnixTime};
use cloakroom_runtime::Runtime;

use crate::{
    cookie_only::CookieOnly,
    counters::Counters,
    entropy::OsEntropy,
    session::Session,
    store::{DynStore, Store},
    turns::Turns,
};

/// All that a server needs to open sessions. Cheap to clone; clones share.
#[derive(Clone, Debug)]
pub struct Sessions {
    shared: Arc<SessionsBuilder>,
}

impl Sessions {
    /// Joins the parts, with the defaults of every setting.
    pub fn new(keyring: Keyring, store: impl Store, runtime: impl Runtime) -> Self {
        Self::builder(Engine::new(keyring), store, runtime).build()
    }

    /// Holds sessions in the cookie, encrypted, with the defaults of every setting, and nothing anywhere else: an end is not
    /// final then, see [`CookieOnly`]. With a store that keeps what was ended it is: [`Sessions::builder`] takes one, and an
    /// engine that is built with [`hold_in_cookie`](cloakroom_core::EngineBuilder::hold_in_cookie).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] never: the defaults fit together.
    pub fn cookie_only(keyring: Keyring, runtime: impl Runtime) -> Result<Self, ConfigError> {
        let engine = Engine::builder(keyring).hold_in_cookie(CookieHeld::encrypted()).build()?;
        Ok(Self::builder(engine, CookieOnly, runtime).build())
    }

    /// Starts to join an engine with settings of one's own to a store and a runtime.
    pub fn builder(engine: Engine, store: impl Store, runtime: impl Runtime) -> SessionsBuilder {
        SessionsBuilder {
            engine,
            store: Arc::new(store),
            runtime: Arc::new(runtime),
            deadline: SessionsBuilder::DEADLINE,
            counters: Counters::default(),
            turns: Turns::default(),
        }
    }

    /// Opens the session of a request, without asking the store.
    pub fn open<'h>(
        &self,
        cookie_headers: impl IntoIterator<Item = &'h [u8]>,
        request: &RequestInfo<'_>,
        failure: StoreFailure,
    ) -> Session {
        Session::new(self.clone(), self.engine().open(cookie_headers, request), failure)
    }

    /// Returns the engine.
    pub fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// Returns the store, for direct access to keys of one's own.
    pub fn store(&self) -> &Arc<dyn DynStore> {
        &self.shared.store
    }

    /// Tells whether the sessions of a user can be listed, counted and ended by handle: the store keeps an index, and sessions
    /// are not held in the cookie.
    pub fn has_index(&self) -> bool {
        DynStore::directory(&**self.store()).is_some() && !self.engine().holds_in_cookie()
    }

    /// Returns the counters.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    pub(crate) fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.shared.runtime
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.shared.deadline
    }

    pub(crate) fn turns(&self) -> &Turns {
        &self.shared.turns
    }

    /// Returns the time, some milliseconds back at most.
    pub(crate) fn now(&self) -> UnixTime {
        UnixTime::EPOCH.saturating_add(since_epoch(self.shared.runtime.coarse_now()))
    }

    /// Returns the time to the millisecond, which tells of two logins the later, and where to draw randomness from at it.
    pub(crate) fn now_with_entropy(&self) -> (UnixTime, OsEntropy) {
        let since = since_epoch(self.shared.runtime.now());
        (UnixTime::EPOCH.saturating_add(since), OsEntropy::at(since))
    }
}

/// A clock before the epoch counts as the epoch.
pub(crate) fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Joins an engine, a store and a runtime.
#[must_use = "call `build`"]
#[derive(Debug)]
pub struct SessionsBuilder {
    engine: Engine,
    store: Arc<dyn DynStore>,
    runtime: Arc<dyn Runtime>,
    deadline: Duration,
    counters: Counters,
    turns: Turns,
}

impl SessionsBuilder {
    /// The default deadline of one operation of the store.
    pub const DEADLINE: Duration = Duration::from_secs(2);

    /// Sets how long one operation of the store may take; by default 2 s. A load that is late has failed; a write that
    /// is late may have happened, and is settled by looking.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Joins the parts.
    pub fn build(self) -> Sessions {
        Sessions { shared: Arc::new(self) }
    }
}

/// What a request sees of a store that is down.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "a request is refused or served")]
pub enum StoreFailure {
    /// Every access is an error, and the response is a 503. The safe default: a store that is down is never an empty
    /// session.
    #[default]
    Refuse,
    /// Reads are empty; every write and every end is an error. Where there is nothing to load, so that the failure shows
    /// only when the response is under way, the response is refused.
    ServeWithout,
}
