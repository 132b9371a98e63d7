//! What is said of a store that fails.

use cloakroom_tests::{
    demo::eventually,
    servers::{Options, Redis, Service, ServiceOptions},
};

tests! {
    what_failed_and_what_is_unknown_are_told_apart,
    a_store_that_is_gone_fails_and_comes_back,
    a_store_without_room_says_so,
    a_version_that_is_the_value_is_told_by_a_digest,
}

const CREATE: (&str, &str) = ("if-none-match", "*");
const TTL: (&str, &str) = ("cloakroom-ttl", "600000");

fn start(redis: &Redis, deadline: &str) -> Service {
    Service::start(ServiceOptions::new(&redis.url()).set("--deadline", deadline))
}

fn what_failed_and_what_is_unknown_are_told_apart() {
    let redis = Redis::start(Options::new());
    let service = start(&redis, "300ms");
    let made = service.send("PUT", "/sessions/a", &[CREATE, TTL], b"one").expect(201, "done");
    let etag = ("if-match", made.header("etag"));
    redis.pause();
    for (method, path, headers) in [
        ("PUT", "/sessions/b", vec![CREATE, TTL]),
        ("PUT", "/sessions/a", vec![etag, TTL]),
        ("PATCH", "/sessions/a", vec![etag, TTL]),
        ("DELETE", "/sessions/a", vec![etag]),
        ("PUT", "/indexes/u/members/a", vec![TTL]),
        ("DELETE", "/indexes/u/members/a", vec![]),
    ] {
        let body = if method == "PUT" || method == "PATCH" { &b"one"[..] } else { b"" };
        let said = service.send(method, path, &headers, body).expect(504, "unknown");
        assert_eq!(said.header("cloakroom-fault"), "timed-out", "{method} {path}");
        assert!(said.text().contains("\"error\":\"unknown\""), "{said:?}");
    }
    // What only reads has not happened.
    for path in ["/sessions/a", "/indexes/u/members"] {
        let said = service.send("GET", path, &[], b"").expect(503, "failed");
        assert_eq!(said.header("cloakroom-fault"), "timed-out");
    }
    assert_eq!(service.send("GET", "/health", &[], b"").text(), "{\"store\":\"failed\"}");
    assert!(service.counter("cloakroom_store_failures_total{fault=\"timed-out\"}") >= 8);
    redis.resume();
    eventually("a store that answers", || service.send("GET", "/health", &[], b"").status == 200);
}

fn a_store_that_is_gone_fails_and_comes_back() {
    let mut redis = Redis::start(Options::new());
    let service = start(&redis, "2500ms");
    redis.kill();
    eventually("a lost connection", || service.send("GET", "/health", &[], b"").status == 503);
    let said = service.send("PUT", "/sessions/a", &[CREATE, TTL], b"one").expect(503, "failed");
    assert_eq!(said.header("cloakroom-fault"), "unavailable");
    redis.restart();
    eventually("a store that answers", || service.send("GET", "/health", &[], b"").status == 200);
    service.send("PUT", "/sessions/a", &[CREATE, TTL], b"one").expect(201, "done");
}

fn a_store_without_room_says_so() {
    let redis = Redis::start(Options::new().set("maxmemory", "3mb"));
    let service = start(&redis, "2500ms");
    let value = vec![b'x'; 1 << 19];
    let mut said = None;
    for number in 0..64 {
        let last = service.send("PUT", &format!("/sessions/{number}"), &[CREATE, TTL], &value);
        if last.status != 201 {
            said = Some(last.expect(503, "failed"));
            break;
        }
    }
    assert_eq!(said.expect("a store that is full").header("cloakroom-fault"), "full");
}

fn a_version_that_is_the_value_is_told_by_a_digest() {
    let redis = Redis::start(Options::new());
    let service = start(&redis, "2500ms");
    let value = vec![b'x'; 1 << 20];
    let made = service.send("PUT", "/sessions/a", &[CREATE, TTL], &value).expect(201, "done");
    let etag = made.header("etag");
    assert!(etag.len() < 64, "{etag}");
    let next = service.send("PUT", "/sessions/a", &[("if-match", etag), TTL], b"two").expect(204, "done");
    let stale = service.send("PUT", "/sessions/a", &[("if-match", etag), TTL], b"three").expect(409, "conflict");
    assert_eq!((stale.text(), stale.header("etag")), ("two", next.header("etag")));
    service.send("PATCH", "/sessions/a", &[("if-match", etag), TTL], b"").expect(409, "conflict");
    service.send("DELETE", "/sessions/a", &[("if-match", next.header("etag"))], b"").expect(204, "done");
    service.send("DELETE", "/sessions/a", &[("if-match", etag)], b"").expect(404, "absent");
}
