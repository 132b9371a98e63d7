//! Demos on other runtimes, or started one after the other, that share a Redis.

#![cfg(target_os = "linux")]
#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a test")]

mod demo_common;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::Path,
    process::{Child, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use cloakroom_tests::{
    demo::{Client, Demo, eventually, keygen, tool},
    servers::{Cluster, ClusterOptions, Options, Redis, Require, Sentinel, SentinelOptions},
};
use demo_common::{Cell, RUNTIMES, Setting, StoreKind};
use libtest_mimic::{Arguments, Completion};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

fn main() -> ExitCode {
    let cases: [(&str, fn()); 6] = [
        ("a_password_is_seen_nowhere", a_password_is_seen_nowhere),
        ("a_server_that_is_not_there_stops_the_start_in_time", a_server_that_is_not_there_stops_the_start_in_time),
        ("each_kind_of_server_serves_each_runtime", each_kind_of_server_serves_each_runtime),
        ("no_runtime_starts_threads_of_another", no_runtime_starts_threads_of_another),
        ("sessions_survive_the_processes_that_serve_them", sessions_survive_the_processes_that_serve_them),
        ("what_one_process_does_all_see", what_one_process_does_all_see),
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

fn what_one_process_does_all_see() {
    let cell = Cell::start(Setting::SHARED);
    for maker in 0..3 {
        let mut client = cell.demo(maker).visitor("a", &json!(maker));
        let cookie = client.cookie.clone().unwrap();
        let at = |number| cell.demo(number).client().presenting(&cookie);
        for number in 0..3 {
            assert_eq!(at(number).session().data()["a"], maker);
            let add = at(number).send("POST", "/api/session/n/add", None).expect(200, "load,replace", "keep");
            assert_eq!(add.json()["value"], number + 1);
        }
        // Renewed here, known there, and ended by a third.
        client.visit("POST", "/api/rotate", None).expect(200, "load,create,replace", "set");
        let renewed = client.cookie.clone().unwrap();
        let next = cell.demo(maker + 1).client().presenting(&renewed);
        assert_eq!(next.session().data(), &json!({ "a": maker, "n": 3 }));
        assert_eq!(at(maker + 2).session().data(), &json!({ "a": maker, "n": 3 }));
        let end = cell.demo(maker + 2).client().presenting(&renewed).send("POST", "/api/destroy", None);
        assert_eq!((end.status.as_u16(), end.header("x-session-cookie")), (200, "clear"));
        for number in 0..3 {
            assert!(at(number).session().opens_nothing());
            assert!(cell.demo(number).client().presenting(&renewed).session().opens_nothing());
        }
    }
}

fn sessions_survive_the_processes_that_serve_them() {
    let (redis, ring) = (Redis::start(Options::new()), keygen());
    let mut client: Option<Client> = None;
    for (visits, runtime) in RUNTIMES.into_iter().enumerate() {
        let options = ["--store", &redis.url(), "--runtime", runtime, "--keys", "env:RING"];
        let demo = Demo::with(&options, &[("RING", &ring)]);
        let mut visitor = demo.client();
        visitor.cookie = client.and_then(|client| client.cookie);
        let page = visitor.visit("GET", "/", None);
        assert!(page.body.contains(&format!("<strong>{}</strong>", visits + 1)), "{}", page.body);
        let place = format!("Redis at <code>127.0.0.1:{}</code>: sessions survive a restart", redis.port());
        assert!(page.body.contains(&place) && !page.body.contains("keys that sign"), "{}", page.body);
        let metrics = visitor.send("GET", "/api/metrics", None).json();
        assert_eq!((&metrics["store"], &metrics["runtime"]), (&json!("redis"), &json!(runtime)));
        assert!(["sessions", "bytes", "expired", "refused"].iter().all(|name| metrics[name].is_null()), "{metrics}");
        client = Some(visitor);
    }
}

fn each_kind_of_server_serves_each_runtime() {
    let single = Redis::start(Options::new().user("web", "on >pass:/@word ~* +@all"));
    let tls = Redis::start(Options::new().tls());
    let cluster = Cluster::start(ClusterOptions::new());
    let sentinel = Sentinel::start(SentinelOptions::new());
    let trusted = tls.certificates().unwrap().authority();
    let urls = [
        single.unix_url(),
        format!("redis://web:pass%3A%2F%40word@127.0.0.1:{}/5", single.port()),
        tls.url(),
        cluster.url(),
        sentinel.url(),
    ];
    for url in &urls {
        for runtime in RUNTIMES {
            let options = ["--store", url, "--runtime", runtime];
            let demo = Demo::with(&options, &[("SSL_CERT_FILE", trusted.to_str().unwrap())]);
            let mut client = demo.visitor("a", &json!(1));
            client.visit("POST", "/api/session/a/add", None).expect(200, "load,replace", "keep");
            client.visit("POST", "/api/rotate", None).expect(200, "load,create,replace", "set");
            assert_eq!(client.session().data(), &json!({ "a": 2 }), "{url} {runtime}");
            client.visit("POST", "/api/destroy", None).expect(200, "load,replace", "clear");
        }
    }
}

fn no_runtime_starts_threads_of_another() {
    for runtime in RUNTIMES {
        let cell = Cell::start(Setting::one(StoreKind::Redis, runtime));
        let client = cell.visitor("a", &json!(1));
        client.send("POST", "/api/session/a/add?delay_ms=10", None).expect(200, "load,replace", "keep");
        let tasks = fs::read_dir(format!("/proc/{}/task", cell.demo(0).id())).unwrap();
        let names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default());
        let seen: BTreeSet<String> = names.map(|name| name.trim().to_owned()).collect();
        println!("{}: {seen:?}", runtime);
        // A host that is given as an address may be looked up on a thread for what blocks.
        let expected: &[&str] = match runtime {
            "async-std" => &["async-io", "async-std/runti", "cloakroom", "signals"],
            "smol" => &["async-io", "cloakroom", "signals", "smol-1"],
            _ => &["cloakroom", "signals", "tokio-rt-worker"],
        };
        let others: Vec<_> = seen.iter().map(String::as_str).filter(|name| !expected.contains(name)).collect();
        let blocks = |name: &&str| runtime != "tokio" && name.starts_with("blocking-");
        assert!(others.iter().all(blocks), "{}: {seen:?}", runtime);
        assert!(expected.iter().all(|name| seen.contains(*name)), "{}: {seen:?}", runtime);
    }
}

fn a_server_that_is_not_there_stops_the_start_in_time() {
    let mut redis = Redis::start(Options::new().password("kept-to-myself"));
    for runtime in RUNTIMES {
        redis.pause();
        refused(&redis, runtime, "in time");
        redis.resume();
        redis.ask(&["CONFIG", "SET", "requirepass", "another"]);
        refused(&redis, runtime, "the store refused the operation");
        redis.kill();
        refused(&redis, runtime, "Connection refused");
        redis.restart();
    }
}

/// Starts a demo that must give up, and say why.
fn refused(redis: &Redis, runtime: &str, words: &str) {
    let mut command = tool(&["demo", "--listen", "127.0.0.1:0", "--runtime", runtime, "--store", "env:URL"]);
    let since = Instant::now();
    let mut child = command.env("URL", redis.url()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while child.try_wait().unwrap().is_none() && since.elapsed() < Duration::from_secs(5) {
        thread::sleep(Duration::from_millis(5));
    }
    // One that goes on has no exit code.
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true), "{said}");
    let place = format!("no store at 127.0.0.1:{}: cannot connect to Redis: ", redis.port());
    assert!(said.contains(&place) && said.contains(words) && !said.contains("kept-to-myself"), "{said}");
}

/// A process that ends with the test, whatever comes of it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn a_password_is_seen_nowhere() {
    const PASSWORD: &str = "kept-to-myself";
    let mut redis = Redis::start(Options::new().password(PASSWORD));
    let folder = tempfile::tempdir().unwrap();
    for runtime in RUNTIMES {
        let (out, log) = (folder.path().join("out"), folder.path().join("log"));
        let options = ["demo", "--listen", "127.0.0.1:0", "--log", "debug", "--runtime", runtime, "--store", "env:URL"];
        let mut command = tool(&options);
        command.env("URL", redis.url()).stdout(File::create(&out).unwrap()).stderr(File::create(&log).unwrap());
        let mut running = Running(command.spawn().unwrap());
        let child = &mut running.0;
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        eventually("its words", || read(&out).contains("stop "));
        let said = read(&out);
        assert!(said.contains(&format!("store    redis at 127.0.0.1:{}: ", redis.port())), "{said}");
        assert!(said.contains("keys     made for this run only"), "{said}");
        let url = said.lines().find_map(|line| line.split_once("http://")).unwrap().1.to_owned();

        let get = |path: &str| match ureq::get(format!("http://{url}{path}")).call() {
            Ok(mut answer) => answer.body_mut().read_to_string().unwrap(),
            Err(error) => error.to_string(),
        };
        let mut seen: Vec<String> = ["/", "/api/session", "/api/metrics", "/none"].map(get).into();
        assert!(seen[0].contains("visit") && seen[2].contains("\"store\":\"redis\""), "{seen:?}");
        // What it says of a server that goes away, comes back, and does not let it in.
        redis.kill();
        seen.push(get("/"));
        redis.restart();
        redis.ask(&["CONFIG", "SET", "requirepass", "another"]);
        redis.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
        seen.push(get("/"));
        redis.ask(&["CONFIG", "SET", "requirepass", PASSWORD]);
        seen.push(read(Path::new(&format!("/proc/{}/cmdline", child.id()))));
        kill_process(Pid::from_child(child), Signal::TERM).unwrap();
        assert!(child.wait().unwrap().success());
        let log = read(&log);
        assert!(log.contains("ERROR") || log.contains("WARN"), "it says nothing of a store that fails: {log}");
        seen.extend([read(&out), log]);
        for text in seen {
            assert!(!text.contains(PASSWORD), "{text}");
        }
    }
}
