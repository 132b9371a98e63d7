//! A memory store behind a slow and faulty line.

use std::{
    future::{Future, pending},
    sync::{Arc, Mutex},
    time::Duration,
};

use cloakroom_core::{StoreKey, Stored, Value, Version};
use cloakroom_runtime::Runtime;
use cloakroom_sim::SimRuntime;
use cloakroom_store::{Created, Fault, MemoryStore, Removed, Store, StoreError, Written};

/// How the store behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mood {
    /// Slow; and now and then it fails, does not tell, or does it after the deadline.
    Flaky,
    Silent,
    Slow,
    Well,
}

#[derive(Clone, Debug)]
pub(crate) struct Flaky {
    store: MemoryStore,
    runtime: SimRuntime,
    mood: Arc<Mutex<Mood>>,
}

impl Flaky {
    pub(crate) fn new(store: MemoryStore, runtime: SimRuntime) -> Self {
        Self { store, runtime, mood: Arc::new(Mutex::new(Mood::Well)) }
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Does it, as its mood is. `doubt` makes the error of an operation that may have happened.
    async fn ask<T: Send + 'static>(
        &self,
        doubt: fn(Fault) -> StoreError,
        operation: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let mood = *self.mood.lock().unwrap();
        let trouble = match mood {
            Mood::Flaky => self.runtime.draw(12),
            Mood::Silent => return pending().await,
            Mood::Slow => u64::MAX,
            Mood::Well => return operation.await,
        };
        let before = self.pause(20);
        let after = self.pause(20);
        match trouble {
            0 => return Err(StoreError::failed(Fault::Unavailable)),
            1 => {
                before.await;
                operation.await?;
                return Err(doubt(Fault::Unavailable));
            }
            2 => return Err(doubt(Fault::Unavailable)),
            3 => {
                // The deadline is two seconds.
                let late = self.runtime.sleep(Duration::from_millis(self.runtime.draw(4000)));
                drop(self.runtime.spawn(Box::pin(async {
                    late.await;
                    drop(operation.await);
                })));
                return pending().await;
            }
            _ => {}
        }
        before.await;
        let result = operation.await;
        after.await;
        result
    }

    fn pause(&self, millis: u64) -> impl Future<Output = ()> + Send + use<> {
        self.runtime.sleep(Duration::from_millis(self.runtime.draw(millis)))
    }
}

impl Store for Flaky {
    async fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        let (store, key) = (self.store.clone(), key.clone());
        self.ask(StoreError::failed, async move { store.load(&key).await }).await
    }

    async fn create(&self, key: &StoreKey, value: &Value, ttl: Duration) -> Result<Created, StoreError> {
        let (store, key, value) = (self.store.clone(), key.clone(), value.clone());
        self.ask(StoreError::unknown, async move { store.create(&key, &value, ttl).await }).await
    }

    async fn replace(&self, key: &StoreKey, at: &Version, value: &Value, ttl: Duration) -> Result<Written, StoreError> {
        let (store, key, at, value) = (self.store.clone(), key.clone(), at.clone(), value.clone());
        self.ask(StoreError::unknown, async move { store.replace(&key, &at, &value, ttl).await }).await
    }

    async fn touch(&self, key: &StoreKey, at: &Version, value: &Value, ttl: Duration) -> Result<Written, StoreError> {
        let (store, key, at, value) = (self.store.clone(), key.clone(), at.clone(), value.clone());
        self.ask(StoreError::unknown, async move { store.touch(&key, &at, &value, ttl).await }).await
    }

    async fn remove(&self, key: &StoreKey, at: &Version) -> Result<Removed, StoreError> {
        let (store, key, at) = (self.store.clone(), key.clone(), at.clone());
        self.ask(StoreError::unknown, async move { store.remove(&key, &at).await }).await
    }
}
