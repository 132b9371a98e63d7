//! What a store must do: five operations, each a single atomic step.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use cloakroom_core::{Op, Outcome, StoreKey, Stored, Value, Version};
use cloakroom_runtime::BoxFuture;

use crate::{directory::DynDirectory, error::StoreError};

/// A place where sessions are kept.
///
/// Implementers write `async fn`. Values are opaque bytes. Every operation is one atomic step on one key; there is no
/// unconditional write. After `ttl` a value is gone for every operation, whether it was swept or not. A [`Version`] never
/// comes back for another state of the same key; a state is the value alone, so that the bytes themselves can be the
/// version.
///
/// An error says whether the operation may have happened: [`StoreError::failed`] or [`StoreError::unknown`]. A store
/// that is down is an error, never an absent session.
///
/// What else to mind: a `ttl` may be next to nothing or [`Duration::MAX`]; an empty value is a value; a version that
/// another store made is a conflict; an operation whose future is dropped happens wholly or not at all, and disturbs no
/// other; and `Debug` prints no key and no value. The conformance suite, `cloakroom_tests::conformance`, checks all of it.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Looks what is under the key, with its version and how long it has left to live.
    fn load(&self, key: &StoreKey) -> impl Future<Output = Result<Option<Stored>, StoreError>> + Send;

    /// Stores the value only if nothing is under the key.
    fn create(
        &self,
        key: &StoreKey,
        value: &Value,
        ttl: Duration,
    ) -> impl Future<Output = Result<Created, StoreError>> + Send;

    /// Stores the value only if what is there has the version.
    fn replace(
        &self,
        key: &StoreKey,
        version: &Version,
        value: &Value,
        ttl: Duration,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// Lets what is there live for `ttl` from now, only if it has the version. `value` is what was read, for stores that
    /// touch by rewriting.
    fn touch(
        &self,
        key: &StoreKey,
        version: &Version,
        value: &Value,
        ttl: Duration,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// Removes what is there only if it has the version.
    fn remove(&self, key: &StoreKey, version: &Version) -> impl Future<Output = Result<Removed, StoreError>> + Send;

    /// Returns the store as one that keeps indexes, if it does: `Some(self)`. Without, nobody's sessions can be listed or
    /// ended together.
    fn directory(&self) -> Option<&dyn DynDirectory> {
        None
    }

    /// Does an operation at once, as the method of its name does, with no future and no deadline: for a store that waits for
    /// nothing but short locks. `None` says that it cannot, and that nothing happened. A store that is wrapped around another
    /// need not pass it on.
    ///
    /// It is asked for those of a [`Directory`](crate::Directory) too, and lists at most
    /// [`MAX_LISTED`](cloakroom_core::limits::MAX_LISTED). What it cannot do is an error, not [`Outcome::Failed`] or
    /// [`Outcome::Unknown`]. After a conflict the same operation may be asked for once more.
    /// `cloakroom_tests::conformance::AtOnce` makes a store of it that the suite can check.
    fn at_once(&self, op: &Op) -> Option<Result<Outcome, StoreError>> {
        let _ = op;
        None
    }
}

/// How a creation ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "stores choose among them all")]
pub enum Created {
    /// It is stored, in this version.
    Done(Version),
    /// Something is under the key already.
    Exists,
}

impl From<Created> for Outcome {
    fn from(created: Created) -> Self {
        match created {
            Created::Done(version) => Self::Done(version),
            Created::Exists => Self::Exists,
        }
    }
}

/// How a replacement or a touch ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "stores choose among them all")]
pub enum Written {
    /// Nothing is under the key.
    Absent,
    /// What is there has another version; with what is there, where the store can bring it in the same step.
    Conflict(Option<Stored>),
    /// It is stored, in this version.
    Done(Version),
}

impl From<Written> for Outcome {
    fn from(written: Written) -> Self {
        match written {
            Written::Absent => Self::Absent,
            Written::Conflict(found) => Self::Conflict(found),
            Written::Done(version) => Self::Done(version),
        }
    }
}

/// How a removal ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "stores choose among them all")]
pub enum Removed {
    /// Nothing is under the key.
    Absent,
    /// What is there has another version; with what is there, where the store can bring it in the same step.
    Conflict(Option<Stored>),
    /// It is gone.
    Done,
}

impl From<Removed> for Outcome {
    fn from(removed: Removed) -> Self {
        match removed {
            Removed::Absent => Self::Absent,
            Removed::Conflict(found) => Self::Conflict(found),
            Removed::Done => Self::Removed,
        }
    }
}

/// The object-safe mirror of [`Store`], which every store is.
pub trait DynStore: fmt::Debug + Send + Sync + 'static {
    /// [`Store::load`]
    fn load<'a>(&'a self, key: &'a StoreKey) -> BoxFuture<'a, Result<Option<Stored>, StoreError>>;

    /// [`Store::create`]
    fn create<'a>(
        &'a self,
        key: &'a StoreKey,
        value: &'a Value,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Created, StoreError>>;

    /// [`Store::replace`]
    fn replace<'a>(
        &'a self,
        key: &'a StoreKey,
        version: &'a Version,
        value: &'a Value,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Written, StoreError>>;

    /// [`Store::touch`]
    fn touch<'a>(
        &'a self,
        key: &'a StoreKey,
        version: &'a Version,
        value: &'a Value,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Written, StoreError>>;

    /// [`Store::remove`]
    fn remove<'a>(&'a self, key: &'a StoreKey, version: &'a Version) -> BoxFuture<'a, Result<Removed, StoreError>>;

    /// [`Store::directory`]
    fn directory(&self) -> Option<&dyn DynDirectory>;

    /// [`Store::at_once`]
    fn at_once(&self, op: &Op) -> Option<Result<Outcome, StoreError>>;
}

impl<S: Store> DynStore for S {
    fn load<'a>(&'a self, key: &'a StoreKey) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        Box::pin(Store::load(self, key))
    }

    fn create<'a>(
        &'a self,
        key: &'a StoreKey,
        value: &'a Value,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Created, StoreError>> {
        Box::pin(Store::create(self, key, value, ttl))
    }

    fn replace<'a>(
        &'a self,
        key: &'a StoreKey,
        version: &'a Version,
        value: &'a Value,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Written, StoreError>> {
        Box::pin(Store::replace(self, key, version, value, ttl))
    }

    fn touch<'a>(
        &'a self,
        key: &'a StoreKey,
        version: &'a Version,
        value: &'a Value,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Written, StoreError>> {
        Box::pin(Store::touch(self, key, version, value, ttl))
    }

    fn remove<'a>(&'a self, key: &'a StoreKey, version: &'a Version) -> BoxFuture<'a, Result<Removed, StoreError>> {
        Box::pin(Store::remove(self, key, version))
    }

    fn directory(&self) -> Option<&dyn DynDirectory> {
        Store::directory(self)
    }

    fn at_once(&self, op: &Op) -> Option<Result<Outcome, StoreError>> {
        Store::at_once(self, op)
    }
}

/// A shared store is a store, also one whose type is erased.
impl<S: DynStore + ?Sized> Store for Arc<S> {
    async fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        (**self).load(key).await
    }

    async fn create(&self, key: &StoreKey, value: &Value, ttl: Duration) -> Result<Created, StoreError> {
        (**self).create(key, value, ttl).await
    }

    async fn replace(
        &self,
        key: &StoreKey,
        version: &Version,
        value: &Value,
        ttl: Duration,
    ) -> Result<Written, StoreError> {
        (**self).replace(key, version, value, ttl).await
    }

    async fn touch(
        &self,
        key: &StoreKey,
        version: &Version,
        value: &Value,
        ttl: Duration,
    ) -> Result<Written, StoreError> {
        (**self).touch(key, version, value, ttl).await
    }

    async fn remove(&self, key: &StoreKey, version: &Version) -> Result<Removed, StoreError> {
        (**self).remove(key, version).await
    }

    fn directory(&self) -> Option<&dyn DynDirectory> {
        (**self).directory()
    }

    fn at_once(&self, op: &Op) -> Option<Result<Outcome, StoreError>> {
        (**self).at_once(op)
    }
}
