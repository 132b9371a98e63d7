//! Many requests that change one session at the same time: none of their changes is lost, whatever keeps the session and
//! however many processes share it.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a test")]

mod demo_common;

use std::{
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use cloakroom_tests::demo::Seed;
use demo_common::{Cell, Setting};
use serde_json::json;

const CONNECTIONS: u64 = 64;
const ADDS: u64 = 10_000;
/// Where one Redis has shown it, and each add takes several servers.
const ADDS_OF_MANY: u64 = 1_000;
/// Far more than it takes on a busy machine.
const ALL_IN_ALL: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    demo_common::run(
        &Setting::all(),
        &[
            ("adds_of_64_connections_all_count", adds_of_64_connections_all_count),
            ("slow_writers_to_different_keys_are_both_there", slow_writers_to_different_keys_are_both_there),
        ],
        [],
    )
}

fn adds_of_64_connections_all_count(cell: &Cell) {
    let adds = if cell.setting.store.is_of_many() { ADDS_OF_MANY } else { ADDS };
    let visitor = cell.visitor("other", &json!("kept"));
    let seed = Seed::draw();
    let since = Instant::now();
    let (begun, tried_again) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for stream in 0..CONNECTIONS {
            let client = cell.demo(stream).client().presenting(visitor.cookie.as_ref().unwrap());
            let (mut random, begun, tried_again) = (seed.random(stream), &begun, &tried_again);
            scope.spawn(move || {
                while begun.fetch_add(1, Ordering::Relaxed) < adds {
                    loop {
                        assert!(since.elapsed() < ALL_IN_ALL, "it takes too long");
                        let path = format!("/api/session/n/add?n=1&delay_ms={}", random.below(8));
                        let answer = client.send("POST", &path, None);
                        assert_eq!(answer.header("x-session-cookie"), "keep");
                        if answer.status == 200 {
                            break;
                        }
                        assert_eq!((answer.status.as_u16(), answer.error()), (409, "contention".to_owned()));
                        tried_again.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(visitor.session().data(), &json!({ "n": adds, "other": "kept" }));
    let tried_again = tried_again.into_inner();
    println!(
        "{:?}: {adds} adds over {CONNECTIONS} connections in {:.1} s: {tried_again} refused for contention, {} with conflicts, \
         {} replaces",
        cell.setting,
        since.elapsed().as_secs_f64(),
        cell.event("conflict"),
        cell.operation("replace"),
    );
    assert!(cell.event("conflict") > 0, "they never met");
    assert!(tried_again < adds / 20, "{tried_again} are not few");
    assert_eq!(cell.entries(), 1);
}

fn slow_writers_to_different_keys_are_both_there(cell: &Cell) {
    let seed = Seed::draw();
    let mut random = seed.random(0);
    for round in 0..20 {
        let visitor = cell.visitor("first", &json!(round));
        let write = |number, path: String, body: &'static str| {
            let client = cell.demo(number).client().presenting(visitor.cookie.as_ref().unwrap());
            move || client.send("PUT", &path, Some(body))
        };
        // The shorter wait is over before the longer in some rounds, and in others not.
        let one = write(0, format!("/api/session/one?delay_ms={}", 20 + random.below(20)), "[1]");
        let two = write(1, format!("/api/session/two?delay_ms={}", 20 + random.below(20)), "{\"two\":2}");
        let answers = thread::scope(|scope| {
            let writers = [scope.spawn(one), scope.spawn(two)];
            writers.map(|writer| writer.join().unwrap())
        });
        for answer in answers {
            assert_eq!((answer.status.as_u16(), answer.header("x-session-cookie")), (200, "keep"), "{answer:?}");
        }
        assert_eq!(visitor.session().data(), &json!({ "first": round, "one": [1], "two": { "two": 2 } }));
    }
    assert!(cell.event("conflict") > 0, "they never met");
}
