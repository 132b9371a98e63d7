//! What the operations are on the server.

use std::time::Duration;

use cloakroom_core::Version;
use cloakroom_memcached::ConnectError;
use cloakroom_store::{Created, Fault, Removed, Store, Written};
use cloakroom_tests::servers::{Memcached, MemcachedOptions};
use cloakroom_tokio::Tokio;

use crate::common::{LONG, brought, bulk, config, create, done, found, key, load, on_tokio, replace, store, value};

tests! {
    a_value_is_stored_as_it_is,
    a_touch_of_an_older_version_changes_nothing,
    a_conflict_brings_what_is_there_up_to_a_size,
    a_version_of_zero_never_writes,
    a_time_beyond_30_days_is_kept,
    what_is_marked_stale_is_gone,
    a_server_that_compares_nothing_is_refused,
    a_unix_socket_serves,
    a_lost_connection_is_made_again,
}

fn ttl_of(server: &Memcached, name: &str) -> i64 {
    let answer = server.ask(&format!("mg {name} t"));
    answer.trim_end().strip_prefix("HD t").expect("something there").parse().unwrap()
}

fn a_value_is_stored_as_it_is() {
    let server = Memcached::start(MemcachedOptions::new());
    on_tokio(async {
        let store = config(&server.url()).key_prefix("shop:").unwrap().lazy(Tokio);
        let version = create(&store, "k", "one").await.unwrap();
        assert_eq!(server.value("shop:k").as_deref(), Some("one"));
        assert_eq!(server.ask("mg shop:k f"), "HD f0\r\n");
        assert_eq!(server.ask("mg shop:k c").trim_end(), format!("HD c{}", version.as_u64().unwrap()));
        assert!((599..=601).contains(&ttl_of(&server, "shop:k")));
        done(replace(&store, "k", &version, "two").await.unwrap());
        assert_eq!(server.value("shop:k").as_deref(), Some("two"));
        assert_eq!(store.create(&key("k"), &value("three"), LONG).await.unwrap(), Created::Exists);
        assert_eq!(server.value("shop:k").as_deref(), Some("two"));
        let version = found(&store, "k").await.unwrap().unwrap().version;
        assert_eq!(store.remove(&key("k"), &version).await.unwrap(), Removed::Done);
        assert_eq!(server.value("shop:k"), None);
    });
}

fn a_touch_of_an_older_version_changes_nothing() {
    let server = Memcached::start(MemcachedOptions::new());
    on_tokio(async {
        let store = store(&server);
        let older = create(&store, "k", "one").await.unwrap();
        let newer = done(replace(&store, "k", &older, "two").await.unwrap());
        let touched = store.touch(&key("k"), &older, &value("one"), LONG * 2).await.unwrap();
        assert_eq!(brought(touched), "two");
        assert!(ttl_of(&server, "k") <= 601);
        let touched = store.touch(&key("k"), &newer, &value("two"), LONG * 2).await.unwrap();
        assert_ne!(done(touched), newer, "a touch is a write");
        assert!(ttl_of(&server, "k") > 1190);
        let none = store.touch(&key("none"), &newer, &value("two"), LONG).await.unwrap();
        assert_eq!((none, server.value("none")), (Written::Absent, None));
    });
}

fn a_conflict_brings_what_is_there_up_to_a_size() {
    let server = Memcached::start(MemcachedOptions::new());
    on_tokio(async {
        let store = store(&server);
        let older = create(&store, "k", "one").await.unwrap();
        done(replace(&store, "k", &older, "two").await.unwrap());
        let written = store.replace(&key("k"), &older, &bulk(16 * 1024), LONG).await.unwrap();
        assert_eq!(brought(written), "two");
        // Reading that much back with every write would cost more than a load.
        let written = store.replace(&key("k"), &older, &bulk(16 * 1024 + 1), LONG).await.unwrap();
        assert_eq!(written, Written::Conflict(None));
        let Removed::Conflict(Some(found)) = store.remove(&key("k"), &older).await.unwrap() else {
            panic!("no conflict")
        };
        assert_eq!(found.value, value("two"));
        assert_eq!(load(&store, "k").await.unwrap().as_deref(), Some("two"));
    });
}

fn a_version_of_zero_never_writes() {
    let server = Memcached::start(MemcachedOptions::new());
    on_tokio(async {
        let store = store(&server);
        create(&store, "k", "one").await.unwrap();
        // Some servers take 0 for whatever is there: it is not sent.
        for version in [Version::from_u64(0), Version::from_bytes(value("one"))] {
            assert_eq!(brought(replace(&store, "k", &version, "two").await.unwrap()), "one");
            let Removed::Conflict(Some(_)) = store.remove(&key("k"), &version).await.unwrap() else {
                panic!("no conflict")
            };
            assert_eq!(replace(&store, "none", &version, "two").await.unwrap(), Written::Absent);
        }
        assert_eq!(server.value("k").as_deref(), Some("one"));
        let stats = server.stats("");
        assert_eq!((&*stats["cmd_set"], &*stats["delete_misses"]), ("1", "0"));
    });
}

fn a_time_beyond_30_days_is_kept() {
    const DAY: u64 = 24 * 60 * 60;
    let server = Memcached::start(MemcachedOptions::new());
    on_tokio(async {
        let store = store(&server);
        for days in [29, 30, 31, 400] {
            let (name, ttl) = (format!("k{days}"), Duration::from_secs(days * DAY));
            let Created::Done(version) = store.create(&key(&name), &value("v"), ttl).await.unwrap() else {
                panic!("it exists")
            };
            let seconds = (days * DAY) as i64;
            assert!((seconds..=seconds + 2).contains(&ttl_of(&server, &name)), "{days}: {}", ttl_of(&server, &name));
            done(store.touch(&key(&name), &version, &value("v"), ttl + LONG).await.unwrap());
            let left = found(&store, &name).await.unwrap().unwrap().expires_in.unwrap();
            assert!(left > ttl + LONG - Duration::from_secs(5), "{days}: {left:?}");
        }
    });
}

fn what_is_marked_stale_is_gone() {
    let server = Memcached::start(MemcachedOptions::new());
    on_tokio(async {
        let store = store(&server);
        let version = create(&store, "k", "one").await.unwrap();
        assert_eq!(server.ask("md k I T60"), "HD\r\n");
        // The first of those who ask wins the right to make it anew; none of us has asked for that.
        for _ in 0..3 {
            assert_eq!(load(&store, "k").await.unwrap(), None);
        }
        assert_eq!(replace(&store, "k", &version, "two").await.unwrap(), Written::Conflict(None));
        assert_eq!(load(&store, "k").await.unwrap(), None);
    });
}

fn a_server_that_compares_nothing_is_refused() {
    let server = Memcached::start(MemcachedOptions::new().arguments(["-C"]));
    on_tokio(async {
        let ConnectError::Unreachable(error) = config(&server.url()).connect(Tokio).await.unwrap_err() else {
            panic!("no such error")
        };
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::Refused, false));
        assert!(cloakroom_tests::witness::words_of(&error).contains("-C"), "{error:?}");
        let error = create(&store(&server), "k", "one").await.unwrap_err();
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::Refused, false));
        assert_eq!(server.value("k"), None);
    });
}

fn a_unix_socket_serves() {
    let server = Memcached::start(MemcachedOptions::new().socket());
    on_tokio(async {
        let store = config(&server.url()).connect(Tokio).await.unwrap();
        create(&store, "k", "one").await.unwrap();
        assert_eq!(server.value("k").as_deref(), Some("one"));
        assert_eq!(load(&store, "k").await.unwrap().as_deref(), Some("one"));
    });
}

fn a_lost_connection_is_made_again() {
    let server = Memcached::start(MemcachedOptions::new());
    on_tokio(async {
        let proxy = cloakroom_tests::proxy::Proxy::start(server.address());
        let store = config(&format!("memcached://{}", proxy.address())).lazy(Tokio);
        let mut version = create(&store, "k", "0").await.unwrap();
        for round in 1..10 {
            proxy.reset();
            // A load goes on over another connection, whether or not the loss was seen before.
            assert_eq!(load(&store, "k").await.unwrap(), Some((round - 1).to_string()));
            version = done(replace(&store, "k", &version, &round.to_string()).await.unwrap());
            assert_eq!(proxy.connections(), round + 1);
        }
    });
}
