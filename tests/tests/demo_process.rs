//! The demo as a process: its options, its keys, its end.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{net::TcpStream, thread};

use cloakroom_tests::demo::{Demo, eventually, keygen, tool};
use serde_json::json;

#[test]
fn the_cookie_is_secure_unless_asked_otherwise() {
    let secure = Demo::start(&[]).client().send("PUT", "/api/session/a", Some("1")).expect(200, "create", "set");
    assert!(secure.ticket().unwrap().starts_with("__Host-id="));
    let attributes = secure.cookie_attributes();
    let expected = [("HttpOnly", ""), ("Path", "/"), ("SameSite", "Lax"), ("Secure", "")];
    assert_eq!(attributes.into_iter().collect::<Vec<_>>(), expected);

    let demo = Demo::start(&["--insecure-http"]);
    let mut client = demo.client();
    let insecure = client.visit("PUT", "/api/session/a", Some("1")).expect(200, "create", "set");
    assert!(insecure.ticket().unwrap().starts_with("id="));
    let attributes = insecure.cookie_attributes();
    assert_eq!(attributes.into_iter().collect::<Vec<_>>(), expected[..3]);
    assert_eq!(client.session().data(), &json!({ "a": 1 }));
}

#[test]
fn processes_with_one_ring_accept_each_others_tags() {
    let keys = keygen();
    let [first, second] = [(); 2].map(|()| Demo::with(&["--keys", "env:RING"], &[("RING", &keys)]));
    let ticket = first.visitor("a", &json!(1)).cookie.unwrap();
    let stranger = second.client().presenting(&ticket);
    stranger.send("GET", "/api/session", None).expect(200, "load", "keep");
    let metrics = second.metrics();
    assert_eq!((metrics.event("not_found"), metrics.event("forged_token"), metrics.event("unknown_key")), (1, 0, 0));

    // A ring of its own has the same key id, and another key.
    let third = Demo::start(&[]);
    third.client().presenting(&ticket).send("GET", "/api/session", None).expect(200, "", "keep");
    let metrics = third.metrics();
    assert_eq!((metrics.event("not_found"), metrics.event("forged_token")), (0, 1));
}

#[test]
fn the_last_line_of_keygen_is_a_ring_also_where_older_keys_stand_before_it() {
    let output = tool(&["keygen", "--count", "3"]).output().unwrap();
    let ring = String::from_utf8(output.stdout).unwrap();
    let last = ring.lines().last().unwrap();
    let signer = Demo::with(&["--keys", "env:RING"], &[("RING", last)]);
    let ticket = signer.visitor("a", &json!(1)).cookie.unwrap();
    let whole = Demo::with(&["--keys", "env:RING"], &[("RING", &ring)]);
    whole.client().presenting(&ticket).send("GET", "/api/session", None).expect(200, "load", "keep");
}

#[test]
fn visits_count_up_for_each_browser_alone() {
    let demo = Demo::start(&[]);
    let mut browsers = [demo.client(), demo.client()];
    for visit in 1..=3 {
        for browser in &mut browsers {
            let page = browser.visit("GET", "/", None);
            assert_eq!(page.status, 200);
            assert!(page.body.contains(&format!("<strong>{visit}</strong>")), "visit {visit}");
        }
    }
    assert_ne!(browsers[0].cookie, browsers[1].cookie);
}

#[test]
fn what_is_under_way_is_answered_and_stored_before_it_ends() {
    let mut demo = Demo::start(&[]);
    let client = demo.visitor("n", &json!(1));
    let loads = demo.metrics().operation("load");
    let address = demo.address().to_owned();
    thread::scope(|scope| {
        let slow = [(); 4].map(|()| {
            let client = client.clone();
            scope.spawn(move || client.send("POST", "/api/session/n/add?delay_ms=1500", None))
        });
        eventually("the loads of the slow requests", || demo.metrics().operation("load") == loads + 4);
        demo.terminate();
        eventually("the port closed", || TcpStream::connect(&address).is_err());
        let answers = slow.map(|slow| slow.join().unwrap());
        let mut values = answers.each_ref().map(|answer| (answer.status.as_u16(), answer.json()["value"].as_i64()));
        values.sort_unstable();
        assert!(answers.iter().all(|answer| answer.ops().starts_with("load,replace")), "{answers:?}");
        assert!(values.iter().all(|(status, value)| *status == 200 && (2..=5).contains(&value.unwrap())), "{values:?}");
    });
    demo.ended();
}
