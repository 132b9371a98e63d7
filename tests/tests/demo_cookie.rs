//! The demo with sessions that are held in the cookie: what a copy of a cookie is worth after each kind of end.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test")]

use std::{collections::BTreeMap, process::ExitCode};

use cloakroom_tests::{
    demo::{Answer, Client, Demo, keygen},
    servers::{Options, Redis, Require},
};
use libtest_mimic::{Arguments, Completion, Trial};
use serde_json::json;

fn main() -> ExitCode {
    let plain = |rule: &str, case: fn()| {
        Trial::test(rule.to_owned(), move || {
            case();
            Ok(())
        })
    };
    let shared = Require::check("redis").trial("ends_are_final_in_processes_that_share_what_was_ended", || {
        ends_are_final_in_processes_that_share_what_was_ended();
        Ok(Completion::Completed)
    });
    let trials = vec![
        plain("a_copy_opens_again_where_nothing_keeps_what_was_ended", a_copy_opens_again),
        plain("ends_are_final_with_a_store_of_what_was_ended", ends_are_final_in_one_process),
        plain("sixteen_kilobytes_come_back_from_several_cookies", sixteen_kilobytes),
        plain("what_does_not_fit_is_refused_and_loses_nothing", what_does_not_fit),
        plain("nothing_but_ends_is_stored", nothing_but_ends_is_stored),
        shared,
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A browser that holds several cookies.
#[derive(Clone)]
struct Jar {
    client: Client,
    cookies: BTreeMap<String, String>,
}

impl Jar {
    fn of(demo: &Demo) -> Self {
        Self { client: demo.client(), cookies: BTreeMap::new() }
    }

    /// The same cookies, sent to another process.
    fn at(&self, demo: &Demo) -> Self {
        Self { client: demo.client(), cookies: self.cookies.clone() }
    }

    fn send(&mut self, method: &str, path: &str, body: Option<&str>) -> Answer {
        let pairs: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut client = self.client.clone();
        client.cookie = (!pairs.is_empty()).then(|| pairs.join("; "));
        let answer = client.send(method, path, body);
        for line in answer.headers.get_all("set-cookie") {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    fn post(&mut self, path: &str, body: &serde_json::Value) -> u16 {
        self.send("POST", path, Some(&body.to_string())).status.as_u16()
    }

    fn signed_in(demo: &Demo, user: &str) -> Self {
        let mut jar = Self::of(demo);
        let body = json!({ "user": user, "password": demo.password(user) });
        assert_eq!(jar.post("/api/login", &body), 200);
        jar
    }

    fn who(&self) -> u16 {
        self.clone().send("GET", "/api/me", None).status.as_u16()
    }
}

fn a_copy_opens_again() {
    let demo = Demo::start(&["--store", "cookie:"]);
    let mut jar = Jar::signed_in(&demo, "alice");
    let copy = jar.clone();
    assert_eq!(jar.post("/api/logout", &json!({})), 200);
    assert_eq!((jar.cookies.len(), jar.who(), copy.who()), (0, 401, 200));
}

fn ends_are_final_in_one_process() {
    let demo = Demo::start(&["--store", "cookie+memory:"]);
    ends_are_final(&demo, &demo);
}

fn ends_are_final_in_processes_that_share_what_was_ended() {
    let redis = Redis::start(Options::new());
    let (store, ring) = (format!("cookie+{}", redis.url()), keygen());
    let demo = |runtime| {
        Demo::with(
            &["--store", "env:STORE", "--keys", "env:RING", "--runtime", runtime],
            &[("STORE", &store), ("RING", &ring)],
        )
    };
    let [one, two] = ["tokio", "smol"].map(demo);
    ends_are_final(&one, &two);
    // A store that is down is no session and no anonymous one.
    let jar = Jar::signed_in(&one, "bob");
    drop(redis);
    assert_eq!(jar.who(), 503);
}

/// What ends in one process opens nothing in the other.
fn ends_are_final(one: &Demo, two: &Demo) {
    let mut jar = Jar::signed_in(one, "alice");
    let copy = jar.at(two);
    assert_eq!((copy.who(), jar.post("/api/logout", &json!({}))), (200, 200));
    assert_eq!((copy.who(), jar.who(), jar.cookies.len()), (401, 401, 0));

    let mut jar = Jar::signed_in(one, "alice");
    let before = jar.at(two);
    assert_eq!(jar.post("/api/sudo", &json!({ "password": one.password("alice") })), 200);
    assert_eq!((before.who(), jar.at(two).who()), (401, 200));
    let mut jar = jar.at(two);
    assert_eq!(jar.post("/api/logout", &json!({})), 200);

    let [mut desk, phone, other] = ["alice", "alice", "bob"].map(|user| Jar::signed_in(one, user));
    assert_eq!(desk.at(two).post("/api/sessions/end-others", &json!({})), 200);
    assert_eq!((desk.who(), phone.who(), phone.at(two).who(), other.who()), (200, 401, 401, 200));
    let phone = Jar::signed_in(two, "alice");
    assert_eq!(desk.post("/api/sessions/end-all", &json!({})), 200);
    assert_eq!((desk.at(two).who(), phone.at(one).who(), other.who()), (401, 401, 200));

    let [mut desk, phone] = ["bob"; 2].map(|user| Jar::signed_in(one, user));
    let before = desk.clone();
    let change = json!({ "old": one.password("bob"), "new": "a new password, and a long one" });
    assert_eq!(desk.post("/api/password", &change), 200);
    assert_eq!((desk.who(), phone.at(two).who(), before.who()), (200, 401, 401));
    let back = json!({ "old": "a new password, and a long one", "new": one.password("bob") });
    assert_eq!(desk.post("/api/password", &back), 200);

    let mut jar = Jar::signed_in(two, "alice");
    let listed = jar.send("GET", "/api/sessions", None);
    assert_eq!((listed.status.as_u16(), listed.error().as_str()), (501, "no_index"));
}

fn sixteen_kilobytes() {
    let demo = Demo::start(&["--store", "cookie+memory:"]);
    let mut jar = Jar::of(&demo);
    let keys: Vec<_> = (0..16).map(|n| format!("{n:02}{}", "k".repeat(1000))).collect();
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(jar.send("PUT", &format!("/api/session/{key}"), Some(&n.to_string())).status.as_u16(), 200);
    }
    assert!(jar.cookies.len() > 4, "{}", jar.cookies.len());
    assert!(jar.cookies.iter().all(|(name, value)| name.len() + value.len() <= 4096));
    let seen = jar.send("GET", "/api/session", None).json();
    assert!(keys.iter().enumerate().all(|(n, key)| seen["data"][key] == n));
    for key in &keys {
        assert_eq!(jar.send("DELETE", &format!("/api/session/{key}"), None).status.as_u16(), 200);
    }
    assert_eq!(jar.cookies.len(), 1);
}

fn what_does_not_fit() {
    let demo = Demo::start(&["--store", "cookie:"]);
    let mut jar = Jar::of(&demo);
    let mut refused = None;
    for n in 0..60 {
        let before = jar.cookies.clone();
        let answer = jar.send("PUT", &format!("/api/session/{n:02}{}", "k".repeat(1000)), Some("1"));
        if answer.status.as_u16() == 413 {
            assert_eq!((answer.error().as_str(), jar.cookies == before), ("too_large", true));
            refused = Some(n);
            break;
        }
    }
    let refused = refused.unwrap();
    let seen = jar.send("GET", "/api/session", None).json();
    assert_eq!(seen["data"].as_object().unwrap().len(), refused);
    assert!((18..30).contains(&refused), "{refused}");
}

fn nothing_but_ends_is_stored() {
    let demo = Demo::start(&["--store", "cookie+memory:"]);
    let mut jar = Jar::signed_in(&demo, "alice");
    assert_eq!(jar.send("PUT", "/api/session/a", Some("1")).status.as_u16(), 200);
    assert_eq!(demo.metrics().sessions(), 0);
    assert_eq!(jar.post("/api/logout", &json!({})), 200);
    assert_eq!(demo.metrics().sessions(), 1);
    let metrics = demo.metrics();
    let untouched = jar.send("GET", "/api/untouched", None);
    assert_eq!(untouched.ops(), "");
    assert_eq!(demo.metrics().operations(), metrics.operations());
}
