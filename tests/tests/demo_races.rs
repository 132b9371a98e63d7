//! Slow requests across the end of their session: it stays ended, under every one of its tickets, whatever keeps it and
//! whichever process they come to.

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

use cloakroom_tests::demo::{Answer, Client, Random, Seed};
use demo_common::{Cell, Setting};
use serde_json::{Value, json};

const ROUNDS: u64 = 1_000;
const AT_A_TIME: u64 = 16;
/// Far more than it takes on a busy machine.
const ALL_IN_ALL: Duration = Duration::from_secs(300);
/// How long the slow requests wait between load and commit, in milliseconds; the end is sent within the longest wait.
const SLOW: u64 = 16;

/// What came of a round: of its writer, its reader and its rotation.
struct Round {
    outcomes: [&'static str; 3],
    /// Those of the session that was ended.
    tickets: Vec<String>,
    /// Of a writer that came after the end.
    fresh: Option<String>,
}

impl Round {
    /// Runs one, each request over a connection of its own.
    fn run([writer, reader, rotator, ender]: [&Client; 4], secret: &Value, random: &mut Random) -> Self {
        let mut owner = ender.clone();
        owner.cookie = None;
        owner.visit("PUT", "/api/session/secret", Some(&secret.to_string())).expect(200, "create", "set");
        let ticket = owner.cookie.clone().unwrap();
        let mut slow = |client: &Client, method: &'static str, path: &str, body: Option<&'static str>| {
            let (client, path) = (client.presenting(&ticket), format!("{path}?delay_ms={}", random.below(SLOW)));
            move || client.send(method, &path, body)
        };
        let write = slow(writer, "PUT", "/api/session/late", Some("true"));
        let read = slow(reader, "GET", "/api/session/secret", None);
        let rotate = slow(rotator, "POST", "/api/rotate", None);
        let (write, read, rotate, end) = thread::scope(|scope| {
            let slow = (scope.spawn(write), scope.spawn(read), scope.spawn(rotate));
            random.pause(SLOW);
            let end = owner.send("POST", "/api/destroy", None);
            (slow.0.join().unwrap(), slow.1.join().unwrap(), slow.2.join().unwrap(), end)
        });

        assert_eq!((end.status.as_u16(), end.header("x-session-cookie")), (200, "clear"), "{end:?}");
        let mut tickets = vec![ticket];
        tickets.extend(rotate.ticket());
        let fresh = write.ticket();
        let outcomes = [of_the_writer(&write), of_the_reader(&read, secret), of_the_rotation(&rotate)];
        Self { outcomes, tickets, fresh }
    }

    /// The end fell between the load and the commit of a request that wanted to write.
    fn is_crossed(&self) -> bool {
        self.outcomes.contains(&"write lost") || self.outcomes.contains(&"rotation lost")
    }

    fn check(&self, client: &Client) {
        for ticket in &self.tickets {
            let seen = client.presenting(ticket).session();
            assert!(seen.opens_nothing(), "{:?}: a session lives on: {seen:?}", self.outcomes);
        }
        // Whoever came after the end made a session of its own, with nothing of the old one.
        if let Some(ticket) = &self.fresh {
            assert_eq!(client.presenting(ticket).session().data(), &json!({ "late": true }));
        }
    }
}

fn of_the_writer(write: &Answer) -> &'static str {
    match write.status.as_u16() {
        200 if write.ticket().is_some() => "written to a session of its own",
        200 => "written before the end",
        409 if write.error() == "lost" && write.ticket().is_none() => "write lost",
        _ => panic!("{write:?}"),
    }
}

fn of_the_reader(read: &Answer, secret: &Value) -> &'static str {
    assert_eq!((read.status.as_u16(), read.header("x-session-cookie")), (200, "keep"), "{read:?}");
    match read.json()["value"] {
        Value::Null => "read after the end",
        ref value => {
            assert_eq!(value, secret);
            "read from before the end"
        }
    }
}

fn of_the_rotation(rotate: &Answer) -> &'static str {
    match rotate.status.as_u16() {
        200 if rotate.ticket().is_some() => "rotated before the end",
        200 => "nothing to rotate",
        409 if rotate.error() == "lost" && rotate.ticket().is_none() => "rotation lost",
        _ => panic!("{rotate:?}"),
    }
}

fn main() -> ExitCode {
    let rule = "a_session_that_was_ended_under_slow_requests_never_lives_again";
    demo_common::run(&Setting::all(), &[(rule, a_session_that_was_ended_under_slow_requests_never_lives_again)], [])
}

fn a_session_that_was_ended_under_slow_requests_never_lives_again(cell: &Cell) {
    let seed = Seed::draw();
    let since = Instant::now();
    let (crossed, rounds, outcomes) = (AtomicU64::new(0), Mutex::new(Vec::new()), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for stream in 0..AT_A_TIME {
            let mut random = seed.random(stream);
            let (crossed, rounds, outcomes) = (&crossed, &rounds, &outcomes);
            scope.spawn(move || {
                // Each of its requests comes to another process, if there are several.
                let clients = [0, 1, 2, 3].map(|number| cell.demo(stream + number).client());
                while crossed.load(Ordering::Relaxed) < ROUNDS {
                    assert!(since.elapsed() < ALL_IN_ALL, "it takes too long");
                    let secret = json!(format!("{stream} {}", random.below(u64::MAX)));
                    let round = Round::run(clients.each_ref(), &secret, &mut random);
                    round.check(&clients[0]);
                    crossed.fetch_add(round.is_crossed().into(), Ordering::Relaxed);
                    for outcome in round.outcomes {
                        *outcomes.lock().unwrap().entry(outcome).or_insert(0) += 1;
                    }
                    rounds.lock().unwrap().push(round);
                }
            });
        }
    });

    // Nothing comes back later either.
    let client = cell.client();
    let rounds = rounds.into_inner().unwrap();
    rounds.iter().for_each(|round| round.check(&client));
    let tickets: usize = rounds.iter().map(|round| round.tickets.len()).sum();
    println!(
        "{:?}: {} rounds in {:.1} s, {AT_A_TIME} at a time, {} crossed by the end; {tickets} tickets open nothing; {:?}",
        cell.setting,
        rounds.len(),
        since.elapsed().as_secs_f64(),
        crossed.into_inner(),
        outcomes.into_inner().unwrap(),
    );
}
