//! Accounts for programs, in JSON.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::{collections::BTreeSet, thread};

use common::{Answer, Client, Demo, stdout, tool};
use serde_json::{Value, json};

/// Presents the ticket that a client had.
fn old(client: &Client) -> Client {
    client.clone()
}

#[track_caller]
fn refused(answer: &Answer, status: u16, word: &str) {
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (status, &json!(word)), "{}", answer.body);
    assert_eq!(answer.header("x-session-cookie"), "keep");
}

#[test]
fn each_user_signs_in_with_their_own_password_and_is_named() {
    let demo = Demo::start();
    for user in ["alice", "bob"] {
        let mut client = demo.client();
        assert_eq!(client.me(), Value::Null);
        let answer = client.login(user, demo.password(user));
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "user": user })));
        assert_eq!(answer.header("x-session-cookie"), "set");
        assert!(!answer.set_cookie().unwrap().contains("Max-Age"));
        assert_eq!(client.get("/api/me").expect(200, "load", "keep").json(), json!({ "user": user, "sudo": true }));
    }
}

#[test]
fn a_wrong_password_and_an_unknown_user_get_the_same_answer() {
    let demo = Demo::start();
    let mut client = demo.client();
    let bodies = [
        ("alice", "wrong"),
        ("alice", demo.password("bob")),
        ("alice", ""),
        ("carol", "wrong"),
        ("carol", demo.password("alice")),
        ("Alice", demo.password("alice")),
        ("", ""),
    ]
    .map(|(user, password)| {
        let answer = client.login(user, password).expect(401, "", "keep");
        answer.body
    });
    assert_eq!(BTreeSet::from(bodies).len(), 1);
    refused(&client.login("alice", "wrong"), 401, "wrong_password");
}

#[test]
fn a_login_ends_what_was_there_before_it_and_takes_nothing_over() {
    let demo = Demo::start();
    let mut client = demo.client();
    client.visit("PUT", "/api/session/cart", Some("1"));
    let before = old(&client);
    client.login("alice", demo.password("alice"));
    assert_ne!(before.cookie, client.cookie);
    assert_eq!(client.session()["data"], json!({}));
    assert_eq!((before.me(), &before.session()["new"]), (Value::Null, &json!(true)));
    // The first routes work on it as on any other.
    client.visit("PUT", "/api/session/color", Some("\"blue\"")).expect(200, "load,replace", "keep");
    assert_eq!(client.session()["data"], json!({ "color": "blue" }));
    let alice = old(&client);
    client.login("bob", demo.password("bob"));
    assert_eq!((client.me(), alice.me()), (json!("bob"), Value::Null));
    assert_eq!(client.session()["data"], json!({}));
}

#[test]
fn a_slow_login_signs_in_once_its_wait_is_over() {
    let demo = Demo::start();
    let mut client = demo.client();
    let body = json!({ "user": "bob", "password": demo.password("bob"), "delay_ms": 30 }).to_string();
    assert_eq!(client.visit("POST", "/api/login", Some(&body)).status, 200);
    assert_eq!(client.me(), "bob");
}

#[test]
fn only_who_is_to_be_remembered_has_a_cookie_that_lasts() {
    let demo = Demo::start();
    for (remember, max_age) in [(Some(true), Some("Max-Age=2592000")), (Some(false), None), (None, None)] {
        let mut body = json!({ "user": "alice", "password": demo.password("alice") });
        if let Some(remember) = remember {
            body["remember"] = json!(remember);
        }
        let mut client = demo.client();
        let answer = client.visit("POST", "/api/login", Some(&body.to_string()));
        let line = answer.set_cookie().unwrap();
        assert_eq!(line.split("; ").find(|part| part.starts_with("Max-Age")), max_age, "{line}");
        assert_eq!(client.me(), "alice");
    }
}

#[test]
fn what_lives_shorter_or_longer_than_the_remembered_is_served_too() {
    for times in [["--idle", "400d", "--absolute", "500d"], ["--idle", "5s", "--absolute", "5s"]] {
        let demo = Demo::with(&times, &[]);
        let body = json!({ "user": "alice", "password": demo.password("alice"), "remember": true }).to_string();
        let answer = demo.client().visit("POST", "/api/login", Some(&body));
        assert!(answer.set_cookie().unwrap().contains("Max-Age=2592000"), "{answer:?}");
        assert_eq!(demo.signed_in("bob").me(), "bob");
    }
}

#[test]
fn who_signs_out_is_nobody() {
    let demo = Demo::start();
    let mut client = demo.signed_in("alice");
    let before = old(&client);
    let answer = client.visit("POST", "/api/logout", None);
    assert_eq!((answer.status.as_u16(), answer.header("x-session-cookie")), (200, "clear"));
    assert!(client.cookie.is_none());
    assert_eq!((client.me(), before.me()), (Value::Null, Value::Null));
    // Once more, and from nobody.
    assert_eq!(client.visit("POST", "/api/logout", None).expect(200, "", "keep").json(), json!({ "ok": true }));
}

#[test]
fn the_sessions_of_a_user_are_listed_and_no_others() {
    let demo = Demo::start();
    let (phone, mut laptop, _other) = (demo.signed_in("alice"), demo.client(), demo.signed_in("bob"));
    let body = json!({ "user": "alice", "password": demo.password("alice") }).to_string();
    laptop.visit_with("POST", "/api/login", &[("user-agent", "laptop\u{e9}")], Some(&body));
    let listed = laptop.sessions();
    assert_eq!(listed.len(), 2);
    for session in &listed {
        let keys: Vec<_> = session.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["created", "current", "handle", "label", "seen"]);
        assert_eq!(session["handle"].as_str().unwrap().len(), 22);
        let [created, seen] = ["created", "seen"].map(|key| session[key].as_u64().unwrap());
        assert!(created > 1_600_000_000_000 && seen >= created - 1000);
    }
    let current = |sessions: &[Value]| {
        let mut current = sessions.iter().filter(|session| session["current"] == true);
        let (one, none) = (current.next().unwrap().clone(), current.next());
        assert_eq!(none, None);
        one
    };
    assert_eq!(current(&listed)["handle"], laptop.session()["handle"]);
    assert!(current(&listed)["label"].as_str().unwrap().starts_with("laptop"));
    let seen_by_phone = current(&phone.sessions());
    assert!(seen_by_phone["label"].as_str().unwrap().starts_with("ureq"), "{seen_by_phone}");
    assert_eq!(seen_by_phone["handle"], phone.session()["handle"]);
}

#[test]
fn a_session_ends_by_its_handle() {
    let demo = Demo::start();
    let (phone, mut laptop, other) = (demo.signed_in("alice"), demo.signed_in("alice"), demo.signed_in("bob"));
    let path = |client: &Client| format!("/api/sessions/{}", client.session()["handle"].as_str().unwrap());
    let (of_phone, of_laptop, of_other) = (path(&phone), path(&laptop), path(&other));
    for unknown in [&*of_other, "/api/sessions/none", &format!("/api/sessions/{}", "A".repeat(22)), "/api/sessions/%20"]
    {
        refused(&laptop.visit("DELETE", unknown, None), 404, "unknown_handle");
    }
    assert_eq!(laptop.visit("DELETE", &of_phone, None).json(), json!({ "ok": true }));
    assert_eq!((phone.me(), laptop.me(), other.me()), (Value::Null, json!("alice"), json!("bob")));
    refused(&laptop.visit("DELETE", &of_phone, None), 404, "unknown_handle");
    assert_eq!(laptop.sessions().len(), 1);
    // Its own.
    let before = old(&laptop);
    assert_eq!(laptop.visit("DELETE", &of_laptop, None).header("x-session-cookie"), "clear");
    assert_eq!((before.me(), other.sessions().len()), (Value::Null, 1));
}

#[test]
fn all_others_end_or_all() {
    let demo = Demo::start();
    let other = demo.signed_in("bob");
    let others = [demo.signed_in("alice"), demo.signed_in("alice")];
    let mut client = demo.signed_in("alice");
    let answer = client.visit("POST", "/api/sessions/end-others", None).expect(200, "load", "keep");
    assert_eq!(answer.json(), json!({ "ok": true }));
    others.iter().for_each(|other| assert_eq!(other.me(), Value::Null));
    assert_eq!((client.me(), client.sessions().len()), (json!("alice"), 1));

    let second = demo.signed_in("alice");
    let before = old(&client);
    let answer = client.visit("POST", "/api/sessions/end-all", None);
    assert_eq!((answer.status.as_u16(), answer.header("x-session-cookie")), (200, "clear"));
    assert_eq!((before.me(), second.me(), other.me()), (Value::Null, Value::Null, json!("bob")));
    assert_eq!(demo.signed_in("alice").sessions().len(), 1);
}

#[test]
fn a_password_that_is_given_again_makes_the_ticket_a_new_one() {
    let demo = Demo::start();
    let mut client = demo.signed_in("alice");
    let before = old(&client);
    for password in ["", "wrong", demo.password("bob")] {
        let body = json!({ "password": password }).to_string();
        refused(&client.visit("POST", "/api/sudo", Some(&body)), 401, "wrong_password");
    }
    let body = json!({ "password": demo.password("alice") }).to_string();
    let answer = client.visit("POST", "/api/sudo", Some(&body));
    assert_eq!((answer.json(), answer.header("x-session-cookie")), (json!({ "ok": true }), "set"));
    assert_ne!(before.cookie, client.cookie);
    assert_eq!((before.me(), client.me(), client.sessions().len()), (Value::Null, json!("alice"), 1));
}

#[test]
fn a_change_of_the_password_ends_all_other_sessions_and_the_old_password() {
    let demo = Demo::start();
    let (phone, mut client, other) = (demo.signed_in("alice"), demo.signed_in("alice"), demo.signed_in("bob"));
    let before = old(&client);
    let mut change = |old: &str, new: &str| {
        client.visit("POST", "/api/password", Some(&json!({ "old": old, "new": new }).to_string()))
    };
    let first = demo.password("alice");
    refused(&change("wrong", "a new password"), 401, "wrong_password");
    refused(&change(first, "1234567"), 400, "bad_password");
    refused(&change(first, &"x".repeat(129)), 400, "bad_password");
    assert_eq!(phone.me(), "alice");
    let answer = change(first, "a new password");
    assert_eq!((answer.json(), answer.header("x-session-cookie")), (json!({ "ok": true }), "set"));
    assert_eq!(
        (before.me(), phone.me(), client.me(), other.me()),
        (Value::Null, Value::Null, json!("alice"), json!("bob"))
    );
    refused(&demo.client().login("alice", first), 401, "wrong_password");
    refused(&demo.client().login("bob", "a new password"), 401, "wrong_password");
    assert_eq!(demo.client().login("alice", "a new password").status, 200);
}

#[test]
fn a_login_with_a_password_that_is_changed_meanwhile_opens_nothing() {
    let demo = Demo::start();
    let mut client = demo.signed_in("alice");
    let slow = json!({ "user": "alice", "password": demo.password("alice"), "delay_ms": 2000 }).to_string();
    let mut late = demo.client();
    late.visit("PUT", "/api/session/a", Some("1"));
    let loads = demo.client().get("/api/metrics").json()["operations"]["load"].as_u64().unwrap();
    let login = thread::spawn(move || (late.visit("POST", "/api/login", Some(&slow)), late));
    // It loads what was there once it has checked its password.
    demo.wait_for_loads(loads + 1);
    let change = json!({ "old": demo.password("alice"), "new": "a new password" }).to_string();
    assert_eq!(client.visit("POST", "/api/password", Some(&change)).status, 200);
    let (answer, late) = login.join().unwrap();
    assert_eq!((answer.status.as_u16(), late.me()), (401, Value::Null), "{}", answer.body);
    assert_eq!(client.sessions().len(), 1);
}

#[test]
fn a_user_has_at_most_20_sessions_and_the_oldest_gives_way() {
    let demo = Demo::start();
    let other = demo.signed_in("bob");
    let clients: Vec<_> = (0..23).map(|_| demo.signed_in("alice")).collect();
    let alive: Vec<bool> = clients.iter().map(|client| client.me() == "alice").collect();
    assert_eq!(alive, [vec![false; 3], vec![true; 20]].concat());
    assert_eq!((clients[22].sessions().len(), other.me()), (20, json!("bob")));
}

#[test]
fn who_is_nobody_is_refused_without_a_redirect() {
    let demo = Demo::start();
    let mut visitor = demo.client();
    visitor.visit("PUT", "/api/session/a", Some("1"));
    let browser = [("accept", "text/html"), ("sec-fetch-mode", "navigate"), ("sec-fetch-site", "none")];
    for client in [demo.client(), visitor] {
        for (method, path, body) in [
            ("GET", "/api/me", None),
            ("GET", "/api/sessions", None),
            ("DELETE", "/api/sessions/AAAAAAAAAAAAAAAAAAAAAA", None),
            ("DELETE", "/api/sessions/x", None),
            ("POST", "/api/sessions/end-others", None),
            ("POST", "/api/sessions/end-all", None),
            ("POST", "/api/password", Some("{\"old\":\"a\",\"new\":\"b\"}")),
            ("POST", "/api/sudo", Some("{\"password\":\"a\"}")),
        ] {
            refused(&client.send(method, path, &[], body), 401, "not_signed_in");
            refused(&client.send(method, path, &browser, body), 401, "not_signed_in");
        }
    }
}

#[test]
fn bodies_that_are_not_what_a_path_takes_are_refused_and_not_quoted() {
    let demo = Demo::start();
    let client = demo.signed_in("alice");
    for path in ["/api/login", "/api/password", "/api/sudo"] {
        for (body, word) in [
            ("", "not_json"),
            ("hunter2", "not_json"),
            ("{\"password\":\"hunter2\"", "not_json"),
            ("\"hunter2\"", "bad_body"),
            ("{\"password\":[\"hunter2\"]}", "bad_body"),
            ("{\"user\":\"hunter2\"}", "bad_body"),
        ] {
            let answer = client.send("POST", path, &[], Some(body));
            refused(&answer, 400, word);
            assert!(!answer.body.contains("hunter2"));
        }
    }
    for (key, value) in [("delay_ms", json!(60_001)), ("delay_ms", json!(-1)), ("remember", json!("yes"))] {
        let mut body = json!({ "user": "alice", "password": demo.password("alice") });
        body[key] = value;
        refused(&client.send("POST", "/api/login", &[], Some(&body.to_string())), 400, "bad_body");
    }
    refused(&client.get("/api/login"), 405, "wrong_method");
}

#[test]
fn what_a_page_of_another_site_sends_is_refused() {
    let demo = Demo::start();
    let mut client = demo.signed_in("alice");
    let own = demo.url.clone();
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "http://evil.example"),
        ("origin", "null"),
    ] {
        for path in ["/api/logout", "/api/sessions/end-all", "/api/sessions/end-others", "/api/login"] {
            refused(&client.visit_with("POST", path, &[(name, value)], None), 403, "cross_site");
        }
    }
    assert_eq!(client.me(), "alice");
    let answer = client.visit_with("POST", "/api/logout", &[("origin", &own)], None);
    assert_eq!(answer.status, 200);
}

#[test]
fn processes_with_one_ring_have_the_same_passwords_and_others_have_not() {
    let ring = || stdout(&tool(&["keygen"]).output().unwrap()).lines().last().unwrap().to_owned();
    let (one, two) = (ring(), ring());
    let passwords = |ring: &str, runtime: &str| {
        Demo::with(&["--keys", "env:RING", "--runtime", runtime], &[("RING", ring)]).passwords.clone()
    };
    let first = passwords(&one, "tokio");
    assert_eq!(first, passwords(&one, "smol"));
    let second = passwords(&two, "tokio");
    assert!(first.iter().zip(&second).all(|(a, b)| a != b), "{first:?} {second:?}");
}
