//! Where the service is, and the settings.

use std::{error::Error, fmt, iter::successors, num::NonZeroU16, sync::Arc, time::Duration};

use cloakroom_core::limits::DEFAULT_MAX_RECORD;
use cloakroom_runtime::Runtime;
use cloakroom_store::StoreError;
use futures_rustls::rustls::ClientConfig;
use http::HeaderValue;

use crate::{
    env::{Env, Settings},
    store::HttpStore,
    url::Place,
};

/// Where the service is, and the settings of an [`HttpStore`].
///
/// ```no_run
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// # use cloakroom_tokio::Tokio;
/// use cloakroom_http::HttpConfig;
///
/// let store = HttpConfig::new("https://sessions.example/shop")?
///     .token(&std::env::var("SESSIONS_TOKEN")?)?
///     .connect(Tokio)
///     .await?;
/// # Ok(()) }
/// ```
#[must_use = "call `connect` or `lazy`"]
#[derive(Clone, Debug)]
pub struct HttpConfig {
    settings: Settings,
}

impl HttpConfig {
    /// The default deadline of one operation: longer than the service's own for its store, so that its answer comes first.
    pub const DEADLINE: Duration = Duration::from_secs(3);
    /// The shortest deadline: a connection must be made in half of it.
    pub const MIN_DEADLINE: Duration = Duration::from_millis(20);
    /// The default for how many connections there are at most.
    pub const CONNECTIONS: NonZeroU16 = NonZeroU16::new(32).unwrap();
    /// The default for how long a connection that nobody uses is kept: less than services and proxies give it.
    pub const IDLE: Duration = Duration::from_secs(15);
    /// The default for the largest value, in bytes: the largest record, sealed or not.
    pub const MAX_VALUE: usize = DEFAULT_MAX_RECORD + 4096;
    /// The most characters of a token.
    pub const MAX_TOKEN: usize = 1024;

    /// Takes the URL of the service: `http://host:port/base` or `https://host:port/base`; port and base may be missing.
    ///
    /// Without TLS whoever is on the network between reads the sessions and the token.
    ///
    /// # Errors
    ///
    /// [`HttpConfigError`], which never repeats the URL.
    pub fn new(url: &str) -> Result<Self, HttpConfigError> {
        let settings = Settings {
            connections: usize::from(Self::CONNECTIONS.get()),
            deadline: Self::DEADLINE,
            idle: Self::IDLE,
            max_value: Self::MAX_VALUE,
            place: Place::read(url)?,
            tls: None,
            token: None,
        };
        Ok(Self { settings })
    }

    /// Sets the bearer token that the service asks for; by default none is sent.
    ///
    /// # Errors
    ///
    /// [`HttpConfigError::Token`] unless it has 1 to [`HttpConfig::MAX_TOKEN`] characters, all of them visible ASCII.
    pub fn token(mut self, token: &str) -> Result<Self, HttpConfigError> {
        let is_token =
            (1..=Self::MAX_TOKEN).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
        let line = HeaderValue::try_from(format!("Bearer {token}")).ok().filter(|_| is_token);
        let mut line = line.ok_or(HttpConfigError::Token)?;
        line.set_sensitive(true);
        self.settings.token = Some(line);
        Ok(self)
    }

    /// Sets how many connections there are at most, each for one request at a time; by default
    /// [`HttpConfig::CONNECTIONS`]. They are made by need.
    pub fn connections(mut self, connections: NonZeroU16) -> Self {
        self.settings.connections = usize::from(connections.get());
        self
    }

    /// Sets how long one operation may take, connecting included; by default [`HttpConfig::DEADLINE`], and no less than
    /// [`HttpConfig::MIN_DEADLINE`]. What [`Sessions`](cloakroom_store::Sessions) has for a deadline counts beside it.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline.max(Self::MIN_DEADLINE);
        self
    }

    /// Sets how long a connection that nobody uses is kept; by default [`HttpConfig::IDLE`]. It should be less than what the
    /// service, and whatever is between, keep one: a write that meets its end is in doubt.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.settings.idle = idle;
        self
    }

    /// Sets the bytes of the largest value that is taken from the service; by default [`HttpConfig::MAX_VALUE`], which is
    /// also the most that `cloakroom serve` takes.
    pub fn max_value(mut self, bytes: usize) -> Self {
        self.settings.max_value = bytes;
        self
    }

    /// Sets the TLS configuration: certificates of one's own to trust or to show. By default those of the system are
    /// trusted. It has no effect on `http://`.
    pub fn tls(mut self, config: impl Into<Arc<ClientConfig>>) -> Self {
        self.settings.tls = Some(config.into());
        self
    }

    /// Connects, and asks for a key and an index that are not there: the service, its store and the token are as they
    /// should be.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Unreachable`]
    pub async fn connect(self, runtime: impl Runtime) -> Result<HttpStore, ConnectError> {
        let store = self.lazy(runtime);
        store.see().await.map_err(ConnectError::Unreachable)?;
        Ok(store)
    }

    /// Makes a store that connects when the first session is asked for.
    pub fn lazy(self, runtime: impl Runtime) -> HttpStore {
        HttpStore::new(Env::new(Arc::new(runtime), self.settings))
    }
}

/// What is wrong with a configuration. It never repeats a URL or a token.
#[non_exhaustive]
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum HttpConfigError {
    /// A host is missing, or TLS is asked for and no certificate can name it.
    Host,
    /// The scheme is neither `http` nor `https`.
    Scheme,
    /// The token is empty, too long, or has other than visible ASCII characters.
    Token,
    /// It is no URL, or has a query or a fragment.
    Url,
    /// The URL has a user: tokens are set apart from it.
    User,
}

/// In the words of `Display`, since a `main` that returns it prints this.
impl fmt::Debug for HttpConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for HttpConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "the URL of the session service has no host, or one that no certificate can name",
            Self::Scheme => "the scheme of the session service's URL must be http or https",
            Self::Token => "the token of the session service has 1 to 1024 characters, all of them visible ASCII",
            Self::Url => "the URL of the session service cannot be read: http://HOST:PORT/BASE, with nothing behind",
            Self::User => "the URL of the session service takes no user: set the token apart from it",
        })
    }
}

impl Error for HttpConfigError {}

/// Why no store could be made.
#[non_exhaustive]
#[derive(Clone)]
pub enum ConnectError {
    /// The configuration is wrong.
    Config(HttpConfigError),
    /// Nobody is there, or somebody who refuses.
    Unreachable(StoreError),
}

/// In the words of `Display` and of its sources, since a `main` that returns it prints this.
impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        successors(self.source(), |&cause| cause.source()).try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Unreachable(_) => f.write_str("cannot reach the session service"),
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Config(_) => None,
            Self::Unreachable(error) => Some(error),
        }
    }
}

impl From<HttpConfigError> for ConnectError {
    fn from(error: HttpConfigError) -> Self {
        Self::Config(error)
    }
}
