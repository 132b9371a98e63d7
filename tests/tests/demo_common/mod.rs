//! The demo on every store and runtime, for tests that are the same on all of them.

#![allow(dead_code, reason = "each suite uses a part")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    process::ExitCode,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use cloakroom_tests::{
    demo::{Client, Demo, Metrics, keygen},
    servers::{Cluster, ClusterOptions, Options, Redis, Reply, Require, Sentinel, SentinelOptions},
};
use libtest_mimic::{Arguments, Completion, Trial};
use serde_json::Value;
use tempfile::TempDir;

/// How long a server of a group may be silent: no busy machine makes it change its master.
const CALM: Duration = Duration::from_secs(30);

pub(crate) const RUNTIMES: [&str; 3] = ["async-std", "smol", "tokio"];

/// What must hold in each setting.
pub(crate) type Case = fn(&Cell);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum StoreKind {
    Memory,
    Redb,
    Redis,
    RedisCluster,
    RedisSentinel,
}

impl StoreKind {
    const OF_ONE_SERVER: [Self; 3] = [Self::Memory, Self::Redb, Self::Redis];
    const OF_MANY: [Self; 2] = [Self::RedisCluster, Self::RedisSentinel];

    /// Tells whether a group of servers keeps the sessions.
    pub(crate) fn is_of_many(self) -> bool {
        Self::OF_MANY.contains(&self)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redb => "redb",
            Self::Redis => "redis",
            Self::RedisCluster => "redis-cluster",
            Self::RedisSentinel => "redis-sentinel",
        }
    }
}

/// What demos run on, and where they keep their sessions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) store: StoreKind,
    /// One for each process.
    pub(crate) runtimes: &'static [&'static str],
}

impl Setting {
    pub(crate) const SHARED: Self = Self { store: StoreKind::Redis, runtimes: &RUNTIMES };

    /// One process.
    pub(crate) fn one(store: StoreKind, runtime: &str) -> Self {
        let runtimes = RUNTIMES.iter().position(|name| *name == runtime).map_or(&[][..], |at| &RUNTIMES[at..=at]);
        Self { store, runtimes }
    }

    /// Each store on each runtime, but for groups of servers; and three processes, each on another runtime, that share a
    /// Redis.
    pub(crate) fn most() -> Vec<Self> {
        Self::on_each_runtime(&StoreKind::OF_ONE_SERVER).chain([Self::SHARED]).collect()
    }

    /// Those, and groups of servers.
    pub(crate) fn all() -> Vec<Self> {
        Self::most().into_iter().chain(Self::on_each_runtime(&StoreKind::OF_MANY)).collect()
    }

    fn on_each_runtime(stores: &[StoreKind]) -> impl Iterator<Item = Self> {
        stores.iter().flat_map(|&store| RUNTIMES.map(|runtime| Self::one(store, runtime)))
    }

    /// Returns the name of a test.
    pub(crate) fn name(self, rule: &str) -> String {
        let runtimes = match self.runtimes {
            [runtime] => runtime,
            [_, _] => "two_processes",
            _ => "three_processes",
        };
        format!("{}::{runtimes}::{rule}", self.store.name())
    }

    /// Makes a test of a case.
    pub(crate) fn trial(self, rule: &str, case: Case) -> Trial {
        let name = self.name(rule);
        let test = move || {
            case(&Cell::start(self));
            Ok(Completion::Completed)
        };
        match self.store {
            StoreKind::Memory | StoreKind::Redb => Trial::ignorable_test(name, test),
            StoreKind::Redis | StoreKind::RedisCluster | StoreKind::RedisSentinel => {
                Require::check("redis").trial(name, test)
            }
        }
    }
}

/// Runs each case in each setting, and others that are tests already.
pub(crate) fn run(settings: &[Setting], cases: &[(&str, Case)], others: impl IntoIterator<Item = Trial>) -> ExitCode {
    let trials = cases.iter().flat_map(|(rule, case)| settings.iter().map(|setting| setting.trial(rule, *case)));
    let trials = trials.chain(others).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A test that needs no setting.
pub(crate) fn plain(rule: &str, case: fn()) -> Trial {
    Trial::test(rule, move || {
        case();
        Ok(())
    })
}

/// Running demos with one ring and one store.
pub(crate) struct Cell {
    pub(crate) setting: Setting,
    // Before what they use.
    demos: Vec<Demo>,
    redis: Option<Redis>,
    group: Option<Mutex<Group>>,
    folder: Option<TempDir>,
}

/// Servers that keep sessions together.
enum Group {
    Cluster(Cluster),
    Sentinel(Sentinel),
}

impl Group {
    fn url(&self) -> String {
        match self {
            Self::Cluster(cluster) => cluster.url(),
            Self::Sentinel(sentinel) => sentinel.url(),
        }
    }

    /// Returns how many entries there are; replicas have copies.
    fn entries(&mut self) -> u64 {
        match self {
            Self::Cluster(cluster) => cluster.nodes().iter().map(entries_of).sum(),
            Self::Sentinel(sentinel) => entries_of(sentinel.master_node()),
        }
    }
}

fn entries_of(redis: &Redis) -> u64 {
    match redis.ask(&["DBSIZE"]) {
        Reply::Integer(entries) => entries as u64,
        other => panic!("{other:?}"),
    }
}

impl Cell {
    pub(crate) fn start(setting: Setting) -> Self {
        Self::of(setting, &[], Options::new())
    }

    /// Starts demos with further options, and their Redis with options of its own.
    pub(crate) fn of(setting: Setting, options: &[&str], server: Options) -> Self {
        let (mut redis, mut group, mut folder) = (None, None, None);
        let url = match setting.store {
            StoreKind::Memory => "memory:".to_owned(),
            StoreKind::Redb => {
                let folder = folder.insert(tempfile::tempdir().unwrap());
                format!("redb:{}", folder.path().join("sessions.redb").display())
            }
            StoreKind::Redis => redis.insert(Redis::start(server)).url(),
            StoreKind::RedisCluster => {
                let cluster = Cluster::start(ClusterOptions::new().nodes(server).node_timeout(CALM));
                group.insert(Group::Cluster(cluster)).url()
            }
            StoreKind::RedisSentinel => {
                let sentinel = Sentinel::start(SentinelOptions::new().nodes(server).down_after(CALM));
                group.insert(Group::Sentinel(sentinel)).url()
            }
        };
        let group = group.map(Mutex::new);
        let ring = keygen();
        let start = |runtime: &&str| {
            let own = ["--store", &url, "--runtime", runtime, "--keys", "env:RING"];
            Demo::with(&[&own, options].concat(), &[("RING", &ring)])
        };
        Self { setting, demos: setting.runtimes.iter().map(start).collect(), redis, group, folder }
    }

    /// Returns one of the demos, for whoever has this number.
    pub(crate) fn demo(&self, number: u64) -> &Demo {
        &self.demos[number as usize % self.demos.len()]
    }

    /// Returns the server that keeps their sessions.
    pub(crate) fn redis(&self) -> &Redis {
        self.redis.as_ref().unwrap_or_else(|| panic!("not of {:?}", self.setting))
    }

    /// Returns the same, to stop and start it.
    pub(crate) fn redis_mut(&mut self) -> &mut Redis {
        self.redis.as_mut().unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        self.demos[0].client()
    }

    pub(crate) fn visitor(&self, key: &str, value: &Value) -> Client {
        self.demos[0].visitor(key, value)
    }

    /// Returns how many events of a kind all demos noticed.
    pub(crate) fn event(&self, name: &str) -> u64 {
        self.metrics().map(|metrics| metrics.event(name)).sum()
    }

    /// Returns how many operations of a kind all demos asked the store for.
    pub(crate) fn operation(&self, name: &str) -> u64 {
        self.metrics().map(|metrics| metrics.operation(name)).sum()
    }

    /// Returns how many operations all demos asked the store for.
    pub(crate) fn operations(&self) -> u64 {
        self.metrics().map(|metrics| metrics.operations()).sum()
    }

    /// Returns how many entries the store holds, as the store itself says.
    pub(crate) fn entries(&self) -> u64 {
        match (&self.redis, &self.group) {
            (Some(redis), _) => entries_of(redis),
            (None, Some(group)) => group.lock().unwrap_or_else(PoisonError::into_inner).entries(),
            (None, None) => self.demos[0].metrics().sessions(),
        }
    }

    fn metrics(&self) -> impl Iterator<Item = Metrics> {
        self.demos.iter().map(Demo::metrics)
    }
}
