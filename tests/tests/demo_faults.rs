//! A Redis that goes away under running demos, and comes back: what they say meanwhile, and what is there afterwards.

#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a test")]

mod demo_common;

use std::{
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use cloakroom_tests::{
    demo::{Answer, Client},
    servers::{Options, Require},
};
use demo_common::{Cell, RUNTIMES, Setting, StoreKind};
use libtest_mimic::{Arguments, Completion, Trial};
use serde_json::json;

/// How long an operation may take, and what a busy machine may add.
const DEADLINE: Duration = Duration::from_millis(2_000 + 1_500);
/// How long a request may take whose write is not answered: 700 ms of its own, the write, and a look at what came of it.
const AT_COMMIT: Duration = Duration::from_millis(700 + 2 * 2_000 + 1_500);
/// How long the first success may be in coming once the server is back.
const RECOVERY: Duration = Duration::from_secs(2);

type Fault = fn(Setting);

fn main() -> ExitCode {
    let cases: [(&str, Fault); 4] = [
        ("a_silent_server_is_a_503_in_time_and_nothing_else", a_silent_server_is_a_503_in_time_and_nothing_else),
        ("a_killed_server_is_a_503_at_once_and_loses_nothing", a_killed_server_is_a_503_at_once_and_loses_nothing),
        ("a_demo_that_serves_without_reads_nothing_and_writes_nothing", a_demo_that_serves_without),
        ("adds_across_outages_are_there_if_they_were_acknowledged", adds_across_outages),
    ];
    let require = Require::check("redis");
    let settings = RUNTIMES.map(|runtime| Setting::one(StoreKind::Redis, runtime)).into_iter().chain([Setting::SHARED]);
    let trials: Vec<Trial> = settings
        .flat_map(|setting| cases.map(|(rule, case)| (setting, rule, case)))
        .map(|(setting, rule, case)| {
            require.trial(setting.name(rule), move || {
                case(setting);
                Ok(Completion::Completed)
            })
        })
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Sends a request, which must be answered within a time.
#[track_caller]
fn within(limit: Duration, client: &Client, method: &str, path: &str) -> Answer {
    let since = Instant::now();
    let answer = client.send(method, path, (method == "PUT").then_some("2"));
    assert!(since.elapsed() < limit, "{method} {path} took {:?}", since.elapsed());
    answer
}

/// Checks that it is a 503 of a store that is down, which touches no cookie.
#[track_caller]
fn down(answer: Answer) {
    assert_eq!((answer.status.as_u16(), answer.header("x-session-cookie")), (503, "keep"), "{answer:?}");
    assert!(["store_down", "outcome_unknown"].contains(&&*answer.error()), "{answer:?}");
    assert_eq!(answer.set_cookie(), None);
}

/// Waits for the first success; returns how long it was in coming.
#[track_caller]
fn recovered(client: &Client) -> Duration {
    let since = Instant::now();
    loop {
        let answer = client.send("GET", "/api/session", None);
        if answer.status == 200 {
            assert!(since.elapsed() < RECOVERY, "it took {:?}", since.elapsed());
            return since.elapsed();
        }
        down(answer);
        assert!(since.elapsed() < RECOVERY, "no success within {RECOVERY:?}");
    }
}

fn a_silent_server_is_a_503_in_time_and_nothing_else(setting: Setting) {
    let cell = Cell::start(setting);
    let visitor = cell.visitor("a", &json!(1));
    let clients = [0, 1, 2].map(|number| cell.demo(number).client().presenting(visitor.cookie.as_ref().unwrap()));
    let at_commit = clients[0].clone();
    let loads = cell.operation("load");
    // It falls silent between the load and the commit of one request, and before the load of others.
    let slow = thread::spawn(move || within(AT_COMMIT, &at_commit, "POST", "/api/session/b/add?delay_ms=700"));
    cloakroom_tests::demo::eventually("a load", || cell.operation("load") == loads + 1);
    cell.redis().pause();
    thread::scope(|scope| {
        for client in &clients {
            scope.spawn(|| down(within(DEADLINE, client, "GET", "/api/session")));
            scope.spawn(|| down(within(DEADLINE, client, "PUT", "/api/session/a")));
            scope.spawn(|| down(within(DEADLINE, client, "POST", "/api/destroy")));
            // Nor does a new visitor get a ticket for what may not be stored.
            scope.spawn(|| down(within(DEADLINE, &client.presenting("theme=dark"), "PUT", "/api/session/a")));
            scope.spawn(|| within(Duration::from_secs(1), client, "GET", "/api/untouched").expect(200, "", "keep"));
        }
    });
    // What came of it only the server knows.
    down(slow.join().unwrap());
    cell.redis().resume();
    for client in &clients {
        println!("{}: back after {:?}", setting.name("silent"), recovered(client));
    }
    // The end was never acknowledged, and may have come to pass.
    let seen = visitor.session();
    let kept = [json!({ "a": 1 }), json!({ "a": 1, "b": 1 })];
    assert!(seen.opens_nothing() || kept.contains(seen.data()), "{seen:?}");
    let fresh = cell.visitor("fresh", &json!(true));
    assert_eq!(fresh.session().data(), &json!({ "fresh": true }));
}

fn a_killed_server_is_a_503_at_once_and_loses_nothing(setting: Setting) {
    let mut cell = Cell::of(setting, &[], Options::new().durable());
    let kept = cell.visitor("a", &json!(1));
    let mut ended = cell.visitor("a", &json!(2));
    let old = ended.clone();
    ended.visit("POST", "/api/destroy", None).expect(200, "load,replace", "clear");
    for round in 0..3 {
        let add = kept.send("POST", "/api/session/n/add", None).expect(200, "load,replace", "keep");
        assert_eq!(add.json()["value"], round + 1);
        cell.redis_mut().kill();
        for number in 0..3 {
            let client = cell.demo(number).client().presenting(kept.cookie.as_ref().unwrap());
            for (method, path) in [("GET", "/api/session"), ("PUT", "/api/session/a"), ("POST", "/api/destroy")] {
                down(within(Duration::from_secs(2), &client, method, path));
            }
            within(Duration::from_secs(1), &client, "GET", "/api/untouched").expect(200, "", "keep");
        }
        cell.redis_mut().restart();
        for number in 0..3 {
            let client = cell.demo(number).client().presenting(kept.cookie.as_ref().unwrap());
            println!("{}: back after {:?}", setting.name("killed"), recovered(&client));
            assert_eq!(client.session().data(), &json!({ "a": 1, "n": round + 1 }));
            assert!(client.presenting(old.cookie.as_ref().unwrap()).session().opens_nothing());
        }
    }
}

fn a_demo_that_serves_without(setting: Setting) {
    let mut cell = Cell::of(setting, &["--on-store-failure", "serve-without"], Options::new().durable());
    let visitor = cell.visitor("a", &json!(1));
    cell.redis_mut().kill();
    for number in 0..3 {
        let client = cell.demo(number).client().presenting(visitor.cookie.as_ref().unwrap());
        let shown = within(DEADLINE, &client, "GET", "/api/session");
        assert_eq!((shown.status.as_u16(), shown.header("x-session-cookie")), (200, "keep"), "{shown:?}");
        assert_eq!(shown.json(), json!({ "new": true, "data": {}, "created": 0, "handle": "" }));
        let read = within(DEADLINE, &client, "GET", "/api/session/a");
        assert_eq!((read.status.as_u16(), &read.json()["found"]), (200, &json!(false)), "{read:?}");
        for (method, path) in [
            ("PUT", "/api/session/a"),
            ("POST", "/api/session/a/add"),
            ("DELETE", "/api/session/a"),
            ("POST", "/api/rotate"),
            ("POST", "/api/destroy"),
        ] {
            down(within(DEADLINE, &client, method, path));
        }
        down(within(DEADLINE, &client.presenting("theme=dark"), "PUT", "/api/session/a"));
        // It cannot say that nobody is signed in.
        down(within(DEADLINE, &client, "GET", "/api/me"));
    }
    cell.redis_mut().restart();
    for number in 0..3 {
        let client = cell.demo(number).client().presenting(visitor.cookie.as_ref().unwrap());
        let since = Instant::now();
        while client.session().data() != &json!({ "a": 1 }) {
            assert!(since.elapsed() < RECOVERY, "it serves without for good");
        }
    }
}

/// Some writers go on whatever happens. What they were told to be stored is stored once; what they were told to be in
/// doubt is stored once or not at all.
fn adds_across_outages(setting: Setting) {
    const WRITERS: u64 = 6;
    let mut cell = Cell::of(setting, &[], Options::new().durable());
    let visitor = cell.visitor("kept", &json!(true));
    let (stop, stored, doubted) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let clients: Vec<Client> =
        (0..WRITERS).map(|number| cell.demo(number).client().presenting(visitor.cookie.as_ref().unwrap())).collect();
    thread::scope(|scope| {
        for client in &clients {
            let (stop, stored, doubted) = (&stop, &stored, &doubted);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.send("POST", "/api/session/n/add?delay_ms=3", None);
                    assert_eq!(answer.header("x-session-cookie"), "keep");
                    match (answer.status.as_u16(), answer.ops()) {
                        (200, _) => stored.fetch_add(1, Ordering::Relaxed),
                        (409, _) if answer.error() == "contention" => 0,
                        // It was not even read.
                        (503, "load") => 0,
                        (503, _) => doubted.fetch_add(1, Ordering::Relaxed),
                        _ => panic!("{answer:?}"),
                    };
                }
            });
        }
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(300));
            cell.redis_mut().kill();
            thread::sleep(Duration::from_millis(200));
            cell.redis_mut().restart();
            recovered(&visitor);
        }
        thread::sleep(Duration::from_millis(300));
        stop.store(true, Ordering::Relaxed);
    });
    let (stored, doubted) = (stored.into_inner(), doubted.into_inner());
    let n = visitor.session().data()["n"].as_u64().unwrap();
    println!("{}: {stored} stored, {doubted} in doubt, {n} there", setting.name("outages"));
    assert!((stored..=stored + doubted).contains(&n), "{stored} stored, {doubted} in doubt, {n} there");
    assert!(stored > 0);
}
