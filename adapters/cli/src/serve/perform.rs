//! Doing what a request asks for.

use std::pin::pin;

use bytes::Bytes;
use cloakroom_core::{OpKind, Outcome, StoreKey, Value, Version};
use cloakroom_store::{Created, DynDirectory, Fault, Removed, StoreError, Written};
use futures_util::future::{Either, select};
use hyper::{Request, StatusCode, body::Incoming};
use serde_json::json;

use super::{
    Service, body,
    etag::Etag,
    reply::{self, Reply},
    request::{Ask, value},
    routes::Route,
};

/// What is asked for to see that the store answers.
const PROBE: &str = "cloakroom:health";

impl Service {
    /// Answers a request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        let asked = Route::read(head.uri.path()).and_then(|route| {
            if !route.is_public() {
                self.auth.admit(&head.headers)?;
            }
            Ask::read(route, &head.method, &head.uri, &head.headers)
        });
        let is_wanted = asked.as_ref().is_ok_and(Ask::has_value);
        let body = body::take(body, is_wanted, &*self.runtime).await;
        match asked.and_then(|ask| Ok((ask, body?))) {
            Ok((ask, body)) => self.perform(ask, body).await,
            Err(refusal) => {
                self.metrics.refused(refusal);
                reply::refused(refusal)
            }
        }
    }

    async fn perform(&self, ask: Ask, body: Bytes) -> Reply {
        let Some(op) = ask.op() else {
            return match ask {
                Ask::Document => reply::reply(StatusCode::OK, "application/json", self.document.clone()),
                Ask::Metrics => {
                    const TYPE: &str = "text/plain; version=0.0.4";
                    reply::reply(StatusCode::OK, TYPE, self.metrics.text().into())
                }
                _ => self.health().await,
            };
        };
        let (reply, word) = match self.in_time(self.operate(ask, body)).await {
            Ok(outcome) => reply::done(outcome, op == OpKind::Create),
            Err(error) => {
                tracing::warn!(operation = op.name(), error = &error as &dyn std::error::Error, "the store failed");
                self.metrics.failed(error.fault());
                reply::failed(&error, matches!(op, OpKind::List | OpKind::Load))
            }
        };
        tracing::debug!(operation = op.name(), outcome = word, "answered");
        self.metrics.answered(op, word);
        reply
    }

    async fn operate(&self, ask: Ask, body: Bytes) -> Result<Outcome, StoreError> {
        let store = self.store.as_dyn();
        Ok(match ask {
            Ask::Create { key, ttl } => match store.create(&key, &value(body), ttl).await? {
                Created::Done(version) => Outcome::Done(version),
                Created::Exists => Outcome::Exists,
            },
            Ask::Load { key } => store.load(&key).await?.map_or(Outcome::Absent, Outcome::Found),
            Ask::Remove { key, etag } => match self.settle(&key, etag, None).await? {
                Err(outcome) => outcome,
                Ok((version, _)) => match store.remove(&key, &version).await? {
                    Removed::Absent => Outcome::Absent,
                    Removed::Conflict(found) => Outcome::Conflict(found),
                    Removed::Done => Outcome::Removed,
                },
            },
            Ask::Replace { key, etag, ttl } => match self.settle(&key, etag, Some(value(body))).await? {
                Err(outcome) => outcome,
                Ok((version, value)) => written(store.replace(&key, &version, &value, ttl).await?),
            },
            Ask::Touch { key, etag, ttl } => {
                // Without the value, it is read here, for stores that touch by rewriting.
                let given = (!body.is_empty()).then(|| value(body));
                let settled = match given {
                    None => self.look(&key, &etag).await?,
                    given => self.settle(&key, etag, given).await?,
                };
                match settled {
                    Err(outcome) => outcome,
                    Ok((version, value)) => written(store.touch(&key, &version, &value, ttl).await?),
                }
            }
            Ask::Enroll { index, member, ttl } => match store.directory() {
                None => Outcome::Unsupported,
                Some(directory) => directory.enroll(&index, &member, ttl).await.map(|()| Outcome::Indexed)?,
            },
            Ask::List { index, limit } => match store.directory() {
                None => Outcome::Unsupported,
                Some(directory) => Outcome::Listed(DynDirectory::list(directory, &index, limit).await?),
            },
            Ask::Unenroll { index, member } => match store.directory() {
                None => Outcome::Unsupported,
                Some(directory) => directory.unenroll(&index, &member).await.map(|()| Outcome::Indexed)?,
            },
            // They are no operations.
            Ask::Document | Ask::Health | Ask::Metrics => Outcome::Unsupported,
        })
    }

    /// Finds the version that a client means, or says how the operation ends without it. The value goes along.
    async fn settle(
        &self,
        key: &StoreKey,
        etag: Etag,
        given: Option<Value>,
    ) -> Result<Result<(Version, Value), Outcome>, StoreError> {
        let given = given.unwrap_or_else(|| Value::from(Vec::new()));
        match etag {
            Etag::Version(version) => Ok(Ok((version, given))),
            etag => Ok(self.look(key, &etag).await?.map(|(version, _)| (version, given))),
        }
    }

    /// Looks for what a client means; brings its value as well.
    async fn look(&self, key: &StoreKey, etag: &Etag) -> Result<Result<(Version, Value), Outcome>, StoreError> {
        Ok(match self.store.as_dyn().load(key).await? {
            None => Err(Outcome::Absent),
            Some(found) if etag.is_of(&found.version) => Ok((found.version, found.value)),
            found => Err(Outcome::Conflict(found)),
        })
    }

    async fn health(&self) -> Reply {
        let look = async {
            match StoreKey::new(PROBE) {
                Ok(probe) => self.store.as_dyn().load(&probe).await.map(drop),
                Err(error) => Err(StoreError::failed(Fault::Internal).with_source(error)),
            }
        };
        let (status, word) = match self.in_time(look).await {
            Ok(()) => (StatusCode::OK, "ok"),
            Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "failed"),
        };
        reply::reply(status, "application/json", json!({ "store": word }).to_string().into())
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        match select(pin!(work), self.runtime.sleep(self.deadline)).await {
            Either::Left((done, _)) => done,
            Either::Right(_) => Err(StoreError::unknown(Fault::TimedOut)),
        }
    }
}

fn written(written: Written) -> Outcome {
    match written {
        Written::Absent => Outcome::Absent,
        Written::Conflict(found) => Outcome::Conflict(found),
        Written::Done(version) => Outcome::Done(version),
    }
}
