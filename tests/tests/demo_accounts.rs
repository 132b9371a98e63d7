//! Logins and ends of many sessions that race, through two processes that share a Redis: what was handed out before an end
//! opens nothing after it, and what somebody had before a login opens nothing of it.

#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a test")]

mod demo_common;

use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use cloakroom_tests::{
    demo::{Answer, Client, Random, Seed, eventually},
    servers::{Options, Require},
};
use demo_common::{Cell, Setting, StoreKind};
use libtest_mimic::Completion;
use serde_json::{Value, json};

const TWO_PROCESSES: Setting = Setting { store: StoreKind::Redis, runtimes: &["tokio", "smol"] };
const USERS: [&str; 2] = ["alice", "bob"];
const ROUNDS: u64 = 1_000;
/// Far more than it takes on a busy machine.
const ALL_IN_ALL: Duration = Duration::from_secs(300);
/// How long slow requests wait, in milliseconds; what they race with is sent within the longest wait.
const SLOW: u64 = 16;

fn main() -> ExitCode {
    let cases: [(&str, demo_common::Case); 3] = [
        ("a_login_that_races_with_an_end_of_all_ends_on_one_side_of_it", logins_against_ends),
        ("a_ticket_from_before_a_login_opens_nothing_after_it", tickets_from_before),
        ("old_tickets_open_nothing_in_any_process", old_tickets),
    ];
    let rule = TWO_PROCESSES.name("a_store_that_is_down_is_a_503_and_nothing_is_done");
    let down = Require::check("redis").trial(rule, || {
        a_store_that_is_down();
        Ok(Completion::Completed)
    });
    demo_common::run(&[TWO_PROCESSES], &cases, [down])
}

/// What was done, by name and number.
type Outcomes = Mutex<BTreeMap<String, u64>>;

fn note(outcomes: &Outcomes, what: impl Into<String>) {
    *outcomes.lock().unwrap().entry(what.into()).or_insert(0) += 1;
}

fn login(client: &Client, user: &str, password: &str, delay_ms: u64) -> Answer {
    let body = json!({ "user": user, "password": password, "delay_ms": delay_ms }).to_string();
    client.send("POST", "/api/login", Some(&body))
}

fn ticket_of_login(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.ticket().unwrap()
}

/// Who is signed in with a ticket; `null` if nobody is.
fn me(client: &Client, ticket: &str) -> Value {
    let answer = client.presenting(ticket).send("GET", "/api/me", None);
    match answer.status.as_u16() {
        200 => answer.json()["user"].take(),
        status => {
            assert_eq!((status, &*answer.error()), (401, "not_signed_in"), "{answer:?}");
            Value::Null
        }
    }
}

/// Asks for an end until it is done: it may meet others too often, and says so. Returns when the last try began.
fn insist(client: &Client, path: &str, outcomes: &Outcomes) -> Instant {
    loop {
        let began = Instant::now();
        let answer = client.send("POST", path, Some(""));
        match answer.status.as_u16() {
            200 => return began,
            409 if answer.error() == "contention" => note(outcomes, "an end that met too many others"),
            _ => panic!("{path}: {answer:?}"),
        }
    }
}

fn logins_against_ends(cell: &Cell) {
    let seed = Seed::draw();
    let since = Instant::now();
    let (crossed, outcomes) = (AtomicU64::new(0), Outcomes::default());
    thread::scope(|scope| {
        // The rounds of one user would end each other's sessions.
        for (stream, user) in USERS.into_iter().enumerate() {
            let mut random = seed.random(stream as u64);
            let (crossed, outcomes) = (&crossed, &outcomes);
            scope.spawn(move || {
                let clients = [0, 1, 2, 3, 4, 5].map(|number| cell.demo(stream as u64 + number).client());
                let password = cell.demo(0).password(user);
                while crossed.load(Ordering::Relaxed) < ROUNDS {
                    assert!(since.elapsed() < ALL_IN_ALL, "it takes too long");
                    let is_crossed = end_all_round(&clients, user, password, &mut random, outcomes);
                    crossed.fetch_add(is_crossed.into(), Ordering::Relaxed);
                }
            });
        }
    });
    println!("{} rounds in {:.1} s; {:?}", crossed.into_inner(), since.elapsed().as_secs_f64(), outcomes.into_inner());
}

/// Slow logins, a rotation and a password that is given again, across an end of all. Tells whether a login was under way when
/// the end began.
fn end_all_round(clients: &[Client; 6], user: &str, password: &str, random: &mut Random, outcomes: &Outcomes) -> bool {
    let [first, second, third, rotator, elevator, ender] = clients;
    let owner = ticket_of_login(&login(ender, user, password, 0));
    let phone = ticket_of_login(&login(elevator, user, password, 0));
    let mut slow = |client: &Client| {
        let (client, delay) = (client.clone(), random.below(SLOW));
        move || {
            let began = Instant::now();
            let answer = login(&client, user, password, delay);
            // One whose session was ended before anybody was told of it.
            let is_lost = answer.status == 409 && answer.error() == "lost";
            (began, (!is_lost).then(|| ticket_of_login(&answer)), Instant::now())
        }
    };
    let logins = [slow(first), slow(second), slow(third)];
    let rotate = format!("/api/rotate?delay_ms={}", random.below(SLOW));
    let again = json!({ "password": password }).to_string();
    let (logins, rotated, elevated, ended) = thread::scope(|scope| {
        let logins = logins.map(|login| scope.spawn(login));
        let rotated = scope.spawn(|| rotator.presenting(&phone).send("POST", &rotate, Some("")));
        let elevated = scope.spawn(|| elevator.presenting(&phone).send("POST", "/api/sudo", Some(&again)));
        random.pause(SLOW);
        let ended = insist(&ender.presenting(&owner), "/api/sessions/end-all", outcomes);
        (logins.map(|login| login.join().unwrap()), rotated.join().unwrap(), elevated.join().unwrap(), ended)
    });

    // Of sessions that were there when the end began nothing is left, whatever became of their tickets meanwhile.
    let mut dead = vec![owner, phone];
    for (what, answer) in [("rotation", rotated), ("elevation", elevated)] {
        match answer.status.as_u16() {
            200 => dead.extend(answer.ticket()),
            401 | 409 => {}
            _ => panic!("{what}: {answer:?}"),
        }
        note(outcomes, format!("{what}: {}", answer.status.as_u16()));
    }
    let (mut alive, mut is_crossed) = (0, false);
    for (began, ticket, answered) in &logins {
        let Some(ticket) = ticket else {
            assert!(*answered > ended, "nothing ended it");
            note(outcomes, "login across the end, lost");
            continue;
        };
        if *answered < ended {
            dead.push(ticket.clone());
            note(outcomes, "login before the end");
        } else {
            is_crossed |= *began < ended;
            let is_alive = me(first, ticket) == user;
            // One side or the other, and both processes see the same.
            assert_eq!(me(second, ticket) == user, is_alive);
            alive += usize::from(is_alive);
            note(outcomes, if is_alive { "login across the end, alive" } else { "login across the end, ended" });
        }
    }
    for ticket in &dead {
        for client in [first, second] {
            assert_eq!(me(client, ticket), Value::Null, "a session outlived the end of all");
        }
    }
    // What lives is listed, and can be ended.
    let last = ticket_of_login(&login(second, user, password, 0));
    let listed = first.presenting(&last).send("GET", "/api/sessions", None).json();
    assert_eq!(listed.as_array().unwrap().len(), alive + 1, "{listed}");
    insist(&first.presenting(&last), "/api/sessions/end-all", outcomes);
    for ticket in logins.iter().filter_map(|(_, ticket, _)| ticket.as_deref()) {
        assert_eq!(me(second, ticket), Value::Null);
    }
    is_crossed
}

fn tickets_from_before(cell: &Cell) {
    const AT_A_TIME: u64 = 8;
    let seed = Seed::draw();
    let since = Instant::now();
    let (crossed, outcomes) = (AtomicU64::new(0), Outcomes::default());
    thread::scope(|scope| {
        for stream in 0..AT_A_TIME {
            let mut random = seed.random(stream);
            let (crossed, outcomes) = (&crossed, &outcomes);
            scope.spawn(move || {
                let clients = [0, 1, 2, 3].map(|number| cell.demo(stream + number).client());
                let user = USERS[stream as usize % USERS.len()];
                let password = cell.demo(0).password(user);
                while crossed.load(Ordering::Relaxed) < ROUNDS {
                    assert!(since.elapsed() < ALL_IN_ALL, "it takes too long");
                    let is_crossed = login_round(&clients, user, password, &mut random, outcomes);
                    crossed.fetch_add(is_crossed.into(), Ordering::Relaxed);
                }
            });
        }
    });
    println!("{} rounds in {:.1} s; {:?}", crossed.into_inner(), since.elapsed().as_secs_f64(), outcomes.into_inner());
}

/// A slow write and a slow rotation of a visitor's session, across a login. Tells whether the login came between the load and
/// the commit of one of them.
fn login_round(clients: &[Client; 4], user: &str, password: &str, random: &mut Random, outcomes: &Outcomes) -> bool {
    let [writer, rotator, signer, reader] = clients;
    let mut visitor = signer.clone();
    visitor.cookie = None;
    visitor.visit("PUT", "/api/session/planted", Some("true")).expect(200, "create", "set");
    let planted = visitor.cookie.clone().unwrap();
    let [write, rotate, sign_in] = [(); 3].map(|()| random.below(SLOW));
    let (write, rotate) = (format!("/api/session/late?delay_ms={write}"), format!("/api/rotate?delay_ms={rotate}"));
    let (written, rotated, signed_in) = thread::scope(|scope| {
        let written = scope.spawn(|| writer.presenting(&planted).send("PUT", &write, Some("true")));
        let rotated = scope.spawn(|| rotator.presenting(&planted).send("POST", &rotate, Some("")));
        random.pause(SLOW);
        let signed_in = login(&signer.presenting(&planted), user, password, sign_in);
        (written.join().unwrap(), rotated.join().unwrap(), signed_in)
    });

    let ticket = ticket_of_login(&signed_in);
    for client in [writer, reader] {
        assert_eq!(me(client, &ticket), user);
        assert_eq!(client.presenting(&ticket).session().data(), &json!({}), "nothing was carried over");
    }
    let mut is_crossed = false;
    let mut old = vec![planted];
    for (what, answer) in [("write", &written), ("rotation", &rotated)] {
        match answer.status.as_u16() {
            200 => {}
            409 if answer.error() == "lost" => is_crossed = true,
            _ => panic!("{what}: {answer:?}"),
        }
        note(outcomes, format!("{what}: {}", answer.status.as_u16()));
    }
    old.extend(rotated.ticket());
    for ticket in &old {
        for client in [writer, reader] {
            assert_eq!(me(client, ticket), Value::Null);
            assert!(client.presenting(ticket).session().opens_nothing());
        }
    }
    // Whoever came after the login with the old ticket has a session of its own, where nobody is signed in.
    if let Some(fresh) = written.ticket() {
        assert_eq!(me(reader, &fresh), Value::Null);
        assert_eq!(reader.presenting(&fresh).session().data(), &json!({ "late": true }));
    }
    reader.presenting(&ticket).send("POST", "/api/logout", Some(""));
    assert_eq!(me(writer, &ticket), Value::Null);
    is_crossed
}

fn old_tickets(cell: &Cell) {
    let [here, there] = [0, 1].map(|number| cell.demo(number).client());
    let (user, password) = ("alice", cell.demo(0).password("alice"));
    assert_eq!(password, cell.demo(1).password("alice"), "they have one ring");
    let sign_in = |password: &str| ticket_of_login(&login(&here, user, password, 0));
    let dead = |tickets: &[&String]| {
        for ticket in tickets {
            for client in [&here, &there] {
                assert_eq!(me(client, ticket), Value::Null);
                assert!(client.presenting(ticket).session().opens_nothing());
            }
        }
    };
    let post = |client: &Client, ticket: &str, path: &str, body: &str| {
        let answer = client.presenting(ticket).send("POST", path, Some(body));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.ticket()
    };

    let (one, two) = (sign_in(password), sign_in(password));
    assert_eq!(post(&there, &one, "/api/logout", ""), None);
    dead(&[&one]);
    assert_eq!(me(&there, &two), user);

    let three = sign_in(password);
    assert_eq!(post(&there, &two, "/api/sessions/end-others", ""), None);
    dead(&[&one, &three]);

    let elevated = post(&there, &two, "/api/sudo", &json!({ "password": password }).to_string()).unwrap();
    dead(&[&two]);
    let four = sign_in(password);
    let change = json!({ "old": password, "new": "a new password" }).to_string();
    let changed = post(&here, &elevated, "/api/password", &change).unwrap();
    dead(&[&two, &elevated, &four]);
    assert_eq!(login(&here, user, password, 0).status, 401);

    let five = sign_in("a new password");
    assert_eq!(me(&there, &changed), user);
    assert_eq!(post(&there, &changed, "/api/sessions/end-all", ""), None);
    dead(&[&one, &two, &three, &four, &five, &elevated, &changed]);
}

fn a_store_that_is_down() {
    let mut cell = Cell::of(TWO_PROCESSES, &[], Options::new().durable());
    let client = cell.client();
    let password = cell.demo(0).password("alice").to_owned();
    let ticket = ticket_of_login(&login(&client, "alice", &password, 0));
    let signed_in = client.presenting(&ticket);
    cell.redis_mut().kill();
    let credentials = json!({ "user": "alice", "password": password }).to_string();
    let change = json!({ "old": password, "new": "a new password" }).to_string();
    let again = json!({ "password": password }).to_string();
    for (client, method, path, body) in [
        (&client, "POST", "/api/login", Some(&*credentials)),
        (&signed_in, "POST", "/api/login", Some(&credentials)),
        (&signed_in, "POST", "/api/logout", Some("")),
        (&signed_in, "GET", "/api/me", None),
        (&signed_in, "GET", "/api/sessions", None),
        (&signed_in, "DELETE", "/api/sessions/AAAAAAAAAAAAAAAAAAAAAA", None),
        (&signed_in, "POST", "/api/sessions/end-others", Some("")),
        (&signed_in, "POST", "/api/sessions/end-all", Some("")),
        (&signed_in, "POST", "/api/password", Some(&change)),
        (&signed_in, "POST", "/api/sudo", Some(&again)),
    ] {
        let answer = client.send(method, path, body);
        assert_eq!((answer.status.as_u16(), answer.header("x-session-cookie")), (503, "keep"), "{path}: {answer:?}");
        assert!(["store_down", "outcome_unknown"].contains(&&*answer.error()), "{path}: {answer:?}");
    }
    cell.redis_mut().restart();
    eventually("the store", || signed_in.send("GET", "/api/me", None).status == 200);
    assert_eq!(me(&client, &ticket), "alice");
    assert_eq!(login(&client, "alice", &password, 0).status, 200, "the password is as before");
}
