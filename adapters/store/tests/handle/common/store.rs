//! A store in a map that records what it is asked, and misbehaves as told.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cloakroom_core::{Members, OpKind, StoreKey, Stored, Value, Version};
use cloakroom_store::{Created, Directory, DynDirectory, Fault, Removed, Store, StoreError, Written};
use tokio::time::{Instant, sleep};

/// What the store does in place of a plain answer. All but the panics are seen by the driver's deadline.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// Does it and never answers.
    ApplyThenHang,
    /// Does it, and answers only once the gate is open.
    ApplyThenHold(Gate),
    /// Does it after a while, then answers.
    Delay(Duration),
    /// Says that it did not happen.
    Fail,
    /// Does nothing and never answers.
    Hang,
    /// Does it once the gate is open.
    Hold(Gate),
    /// Never answers, and does it after a while all the same.
    LandLate(Duration),
    /// Others write what is under the key just before.
    Overtaken,
    Panic,
}

/// Closed until it is opened, once and for all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<AtomicBool>);

impl Gate {
    pub(crate) fn open(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) async fn pass(&self) {
        while !self.0.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestStore(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    held: BTreeMap<StoreKey, Held>,
    /// Until when each member of an index is there.
    indexes: BTreeMap<StoreKey, BTreeMap<StoreKey, Instant>>,
    versions: u64,
    asked: Vec<(OpKind, StoreKey)>,
    troubles: Vec<(OpKind, Trouble, u32)>,
    brings_no_conflict: bool,
    keeps_no_index: bool,
}

#[derive(Clone, Debug)]
struct Held {
    value: Value,
    version: u64,
    expires: Instant,
}

impl TestStore {
    /// The next operation of a kind meets this trouble; several are met in turn.
    pub(crate) fn once(&self, kind: OpKind, trouble: Trouble) {
        self.lock().troubles.push((kind, trouble, 1));
    }

    pub(crate) fn always(&self, kind: OpKind, trouble: Trouble) {
        self.lock().troubles.push((kind, trouble, u32::MAX));
    }

    pub(crate) fn recover(&self) {
        self.lock().troubles.clear();
    }

    /// A conflict brings nothing: the machine has to look.
    pub(crate) fn bring_no_conflict(&self) {
        self.lock().brings_no_conflict = true;
    }

    /// No index is kept from now on.
    pub(crate) fn keep_no_index(&self) {
        self.lock().keeps_no_index = true;
    }

    /// The operations since the last call, by name, those under way too.
    pub(crate) fn take_ops(&self) -> String {
        let asked = std::mem::take(&mut self.lock().asked);
        asked.iter().map(|(kind, _)| kind.name()).collect::<Vec<_>>().join(",")
    }

    pub(crate) fn count(&self, kind: OpKind) -> usize {
        self.lock().asked.iter().filter(|(asked, _)| *asked == kind).count()
    }

    /// Every key that was asked for since the last [`TestStore::take_ops`].
    pub(crate) fn keys(&self) -> Vec<StoreKey> {
        self.lock().asked.iter().map(|(_, key)| key.clone()).collect()
    }

    pub(crate) fn held_keys(&self) -> Vec<StoreKey> {
        self.lock().held.keys().cloned().collect()
    }

    /// All that is held, as text.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.lock().held.values().map(|held| String::from_utf8_lossy(held.value.as_bytes()).into_owned()).collect()
    }

    /// The records that a ticket could open.
    pub(crate) fn live(&self) -> usize {
        self.texts().iter().filter(|text| text.contains(r#""kind":"record""#)).count()
    }

    /// Tells whether some record holds this text.
    pub(crate) fn holds(&self, text: &str) -> bool {
        self.texts().iter().any(|held| held.contains(text))
    }

    /// Damages everything that is held.
    pub(crate) fn corrupt(&self) {
        let mut inner = self.lock();
        let version = inner.versions + 1;
        inner.versions = version;
        for held in inner.held.values_mut() {
            held.value = Value::from(b"{\"format\":1,\"kind\":\"rec".to_vec());
            held.version = version;
        }
    }

    /// Forgets everything, as a restart would.
    pub(crate) fn wipe(&self) {
        let mut inner = self.lock();
        inner.held.clear();
        inner.indexes.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    async fn perform<T>(
        &self,
        kind: OpKind,
        key: &StoreKey,
        apply: impl FnOnce(&mut Inner) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let trouble = {
            let mut inner = self.lock();
            inner.asked.push((kind, key.clone()));
            let found = inner.troubles.iter_mut().find(|(of, _, left)| *of == kind && *left > 0);
            found.map(|(_, trouble, left)| {
                *left -= 1;
                trouble.clone()
            })
        };
        let apply = move |store: &Self| apply(&mut store.lock());
        match trouble {
            None => {}
            Some(Trouble::ApplyThenHang) => {
                apply(self);
                return pending().await;
            }
            Some(Trouble::ApplyThenHold(gate)) => {
                let result = apply(self);
                gate.pass().await;
                return Ok(result);
            }
            Some(Trouble::Delay(delay)) => sleep(delay).await,
            Some(Trouble::Fail) => return Err(StoreError::failed(Fault::Unavailable).with_source("down")),
            Some(Trouble::Hang) => return pending().await,
            Some(Trouble::Hold(gate)) => gate.pass().await,
            Some(Trouble::LandLate(delay)) => {
                let store = self.clone();
                drop(tokio::spawn(async move {
                    sleep(delay).await;
                    apply(&store);
                }));
                return pending().await;
            }
            Some(Trouble::Overtaken) => self.lock().rewrite(key),
            Some(Trouble::Panic) => panic!("the store broke down"),
        }
        Ok(apply(self))
    }
}

impl Inner {
    fn find(&self, key: &StoreKey) -> Option<Stored> {
        let held = self.held.get(key).filter(|held| held.expires > Instant::now())?;
        let expires_in = Some(held.expires.duration_since(Instant::now()));
        Some(Stored { value: held.value.clone(), version: Version::from_u64(held.version), expires_in })
    }

    fn rewrite(&mut self, key: &StoreKey) {
        self.versions += 1;
        let version = self.versions;
        if let Some(held) = self.held.get_mut(key) {
            held.version = version;
        }
    }

    fn put(&mut self, key: StoreKey, value: Value, ttl: Duration) -> Version {
        self.versions += 1;
        self.held.insert(key, Held { value, version: self.versions, expires: Instant::now() + ttl });
        Version::from_u64(self.versions)
    }

    fn write(&mut self, key: StoreKey, version: &Version, value: Value, ttl: Duration) -> Written {
        match self.find(&key) {
            None => Written::Absent,
            Some(found) if found.version == *version => Written::Done(self.put(key, value, ttl)),
            Some(found) => Written::Conflict(Some(found).filter(|_| !self.brings_no_conflict)),
        }
    }
}

impl Store for TestStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        let k = key.clone();
        self.perform(OpKind::Load, key, move |inner| inner.find(&k)).await
    }

    async fn create(&self, key: &StoreKey, value: &Value, ttl: Duration) -> Result<Created, StoreError> {
        let (k, value) = (key.clone(), value.clone());
        let apply = move |inner: &mut Inner| match inner.find(&k) {
            None => Created::Done(inner.put(k, value, ttl)),
            Some(_) => Created::Exists,
        };
        self.perform(OpKind::Create, key, apply).await
    }

    async fn replace(&self, key: &StoreKey, at: &Version, value: &Value, ttl: Duration) -> Result<Written, StoreError> {
        let (k, at, value) = (key.clone(), at.clone(), value.clone());
        self.perform(OpKind::Replace, key, move |inner| inner.write(k, &at, value, ttl)).await
    }

    async fn touch(&self, key: &StoreKey, at: &Version, value: &Value, ttl: Duration) -> Result<Written, StoreError> {
        let (k, at, value) = (key.clone(), at.clone(), value.clone());
        self.perform(OpKind::Touch, key, move |inner| inner.write(k, &at, value, ttl)).await
    }

    async fn remove(&self, key: &StoreKey, at: &Version) -> Result<Removed, StoreError> {
        let (k, at) = (key.clone(), at.clone());
        let apply = move |inner: &mut Inner| match inner.find(&k) {
            None => Removed::Absent,
            Some(found) if found.version == at => {
                inner.held.remove(&k);
                Removed::Done
            }
            Some(found) => Removed::Conflict(Some(found)),
        };
        self.perform(OpKind::Remove, key, apply).await
    }

    fn directory(&self) -> Option<&dyn DynDirectory> {
        (!self.lock().keeps_no_index).then_some(self)
    }
}

impl Directory for TestStore {
    async fn enroll(&self, index: &StoreKey, member: &StoreKey, ttl: Duration) -> Result<(), StoreError> {
        let (of, member) = (index.clone(), member.clone());
        let apply = move |inner: &mut Inner| {
            let end = Instant::now() + ttl;
            let there = inner.indexes.entry(of).or_default().entry(member).or_insert(end);
            *there = end.max(*there);
        };
        self.perform(OpKind::Enroll, index, apply).await
    }

    async fn unenroll(&self, index: &StoreKey, member: &StoreKey) -> Result<(), StoreError> {
        let (of, member) = (index.clone(), member.clone());
        let apply = move |inner: &mut Inner| {
            inner.indexes.entry(of).or_default().remove(&member);
        };
        self.perform(OpKind::Unenroll, index, apply).await
    }

    async fn list(&self, index: &StoreKey, limit: usize) -> Result<Members, StoreError> {
        let of = index.clone();
        let apply = move |inner: &mut Inner| {
            let there = inner.indexes.get(&of).into_iter().flatten().filter(|(_, end)| **end > Instant::now());
            let mut keys: Vec<_> = there.map(|(member, _)| member.clone()).collect();
            let total = keys.len() as u64;
            keys.truncate(limit);
            Members { keys, total }
        };
        self.perform(OpKind::List, index, apply).await
    }
}
