//! The store.

use std::{
    fmt,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use cloakroom_core::{Members, StoreKey, Stored, Value, Version};
use cloakroom_runtime::Runtime;
use cloakroom_store::{Created, Directory, DynDirectory, Fault, Removed, Store, StoreError, Written};
use futures_util::future::{Either, select};
use redis::{Value as Answer, aio::ConnectionLike};

use crate::{
    config::{ConnectError, RedisConfig, RedisConfigError},
    connection::Connection,
    env::Env,
    failure::Failure,
    pool::Progress,
    resp::{Ask, Commands},
    route::Route,
    walk::RedisWalk,
    wire::{self, Arguments, ENROLL, LIST, LOAD, REMOVE, REPLACE, Step, TOUCH},
};

/// What the key of an index ends with on the server. No key of a session has a space in it.
pub(crate) const INDEX_SUFFIX: &[u8] = b" members";

/// Sessions in Redis. Cheap to clone; clones share the connections.
///
/// Each operation is one round trip, and nothing is sent while nobody asks. See the [crate's page](crate) for what it
/// promises.
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    env: Arc<Env>,
    route: Route,
}

impl RedisStore {
    /// Connects to the server, cluster or master that a URL names; see [`RedisConfig::new`] for what it may be.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]: the URL is wrong, or nobody is there who answers as Redis does.
    pub async fn connect(url: &str, runtime: impl Runtime) -> Result<Self, ConnectError> {
        RedisConfig::new(url)?.connect(runtime).await
    }

    /// Connects to the master that sentinels watch over, and to whichever comes after it.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], as [`RedisStore::connect`].
    pub async fn connect_sentinel(
        sentinels: impl IntoIterator<Item = impl AsRef<str>>,
        master: &str,
        runtime: impl Runtime,
    ) -> Result<Self, ConnectError> {
        RedisConfig::sentinel(sentinels, master)?.connect(runtime).await
    }

    /// Connects to a cluster, of which any nodes are named.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], as [`RedisStore::connect`].
    pub async fn connect_cluster(
        nodes: impl IntoIterator<Item = impl AsRef<str>>,
        runtime: impl Runtime,
    ) -> Result<Self, ConnectError> {
        RedisConfig::cluster(nodes)?.connect(runtime).await
    }

    /// Takes what a URL names, and connects when the first session is asked for.
    ///
    /// # Errors
    ///
    /// [`RedisConfigError`]: the URL is wrong.
    pub fn lazy(url: &str, runtime: impl Runtime) -> Result<Self, RedisConfigError> {
        Ok(RedisConfig::new(url)?.lazy(runtime))
    }

    /// Uses a connection that the application has, with the defaults of every setting; see [`RedisConfig::client`] for what
    /// it must be and for the settings.
    pub fn from_client(connection: impl ConnectionLike + Clone + Send + Sync + 'static, runtime: impl Runtime) -> Self {
        RedisConfig::client(connection).lazy(runtime)
    }

    /// Starts to walk over the store keys of entries that begin with `prefix`, which stands behind that of the settings. Any
    /// strings under such keys are taken for entries.
    ///
    /// A user needs the right `+scan` for it.
    pub fn walk_entries(&self, prefix: &str) -> RedisWalk {
        RedisWalk::entries(self.clone(), prefix)
    }

    /// Starts to walk over the keys of indexes that begin with `prefix`, which stands behind that of the settings.
    ///
    /// A user needs the right `+scan` for it.
    pub fn walk_indexes(&self, prefix: &str) -> RedisWalk {
        RedisWalk::indexes(self.clone(), prefix)
    }

    pub(crate) fn new(env: Arc<Env>, route: Route) -> Self {
        Self(Arc::new(Inner { env, route }))
    }

    pub(crate) async fn see(&self) -> Result<(), StoreError> {
        self.0.route.connect().await.map_err(|failure| failure.into_error(false, &[]))
    }

    pub(crate) fn key_prefix(&self) -> &str {
        &self.0.env.settings.key_prefix
    }

    /// Makes a connection to every server that has keys.
    pub(crate) async fn connections(&self) -> Result<Vec<Arc<Connection>>, Failure> {
        self.0.route.connections().await
    }

    fn key(&self, key: &StoreKey) -> Vec<u8> {
        [self.0.env.settings.key_prefix.as_bytes(), key.as_bytes()].concat()
    }

    fn index_key(&self, index: &StoreKey) -> Vec<u8> {
        [self.0.env.settings.key_prefix.as_bytes(), index.as_bytes(), INDEX_SUFFIX].concat()
    }

    /// Has a script do a step on the server.
    async fn step(&self, step: &Step, arguments: Arguments<'_>, progress: &Progress) -> Result<Vec<Answer>, Failure> {
        match self.exec(arguments.key, &|commands| step.by_hash(commands, &arguments), progress).await {
            // The server was started again, or told to forget.
            Err(failure) if failure.is_unknown_script => {
                self.exec(arguments.key, &|commands| step.by_source(commands, &arguments), progress).await
            }
            other => other,
        }
    }

    async fn write(&self, step: &Step, arguments: Arguments<'_>) -> Result<Vec<Answer>, Failure> {
        let progress = Progress::default();
        self.in_time(pin!(self.step(step, arguments, &progress)), &progress).await
    }

    async fn read(&self, key: &[u8], progress: &Progress) -> Result<Option<Stored>, Failure> {
        match self.waits() {
            false => self.exec(key, &|commands| wire::load(commands, key), progress).await.and_then(wire::loaded),
            true => self.step(&LOAD, self.about(key), progress).await.and_then(wire::seen),
        }
    }

    /// Starts to say what a step is about.
    fn about<'a>(&self, key: &'a [u8]) -> Arguments<'a> {
        Arguments { key, waits: self.waits(), expected: None, value: None, ttl: None, member: None, limit: None }
    }

    fn waits(&self) -> bool {
        self.0.env.settings.replicas > 0
    }

    /// Sends a request; an error of the server is one.
    async fn exec(&self, key: &[u8], ask: &Ask<'_>, progress: &Progress) -> Result<Vec<Answer>, Failure> {
        let settings = &self.0.env.settings;
        let and_wait = |commands: &mut Commands| {
            ask(commands);
            if settings.replicas > 0 {
                // Others may wait behind it.
                wire::wait(commands, settings.replicas, settings.deadline / 4);
            }
        };
        let mut answers = self.0.route.exec(key, &and_wait, progress).await?;
        let replicas = if settings.replicas == 0 { None } else { answers.pop() };
        if let Some(error) = answers.iter().find_map(|answer| match answer {
            Answer::ServerError(error) => Some(error),
            _ => None,
        }) {
            let refusal = match self.0.route.tries_again() {
                false => Failure::refusal(error),
                true => Failure::refusal(error).in_doubt(),
            };
            if !refusal.is_sent {
                progress.refused();
            }
            return Err(refusal);
        }
        match replicas {
            Some(Answer::Int(count)) if count < i64::from(settings.replicas) => {
                Err(Failure::sent(Fault::Unavailable, "too few replicas have it"))
            }
            None | Some(Answer::Int(_)) => Ok(answers),
            Some(_) => Err(Failure::sent(Fault::Unavailable, "the server is no master that waits for replicas")),
        }
    }

    pub(crate) async fn in_time<T>(
        &self,
        steps: Pin<&mut impl Future<Output = Result<T, Failure>>>,
        progress: &Progress,
    ) -> Result<T, Failure> {
        match select(steps, self.0.env.runtime.sleep(self.0.env.settings.deadline)).await {
            Either::Left((result, _)) => result,
            Either::Right(_) => Err(match progress.is_sent() {
                false => Failure::unsent(Fault::TimedOut, "no connection was there in time"),
                true => Failure::sent(Fault::TimedOut, "no answer came in time"),
            }),
        }
    }
}

impl Store for RedisStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        let full = self.key(key);
        let progress = Progress::default();
        let steps = async {
            match self.read(&full, &progress).await {
                // A connection that just broke says nothing of the next.
                Err(failure) if failure.is_broken => self.read(&full, &progress).await,
                other => other,
            }
        };
        self.in_time(pin!(steps), &progress).await.map_err(|failure| failure.into_error(false, &[key]))
    }

    async fn create(&self, key: &StoreKey, value: &Value, ttl: Duration) -> Result<Created, StoreError> {
        let full = self.key(key);
        let progress = Progress::default();
        let ask = |commands: &mut Commands| wire::create(commands, &full, value, ttl);
        let answers = self.in_time(pin!(self.exec(&full, &ask, &progress)), &progress).await;
        let created = answers.and_then(|answers| wire::created(answers, value));
        created.map_err(|failure| failure.into_error(true, &[key]))
    }

    async fn replace(
        &self,
        key: &StoreKey,
        version: &Version,
        value: &Value,
        ttl: Duration,
    ) -> Result<Written, StoreError> {
        let Some(expected) = version.as_bytes() else { return self.foreign(key).await };
        let full = self.key(key);
        let arguments = Arguments { expected: Some(expected), value: Some(value), ttl: Some(ttl), ..self.about(&full) };
        let answers = self.write(&REPLACE, arguments).await;
        let written = answers.and_then(|answers| wire::written(answers, Version::from_bytes(value.clone())));
        written.map_err(|failure| failure.into_error(true, &[key]))
    }

    async fn touch(
        &self,
        key: &StoreKey,
        version: &Version,
        _value: &Value,
        ttl: Duration,
    ) -> Result<Written, StoreError> {
        let Some(expected) = version.as_bytes() else { return self.foreign(key).await };
        let full = self.key(key);
        let arguments = Arguments { expected: Some(expected), ttl: Some(ttl), ..self.about(&full) };
        let answers = self.write(&TOUCH, arguments).await;
        let written = answers.and_then(|answers| wire::written(answers, version.clone()));
        written.map_err(|failure| failure.into_error(true, &[key]))
    }

    async fn remove(&self, key: &StoreKey, version: &Version) -> Result<Removed, StoreError> {
        let Some(expected) = version.as_bytes() else {
            return Ok(match self.foreign(key).await? {
                Written::Conflict(found) => Removed::Conflict(found),
                Written::Absent | Written::Done(_) => Removed::Absent,
            });
        };
        let full = self.key(key);
        let answers = self.write(&REMOVE, Arguments { expected: Some(expected), ..self.about(&full) }).await;
        answers.and_then(wire::removed).map_err(|failure| failure.into_error(true, &[key]))
    }

    fn directory(&self) -> Option<&dyn DynDirectory> {
        Some(self)
    }
}

impl Directory for RedisStore {
    async fn enroll(&self, index: &StoreKey, member: &StoreKey, ttl: Duration) -> Result<(), StoreError> {
        let full = self.index_key(index);
        let arguments = Arguments { member: Some(member), ttl: Some(ttl), ..self.about(&full) };
        let answers = self.write(&ENROLL, arguments).await;
        answers.and_then(wire::indexed).map_err(|failure| failure.into_error(true, &[index, member]))
    }

    async fn unenroll(&self, index: &StoreKey, member: &StoreKey) -> Result<(), StoreError> {
        let full = self.index_key(index);
        let progress = Progress::default();
        let ask = |commands: &mut Commands| wire::unenroll(commands, &full, member);
        let answers = self.in_time(pin!(self.exec(&full, &ask, &progress)), &progress).await;
        answers.and_then(wire::indexed).map_err(|failure| failure.into_error(true, &[index, member]))
    }

    async fn list(&self, index: &StoreKey, limit: usize) -> Result<Members, StoreError> {
        let full = self.index_key(index);
        let progress = Progress::default();
        let arguments = Arguments { limit: Some(limit), ..self.about(&full) };
        let steps = async {
            match self.step(&LIST, arguments, &progress).await {
                // As with a load.
                Err(failure) if failure.is_broken => self.step(&LIST, arguments, &progress).await,
                other => other,
            }
        };
        let members = self.in_time(pin!(steps), &progress).await.and_then(wire::listed);
        members.map_err(|failure| failure.into_error(false, &[index]))
    }
}

impl RedisStore {
    /// Answers to the version of another store, which nothing here can have.
    async fn foreign(&self, key: &StoreKey) -> Result<Written, StoreError> {
        Ok(match self.load(key).await? {
            None => Written::Absent,
            found => Written::Conflict(found),
        })
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RedisStore");
        shown.field("route", &self.0.route).field("settings", &self.0.env.settings).finish_non_exhaustive()
    }
}
