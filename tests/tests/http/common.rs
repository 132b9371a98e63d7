//! What the tests share.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use cloakroom_core::{StoreKey, Value, Version};
use cloakroom_http::{HttpConfig, HttpStore};
use cloakroom_store::{Created, Store, StoreError, Written};
use cloakroom_tests::servers::{Service, ServiceOptions};

pub(crate) const LONG: Duration = Duration::from_secs(600);
/// What the first success after a service is back may take, and what a busy machine adds.
pub(crate) const RECOVERY: Duration = Duration::from_secs(2);
pub(crate) const SLACK: Duration = Duration::from_millis(1500);

/// Runs a test on tokio with two threads.
pub(crate) fn on_tokio<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test)
}

/// Starts a service whose sessions are in its memory.
pub(crate) fn service() -> Service {
    Service::start(ServiceOptions::new("memory:").set("--log", "error"))
}

pub(crate) fn config(url: &str) -> HttpConfig {
    HttpConfig::new(url).unwrap()
}

pub(crate) fn key(name: &str) -> StoreKey {
    StoreKey::new(name).unwrap()
}

pub(crate) fn value(text: &str) -> Value {
    Value::from(text.as_bytes())
}

/// Creates a value; returns its version.
pub(crate) async fn create(store: &HttpStore, name: &str, text: &str) -> Result<Version, StoreError> {
    match store.create(&key(name), &value(text), LONG).await? {
        Created::Done(version) => Ok(version),
        Created::Exists => panic!("{name} exists"),
    }
}

/// Replaces a value; returns the next version.
pub(crate) async fn replace(
    store: &HttpStore,
    name: &str,
    version: &Version,
    text: &str,
) -> Result<Version, StoreError> {
    match store.replace(&key(name), version, &value(text), LONG).await? {
        Written::Done(version) => Ok(version),
        other => panic!("{name}: {other:?}"),
    }
}

pub(crate) async fn load(store: &HttpStore, name: &str) -> Result<Option<String>, StoreError> {
    let found = store.load(&key(name)).await?;
    Ok(found.map(|found| String::from_utf8(found.value.as_bytes().to_vec()).unwrap()))
}

/// Waits as `eventually` does, without holding up a thread of the runtime.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < cloakroom_tests::demo::PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
