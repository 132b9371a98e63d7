//! What the tests share.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use cloakroom_core::{StoreKey, Value, Version};
use cloakroom_redis::{RedisConfig, RedisStore};
use cloakroom_store::{Created, Directory, Store, StoreError, Written};
use cloakroom_tests::servers::{Connection, Redis};
use cloakroom_tokio::Tokio;

pub(crate) const LONG: Duration = Duration::from_secs(600);
/// What the first success after a server is back may take, and what a busy machine adds.
pub(crate) const RECOVERY: Duration = Duration::from_secs(2);
pub(crate) const SLACK: Duration = Duration::from_millis(1000);

/// Runs a test on tokio with two threads.
pub(crate) fn on_tokio<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test)
}

/// The settings of most tests: nothing is asked that was not told.
pub(crate) fn config(url: &str) -> RedisConfig {
    RedisConfig::new(url).unwrap().check_server(false)
}

pub(crate) fn store(server: &Redis) -> RedisStore {
    config(&server.url()).lazy(Tokio)
}

pub(crate) fn key(name: &str) -> StoreKey {
    StoreKey::new(name).unwrap()
}

pub(crate) fn value(text: &str) -> Value {
    Value::from(text.as_bytes())
}

/// The version that a text has in Redis.
pub(crate) fn version(text: &str) -> Version {
    Version::from_bytes(value(text))
}

pub(crate) async fn create(store: &RedisStore, name: &str, text: &str) -> Result<Created, StoreError> {
    store.create(&key(name), &value(text), LONG).await
}

pub(crate) async fn replace(store: &RedisStore, name: &str, old: &str, new: &str) -> Result<Written, StoreError> {
    store.replace(&key(name), &version(old), &value(new), LONG).await
}

pub(crate) async fn touch(store: &RedisStore, name: &str, text: &str) -> Result<Written, StoreError> {
    store.touch(&key(name), &version(text), &value(text), LONG).await
}

pub(crate) async fn load(store: &RedisStore, name: &str) -> Result<Option<String>, StoreError> {
    let found = store.load(&key(name)).await?;
    Ok(found.map(|found| String::from_utf8(found.value.as_bytes().to_vec()).unwrap()))
}

pub(crate) async fn enroll(store: &RedisStore, index: &str, member: &str) -> Result<(), StoreError> {
    store.enroll(&key(index), &key(member), LONG).await
}

pub(crate) async fn unenroll(store: &RedisStore, index: &str, member: &str) -> Result<(), StoreError> {
    store.unenroll(&key(index), &key(member)).await
}

/// Lists all members, in the order of their names.
pub(crate) async fn list(store: &RedisStore, index: &str) -> Result<Vec<String>, StoreError> {
    let members = store.list(&key(index), usize::MAX).await?;
    assert_eq!(members.total, members.keys.len() as u64);
    let mut names: Vec<_> = members.keys.iter().map(|key| key.as_str().to_owned()).collect();
    names.sort();
    Ok(names)
}

/// The key that an index has in Redis.
pub(crate) fn index(name: &str) -> String {
    format!("{name} members")
}

/// Counts round trips where they are felt: reads of a server from its clients' sockets.
pub(crate) struct Meter(Connection);

impl Meter {
    pub(crate) fn new(server: &Redis) -> Self {
        Self(server.connect().unwrap())
    }

    /// Returns how many reads there were so far, this one included.
    pub(crate) fn reads(&mut self) -> u64 {
        let stats = self.0.command(&["INFO", "stats"]).unwrap().text();
        let reads = stats.lines().find_map(|line| line.strip_prefix("total_reads_processed:")).unwrap();
        reads.parse().unwrap()
    }

    /// Returns the same once nobody else is read: the end of a probe's connection is one as well.
    fn settled(&mut self) -> u64 {
        let mut last = self.reads();
        loop {
            let reads = self.reads();
            if reads == last + 1 {
                return reads;
            }
            last = reads;
        }
    }

    /// Returns how many reads it takes to do something.
    pub(crate) async fn count<T>(&mut self, work: impl Future<Output = T>) -> (u64, T) {
        let before = self.settled();
        let made = work.await;
        (self.reads() - before - 1, made)
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
