//! Sessions that move from one store to another under live traffic: exact sums, and ends that are final.

#![cfg(target_os = "linux")]
#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a test")]

use std::{
    process::{ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cloakroom_core::{Engine, Keyring, RequestInfo, StoreKey, Value as Stored};
use cloakroom_redb::RedbStore;
use cloakroom_redis::{RedisConfig, RedisStore};
use cloakroom_store::{Finish, MovingStore, Session, Sessions, Store, StoreFailure};
use cloakroom_tests::{
    demo::{eventually, tool},
    servers::{Options, Redis, Require},
};
use cloakroom_tokio::Tokio;
use libtest_mimic::{Arguments, Completion};
use serde_json::Value;

const RING: &str = "1:primary:b2xkLfqXkm3PJVTVE_Ec7PZUR8w8ugMvAfqTKmlWcBw";
const TASKS: usize = 64;
const SESSIONS: usize = 16;

fn main() -> ExitCode {
    let cases: [(&str, fn()); 3] = [
        ("a_file_moves_to_a_server_under_live_traffic", a_file_moves_to_a_server_under_live_traffic),
        (
            "a_migration_is_killed_and_resumed_beside_live_traffic",
            a_migration_is_killed_and_resumed_beside_live_traffic,
        ),
        ("one_server_of_two_names_is_not_moved_to_itself", one_server_of_two_names_is_not_moved_to_itself),
    ];
    let require = Require::check("redis");
    let trials = cases.map(|(rule, case)| {
        require.trial(rule, move || {
            case();
            Ok(Completion::Completed)
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn sessions(store: impl Store) -> Sessions {
    let engine = Engine::builder(RING.parse::<Keyring>().unwrap()).build().unwrap();
    Sessions::builder(engine, store, Tokio).deadline(Duration::from_secs(30)).build()
}

async fn redis(server: &Redis) -> RedisStore {
    let config = RedisConfig::new(&server.url()).unwrap().check_server(false).deadline(Duration::from_secs(30));
    config.connect(Tokio).await.unwrap()
}

fn open(sessions: &Sessions, cookie: &str) -> Session {
    sessions.open([cookie.as_bytes()], &RequestInfo::new(), StoreFailure::Refuse)
}

/// Makes a session; returns the cookie.
async fn begin(sessions: &Sessions) -> String {
    let session = open(sessions, "");
    session.insert("n", &0_u64).await.unwrap();
    let report = Session::commit(&session, Finish::Keep).await;
    report.result().unwrap();
    let (_, line) = report.headers().find(|(name, _)| *name == "set-cookie").unwrap();
    line.split(';').next().unwrap().to_owned()
}

/// Adds one; tells whether that was acknowledged.
async fn add(sessions: &Sessions, cookie: &str) -> bool {
    let session = open(sessions, cookie);
    let Ok(Some(_)) = session.get::<u64>("n").await else { return false };
    session.update("n", |n: Option<u64>| n.unwrap_or_default() + 1).await.unwrap();
    Session::commit(&session, Finish::Keep).await.result().is_ok()
}

async fn end(sessions: &Sessions, cookie: &str) -> bool {
    let session = open(sessions, cookie);
    session.destroy().await.unwrap();
    Session::commit(&session, Finish::Keep).await.result().is_ok()
}

async fn number(sessions: &Sessions, cookie: &str) -> Option<u64> {
    open(sessions, cookie).get("n").await.unwrap()
}

/// Live traffic: every task adds to sessions in turn until it is told to stop, and one ends those of odd numbers.
struct Traffic {
    cookies: Vec<String>,
    stop: Arc<AtomicBool>,
    adds: Vec<tokio::task::JoinHandle<Vec<u64>>>,
    ends: tokio::task::JoinHandle<()>,
}

impl Traffic {
    /// Half of the tasks are on nodes that prepare.
    fn start(cookies: &[String], nodes: [&Sessions; 2]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let cookies = cookies.to_vec();
        let adds = (0..TASKS).map(|task| {
            let (sessions, cookies, stop) = (nodes[task % 2].clone(), cookies.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut added = vec![0; cookies.len()];
                for turn in task.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let at = turn % cookies.len();
                    added[at] += u64::from(add(&sessions, &cookies[at]).await);
                    tokio::task::yield_now().await;
                }
                added
            })
        });
        let adds = adds.collect();
        let (sessions, odd) = (nodes[0].clone(), cookies.clone());
        let ends = tokio::spawn(async move {
            for cookie in odd.iter().skip(1).step_by(2) {
                while !end(&sessions, cookie).await {}
                // From here on nobody may see it.
                assert_eq!(number(&sessions, cookie).await, None);
            }
        });
        Self { cookies, stop, adds, ends }
    }

    /// Stops it; every session must hold what was acknowledged, or nothing where it was ended.
    async fn check(self, sessions: &Sessions) -> u64 {
        self.ends.await.unwrap();
        self.stop.store(true, Ordering::Relaxed);
        let mut sums = vec![0; self.cookies.len()];
        for task in self.adds {
            task.await.unwrap().iter().zip(&mut sums).for_each(|(added, sum)| *sum += added);
        }
        for (at, (cookie, sum)) in self.cookies.iter().zip(&sums).enumerate() {
            let expected = (at % 2 == 0).then_some(*sum);
            assert_eq!(number(sessions, cookie).await, expected, "session {at}");
        }
        sums.iter().sum()
    }
}

fn a_file_moves_to_a_server_under_live_traffic() {
    let server = Redis::start(Options::new());
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let old = RedbStore::open(folder.path().join("sessions.redb"), Tokio).await.unwrap();
        let new = redis(&server).await;
        let alone = sessions(old.clone());
        let mut cookies = Vec::new();
        for _ in 0..SESSIONS {
            cookies.push(begin(&alone).await);
        }
        let preparing = sessions(MovingStore::prepare(old.clone(), new.clone()));
        let both = MovingStore::moving(old.clone(), new.clone());
        let moving = sessions(both.clone());
        let traffic = Traffic::start(&cookies, [&moving, &preparing]);
        // As `cloakroom migrate` does, in the process that has the file.
        let mut moved = 0;
        while old.metrics().entries > 0 {
            let mut walk = old.walk_entries("");
            while let Some(page) = walk.next_page().await.unwrap() {
                for key in page {
                    moved += usize::from(both.move_key(&key).await.unwrap_or_default());
                }
            }
        }
        // Nothing is made in the old store any more.
        let added = traffic.check(&sessions(new)).await;
        assert_eq!(old.metrics().entries, 0);
        println!("{added} adds, {moved} keys moved by the walk");
        assert!(added > 0);
        old.close().await;
    });
}

fn a_migration_is_killed_and_resumed_beside_live_traffic() {
    let (from, to) = (Redis::start(Options::new()), Redis::start(Options::new()));
    let runtime = runtime();
    // Work for a while, whatever the machine.
    from.ask(&["EVAL", "for i = 1, 60000 do redis.call('SET', 'cloakroom:' .. i, '{}', 'EX', 3600) end", "0"]);
    let (old, new, traffic) = runtime.block_on(async {
        let (old, new) = (redis(&from).await, redis(&to).await);
        let alone = sessions(old.clone());
        let mut cookies = Vec::new();
        for _ in 0..SESSIONS {
            cookies.push(begin(&alone).await);
        }
        let moving = sessions(MovingStore::moving(old.clone(), new.clone()));
        let traffic = Traffic::start(&cookies, [&moving, &moving]);
        (old, new, traffic)
    });
    let migrate = || {
        let mut command = tool(&["migrate", "--json", "--from", "env:FROM", "--to", "env:TO"]);
        command.env("FROM", from.url()).env("TO", to.url()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let there = || to.ask(&["DBSIZE"]).integer();
    for more in [1000, 5000] {
        let before = there();
        let mut child = migrate().spawn().unwrap();
        eventually("some are moved", || there() > before + more);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(there() < 60_000, "it was killed too late");
    }
    let output = migrate().output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["left"], &said["skipped"]), (&Value::from(0), &Value::from(0)), "{said}");
    assert!(said["moved"].as_u64().unwrap() > 1000, "{said}");
    assert_eq!(from.ask(&["DBSIZE"]).integer(), 0);
    runtime.block_on(async {
        traffic.check(&sessions(new.clone())).await;
        for number in (1..60_000).step_by(997) {
            let key = StoreKey::new(&format!("cloakroom:{number}")).unwrap();
            assert_eq!(new.load(&key).await.unwrap().unwrap().value, Stored::from(&b"{}"[..]));
        }
        assert!(old.load(&StoreKey::new("cloakroom:1").unwrap()).await.unwrap().is_none());
    });
}

fn one_server_of_two_names_is_not_moved_to_itself() {
    let server = Redis::start(Options::new());
    server.ask(&["SET", "cloakroom:1", "{}", "EX", "3600"]);
    let names = [format!("redis://127.0.0.1:{}", server.port()), format!("redis://localhost:{}/0", server.port())];
    let output = tool(&["migrate", "--from", &names[0], "--to", &names[1]]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "error: --from and --to are one store\n");
    assert_eq!(server.ask(&["DBSIZE"]).integer(), 1);
}
