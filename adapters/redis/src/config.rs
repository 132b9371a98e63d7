//! Where the servers are, and the settings.

use std::{error::Error, fmt, iter::successors, num::NonZeroU8, sync::Arc, time::Duration};

use cloakroom_runtime::Runtime;
use cloakroom_store::StoreError;
use futures_rustls::rustls::ClientConfig;
use redis::aio::ConnectionLike;

use crate::{
    cluster::Cluster,
    dial::{Dial, Sentinels},
    env::{Env, Settings},
    pool::Pool,
    route::{Route, Users},
    server::Server,
    store::RedisStore,
    url,
};

/// Where the servers are, and the settings of a [`RedisStore`].
///
/// ```no_run
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// # use cloakroom_tokio::Tokio;
/// use cloakroom_redis::RedisConfig;
///
/// let store = RedisConfig::new("rediss://app:secret@sessions.example:6380/1")?
///     .key_prefix("shop:")?
///     .connect(Tokio)
///     .await?;
/// # Ok(()) }
/// ```
#[must_use = "call `connect` or `lazy`"]
#[derive(Clone, Debug)]
pub struct RedisConfig {
    servers: Servers,
    settings: Settings,
}

/// Where the servers are.
#[derive(Clone)]
pub(crate) enum Servers {
    Cluster(Vec<Server>),
    Sentinel(Sentinels),
    Single(Server),
    Users(Arc<dyn Users>),
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(nodes) => f.debug_tuple("Cluster").field(nodes).finish(),
            Self::Sentinel(sentinels) => f.debug_tuple("Sentinel").field(sentinels).finish(),
            Self::Single(server) => f.debug_tuple("Single").field(server).finish(),
            Self::Users(_) => f.write_str("Users"),
        }
    }
}

impl RedisConfig {
    /// The default deadline of one operation.
    pub const DEADLINE: Duration = Duration::from_secs(2);
    /// The shortest deadline: a connection must be made in half of it.
    pub const MIN_DEADLINE: Duration = Duration::from_millis(20);
    /// The most bytes of a key prefix.
    pub const MAX_KEY_PREFIX: usize = 128;

    /// Takes a URL, of one of these kinds:
    ///
    /// | URL | what |
    /// |---|---|
    /// | `redis://user:password@host:6379/0` | one server; all but the host may be missing |
    /// | `redis+unix:///path?user=..&pass=..&db=0` | one server, by its Unix socket |
    /// | `redis+sentinel://user:password@host:26379,host:26379/master/0` | the master that sentinels know by this name; user, password and database are the master's, those of the sentinels are `?sentinel_user=..&sentinel_password=..` |
    /// | `redis+cluster://user:password@host:6379,host:6379` | a cluster, of which any nodes are named |
    ///
    /// With `rediss` in place of `redis` they are reached by TLS. Special characters of user and password are
    /// percent-encoded.
    ///
    /// # Errors
    ///
    /// [`RedisConfigError`], which never repeats the URL: it may hold a password.
    pub fn new(url: &str) -> Result<Self, RedisConfigError> {
        Ok(Self::of(url::servers(url)?))
    }

    /// Takes the URLs of sentinels, and the name by which they know the master. User and password in a URL are those of
    /// the sentinel; for the master's see [`login`](Self::login).
    ///
    /// # Errors
    ///
    /// [`RedisConfigError`]
    pub fn sentinel(
        sentinels: impl IntoIterator<Item = impl AsRef<str>>,
        master: &str,
    ) -> Result<Self, RedisConfigError> {
        let sentinels = url::all(sentinels)?;
        let first = sentinels.first().ok_or(RedisConfigError::NoServer)?;
        let template = Server { login: url::login(None, None, 0), ..first.clone() };
        Ok(Self::of(Servers::Sentinel(url::sentinels(sentinels, master, template)?)))
    }

    /// Takes the URLs of some nodes of a cluster. User and password of the first are those of all.
    ///
    /// # Errors
    ///
    /// [`RedisConfigError`]
    pub fn cluster(nodes: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, RedisConfigError> {
        Ok(Self::of(Servers::Cluster(url::nodes(url::all(nodes)?)?)))
    }

    /// Uses a connection that the application has: a `MultiplexedConnection`, a `ConnectionManager`, a
    /// `ClusterConnection` of the [`redis`] crate, or whatever else can be shared by cloning. The runtime must be the one
    /// that it was made on.
    ///
    /// It is that connection's business to come back when it is lost: a `ConnectionManager` does, a `MultiplexedConnection`
    /// does not. It must read from masters alone and without a cache
    /// of its own: what it brings that is out of date, an ended session for one, is served. Its errors leave writes in
    /// doubt, because it may have tried them before. The settings for logging in, TLS and connections have no effect, nor
    /// has the look at the server's settings.
    pub fn client(connection: impl ConnectionLike + Clone + Send + Sync + 'static) -> Self {
        Self::of(Servers::Users(Arc::new(connection))).check_server(false)
    }

    fn of(servers: Servers) -> Self {
        let settings = Settings {
            check_server: true,
            connections: 1,
            deadline: Self::DEADLINE,
            key_prefix: String::new(),
            replicas: 0,
            tls: None,
        };
        Self { servers, settings }
    }

    /// Sets the user, the password and the database of the servers that hold sessions, in place of what a URL says. A
    /// server without users takes no user; a cluster has database 0 alone.
    pub fn login(mut self, user: Option<&str>, password: Option<&str>, database: u32) -> Self {
        let login = url::login(user, password, database);
        match &mut self.servers {
            Servers::Cluster(nodes) => nodes.iter_mut().for_each(|node| node.login = login.clone()),
            Servers::Sentinel(sentinels) => sentinels.template.login = login,
            Servers::Single(server) => server.login = login,
            Servers::Users(_) => {}
        }
        self
    }

    /// Sets what stands before every key; by default nothing. In a cluster, a part in braces puts all sessions on one
    /// node.
    ///
    /// # Errors
    ///
    /// [`RedisConfigError::KeyPrefix`] unless it has at most [`RedisConfig::MAX_KEY_PREFIX`] characters, all of them visible
    /// ASCII.
    pub fn key_prefix(mut self, prefix: &str) -> Result<Self, RedisConfigError> {
        if prefix.len() > Self::MAX_KEY_PREFIX || !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(RedisConfigError::KeyPrefix);
        }
        self.settings.key_prefix = prefix.to_owned();
        Ok(self)
    }

    /// Sets how many connections there are to each server; by default one, which many requests share. More help where
    /// values are large, or where [`replicas`](Self::replicas) are waited for.
    pub fn connections(mut self, connections: NonZeroU8) -> Self {
        self.settings.connections = usize::from(connections.get());
        self
    }

    /// Sets how long one operation may take, all round trips of it and connecting included; by default 2 s, and no less than
    /// [`RedisConfig::MIN_DEADLINE`]. What [`Sessions`](cloakroom_store::Sessions) has for a deadline counts beside it.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline.max(Self::MIN_DEADLINE);
        self
    }

    /// Acknowledges what is written, and believes what is read, only when so many replicas have it (`WAIT`); by default
    /// none. It is what makes logout final across a failover. A load is a write to the server then (`PEXPIRE` to what it
    /// is), which newer servers wait for alone.
    ///
    /// With as many as there are replicas, no failover loses what was acknowledged, as long as one of them is promoted; with fewer, it depends on which one is. It
    /// costs no round trip but the replicas' delay, and requests that share a connection wait for each other; more
    /// [`connections`](Self::connections) help. While too few replicas answer, operations fail after a quarter of the deadline.
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.settings.replicas = replicas;
        self
    }

    /// Sets whether the first connection looks if the server may evict sessions or keeps nothing on disk, and warns of it
    /// by a `tracing` event; by default it does.
    pub fn check_server(mut self, check: bool) -> Self {
        self.settings.check_server = check;
        self
    }

    /// Sets the TLS configuration: certificates of one's own to trust or to show. By default those of the system are
    /// trusted. It has no effect where the URL does not ask for TLS.
    pub fn tls(mut self, config: impl Into<Arc<ClientConfig>>) -> Self {
        self.settings.tls = Some(config.into());
        self
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Unreachable`]
    pub async fn connect(self, runtime: impl Runtime) -> Result<RedisStore, ConnectError> {
        let store = self.lazy(runtime);
        store.see().await.map_err(ConnectError::Unreachable)?;
        Ok(store)
    }

    /// Makes a store that connects when the first session is asked for.
    pub fn lazy(self, runtime: impl Runtime) -> RedisStore {
        let env = Env::new(Arc::new(runtime), self.settings);
        let route = match self.servers {
            Servers::Cluster(seeds) => Route::Cluster(Cluster::new(env.clone(), seeds)),
            Servers::Sentinel(sentinels) => Route::Single(Pool::new(&env, Dial::Master(sentinels))),
            Servers::Single(server) => Route::Single(Pool::new(&env, Dial::Fixed(server))),
            Servers::Users(connection) => Route::Users(connection),
        };
        RedisStore::new(env, route)
    }
}

/// What is wrong with a configuration. It never repeats a URL, which may hold a password.
#[non_exhaustive]
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum RedisConfigError {
    /// A cluster has database 0 alone.
    ClusterDatabase,
    /// The number of the database is none.
    Database,
    /// A host is missing, or TLS is asked for and no certificate can name it.
    Host,
    /// The key prefix is too long, or has other than visible ASCII characters.
    KeyPrefix,
    /// The master's name is missing.
    Master,
    /// No server is named.
    NoServer,
    /// A parameter behind the question mark is not known.
    Parameter,
    /// The scheme is none of those that [`RedisConfig::new`] lists, or does not fit here.
    Scheme,
    /// It is no URL, or a part of it is not what it should be.
    Url,
}

/// In the words of `Display`, since a `main` that returns it prints this.
impl fmt::Debug for RedisConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for RedisConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClusterDatabase => "a Redis cluster has no other database than 0",
            Self::Database => "the database in the Redis URL is no number",
            Self::Host => "the Redis URL has no host, or one that no certificate can name",
            Self::KeyPrefix => {
                "the key prefix is longer than 128 characters, or has other than visible ASCII characters"
            }
            Self::Master => {
                "the Redis URL has no name of a master after the sentinels: redis+sentinel://HOST:PORT/MASTER"
            }
            Self::NoServer => "no Redis server is named",
            Self::Parameter => "the Redis URL has a parameter that is not known; a question mark in a password is %3F",
            Self::Scheme => {
                "the scheme of the Redis URL must be redis, rediss, redis+unix, redis+sentinel, rediss+sentinel, \
                 redis+cluster or rediss+cluster, and redis or rediss in a list"
            }
            Self::Url => "the Redis URL cannot be read: redis://USER:PASSWORD@HOST:PORT/DATABASE, percent-encoded",
        })
    }
}

impl Error for RedisConfigError {}

/// Why no store could be made.
#[non_exhaustive]
#[derive(Clone)]
pub enum ConnectError {
    /// The configuration is wrong.
    Config(RedisConfigError),
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
            Self::Unreachable(_) => f.write_str("cannot connect to Redis"),
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

impl From<RedisConfigError> for ConnectError {
    fn from(error: RedisConfigError) -> Self {
        Self::Config(error)
    }
}
