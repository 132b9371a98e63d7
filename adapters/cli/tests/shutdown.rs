//! How the demo ends.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::{
    io::{BufRead as _, BufReader},
    net::TcpStream,
    thread,
    time::Instant,
};

use common::{Demo, PATIENCE, RUNTIMES};
use rustix::process::Signal;
use serde_json::json;

/// Runs a case on each runtime at the same time.
fn on_each_runtime(case: impl Fn(Demo) + Copy + Send + 'static) {
    let cases = RUNTIMES.map(|runtime| thread::spawn(move || case(Demo::on(runtime))));
    cases.into_iter().for_each(|case| case.join().unwrap());
}

#[test]
fn what_is_under_way_is_answered_before_it_ends() {
    for signal in [Signal::TERM, Signal::INT] {
        on_each_runtime(move |mut demo| {
            let mut client = demo.client();
            client.visit("PUT", "/api/session/n", Some("1"));
            let slow = client.clone();
            let writer = thread::spawn(move || slow.send("POST", "/api/session/n/add?delay_ms=1500", &[], None));
            demo.wait_for_loads(1);
            demo.signal(signal);
            let answer = writer.join().unwrap().expect(200, "load,replace", "keep");
            assert_eq!(answer.json(), json!({ "value": 2 }));
            assert_eq!(demo.end().code(), Some(0));
            assert!(TcpStream::connect(demo.url.trim_start_matches("http://")).is_err());
        });
    }
}

#[test]
fn nobody_new_gets_in_while_it_ends() {
    on_each_runtime(|mut demo| {
        let mut client = demo.client();
        client.visit("PUT", "/api/session/n", Some("1"));
        let slow = client.clone();
        let reader = thread::spawn(move || slow.get("/api/session/n?delay_ms=2000").expect(200, "load", "keep"));
        demo.wait_for_loads(1);
        demo.signal(Signal::TERM);
        let mut log = BufReader::new(demo.child.stderr.take().unwrap()).lines();
        assert!(log.any(|line| line.unwrap().contains("stopping")));
        assert!(TcpStream::connect(demo.url.trim_start_matches("http://")).is_err());
        assert!(!reader.is_finished(), "it had nothing under way");
        reader.join().unwrap();
        assert_eq!(demo.end().code(), Some(0));
    });
}

#[test]
fn connections_without_a_request_do_not_hold_it_up() {
    on_each_runtime(|mut demo| {
        let silent = TcpStream::connect(demo.url.trim_start_matches("http://")).unwrap();
        let idle = demo.client();
        idle.get("/api/untouched");
        let since = Instant::now();
        demo.signal(Signal::TERM);
        assert_eq!(demo.end().code(), Some(0));
        assert!(since.elapsed().as_secs() < 8, "it waited for those who ask nothing");
        drop((silent, idle));
    });
}

#[test]
fn a_second_signal_ends_it_at_once() {
    on_each_runtime(|mut demo| {
        let mut client = demo.client();
        client.visit("PUT", "/api/session/n", Some("1"));
        let slow = client.clone();
        let reader = thread::spawn(move || slow.get("/api/session/n?delay_ms=60000"));
        demo.wait_for_loads(1);
        let since = Instant::now();
        demo.signal(Signal::TERM);
        let mut log = BufReader::new(demo.child.stderr.take().unwrap()).lines();
        assert!(log.any(|line| line.unwrap().contains("stopping")));
        demo.signal(Signal::INT);
        assert_eq!(demo.end().code(), Some(2), "a request was cut off");
        assert!(since.elapsed() < PATIENCE / 4, "it waited");
        assert!(reader.join().is_err(), "nobody answered");
    });
}
