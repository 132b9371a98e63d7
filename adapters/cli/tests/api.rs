//! The demo for programs: what each request does, and what it asks of store and cookie.

mod common;

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    thread,
    time::Duration,
};

use common::{Demo, PATIENCE};
use serde_json::json;

/// A token of the ring's first key that nobody minted.
fn forged() -> String {
    format!("__Host-id=AQ{}", "A".repeat(42))
}

#[test]
fn a_request_that_never_touches_its_session_costs_nothing() {
    let demo = Demo::start();
    let mut client = demo.client();
    client.visit("PUT", "/api/session/a", Some("1")).expect(200, "create", "set");
    let valid = client.cookie.clone();
    for cookie in [valid, Some(forged()), None] {
        client.cookie = cookie;
        let answer = client.get("/api/untouched").expect(200, "", "keep");
        assert!(!answer.headers.contains_key("vary"));
    }
    let metrics = client.get("/api/metrics").expect(200, "", "keep").json();
    assert_eq!(metrics["events"]["forged_token"], 0);
    let operations = metrics["operations"].as_object().unwrap();
    assert_eq!(operations.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), 1);
    assert_eq!(operations["create"], 1);
}

#[test]
fn the_session_is_shown_also_when_there_is_none() {
    let demo = Demo::start();
    let mut client = demo.client();
    let answer = client.get("/api/session").expect(200, "", "keep");
    assert_eq!(answer.json(), json!({ "new": true, "data": {}, "created": 0, "handle": "" }));

    client.visit("PUT", "/api/session/color", Some("\"blue\""));
    let session = client.get("/api/session").expect(200, "load", "keep").json();
    assert_eq!(session["new"], false);
    assert_eq!(session["data"], json!({ "color": "blue" }));
    assert!(session["created"].as_u64().unwrap() > 1_700_000_000_000);
    assert_eq!(session["handle"].as_str().unwrap().len(), 22);
}

#[test]
fn a_token_that_nobody_minted_opens_nothing_and_asks_no_store() {
    let demo = Demo::start();
    let mut client = demo.client();
    client.visit("PUT", "/api/session/a", Some("1"));
    let good = client.cookie.clone().unwrap();
    let flipped = format!("{}{}", &good[..good.len() - 1], if good.ends_with('A') { 'E' } else { 'A' });
    let cases = [
        (forged(), "forged_token", 1),
        (flipped, "forged_token", 2),
        (good[..good.len() - 1].to_owned(), "malformed_token", 1),
        (format!("__Host-id=CQ{}", "A".repeat(42)), "unknown_key", 1),
    ];
    for (cookie, event, count) in cases {
        client.cookie = Some(cookie);
        assert_eq!(client.get("/api/session").expect(200, "", "keep").json()["new"], true);
        assert_eq!(client.get("/api/metrics").json()["events"][event], count);
    }
}

#[test]
fn values_come_back_as_they_were_put() {
    let demo = Demo::start();
    let mut client = demo.client();
    let deep = "[".repeat(1000) + &"]".repeat(1000);
    for (ops, text) in [
        ("create", "{\"a\":[1,2.50,null],\"ü\":\"\\\"\"}"),
        ("load,replace", "12345678901234567890123"),
        ("load,replace", &deep),
        ("load,replace", "null"),
    ] {
        client.visit("PUT", "/api/session/a%2Fb%20c", Some(text)).expect(
            200,
            ops,
            if ops == "create" { "set" } else { "keep" },
        );
        let answer = client.get("/api/session/a%2Fb%20c").expect(200, "load", "keep");
        assert_eq!(answer.body, format!("{{\"key\":\"a/b c\",\"found\":true,\"value\":{text}}}"));
    }
    let answer = client.get("/api/session/other").expect(200, "load", "keep");
    assert_eq!(answer.json(), json!({ "key": "other", "found": false, "value": null }));
    // What is there already is no change.
    client.visit("PUT", "/api/session/a%2Fb%20c", Some("null")).expect(200, "load", "keep");
}

#[test]
fn a_body_that_is_no_json_is_refused_before_anything_is_loaded() {
    let demo = Demo::start();
    let mut client = demo.client();
    client.visit("PUT", "/api/session/a", Some("1"));
    for body in ["", "blue", "{", "1 2", "{'a':1}"] {
        let answer = client.visit("PUT", "/api/session/a", Some(body)).expect(400, "", "keep");
        assert_eq!(answer.json()["error"], "not_json");
    }
    let headers = [("content-type", "text/plain")];
    client.send("PUT", "/api/session/a", &headers, Some("2")).expect(200, "load,replace", "keep");
    assert_eq!(client.session()["data"], json!({ "a": 2 }));
}

#[test]
fn bodies_and_records_have_a_bound() {
    let demo = Demo::start();
    let mut client = demo.client();
    let body = "1".repeat(1024 * 1024);
    let answer = client.visit("PUT", "/api/session/a", Some(&body)).expect(413, "", "keep");
    assert_eq!(answer.json()["error"], "too_large");
    let answer = client.visit("PUT", "/api/session/a", Some(&(body + "1"))).expect(413, "", "keep");
    assert_eq!(answer.json()["error"], "too_large");
    assert!(answer.json()["message"].as_str().unwrap().contains("body"), "the record, not the body");
    let answer = client.visit("PUT", &format!("/api/session/{}", "k".repeat(1025)), Some("1")).expect(400, "", "keep");
    assert_eq!(answer.json()["error"], "key_too_long");
}

#[test]
fn an_answer_waits_for_a_body_that_nobody_reads() {
    let demo = Demo::start();
    let mut stream = TcpStream::connect(demo.url.trim_start_matches("http://")).unwrap();
    let mut buffer = [0; 4096];
    for _ in 0..2 {
        stream.write_all(b"POST /api/destroy HTTP/1.1\r\nhost: demo\r\ncontent-length: 2\r\n\r\n").unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        assert_eq!(stream.read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock, "it did not wait");
        stream.write_all(b"{}").unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let len = stream.read(&mut buffer).unwrap();
        assert!(buffer[..len].starts_with(b"HTTP/1.1 200 OK"), "{:?}", str::from_utf8(&buffer[..len]));
    }
}

#[test]
fn add_counts_from_zero_and_by_n() {
    let demo = Demo::start();
    let mut client = demo.client();
    assert_eq!(
        client.visit("POST", "/api/session/n/add", None).expect(200, "create", "set").json(),
        json!({"value": 1})
    );
    let answer =
        client.visit("POST", "/api/session/n/add?n=-5&delay_ms=1", Some("")).expect(200, "load,replace", "keep");
    assert_eq!(answer.json(), json!({ "value": -4 }));
    client.visit("POST", "/api/session/n/add?n=9223372036854775807", None);
    let answer = client.visit("POST", "/api/session/n/add?n=9223372036854775807", None).expect(409, "load", "keep");
    assert_eq!(answer.json()["error"], "out_of_range");
    assert_eq!(client.session()["data"]["n"], json!(i64::MAX - 4));

    client.visit("PUT", "/api/session/word", Some("\"blue\""));
    let answer = client.visit("POST", "/api/session/word/add", None).expect(409, "load", "keep");
    assert_eq!(answer.json()["error"], "not_a_number");
}

#[test]
fn a_removed_value_is_gone() {
    let demo = Demo::start();
    let mut client = demo.client();
    client.visit("PUT", "/api/session/a", Some("1"));
    client.visit("PUT", "/api/session/b", Some("2"));
    let answer = client.visit("DELETE", "/api/session/a", None).expect(200, "load,replace", "keep");
    assert_eq!(answer.json(), json!({ "key": "a", "removed": true }));
    let answer = client.visit("DELETE", "/api/session/a", None).expect(200, "load", "keep");
    assert_eq!(answer.json(), json!({ "key": "a", "removed": false }));
    assert_eq!(client.session()["data"], json!({ "b": 2 }));
}

#[test]
fn rotating_gives_a_new_ticket_and_keeps_the_old_one_for_the_grace() {
    let demo = Demo::start();
    let mut client = demo.client();
    client.visit("PUT", "/api/session/a", Some("1"));
    let mut old = client.clone();
    let before = client.session();
    client.visit("POST", "/api/rotate", None).expect(200, "load,create,replace", "set");
    assert_ne!(client.cookie, old.cookie);
    let after = client.get("/api/session").expect(200, "load,load,replace,replace", "keep").json();
    assert_eq!((&after["data"], &after["created"]), (&before["data"], &before["created"]));
    assert_ne!(after["handle"], before["handle"]);
    let through = old.visit("GET", "/api/session", None).expect(200, "load,load", "keep").json();
    assert_eq!(through, after);
}

#[test]
fn an_ended_session_opens_under_none_of_its_tickets() {
    let demo = Demo::start();
    let mut client = demo.client();
    client.visit("PUT", "/api/session/a", Some("1"));
    let first = client.clone();
    client.visit("POST", "/api/rotate?delay_ms=1", None);
    let second = client.clone();
    let headers = [("content-type", "application/json")];
    let answer = client.send("POST", "/api/destroy", &headers, Some("")).expect(200, "load,replace", "clear");
    let line = answer.set_cookie().unwrap();
    assert!(line.starts_with("__Host-id=; ") && line.contains("Secure") && line.contains("Path=/"), "{line}");
    assert_eq!(answer.header("cache-control"), "no-store");
    for ticket in [&first, &second] {
        let answer = ticket.get("/api/session");
        assert_eq!((answer.json()["new"].clone(), answer.header("x-session-cookie")), (json!(true), "keep"));
    }
    // A write under the old ticket makes a session of its own.
    let mut again = second;
    again.visit("PUT", "/api/session/b", Some("2")).expect(200, "load,create", "set");
    assert_eq!(again.session()["data"], json!({ "b": 2 }));
    again.cookie = None;
    again.visit("POST", "/api/destroy", None).expect(200, "", "keep");
}

#[test]
fn a_server_error_drops_the_edits_and_a_client_error_keeps_them() {
    let demo = Demo::start();
    let mut client = demo.client();
    client.visit("PUT", "/api/session/a", Some("1"));
    client.visit("POST", "/api/fail", None).expect(500, "load", "keep");
    client.visit("POST", "/api/fail?status=599", None).expect(599, "load", "keep");
    assert_eq!(client.session()["data"], json!({ "a": 1 }));
    let answer = client.visit("POST", "/api/fail?status=404", None).expect(404, "load,replace", "keep");
    assert_eq!(answer.json()["error"], "asked_for");
    assert_eq!(client.session()["data"], json!({ "a": 1, "failed": true }));
    let answer = client.visit("POST", "/api/fail?status=202", None).expect(202, "load", "keep");
    assert_eq!(answer.json()["error"], "asked_for");
    for status in ["199", "600", "x"] {
        let answer = client.visit("POST", &format!("/api/fail?status={status}"), None).expect(400, "", "keep");
        assert_eq!(answer.json()["error"], "bad_query");
    }
}

#[test]
fn a_streamed_answer_brings_its_cookie_before_its_first_piece() {
    let demo = Demo::start();
    let mut client = demo.client();
    let answer = client.visit("GET", "/api/stream", None).expect(200, "create", "set");
    assert_eq!(answer.header("transfer-encoding"), "chunked");
    assert_eq!(answer.json(), json!({ "pieces": [1, 2, 3, 4, 5] }));
    assert_eq!(client.session()["data"], json!({ "streamed": true }));
}

#[test]
fn metrics_tell_events_operations_and_sessions() {
    let demo = Demo::start();
    let mut client = demo.client();
    client.visit("PUT", "/api/session/a", Some("1"));
    demo.client().visit("PUT", "/api/session/a", Some("1"));
    let metrics = client.get("/api/metrics").expect(200, "", "keep").json();
    assert_eq!(metrics["sessions"], 2);
    assert!(metrics["bytes"].as_u64().unwrap() > 0);
    assert_eq!(metrics["store_failures"], 0);
    assert_eq!(metrics["events"]["created"], 2);
    assert_eq!(metrics["operations"]["create"], 2);
}

#[test]
fn two_slow_writers_both_count() {
    let demo = Demo::start();
    let mut client = demo.client();
    client.visit("PUT", "/api/session/a", Some("1"));
    let slow = |method: &'static str, path: &'static str, body: Option<&'static str>| {
        let client = client.clone();
        thread::spawn(move || client.send(method, path, &[], body))
    };
    let writers = [
        slow("POST", "/api/session/a/add?delay_ms=400", None),
        slow("POST", "/api/session/a/add?delay_ms=400", None),
        slow("PUT", "/api/session/b?delay_ms=400", Some("\"both\"")),
    ];
    for writer in writers {
        assert_eq!(writer.join().unwrap().status, 200);
    }
    assert_eq!(client.session()["data"], json!({ "a": 3, "b": "both" }));
    assert!(client.get("/api/metrics").json()["events"]["conflict"].as_u64().unwrap() >= 1);
}

#[test]
fn a_writer_whose_session_ends_meanwhile_is_told_that_it_is_lost() {
    let demo = Demo::start();
    let mut client = demo.client();
    client.visit("PUT", "/api/session/a", Some("1"));
    let paths = [
        ("PUT", "/api/session/b?delay_ms=1500", Some("2")),
        ("POST", "/api/session/a/add?delay_ms=1500", None),
        ("POST", "/api/rotate?delay_ms=1500", None),
    ];
    let writers = paths.map(|(method, path, body)| {
        let client = client.clone();
        thread::spawn(move || client.send(method, path, &[], body))
    });
    demo.wait_for_loads(3);
    client.send("POST", "/api/destroy", &[], None).expect(200, "load,replace", "clear");
    for writer in writers {
        let answer = writer.join().unwrap();
        assert_eq!((answer.status.as_u16(), answer.header("x-session-cookie")), (409, "keep"));
        assert_eq!(answer.json()["error"], "lost");
    }
    assert_eq!(client.session()["new"], true);
}

#[test]
fn a_cross_site_request_without_its_cookie_makes_no_session() {
    let demo = Demo::start();
    let headers = [("sec-fetch-site", "cross-site")];
    let answer = demo.client().send("PUT", "/api/session/a", &headers, Some("1")).expect(403, "", "keep");
    assert_eq!(answer.json()["error"], "cross_site");
}

#[test]
fn what_no_handler_takes_is_refused_in_json() {
    let demo = Demo::start();
    let client = demo.client();
    for path in ["/api", "/api/", "/api/nothing", "/api/session/", "/api/session/a/b"] {
        assert_eq!(client.get(path).expect(404, "", "keep").json()["error"], "not_found");
    }
    for (method, path) in [("POST", "/api/session"), ("GET", "/api/rotate"), ("PATCH", "/api/session/a")] {
        let answer = client.send(method, path, &[], None).expect(405, "", "keep");
        assert_eq!(answer.json()["error"], "wrong_method");
        assert!(!answer.header("allow").is_empty());
    }
    for path in ["/api/session/a?delay_ms=60001", "/api/session/a?delay_ms=-1", "/api/session/a?delay_ms=x"] {
        assert_eq!(client.get(path).expect(400, "", "keep").json()["error"], "bad_query");
    }
    assert_eq!(client.get("/api/session/%ff").expect(400, "", "keep").json()["error"], "bad_path");
}
