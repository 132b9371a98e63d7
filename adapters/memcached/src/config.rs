//! Where the servers are, and the settings.

use std::{error::Error, fmt, iter::successors, num::NonZeroU8, sync::Arc, time::Duration};

use cloakroom_runtime::Runtime;
use cloakroom_store::StoreError;

use crate::{
    env::{Env, Settings},
    server::Server,
    store::MemcachedStore,
    url,
};

/// Where the servers are, and the settings of a [`MemcachedStore`].
///
/// ```no_run
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// # use cloakroom_smol::Smol;
/// use cloakroom_memcached::MemcachedConfig;
///
/// let store = MemcachedConfig::new("memcached://10.0.0.1,10.0.0.2:11212")?.key_prefix("shop:")?.connect(Smol).await?;
/// # Ok(()) }
/// ```
#[must_use = "call `connect` or `lazy`"]
#[derive(Clone, Debug)]
pub struct MemcachedConfig {
    servers: Vec<Server>,
    settings: Settings,
}

impl MemcachedConfig {
    /// The default deadline of one operation.
    pub const DEADLINE: Duration = Duration::from_secs(2);
    /// The shortest deadline: a connection must be made in half of it.
    pub const MIN_DEADLINE: Duration = Duration::from_millis(20);
    /// The most bytes of a key prefix: with any store key, it stays below the 250 bytes that memcached takes.
    pub const MAX_KEY_PREFIX: usize = 128;
    /// The most servers.
    pub const MAX_SERVERS: usize = 1000;
    /// The largest weight of a server.
    pub const MAX_WEIGHT: u32 = 1000;

    /// Takes a URL, of one of these kinds:
    ///
    /// | URL | what |
    /// |---|---|
    /// | `memcached://host:11211` | one server; without a port, it is 11211 |
    /// | `memcached://host,host:11212,[::1]` | several, of which each has a part of the keys; `?weights=1,3,1` makes parts larger |
    /// | `memcached+unix:///path` | one server, by its Unix socket |
    ///
    /// Which server has a key follows from the names as they are written here: all who use the same servers must write
    /// them alike.
    ///
    /// # Errors
    ///
    /// [`MemcachedConfigError`], which never repeats the URL: it may hold a password, though none has a use.
    pub fn new(url: &str) -> Result<Self, MemcachedConfigError> {
        Self::of(url::servers(url)?)
    }

    /// Takes the URLs of servers, in one list: also of several Unix sockets.
    ///
    /// # Errors
    ///
    /// [`MemcachedConfigError`]
    pub fn servers(urls: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, MemcachedConfigError> {
        let lists = urls.into_iter().map(|url| url::servers(url.as_ref())).collect::<Result<Vec<_>, _>>()?;
        Self::of(lists.concat())
    }

    fn of(servers: Vec<Server>) -> Result<Self, MemcachedConfigError> {
        let settings =
            Settings { check_server: true, connections: 1, deadline: Self::DEADLINE, key_prefix: String::new() };
        Ok(Self { servers: url::checked(servers)?, settings })
    }

    /// Sets what stands before every key; by default nothing. It is a part of the key by which a server is chosen.
    ///
    /// # Errors
    ///
    /// [`MemcachedConfigError::KeyPrefix`] unless it has at most [`MemcachedConfig::MAX_KEY_PREFIX`] characters, all of them
    /// visible ASCII.
    pub fn key_prefix(mut self, prefix: &str) -> Result<Self, MemcachedConfigError> {
        if prefix.len() > Self::MAX_KEY_PREFIX || !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(MemcachedConfigError::KeyPrefix);
        }
        self.settings.key_prefix = prefix.to_owned();
        Ok(self)
    }

    /// Sets how many connections there are to each server; by default one, which many requests share. More help where
    /// values are large.
    pub fn connections(mut self, connections: NonZeroU8) -> Self {
        self.settings.connections = usize::from(connections.get());
        self
    }

    /// Sets how long one operation may take, connecting included; by default 2 s, and no less than
    /// [`MemcachedConfig::MIN_DEADLINE`]. What [`Sessions`](cloakroom_store::Sessions) has for a deadline counts beside it.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline.max(Self::MIN_DEADLINE);
        self
    }

    /// Sets whether `tracing` events warn, once, that memcached keeps sessions in memory alone, and of a server that evicts
    /// them; by default they do.
    pub fn check_server(mut self, check: bool) -> Self {
        self.settings.check_server = check;
        self
    }

    /// Connects to all servers.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Unreachable`]
    pub async fn connect(self, runtime: impl Runtime) -> Result<MemcachedStore, ConnectError> {
        let store = self.lazy(runtime);
        store.see().await.map_err(ConnectError::Unreachable)?;
        Ok(store)
    }

    /// Makes a store that connects to a server when the first session is asked for there.
    pub fn lazy(self, runtime: impl Runtime) -> MemcachedStore {
        MemcachedStore::new(Env::new(Arc::new(runtime), self.settings), self.servers)
    }
}

/// What is wrong with a configuration. It never repeats a URL, which may hold a password.
#[non_exhaustive]
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum MemcachedConfigError {
    /// A host is missing, or has other than visible ASCII characters.
    Host,
    /// The key prefix is too long, or has other than visible ASCII characters.
    KeyPrefix,
    /// No server is named.
    NoServer,
    /// A parameter behind the question mark is not known.
    Parameter,
    /// The port is none.
    Port,
    /// The scheme is none of those that [`MemcachedConfig::new`] lists.
    Scheme,
    /// There are more than [`MemcachedConfig::MAX_SERVERS`].
    Servers,
    /// A server is named twice.
    Twice,
    /// It is no URL.
    Url,
    /// There is a user or a password, which this protocol does not have.
    User,
    /// There are not as many weights as servers, or one is not between 1 and [`MemcachedConfig::MAX_WEIGHT`].
    Weights,
}

/// In the words of `Display`, since a `main` that returns it prints this.
impl fmt::Debug for MemcachedConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for MemcachedConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "the memcached URL has no host, or one that is no visible ASCII",
            Self::KeyPrefix => {
                "the key prefix is longer than 128 characters, or has other than visible ASCII characters"
            }
            Self::NoServer => "no memcached server is named",
            Self::Parameter => "the memcached URL has a parameter that is not known; there is weights",
            Self::Port => "the memcached URL has a port that is none",
            Self::Scheme => "the scheme of the memcached URL must be memcached or memcached+unix",
            Self::Servers => "more than 1000 memcached servers are named",
            Self::Twice => "a memcached server is named twice",
            Self::Url => "the memcached URL cannot be read: memcached://HOST:PORT,HOST:PORT or memcached+unix:///PATH",
            Self::User => "the memcached URL has a user or a password, and memcached's text protocol has none",
            Self::Weights => {
                "the memcached URL must have a weight for each server, between 1 and 1000: ?weights=1,2 for two of them"
            }
        })
    }
}

impl Error for MemcachedConfigError {}

/// Why no store could be made.
#[non_exhaustive]
#[derive(Clone)]
pub enum ConnectError {
    /// The configuration is wrong.
    Config(MemcachedConfigError),
    /// A server is not there, or somebody is who refuses.
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
            Self::Unreachable(_) => f.write_str("cannot connect to memcached"),
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

impl From<MemcachedConfigError> for ConnectError {
    fn from(error: MemcachedConfigError) -> Self {
        Self::Config(error)
    }
}
