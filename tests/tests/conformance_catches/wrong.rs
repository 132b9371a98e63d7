//! Stores made wrong: a memory store of which some operations are replaced by others.

use std::{
    fmt,
    future::{Future, poll_fn},
    mem,
    sync::{Arc, OnceLock},
    task::Poll,
    time::Duration,
};

use cloakroom_core::{Members, StoreKey, Stored, Value, Version};
use cloakroom_runtime::{BoxFuture, Runtime};
use cloakroom_store::{Created, Directory, DynDirectory, MemoryStore, Removed, Store, StoreError, Written};
use cloakroom_tests::conformance::{Bench, CASES, Case};
use cloakroom_tokio::Tokio;
use futures_util::lock::Mutex;
use tokio::runtime::Builder;

pub(crate) type Outcome<T> = Result<T, StoreError>;

type Load = dyn Fn(MemoryStore, StoreKey) -> BoxFuture<'static, Outcome<Option<Stored>>> + Send + Sync;
type Create = dyn Fn(MemoryStore, StoreKey, Value, Duration) -> BoxFuture<'static, Outcome<Created>> + Send + Sync;
type Write =
    dyn Fn(MemoryStore, StoreKey, Version, Value, Duration) -> BoxFuture<'static, Outcome<Written>> + Send + Sync;
type Remove = dyn Fn(MemoryStore, StoreKey, Version) -> BoxFuture<'static, Outcome<Removed>> + Send + Sync;
type Enroll = dyn Fn(MemoryStore, StoreKey, StoreKey, Duration) -> BoxFuture<'static, Outcome<()>> + Send + Sync;
type Unenroll = dyn Fn(MemoryStore, StoreKey, StoreKey) -> BoxFuture<'static, Outcome<()>> + Send + Sync;
type List = dyn Fn(MemoryStore, StoreKey, usize) -> BoxFuture<'static, Outcome<Members>> + Send + Sync;

/// A store that is right where nothing else is said.
pub(crate) struct Wrong {
    right: MemoryStore,
    load: Box<Load>,
    create: Box<Create>,
    replace: Box<Write>,
    touch: Box<Write>,
    remove: Box<Remove>,
    enroll: Box<Enroll>,
    unenroll: Box<Unenroll>,
    list: Box<List>,
    keeps_indexes: bool,
    shown: Box<dyn Fn() -> String + Send + Sync>,
}

impl Wrong {
    /// To be called inside tokio, which sweeps.
    pub(crate) fn new() -> Self {
        Self::over(MemoryStore::new(Tokio))
    }

    /// Over a store that others share.
    pub(crate) fn over(right: MemoryStore) -> Self {
        Self {
            right,
            load: Box::new(|store, key| Box::pin(async move { Store::load(&store, &key).await })),
            create: Box::new(|store, key, value, ttl| Box::pin(async move { store.create(&key, &value, ttl).await })),
            replace: Box::new(|store, key, version, value, ttl| {
                Box::pin(async move { store.replace(&key, &version, &value, ttl).await })
            }),
            touch: Box::new(|store, key, version, value, ttl| {
                Box::pin(async move { store.touch(&key, &version, &value, ttl).await })
            }),
            remove: Box::new(|store, key, version| Box::pin(async move { store.remove(&key, &version).await })),
            enroll: Box::new(|store, index, member, ttl| {
                Box::pin(async move { Directory::enroll(&store, &index, &member, ttl).await })
            }),
            unenroll: Box::new(|store, index, member| {
                Box::pin(async move { Directory::unenroll(&store, &index, &member).await })
            }),
            list: Box::new(|store, index, limit| Box::pin(async move { Directory::list(&store, &index, limit).await })),
            keeps_indexes: true,
            shown: Box::new(|| "Wrong".to_owned()),
        }
    }

    pub(crate) fn load<F>(mut self, load: impl Fn(MemoryStore, StoreKey) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Outcome<Option<Stored>>> + Send + 'static,
    {
        self.load = Box::new(move |store, key| Box::pin(load(store, key)));
        self
    }

    pub(crate) fn create<F>(
        mut self,
        create: impl Fn(MemoryStore, StoreKey, Value, Duration) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Outcome<Created>> + Send + 'static,
    {
        self.create = Box::new(move |store, key, value, ttl| Box::pin(create(store, key, value, ttl)));
        self
    }

    pub(crate) fn replace<F>(
        mut self,
        replace: impl Fn(MemoryStore, StoreKey, Version, Value, Duration) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Outcome<Written>> + Send + 'static,
    {
        self.replace =
            Box::new(move |store, key, version, value, ttl| Box::pin(replace(store, key, version, value, ttl)));
        self
    }

    pub(crate) fn touch<F>(
        mut self,
        touch: impl Fn(MemoryStore, StoreKey, Version, Value, Duration) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Outcome<Written>> + Send + 'static,
    {
        self.touch = Box::new(move |store, key, version, value, ttl| Box::pin(touch(store, key, version, value, ttl)));
        self
    }

    pub(crate) fn remove<F>(
        mut self,
        remove: impl Fn(MemoryStore, StoreKey, Version) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Outcome<Removed>> + Send + 'static,
    {
        self.remove = Box::new(move |store, key, version| Box::pin(remove(store, key, version)));
        self
    }

    pub(crate) fn enroll<F>(
        mut self,
        enroll: impl Fn(MemoryStore, StoreKey, StoreKey, Duration) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Outcome<()>> + Send + 'static,
    {
        self.enroll = Box::new(move |store, index, member, ttl| Box::pin(enroll(store, index, member, ttl)));
        self
    }

    pub(crate) fn unenroll<F>(
        mut self,
        unenroll: impl Fn(MemoryStore, StoreKey, StoreKey) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Outcome<()>> + Send + 'static,
    {
        self.unenroll = Box::new(move |store, index, member| Box::pin(unenroll(store, index, member)));
        self
    }

    pub(crate) fn list<F>(mut self, list: impl Fn(MemoryStore, StoreKey, usize) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Outcome<Members>> + Send + 'static,
    {
        self.list = Box::new(move |store, index, limit| Box::pin(list(store, index, limit)));
        self
    }

    /// Keeps no indexes, or does not say so.
    pub(crate) fn without_indexes(mut self) -> Self {
        self.keeps_indexes = false;
        self
    }

    pub(crate) fn shown(mut self, shown: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.shown = Box::new(shown);
        self
    }

    /// Changes keys before any operation sees them.
    pub(crate) fn keys(map: fn(&str) -> String) -> Self {
        let map = move |key: &StoreKey| StoreKey::new(&map(key.as_str())).unwrap();
        Self::new()
            .load(move |store, key| async move { Store::load(&store, &map(&key)).await })
            .create(move |store, key, value, ttl| async move { store.create(&map(&key), &value, ttl).await })
            .replace(move |store, key, version, value, ttl| async move {
                store.replace(&map(&key), &version, &value, ttl).await
            })
            .touch(move |store, key, version, value, ttl| async move {
                store.touch(&map(&key), &version, &value, ttl).await
            })
            .remove(move |store, key, version| async move { store.remove(&map(&key), &version).await })
    }

    /// Changes values before they are written.
    pub(crate) fn values(map: fn(&[u8]) -> Vec<u8>) -> Self {
        let map = move |value: &Value| Value::from(map(value.as_bytes()));
        Self::new()
            .create(move |store, key, value, ttl| async move { store.create(&key, &map(&value), ttl).await })
            .replace(move |store, key, version, value, ttl| async move {
                store.replace(&key, &version, &map(&value), ttl).await
            })
    }

    /// Changes times to live before anything is written.
    pub(crate) fn times(map: impl Fn(Duration) -> Outcome<Duration> + Copy + Send + Sync + 'static) -> Self {
        Self::new()
            .create(move |store, key, value, ttl| async move { store.create(&key, &value, map(ttl)?).await })
            .replace(move |store, key, version, value, ttl| async move {
                store.replace(&key, &version, &value, map(ttl)?).await
            })
            .touch(move |store, key, version, value, ttl| async move {
                store.touch(&key, &version, &value, map(ttl)?).await
            })
    }

    /// Hands out versions that are made of what is there, and takes one that is equal for the one that is there.
    pub(crate) fn versions(of: fn(&Stored) -> Version) -> Self {
        // It looks and writes, which is one step only under a lock.
        let lock = Arc::new(Mutex::new(()));
        let locks = [(); 4].map(|()| Arc::clone(&lock));
        let [to_create, to_replace, to_touch, to_remove] = locks;
        let shown = move |found: Stored| Stored { version: of(&found), ..found };
        let written = move |store: MemoryStore, key: StoreKey, written: Written| async move {
            match written {
                Written::Done(version) => Written::Done(there(&store, &key).await.map_or(version, |found| of(&found))),
                Written::Conflict(found) => Written::Conflict(found.map(shown)),
                Written::Absent => Written::Absent,
            }
        };
        let own = move |found: Option<Stored>, version: &Version| match found {
            Some(found) if of(&found) == *version => found.version,
            _ => Version::from_bytes(b"never made".to_vec()),
        };
        Self::new()
            .load(move |store, key| async move { Ok(there(&store, &key).await.map(shown)) })
            .create(move |store, key, value, ttl| {
                let lock = Arc::clone(&to_create);
                async move {
                    let _lock = lock.lock().await;
                    Ok(match store.create(&key, &value, ttl).await? {
                        Created::Done(version) => {
                            Created::Done(there(&store, &key).await.map_or(version, |found| of(&found)))
                        }
                        Created::Exists => Created::Exists,
                    })
                }
            })
            .replace(move |store, key, version, value, ttl| {
                let lock = Arc::clone(&to_replace);
                async move {
                    let _lock = lock.lock().await;
                    let version = own(there(&store, &key).await, &version);
                    let outcome = store.replace(&key, &version, &value, ttl).await?;
                    Ok(written(store, key, outcome).await)
                }
            })
            .touch(move |store, key, version, value, ttl| {
                let lock = Arc::clone(&to_touch);
                async move {
                    let _lock = lock.lock().await;
                    let version = own(there(&store, &key).await, &version);
                    let outcome = store.touch(&key, &version, &value, ttl).await?;
                    Ok(written(store, key, outcome).await)
                }
            })
            .remove(move |store, key, version| {
                let lock = Arc::clone(&to_remove);
                async move {
                    let _lock = lock.lock().await;
                    let version = own(there(&store, &key).await, &version);
                    Ok(match store.remove(&key, &version).await? {
                        Removed::Conflict(found) => Removed::Conflict(found.map(shown)),
                        other => other,
                    })
                }
            })
    }
}

impl Store for Wrong {
    async fn load(&self, key: &StoreKey) -> Outcome<Option<Stored>> {
        (self.load)(self.right.clone(), key.clone()).await
    }

    async fn create(&self, key: &StoreKey, value: &Value, ttl: Duration) -> Outcome<Created> {
        (self.create)(self.right.clone(), key.clone(), value.clone(), ttl).await
    }

    async fn replace(&self, key: &StoreKey, version: &Version, value: &Value, ttl: Duration) -> Outcome<Written> {
        (self.replace)(self.right.clone(), key.clone(), version.clone(), value.clone(), ttl).await
    }

    async fn touch(&self, key: &StoreKey, version: &Version, value: &Value, ttl: Duration) -> Outcome<Written> {
        (self.touch)(self.right.clone(), key.clone(), version.clone(), value.clone(), ttl).await
    }

    async fn remove(&self, key: &StoreKey, version: &Version) -> Outcome<Removed> {
        (self.remove)(self.right.clone(), key.clone(), version.clone()).await
    }

    fn directory(&self) -> Option<&dyn DynDirectory> {
        if self.keeps_indexes { Some(self) } else { None }
    }
}

impl Directory for Wrong {
    async fn enroll(&self, index: &StoreKey, member: &StoreKey, ttl: Duration) -> Outcome<()> {
        (self.enroll)(self.right.clone(), index.clone(), member.clone(), ttl).await
    }

    async fn unenroll(&self, index: &StoreKey, member: &StoreKey) -> Outcome<()> {
        (self.unenroll)(self.right.clone(), index.clone(), member.clone()).await
    }

    async fn list(&self, index: &StoreKey, limit: usize) -> Outcome<Members> {
        (self.list)(self.right.clone(), index.clone(), limit).await
    }
}

impl fmt::Debug for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&(self.shown)())
    }
}

/// Tests that each wrong store fails its case: the one whose name its own name begins with.
macro_rules! caught {
    ($($name:ident: $wrong:expr;)*) => {
        pub(crate) const NAMES: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            $crate::wrong::is_caught(stringify!($name), || $wrong.into());
        })*
    };
}

/// A wrong store on its bench.
pub(crate) struct Suspect(pub(crate) Bench);

impl From<Wrong> for Suspect {
    fn from(wrong: Wrong) -> Self {
        let store = Arc::new(wrong);
        Self(Bench::new(store.clone(), Arc::new(Tokio)).second_handle(store).keys_of_its_own())
    }
}

/// Two handles that should be of one store.
impl From<(Wrong, Wrong)> for Suspect {
    fn from((one, other): (Wrong, Wrong)) -> Self {
        Self(Bench::new(Arc::new(one), Arc::new(Tokio)).second_handle(Arc::new(other)))
    }
}

pub(crate) fn is_caught(name: &str, wrong: impl FnOnce() -> Suspect) {
    let case = case_of(name);
    let checked = tokio().block_on(async { check(case, wrong().0).await });
    let Err(broken) = checked else { panic!("{case:?} passes") };
    assert!(!broken.starts_with("every operation ends"), "{broken}");
}

/// Returns the case that a name begins with: the longest, where one begins with another.
pub(crate) fn case_of(name: &str) -> &'static Case {
    let cases = CASES.iter().filter(|case| name.starts_with(case.name()));
    cases.max_by_key(|case| case.name().len()).unwrap()
}

pub(crate) async fn check(case: &Case, bench: Bench) -> Result<(), String> {
    case.check_with_patience(bench, Duration::from_secs(60)).await
}

pub(crate) fn tokio() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap())
}

/// Returns what is there.
pub(crate) async fn there(store: &MemoryStore, key: &StoreKey) -> Option<Stored> {
    Store::load(store, key).await.unwrap()
}

/// Writes whatever is there.
pub(crate) async fn overwrite(store: &MemoryStore, key: &StoreKey, value: &Value, ttl: Duration) -> Version {
    loop {
        if let Some(found) = there(store, key).await {
            if let Written::Done(version) = store.replace(key, &found.version, value, ttl).await.unwrap() {
                return version;
            }
        } else if let Created::Done(version) = store.create(key, value, ttl).await.unwrap() {
            return version;
        }
    }
}

/// Removes whatever is there.
pub(crate) async fn wipe(store: &MemoryStore, key: &StoreKey) {
    while let Some(found) = there(store, key).await {
        drop(store.remove(key, &found.version).await);
    }
}

/// Lets others go on, once.
pub(crate) fn give_way() -> impl Future<Output = ()> {
    let mut gave_way = false;
    poll_fn(move |context| {
        if mem::replace(&mut gave_way, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Lets others go on for long enough that they do.
pub(crate) async fn dawdle() {
    Tokio.sleep(Duration::from_millis(2)).await;
}
