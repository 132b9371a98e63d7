//! Clients that hang up: what they asked for is done whole or not at all, and nothing of them is left.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used, reason = "a test")]

mod demo_common;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::ExitCode,
    thread,
};

use cloakroom_tests::demo::{Client, Demo, Random, Seed, eventually};
use demo_common::{Cell, Setting};
use serde_json::json;

/// How long the slow requests wait between load and commit, in milliseconds; hang-ups come within twice that.
const SLOW: u64 = 12;

fn main() -> ExitCode {
    demo_common::run(
        &Setting::most(),
        &[
            ("a_write_whose_client_hangs_up_is_whole_or_absent", a_write_whose_client_hangs_up_is_whole_or_absent),
            (
                "adds_whose_clients_hang_up_count_once_or_not_at_all",
                adds_whose_clients_hang_up_count_once_or_not_at_all,
            ),
            (
                "a_ticket_whose_renewal_was_never_received_still_opens_its_session",
                a_ticket_whose_renewal_was_never_received_still_opens_its_session,
            ),
            ("an_end_whose_client_hangs_up_is_whole_or_absent", an_end_whose_client_hangs_up_is_whole_or_absent),
        ],
        [],
    )
}

/// Sends a request and hangs up after a while, perhaps with the answer unread.
fn hang_up(demo: &Demo, client: &Client, request: &str, body: &str, random: &mut Random) {
    let mut stream = TcpStream::connect(demo.address()).unwrap();
    let cookie = client.cookie.as_ref().unwrap();
    let head = format!("{request} HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\ncontent-length: {}", body.len());
    stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
    random.pause(2 * SLOW);
}

/// Connections of those who hung up must end, each with its task.
fn nothing_is_left_open(demo: &Demo, before: usize) {
    eventually("the end of all connections", || demo.open_files() <= before);
}

fn a_write_whose_client_hangs_up_is_whole_or_absent(cell: &Cell) {
    let demo = cell.demo(0);
    let seed = Seed::draw();
    let mut random = seed.random(0);
    let text = |round: u64| json!(round.to_string().repeat(20_000));
    let client = demo.visitor("text", &text(0));
    // Not more than the connection that our client keeps.
    let open = demo.open_files();
    let mut whole = 0;
    for round in 1..=100 {
        let request = format!("PUT /api/session/text?delay_ms={}", random.below(SLOW));
        hang_up(demo, &client, &request, &text(round).to_string(), &mut random);
        // Nor does it hold up others: what they write stays, whatever becomes of it.
        let add = client.send("POST", "/api/session/n/add", None);
        assert_eq!((add.status.as_u16(), add.json()), (200, json!({ "value": round })));
        nothing_is_left_open(demo, open);
        // Its commit may be under way still. At any time there is one text, in one piece.
        let seen = client.session();
        assert_eq!(seen.data()["n"], round);
        let writer = (0..=round).rev().find(|writer| seen.data()["text"] == text(*writer));
        whole += u64::from(writer.expect("torn, or gone") == round);
    }
    println!("100 writes hung up on: {whole} whole, {} absent", 100 - whole);
    assert_eq!(cell.entries(), 1);
}

fn adds_whose_clients_hang_up_count_once_or_not_at_all(cell: &Cell) {
    const CLIENTS: u64 = 8;
    const ADDS: u64 = 40;
    let demo = cell.demo(0);
    let seed = Seed::draw();
    let client = demo.visitor("kept", &json!(1));
    let open = demo.open_files();
    thread::scope(|scope| {
        for stream in 0..CLIENTS {
            let (client, mut random) = (&client, seed.random(stream));
            scope.spawn(move || {
                for add in 0..ADDS {
                    // All in one record, each under a key of its own.
                    let request = format!("POST /api/session/{stream}-{add}/add?delay_ms={}", random.below(SLOW));
                    hang_up(demo, client, &request, "", &mut random);
                }
            });
        }
    });
    nothing_is_left_open(demo, open);
    let seen = client.session();
    let counts = seen.data().as_object().unwrap();
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    assert!(counts.contains_key("kept"));
    println!(
        "{} adds hung up on: {} counted, {} commits with conflicts",
        CLIENTS * ADDS,
        counts.len() - 1,
        demo.metrics().event("conflict")
    );
}

fn a_ticket_whose_renewal_was_never_received_still_opens_its_session(cell: &Cell) {
    let demo = cell.demo(0);
    let seed = Seed::draw();
    let mut random = seed.random(0);
    let visitor = demo.client();
    let open = demo.open_files() + 1;
    let clients: Vec<_> = (0..100)
        .map(|round| {
            let mut client = visitor.clone();
            client.visit("PUT", "/api/session/a", Some(&round.to_string())).expect(200, "create", "set");
            let request = format!("POST /api/rotate?delay_ms={}", random.below(SLOW));
            hang_up(demo, &client, &request, "", &mut random);
            assert_eq!(client.session().data(), &json!({ "a": round }));
            let add = client.send("POST", "/api/session/n/add", None);
            assert_eq!((add.status.as_u16(), add.header("x-session-cookie")), (200, "keep"));
            client
        })
        .collect();
    nothing_is_left_open(demo, open);
    // One entry for each session, and a pointer for each that was renewed: no half of a renewal is left.
    eventually("a whole number of renewals", || {
        let mut renewed = 0;
        for (round, client) in clients.iter().enumerate() {
            assert_eq!(client.session().data(), &json!({ "a": round, "n": 1 }));
            renewed += u64::from(client.send("GET", "/api/session", None).ops() == "load,load");
        }
        println!("100 renewals hung up on: {renewed} whole, {} absent", 100 - renewed);
        cell.entries() == 100 + renewed
    });
}

fn an_end_whose_client_hangs_up_is_whole_or_absent(cell: &Cell) {
    let demo = cell.demo(0);
    let seed = Seed::draw();
    let mut random = seed.random(0);
    let mut ended = 0;
    for round in 0..100 {
        let client = demo.visitor("a", &json!(round));
        let open = demo.open_files();
        let mut stream = TcpStream::connect(demo.address()).unwrap();
        let cookie = client.cookie.as_ref().unwrap();
        let request = format!("POST /api/destroy HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        random.pause(2);
        // Whoever read the first byte of the answer was told.
        let told = round % 2 == 0 && stream.read(&mut [0]).unwrap() == 1;
        drop(stream);
        nothing_is_left_open(demo, open);
        let seen = client.session();
        assert!(seen.opens_nothing() || (!told && seen.data() == &json!({ "a": round })), "{seen:?}");
        ended += u64::from(seen.opens_nothing());
        assert!(!seen.opens_nothing() || client.session().opens_nothing(), "ended and back");
    }
    println!("100 ends hung up on, half of them after the answer had begun: {ended} whole, {} absent", 100 - ended);
}
