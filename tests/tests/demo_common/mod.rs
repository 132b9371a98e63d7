//! The demo on every store and runtime, for tests that are the same on all of them.

#![allow(dead_code, reason = "each suite uses a part")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::process::ExitCode;

use cloakroom_tests::{
    demo::{Client, Demo, Metrics, keygen},
    servers::{Options, Redis, Reply, Require},
};
use libtest_mimic::{Arguments, Completion, Trial};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const RUNTIMES: [&str; 3] = ["async-std", "smol", "tokio"];

/// What must hold in each setting.
pub(crate) type Case = fn(&Cell);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum StoreKind {
    Memory,
    Redb,
    Redis,
}

impl StoreKind {
    pub(crate) const ALL: [Self; 3] = [Self::Memory, Self::Redb, Self::Redis];

    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redb => "redb",
            Self::Redis => "redis",
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

    /// Each store on each runtime, and three processes, each on another runtime, that share a Redis.
    pub(crate) fn all() -> Vec<Self> {
        let pairs = StoreKind::ALL.iter().flat_map(|&store| RUNTIMES.map(|runtime| Self::one(store, runtime)));
        pairs.chain([Self::SHARED]).collect()
    }

    /// Returns the name of a test.
    pub(crate) fn name(self, rule: &str) -> String {
        let runtimes = if self.runtimes.len() == 1 { self.runtimes[0] } else { "three_processes" };
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
            StoreKind::Redis => Require::check("redis").trial(name, test),
            StoreKind::Memory | StoreKind::Redb => Trial::ignorable_test(name, test),
        }
    }
}

/// Runs each case in each setting, and others that are tests already.
pub(crate) fn run(cases: &[(&str, Case)], others: impl IntoIterator<Item = Trial>) -> ExitCode {
    let trials =
        cases.iter().flat_map(|(rule, case)| Setting::all().into_iter().map(|setting| setting.trial(rule, *case)));
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
    folder: Option<TempDir>,
}

impl Cell {
    pub(crate) fn start(setting: Setting) -> Self {
        Self::of(setting, &[], Options::new())
    }

    /// Starts demos with further options, and their Redis with options of its own.
    pub(crate) fn of(setting: Setting, options: &[&str], server: Options) -> Self {
        let (redis, folder) = match setting.store {
            StoreKind::Memory => (None, None),
            StoreKind::Redb => (None, Some(tempfile::tempdir().unwrap())),
            StoreKind::Redis => (Some(Redis::start(server)), None),
        };
        let url = match (&redis, &folder) {
            (Some(redis), _) => redis.url(),
            (None, Some(folder)) => format!("redb:{}", folder.path().join("sessions.redb").display()),
            (None, None) => "memory:".to_owned(),
        };
        let ring = keygen();
        let start = |runtime: &&str| {
            let own = ["--store", &url, "--runtime", runtime, "--keys", "env:RING"];
            Demo::with(&[&own, options].concat(), &[("RING", &ring)])
        };
        Self { setting, demos: setting.runtimes.iter().map(start).collect(), redis, folder }
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
        match &self.redis {
            None => self.demos[0].metrics().sessions(),
            Some(redis) => match redis.ask(&["DBSIZE"]) {
                Reply::Integer(entries) => entries as u64,
                other => panic!("{other:?}"),
            },
        }
    }

    fn metrics(&self) -> impl Iterator<Item = Metrics> {
        self.demos.iter().map(Demo::metrics)
    }
}
