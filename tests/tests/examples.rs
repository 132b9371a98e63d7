//! The visits program counts visits, whoever drives the core and on every runtime.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use cloakroom_tests::demo::executable;

/// A running example, ended when the test ends.
struct Example(Child);

impl Drop for Example {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// All at once, for [`executable`]: each alone would have other features, and build again most of what is built already.
const ALL: [&str; 2] = ["--workspace", "--examples"];

fn counts_visits(example: &str) {
    let program = executable(&ALL, example);
    let child = Command::new(program).arg("127.0.0.1:0").stdout(Stdio::piped()).spawn().unwrap();
    let mut running = Example(child);
    let mut url = String::new();
    BufReader::new(running.0.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
    let url = url.trim();

    let mut first = ureq::get(url).call().unwrap();
    assert_eq!(first.body_mut().read_to_string().unwrap(), "visit 1\n");
    let line = first.headers()["set-cookie"].to_str().unwrap().to_owned();
    let (ticket, attributes) = line.split_once(';').unwrap();
    assert_eq!(attributes, " HttpOnly; SameSite=Lax; Secure; Path=/");
    for visit in 2..5 {
        let mut answer = ureq::get(url).header("cookie", format!("theme=dark; {ticket}")).call().unwrap();
        assert_eq!(answer.body_mut().read_to_string().unwrap(), format!("visit {visit}\n"));
        assert_eq!(answer.headers().get("set-cookie"), None);
    }
    let mut other = ureq::get(url).call().unwrap();
    assert_eq!(other.body_mut().read_to_string().unwrap(), "visit 1\n", "another browser");
    let planted = ureq::post(url).header("sec-fetch-site", "cross-site").send("").unwrap_err();
    assert!(matches!(planted, ureq::Error::StatusCode(403 | 405)), "{planted}");
}

#[test]
fn the_core_by_hand_counts_visits() {
    counts_visits("blocking");
}

#[test]
fn the_tower_layer_counts_visits() {
    counts_visits("visits");
}

#[test]
fn the_server_on_tokio_counts_visits() {
    counts_visits("visits_on_tokio");
}

#[test]
fn the_server_on_async_std_counts_visits() {
    counts_visits("visits_on_async_std");
}

#[test]
fn the_server_on_smol_counts_visits() {
    counts_visits("visits_on_smol");
}

#[test]
fn the_servers_differ_only_where_they_name_the_runtime() {
    let [tokio, async_std, smol] = ["tokio", "async-std", "smol"].map(|runtime| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../runtimes/{runtime}/examples/visits.rs"));
        let source = fs::read_to_string(path).unwrap();
        let names_one = |line: &&str| {
            let line = line.to_lowercase().replace(['-', '_'], "");
            ["tokio", "asyncstd", "smol"].iter().any(|name| line.contains(name))
        };
        let (named, rest): (Vec<&str>, Vec<&str>) = source.lines().partition(names_one);
        assert!(named.len() <= 6, "{named:#?}");
        rest.join("\n")
    });
    assert_eq!(tokio, smol);
    assert_eq!(async_std, smol);
}
