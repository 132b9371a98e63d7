//! Every outcome of a store has an answer of its own.

use cloakroom_tests::servers::{Service, ServiceOptions};

tests! {
    a_value_is_created_once,
    a_value_is_replaced_on_condition_of_its_version,
    a_value_is_touched_on_condition_of_its_version,
    a_touch_without_the_value_keeps_it,
    a_value_is_removed_on_condition_of_its_version,
    nothing_is_absent_in_every_operation,
    a_version_of_nobody_is_a_conflict,
    an_index_has_its_members,
    operations_are_counted_by_outcome,
}

const LONG: (&str, &str) = ("cloakroom-ttl", "600000");
const CREATE: (&str, &str) = ("if-none-match", "*");

fn start() -> Service {
    Service::start(ServiceOptions::new("memory:"))
}

/// Creates a value; returns its ETag.
fn create(service: &Service, path: &str, value: &str) -> String {
    service.send("PUT", path, &[CREATE, LONG], value.as_bytes()).expect(201, "done").header("etag").to_owned()
}

fn a_value_is_created_once() {
    let service = start();
    let etag = create(&service, "/sessions/a", "one");
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    let found = service.send("GET", "/sessions/a", &[], b"").expect(200, "found");
    assert_eq!((found.text(), found.header("etag")), ("one", etag.as_str()));
    assert_eq!(found.header("content-type"), "application/octet-stream");
    assert_eq!(found.header("cache-control"), "no-store");
    let left: u64 = found.header("cloakroom-ttl").parse().unwrap();
    assert!((1..=600_000).contains(&left) && left > 500_000, "{left}");
    let again = service.send("PUT", "/sessions/a", &[CREATE, LONG], b"two").expect(412, "exists");
    assert!(again.text().contains("\"error\":\"exists\""), "{again:?}");
    assert_eq!(service.send("GET", "/sessions/a", &[], b"").text(), "one");
    create(&service, "/sessions/empty", "");
    assert_eq!(service.send("GET", "/sessions/empty", &[], b"").expect(200, "found").text(), "");
}

fn a_value_is_replaced_on_condition_of_its_version() {
    let service = start();
    let first = create(&service, "/sessions/a", "one");
    let replaced = service.send("PUT", "/sessions/a", &[("if-match", &first), LONG], b"two").expect(204, "done");
    let second = replaced.header("etag").to_owned();
    assert_ne!(first, second);
    let conflict = service.send("PUT", "/sessions/a", &[("if-match", &first), LONG], b"three").expect(409, "conflict");
    assert_eq!((conflict.text(), conflict.header("etag")), ("two", second.as_str()), "what is there comes along");
    assert!(conflict.header("cloakroom-ttl").parse::<u64>().is_ok());
    assert_eq!(conflict.header("content-type"), "application/octet-stream");
    assert_eq!(service.send("GET", "/sessions/a", &[], b"").text(), "two");
}

fn a_value_is_touched_on_condition_of_its_version() {
    let service = start();
    let first = create(&service, "/sessions/a", "one");
    let shorter = ("cloakroom-ttl", "100000");
    let touched = service.send("PATCH", "/sessions/a", &[("if-match", &first), shorter], b"one").expect(204, "done");
    let found = service.send("GET", "/sessions/a", &[], b"").expect(200, "found");
    assert_eq!((found.text(), found.header("etag")), ("one", touched.header("etag")));
    assert!(found.header("cloakroom-ttl").parse::<u64>().unwrap() <= 100_000);
    let replaced = service.send("PUT", "/sessions/a", &[("if-match", touched.header("etag")), LONG], b"two");
    replaced.expect(204, "done");
    let stale = service.send("PATCH", "/sessions/a", &[("if-match", &first), shorter], b"one").expect(409, "conflict");
    assert_eq!(stale.text(), "two");
}

fn a_touch_without_the_value_keeps_it() {
    let service = start();
    let first = create(&service, "/sessions/a", "one");
    let touched = service.send("PATCH", "/sessions/a", &[("if-match", &first), LONG], b"").expect(204, "done");
    assert_eq!(service.send("GET", "/sessions/a", &[], b"").text(), "one");
    let next = service.send("PUT", "/sessions/a", &[("if-match", touched.header("etag")), LONG], b"two");
    next.expect(204, "done");
    let stale = service.send("PATCH", "/sessions/a", &[("if-match", &first), LONG], b"").expect(409, "conflict");
    assert_eq!(stale.text(), "two");
    service.send("PATCH", "/sessions/none", &[("if-match", &first), LONG], b"").expect(404, "absent");
}

fn a_value_is_removed_on_condition_of_its_version() {
    let service = start();
    let first = create(&service, "/sessions/a", "one");
    let replaced = service.send("PUT", "/sessions/a", &[("if-match", &first), LONG], b"two").expect(204, "done");
    let stale = service.send("DELETE", "/sessions/a", &[("if-match", &first)], b"").expect(409, "conflict");
    assert_eq!(stale.text(), "two");
    let gone = service.send("DELETE", "/sessions/a", &[("if-match", replaced.header("etag"))], b"").expect(204, "done");
    assert!(gone.headers.get("etag").is_none());
    service.send("GET", "/sessions/a", &[], b"").expect(404, "absent");
    create(&service, "/sessions/a", "three");
}

fn nothing_is_absent_in_every_operation() {
    let service = start();
    let etag = create(&service, "/sessions/other", "one");
    service.send("GET", "/sessions/a", &[], b"").expect(404, "absent");
    service.send("PUT", "/sessions/a", &[("if-match", &etag), LONG], b"x").expect(404, "absent");
    service.send("PATCH", "/sessions/a", &[("if-match", &etag), LONG], b"x").expect(404, "absent");
    service.send("DELETE", "/sessions/a", &[("if-match", &etag)], b"").expect(404, "absent");
}

fn a_version_of_nobody_is_a_conflict() {
    let service = start();
    create(&service, "/sessions/a", "one");
    for etag in ["\"abc\"", "\"AAAAAAAAAAAAAAAAAA\"", "\"!\"", "\"AgAA\""] {
        let conflict = service.send("PUT", "/sessions/a", &[("if-match", etag), LONG], b"x").expect(409, "conflict");
        assert_eq!(conflict.text(), "one");
        service.send("DELETE", "/sessions/a", &[("if-match", etag)], b"").expect(409, "conflict");
        service.send("PATCH", "/sessions/none", &[("if-match", etag), LONG], b"x").expect(404, "absent");
    }
}

fn an_index_has_its_members() {
    let service = start();
    let list = |path: &str| service.send("GET", path, &[], b"").expect(200, "listed");
    assert_eq!(list("/indexes/u/members").text(), "{\"members\":[],\"total\":0}");
    for member in ["a", "b%2Fc"] {
        service.send("PUT", &format!("/indexes/u/members/{member}"), &[LONG], b"").expect(204, "done");
    }
    let listed = list("/indexes/u/members");
    assert_eq!(listed.header("content-type"), "application/json");
    let mut all: serde_json::Value = serde_json::from_str(listed.text()).unwrap();
    all["members"].as_array_mut().unwrap().sort_by_key(ToString::to_string);
    assert_eq!(all, serde_json::json!({ "members": ["a", "b/c"], "total": 2 }));
    assert!(list("/indexes/u/members?limit=0").text().contains("\"members\":[],\"total\":2"));
    service.send("DELETE", "/indexes/u/members/a", &[], b"").expect(204, "done");
    service.send("DELETE", "/indexes/u/members/a", &[], b"").expect(204, "done");
    assert_eq!(list("/indexes/u/members").text(), "{\"members\":[\"b/c\"],\"total\":1}");
    service.send("GET", "/sessions/u", &[], b"").expect(404, "absent");
}

fn operations_are_counted_by_outcome() {
    let service = start();
    let etag = create(&service, "/sessions/a", "one");
    service.send("PUT", "/sessions/a", &[CREATE, LONG], b"x").expect(412, "exists");
    service.send("GET", "/sessions/b", &[], b"").expect(404, "absent");
    service.send("PUT", "/sessions/a", &[("if-match", "\"x\""), LONG], b"x").expect(409, "conflict");
    service.send("DELETE", "/sessions/a", &[("if-match", &etag)], b"").expect(204, "done");
    service.send("PUT", "/sessions/a", &[LONG], b"x").expect(428, "refused");
    for (operation, outcome) in
        [("create", "done"), ("create", "exists"), ("load", "absent"), ("remove", "done"), ("replace", "conflict")]
    {
        let name = format!("cloakroom_operations_total{{operation=\"{operation}\",outcome=\"{outcome}\"}}");
        assert_eq!(service.counter(&name), 1, "{name}");
    }
    assert_eq!(service.counter("cloakroom_refusals_total{error=\"precondition_required\"}"), 1);
    assert_eq!(service.counter("cloakroom_store_failures_total{fault=\"unavailable\"}"), 0);
}
