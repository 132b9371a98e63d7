//! `cloakroom sessions` on servers; on files see the tool's own tests.

#![cfg(target_os = "linux")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test")]

use std::{
    process::{ExitCode, Output, Stdio},
    time::Duration,
};

use cloakroom_core::{Engine, Keyring, Login, RequestInfo, StoreKey, Value as Stored};
use cloakroom_redis::{RedisConfig, RedisStore};
use cloakroom_store::{Directory as _, Finish, Session, Sessions, Store as _, StoreFailure};
use cloakroom_tests::{
    demo::{eventually, tool},
    servers::{Cluster, ClusterOptions, Options, Redis, Require, Sentinel, SentinelOptions},
};
use cloakroom_tokio::Tokio;
use libtest_mimic::{Arguments, Completion};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(60 * 60);
const PASSWORD: &str = "kept-to-myself";
const RING: &str = "1:primary:b2xkLfqXkm3PJVTVE_Ec7PZUR8w8ugMvAfqTKmlWcBw";

fn main() -> ExitCode {
    let cases: [(&str, fn()); 5] = [
        ("a_signal_stops_a_long_walk", a_signal_stops_a_long_walk),
        ("every_kind_of_server_is_listed_counted_and_swept", every_kind_of_server_is_listed_counted_and_swept),
        ("no_output_has_a_password_a_key_or_a_ticket", no_output_has_a_password_a_key_or_a_ticket),
        ("the_prefix_of_the_servers_keys_is_told_apart", the_prefix_of_the_servers_keys_is_told_apart),
        ("what_a_server_refuses_is_an_error", what_a_server_refuses_is_an_error),
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

/// An application's sessions on servers.
struct Application {
    runtime: tokio::runtime::Runtime,
    store: RedisStore,
    url: String,
}

impl Application {
    fn new(url: &str) -> Self {
        Self::with(url, "")
    }

    fn with(url: &str, prefix: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let config = RedisConfig::new(url).unwrap().key_prefix(prefix).unwrap().check_server(false);
        let store = runtime.block_on(config.connect(Tokio)).unwrap();
        Self { runtime, store, url: url.to_owned() }
    }

    fn open(&self, cookie: &str) -> Session {
        let engine = Engine::builder(RING.parse::<Keyring>().unwrap()).build().unwrap();
        let sessions = Sessions::builder(engine, self.store.clone(), Tokio).build();
        sessions.open([cookie.as_bytes()], &RequestInfo::new(), StoreFailure::Refuse)
    }

    /// Signs somebody in; returns the cookie.
    fn login(&self, user: &str, label: &str) -> String {
        self.runtime.block_on(async {
            let session = self.open("");
            session.login(user, Login::new().label(label)).await.unwrap();
            finish(session).await
        })
    }

    fn renew(&self, cookie: &str) -> String {
        self.runtime.block_on(async {
            let session = self.open(cookie);
            session.rotate().await.unwrap();
            finish(session).await
        })
    }

    /// Says whose session a cookie opens.
    fn user(&self, cookie: &str) -> Option<String> {
        self.runtime.block_on(async { self.open(cookie).principal().await.unwrap() })
    }

    fn run(&self, args: &[&str]) -> Output {
        tool(&["sessions", args[0], "--store", "env:STORE"]).args(&args[1..]).env("STORE", &self.url).output().unwrap()
    }

    /// Runs a command, which must succeed; returns what it says.
    fn says(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.says(&[args, &["--json"]].concat())).unwrap()
    }
}

async fn finish(session: Session) -> String {
    let report = Session::commit(&session, Finish::Keep).await;
    report.result().unwrap();
    let (_, line) = report.headers().find(|(name, _)| *name == "set-cookie").unwrap();
    line.split(';').next().unwrap().to_owned()
}

fn key(name: &str) -> StoreKey {
    StoreKey::new(&format!("cloakroom:{name}")).unwrap()
}

fn every_kind_of_server_is_listed_counted_and_swept() {
    let (single, cluster) = (Redis::start(Options::new()), Cluster::start(ClusterOptions::new()));
    let sentinel = Sentinel::start(SentinelOptions::new());
    for url in [single.url(), cluster.url(), sentinel.url()] {
        let application = Application::new(&url);
        let first = application.login("alice", "phone");
        let second = application.login("alice", "laptop");
        let bobs = application.login("bob", "");
        let renewed = application.renew(&second);
        // What leads nowhere: nothing has gone there by the store's own doing.
        application.runtime.block_on(async {
            for member in ["gone-1", "gone-2"] {
                application.store.enroll(&key("user:x"), &key(member), HOUR).await.unwrap();
            }
            application.store.create(&key("junk"), &Stored::from(b"no record".to_vec()), HOUR).await.unwrap();
            application
                .store
                .create(&StoreKey::new("other:key").unwrap(), &Stored::from(b"v".to_vec()), HOUR)
                .await
                .unwrap();
        });

        let listed = application.json(&["list", "--user", "alice"]);
        let mut labels: Vec<_> = listed.as_array().unwrap().iter().map(|row| row["label"].as_str().unwrap()).collect();
        labels.sort_unstable();
        assert_eq!(labels, ["laptop", "phone"], "{url}");
        let counted = application.json(&["stats"]);
        assert!(counted["bytes"].as_u64().unwrap() > 1000, "{counted}");
        let mut figures = counted.as_object().unwrap().clone();
        figures.remove("bytes");
        let expected = json!({ "live": 3, "pointers": 1, "tombstones": 0, "undecodable": 1, "users": 3, "members": 5 });
        assert_eq!(Value::from(figures), expected, "{url}");

        let swept = "what expires goes by itself\n2 entries of users' indexes taken out: their sessions are gone\n";
        assert_eq!(application.says(&["sweep"]), swept, "{url}");
        assert_eq!(application.json(&["sweep"]), json!({ "expired": null, "members": 0 }));
        let counted = application.json(&["stats"]);
        assert_eq!((&counted["users"], &counted["members"]), (&json!(2), &json!(3)), "{url}");

        let laptop = listed.as_array().unwrap().iter().find(|row| row["label"] == "laptop").unwrap();
        let revoke = ["revoke", "--user", "alice", "--handle", laptop["handle"].as_str().unwrap()];
        assert_eq!(application.says(&revoke), "1 session ended\n");
        assert_eq!((application.user(&second), application.user(&renewed)), (None, None), "{url}");
        assert_eq!(application.user(&first).as_deref(), Some("alice"), "{url}");
        assert_eq!(application.run(&revoke).status.code(), Some(1));
        assert_eq!(application.json(&["revoke", "--user", "alice", "--all"]), json!({ "ended": 1 }));
        assert_eq!((application.user(&first), application.user(&bobs).as_deref()), (None, Some("bob")), "{url}");
        assert_eq!(application.says(&["list", "--user", "alice"]), "no sessions\n");
    }
}

fn the_prefix_of_the_servers_keys_is_told_apart() {
    let redis = Redis::start(Options::new());
    let (shop, plain) = (Application::with(&redis.url(), "shop:"), Application::new(&redis.url()));
    let there = shop.login("alice", "there");
    let there = shop.renew(&there);
    let here = plain.login("alice", "here");
    let labels = |prefix: &[&str]| -> Vec<Value> {
        let listed = shop.json(&[&["list", "--user", "alice"], prefix].concat());
        listed.as_array().unwrap().iter().map(|row| row["label"].clone()).collect()
    };
    assert_eq!(labels(&[]), ["here"]);
    assert_eq!(labels(&["--server-prefix", "shop:"]), ["there"]);
    assert_eq!(shop.json(&["stats"])["live"], 1);
    let stats = shop.json(&["stats", "--server-prefix", "shop:"]);
    assert_eq!((&stats["live"], &stats["pointers"]), (&json!(1), &json!(1)));
    assert_eq!(shop.json(&["sweep", "--server-prefix", "shop:"])["members"], 0);
    assert_eq!(shop.json(&["revoke", "--user", "alice", "--all", "--server-prefix", "shop:"]), json!({ "ended": 1 }));
    assert_eq!((shop.user(&there), plain.user(&here).as_deref()), (None, Some("alice")));
    let output = shop.run(&["stats", "--server-prefix", "with space"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && said.starts_with("error: --server-prefix: the key prefix"), "{said}");
}

fn no_output_has_a_password_a_key_or_a_ticket() {
    let redis = Redis::start(Options::new().password(PASSWORD));
    let url = format!("redis://:{PASSWORD}@127.0.0.1:{}", redis.port());
    let application = Application::new(&url);
    let cookie = application.login("alice", "phone");
    let ticket = cookie.split_once('=').unwrap().1;
    let handle = application.json(&["list", "--user", "alice"])[0]["handle"].as_str().unwrap().to_owned();
    let keys = redis.ask(&["KEYS", "*"]);
    let digests: Vec<String> =
        keys.array().iter().map(|key| key.text().split(':').next_back().unwrap().to_owned()).collect();
    assert_eq!(digests.len(), 2);
    let commands = [
        &["list", "--user", "alice"][..],
        &["stats"],
        &["sweep"],
        &["revoke", "--user", "alice", "--handle", &handle],
        &["revoke", "--user", "alice", "--all"],
        &["revoke", "--user", "alice", "--handle", ticket],
    ];
    for args in commands {
        for args in [args, &[args, &["--json"]].concat()] {
            let output = application.run(args);
            let said =
                format!("{}{}", String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
            assert!(!said.is_empty());
            for secret in digests.iter().map(String::as_str).chain([PASSWORD, ticket, "alice"]) {
                assert!(!said.contains(secret), "{args:?}: {said}");
            }
        }
    }
    assert_eq!(application.user(&cookie), None);
}

fn what_a_server_refuses_is_an_error() {
    let rights = "+get +pttl +set +pexpire +del +evalsha +eval +ping +time +zadd +zcount +zrange +zrangebyscore +zrem";
    let rules = format!("on >{PASSWORD} ~* -@all {rights} +zremrangebyscore +pexpireat");
    let redis = Redis::start(Options::new().user("web", &rules).user("admin", &format!("{rules} +scan")));
    let application = |user: &str| Application::new(&format!("redis://{user}:{PASSWORD}@127.0.0.1:{}", redis.port()));
    let (web, admin) = (application("web"), application("admin"));
    web.login("alice", "");
    for command in ["stats", "sweep"] {
        let output = web.run(&[command]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true), "{said}");
        assert!(said.starts_with("error: the store could not be walked over: ") && !said.contains(PASSWORD), "{said}");
        admin.says(&[command]);
    }
    assert_eq!(web.json(&["list", "--user", "alice"]).as_array().unwrap().len(), 1);
    assert_eq!(web.json(&["revoke", "--user", "alice", "--all"]), json!({ "ended": 1 }));
}

fn a_signal_stops_a_long_walk() {
    let redis = Redis::start(Options::new());
    // More than a second's worth of work, by far.
    redis.ask(&["EVAL", "for i = 1, 300000 do redis.call('SET', 'cloakroom:' .. i, 'v') end", "0"]);
    for signal in [Signal::INT, Signal::TERM] {
        redis.ask(&["CONFIG", "RESETSTAT"]);
        let mut command = tool(&["sessions", "stats", "--store", &redis.url()]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        eventually("the walk", || redis.calls().contains_key("scan"));
        kill_process(Pid::from_child(&child), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "error: stopped; what was done until then is done\n");
        assert!(output.stdout.is_empty());
        let scans = redis.calls()["scan"];
        assert!(scans < 200, "{scans}");
    }
}
