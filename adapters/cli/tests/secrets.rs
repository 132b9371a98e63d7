//! No error repeats the URL of a store: it may hold a password.

mod common;

use common::{refused, tool};

const PASSWORD: &str = "kept-to-myself";

/// Runs the demo, which must refuse its options.
fn said(args: &[&str], env: &[(&str, &str)]) -> String {
    let said = refused(tool(args).envs(env.iter().copied()), 2);
    assert!(!said.contains(PASSWORD), "{args:?}: {said}");
    said
}

#[test]
fn a_url_that_cannot_be_used_is_not_repeated() {
    for (url, word) in [
        ("redis://user:{}@127.0.0.1:1/0", "no store at 127.0.0.1:1: cannot connect to Redis"),
        ("redis://{}@127.0.0.1:1", "no store at 127.0.0.1:1"),
        ("redis+unix:///no/such/socket?pass={}", "no store at /no/such/socket"),
        ("redis+sentinel://:{}@127.0.0.1:1/main?sentinel_password={}", "main by the sentinels 127.0.0.1:1"),
        ("redis+cluster://:{}@127.0.0.1:1,127.0.0.1:2", "the cluster 127.0.0.1:1,127.0.0.1:2"),
        ("redis://user:{}@host:port", "--store: the Redis URL cannot be read"),
        ("redis://user:{}/@host", "--store: the Redis URL cannot be read"),
        ("http://user:{}@127.0.0.1:1", "--store: the URL of the session service takes no user"),
        ("https://127.0.0.1:1/?token={}", "--store: the URL of the session service cannot be read"),
        ("redis+nothing://user:{}@host", "--store: the scheme of the Redis URL"),
        ("postgres://user:{}@host/db", "--store: there is no such store; there is memory:"),
        ("user:{}@host", "--store: there is no such store"),
        ("{}", "--store: there is no such store"),
        ("redb://{}", "--store: redb: takes a path"),
        ("env:user:{}@host", "--store: env: needs the name of a variable"),
    ] {
        let url = url.replace("{}", PASSWORD);
        let said = said(&["demo", "--listen", "127.0.0.1:0", "--store", &url, "--log", "debug"], &[]);
        assert!(said.contains(word), "{said}");
    }
    let url = format!("redis://user:{PASSWORD}@host:port");
    let said = said(&["demo", "--store", "env:STORE"], &[("STORE", &url)]);
    assert!(said.contains("--store: the environment variable STORE: the Redis URL cannot be read"), "{said}");
}

#[test]
fn a_url_in_the_wrong_place_is_not_repeated() {
    let url = format!("redis://user:{PASSWORD}@host");
    for args in [
        &["demo", &url][..],
        &["demo", "--store", "memory:", &url],
        &["demo", "--store", &url, "--store", &url],
        &["demo", "--runtime", &url],
        &["demo", "--idle", &url],
        &["demo", "--log", &url],
        &["demo", "--on-store-failure", &url],
        &["demo", &format!("--sotre={url}")],
        &["demo", &format!("--insecure-http={url}")],
        &["keygen", "--count", &url],
        &["inspect", "a", &url],
        &[&url],
    ] {
        assert!(!said(args, &[]).contains("user:"));
    }
}
