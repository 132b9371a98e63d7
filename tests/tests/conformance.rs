//! Every store on every runtime: each rule of the conformance library is a test, `store::runtime::rule`.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test")]

use std::{
    any::Any,
    panic,
    process::ExitCode,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cloakroom_async_std::AsyncStd;
use cloakroom_core::{Members, StoreKey, Stored, Value, Version};
use cloakroom_http::HttpConfig;
use cloakroom_memcached::{MemcachedConfig, MemcachedConfigError};
use cloakroom_redb::RedbStore;
use cloakroom_redis::{RedisConfig, RedisConfigError};
use cloakroom_runtime::{BoxFuture, Runtime};
use cloakroom_smol::Smol;
use cloakroom_store::{
    Created, Directory, DynDirectory, MemoryStore, MovingStore, Removed, Store, StoreError, Written,
};
use cloakroom_tests::{
    conformance::{AtOnce, Bench, CASES, Case, Lack},
    servers::{
        Cluster, ClusterOptions, Memcached, MemcachedOptions, Options, Redis, Require, Sentinel, SentinelOptions,
        Service, ServiceOptions,
    },
};
use cloakroom_tokio::Tokio;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// Cases wait most of their time.
const AT_ONCE: usize = 24;
/// So long that a busy machine is no fault of a server.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let conclusion = libtest_mimic::run(&arguments, trials());
    // Nothing drops what is static.
    MEMCACHED.stop();
    STANDALONE.stop();
    SENTINEL.stop();
    CLUSTER.stop();
    SERVICES.iter().flatten().for_each(Shared::stop);
    conclusion.exit_code()
}

fn trials() -> Vec<Trial> {
    let (memcached, redis) = (Require::check("memcached"), Require::check("redis"));
    // The stores in turn, so that no server does all the work at once.
    let cells = CASES
        .iter()
        .flat_map(|case| HOSTS.iter().flat_map(move |host| STORES.iter().map(move |store| (case, host, store))));
    cells
        .map(|(case, host, store)| {
            let name = format!("{}::{}::{}", store.name, host.name, case.name());
            let needs = match store.needs {
                None => &Require::Available,
                Some(Server::Memcached) => &memcached,
                Some(Server::Redis) => &redis,
            };
            needs.trial(name, move || check(case, host, store))
        })
        .collect()
}

fn check(case: &'static Case, host: &'static Host, store: &'static StoreKind) -> Result<Completion, Failed> {
    (host.block_on)(Box::pin(async move {
        if (store.name, case.name()) == ("moved", "cancel_leaves_a_replace_done_or_not") {
            return Ok(Completion::ignored_with("a write that is cut off may leave the value in another version"));
        }
        let opened = (store.open)((host.runtime)()).await?;
        if let Some(lack) = case.is_beside_the_point(&opened.bench) {
            return Ok(Completion::ignored_with(lack));
        }
        case.check(opened.bench.clone()).await?;
        Ok(Completion::Completed)
    }))
}

type Checking = BoxFuture<'static, Result<Completion, Failed>>;
type Opening = BoxFuture<'static, Result<Opened, String>>;

/// A runtime, which is one for the whole run, and how to run a future inside it.
struct Host {
    name: &'static str,
    runtime: fn() -> Arc<dyn Runtime>,
    block_on: fn(Checking) -> Result<Completion, Failed>,
}

const HOSTS: [Host; 3] = [
    Host { name: "tokio", runtime: || Arc::new(Tokio), block_on: |future| tokio().block_on(future) },
    Host { name: "async-std", runtime: || Arc::new(AsyncStd), block_on: |future| async_std::task::block_on(future) },
    Host { name: "smol", runtime: || Arc::new(Smol), block_on: |future| smol::block_on(future) },
];

fn tokio() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap())
}

/// Whose program a store needs.
#[derive(Clone, Copy)]
enum Server {
    Memcached,
    Redis,
}

struct StoreKind {
    name: &'static str,
    needs: Option<Server>,
    open: fn(Arc<dyn Runtime>) -> Opening,
}

/// A store for one case, and what has to be there as long.
struct Opened {
    bench: Bench,
    _folder: Option<tempfile::TempDir>,
}

impl From<Bench> for Opened {
    fn from(bench: Bench) -> Self {
        Self { bench, _folder: None }
    }
}

const STORES: [StoreKind; 12] = [
    StoreKind { name: "http-memory", needs: None, open: |runtime| Box::pin(http(&SERVICES[0], runtime)) },
    StoreKind { name: "http-redis", needs: Some(Server::Redis), open: |runtime| Box::pin(http_redis(runtime)) },
    StoreKind {
        name: "memcached",
        needs: Some(Server::Memcached),
        open: |runtime| {
            Box::pin(async { memcached(MemcachedConfig::servers(MEMCACHED.url()?.split(' ')), runtime).await })
        },
    },
    StoreKind { name: "memory", needs: None, open: |runtime| Box::pin(memory(runtime)) },
    StoreKind { name: "memory-at-once", needs: None, open: |runtime| Box::pin(memory_at_once(runtime)) },
    StoreKind { name: "redb", needs: None, open: |runtime| Box::pin(redb(runtime)) },
    StoreKind { name: "moving", needs: None, open: |runtime| Box::pin(moving(runtime, MovingStore::moving)) },
    StoreKind { name: "preparing", needs: None, open: |runtime| Box::pin(moving(runtime, MovingStore::prepare)) },
    StoreKind { name: "moved", needs: None, open: |runtime| Box::pin(moved(runtime)) },
    StoreKind {
        name: "redis-standalone",
        needs: Some(Server::Redis),
        open: |runtime| Box::pin(async { redis(RedisConfig::new(&STANDALONE.url()?), runtime).await }),
    },
    StoreKind {
        name: "redis-sentinel",
        needs: Some(Server::Redis),
        open: |runtime| Box::pin(async { redis(RedisConfig::new(&SENTINEL.url()?), runtime).await }),
    },
    StoreKind {
        name: "redis-cluster",
        needs: Some(Server::Redis),
        open: |runtime| Box::pin(async { redis(RedisConfig::new(&CLUSTER.url()?), runtime).await }),
    },
];

async fn memcached(
    config: Result<MemcachedConfig, MemcachedConfigError>,
    runtime: Arc<dyn Runtime>,
) -> Result<Opened, String> {
    static OPENED: AtomicUsize = AtomicUsize::new(0);
    let prefix = format!("case-{}:", OPENED.fetch_add(1, Ordering::Relaxed));
    let config = config.and_then(|config| config.key_prefix(&prefix)).map_err(|error| error.to_string())?;
    let config = config.deadline(PATIENCE).check_server(false);
    let connect = || async {
        config.clone().connect(Arc::clone(&runtime)).await.map(Arc::new).map_err(|error| error.to_string())
    };
    let (store, second) = (connect().await?, connect().await?);
    let bench = Bench::new(store, runtime).second_handle(second).keys_of_its_own();
    // A second for the part of one that is left of it, and one for the tick of the server's clock.
    Ok(bench.granularity(Duration::from_secs(2)).lacking(Lack::Directory).into())
}

async fn memory(runtime: Arc<dyn Runtime>) -> Result<Opened, String> {
    let store = MemoryStore::new(Arc::clone(&runtime));
    Ok(Bench::new(Arc::new(store.clone()), runtime).second_handle(Arc::new(store)).keys_of_its_own().into())
}

async fn memory_at_once(runtime: Arc<dyn Runtime>) -> Result<Opened, String> {
    let store = MemoryStore::new(Arc::clone(&runtime));
    let store = AtOnce::new(store);
    Ok(Bench::new(Arc::new(store.clone()), runtime).second_handle(Arc::new(store)).keys_of_its_own().into())
}

async fn redb(runtime: Arc<dyn Runtime>) -> Result<Opened, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join("sessions.redb");
    let store = RedbStore::open(path, Arc::clone(&runtime)).await.map_err(|error| error.to_string())?;
    let bench = Bench::new(Arc::new(store.clone()), runtime).second_handle(Arc::new(store)).keys_of_its_own();
    Ok(Opened { bench, _folder: Some(folder) })
}

/// Asks a service of its own on each runtime, so that its keys are nobody else's.
async fn http(services: &'static [Shared<Service>; 3], runtime: Arc<dyn Runtime>) -> Result<Opened, String> {
    let name = format!("{runtime:?}");
    let host = HOSTS.iter().position(|host| format!("{:?}", (host.runtime)()) == name);
    let url = services[host.ok_or("a runtime of this test")?].url()?;
    let config = HttpConfig::new(&url).map_err(|error| error.to_string())?.deadline(PATIENCE);
    let connect = || async {
        config.clone().connect(Arc::clone(&runtime)).await.map(Arc::new).map_err(|error| format!("{error:?}"))
    };
    let (store, second) = (connect().await?, connect().await?);
    Ok(Bench::new(store, runtime).second_handle(second).keys_of_its_own().into())
}

async fn http_redis(runtime: Arc<dyn Runtime>) -> Result<Opened, String> {
    let opened = http(&SERVICES[1], runtime).await?;
    Ok(opened.bench.lacking(Lack::VersionsOfStates).into())
}

async fn moving(
    runtime: Arc<dyn Runtime>,
    join: fn(MemoryStore, MemoryStore) -> MovingStore<MemoryStore, MemoryStore>,
) -> Result<Opened, String> {
    let store = join(MemoryStore::new(Arc::clone(&runtime)), MemoryStore::new(Arc::clone(&runtime)));
    Ok(Bench::new(Arc::new(store.clone()), runtime).second_handle(Arc::new(store)).keys_of_its_own().into())
}

/// From memory to a file; the second handle is of a node that prepares.
async fn moved(runtime: Arc<dyn Runtime>) -> Result<Opened, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join("sessions.redb");
    let new = RedbStore::open(path, Arc::clone(&runtime)).await.map_err(|error| error.to_string())?;
    let old = MemoryStore::new(Arc::clone(&runtime));
    let preparing = MovingStore::prepare(old.clone(), new.clone());
    let store = Moved { preparing: preparing.clone(), moving: MovingStore::moving(old, new) };
    let bench = Bench::new(Arc::new(store), runtime).second_handle(Arc::new(preparing)).keys_of_its_own();
    Ok(Opened { bench: bench.lacking(Lack::CertainReplaces), _folder: Some(folder) })
}

/// Makes everything on a node that prepares, and does the rest on one that moves: every first write moves a key.
#[derive(Debug)]
struct Moved {
    preparing: MovingStore<MemoryStore, RedbStore>,
    moving: MovingStore<MemoryStore, RedbStore>,
}

impl Store for Moved {
    async fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        Store::load(&self.moving, key).await
    }

    async fn create(&self, key: &StoreKey, value: &Value, ttl: Duration) -> Result<Created, StoreError> {
        Store::create(&self.preparing, key, value, ttl).await
    }

    async fn replace(&self, key: &StoreKey, at: &Version, value: &Value, ttl: Duration) -> Result<Written, StoreError> {
        Store::replace(&self.moving, key, at, value, ttl).await
    }

    async fn touch(&self, key: &StoreKey, at: &Version, value: &Value, ttl: Duration) -> Result<Written, StoreError> {
        Store::touch(&self.moving, key, at, value, ttl).await
    }

    async fn remove(&self, key: &StoreKey, at: &Version) -> Result<Removed, StoreError> {
        Store::remove(&self.moving, key, at).await
    }

    fn directory(&self) -> Option<&dyn DynDirectory> {
        Some(self)
    }
}

impl Directory for Moved {
    async fn enroll(&self, index: &StoreKey, member: &StoreKey, ttl: Duration) -> Result<(), StoreError> {
        Directory::enroll(&self.preparing, index, member, ttl).await
    }

    async fn unenroll(&self, index: &StoreKey, member: &StoreKey) -> Result<(), StoreError> {
        Directory::unenroll(&self.moving, index, member).await
    }

    async fn list(&self, index: &StoreKey, limit: usize) -> Result<Members, StoreError> {
        Directory::list(&self.moving, index, limit).await
    }
}

async fn redis(config: Result<RedisConfig, RedisConfigError>, runtime: Arc<dyn Runtime>) -> Result<Opened, String> {
    static OPENED: AtomicUsize = AtomicUsize::new(0);
    let prefix = format!("case-{}:", OPENED.fetch_add(1, Ordering::Relaxed));
    let config = config.and_then(|config| config.key_prefix(&prefix)).map_err(|error| error.to_string())?;
    let config = config.deadline(PATIENCE).check_server(false);
    let connect = || async {
        config.clone().connect(Arc::clone(&runtime)).await.map(Arc::new).map_err(|error| error.to_string())
    };
    let (store, second) = (connect().await?, connect().await?);
    let bench = Bench::new(store, runtime).second_handle(second).keys_of_its_own();
    Ok(bench.lacking(Lack::VersionsOfStates).into())
}

// Two, of which each has a part of the keys; the largest record fits, and nothing is evicted.
static MEMCACHED: Shared<[Memcached; 2]> = Shared::new(|| {
    let start = || Memcached::start(MemcachedOptions::new().arguments(["-M", "-m", "512", "-I", "2m"]));
    let servers = [start(), start()];
    (servers.each_ref().map(Memcached::url).join(" "), servers)
});
// No node may take another to be down because the machine is busy.
static STANDALONE: Shared<Redis> = Shared::new(|| {
    let server = Redis::start(Options::new());
    (server.url(), server)
});
static SENTINEL: Shared<Sentinel> = Shared::new(|| {
    let server = Sentinel::start(SentinelOptions::new().down_after(PATIENCE));
    (server.url(), server)
});
static CLUSTER: Shared<Cluster> = Shared::new(|| {
    let server = Cluster::start(ClusterOptions::new().node_timeout(PATIENCE));
    (server.url(), server)
});

/// A service for each runtime, over memory and over Redis.
static SERVICES: [[Shared<Service>; 3]; 2] =
    [[const { Shared::new(|| service("memory:")) }; 3], [const { Shared::new(service_of_redis) }; 3]];

fn service(store: &str) -> (String, Service) {
    let service = Service::start(ServiceOptions::new(store).set("--deadline", "30s").set("--log", "error"));
    (service.url(), service)
}

fn service_of_redis() -> (String, Service) {
    static DATABASE: AtomicUsize = AtomicUsize::new(1);
    // A database of its own, as others' keys are their own too.
    let database = DATABASE.fetch_add(1, Ordering::Relaxed);
    service(&format!("{}/{database}", STANDALONE.url().unwrap()))
}

/// A server that the first case that needs it starts.
struct Shared<S> {
    start: fn() -> (String, S),
    started: Mutex<Option<Result<(String, S), String>>>,
}

impl<S> Shared<S> {
    const fn new(start: fn() -> (String, S)) -> Self {
        Self { start, started: Mutex::new(None) }
    }

    fn url(&self) -> Result<String, String> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        let started = started.get_or_insert_with(|| panic::catch_unwind(self.start).map_err(|why| words(&*why)));
        started.as_ref().map(|(url, _)| url.clone()).map_err(Clone::clone)
    }

    fn stop(&self) {
        drop(self.started.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default()
}
