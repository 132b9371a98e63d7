//! `cloakroom inspect`.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::{
    io::Write as _,
    process::{Output, Stdio},
};

use cloakroom_core::{Key, KeyId, Keyring, SessionId, SignedTokens, TokenScheme as _};
use common::{stdout, tool};

/// Two keys, of which the second signs.
struct Ring {
    text: String,
    old: Keyring,
    new: Keyring,
}

impl Ring {
    fn new(old: u8, new: u8) -> Self {
        let key = |id: u8| {
            let secret: Vec<u8> = (0..32_u8).map(|i| i.wrapping_mul(i).wrapping_add(id) ^ 0xa5).collect();
            Key::from_bytes(KeyId::new(id), &secret).unwrap()
        };
        let (old, new) = (key(old), key(new));
        let text = format!("{} {}", old.dangerous_entry(false).as_str(), new.dangerous_entry(true).as_str());
        Self { text, old: Keyring::new(old), new: Keyring::new(new) }
    }

    fn inspect(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = tool(&["inspect"]).args(args).env("SESSION_KEYS", &self.text).output().unwrap();
        (output.status.code(), all(&output))
    }
}

fn token(ring: &Keyring, engine: &str, cookie: &str) -> String {
    let mut token = String::new();
    SignedTokens::new(ring, engine, cookie).mint(&SessionId::from_bytes(&[7; 16]).unwrap(), &mut token);
    token
}

fn all(output: &Output) -> String {
    stdout(output) + str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn the_key_that_signed_is_named_with_its_role() {
    let ring = Ring::new(3, 4);
    let (code, said) = ring.inspect(&[&token(&ring.new, "main", "__Host-id")]);
    assert_eq!(code, Some(0));
    assert!(said.contains("signed by key 4, the primary, for the cookie __Host-id of"), "{said}");
    let (code, said) = ring.inspect(&[&token(&ring.old, "main", "__Host-id")]);
    assert_eq!(code, Some(0));
    assert!(said.contains("signed by key 3, which is accepted; the primary is key 4"), "{said}");
}

#[test]
fn both_usual_cookies_are_tried_and_others_can_be_named() {
    let ring = Ring::new(3, 4);
    let (code, said) = ring.inspect(&[&token(&ring.new, "main", "id")]);
    assert_eq!(code, Some(0));
    assert!(said.contains("the cookie id of the engine main"), "{said}");

    let other = token(&ring.new, "admin", "desk");
    assert_eq!(ring.inspect(&[&other]).0, Some(1));
    assert_eq!(ring.inspect(&[&other, "--cookie", "desk"]).0, Some(1));
    assert_eq!(ring.inspect(&[&other, "--cookie", "desk", "--engine", "admin"]).0, Some(0));
    assert_eq!(ring.inspect(&["--engine", "admin", &format!("desk={other}")]).0, Some(0));
    assert_eq!(ring.inspect(&["--engine", "admin", &format!("id={other}")]).0, Some(1));
}

#[test]
fn a_refusal_says_why_and_never_repeats_the_token() {
    let ring = Ring::new(3, 4);
    let good = token(&ring.new, "main", "__Host-id");
    let flipped = format!("{}{}", &good[..20], if &good[20..21] == "A" { "B" } else { "A" }) + &good[21..];
    let unknown = token(&Ring::new(1, 9).new, "main", "__Host-id");
    for (token, reason) in [
        (&*flipped, "the tag does not match"),
        (&*unknown, "no key with the id 9"),
        (&good[..43], "not the shape of a token"),
        ("x", "not the shape of a token"),
    ] {
        let (code, said) = ring.inspect(&[token]);
        assert_eq!(code, Some(1));
        assert!(said.contains("refused") && said.contains(reason), "{said}");
        assert!(token.len() < 9 || !said.contains(&token[..8]), "{said}");
    }
    assert!(!ring.inspect(&[&good]).1.contains(&good[..8]));
}

#[test]
fn a_token_may_start_with_a_hyphen() {
    // The first character holds the first six bits of the key id.
    let ring = Ring::new(3, 248);
    let token = token(&ring.new, "main", "__Host-id");
    assert!(token.starts_with('-'));
    assert_eq!(ring.inspect(&[&token]).0, Some(0));
    assert_eq!(ring.inspect(&["--engine", "other", &token]).0, Some(1));
}

#[test]
fn the_token_is_read_from_standard_input_and_the_ring_from_a_file() {
    let ring = Ring::new(3, 4);
    let path = std::env::temp_dir().join(format!("cloakroom-inspect-{}", std::process::id()));
    std::fs::write(&path, &ring.text).unwrap();
    let mut command = tool(&["inspect", "-", "--keys"]);
    let mut child = command.arg(&path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{}", token(&ring.new, "main", "__Host-id")).unwrap();
    let output = child.wait_with_output().unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("key 4"));
}

#[test]
fn without_a_ring_nothing_is_said_of_the_token() {
    let output = tool(&["inspect", "x"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(all(&output).contains("SESSION_KEYS"));
}
