//! `cloakroom sessions` on files; on servers see `tests/tests/demo_sessions_tool.rs`.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::{
    fs, io,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use cloakroom_core::{
    Engine, EngineBuilder, Keyring, Lifetime, Login, RequestInfo, SealedCodec, StoreKey, Value as Stored,
};
use cloakroom_redb::{RedbConfig, RedbStore};
use cloakroom_runtime::{BoxFuture, Endpoint, Runtime, Stream, Task};
use cloakroom_store::{Directory as _, Finish, Session, Sessions, Store as _, StoreFailure};
use cloakroom_tokio::Tokio;
use common::{Demo, refused, stdout, tool};
use serde::Serialize;
use serde_json::{Value, json};
use tempfile::TempDir;

const RING: &str = "1:primary:b2xkLfqXkm3PJVTVE_Ec7PZUR8w8ugMvAfqTKmlWcBw";
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// tokio, with a clock that is so much late.
#[derive(Clone, Copy, Debug)]
struct Late(Duration);

impl Runtime for Late {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Tokio.sleep(duration)
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) -> Task {
        Tokio.spawn(future)
    }

    fn unblock(&self, function: Box<dyn FnOnce() + Send>) -> Task {
        Tokio.unblock(function)
    }

    fn connect(&self, endpoint: &Endpoint) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        Tokio.connect(endpoint)
    }

    fn now(&self) -> SystemTime {
        Tokio.now() - self.0
    }
}

/// A file of sessions, which is open while an application uses it alone.
struct File {
    folder: TempDir,
    runtime: tokio::runtime::Runtime,
}

impl File {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        Self { folder: tempfile::tempdir().unwrap(), runtime }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("sessions.redb")
    }

    fn url(&self) -> String {
        format!("redb:{}", self.path().display())
    }

    /// Has an application use the store, so long ago.
    fn before<R>(&self, ago: Duration, using: impl AsyncFnOnce(&RedbStore) -> R) -> R {
        self.runtime.block_on(async {
            let store = RedbConfig::new(self.path()).open(Late(ago)).await.unwrap();
            let result = using(&store).await;
            store.close().await;
            result
        })
    }

    fn using<R>(&self, using: impl AsyncFnOnce(&RedbStore) -> R) -> R {
        self.before(Duration::ZERO, using)
    }

    /// Signs somebody in; returns the cookie.
    fn login(&self, user: &(impl Serialize + Sync), label: &str) -> String {
        self.login_to(engine(), user, Login::new().label(label), Duration::ZERO)
    }

    /// Signs somebody in at an engine, so long ago by the application's clock.
    fn login_to(&self, engine: EngineBuilder, user: &(impl Serialize + Sync), login: Login, ago: Duration) -> String {
        self.using(async |store| {
            let session = open(engine, store, ago, "");
            session.login(user, login).await.unwrap();
            finish(&session).await.unwrap()
        })
    }

    /// Says whose session a cookie opens.
    fn user(&self, cookie: &str) -> Option<Value> {
        self.using(async |store| open(engine(), store, Duration::ZERO, cookie).principal().await.unwrap())
    }

    /// Runs a command, which must succeed; returns what it says.
    fn says(&self, args: &[&str]) -> String {
        let output = tool(&["sessions", args[0], "--store", &self.url()]).args(&args[1..]).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        stdout(&output)
    }

    /// Runs a command for programs.
    fn json(&self, args: &[&str]) -> Value {
        let said = self.says(&[args, &["--json"]].concat());
        assert!(said.ends_with('\n') && said.lines().count() == 1, "{said}");
        serde_json::from_str(&said).unwrap()
    }

    fn handles(&self, user: &str) -> Vec<String> {
        let listed = self.json(&["list", "--user", user]);
        listed.as_array().unwrap().iter().map(|row| row["handle"].as_str().unwrap().to_owned()).collect()
    }

    /// Runs a command that must refuse; returns what it says.
    fn refuses(&self, args: &[&str]) -> String {
        refused(tool(&["sessions", args[0], "--store", &self.url()]).args(&args[1..]), 2)
    }
}

fn engine() -> EngineBuilder {
    Engine::builder(RING.parse::<Keyring>().unwrap())
}

fn open(engine: EngineBuilder, store: &RedbStore, ago: Duration, cookie: &str) -> Session {
    let sessions = Sessions::builder(engine.build().unwrap(), store.clone(), Late(ago)).build();
    sessions.open([cookie.as_bytes()], &RequestInfo::new(), StoreFailure::Refuse)
}

/// Commits; returns the cookie, if one is set.
async fn finish(session: &Session) -> Option<String> {
    let report = Session::commit(session, Finish::Keep).await;
    report.result().unwrap();
    let line = report.headers().find(|(name, _)| *name == "set-cookie").map(|(_, line)| line);
    line.map(|line| line.split(';').next().unwrap().to_owned())
}

fn time(row: &Value, name: &str) -> SystemTime {
    humantime::parse_rfc3339(row[name].as_str().unwrap()).unwrap()
}

#[test]
fn the_sessions_of_a_user_are_listed_newest_first() {
    let file = File::new();
    assert_eq!(file.using(async |_| ()), ());
    assert_eq!(
        (file.says(&["list", "--user", "alice"]).as_str(), file.json(&["list", "--user", "alice"])),
        ("no sessions\n", json!([]))
    );
    // When a session was seen is told by a clock that ticks.
    let before = SystemTime::now() - Duration::from_millis(20);
    let old = file.login_to(engine(), &"alice", Login::new(), HOUR);
    let new = file.login(&"alice", "Firefox on Linux");
    file.login(&"bob", "Safari");
    let after = SystemTime::now();

    let listed = file.json(&["list", "--user", "alice"]);
    let [first, second] = listed.as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!((&first["label"], &second["label"]), (&json!("Firefox on Linux"), &json!(null)));
    assert!((before..=after).contains(&time(first, "created")), "{listed}");
    assert!((before..=after).contains(&(time(second, "created") + HOUR)), "{listed}");
    for row in [first, second] {
        assert!((before..=SystemTime::now()).contains(&time(row, "seen")), "{listed}");
        assert_eq!(row.as_object().unwrap().len(), 4, "{listed}");
        assert!(row["created"].as_str().unwrap().ends_with('Z'), "{listed}");
    }

    let text = file.says(&["list", "--user", "alice"]);
    let rows: Vec<_> = text.lines().collect();
    assert!(rows[0].starts_with("HANDLE ") && rows.len() == 3, "{text}");
    let shown = |row: &Value, name: &str| row[name].as_str().unwrap().replace('T', " ")[..19].to_owned();
    for (line, row, label) in [(rows[1], first, "Firefox on Linux"), (rows[2], second, "-")] {
        let handle = row["handle"].as_str().unwrap();
        // What is left to live is asked for each time: the moment may fall to either side of a second.
        let seen = [0, 1, 2].map(|seconds| {
            let seen = time(row, "seen") + Duration::from_secs(seconds) - Duration::from_secs(1);
            humantime::format_rfc3339_seconds(seen).to_string().replace('T', " ")[..19].to_owned()
        });
        let lines = seen.map(|seen| format!("{handle}  {}  {seen}  {label}", shown(row, "created")));
        assert!(lines.iter().any(|expected| expected == line), "{line} is none of {lines:?}");
    }
    for secret in [&old, &new] {
        let ticket = secret.split_once('=').unwrap().1;
        assert!(!text.contains(ticket) && !text.contains("cloakroom:") && !text.contains("alice"), "{text}");
    }
}

#[test]
fn an_id_is_looked_for_as_a_string_and_as_a_number() {
    let file = File::new();
    let (number, string) = (file.login(&7, "number"), file.login(&"7", "string"));
    file.login(&"\"7\"", "in quotes");
    file.login(&json!({ "org": 1, "id": 2 }), "pair");
    let labels = |user: &str| -> Vec<Value> {
        let mut labels: Vec<_> =
            file.json(&["list", "--user", user]).as_array().unwrap().iter().map(|row| row["label"].clone()).collect();
        labels.sort_by_key(ToString::to_string);
        labels
    };
    assert_eq!(labels("7"), ["number", "string"]);
    assert_eq!(labels("\"7\""), ["in quotes"]);
    assert_eq!(labels("07"), [""; 0]);
    assert_eq!(labels(r#"{"id":2,"org":1}"#), ["pair"]);
    assert_eq!(file.json(&["revoke", "--user", "7", "--all"]), json!({ "ended": 2 }));
    assert_eq!((file.user(&number), file.user(&string), labels("7").len()), (None, None, 0));
    assert_eq!(labels("\"7\"").len(), 1);
}

#[test]
fn engines_and_prefixes_are_told_apart() {
    let file = File::new();
    let admin = || engine().name("admin").key_prefix("shop:");
    file.login_to(admin(), &"alice", Login::new().label("there"), Duration::ZERO);
    file.login(&"alice", "here");
    let labels = |options: &[&str]| -> Vec<Value> {
        let listed = file.json(&[&["list", "--user", "alice"], options].concat());
        listed.as_array().unwrap().iter().map(|row| row["label"].clone()).collect()
    };
    assert_eq!(labels(&[]), ["here"]);
    assert_eq!(labels(&["--engine", "admin", "--prefix", "shop:"]), ["there"]);
    assert_eq!(labels(&["--engine", "admin"]), [""; 0]);
    let counts = |options: &[&str]| {
        let stats = file.json(&[&["stats"], options].concat());
        (stats["live"].as_u64().unwrap(), stats["users"].as_u64().unwrap())
    };
    assert_eq!(counts(&[]), (1, 1));
    assert_eq!(counts(&["--prefix", "shop:"]), (1, 1));
    assert_eq!(counts(&["--prefix", "sho"]), (1, 1));
    assert_eq!(counts(&["--prefix", ""]), (2, 2));
    assert_eq!(counts(&["--prefix", "other:"]), (0, 0));
}

#[test]
fn one_session_is_ended_by_its_handle() {
    let file = File::new();
    let kept = file.login_to(engine(), &"alice", Login::new(), HOUR);
    let ended = file.login(&"alice", "");
    let handle = file.handles("alice").remove(0);
    let revoke = ["revoke", "--user", "alice", "--handle", handle.as_str()];
    assert_eq!(file.says(&revoke), "1 session ended\n");
    assert_eq!((file.user(&ended), file.user(&kept)), (None, Some(json!("alice"))));
    assert_eq!(file.handles("alice").len(), 1);

    // The same handle again, and that of somebody else's session.
    file.login(&"bob", "");
    let bobs = file.handles("bob").remove(0);
    for handle in [&handle, &bobs] {
        let mut command = tool(&["sessions", "revoke", "--store", &file.url(), "--user", "alice", "--handle", handle]);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(stdout(&output), "the user has no session of this handle\n");
        let output = command.arg("--json").output().unwrap();
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), "{\"ended\":0}\n"));
    }
    assert_eq!((file.handles("bob").len(), file.handles("alice").len()), (1, 1));
}

#[test]
fn all_sessions_of_a_user_are_ended() {
    let file = File::new();
    let cookies = [file.login(&"alice", ""), file.login(&"alice", ""), file.login(&"alice", "")];
    // Renewed, so that the end is to follow the pointer.
    let renewed = file.using(async |store| {
        let session = open(engine(), store, Duration::ZERO, &cookies[0]);
        session.rotate().await.unwrap();
        finish(&session).await.unwrap()
    });
    let bobs = file.login(&"bob", "");
    assert_eq!(file.says(&["revoke", "--user", "alice", "--all"]), "3 sessions ended\n");
    for cookie in cookies.iter().chain([&renewed]) {
        assert_eq!(file.user(cookie), None);
    }
    assert_eq!((file.user(&bobs), file.handles("alice").len()), (Some(json!("bob")), 0));
    assert_eq!(file.says(&["revoke", "--user", "alice", "--all"]), "0 sessions ended\n");
}

#[test]
fn sessions_that_live_longer_than_by_default_are_listed_and_ended() {
    let file = File::new();
    let longest = Lifetime::new(30 * DAY, 365 * DAY);
    let application = || engine().longest(longest).max_record(8 * 1024 * 1024);
    let cookie = file.login_to(application(), &"alice", Login::new().lifetime(longest), 20 * DAY);
    file.using(async |store| {
        let session = open(application(), store, Duration::ZERO, &cookie);
        session.insert("big", &"x".repeat(2 * 1024 * 1024)).await.unwrap();
        finish(&session).await;
    });
    assert_eq!(file.handles("alice").len(), 1);
    assert_eq!(file.json(&["revoke", "--user", "alice", "--all"]), json!({ "ended": 1 }));
    let user: Option<String> =
        file.using(async |store| open(application(), store, Duration::ZERO, &cookie).principal().await.unwrap());
    assert_eq!(user, None);
}

#[test]
fn sealed_records_are_left_alone_without_their_ring() {
    let file = File::new();
    let ring = || RING.parse::<Keyring>().unwrap();
    let sealing = || engine().codec(SealedCodec::new(&ring(), EngineBuilder::NAME));
    let user = |cookie: &str| -> Option<String> {
        file.using(async |store| open(sealing(), store, Duration::ZERO, cookie).principal().await.unwrap())
    };
    let old = file.login_to(sealing(), &"alice", Login::new().label("sealed"), Duration::ZERO);
    // A pointer that is taken for a record hides what it leads to.
    let new = file.using(async |store| {
        let session = open(sealing(), store, Duration::ZERO, &old);
        session.rotate().await.unwrap();
        finish(&session).await.unwrap()
    });
    let run = |args: &[&str]| {
        let mut command = tool(&["sessions", args[0], "--store", &file.url()]);
        command.args(&args[1..]).env("RING", RING).output().unwrap()
    };
    let listed = run(&["list", "--user", "alice", "--json"]);
    assert_eq!((listed.status.code(), stdout(&listed).as_str()), (Some(0), "[]\n"));
    let said = String::from_utf8(listed.stderr).unwrap();
    assert!(said.starts_with("1 session of the user cannot be read: "), "{said}");
    assert_eq!(file.json(&["stats"])["undecodable"], 2);
    let said = file.refuses(&["revoke", "--user", "alice", "--all"]);
    assert!(said.contains("not sealed with a key of the ring"), "{said}");
    assert_eq!((user(&old).as_deref(), user(&new).as_deref()), (Some("alice"), Some("alice")));

    let listed = run(&["list", "--user", "alice", "--keys", "env:RING", "--json"]);
    assert!(stdout(&listed).contains("\"label\":\"sealed\"") && listed.stderr.is_empty(), "{listed:?}");
    let stats = run(&["stats", "--keys", "env:RING", "--json"]);
    assert!(stdout(&stats).starts_with("{\"live\":1,\"pointers\":1,\"tombstones\":0,\"undecodable\":0,"), "{stats:?}");
    let ended = run(&["revoke", "--user", "alice", "--all", "--keys", "env:RING"]);
    assert_eq!(stdout(&ended), "1 session ended\n");
    assert_eq!((user(&old), user(&new)), (None, None));
}

#[test]
fn what_a_store_holds_is_counted() {
    let file = File::new();
    let renewed = file.login(&"alice", "");
    for user in ["alice", "bob", "carol"] {
        file.login(&user, "");
    }
    let bytes = file.using(async |store| {
        let session = open(engine(), store, Duration::ZERO, "");
        session.insert("a", &1).await.unwrap();
        finish(&session).await.unwrap();
        let session = open(engine(), store, Duration::ZERO, &renewed);
        session.rotate().await.unwrap();
        finish(&session).await.unwrap();
        let before = store.metrics();
        assert_eq!((before.entries, before.members), (6, 4));
        let junk = [("cloakroom:junk", "no record"), ("other:key", "somebody else's")];
        for (key, value) in junk {
            store.create(&StoreKey::new(key).unwrap(), &Stored::from(value.as_bytes().to_vec()), HOUR).await.unwrap();
        }
        let mut bytes = 0;
        let mut walk = store.walk_entries("cloakroom:");
        while let Some(page) = walk.next_page().await.unwrap() {
            for key in page {
                bytes += key.as_bytes().len() + store.load(&key).await.unwrap().unwrap().value.len();
            }
        }
        bytes
    });
    file.json(&["revoke", "--user", "carol", "--all"]);
    // What has expired does not count.
    file.before(2 * DAY, async |store| {
        let key = StoreKey::new("cloakroom:expired").unwrap();
        store.create(&key, &Stored::from(b"x".to_vec()), Duration::from_millis(1)).await.unwrap();
    });
    let stats = file.json(&["stats"]);
    let size = fs::metadata(file.path()).unwrap().len();
    let counted = json!({ "live": 4, "pointers": 1, "tombstones": 1, "undecodable": 1, "users": 2, "members": 3 });
    for (name, count) in counted.as_object().unwrap() {
        assert_eq!(&stats[name], count, "{name}: {stats}");
    }
    assert_eq!(stats.as_object().unwrap().len(), counted.as_object().unwrap().len() + 2);
    // Carol's tombstone is another value than the record was.
    let shrunk = bytes as u64 - stats["bytes"].as_u64().unwrap();
    assert!((1..1000).contains(&shrunk), "{bytes} {stats}");
    assert!(stats["file_bytes"].as_u64().unwrap() > 0 && size > 0, "{stats}");

    let text = file.says(&["stats"]);
    let rows: Vec<(String, String)> = text
        .lines()
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, count)| (name.trim().to_owned(), count.to_owned()))
        .collect();
    let names = [
        ("live sessions", "live"),
        ("pointers", "pointers"),
        ("tombstones", "tombstones"),
        ("undecodable", "undecodable"),
        ("bytes of these", "bytes"),
        ("users", "users"),
        ("in their indexes", "members"),
    ];
    for (row, (name, key)) in rows.iter().zip(names) {
        assert_eq!(row, &(name.to_owned(), stats[key].to_string()), "{text}");
    }
    assert_eq!((rows.len(), rows[7].0.as_str()), (8, "bytes of the file"), "{text}");
}

#[test]
fn what_has_expired_is_swept_and_indexes_are_healed() {
    let file = File::new();
    let key = |name: &str| StoreKey::new(&format!("cloakroom:{name}")).unwrap();
    file.before(DAY, async |store| {
        for name in ["a", "b", "c"] {
            store.create(&key(name), &Stored::from(b"{}".to_vec()), HOUR).await.unwrap();
        }
        store.create(&key("d"), &Stored::from(b"{}".to_vec()), 2 * DAY).await.unwrap();
        store.enroll(&key("user:x"), &key("a"), HOUR).await.unwrap();
        // Its time is not over, but its session is gone.
        store.enroll(&key("user:x"), &key("b"), 2 * DAY).await.unwrap();
        store.enroll(&key("user:x"), &key("d"), 2 * DAY).await.unwrap();
    });
    let cookie = file.login(&"alice", "");
    assert_eq!(file.json(&["sweep"]), json!({ "expired": 4, "members": 1 }));
    let left = file.using(async |store| (store.metrics().entries, store.metrics().members));
    assert_eq!((left, file.user(&cookie)), ((2, 2), Some(json!("alice"))));
    let nothing = "0 expired rows dropped\n0 entries of users' indexes taken out: their sessions are gone\n";
    assert_eq!(file.says(&["sweep"]), nothing);
}

#[test]
fn a_file_that_is_not_there_is_not_made() {
    let file = File::new();
    let user = ["--user", "alice"];
    for args in [&[&["list"][..], &user].concat()[..], &["stats"], &["sweep"], &["revoke", "--user", "a", "--all"]] {
        assert_eq!(file.refuses(args), format!("error: there is no {}\n", file.path().display()));
    }
    assert_eq!(fs::read_dir(file.folder.path()).unwrap().count(), 0);
}

#[test]
fn a_file_that_a_server_has_open_is_left_to_it() {
    let file = File::new();
    let demo = Demo::with(&["--store", &file.url()], &[]);
    let said = file.refuses(&["stats"]);
    assert!(said.starts_with(&format!("error: {} is in use by ", file.path().display())), "{said}");
    assert!(said.ends_with("; stop that first\n"), "{said}");
    if cfg!(target_os = "linux") {
        assert!(said.contains(&format!("process {} (cloakroom)", demo.child.id())), "{said}");
    }
}

#[test]
fn what_does_not_fit_is_refused_and_not_repeated() {
    let file = File::new();
    file.login(&"alice", "");
    let ticket = "AQkept-to-myself_kept-to-myself";
    for (args, words) in [
        (&["revoke", "--user", "alice", "--handle", ticket][..], "--handle: a handle has 22 characters of base64url"),
        (&["revoke", "--user", "alice"], "<--handle <HANDLE>|--all>"),
        (&["revoke", "--user", "alice", "--all", "--handle", ticket], "cannot be used with"),
        (&["list"], "--user <ID>"),
        (&["list", "--user", &"kept-to-myself".repeat(100)], "user id"),
        (&["list", "--user", "alice", "--engine", ""], "--engine, --prefix: an engine's name has 1 to 64 bytes"),
        (&["list", "--user", "alice", "--prefix", "a b"], "--engine, --prefix: the key prefix does not fit"),
        (&["stats", "--server-prefix", "shop:"], "--server-prefix: only a Redis has one"),
    ] {
        let said = file.refuses(args);
        assert!(said.contains(words) && !said.contains("kept-to-myself"), "{args:?}: {said}");
    }
    assert_eq!(file.handles("alice").len(), 1);
}

#[test]
fn a_store_that_no_other_process_can_look_into_is_refused() {
    for args in [&["list", "--user", "a"][..], &["revoke", "--user", "a", "--all"], &["stats"], &["sweep"]] {
        let said = refused(tool(&["sessions"]).args(args).args(["--store", "memory:"]), 2);
        assert_eq!(said, "error: memory: lives in the process of its server, and no other can look into it\n");
    }
}

#[test]
fn no_error_repeats_the_password_of_a_url() {
    for (url, words) in [
        ("redis://user:kept-to-myself@127.0.0.1:1/0", "no store at 127.0.0.1:1"),
        ("redis+cluster://:kept-to-myself@127.0.0.1:1", "no store at the cluster 127.0.0.1:1"),
        ("redis://user:kept-to-myself@host:port", "--store: the Redis URL cannot be read"),
        ("user:kept-to-myself@host", "--store: there is no such store"),
    ] {
        for args in [&["list", "--user", "a"][..], &["revoke", "--user", "a", "--all"], &["stats"], &["sweep"]] {
            let said = refused(tool(&["sessions"]).args(args).args(["--store", url]), 2);
            assert!(said.contains(words) && !said.contains("kept-to-myself"), "{args:?}: {said}");
        }
        for args in [&["stats", url][..], &["--store", url, "stats"], &["stats", "--json", url]] {
            let said = refused(tool(&["sessions"]).args(args), 2);
            assert!(!said.contains("kept-to-myself"), "{args:?}: {said}");
        }
    }
    let url = "redis://user:kept-to-myself@127.0.0.1:1";
    let said = refused(tool(&["sessions", "stats", "--store", "env:STORE"]).env("STORE", url), 2);
    assert!(said.contains("no store at 127.0.0.1:1") && !said.contains("kept-to-myself"), "{said}");
}
