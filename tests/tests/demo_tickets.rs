//! What the demo does with tickets that it did not mint, and with its cookie.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test")]

mod demo_common;

use std::{collections::BTreeMap, ops::Range, process::ExitCode, thread};

use cloakroom_tests::demo::{Client, Demo, keygen};
use demo_common::{Cell, Setting, plain};
use serde_json::json;

fn main() -> ExitCode {
    demo_common::run(
        &Setting::most(),
        &[
            (
                "each_request_asks_for_what_it_needs_and_for_nothing_twice",
                each_request_asks_for_what_it_needs_and_for_nothing_twice,
            ),
            (
                "of_two_requests_that_end_one_session_one_removes_the_cookie",
                of_two_requests_that_end_one_session_one_removes_the_cookie,
            ),
            (
                "a_write_under_the_ticket_of_an_ended_session_takes_nothing_over",
                a_write_under_the_ticket_of_an_ended_session_takes_nothing_over,
            ),
        ],
        [
            plain(
                "tokens_that_were_not_minted_are_refused_for_nothing_and_counted_by_reason",
                tokens_that_were_not_minted_are_refused_for_nothing_and_counted_by_reason,
            ),
            plain(
                "a_write_under_a_refused_token_makes_a_session_without_a_load",
                a_write_under_a_refused_token_makes_a_session_without_a_load,
            ),
            plain(
                "the_cookie_is_removed_by_the_request_that_ended_its_session_and_by_no_other",
                the_cookie_is_removed_by_the_request_that_ended_its_session_and_by_no_other,
            ),
        ],
    )
}

const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Characters of a token.
const TOKEN: usize = 44;

/// Returns the token with one bit of the bytes that it stands for turned over.
fn flipped(token: &str, bit: usize) -> String {
    let mut token = token.as_bytes().to_vec();
    let sextet = BASE64URL.iter().position(|letter| *letter == token[bit / 6]).unwrap();
    token[bit / 6] = BASE64URL[sextet ^ (0x20 >> (bit % 6))];
    String::from_utf8(token).unwrap()
}

/// Presents each token to reads and to an end, and checks that they are refused for nothing and for the right reason.
#[track_caller]
fn refused(demo: &Demo, client: &Client, name: &str, reason: &str, tokens: &[String]) {
    let before = demo.metrics();
    for token in tokens {
        let client = client.presenting(&format!("{name}={token}"));
        let seen = client.send("GET", "/api/session", None).expect(200, "", "keep").json();
        assert_eq!((&seen["new"], &seen["data"]), (&json!(true), &json!({})), "{token}");
        client.send("GET", "/api/session/a", None).expect(200, "", "keep");
        client.send("POST", "/api/destroy", None).expect(200, "", "keep");
        client.send("GET", "/api/untouched", None).expect(200, "", "keep");
    }
    let after = demo.metrics();
    assert_eq!(after.operations(), before.operations());
    for event in ["forged_token", "malformed_token", "unknown_key", "not_found"] {
        let counted = after.event(event) - before.event(event);
        // Each token was looked at by three requests.
        assert_eq!(counted, if event == reason { 3 * tokens.len() as u64 } else { 0 }, "{event}");
    }
}

fn tokens_that_were_not_minted_are_refused_for_nothing_and_counted_by_reason() {
    let keys = keygen();
    let demo = Demo::with(&["--keys", "env:RING"], &[("RING", &keys)]);
    let client = demo.visitor("a", &json!(1));
    let minted = client.cookie.clone().unwrap();
    let (name, token) = minted.split_once('=').unwrap();
    assert_eq!((name, token.len()), ("__Host-id", TOKEN));

    // The first byte names the key.
    let bits = |bits: Range<usize>| bits.map(|bit| flipped(token, bit)).collect::<Vec<_>>();
    refused(&demo, &client, name, "unknown_key", &bits(0..8));
    refused(&demo, &client, name, "forged_token", &bits(8..TOKEN * 6));

    let truncated: Vec<_> = (0..TOKEN).map(|len| token[..len].to_owned()).collect();
    refused(&demo, &client, name, "malformed_token", &truncated);

    // Of the ring's key, by nobody; with parts of two that are good; and of shapes that no token has.
    let other = demo.visitor("a", &json!(2)).cookie.unwrap();
    let other = other.split_once('=').unwrap().1;
    let forged =
        [format!("AQ{}", "A".repeat(42)), format!("AQ{}", "_".repeat(42)), format!("{}{}", &token[..23], &other[23..])];
    refused(&demo, &client, name, "forged_token", &forged);
    let shapes = ["x", "\"\"", "null", "../../etc/passwd", "%00", "AQ==", &"A".repeat(4000), &format!("{token}A")];
    let spoiled = [format!("\"{token}\""), token.replacen(&token[20..21], "+", 1), format!("{}=", &token[..43])];
    let shapes: Vec<_> = shapes.map(str::to_owned).into_iter().chain(spoiled).collect();
    refused(&demo, &client, name, "malformed_token", &shapes);

    // The same keys mint for a cookie of another name: worth nothing under this one, and the other way round.
    let insecure = Demo::with(&["--keys", "env:RING", "--insecure-http"], &[("RING", &keys)]);
    let swapped = insecure.visitor("a", &json!(3)).cookie.unwrap();
    let swapped = swapped.strip_prefix("id=").unwrap().to_owned();
    refused(&demo, &client, name, "forged_token", &[swapped]);
    refused(&insecure, &insecure.client(), "id", "forged_token", &[token.to_owned()]);

    // After all that, what was minted opens as ever, also beside one that is refused.
    assert_eq!(client.session().data(), &json!({ "a": 1 }));
    let both = client.presenting(&format!("{name}={}; {minted}", flipped(token, 100)));
    both.send("GET", "/api/session", None).expect(200, "load", "keep");
    assert_eq!(both.session().data(), &json!({ "a": 1 }));
}

fn a_write_under_a_refused_token_makes_a_session_without_a_load() {
    let demo = Demo::start(&[]);
    let forged = format!("__Host-id=AQ{}", "A".repeat(42));
    let mut client = demo.client().presenting(&forged);
    client.visit("PUT", "/api/session/a", Some("1")).expect(200, "create", "set");
    assert_ne!(client.cookie.as_deref(), Some(&*forged));
    assert_eq!(client.session().data(), &json!({ "a": 1 }));
}

fn each_request_asks_for_what_it_needs_and_for_nothing_twice(cell: &Cell) {
    let mut client = cell.client();
    let mut asked = BTreeMap::new();
    let mut visit = |method, path, body, ops: &str, cookie| {
        client.visit(method, path, body).expect(200, ops, cookie);
        for op in ops.split(',').filter(|op| !op.is_empty()) {
            *asked.entry(op.to_owned()).or_insert(0) += 1;
        }
    };
    visit("GET", "/api/session", None, "", "keep");
    visit("POST", "/api/session/n/add", None, "create", "set");
    for _ in 0..3 {
        visit("GET", "/api/session", None, "load", "keep");
        visit("GET", "/api/session/n?delay_ms=1", None, "load", "keep");
        visit("POST", "/api/session/n/add", None, "load,replace", "keep");
        visit("PUT", "/api/session/b?delay_ms=1", Some("[2]"), "load,replace", "keep");
        visit("PUT", "/api/session/b", Some("[2]"), "load", "keep");
        visit("DELETE", "/api/session/b", None, "load,replace", "keep");
        visit("GET", "/api/untouched", None, "", "keep");
    }

    // The first presentation of a renewed ticket closes the way from the old one; once.
    visit("POST", "/api/rotate", None, "load,create,replace", "set");
    visit("GET", "/api/session", None, "load,load,replace,replace", "keep");
    visit("GET", "/api/session", None, "load", "keep");
    visit("POST", "/api/rotate", None, "load,create,replace", "set");
    visit("POST", "/api/session/n/add", None, "load,replace,load,replace,replace", "keep");
    visit("POST", "/api/session/n/add", None, "load,replace", "keep");
    visit("POST", "/api/destroy", None, "load,replace", "clear");

    // What the answers said is what the store was asked.
    assert_eq!(cell.operations(), asked.values().sum::<u64>());
    for (op, count) in asked {
        assert_eq!(cell.operation(&op), count, "{op}");
    }
}

fn the_cookie_is_removed_by_the_request_that_ended_its_session_and_by_no_other() {
    for (options, name) in [(&[][..], "__Host-id"), (&["--insecure-http"], "id")] {
        let demo = Demo::start(options);
        let mut client = demo.client();
        let set = client.visit("PUT", "/api/session/a", Some("1")).expect(200, "create", "set");
        let ended = client.clone();

        let removal = client.visit("POST", "/api/destroy", None).expect(200, "load,replace", "clear");
        let line = removal.set_cookie().unwrap();
        assert!(line.starts_with(&format!("{name}=; ")) && line.split("; ").any(|part| part == "Max-Age=0"), "{line}");
        assert_eq!(removal.cookie_attributes(), set.cookie_attributes());

        // Ended before, never there, refused: whatever they ask for, no removal.
        let forged = client.presenting(&format!("{name}=AQ{}", "A".repeat(42)));
        for (client, ops) in [(ended, "load"), (client, ""), (forged, "")] {
            for (method, path) in [
                ("POST", "/api/destroy"),
                ("GET", "/api/session"),
                ("GET", "/api/session/a?delay_ms=1"),
                ("DELETE", "/api/session/a"),
            ] {
                client.send(method, path, None).expect(200, ops, "keep");
            }
        }
    }
}

fn of_two_requests_that_end_one_session_one_removes_the_cookie(cell: &Cell) {
    for _ in 0..50 {
        let client = cell.visitor("a", &json!(1));
        let ends = thread::scope(|scope| {
            let ends = [(); 2].map(|()| scope.spawn(|| client.send("POST", "/api/destroy", None)));
            ends.map(|end| end.join().unwrap())
        });
        assert!(ends.iter().all(|end| end.status == 200));
        let mut removals = ends.each_ref().map(|end| end.header("x-session-cookie"));
        removals.sort_unstable();
        assert_eq!(removals, ["clear", "keep"]);
        assert!(client.session().opens_nothing());
    }
}

fn a_write_under_the_ticket_of_an_ended_session_takes_nothing_over(cell: &Cell) {
    let mut client = cell.visitor("secret", &json!("old"));
    let first = client.cookie.clone().unwrap();
    client.visit("POST", "/api/rotate", None).expect(200, "load,create,replace", "set");
    let second = client.cookie.clone().unwrap();
    client.send("POST", "/api/destroy", None).expect(200, "load,replace", "clear");

    let writes = [("PUT", "/api/session/n", "1"), ("POST", "/api/session/n/add", ""), ("GET", "/api/stream", "")];
    // The first ticket leads over a pointer to the end.
    for (ticket, ops) in [(&first, "load,load,create"), (&second, "load,create")] {
        for (method, path, body) in writes {
            let mut again = client.presenting(ticket);
            again.visit(method, path, (!body.is_empty()).then_some(body)).expect(200, ops, "set");
            assert!(![&first, &second].contains(&again.cookie.as_ref().unwrap()));
            let data = if path == "/api/stream" { json!({ "streamed": true }) } else { json!({ "n": 1 }) };
            assert_eq!(again.session().data(), &data);
            assert!(client.presenting(ticket).session().opens_nothing());
        }
    }
}
