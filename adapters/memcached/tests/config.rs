//! What a configuration takes and refuses, without a server.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::{error::Error as _, time::Duration};

use cloakroom_memcached::{ConnectError, MemcachedConfig, MemcachedConfigError, MemcachedStore};
use cloakroom_smol::Smol;

#[track_caller]
fn refused(url: &str, expected: MemcachedConfigError) {
    assert_eq!(MemcachedConfig::new(url).unwrap_err(), expected, "{url}");
}

#[track_caller]
fn taken(url: &str, servers: &str) {
    let shown = format!("{:?}", MemcachedConfig::new(url).unwrap());
    assert!(shown.contains(&format!("servers: [{servers}]")), "{url}: {shown}");
}

#[test]
fn urls_of_every_kind_are_taken() {
    taken("memcached://localhost", "localhost");
    // The port that everybody has is no part of the name on the ring.
    taken("memcached://localhost:11211", "localhost");
    taken("memcached://localhost:11212/", "localhost:11212");
    taken("memcached://a,b:11212,[::1],[fe80::1]:7", "a, b:11212, ::1, fe80::1:7");
    taken("memcached://a,b?weights=1,3", "a, b x 3");
    taken("memcached+unix:///run/memcached.sock", "/run/memcached.sock:0");
    let config = MemcachedConfig::servers(["memcached+unix:///a", "memcached://b,c"]).unwrap();
    assert!(format!("{config:?}").contains("servers: [/a:0, b, c]"), "{config:?}");
}

#[test]
fn what_is_no_url_of_a_server_is_refused_by_kind() {
    refused("", MemcachedConfigError::Url);
    refused("localhost:11211", MemcachedConfigError::Url);
    refused("memcached://localhost#a", MemcachedConfigError::Url);
    refused("memcached://localhost/1", MemcachedConfigError::Url);
    refused("memcached://localhost/,b", MemcachedConfigError::Url);
    refused("http://localhost", MemcachedConfigError::Scheme);
    refused("MEMCACHED://localhost", MemcachedConfigError::Scheme);
    refused("memcached://", MemcachedConfigError::NoServer);
    refused("memcached:///", MemcachedConfigError::NoServer);
    refused("memcached://a,", MemcachedConfigError::Host);
    refused("memcached://:11211", MemcachedConfigError::Host);
    refused("memcached://[::1", MemcachedConfigError::Host);
    refused("memcached://[::1]x", MemcachedConfigError::Host);
    refused("memcached://a b", MemcachedConfigError::Host);
    refused("memcached://a%20b", MemcachedConfigError::Host);
    refused("memcached+unix://", MemcachedConfigError::Host);
    refused("memcached+unix:///", MemcachedConfigError::Host);
    refused("memcached+unix://run/x", MemcachedConfigError::Host);
    for port in ["", "x", "0", "+1", "65536", "::1"] {
        refused(&format!("memcached://a:{port}"), MemcachedConfigError::Port);
    }
    refused("memcached://user:secret@a", MemcachedConfigError::User);
    refused("memcached://a?timeout=1", MemcachedConfigError::Parameter);
    refused("memcached+unix:///a?weights=1", MemcachedConfigError::Parameter);
    for weights in ["", "1", "1,2,3", "1,0", "1,-1", "1,1001", "1,x"] {
        refused(&format!("memcached://a,b?weights={weights}"), MemcachedConfigError::Weights);
    }
}

#[test]
fn a_server_is_named_once_and_not_without_end() {
    refused("memcached://a,b,a", MemcachedConfigError::Twice);
    refused("memcached://a,a:11211", MemcachedConfigError::Twice);
    assert_eq!(MemcachedConfig::servers(["memcached://a", "memcached://a"]).unwrap_err(), MemcachedConfigError::Twice);
    let none: [&str; 0] = [];
    assert_eq!(MemcachedConfig::servers(none).unwrap_err(), MemcachedConfigError::NoServer);
    let many = |count: usize| (0..count).map(|number| format!("memcached://host{number}"));
    assert!(MemcachedConfig::servers(many(MemcachedConfig::MAX_SERVERS)).is_ok());
    let error = MemcachedConfig::servers(many(MemcachedConfig::MAX_SERVERS + 1)).unwrap_err();
    assert_eq!(error, MemcachedConfigError::Servers);
}

#[test]
fn a_key_prefix_has_a_bound() {
    let config = || MemcachedConfig::new("memcached://localhost").unwrap();
    assert_eq!(MemcachedConfig::MAX_KEY_PREFIX, 128);
    assert!(config().key_prefix("").is_ok());
    assert!(config().key_prefix(&"p".repeat(128)).is_ok());
    for wrong in ["p".repeat(129), "a b".to_owned(), "a\n".to_owned(), "ä".to_owned(), "\u{7f}".to_owned()] {
        assert_eq!(config().key_prefix(&wrong).unwrap_err(), MemcachedConfigError::KeyPrefix);
    }
    // With the longest key, memcached still takes it.
    const { assert!(MemcachedConfig::MAX_KEY_PREFIX + cloakroom_core::limits::MAX_STORE_KEY <= 250) };
}

#[test]
fn an_error_repeats_nothing_of_the_url() {
    for url in ["memcached://user:secret@a", "memcached://a/secret", "memcached://a?secret", "secret", "secret://a"] {
        let error = MemcachedConfig::new(url).unwrap_err();
        assert!(!format!("{error} {error:?} {}", ConnectError::from(error)).contains("secret"), "{error}");
    }
}

#[test]
fn a_configuration_that_is_wrong_says_so_at_once() {
    smol::block_on(async {
        let error = MemcachedStore::connect("memcached://a:x", Smol).await.unwrap_err();
        assert!(matches!(error, ConnectError::Config(MemcachedConfigError::Port)), "{error:?}");
        assert!(error.source().is_none() && error.to_string().contains("port"), "{error}");
        assert_eq!(MemcachedStore::lazy("memcached:/x", Smol).unwrap_err(), MemcachedConfigError::Url);
    });
}

#[test]
fn the_defaults_are_those_that_are_told() {
    assert_eq!(MemcachedConfig::DEADLINE, Duration::from_secs(2));
    let shown = format!("{:?}", MemcachedConfig::new("memcached://localhost").unwrap());
    for told in ["check_server: true", "connections: 1", "deadline: 2s", "key_prefix: \"\""] {
        assert!(shown.contains(told), "{shown}");
    }
}

#[test]
fn a_main_that_returns_an_error_prints_sentences() {
    let config = MemcachedConfig::new("memcached://127.0.0.1:1").unwrap().deadline(Duration::from_millis(200));
    let error: Box<dyn std::error::Error> = smol::block_on(config.connect(Smol)).unwrap_err().into();
    let shown = format!("{error:?}");
    assert!(
        shown.starts_with("cannot connect to memcached: the store cannot be reached: no connection to 127.0.0.1:1: "),
        "{shown}"
    );
    let error = MemcachedConfig::new("memcached:/x").unwrap_err();
    assert_eq!(format!("{error:?}"), error.to_string());
    assert_eq!(format!("{:?}", ConnectError::from(error)), error.to_string());
}
