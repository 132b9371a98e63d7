//! What a request may be.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use cloakroom_http::HttpConfig;
use cloakroom_tests::{
    demo::PATIENCE,
    servers::{Service, ServiceOptions},
};

tests! {
    a_key_is_checked,
    a_time_to_live_is_checked,
    a_precondition_is_checked,
    a_limit_is_checked,
    a_value_has_a_limit,
    a_head_has_a_limit,
    a_body_that_breaks_off_is_no_value,
    a_path_takes_its_methods_alone,
    what_is_not_there_is_no_absent_session,
}

const CREATE: (&str, &str) = ("if-none-match", "*");
const TTL: (&str, &str) = ("cloakroom-ttl", "60000");

fn start() -> Service {
    Service::start(ServiceOptions::new("memory:"))
}

/// Sends what must be refused, with a message that names what is wrong.
fn refuse(service: &Service, method: &str, path: &str, headers: &[(&str, &str)], status: u16, word: &str) {
    let said = service.send(method, path, headers, b"x").expect(status, "refused");
    let body: serde_json::Value = serde_json::from_str(said.text()).unwrap();
    assert_eq!(body["error"], word, "{method} {path} {headers:?}");
    assert_eq!(said.header("content-type"), "application/json");
}

fn a_key_is_checked() {
    let service = start();
    let long = format!("/sessions/{}", "a".repeat(121));
    for path in ["/sessions/", "/sessions/%20", "/sessions/a%00", "/sessions/%C3%BC", "/sessions/%zz", &long] {
        refuse(&service, "PUT", path, &[CREATE, TTL], 400, "bad_key");
    }
    let longest = format!("/sessions/{}", "%7E".repeat(120));
    service.send("PUT", &longest, &[CREATE, TTL], b"x").expect(201, "done");
    let same = format!("/sessions/{}", "~".repeat(120));
    service.send("GET", &same, &[], b"").expect(200, "found");
    for key in ["%2E%2E", "..", "%2F", "health"] {
        service.send("PUT", &format!("/sessions/{key}"), &[CREATE, TTL], b"x");
    }
    service.send("GET", "/sessions/%2e%2e", &[], b"").expect(200, "found");
    service.send("GET", "/sessions/%2f", &[], b"").expect(200, "found");
}

fn a_time_to_live_is_checked() {
    let service = start();
    for ttl in ["", "0", "-1", "+1", "01", "1.5", "1e3", "9007199254740992", "18446744073709551616", "soon", "none"] {
        refuse(&service, "PUT", "/sessions/a", &[CREATE, ("cloakroom-ttl", ttl)], 400, "bad_ttl");
    }
    refuse(&service, "PUT", "/sessions/a", &[CREATE], 400, "bad_ttl");
    refuse(&service, "PUT", "/sessions/a", &[CREATE, TTL, TTL], 400, "bad_ttl");
    refuse(&service, "PATCH", "/sessions/a", &[("if-match", "\"v\"")], 400, "bad_ttl");
    refuse(&service, "PUT", "/indexes/u/members/a", &[], 400, "bad_ttl");
    let said = service.send("PUT", "/sessions/a", &[CREATE], b"x");
    assert!(said.text().contains("Cloakroom-TTL"), "it names what is wrong: {said:?}");
    let longest = ("cloakroom-ttl", "9007199254740991");
    service.send("PUT", "/sessions/a", &[CREATE, longest], b"x").expect(201, "done");
    let left: u64 = service.send("GET", "/sessions/a", &[], b"").header("cloakroom-ttl").parse().unwrap();
    assert!(left > 400 * 24 * 60 * 60 * 1000, "{left}");
}

fn a_precondition_is_checked() {
    let service = start();
    let etag = ("if-match", "\"v\"");
    for method in ["PUT", "PATCH", "DELETE"] {
        refuse(&service, method, "/sessions/a", &[TTL], 428, "precondition_required");
        refuse(&service, method, "/sessions/a", &[TTL, etag, CREATE], 428, "precondition_required");
        let long = format!("\"{}\"", "v".repeat(129));
        for wrong in ["*", "v", "W/\"v\"", "\"v\", \"w\"", "\"\"", "", &long] {
            refuse(&service, method, "/sessions/a", &[TTL, ("if-match", wrong)], 400, "bad_precondition");
        }
        refuse(&service, method, "/sessions/a", &[TTL, etag, etag], 400, "bad_precondition");
        refuse(&service, method, "/sessions/a", &[TTL, ("if-none-match", "\"v\"")], 400, "bad_precondition");
    }
    for method in ["PATCH", "DELETE"] {
        refuse(&service, method, "/sessions/a", &[TTL, CREATE], 400, "bad_precondition");
    }
    service.send("GET", "/sessions/a", &[], b"").expect(404, "absent");
}

fn a_limit_is_checked() {
    let service = start();
    for query in ["limit=", "limit=-1", "limit=10001", "limit=1&limit=2", "limit=x", "other=1"] {
        let said = service.send("GET", &format!("/indexes/u/members?{query}"), &[], b"").expect(400, "refused");
        assert!(said.text().contains("bad_limit"), "{query}");
    }
    service.send("GET", "/indexes/u/members?limit=10000", &[], b"").expect(200, "listed");
}

fn a_value_has_a_limit() {
    let service = start();
    let largest = vec![b'x'; HttpConfig::MAX_VALUE];
    service.send("PUT", "/sessions/a", &[CREATE, TTL], &largest).expect(201, "done");
    assert_eq!(service.send("GET", "/sessions/a", &[], b"").expect(200, "found").body.len(), largest.len());
    for bytes in [HttpConfig::MAX_VALUE + 1, 4 * HttpConfig::MAX_VALUE] {
        let said = service.send("PUT", "/sessions/b", &[CREATE, TTL], &vec![b'x'; bytes]).expect(413, "refused");
        assert!(said.text().contains("too_large"), "{said:?}");
    }
    service.send("GET", "/sessions/b", &[], b"").expect(404, "absent");
}

fn a_head_has_a_limit() {
    let service = start();
    let long = "x".repeat(17 * 1024);
    assert_eq!(service.send("GET", "/sessions/a", &[("x-long", &long)], b"").status, 431);
    let names: Vec<_> = (0..65).map(|number| format!("x-{number}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    assert_eq!(service.send("GET", "/sessions/a", &many, b"").status, 431);
    service.send("GET", "/sessions/a", &many[..50], b"").expect(404, "absent");
}

/// Sends bytes, and nothing behind them if that is their end; returns what comes back.
fn raw(service: &Service, bytes: &[u8], is_end: bool) -> String {
    let mut stream = TcpStream::connect(service.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    // A client that ends its half has gone, to the service: it may answer, or not.
    if is_end {
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    }
    let mut said = String::new();
    let _ = stream.read_to_string(&mut said);
    said
}

fn a_body_that_breaks_off_is_no_value() {
    let service = start();
    let head = "PUT /sessions/a HTTP/1.1\r\nhost: localhost\r\nif-none-match: *\r\ncloakroom-ttl: 60000\r\n";
    raw(&service, format!("{head}content-length: 10\r\n\r\nhalf").as_bytes(), true);
    raw(&service, format!("{head}transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n").as_bytes(), true);
    raw(&service, format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\nhalf\r\n0\r\n\r\n").as_bytes(), true);
    service.send("GET", "/sessions/a", &[], b"").expect(404, "absent");
    let head = format!("{head}connection: close\r\n");
    let whole = format!("{head}transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n\r\n");
    let whole = raw(&service, whole.as_bytes(), false);
    assert!(whole.starts_with("HTTP/1.1 201 "), "{whole}");
}

fn a_path_takes_its_methods_alone() {
    let service = start();
    for (path, allowed) in [
        ("/sessions/a", "DELETE, GET, PATCH, PUT"),
        ("/indexes/u/members", "GET"),
        ("/indexes/u/members/a", "DELETE, PUT"),
        ("/health", "GET"),
        ("/metrics", "GET"),
        ("/openapi.json", "GET"),
    ] {
        for method in ["DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"] {
            if !allowed.contains(method) {
                let said = service.send(method, path, &[TTL, CREATE], b"").expect(405, "refused");
                assert_eq!(said.header("allow"), allowed, "{method} {path}");
            }
        }
    }
}

fn what_is_not_there_is_no_absent_session() {
    let service = start();
    for path in ["/", "/sessions", "/sessions/a/b", "/Sessions/a", "/indexes/u", "/indexes/u/members/a/b", "/health/"] {
        let said = service.send("GET", path, &[], b"").expect(404, "refused");
        assert!(said.text().contains("not_found"), "{path}: {said:?}");
    }
}
