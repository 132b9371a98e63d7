//! What a store does at once, as a store.

use std::time::Duration;

use cloakroom_core::{Members, Op, Outcome, StoreKey, Stored, Value, Version};
use cloakroom_store::{Created, Directory, DynDirectory, Fault, Removed, Store, StoreError, Written};

/// A store that does by another's [`Store::at_once`] what it is asked for, so that the cases check that.
#[derive(Clone, Debug)]
pub struct AtOnce<S>(S);

impl<S: Store> AtOnce<S> {
    /// Makes it of a store that does every operation at once, those of a [`Directory`] too where it is one.
    pub fn new(store: S) -> Self {
        Self(store)
    }

    /// Does it, and takes an outcome that the operation may have.
    fn ask<T>(&self, op: Op, take: impl FnOnce(Outcome) -> Option<T>) -> Result<T, StoreError> {
        let wrong = || StoreError::failed(Fault::Internal);
        take(Store::at_once(&self.0, &op).ok_or_else(wrong)??).ok_or_else(wrong)
    }
}

fn written(outcome: Outcome) -> Option<Written> {
    Some(match outcome {
        Outcome::Absent => Written::Absent,
        Outcome::Conflict(found) => Written::Conflict(found),
        Outcome::Done(version) => Written::Done(version),
        _ => return None,
    })
}

fn indexed(outcome: Outcome) -> Option<()> {
    matches!(outcome, Outcome::Indexed).then_some(())
}

impl<S: Store> Store for AtOnce<S> {
    async fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        self.ask(Op::Load { key: key.clone() }, |outcome| match outcome {
            Outcome::Absent => Some(None),
            Outcome::Found(found) => Some(Some(found)),
            _ => None,
        })
    }

    async fn create(&self, key: &StoreKey, value: &Value, ttl: Duration) -> Result<Created, StoreError> {
        self.ask(Op::Create { key: key.clone(), value: value.clone(), ttl }, |outcome| match outcome {
            Outcome::Done(version) => Some(Created::Done(version)),
            Outcome::Exists => Some(Created::Exists),
            _ => None,
        })
    }

    async fn replace(&self, key: &StoreKey, at: &Version, value: &Value, ttl: Duration) -> Result<Written, StoreError> {
        let (key, version, value) = (key.clone(), at.clone(), value.clone());
        self.ask(Op::Replace { key, version, value, ttl }, written)
    }

    async fn touch(&self, key: &StoreKey, at: &Version, value: &Value, ttl: Duration) -> Result<Written, StoreError> {
        let (key, version, value) = (key.clone(), at.clone(), value.clone());
        self.ask(Op::Touch { key, version, value, ttl }, written)
    }

    async fn remove(&self, key: &StoreKey, at: &Version) -> Result<Removed, StoreError> {
        self.ask(Op::Remove { key: key.clone(), version: at.clone() }, |outcome| match outcome {
            Outcome::Absent => Some(Removed::Absent),
            Outcome::Conflict(found) => Some(Removed::Conflict(found)),
            Outcome::Removed => Some(Removed::Done),
            _ => None,
        })
    }

    fn directory(&self) -> Option<&dyn DynDirectory> {
        Store::directory(&self.0).is_some().then_some(self as &dyn DynDirectory)
    }
}

impl<S: Store> Directory for AtOnce<S> {
    async fn enroll(&self, index: &StoreKey, member: &StoreKey, ttl: Duration) -> Result<(), StoreError> {
        self.ask(Op::Enroll { index: index.clone(), member: member.clone(), ttl }, indexed)
    }

    async fn unenroll(&self, index: &StoreKey, member: &StoreKey) -> Result<(), StoreError> {
        self.ask(Op::Unenroll { index: index.clone(), member: member.clone() }, indexed)
    }

    async fn list(&self, index: &StoreKey, limit: usize) -> Result<Members, StoreError> {
        let mut members = self.ask(Op::List { index: index.clone() }, |outcome| match outcome {
            Outcome::Listed(members) => Some(members),
            _ => None,
        })?;
        members.keys.truncate(limit);
        Ok(members)
    }
}
