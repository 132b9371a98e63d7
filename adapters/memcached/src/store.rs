//! The store.

use std::{fmt, pin::pin, sync::Arc, time::Duration};

use cloakroom_core::{StoreKey, Stored, Value, Version};
use cloakroom_runtime::Runtime;
use cloakroom_store::{Created, Fault, Removed, Store, StoreError, Written};
use futures_util::future::{Either, select, try_join_all};

use crate::{
    config::{ConnectError, MemcachedConfig, MemcachedConfigError},
    env::Env,
    failure::Failure,
    pool::{Pool, Progress},
    ring::Ring,
    server::Server,
    step::{self, Step},
    wire::Answer,
};

/// Sessions in memcached. Cheap to clone; clones share the connections.
///
/// Each operation is one round trip, and nothing is sent while nobody asks. See the [crate's page](crate) for what it
/// promises, and what it cannot.
#[derive(Clone)]
pub struct MemcachedStore(Arc<Inner>);

struct Inner {
    env: Arc<Env>,
    servers: Vec<Server>,
    pools: Vec<Pool>,
    ring: Ring,
}

impl MemcachedStore {
    /// Connects to the servers that a URL names; see [`MemcachedConfig::new`] for what it may be.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]: the URL is wrong, or a server is not there or does not answer as memcached does.
    pub async fn connect(url: &str, runtime: impl Runtime) -> Result<Self, ConnectError> {
        MemcachedConfig::new(url)?.connect(runtime).await
    }

    /// Takes what a URL names, and connects when the first session is asked for.
    ///
    /// # Errors
    ///
    /// [`MemcachedConfigError`]: the URL is wrong.
    pub fn lazy(url: &str, runtime: impl Runtime) -> Result<Self, MemcachedConfigError> {
        Ok(MemcachedConfig::new(url)?.lazy(runtime))
    }

    /// Returns which server has a key, by its place in the list that the configuration has.
    pub fn server_of(&self, key: &StoreKey) -> usize {
        self.place_of(&self.key(key))
    }

    pub(crate) fn new(env: Arc<Env>, servers: Vec<Server>) -> Self {
        let ring = Ring::new(servers.iter().map(|server| (server.name.as_str(), server.weight)));
        let pools = servers.iter().map(|server| Pool::new(&env, server)).collect();
        Self(Arc::new(Inner { env, servers, pools, ring }))
    }

    /// Sees that all servers are there.
    pub(crate) async fn see(&self) -> Result<(), StoreError> {
        let connecting = try_join_all(self.0.pools.iter().map(Pool::connection));
        connecting.await.map(drop).map_err(|failure| failure.into_error(false, None))
    }

    fn key(&self, key: &StoreKey) -> Vec<u8> {
        [self.0.env.settings.key_prefix.as_bytes(), key.as_bytes()].concat()
    }

    fn place_of(&self, key: &[u8]) -> usize {
        match self.0.pools.len() {
            1 => 0,
            _ => self.0.ring.server_of(key),
        }
    }

    /// Does a step and reads its answers, within the deadline.
    async fn run<T>(
        &self,
        key: &StoreKey,
        step: Step<'_>,
        read: impl Fn(Vec<Answer>) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let writes = !matches!(step, Step::Load);
        let full = self.key(key);
        let progress = Progress::default();
        let trying = pin!(async {
            match self.exec(&full, step, &read, &progress).await {
                // A connection that just broke says nothing of the next.
                Err(failure) if failure.is_broken && !writes => self.exec(&full, step, &read, &progress).await,
                other => other,
            }
        });
        let ended = match select(trying, self.0.env.runtime.sleep(self.0.env.settings.deadline)).await {
            Either::Left((ended, _)) => ended,
            // Whoever is next on this connection must not wait for what nobody wants any more.
            Either::Right(_) => Err(match progress.give_up() {
                false => Failure::unsent(Fault::TimedOut, "no connection was there in time"),
                true => Failure::sent(Fault::TimedOut, "no answer came in time"),
            }),
        };
        ended.map_err(|failure| failure.into_error(writes, Some(key)))
    }

    async fn exec<T>(
        &self,
        key: &[u8],
        step: Step<'_>,
        read: impl Fn(Vec<Answer>) -> Result<T, Failure>,
        progress: &Progress,
    ) -> Result<T, Failure> {
        // The ring's places are those of the pools.
        let connection = self.0.pools[self.place_of(key)].connection().await?;
        let commands = step.commands(key, connection.facts(), self.0.env.runtime.now())?;
        progress.sent(&connection);
        let answers = connection.exec(&commands).await?;
        if answers.iter().any(|answer| matches!(answer, Answer::Refused(_))) {
            // It may take what follows for something else.
            connection.close();
        }
        let refusal = answers.first().and_then(|answer| step.refusal(answer, connection.facts()));
        let ended = refusal.map_or_else(|| read(answers), Err);
        if ended.as_ref().is_err_and(|failure| failure.is_out_of_step) {
            connection.close();
        }
        ended
    }

    /// Answers to a version that this store never makes, which nothing here can have.
    async fn foreign(&self, key: &StoreKey) -> Result<Option<Option<Stored>>, StoreError> {
        Ok(self.load(key).await?.map(Some))
    }

    async fn write(
        &self,
        key: &StoreKey,
        version: &Version,
        value: &Value,
        ttl: Duration,
    ) -> Result<Written, StoreError> {
        match cas_of(version) {
            None => Ok(self.foreign(key).await?.map_or(Written::Absent, Written::Conflict)),
            Some(cas) => self.run(key, Step::Write { cas, value, ttl }, step::written).await,
        }
    }
}

impl Store for MemcachedStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        self.run(key, Step::Load, step::loaded).await
    }

    async fn create(&self, key: &StoreKey, value: &Value, ttl: Duration) -> Result<Created, StoreError> {
        self.run(key, Step::Create { value, ttl }, step::created).await
    }

    async fn replace(
        &self,
        key: &StoreKey,
        version: &Version,
        value: &Value,
        ttl: Duration,
    ) -> Result<Written, StoreError> {
        self.write(key, version, value, ttl).await
    }

    async fn touch(
        &self,
        key: &StoreKey,
        version: &Version,
        value: &Value,
        ttl: Duration,
    ) -> Result<Written, StoreError> {
        self.write(key, version, value, ttl).await
    }

    async fn remove(&self, key: &StoreKey, version: &Version) -> Result<Removed, StoreError> {
        match cas_of(version) {
            None => Ok(self.foreign(key).await?.map_or(Removed::Absent, Removed::Conflict)),
            Some(cas) => self.run(key, Step::Remove { cas }, step::removed).await,
        }
    }
}

impl fmt::Debug for MemcachedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("MemcachedStore");
        shown.field("servers", &self.0.servers).field("settings", &self.0.env.settings).finish_non_exhaustive()
    }
}

/// Returns the CAS number of a version, if it can be one. None is 0, which some servers take for any.
fn cas_of(version: &Version) -> Option<u64> {
    version.as_u64().filter(|&cas| cas != 0)
}
