//! What a configuration takes and refuses, without a server.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::{error::Error as _, time::Duration};

use cloakroom_redis::{ConnectError, RedisConfig, RedisConfigError, RedisStore};
use cloakroom_smol::Smol;

#[track_caller]
fn refused(url: &str, expected: RedisConfigError) {
    assert_eq!(RedisConfig::new(url).unwrap_err(), expected, "{url}");
}

#[test]
fn urls_of_every_kind_are_taken() {
    for url in [
        "redis://localhost",
        "redis://127.0.0.1:6380/3",
        "redis://[::1]:6379",
        "redis://:password@localhost",
        "redis://user:p%40ss%3Aw%2Frd@localhost:6379/15",
        "rediss://user:password@sessions.example:6380/1",
        "rediss://127.0.0.1",
        "redis+unix:///run/redis.sock",
        "redis+unix:///run/redis.sock?db=2&user=web&pass=secret",
        "redis+sentinel://a:26379/mymaster",
        "redis+sentinel://user:password@a:26379,b:26379,[::1]:26379/mymaster/2",
        "redis+sentinel://a:26379/mymaster?sentinel_user=watch&sentinel_password=other",
        "rediss+sentinel://a:26379,b:26379/mymaster/0",
        "redis+cluster://a:7000,b:7001",
        "rediss+cluster://user:password@a:7000",
        "redis+cluster://a:7000/0",
    ] {
        assert!(RedisConfig::new(url).is_ok(), "{url}: {:?}", RedisConfig::new(url));
    }
}

#[test]
fn what_is_no_url_of_a_server_is_refused_by_kind() {
    refused("", RedisConfigError::Url);
    refused("localhost:6379", RedisConfigError::Url);
    refused("http://localhost", RedisConfigError::Scheme);
    refused("redis+tls://localhost", RedisConfigError::Scheme);
    refused("REDIS://localhost", RedisConfigError::Scheme);
    refused("redis://localhost/x", RedisConfigError::Database);
    refused("redis://user:pass/word@localhost/1", RedisConfigError::Url);
    refused("redis://localhost/-1", RedisConfigError::Database);
    refused("redis://localhost:99999", RedisConfigError::Url);
    refused("rediss://localhost#insecure", RedisConfigError::Url);
    refused("redis://localhost/1?timeout=1", RedisConfigError::Parameter);
    refused("redis://localhost?protocol=resp3", RedisConfigError::Parameter);
    refused("rediss://user:what?@localhost", RedisConfigError::Parameter);
    refused("redis+unix:///run/redis.sock?db=2&password=x", RedisConfigError::Parameter);
    refused("redis+unix://", RedisConfigError::Url);
    refused("redis+unix:///", RedisConfigError::Host);
    refused("redis+sentinel://a:26379", RedisConfigError::Master);
    refused("redis+sentinel://a:26379/", RedisConfigError::Master);
    refused("redis+sentinel:///mymaster", RedisConfigError::NoServer);
    refused("redis+sentinel://a:26379/mymaster/x", RedisConfigError::Database);
    refused("redis+sentinel://a:26379/mymaster?timeout=1", RedisConfigError::Parameter);
    refused("redis+cluster://", RedisConfigError::NoServer);
    refused("redis+cluster://a:7000/1", RedisConfigError::ClusterDatabase);
    refused("redis+cluster://a:7000/x", RedisConfigError::Database);
    refused("redis+cluster://a:7000?read_from=replica", RedisConfigError::Parameter);
}

#[test]
fn lists_are_of_single_servers() {
    let none: [&str; 0] = [];
    assert_eq!(RedisConfig::cluster(none).unwrap_err(), RedisConfigError::NoServer);
    assert_eq!(RedisConfig::sentinel(none, "mymaster").unwrap_err(), RedisConfigError::NoServer);
    assert_eq!(RedisConfig::sentinel(["redis://a"], "").unwrap_err(), RedisConfigError::Master);
    assert_eq!(RedisConfig::cluster(["redis+cluster://a,b"]).unwrap_err(), RedisConfigError::Scheme);
    assert_eq!(RedisConfig::cluster(["redis+unix:///socket"]).unwrap_err(), RedisConfigError::Scheme);
    assert_eq!(RedisConfig::cluster(["redis://a/2"]).unwrap_err(), RedisConfigError::ClusterDatabase);
    assert!(RedisConfig::cluster(["redis://a:7000", "rediss://b:7000"]).is_ok());
}

#[test]
fn a_key_prefix_has_a_bound() {
    let config = || RedisConfig::new("redis://localhost").unwrap();
    assert_eq!(RedisConfig::MAX_KEY_PREFIX, 128);
    assert!(config().key_prefix("").is_ok());
    assert!(config().key_prefix(&"p".repeat(128)).is_ok());
    for wrong in ["p".repeat(129), "a b".to_owned(), "a\n".to_owned(), "ä".to_owned(), "\u{7f}".to_owned()] {
        assert_eq!(config().key_prefix(&wrong).unwrap_err(), RedisConfigError::KeyPrefix);
    }
}

#[test]
fn nothing_shows_a_password() {
    const SECRET: &str = "correct-horse";
    for url in [
        format!("redis://user:{SECRET}@localhost/1"),
        format!("rediss://:{SECRET}@localhost"),
        format!("redis+unix:///run/redis.sock?pass={SECRET}"),
        format!("redis+sentinel://user:{SECRET}@a/mymaster?sentinel_password={SECRET}"),
        format!("redis+cluster://user:{SECRET}@a,b"),
    ] {
        let config = RedisConfig::new(&url).unwrap();
        assert!(!format!("{config:?}{config:#?}").contains(SECRET), "{config:?}");
        let store = config.clone().login(Some("user"), Some(SECRET), 0).lazy(Smol);
        assert!(!format!("{store:?}{store:#?}").contains(SECRET), "{store:?}");
    }
    for url in [format!("redis://user:{SECRET}@localhost/x"), format!("http://{SECRET}@a"), SECRET.to_owned()] {
        let error = RedisConfig::new(&url).unwrap_err();
        assert!(!format!("{error} {error:?} {}", ConnectError::from(error)).contains(SECRET), "{error}");
    }
}

#[test]
fn a_configuration_that_is_wrong_says_so_at_once() {
    smol::block_on(async {
        let error = RedisStore::connect("redis://localhost:x", Smol).await.unwrap_err();
        assert!(matches!(error, ConnectError::Config(RedisConfigError::Url)), "{error:?}");
        assert!(error.source().is_none() && error.to_string().contains("redis://USER:PASSWORD@HOST"), "{error}");
        let error = RedisStore::connect_cluster(["redis://a/1"], Smol).await.unwrap_err();
        assert!(matches!(error, ConnectError::Config(RedisConfigError::ClusterDatabase)), "{error:?}");
        let error = RedisStore::connect_sentinel(["redis://a"], "", Smol).await.unwrap_err();
        assert!(matches!(error, ConnectError::Config(RedisConfigError::Master)), "{error:?}");
        assert_eq!(RedisStore::lazy("redis:/x", Smol).unwrap_err(), RedisConfigError::Url);
    });
}

#[test]
fn the_defaults_are_those_that_are_told() {
    assert_eq!(RedisConfig::DEADLINE, Duration::from_secs(2));
    let shown = format!("{:?}", RedisConfig::new("redis://localhost").unwrap());
    for told in ["check_server: true", "connections: 1", "deadline: 2s", "key_prefix: \"\"", "replicas: 0"] {
        assert!(shown.contains(told), "{shown}");
    }
}
