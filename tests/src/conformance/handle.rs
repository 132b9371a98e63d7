//! The operations of the store on trial, with what cases expect of them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cloakroom_core::{Members, StoreKey, Stored, Value, Version};
use cloakroom_store::{Created, DynDirectory, DynStore, Removed, StoreError, Written};

use super::{Held, bench::LONG, ensure};

/// A handle of the store on trial. Its operations never fail; those named for an outcome have that outcome.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    store: Arc<dyn DynStore>,
    granularity: Duration,
}

impl Handle {
    pub(super) fn new(store: Arc<dyn DynStore>, granularity: Duration) -> Self {
        Self { store, granularity }
    }

    pub(super) async fn load(&self, key: &StoreKey) -> Held<Option<Stored>> {
        self.store.load(key).await.map_err(|error| failed("load", &error))
    }

    pub(super) async fn create(&self, key: &StoreKey, value: &Value, ttl: Duration) -> Held<Created> {
        self.store.create(key, value, ttl).await.map_err(|error| failed("create", &error))
    }

    pub(super) async fn replace(
        &self,
        key: &StoreKey,
        version: &Version,
        value: &Value,
        ttl: Duration,
    ) -> Held<Written> {
        self.store.replace(key, version, value, ttl).await.map_err(|error| failed("replace", &error))
    }

    /// Replaces; `None` where the store cannot tell whether it did.
    pub(super) async fn replace_or_doubt(
        &self,
        key: &StoreKey,
        version: &Version,
        value: &Value,
        ttl: Duration,
    ) -> Held<Option<Written>> {
        match self.store.replace(key, version, value, ttl).await {
            Ok(written) => Ok(Some(written)),
            Err(error) if error.may_have_happened() => Ok(None),
            Err(error) => Err(failed("replace", &error)),
        }
    }

    pub(super) async fn touch(&self, key: &StoreKey, version: &Version, value: &Value, ttl: Duration) -> Held<Written> {
        self.store.touch(key, version, value, ttl).await.map_err(|error| failed("touch", &error))
    }

    pub(super) async fn remove(&self, key: &StoreKey, version: &Version) -> Held<Removed> {
        self.store.remove(key, version).await.map_err(|error| failed("remove", &error))
    }

    /// Puts a member into an index.
    pub(super) async fn enroll(&self, index: &StoreKey, member: &StoreKey, ttl: Duration) -> Held {
        self.directory()?.enroll(index, member, ttl).await.map_err(|error| failed("enroll", &error))
    }

    /// Takes a member out of an index.
    pub(super) async fn unenroll(&self, index: &StoreKey, member: &StoreKey) -> Held {
        self.directory()?.unenroll(index, member).await.map_err(|error| failed("unenroll", &error))
    }

    pub(super) async fn list(&self, index: &StoreKey, limit: usize) -> Held<Members> {
        self.directory()?.list(index, limit).await.map_err(|error| failed("list", &error))
    }

    /// Lists all members, of which none may be there twice, in the order of their keys.
    pub(super) async fn members(&self, index: &StoreKey) -> Held<Vec<StoreKey>> {
        let Members { mut keys, total } = self.list(index, usize::MAX).await?;
        ensure(total == keys.len() as u64, &format!("a listing tells how many there are: {total} of {}", keys.len()))?;
        keys.sort_unstable();
        ensure(keys.windows(2).all(|pair| pair[0] != pair[1]), "a listing has every member once")?;
        Ok(keys)
    }

    /// Checks that these members are there, and no others.
    pub(super) async fn lists(&self, index: &StoreKey, expected: &[&StoreKey], rule: &str) -> Held {
        let members = self.members(index).await?;
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        let seen = format!("{rule}; {} are there instead of {}, or others", members.len(), expected.len());
        ensure(members.iter().eq(expected), &seen)
    }

    fn directory(&self) -> Held<&dyn DynDirectory> {
        self.store.directory().ok_or_else(|| "a store that keeps indexes says so".to_owned())
    }

    /// Creates what is to live longer than the case.
    pub(super) async fn put(&self, key: &StoreKey, value: &Value) -> Held<Version> {
        self.created(key, value, LONG).await
    }

    pub(super) async fn created(&self, key: &StoreKey, value: &Value, ttl: Duration) -> Held<Version> {
        match self.create(key, value, ttl).await? {
            Created::Done(version) => Ok(version),
            Created::Exists => Err("a create where nothing is stored is done; it found something".to_owned()),
        }
    }

    pub(super) async fn replaced(
        &self,
        key: &StoreKey,
        version: &Version,
        value: &Value,
        ttl: Duration,
    ) -> Held<Version> {
        done(self.replace(key, version, value, ttl).await?, "a replace of the version that is there is done")
    }

    pub(super) async fn touched(
        &self,
        key: &StoreKey,
        version: &Version,
        value: &Value,
        ttl: Duration,
    ) -> Held<Version> {
        done(self.touch(key, version, value, ttl).await?, "a touch of the version that is there is done")
    }

    pub(super) async fn removed(&self, key: &StoreKey, version: &Version) -> Held {
        match self.remove(key, version).await? {
            Removed::Done => Ok(()),
            other => Err(format!("a remove of the version that is there is done; it was {other:?}")),
        }
    }

    /// Loads what must be there.
    pub(super) async fn found(&self, key: &StoreKey, rule: &str) -> Held<Stored> {
        self.load(key).await?.ok_or_else(|| format!("{rule}; nothing is there"))
    }

    /// Loads what must be there with this value, in whatever version.
    pub(super) async fn holds(&self, key: &StoreKey, value: &Value, rule: &str) -> Held<Stored> {
        let found = self.found(key, rule).await?;
        ensure(found.value == *value, &format!("{rule}; another value is there"))?;
        Ok(found)
    }

    /// Checks that nothing is there.
    pub(super) async fn is_absent(&self, key: &StoreKey, rule: &str) -> Held {
        match self.load(key).await? {
            None => Ok(()),
            Some(_) => Err(format!("{rule}; something is there")),
        }
    }

    /// Checks that a version refuses all three conditional writes, and that they change nothing; `value` is what is
    /// there, since `lease` began.
    pub(super) async fn refuses(
        &self,
        key: &StoreKey,
        stale: &Version,
        value: &Value,
        lease: Lease,
        rule: &str,
    ) -> Held {
        let other = Value::from(b"what a stale version must not write".to_vec());
        let ttl = lease.ttl * 3;
        let replaced = conflict(self.replace(key, stale, &other, ttl).await?, rule)?;
        self.is_unchanged(key, value, lease, replaced, rule).await?;
        let touched = conflict(self.touch(key, stale, &other, ttl).await?, rule)?;
        self.is_unchanged(key, value, lease, touched, rule).await?;
        let removed = match self.remove(key, stale).await? {
            Removed::Conflict(found) => found,
            other => return Err(format!("{rule}; a remove was {other:?}")),
        };
        self.is_unchanged(key, value, lease, removed, rule).await
    }

    /// Checks that value and time to live are as before a conflict, and that the conflict brought them, if anything.
    pub(super) async fn is_unchanged(
        &self,
        key: &StoreKey,
        value: &Value,
        lease: Lease,
        brought: Option<Stored>,
        rule: &str,
    ) -> Held {
        let found = self.holds(key, value, &format!("{rule}, and it changes nothing")).await?;
        self.is_kept(lease, &found).map_err(|broken| format!("{rule}, and it changes nothing; {broken}"))?;
        let Some(brought) = brought else { return Ok(()) };
        ensure(brought.value == *value, "a conflict brings the value that is there")?;
        self.is_kept(lease, &brought).map_err(|broken| format!("a conflict brings the time that is left; {broken}"))
    }

    /// Checks that what is there lives as long as was asked: to the second, and never longer.
    pub(super) fn is_kept(&self, lease: Lease, stored: &Stored) -> Held {
        let Some(left) = stored.expires_in else {
            return Err("what is stored has a time left to live; it has none".to_owned());
        };
        let elapsed = lease.since.elapsed();
        // A clock that ticks may be about to when it is written, and has just done so when it is read.
        let at_least = lease.ttl.saturating_sub(elapsed + self.granularity + Duration::from_secs(1));
        ensure(
            at_least <= left && left < lease.ttl + self.granularity,
            &format!("the time left is what was asked, to the second: {left:?} of {:?} after {elapsed:?}", lease.ttl),
        )
    }
}

/// A time to live, and when it was asked for at the earliest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    pub(super) ttl: Duration,
    pub(super) since: Instant,
}

impl Lease {
    /// To be called before the write.
    pub(super) fn start(ttl: Duration) -> Self {
        Self { ttl, since: Instant::now() }
    }

    /// Tells whether it may be over.
    pub(super) fn may_be_over(&self) -> bool {
        self.since.elapsed() >= self.ttl
    }
}

pub(super) fn done(written: Written, rule: &str) -> Held<Version> {
    match written {
        Written::Done(version) => Ok(version),
        other => Err(format!("{rule}; it was {other:?}")),
    }
}

pub(super) fn conflict(written: Written, rule: &str) -> Held<Option<Stored>> {
    match written {
        Written::Conflict(found) => Ok(found),
        other => Err(format!("{rule}; it was {other:?}")),
    }
}

fn failed(operation: &str, error: &StoreError) -> String {
    let source = std::error::Error::source(error).map(|source| format!(" ({source})")).unwrap_or_default();
    format!("a {operation} of a store that is there does not fail; {error}{source}")
}
