//! The demo for people.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use common::{Client, Demo};
use serde_json::json;
use sha2::{Digest as _, Sha256};

fn page(client: &mut Client) -> String {
    let answer = client.visit("GET", "/", None);
    assert_eq!(answer.status, 200);
    answer.body
}

/// The rows of the last requests, the latest first.
fn rows(page: &str) -> Vec<&str> {
    let (_, table) = page.split_once("<table class=\"history\">").unwrap();
    table.split("<tr>").skip(2).collect()
}

#[test]
fn visits_count_up_for_each_browser() {
    let demo = Demo::start();
    let (mut one, mut other) = (demo.client(), demo.client());
    for visits in 1..=3 {
        assert!(page(&mut one).contains(&format!("<strong>{visits}</strong>")));
    }
    assert!(page(&mut other).contains("<strong>1</strong>"));
    assert!(page(&mut one).contains("<strong>4</strong>"));
    // Whatever a visitor puts in its place, the page works.
    one.post_form("/set", "key=visits&value=many");
    assert!(page(&mut one).contains("<strong>1</strong>"));
}

#[test]
fn the_page_says_what_it_is_built_on() {
    let demo = Demo::start();
    let page = page(&mut demo.client());
    assert!(page.contains("memory: all sessions end with it"), "{page}");
    assert!(page.contains("__Host-id; Secure; HttpOnly; SameSite=Lax; Path=/"), "{page}");
    assert!(page.contains(&format!("curl -sic jar -b jar -X PUT {}/api/session/color", demo.url)), "{page}");
}

#[test]
fn forms_change_the_session_and_lead_back_to_the_page() {
    let demo = Demo::start();
    let mut client = demo.client();
    page(&mut client);
    for (path, form, data) in [
        ("/set", "key=a&value=%7B%22b%22%3A1%7D", json!({ "a": { "b": 1 }, "visits": 1 })),
        ("/set", "key=a+c&value=plain+text", json!({ "a": { "b": 1 }, "a c": "plain text", "visits": 1 })),
        ("/remove", "key=a", json!({ "a c": "plain text", "visits": 1 })),
    ] {
        let answer = client.post_form(path, form).expect(303, "load,replace", "keep");
        assert_eq!(answer.header("location"), "/");
        assert_eq!(client.session()["data"], data);
    }
    let answer = client.post_form("/rotate", "").expect(303, "load,create,replace", "set");
    assert_eq!(answer.header("location"), "/");
    let handle = client.session()["handle"].as_str().unwrap().to_owned();
    assert!(page(&mut client).contains(&handle));
    client.post_form("/end", "").expect(303, "load,replace", "clear");
    assert!(client.cookie.is_none());
    assert!(page(&mut client).contains("<strong>1</strong>"));
}

#[test]
fn nothing_that_a_visitor_sends_becomes_markup() {
    let demo = Demo::start();
    let mut client = demo.client();
    client.post_form("/set", "key=%3Cscript%3Ekey%22%27%26&value=%3Cscript%3Evalue%22%27%26");
    client.get("/api/session/%22%3E%3Cscript%3E");
    client.get("/a\"&'b");
    let page = page(&mut client);
    assert!(!page.contains("<script"), "{page}");
    assert!(page.contains("<code>/a&quot;&amp;'b</code>"), "{page}");
    assert!(page.contains("&lt;script&gt;key&quot;'&amp;"), "{page}");
    assert!(page.contains("&lt;script&gt;value\\&quot;'&amp;"), "{page}");
}

#[test]
fn the_last_requests_are_shown_with_what_was_decided() {
    let demo = Demo::start();
    let mut client = demo.client();
    assert_eq!(rows(&page(&mut client)).len(), 1, "a placeholder");
    client.get("/api/untouched?secret=1");
    let mut stranger = demo.client();
    stranger.cookie = Some(format!("__Host-id=AQ{}", "A".repeat(42)));
    stranger.get("/api/session");
    client.visit("POST", "/api/destroy", None);
    let page = page(&mut client);
    let rows = rows(&page);
    assert_eq!(rows.len(), 4);
    for (row, words) in rows.iter().zip([
        &["<b>POST</b>", "/api/destroy", "accepted", ">load<", ">replace<", ">clear<", "ended"][..],
        &["<b>GET</b>", "/api/session", "refused", ">none<", ">keep<", "forged token"],
        &["<b>GET</b>", "/api/untouched", "not looked at", ">none<", ">keep<"],
        &["<b>GET</b>", ">/<", "200", ">create<", ">set<", "created"],
    ]) {
        for word in words {
            assert!(row.contains(word), "no {word} in {row}");
        }
    }
    assert!(!page.contains("secret"));
}

#[test]
fn only_so_many_requests_are_kept() {
    let demo = Demo::start();
    let mut client = demo.client();
    let path = format!("/{}", "x".repeat(3000));
    for _ in 0..60 {
        client.get(&path);
    }
    let page = page(&mut client);
    assert_eq!(rows(&page).len(), 24);
    assert!(!page.contains(&"x".repeat(200)));
}

#[test]
fn the_policy_allows_the_pages_own_style_and_nothing_else() {
    let demo = Demo::start();
    let answer = demo.client().get("/");
    let (_, rest) = answer.body.split_once("<style>").unwrap();
    let (style, _) = rest.split_once("</style>").unwrap();
    let hash = BASE64_STANDARD.encode(Sha256::digest(style));
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(policy.contains(&format!("style-src 'sha256-{hash}'")), "{policy}");
    assert!(!answer.body.contains(" style=") && !answer.body.contains("src="));
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("referrer-policy"), "same-origin");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[test]
fn a_form_that_says_nothing_of_its_page_needs_the_token_that_the_page_gave_it() {
    let demo = Demo::start();
    let (mut client, mut other) = (demo.client(), demo.client());
    let [own, foreign] = [&mut client, &mut other].map(|client| token(&page(client)).to_owned());
    for token in ["", &foreign, &own[..43]] {
        client.post_silently("/set", &format!("key=a&value=1&csrf_token={token}")).expect(403, "load", "keep");
    }
    client.post_silently("/set", &format!("key=a&value=1&csrf_token={own}")).expect(303, "load,replace", "keep");
    assert_eq!(client.session()["data"]["a"], 1);
    let again = page(&mut client);
    assert_eq!(again.matches("csrf_token").count(), again.matches("<form").count());
    assert_ne!(token(&again), own, "masked anew");
}

/// The token in the first form of a page.
fn token(page: &str) -> &str {
    page.split_once("name=\"csrf_token\" value=\"").unwrap().1.split_once('"').unwrap().0
}

#[test]
fn failures_are_pages_too() {
    let demo = Demo::start();
    let mut client = demo.client();
    for (answer, status, word) in [
        (client.post_form("/set", "key=&value=1"), 400, "bad_form"),
        (client.post_form("/set", "value=1"), 422, "bad_form"),
        (client.send("POST", "/set", &[("sec-fetch-site", "same-origin")], Some("key=a&value=1")), 415, "bad_form"),
        (client.get("/nothing"), 404, "not_found"),
        (client.visit("DELETE", "/", None), 405, "wrong_method"),
        (client.send("POST", "/set", &FOREIGN, Some("key=a&value=1")), 403, "cross_site"),
        (client.post_silently("/set", "key=a&value=1"), 403, "cross_site"),
    ] {
        let answer = answer.expect(status, "", "keep");
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert!(answer.body.contains(&format!("<code>{word}</code>")), "{}", answer.body);
    }
}

const FOREIGN: [(&str, &str); 2] =
    [("sec-fetch-site", "cross-site"), ("content-type", "application/x-www-form-urlencoded")];
