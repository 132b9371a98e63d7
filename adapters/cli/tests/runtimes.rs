//! The demo on each runtime: the same answers, and no other runtime beside.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    net::TcpStream,
    process::{Child, Stdio},
    thread,
};

use common::{Client, Demo, RUNTIMES, tool};
use serde_json::{Value, json};

/// The names of its threads, cut to 15 letters by the system.
fn threads(process: &Child) -> BTreeSet<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    // One may end meanwhile.
    let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

/// What a visitor gets to see, but for what differs between two visitors.
fn story(client: &mut Client) -> Vec<(u16, String, String, Value)> {
    let big = format!("\"{}\"", "x".repeat(100_000));
    let requests = [
        ("GET", "/api/untouched", None),
        ("GET", "/api/session", None),
        ("PUT", "/api/session/a", Some("{\"b\":[1,2.50]}")),
        ("GET", "/api/session/a?delay_ms=5", None),
        ("POST", "/api/session/n/add?n=3&delay_ms=5", Some("")),
        ("PUT", "/api/session/big", Some(&*big)),
        ("GET", "/api/session/big", None),
        ("DELETE", "/api/session/big", None),
        ("PUT", "/api/session/a", Some("nothing")),
        ("POST", "/api/fail?status=503", Some("")),
        ("GET", "/api/stream", None),
        ("POST", "/api/rotate", Some("")),
        ("GET", "/api/session/n", None),
        ("GET", "/api/none", None),
        ("POST", "/api/destroy", Some("")),
        ("GET", "/api/session", None),
    ];
    let visit = |(method, path, body): (&str, &str, Option<&str>)| {
        let answer = client.visit(method, path, body);
        let ops = answer.header("x-session-ops").to_owned();
        (answer.status.as_u16(), ops, answer.header("x-session-cookie").to_owned(), answer.json())
    };
    requests.map(visit).into_iter().collect()
}

#[test]
fn each_runtime_gives_the_same_answers() {
    let [one, two, three] = RUNTIMES.map(|runtime| {
        let demo = Demo::on(runtime);
        assert_eq!(demo.client().get("/api/metrics").json()["runtime"], runtime);
        story(&mut demo.client())
    });
    assert_eq!(one, two);
    assert_eq!(one, three);
    let seen: Vec<u16> = one.iter().map(|(status, ..)| *status).collect();
    assert_eq!(seen, [200, 200, 200, 200, 200, 200, 200, 200, 400, 503, 200, 200, 200, 404, 200, 200]);
    assert_eq!(one[4].3, json!({ "value": 3 }));
    assert_eq!(one[10].3, json!({ "pieces": [1, 2, 3, 4, 5] }));
}

#[test]
fn no_runtime_starts_threads_of_another() {
    let folder = tempfile::tempdir().unwrap();
    for runtime in RUNTIMES {
        // One whose file has its operations on threads for what blocks.
        let store = format!("redb:{}", folder.path().join(runtime).display());
        let demo = Demo::with(&["--runtime", runtime, "--store", &store], &[]);
        let mut client = demo.client();
        story(&mut client);
        let seen = threads(&demo.child);
        // The main thread has the name of the program.
        let all = ["cloakroom", "signals"];
        let own: &[&str] = match runtime {
            "async-std" => &["async-io", "async-std/runti", "blocking"],
            "smol" => &["async-io", "blocking", "smol"],
            _ => &["tokio-rt-worker"],
        };
        let known = |name: &str| all.contains(&name) || own.iter().any(|own| name.starts_with(own));
        assert!(seen.iter().all(|name| known(name)), "{runtime}: {seen:?}");
        // Each of them is there: the names are right.
        for name in own.iter().chain(&all) {
            assert!(seen.iter().any(|seen| seen.starts_with(name)), "{runtime} has no {name}: {seen:?}");
        }
        println!("{runtime}: {seen:?}");
    }
}

#[test]
fn a_crowd_of_connections_is_refused_and_survived() {
    for runtime in RUNTIMES {
        // It can open fewer files than clients come.
        let tool = tool(&[]);
        let mut limited = std::process::Command::new("sh");
        limited.args(["-c", "ulimit -n 48; exec \"$@\"", "sh"]).arg(tool.get_program());
        limited.args(["demo", "--listen", "127.0.0.1:0", "--store", "memory:", "--runtime", runtime]);
        let demo = Demo::of(limited.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let mut client = demo.client();
        client.visit("PUT", "/api/session/a", Some("1")).expect(200, "create", "set");
        let crowd: Vec<TcpStream> =
            (0..64).map(|_| TcpStream::connect(demo.url.trim_start_matches("http://")).unwrap()).collect();
        // A connection that is there already is served meanwhile.
        client.get("/api/session").expect(200, "load", "keep");
        let late = demo.client();
        let waiting = thread::spawn(move || late.get("/api/untouched").expect(200, "", "keep"));
        drop(crowd);
        waiting.join().unwrap();
        client.get("/api/session").expect(200, "load", "keep");
    }
}
