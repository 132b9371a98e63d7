//! The engine: policy and keys, checked once, shared by all requests.

use core::{error::Error, fmt, time::Duration};
use std::sync::Arc;

use crate::{
    binding::{Binder, Binding},
    cookie::{CookieError, CookiePolicy, SameSite, Scanner},
    csrf::CsrfTokens,
    entropy::Entropy,
    held::{CookieHeld, Holder},
    id::InvalidStoreKey,
    keyring::{KeyId, Keyring},
    lifetime::Lifetime,
    limits::{
        DEFAULT_CLOCK_SKEW, DEFAULT_GRACE, DEFAULT_MAX_RECORD, DEFAULT_MAX_REQUEST, DEFAULT_SUPERSEDED,
        DEFAULT_TOUCH_PART, MAX_COOKIE_AGE, MAX_COOKIE_PIECES, MAX_ENGINE_NAME, MIN_MAX_RECORD,
    },
    loaded::Loaded,
    principal::Principal,
    request::RequestInfo,
    roster::{Ending, Listed, Listing, Revoking, RosterError, RosterStep, Which},
    session::Session,
    time::UnixTime,
    wire::{
        codec::{Codec, JsonCodec},
        key_scheme::{HashedKeys, KeyScheme},
        token::{Refusal, SignedTokens, TokenScheme},
    },
};

/// Immutable policy and keys. Cheap to clone; clones share.
///
/// ```
/// use cloakroom_core::{Engine, Keyring, RequestInfo, Step, UnixTime};
/// # struct NoEntropy;
/// # impl cloakroom_core::Entropy for NoEntropy {
/// #     fn fill(&mut self, _: &mut [u8]) -> Result<(), cloakroom_core::EntropyError> { unreachable!() }
/// # }
/// # let mut entropy = NoEntropy;
///
/// let ring: Keyring = "1:primary:b2xkLfqXkm3PJVTVE_Ec7PZUR8w8ugMvAfqTKmlWcBw".parse()?;
/// let engine = Engine::builder(ring).build()?;
///
/// // A request that never touches its session: no operation, no cookie.
/// let session = engine.open([&b"theme=dark"[..]], &RequestInfo::new());
/// let Step::Done(done) = session.commit(UnixTime::from_millis(0), &mut entropy) else { unreachable!() };
/// assert_eq!(done.headers().count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Engine {
    policy: Arc<Policy>,
}

impl Engine {
    /// Makes an engine with the defaults of every setting.
    pub fn new(keyring: Keyring) -> Self {
        #[allow(clippy::expect_used, reason = "the defaults fit together, whatever the keys: a test builds them")]
        Self::builder(keyring).build().expect("the defaults fit together")
    }

    /// Starts to build an engine with the defaults of every setting.
    pub fn builder(keyring: Keyring) -> EngineBuilder {
        EngineBuilder {
            keyring,
            name: EngineBuilder::NAME.to_owned(),
            cookie: CookiePolicy::default(),
            lifetime: Lifetime::default(),
            longest: None,
            renew_after: None,
            touch_part: DEFAULT_TOUCH_PART,
            grace: DEFAULT_GRACE,
            max_request: DEFAULT_MAX_REQUEST,
            skew: DEFAULT_CLOCK_SKEW,
            superseded: DEFAULT_SUPERSEDED,
            max_record: DEFAULT_MAX_RECORD,
            schema: 0,
            key_prefix: HashedKeys::PREFIX.to_owned(),
            tokens: None,
            keys: None,
            codec: Box::new(JsonCodec),
            binding: None,
            held: None,
        }
    }

    /// Finds our cookie in the request's `Cookie` lines.
    ///
    /// Never fails: a bad cookie is an absent session, with a reason to count. Tags are checked on the first
    /// [`Session::access`], so that a request that never touches its session pays for the scan alone.
    pub fn open<'h>(&self, cookie_headers: impl IntoIterator<Item = &'h [u8]>, request: &RequestInfo<'_>) -> Session {
        Session::open(Arc::clone(&self.policy), cookie_headers, request)
    }

    /// Starts to list the sessions of a user, newest first. `current` is the session that asks, if one does. Sessions that
    /// are held in cookies cannot be listed: [`RosterError::NoIndex`].
    pub fn list_sessions(&self, user: Principal, current: Option<&Loaded>) -> RosterStep<Vec<Listed>> {
        if self.policy.holder.is_some() {
            return RosterStep::Done(Err(RosterError::NoIndex));
        }
        Listing::start(Arc::clone(&self.policy), user, current.and_then(Loaded::lineage))
    }

    /// Starts to end sessions of a user, and tells in the end how many there were. `current` is the session that asks: it is
    /// the one that [`Which::Others`] spares. Its own is better ended by [`Loaded::destroy`], which removes the cookie too.
    ///
    /// Of sessions that are held in cookies nobody knows how many there are: the number is 0; and none is known by handle:
    /// [`RosterError::NoIndex`].
    pub fn end_sessions(
        &self,
        user: &Principal,
        which: Which,
        current: Option<&Loaded>,
        now: UnixTime,
        entropy: &mut impl Entropy,
    ) -> RosterStep<u64> {
        let policy = Arc::clone(&self.policy);
        if policy.holder.is_some() {
            return Revoking::start(policy, user, which, current, now, entropy);
        }
        Ending::start(policy, user, which, current.and_then(Loaded::lineage), now, entropy)
    }

    /// Tells which key of the ring signed a token, where the token scheme has several.
    ///
    /// # Errors
    ///
    /// [`Refusal`] says why it is no ticket of this engine.
    pub fn inspect(&self, token: &[u8]) -> Result<Option<KeyId>, Refusal> {
        match &self.policy.holder {
            Some(holder) => holder.inspect(token).map(Some),
            None => self.policy.tokens.verify(token).map(|verified| verified.key),
        }
    }

    /// Tells whether sessions are held in the cookie.
    pub fn holds_in_cookie(&self) -> bool {
        self.policy.holder.is_some()
    }

    /// Tells whether sessions are bound to what the client is like: without, nobody looks at that of a request.
    pub fn binds_sessions(&self) -> bool {
        self.policy.binder.is_some()
    }

    /// Returns how the cookie is named and which attributes it has.
    pub fn cookie(&self) -> &CookiePolicy {
        &self.policy.cookie
    }
}

/// The settings of an engine as they are used.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) cookie: CookiePolicy,
    pub(crate) scanner: Scanner,
    /// The line that removes the cookie.
    pub(crate) removal: String,
    pub(crate) lifetime: Lifetime,
    pub(crate) longest: Lifetime,
    pub(crate) renew_after: Option<Duration>,
    pub(crate) touch_part: u32,
    pub(crate) grace: Duration,
    pub(crate) max_request: Duration,
    pub(crate) skew: Duration,
    pub(crate) superseded: Duration,
    pub(crate) max_record: usize,
    pub(crate) schema: u32,
    pub(crate) tokens: Box<dyn TokenScheme>,
    pub(crate) keys: Box<dyn KeyScheme>,
    pub(crate) codec: Box<dyn Codec>,
    pub(crate) binder: Option<Binder>,
    pub(crate) csrf: CsrfTokens,
    /// How sessions are held in the cookie, where they are.
    pub(crate) holder: Option<Holder>,
}

impl Policy {
    /// Tells whether a request takes longer than pointers and tombstones are sure to last.
    pub(crate) fn is_late(&self, loaded_at: UnixTime, now: UnixTime) -> bool {
        now.since(loaded_at) > self.max_request
    }

    /// Tells by its shape alone whether a cookie value may be ours.
    pub(crate) fn is_well_formed(&self, value: &[u8]) -> bool {
        if self.holder.is_some() { Holder::is_well_formed(value) } else { self.tokens.is_well_formed(value) }
    }

    /// Tells whether an old ticket can lead to a new one.
    pub(crate) fn has_pointers(&self) -> bool {
        self.codec.has_markers() && self.holder.is_none()
    }

    /// Browsers keep our cookie from such a request: a new one would overwrite the visitor's.
    pub(crate) fn withholds_cookie(&self, request: &RequestInfo<'_>) -> bool {
        match self.cookie.same_site_setting() {
            SameSite::Lax => request.is_cross_site() && !request.is_safe(),
            SameSite::None => false,
            SameSite::Strict => request.is_cross_site(),
        }
    }
}

/// Builds an [`Engine`]; every setting has a safe default.
#[must_use = "call `build`"]
#[derive(Debug)]
pub struct EngineBuilder {
    keyring: Keyring,
    name: String,
    cookie: CookiePolicy,
    lifetime: Lifetime,
    longest: Option<Lifetime>,
    renew_after: Option<Duration>,
    touch_part: u32,
    grace: Duration,
    max_request: Duration,
    skew: Duration,
    superseded: Duration,
    max_record: usize,
    schema: u32,
    key_prefix: String,
    tokens: Option<Box<dyn TokenScheme>>,
    keys: Option<Box<dyn KeyScheme>>,
    codec: Box<dyn Codec>,
    binding: Option<Binding>,
    held: Option<CookieHeld>,
}

impl EngineBuilder {
    /// The default name of an engine.
    pub const NAME: &'static str = "main";

    /// Names the engine: 1 to 64 bytes. The name is part of token keys and store keys, so that several engines with one
    /// ring and one store never meet. Changing it gives up all sessions.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the cookie's name and attributes; by default `__Host-id; Secure; HttpOnly; SameSite=Lax; Path=/`.
    pub fn cookie(mut self, cookie: CookiePolicy) -> Self {
        self.cookie = cookie;
        self
    }

    /// Sets the lifetime of new sessions; by default 30 minutes idle and 8 hours absolute.
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets the longest lifetime that a session may be given ("remember me"); by default that of new sessions. No
    /// session outlives it, whatever its record says.
    pub fn longest(mut self, longest: Lifetime) -> Self {
        self.longest = Some(longest);
        self
    }

    /// Renews ids of this age on navigations; off by default.
    pub fn renew_after(mut self, age: Duration) -> Self {
        self.renew_after = Some(age);
        self
    }

    /// Makes a touch due when it adds more than one part in this many of the idle time; by default 5.
    pub fn touch_part(mut self, part: u32) -> Self {
        self.touch_part = part;
        self
    }

    /// Sets how long an old ticket works after its successor was first presented; by default 60 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets how long a request may take from its load to its commit; by default 10 minutes. Pointers and tombstones
    /// outlive it.
    pub fn max_request(mut self, max_request: Duration) -> Self {
        self.max_request = max_request;
        self
    }

    /// Sets how far the clocks of two nodes may differ; by default 60 s.
    pub fn clock_skew(mut self, skew: Duration) -> Self {
        self.skew = skew;
        self
    }

    /// Sets how long after a login or an elevation the writes of the old ticket's requests are lost, and make no session
    /// whose cookie would overwrite the new one; by default 10 s.
    pub fn superseded(mut self, superseded: Duration) -> Self {
        self.superseded = superseded;
        self
    }

    /// Sets the most bytes of a stored record, at least 4096; by default 1 MiB.
    pub fn max_record(mut self, bytes: usize) -> Self {
        self.max_record = bytes;
        self
    }

    /// Sets the application's schema number, which is written into every record; by default 0.
    pub fn schema(mut self, number: u32) -> Self {
        self.schema = number;
        self
    }

    /// Sets the prefix of store keys; by default `cloakroom:`.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = prefix.into();
        self
    }

    /// Binds sessions to clients like the one that they were made for; by default none is bound.
    pub fn bind_to(mut self, binding: Binding) -> Self {
        self.binding = Some(binding);
        self
    }

    /// Holds sessions in the cookie: the client keeps the record, sealed, and the store keeps only what was ended.
    ///
    /// * The store is one of **revocations**: an end, a login and an elevation leave a tombstone there, one for a session and
    ///   what it was elevated to, and the end of all sessions of a user leaves one for the user. Each is kept for the longest
    ///   absolute lifetime. A session is looked up there when it is first asked for, one of a user twice. With a store
    ///   that keeps nothing every cookie works until its deadline, whatever was ended: who has a copy of one
    ///   opens the session again after the logout, with the data of then.
    /// * Deadlines stand in the cookie and are checked here. A request that used more than a part of the idle time gets the
    ///   cookie anew.
    /// * **Updates can be lost.** Two requests at the same time each answer with a cookie of their own, and the browser keeps
    ///   the one that it hears of last, also over that of a login or an elevation. What must not be lost belongs in a store.
    /// * [`Loaded::rotate`](crate::Loaded::rotate) seals again, under the primary key, and makes no copy worthless;
    ///   [`Loaded::elevate`](crate::Loaded::elevate) does. What an older key sealed is sealed anew when it is next written.
    /// * [`renew_after`](Self::renew_after) does nothing.
    /// * No node may have a shorter [`longest`](Self::longest) lifetime than the cookies that are out: the end of all sessions of
    ///   a user is kept no longer than that.
    /// * Nobody's sessions can be listed, counted or ended by handle; all of a user can be ended, or all but one.
    pub fn hold_in_cookie(mut self, held: CookieHeld) -> Self {
        self.held = Some(held);
        self
    }

    /// Replaces the token scheme, [`SignedTokens`] by default.
    pub fn token_scheme(mut self, scheme: impl TokenScheme + 'static) -> Self {
        self.tokens = Some(Box::new(scheme));
        self
    }

    /// Replaces the key scheme, [`HashedKeys`] by default.
    pub fn key_scheme(mut self, scheme: impl KeyScheme + 'static) -> Self {
        self.keys = Some(Box::new(scheme));
        self
    }

    /// Replaces the codec, [`JsonCodec`] by default.
    pub fn codec(mut self, codec: impl Codec + 'static) -> Self {
        self.codec = Box::new(codec);
        self
    }

    /// Checks the settings and prepares the keys.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the setting that does not fit.
    pub fn build(self) -> Result<Engine, ConfigError> {
        let longest = self.longest.unwrap_or(self.lifetime);
        if self.name.is_empty() || self.name.len() > MAX_ENGINE_NAME {
            return Err(ConfigError::Name);
        }
        if self.lifetime.idle().as_millis() == 0 {
            return Err(ConfigError::ZeroLifetime);
        }
        if self.lifetime.idle() > longest.idle() || self.lifetime.absolute() > longest.absolute() {
            return Err(ConfigError::LongerThanLongest);
        }
        if (self.lifetime.is_persistent() || longest.is_persistent()) && longest.absolute() > MAX_COOKIE_AGE {
            return Err(ConfigError::Cookie(CookieError::MaxAge));
        }
        if self.max_record < MIN_MAX_RECORD {
            return Err(ConfigError::MaxRecord);
        }
        if self.touch_part == 0 {
            return Err(ConfigError::TouchPart);
        }
        self.cookie.check()?;
        let tokens = self
            .tokens
            .unwrap_or_else(|| Box::new(SignedTokens::new(&self.keyring, &self.name, self.cookie.name().as_str())));
        let keys = match self.keys {
            Some(keys) => keys,
            None => Box::new(HashedKeys::new(&self.name, &self.key_prefix)?),
        };
        let holder = match self.held {
            Some(_) if !self.codec.has_markers() => return Err(ConfigError::HeldWithoutMarkers),
            Some(held) => Some(Holder::new(held, &self.keyring, &self.name, &self.cookie)?),
            None => None,
        };
        let policy = Policy {
            removal: self.cookie.removal()?,
            scanner: Scanner::new(self.cookie.name()),
            cookie: self.cookie,
            lifetime: self.lifetime,
            longest,
            renew_after: self.renew_after,
            touch_part: self.touch_part,
            grace: self.grace,
            max_request: self.max_request,
            skew: self.skew,
            superseded: self.superseded,
            max_record: self.max_record,
            schema: self.schema,
            tokens,
            keys,
            codec: self.codec,
            binder: self.binding.map(|binding| Binder::new(binding, &self.keyring, &self.name)),
            csrf: CsrfTokens::new(&self.keyring, &self.name),
            holder,
        };
        Ok(Engine { policy: Arc::new(policy) })
    }
}

/// Why the settings make no engine.
#[non_exhaustive]
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum ConfigError {
    /// The cookie would be dropped by browsers.
    Cookie(CookieError),
    /// A cookie is split over fewer than 1 or more than 15.
    CookiePieces,
    /// The codec has no tombstones, which sessions that are held in the cookie end by.
    HeldWithoutMarkers,
    /// The prefix makes no store key.
    KeyPrefix(InvalidStoreKey),
    /// The lifetime of new sessions is longer than the longest.
    LongerThanLongest,
    /// The most bytes of a record are fewer than 4096.
    MaxRecord,
    /// The engine's name is empty or longer than 64 bytes.
    Name,
    /// One part in zero is no part.
    TouchPart,
    /// A lifetime is shorter than a millisecond.
    ZeroLifetime,
}

impl From<CookieError> for ConfigError {
    fn from(error: CookieError) -> Self {
        Self::Cookie(error)
    }
}

impl From<InvalidStoreKey> for ConfigError {
    fn from(error: InvalidStoreKey) -> Self {
        Self::KeyPrefix(error)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cookie(error) => error.fmt(f),
            Self::CookiePieces => write!(f, "a session is split over 1 to {MAX_COOKIE_PIECES} cookies"),
            Self::HeldWithoutMarkers => {
                f.write_str("the codec cannot express how sessions that are held in the cookie end")
            }
            Self::KeyPrefix(error) => write!(f, "the key prefix does not fit: {error}"),
            Self::LongerThanLongest => f.write_str("the lifetime of new sessions is longer than the longest lifetime"),
            Self::MaxRecord => write!(f, "the most bytes of a record are at least {MIN_MAX_RECORD}"),
            Self::Name => write!(f, "an engine's name has 1 to {MAX_ENGINE_NAME} bytes"),
            Self::TouchPart => f.write_str("a touch cannot be due at one part in zero of the idle time"),
            Self::ZeroLifetime => f.write_str("a lifetime is at least one millisecond"),
        }
    }
}

impl Error for ConfigError {}
