//! The store.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cloakroom_core::{Members, OpKind, Outcome, StoreKey, Stored, Value, Version};
use cloakroom_runtime::Runtime;
use cloakroom_store::{Created, Directory, DynDirectory, Fault, Removed, Store, StoreError, Written};

use crate::{
    answer,
    config::{ConnectError, HttpConfig, HttpConfigError},
    env::{Env, Settings},
    pool::Pool,
    request::{Etag, Request},
};

/// What is asked for to see that the service is there.
const PROBE: &str = "cloakroom:probe";

/// Sessions behind an HTTP service. Cheap to clone; clones share the connections.
///
/// Each operation is one request, and nothing is sent while nobody asks. See the [crate's page](crate) for what it promises.
#[derive(Clone)]
pub struct HttpStore(Arc<Inner>);

struct Inner {
    env: Env,
    /// Whether the service was not heard to say that its store keeps no indexes.
    has_index: AtomicBool,
    pool: Pool,
}

impl HttpStore {
    /// Connects to the service at a URL, without a token; see [`HttpConfig`] for the settings.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]: the URL is wrong, or nobody is there who answers as the service does.
    pub async fn connect(url: &str, runtime: impl Runtime) -> Result<Self, ConnectError> {
        HttpConfig::new(url)?.connect(runtime).await
    }

    /// Takes the URL of a service, and connects when the first session is asked for.
    ///
    /// # Errors
    ///
    /// [`HttpConfigError`]: the URL is wrong.
    pub fn lazy(url: &str, runtime: impl Runtime) -> Result<Self, HttpConfigError> {
        Ok(HttpConfig::new(url)?.lazy(runtime))
    }

    pub(crate) fn new(env: Env) -> Self {
        let pool = Pool::new(&env);
        Self(Arc::new(Inner { env, has_index: AtomicBool::new(true), pool }))
    }

    pub(crate) async fn see(&self) -> Result<(), StoreError> {
        let probe = StoreKey::new(PROBE).map_err(|error| StoreError::failed(Fault::Internal).with_source(error))?;
        self.load(&probe).await?;
        match self.ask(Request::list(self.settings(), &probe, 0)).await? {
            Outcome::Listed(_) | Outcome::Unsupported => Ok(()),
            other => Err(unexpected(OpKind::List, &other)),
        }
    }

    fn settings(&self) -> &Settings {
        &self.0.env.settings
    }

    async fn ask(&self, request: Request) -> Result<Outcome, StoreError> {
        let reply = self.0.pool.exchange(&self.0.env, &request).await;
        let reply = reply.map_err(|failure| failure.into_error(request.op))?;
        let outcome = answer::read(request.op, reply.status, &reply.headers, reply.body)?;
        if outcome == Outcome::Unsupported {
            self.0.has_index.store(false, Ordering::Relaxed);
        }
        Ok(outcome)
    }

    /// Answers to the version of another store, which nothing here can have.
    async fn foreign(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        self.load(key).await
    }
}

impl Store for HttpStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        match self.ask(Request::load(self.settings(), key)).await? {
            Outcome::Absent => Ok(None),
            Outcome::Found(found) => Ok(Some(found)),
            other => Err(unexpected(OpKind::Load, &other)),
        }
    }

    async fn create(&self, key: &StoreKey, value: &Value, ttl: Duration) -> Result<Created, StoreError> {
        match self.ask(Request::create(self.settings(), key, value, ttl)).await? {
            Outcome::Done(version) => Ok(Created::Done(version)),
            Outcome::Exists => Ok(Created::Exists),
            other => Err(unexpected(OpKind::Create, &other)),
        }
    }

    async fn replace(
        &self,
        key: &StoreKey,
        version: &Version,
        value: &Value,
        ttl: Duration,
    ) -> Result<Written, StoreError> {
        let Some(etag) = version.as_bytes().and_then(Etag::of) else { return self.foreign(key).await.map(unwritten) };
        written(OpKind::Replace, self.ask(Request::replace(self.settings(), key, &etag, value, ttl)).await?)
    }

    async fn touch(
        &self,
        key: &StoreKey,
        version: &Version,
        value: &Value,
        ttl: Duration,
    ) -> Result<Written, StoreError> {
        let Some(etag) = version.as_bytes().and_then(Etag::of) else { return self.foreign(key).await.map(unwritten) };
        written(OpKind::Touch, self.ask(Request::touch(self.settings(), key, &etag, value, ttl)).await?)
    }

    async fn remove(&self, key: &StoreKey, version: &Version) -> Result<Removed, StoreError> {
        let Some(etag) = version.as_bytes().and_then(Etag::of) else {
            return Ok(match self.foreign(key).await? {
                None => Removed::Absent,
                found => Removed::Conflict(found),
            });
        };
        match self.ask(Request::remove(self.settings(), key, &etag)).await? {
            Outcome::Absent => Ok(Removed::Absent),
            Outcome::Conflict(found) => Ok(Removed::Conflict(found)),
            Outcome::Removed => Ok(Removed::Done),
            other => Err(unexpected(OpKind::Remove, &other)),
        }
    }

    fn directory(&self) -> Option<&dyn DynDirectory> {
        self.0.has_index.load(Ordering::Relaxed).then_some(self as &dyn DynDirectory)
    }
}

impl Directory for HttpStore {
    async fn enroll(&self, index: &StoreKey, member: &StoreKey, ttl: Duration) -> Result<(), StoreError> {
        indexed(OpKind::Enroll, &self.ask(Request::enroll(self.settings(), index, member, ttl)).await?)
    }

    async fn unenroll(&self, index: &StoreKey, member: &StoreKey) -> Result<(), StoreError> {
        indexed(OpKind::Unenroll, &self.ask(Request::unenroll(self.settings(), index, member)).await?)
    }

    async fn list(&self, index: &StoreKey, limit: usize) -> Result<Members, StoreError> {
        match self.ask(Request::list(self.settings(), index, limit)).await? {
            // Never more than were asked for.
            Outcome::Listed(members) if members.keys.len() <= limit => Ok(members),
            other => Err(unexpected(OpKind::List, &other)),
        }
    }
}

fn written(op: OpKind, outcome: Outcome) -> Result<Written, StoreError> {
    match outcome {
        Outcome::Absent => Ok(Written::Absent),
        Outcome::Conflict(found) => Ok(Written::Conflict(found)),
        Outcome::Done(version) => Ok(Written::Done(version)),
        other => Err(unexpected(op, &other)),
    }
}

fn unwritten(found: Option<Stored>) -> Written {
    match found {
        None => Written::Absent,
        found => Written::Conflict(found),
    }
}

fn indexed(op: OpKind, outcome: &Outcome) -> Result<(), StoreError> {
    match outcome {
        Outcome::Indexed => Ok(()),
        other => Err(unexpected(op, other)),
    }
}

/// Makes an error of an outcome that the operation has not; a service whose store keeps no index says so.
fn unexpected(op: OpKind, outcome: &Outcome) -> StoreError {
    match outcome {
        Outcome::Unsupported => {
            StoreError::failed(Fault::Refused).with_source("the store of the service keeps no index of users' sessions")
        }
        _ => answer::in_doubt(op, Fault::Internal, "the service gave an answer that the operation has not".to_owned()),
    }
}

impl fmt::Debug for HttpStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpStore").field("settings", self.settings()).finish_non_exhaustive()
    }
}
