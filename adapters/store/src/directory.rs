//! What a store can do beside the five operations: keep an index of each user's sessions.

use std::{future::Future, time::Duration};

use cloakroom_core::{Members, StoreKey};
use cloakroom_runtime::BoxFuture;

use crate::{error::StoreError, store::Store};

/// A store that keeps indexes: sets of the keys of sessions, each under a key of its own.
///
/// Every operation is one atomic step. A member is listed from its enrolment for at least its time to live, unless it was
/// taken out; one whose time is over is listed no more, or at the latest until the next sweep. An index whose last
/// member is gone takes no room. The keys of indexes never meet those of sessions.
///
/// A store that implements this says so in [`Store::directory`].
pub trait Directory: Store {
    /// Puts a member into the index, for at least `ttl` from now. One that is there stays at least as long as before.
    fn enroll(
        &self,
        index: &StoreKey,
        member: &StoreKey,
        ttl: Duration,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes a member out of the index, if it is there.
    fn unenroll(&self, index: &StoreKey, member: &StoreKey) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Lists the members of the index: at most `limit` of them, in any order, and how many there are. An index that is not
    /// there is empty.
    fn list(&self, index: &StoreKey, limit: usize) -> impl Future<Output = Result<Members, StoreError>> + Send;
}

/// The object-safe mirror of [`Directory`], which every directory is.
pub trait DynDirectory: Send + Sync {
    /// [`Directory::enroll`]
    fn enroll<'a>(
        &'a self,
        index: &'a StoreKey,
        member: &'a StoreKey,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// [`Directory::unenroll`]
    fn unenroll<'a>(&'a self, index: &'a StoreKey, member: &'a StoreKey) -> BoxFuture<'a, Result<(), StoreError>>;

    /// [`Directory::list`]
    fn list<'a>(&'a self, index: &'a StoreKey, limit: usize) -> BoxFuture<'a, Result<Members, StoreError>>;
}

impl<S: Directory> DynDirectory for S {
    fn enroll<'a>(
        &'a self,
        index: &'a StoreKey,
        member: &'a StoreKey,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(Directory::enroll(self, index, member, ttl))
    }

    fn unenroll<'a>(&'a self, index: &'a StoreKey, member: &'a StoreKey) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(Directory::unenroll(self, index, member))
    }

    fn list<'a>(&'a self, index: &'a StoreKey, limit: usize) -> BoxFuture<'a, Result<Members, StoreError>> {
        Box::pin(Directory::list(self, index, limit))
    }
}
