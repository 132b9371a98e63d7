//! Where the demo keeps its sessions and its keys.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    thread,
};

use common::{Demo, RUNTIMES, refused, stdout, tool};
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

/// A data folder that is not there yet.
struct Data {
    folder: TempDir,
}

impl Data {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn file(&self) -> PathBuf {
        self.home().join("cloakroom/demo.redb")
    }

    fn keys(&self) -> PathBuf {
        self.home().join("cloakroom/demo.redb.keys")
    }

    /// Starts a demo that is not told where to keep sessions.
    fn demo(&self, options: &[&str]) -> Demo {
        Demo::with(options, &[("XDG_DATA_HOME", self.home().to_str().unwrap())])
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

fn stop(mut demo: Demo) {
    demo.signal(Signal::TERM);
    assert_eq!(demo.end().code(), Some(0));
}

#[test]
fn sessions_survive_a_restart_when_no_store_is_named() {
    let data = Data::new();
    let mut first = data.demo(&[]);
    let said = first.says("stop");
    assert!(said.contains(&format!("store    {}: sessions survive a restart", data.file().display())), "{said}");
    assert!(said.contains(&format!("keys     {}: made", data.keys().display())), "{said}");
    let mut client = first.client();
    client.visit("PUT", "/api/session/a", Some("1")).expect(200, "create", "set");
    stop(first);
    let keys = fs::read(data.keys()).unwrap();

    // Whichever runtime comes next.
    for (visits, runtime) in RUNTIMES.into_iter().enumerate() {
        let mut demo = data.demo(&["--runtime", runtime]);
        let said = demo.says("stop");
        assert!(said.contains(&format!("keys     {}\n", data.keys().display())), "{said}");
        let client = demo.client().presenting(&client);
        let answer = client.send("POST", "/api/session/n/add", &[], None).expect(200, "load,replace", "keep");
        assert_eq!(answer.json()["value"], visits + 1);
        assert_eq!(client.session()["data"]["a"], 1);
        stop(demo);
    }
    assert_eq!(fs::read(data.keys()).unwrap(), keys);
    assert_eq!((mode(&data.home()), mode(&data.home().join("cloakroom"))), (0o700, 0o700));
    assert_eq!((mode(&data.file()), mode(&data.keys())), (0o600, 0o600));
    let files = fs::read_dir(data.home().join("cloakroom")).unwrap().count();
    assert_eq!(files, 2, "a draft is left");
}

#[test]
fn what_is_under_way_is_stored_before_it_ends() {
    let data = Data::new();
    let mut client = None;
    for runtime in RUNTIMES {
        let mut demo = data.demo(&["--runtime", runtime]);
        let client = client.get_or_insert_with(|| {
            let mut client = demo.client();
            client.visit("PUT", "/api/session/a", Some("1"));
            client
        });
        let slow = demo.client().presenting(client);
        let path = format!("/api/session/{runtime}/add?delay_ms=800");
        let writer = thread::spawn(move || slow.send("POST", &path, &[], None));
        demo.wait_for_loads(1);
        demo.signal(Signal::TERM);
        writer.join().unwrap().expect(200, "load,replace", "keep");
        assert_eq!(demo.end().code(), Some(0));
    }
    let last = data.demo(&[]);
    let seen = last.client().presenting(&client.unwrap()).session();
    assert_eq!(seen["data"], json!({ "a": 1, "async-std": 1, "smol": 1, "tokio": 1 }));
}

#[test]
fn what_a_killed_demo_acknowledged_is_there() {
    let data = Data::new();
    let mut first = data.demo(&[]);
    let mut client = first.client();
    client.visit("PUT", "/api/session/a", Some("1")).expect(200, "create", "set");
    let mut ended = first.client();
    ended.visit("PUT", "/api/session/a", Some("2"));
    ended.send("POST", "/api/destroy", &[], None).expect(200, "load,replace", "clear");
    first.signal(Signal::KILL);
    first.end();
    let second = data.demo(&[]);
    assert_eq!(second.client().presenting(&client).session()["data"], json!({ "a": 1 }));
    assert_eq!(second.client().presenting(&ended).session()["new"], true);
}

#[test]
fn a_second_demo_says_who_has_the_file_and_how_to_choose_another() {
    let data = Data::new();
    let first = data.demo(&[]);
    let mut command = tool(&["demo", "--listen", "127.0.0.1:0"]);
    let said = refused(command.env("XDG_DATA_HOME", data.home()), 2);
    let holder = match cfg!(target_os = "linux") {
        true => format!("process {} (cloakroom)", first.child.id()),
        false => "another process".to_owned(),
    };
    assert!(said.contains(&format!("{} is in use by {holder}", data.file().display())), "{said}");
    assert!(said.contains("--store memory:") && said.contains("--store redb:OTHER"), "{said}");

    // And so it is.
    let other = format!("redb:{}", data.folder.path().join("other").display());
    let second = Demo::with(&["--store", &other], &[]);
    second.client().visit("PUT", "/api/session/a", Some("1")).expect(200, "create", "set");
    assert!(data.folder.path().join("other.keys").exists());
}

#[test]
fn a_ring_that_is_given_leaves_the_one_beside_the_file_alone() {
    let data = Data::new();
    let ring = stdout(&tool(&["keygen"]).output().unwrap());
    let env = [("RING", ring.trim()), ("XDG_DATA_HOME", data.home().to_str().unwrap())]
        .map(|(name, value)| (name, value.to_owned()));
    let env: Vec<_> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut given = Demo::with(&["--keys", "env:RING"], &env);
    let mut client = given.client();
    client.visit("PUT", "/api/session/a", Some("1"));
    assert!(!given.says("stop").contains("keys "));
    assert!(!data.keys().exists());
    stop(given);

    let kept = data.demo(&[]);
    kept.client().presenting(&client).get("/api/session").expect(200, "", "keep");
    assert_eq!(kept.client().get("/api/metrics").json()["sessions"], 1, "the session is there all the same");
    stop(kept);
    let keys = fs::read(data.keys()).unwrap();
    let given = Demo::with(&["--keys", "env:RING"], &env);
    assert_eq!(given.client().presenting(&client).session()["data"], json!({ "a": 1 }));
    assert_eq!(fs::read(data.keys()).unwrap(), keys);
}

#[test]
fn a_ring_that_is_no_secret_or_no_ring_is_refused_and_left_as_it_is() {
    let data = Data::new();
    stop(data.demo(&[]));
    let start = || refused(tool(&["demo", "--listen", "127.0.0.1:0"]).env("XDG_DATA_HOME", data.home()), 2);
    for bits in [0o640, 0o604, 0o620] {
        fs::set_permissions(data.keys(), fs::Permissions::from_mode(bits)).unwrap();
        let said = start();
        assert!(said.contains(data.keys().to_str().unwrap()) && said.contains(&format!("mode {bits:o}")), "{said}");
    }
    fs::set_permissions(data.keys(), fs::Permissions::from_mode(0o600)).unwrap();
    for text in ["", "1:primary:c2VjcmV0"] {
        fs::write(data.keys(), text).unwrap();
        let said = start();
        assert!(said.contains(data.keys().to_str().unwrap()) && !said.contains("c2VjcmV0"), "{said}");
        assert_eq!(fs::read_to_string(data.keys()).unwrap(), text);
    }
}

#[test]
fn what_the_demo_says_of_its_store_is_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file.redb");
    let redb = format!("redb:{}", file.display());
    for (store, kind, page) in [
        ("memory:", "memory", "memory: all sessions end with it, and so do the keys that sign tickets."),
        (&redb, "redb", "<code>file.redb</code>: sessions survive a restart, and so do the keys that sign tickets."),
    ] {
        let mut demo = Demo::with(&["--store", store], &[]);
        let mut client = demo.client();
        let said = demo.says("stop");
        assert!(said.contains(store.trim_start_matches("redb:")), "{said}");
        let body = client.visit("GET", "/", None).body;
        assert!(body.contains(page), "{body}");
        assert!(!body.contains(folder.path().to_str().unwrap()), "it tells strangers of the server's folders");
        let metrics = client.get("/api/metrics").json();
        assert_eq!((&metrics["store"], &metrics["sessions"]), (&json!(kind), &json!(1)));
        assert!(metrics["bytes"].as_u64().unwrap() > 0);
        assert_eq!(metrics["refused"].is_null(), kind == "redb");
    }
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn a_store_that_expires_is_swept_on_every_runtime() {
    let folder = tempfile::tempdir().unwrap();
    for runtime in RUNTIMES {
        for store in ["memory:".to_owned(), format!("redb:{}", folder.path().join(runtime).display())] {
            let demo = Demo::with(&["--store", &store, "--runtime", runtime, "--idle", "300ms"], &[]);
            let mut client = demo.client();
            client.visit("PUT", "/api/session/a", Some("1")).expect(200, "create", "set");
            common::eventually("a sweep", || {
                let metrics = client.get("/api/metrics").json();
                metrics["sessions"] == 0 && metrics["expired"] == 1
            });
            assert_eq!(client.session()["new"], true);
        }
    }
}
