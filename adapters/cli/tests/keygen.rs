//! `cloakroom keygen`.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use cloakroom_core::Keyring;
use common::{stdout, tool};

fn ids(ring: &Keyring) -> (u8, Vec<u8>) {
    (ring.primary().id().get(), ring.accepted().map(|key| key.id().get()).collect())
}

fn keygen(args: &[&str]) -> String {
    let output = tool(&["keygen"]).args(args).output().unwrap();
    assert!(output.status.success());
    stdout(&output)
}

#[test]
fn the_whole_output_and_its_last_line_alone_are_rings() {
    let text = keygen(&["--count", "3", "--id", "7"]);
    assert_eq!(ids(&text.parse().unwrap()), (9, vec![7, 8]));
    assert_eq!(ids(&text.lines().last().unwrap().parse().unwrap()), (9, vec![]));
}

#[test]
fn one_entry_is_the_default() {
    let text = keygen(&[]);
    assert_eq!(text.lines().count(), 1);
    assert_eq!(ids(&text.parse().unwrap()), (1, vec![]));
}

#[test]
fn no_two_keys_are_alike() {
    let text = keygen(&["--count", "40"]) + &keygen(&["--count", "40"]);
    let mut secrets: Vec<&str> = text.lines().map(|line| line.rsplit(':').next().unwrap()).collect();
    secrets.sort_unstable();
    secrets.dedup();
    assert_eq!(secrets.len(), 80);
}

#[test]
fn ids_end_at_255() {
    assert_eq!(ids(&keygen(&["--count", "256", "--id", "0"]).parse().unwrap()).0, 255);
    assert_eq!(ids(&keygen(&["--id", "255"]).parse().unwrap()), (255, vec![]));
    for args in [["--count", "2", "--id", "255"], ["--count", "256", "--id", "1"], ["--count", "0", "--id", "1"]] {
        let output = tool(&["keygen"]).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
    }
}
