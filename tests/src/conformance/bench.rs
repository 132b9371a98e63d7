//! What a case works with.

use std::{
    fmt,
    future::Future,
    hash::{BuildHasher, Hasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cloakroom_core::{StoreKey, Value, limits::DEFAULT_MAX_RECORD};
use cloakroom_runtime::{Runtime, run};
use cloakroom_store::DynStore;
use futures_util::future::join_all;

use super::{Held, handle::Handle};

/// A time to live where none is the subject.
pub(super) const LONG: Duration = Duration::from_secs(600);

/// A store to check, the runtime to check it on, and what the store declares itself unable of.
///
/// Clones share the store and the source of keys.
#[derive(Clone, Debug)]
pub struct Bench {
    store: Arc<dyn DynStore>,
    second: Option<Arc<dyn DynStore>>,
    runtime: Arc<dyn Runtime>,
    lacks: Vec<Lack>,
    granularity: Duration,
    largest_value: usize,
    many: usize,
    source: Arc<Source>,
}

impl Bench {
    /// Takes a store and a runtime. Without further words the store is taken to do everything.
    pub fn new(store: Arc<dyn DynStore>, runtime: Arc<dyn Runtime>) -> Self {
        Self {
            store,
            second: None,
            runtime,
            lacks: vec![Lack::KeysOfItsOwn, Lack::SecondHandle],
            granularity: Duration::from_millis(1),
            largest_value: DEFAULT_MAX_RECORD,
            many: 10_000,
            source: Arc::new(Source::new()),
        }
    }

    /// Adds another handle of the same store: another connection, or what another process would open.
    #[must_use = "this returns the changed bench"]
    pub fn second_handle(mut self, store: Arc<dyn DynStore>) -> Self {
        self.second = Some(store);
        self.lacks.retain(|&lack| lack != Lack::SecondHandle);
        self
    }

    /// Says that nobody else uses the store's keys, so that there may be keys without a random prefix.
    #[must_use = "this returns the changed bench"]
    pub fn keys_of_its_own(mut self) -> Self {
        self.lacks.retain(|&lack| lack != Lack::KeysOfItsOwn);
        self
    }

    /// Says what the store cannot do.
    #[must_use = "this returns the changed bench"]
    pub fn lacking(mut self, lack: Lack) -> Self {
        self.lacks.push(lack);
        self
    }

    /// Sets the steps in which the store counts times to live; by default a millisecond. It may round up to the next.
    #[must_use = "this returns the changed bench"]
    pub fn granularity(mut self, step: Duration) -> Self {
        self.granularity = step;
        self
    }

    /// Sets the bytes of the largest value that the store takes; by default those of the largest record.
    #[must_use = "this returns the changed bench"]
    pub fn largest_value(mut self, bytes: usize) -> Self {
        self.largest_value = bytes;
        self
    }

    /// Sets how many keys the case of many keys takes; by default 10,000. That of many members takes at most as many, and
    /// 1,000 at most.
    #[must_use = "this returns the changed bench"]
    pub fn many_keys(mut self, keys: usize) -> Self {
        self.many = keys;
        self
    }

    pub(super) fn lacks(&self, lack: Lack) -> bool {
        self.lacks.contains(&lack)
    }

    pub(super) fn runtime(&self) -> &dyn Runtime {
        &*self.runtime
    }

    pub(super) fn store(&self) -> Handle {
        Handle::new(Arc::clone(&self.store), self.granularity)
    }

    /// Returns the other handle; the same one where there is none.
    pub(super) fn other_store(&self) -> Handle {
        Handle::new(Arc::clone(self.second.as_ref().unwrap_or(&self.store)), self.granularity)
    }

    pub(super) fn largest(&self) -> usize {
        self.largest_value
    }

    pub(super) fn many(&self) -> usize {
        self.many
    }

    /// Returns a key that was never used.
    pub(super) fn key(&self) -> StoreKey {
        let unique = self.source.next();
        self.key_of(&format!("{unique:x}"))
    }

    /// Returns a key that ends so, after the random prefix. Each case that names its keys begins them with its own name.
    pub(super) fn key_of(&self, end: &str) -> StoreKey {
        self.valid(&format!("{}{end}", self.source.prefix))
    }

    /// Returns the random prefix.
    pub(super) fn prefix(&self) -> &str {
        &self.source.prefix
    }

    #[allow(clippy::expect_used, reason = "cases name keys of visible ASCII that are short enough")]
    pub(super) fn valid(&self, key: &str) -> StoreKey {
        StoreKey::new(key).expect("a valid key")
    }

    /// Returns a value that was never stored: stores may compare values.
    pub(super) fn value(&self) -> Value {
        Value::from(format!("value {} of {}", self.source.next(), self.source.prefix).into_bytes())
    }

    /// Returns a time to live that is waited for.
    pub(super) fn brief(&self) -> Duration {
        Duration::from_millis(300).max(self.granularity)
    }

    /// Waits until a time to live that began before this call is over for every store that keeps its word.
    pub(super) async fn outlive(&self, ttl: Duration) {
        self.sleep(ttl + self.granularity + Duration::from_millis(100)).await;
    }

    pub(super) async fn sleep(&self, duration: Duration) {
        self.runtime.sleep(duration).await;
    }

    /// Runs tasks side by side, and waits for all of them.
    pub(super) async fn together<T, F>(&self, tasks: usize, each: impl Fn(usize) -> F) -> Held<Vec<T>>
    where
        T: Send + 'static,
        F: Future<Output = Held<T>> + Send + 'static,
    {
        let ends = join_all((0..tasks).map(|task| run(&self.runtime, each(task)))).await;
        ends.into_iter().map(|end| end.map_err(|_| "no operation panics".to_owned())?).collect()
    }
}

/// What a store, or a bench, cannot do. The cases that need it say nothing about that store, or ask less of it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lack {
    /// A replace that happened while others replace the same key may be in doubt.
    CertainReplaces,
    /// It keeps no indexes.
    Directory,
    /// Others use keys of the store that are as short.
    KeysOfItsOwn,
    /// The bench has no other handle of the same store.
    SecondHandle,
    /// A conflict never brings what is there.
    ValuesWithConflicts,
    /// Versions are the values: two states of a key with equal values have equal versions. The engine never writes such.
    VersionsOfStates,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CertainReplaces => "doubts replaces in a crowd",
            Self::Directory => "keeps no index",
            Self::KeysOfItsOwn => "shares its keys",
            Self::SecondHandle => "no second handle",
            Self::ValuesWithConflicts => "conflicts bring no value",
            Self::VersionsOfStates => "compares values",
        })
    }
}

/// Where fresh keys and values come from.
#[derive(Debug)]
struct Source {
    prefix: String,
    used: AtomicU64,
}

impl Source {
    fn new() -> Self {
        let random = RandomState::new().build_hasher().finish();
        Self { prefix: format!("{random:016x}:"), used: AtomicU64::new(0) }
    }

    fn next(&self) -> u64 {
        self.used.fetch_add(1, Ordering::Relaxed)
    }
}
