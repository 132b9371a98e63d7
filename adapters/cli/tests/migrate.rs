//! `cloakroom migrate` on files; beside live traffic and on servers see `tests/tests/moves.rs`.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::{path::PathBuf, process::Output, time::Duration};

use cloakroom_core::{Engine, Keyring, Login, RequestInfo, StoreKey, Value as Stored};
use cloakroom_redb::RedbStore;
use cloakroom_store::{Directory as _, Finish, Session, Sessions, Store as _, StoreFailure};
use cloakroom_tokio::Tokio;
use common::{Demo, refused, stdout, tool};
use serde_json::{Value, json};
use tempfile::TempDir;

const RING: &str = "1:primary:b2xkLfqXkm3PJVTVE_Ec7PZUR8w8ugMvAfqTKmlWcBw";
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Two files of sessions, each open while an application uses it alone.
struct Files {
    folder: TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Files {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        Self { folder: tempfile::tempdir().unwrap(), runtime }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn url(&self, name: &str) -> String {
        format!("redb:{}", self.path(name).display())
    }

    fn using<R>(&self, name: &str, using: impl AsyncFnOnce(&RedbStore) -> R) -> R {
        self.runtime.block_on(async {
            let store = RedbStore::open(self.path(name), Tokio).await.unwrap();
            let result = using(&store).await;
            store.close().await;
            result
        })
    }

    /// Signs somebody in; returns the cookie.
    fn login(&self, name: &str, user: &str) -> String {
        self.using(name, async |store| {
            let session = open(store, "");
            session.login(user, Login::new()).await.unwrap();
            finish(&session).await.unwrap()
        })
    }

    fn user(&self, name: &str, cookie: &str) -> Option<Value> {
        self.using(name, async |store| open(store, cookie).principal().await.unwrap())
    }

    fn migrate(&self, options: &[&str]) -> Output {
        tool(&["migrate", "--from", &self.url("old"), "--to", &self.url("new")]).args(options).output().unwrap()
    }

    fn json(&self, options: &[&str]) -> Value {
        let output = self.migrate(&[options, &["--json"]].concat());
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        serde_json::from_str(&stdout(&output)).unwrap()
    }

    fn stats(&self, name: &str) -> Value {
        let output = tool(&["sessions", "stats", "--json", "--store", &self.url(name)]).output().unwrap();
        serde_json::from_str(&stdout(&output)).unwrap()
    }
}

fn open(store: &RedbStore, cookie: &str) -> Session {
    let engine = Engine::builder(RING.parse::<Keyring>().unwrap()).build().unwrap();
    let sessions = Sessions::builder(engine, store.clone(), Tokio).build();
    sessions.open([cookie.as_bytes()], &RequestInfo::new(), StoreFailure::Refuse)
}

/// Commits; returns the cookie, if one is set.
async fn finish(session: &Session) -> Option<String> {
    let report = Session::commit(session, Finish::Keep).await;
    report.result().unwrap();
    let line = report.headers().find(|(name, _)| *name == "set-cookie").map(|(_, line)| line);
    line.map(|line| line.split(';').next().unwrap().to_owned())
}

fn key(name: &str) -> StoreKey {
    StoreKey::new(name).unwrap()
}

fn value() -> Stored {
    Stored::from(&b"{}"[..])
}

#[test]
fn sessions_and_memberships_are_moved_and_ended_ones_stay_ended() {
    let files = Files::new();
    let (alice, bob) = (files.login("old", "alice"), files.login("old", "bob"));
    let ended = files.login("old", "alice");
    files.using("old", async |store| {
        let session = open(store, &ended);
        session.destroy().await.unwrap();
        finish(&session).await;
        store.enroll(&key("cloakroom:user"), &key("cloakroom:gone"), HOUR).await.unwrap();
        store.create(&key("other:key"), &value(), HOUR).await.unwrap();
    });
    let expected = json!({ "moved": 3, "skipped": 0, "members": 2, "stale": 1, "left": 0 });
    assert_eq!(files.json(&[]), expected);
    for (cookie, user) in [(&alice, Some("alice")), (&bob, Some("bob")), (&ended, None)] {
        assert_eq!(files.user("new", cookie), user.map(Value::from));
        assert_eq!(files.user("old", cookie), None);
    }
    let (old, new) = (files.stats("old"), files.stats("new"));
    for (name, left, there) in [("live", 0, 2), ("tombstones", 0, 1), ("users", 0, 2), ("members", 0, 2)] {
        assert_eq!((&old[name], &new[name]), (&json!(left), &json!(there)), "{name}");
    }
    // What is no session of this prefix is none of its business.
    assert!(files.using("old", async |store| store.load(&key("other:key")).await.unwrap().is_some()));

    let revoked = tool(&["sessions", "revoke", "--user", "alice", "--all", "--store", &files.url("new")]).output();
    assert_eq!(stdout(&revoked.unwrap()), "1 session ended\n");
    assert_eq!(files.user("new", &alice), None);
}

#[test]
fn times_to_live_and_values_are_moved_as_they_are() {
    let files = Files::new();
    let times = [HOUR, 2 * HOUR, 400 * 24 * HOUR];
    files.using("old", async |store| {
        for (number, ttl) in times.into_iter().enumerate() {
            let value = Stored::from(format!("{{\"{number}\":1}}").into_bytes());
            store.create(&key(&format!("cloakroom:{number}")), &value, ttl).await.unwrap();
        }
    });
    assert_eq!(files.json(&[])["moved"], 3);
    files.using("new", async |store| {
        for (number, ttl) in times.into_iter().enumerate() {
            let found = store.load(&key(&format!("cloakroom:{number}"))).await.unwrap().unwrap();
            assert_eq!(found.value.as_bytes(), format!("{{\"{number}\":1}}").as_bytes());
            let left = found.expires_in.unwrap();
            assert!(left <= ttl && left > ttl - Duration::from_secs(60), "{left:?} of {ttl:?}");
        }
    });
}

#[test]
fn what_was_left_before_the_last_step_is_finished() {
    let files = Files::new();
    let frozen = Stored::from([&b"\x02cloakroom moves:f"[..], &[7; 16], b"{}"].concat());
    let claim = Stored::from([&b"\x02cloakroom moves:c"[..], &[7; 16]].concat());
    let newer = Stored::from(&b"{\"newer\":1}"[..]);
    files.using("old", async |store| {
        for name in ["cloakroom:claimed", "cloakroom:frozen", "cloakroom:written"] {
            store.create(&key(name), &frozen, HOUR).await.unwrap();
        }
    });
    files.using("new", async |store| {
        store.create(&key("cloakroom:claimed"), &claim, HOUR).await.unwrap();
        store.create(&key("cloakroom:written"), &newer, HOUR).await.unwrap();
    });
    assert_eq!(files.json(&[]), json!({ "moved": 2, "skipped": 0, "members": 0, "stale": 0, "left": 0 }));
    files.using("new", async |store| {
        for (name, there) in
            [("cloakroom:claimed", value()), ("cloakroom:frozen", value()), ("cloakroom:written", newer.clone())]
        {
            assert_eq!(store.load(&key(name)).await.unwrap().unwrap().value, there, "{name}");
        }
    });
    let nothing = "0 entries moved, 0 members of users' indexes; 0 members that nobody needs any more dropped\n";
    assert_eq!(stdout(&files.migrate(&[])), format!("{nothing}nothing is left in the old store\n"));
}

#[test]
fn what_cannot_be_moved_is_counted_and_left() {
    let files = Files::new();
    let alice = files.login("old", "alice");
    files.using("old", async |store| {
        // Begins as what the move itself writes.
        let marked = Stored::from([&b"\x02cloakroom moves:f"[..], &[7; 16], b"\x02cloakroom moves:x"].concat());
        store.create(&key("cloakroom:odd"), &marked, HOUR).await.unwrap();
    });
    let output = files.migrate(&["--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(said, json!({ "moved": 1, "skipped": 1, "members": 1, "stale": 0, "left": 1 }));
    let said = stdout(&files.migrate(&[]));
    assert!(said.contains("1 entry skipped: a store refused it\n1 entry is left in the old store"), "{said}");
    assert_eq!(files.user("new", &alice), Some(json!("alice")));
}

#[test]
fn a_store_is_not_moved_to_itself() {
    let files = Files::new();
    let alice = files.login("old", "alice");
    let link = files.path("link");
    std::os::unix::fs::symlink(files.path("old"), &link).unwrap();
    for to in [files.url("old"), format!("redb:{}", link.display())] {
        let said = refused(&mut tool(&["migrate", "--from", &files.url("old"), "--to", &to]), 2);
        assert_eq!(said, "error: --from and --to are one store\n");
    }
    assert_eq!(files.user("old", &alice), Some(json!("alice")));
}

#[test]
fn what_is_not_there_or_in_use_is_refused() {
    let files = Files::new();
    let (old, new) = (files.url("old"), files.url("new"));
    let said = refused(&mut tool(&["migrate", "--from", &old, "--to", &new]), 2);
    assert_eq!(said, format!("error: there is no {}\n", files.path("old").display()));
    assert!(!files.path("new").exists());
    files.login("old", "alice");
    for (from, to) in [("memory:", new.as_str()), (old.as_str(), "memory:")] {
        let said = refused(&mut tool(&["migrate", "--from", from, "--to", to]), 2);
        assert_eq!(said, "error: memory: lives in the process of its server, and no other can look into it\n");
    }
    let _demo = Demo::with(&["--store", &old], &[]);
    let said = refused(&mut tool(&["migrate", "--from", &old, "--to", &new]), 2);
    assert!(said.contains(" is in use by ") && said.ends_with("; stop that first\n"), "{said}");
}

#[test]
fn no_error_repeats_the_password_of_a_url() {
    let files = Files::new();
    files.login("old", "alice");
    let old = files.url("old");
    for (url, words) in [
        ("redis://user:kept-to-myself@127.0.0.1:1/0", "no store at 127.0.0.1:1"),
        ("redis://user:kept-to-myself@host:port", ": the Redis URL cannot be read"),
        ("user:kept-to-myself@host", ": there is no such store"),
    ] {
        for (from, to) in [(url, old.as_str()), (old.as_str(), url)] {
            let said = refused(&mut tool(&["migrate", "--from", from, "--to", to]), 2);
            assert!(said.contains(words) && !said.contains("kept-to-myself"), "{said}");
        }
    }
}
