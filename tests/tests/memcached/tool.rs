//! The tool on memcached: the demo keeps its sessions there, and sessions of another store move there.

use cloakroom_tests::{
    demo::{Client, Demo, keygen, tool},
    servers::{Memcached, MemcachedOptions},
};
use serde_json::{Value, json};

tests! {
    a_demo_keeps_its_sessions_on_two_servers,
    a_migration_leaves_nothing_where_no_index_is_kept,
}

fn start() -> Memcached {
    Memcached::start(MemcachedOptions::new())
}

/// Signs alice in.
fn sign_in(demo: &Demo, client: &mut Client) {
    let login = json!({ "user": "alice", "password": demo.password("alice") }).to_string();
    assert_eq!(client.visit("POST", "/api/login", Some(&login)).status, 200);
}

fn a_demo_keeps_its_sessions_on_two_servers() {
    let servers = [start(), start()];
    let store = format!("memcached://{},{}", servers[0].address(), servers[1].address());
    for runtime in ["tokio", "smol", "async-std"] {
        let demo = Demo::start(&["--runtime", runtime, "--store", &store]);
        // Enough of them that each server has some.
        for n in 0..20 {
            assert_eq!(demo.visitor("n", &json!(n)).session().data(), &json!({ "n": n }));
        }
        let mut visitor = demo.visitor("n", &json!(1));
        let stranger = visitor.cookie.clone().unwrap();
        sign_in(&demo, &mut visitor);
        let cookie = visitor.cookie.clone().unwrap();
        assert_eq!(visitor.send("GET", "/api/me", None).json()["user"], "alice");
        assert!(demo.client().presenting(&stranger).session().opens_nothing());
        let devices = visitor.send("GET", "/api/sessions", None);
        assert_eq!((devices.status.as_u16(), devices.error().as_str()), (501, "no_index"), "{devices:?}");
        assert_eq!(visitor.visit("POST", "/api/logout", None).status, 200);
        assert_eq!(demo.client().presenting(&cookie).send("GET", "/api/me", None).status, 401);
    }
    for server in &servers {
        let stored: u64 = server.stats("")["curr_items"].parse().unwrap();
        assert!(stored > 0, "a server has none of them");
    }
}

fn a_migration_leaves_nothing_where_no_index_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let from = format!("redb:{}", folder.path().join("sessions.redb").display());
    let ring = keygen();
    let start_on = |store: &str| Demo::with(&["--keys", "env:RING", "--store", store], &[("RING", &ring)]);
    let cookie = {
        let demo = start_on(&from);
        let mut visitor = demo.client();
        sign_in(&demo, &mut visitor);
        visitor.cookie.unwrap()
    };
    let server = start();
    let output = tool(&["migrate", "--json", "--from", &from, "--to", &server.url()]).output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said, json!({ "moved": 1, "skipped": 0, "members": 0, "stale": 1, "left": 0 }));
    assert!(output.status.success(), "{output:?}");
    let demo = start_on(&server.url());
    assert_eq!(demo.client().presenting(&cookie).send("GET", "/api/me", None).json()["user"], "alice");
}
