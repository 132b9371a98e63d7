//! What the tests share.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use cloakroom_core::{StoreKey, Stored, Value, Version};
use cloakroom_memcached::{MemcachedConfig, MemcachedStore};
use cloakroom_store::{Created, Store, StoreError, Written};
use cloakroom_tests::servers::Memcached;
use cloakroom_tokio::Tokio;

pub(crate) const LONG: Duration = Duration::from_secs(600);
/// What the first success after a server is back may take, and what a busy machine adds.
pub(crate) const RECOVERY: Duration = Duration::from_secs(2);
pub(crate) const SLACK: Duration = Duration::from_millis(3000);

/// Runs a test on tokio with two threads.
pub(crate) fn on_tokio<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test)
}

/// The settings of most tests: nothing is warned of.
pub(crate) fn config(url: &str) -> MemcachedConfig {
    MemcachedConfig::new(url).unwrap().check_server(false)
}

pub(crate) fn store(server: &Memcached) -> MemcachedStore {
    config(&server.url()).lazy(Tokio)
}

pub(crate) fn key(name: &str) -> StoreKey {
    StoreKey::new(name).unwrap()
}

pub(crate) fn value(text: &str) -> Value {
    Value::from(text.as_bytes())
}

/// Makes a value of so many bytes.
pub(crate) fn bulk(bytes: usize) -> Value {
    Value::from(vec![b'x'; bytes])
}

pub(crate) async fn create(store: &MemcachedStore, name: &str, text: &str) -> Result<Version, StoreError> {
    match store.create(&key(name), &value(text), LONG).await? {
        Created::Done(version) => Ok(version),
        Created::Exists => panic!("{name} exists"),
    }
}

pub(crate) async fn replace(
    store: &MemcachedStore,
    name: &str,
    old: &Version,
    new: &str,
) -> Result<Written, StoreError> {
    store.replace(&key(name), old, &value(new), LONG).await
}

pub(crate) async fn found(store: &MemcachedStore, name: &str) -> Result<Option<Stored>, StoreError> {
    store.load(&key(name)).await
}

pub(crate) async fn load(store: &MemcachedStore, name: &str) -> Result<Option<String>, StoreError> {
    Ok(found(store, name).await?.map(|found| text_of(&found)))
}

pub(crate) fn text_of(found: &Stored) -> String {
    String::from_utf8(found.value.as_bytes().to_vec()).unwrap()
}

/// Returns the value of a conflict that brings one.
#[track_caller]
pub(crate) fn brought(written: Written) -> String {
    match written {
        Written::Conflict(Some(found)) => text_of(&found),
        other => panic!("no conflict that brings what is there: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn done(written: Written) -> Version {
    match written {
        Written::Done(version) => version,
        other => panic!("not done: {other:?}"),
    }
}

/// Waits as `eventually` does, without holding up a thread of the runtime.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < cloakroom_tests::demo::PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
