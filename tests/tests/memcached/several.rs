//! Several servers, of which each has a part of the keys.

use std::time::{Duration, Instant};

use cloakroom_memcached::{MemcachedConfig, MemcachedStore};
use cloakroom_store::Fault;
use cloakroom_tests::{
    servers::{Memcached, MemcachedOptions},
    witness::{Site, Witness},
};
use cloakroom_tokio::Tokio;
use tokio::task::block_in_place;

use crate::common::{SLACK, create, done, key, load, on_tokio, replace, until};

tests! {
    each_key_is_on_the_server_that_the_ring_says,
    a_server_that_is_down_fails_its_own_keys_alone,
    all_servers_must_be_there_to_connect,
    updates_on_two_servers_are_all_kept,
}

fn start() -> [Memcached; 2] {
    [(); 2].map(|()| Memcached::start(MemcachedOptions::new()))
}

fn config(servers: &[Memcached]) -> MemcachedConfig {
    let hosts: Vec<_> = servers.iter().map(|server| server.address().to_string()).collect();
    MemcachedConfig::new(&format!("memcached://{}", hosts.join(","))).unwrap().check_server(false)
}

/// Names of keys, as many of each server.
fn names(store: &MemcachedStore, each: usize) -> [Vec<String>; 2] {
    let mut names = [const { Vec::new() }; 2];
    for name in (0..10_000).map(|number| format!("key-{number}")) {
        let own = &mut names[store.server_of(&key(&name))];
        if own.len() < each {
            own.push(name);
        }
    }
    assert!(names.iter().all(|own| own.len() == each), "both have keys");
    names
}

fn each_key_is_on_the_server_that_the_ring_says() {
    let servers = start();
    on_tokio(async {
        let store = config(&servers).key_prefix("app:").unwrap().connect(Tokio).await.unwrap();
        let names = names(&store, 50);
        for (place, own) in names.iter().enumerate() {
            for name in own {
                let version = create(&store, name, name).await.unwrap();
                assert_eq!(load(&store, name).await.unwrap().as_ref(), Some(name));
                done(replace(&store, name, &version, "next").await.unwrap());
                let there = servers.each_ref().map(|server| server.value(&format!("app:{name}")));
                assert_eq!(there[place].as_deref(), Some("next"), "{name}");
                assert_eq!(there[1 - place], None, "{name}");
            }
        }
        // The order in which they are named is of no account.
        let [first, second] = servers.each_ref().map(|server| server.address());
        let turned = MemcachedConfig::new(&format!("memcached://{second},{first}")).unwrap();
        let turned = turned.check_server(false).key_prefix("app:").unwrap().lazy(Tokio);
        for (place, own) in names.iter().enumerate() {
            for name in own {
                assert_eq!(turned.server_of(&key(name)), 1 - place);
                assert_eq!(load(&turned, name).await.unwrap().as_deref(), Some("next"));
            }
        }
    });
}

fn a_server_that_is_down_fails_its_own_keys_alone() {
    let mut servers = start();
    on_tokio(async {
        let store = config(&servers).deadline(Duration::from_millis(500)).lazy(Tokio);
        let [first, second] = names(&store, 10);
        for name in first.iter().chain(&second) {
            create(&store, name, name).await.unwrap();
        }
        block_in_place(|| servers[0].kill());
        // Its connection is closed by now, or will be.
        let _ = load(&store, &first[0]).await;
        let since = Instant::now();
        for (down, up) in first.iter().zip(&second) {
            let error = load(&store, down).await.unwrap_err();
            assert_eq!(error.fault(), Fault::Unavailable, "no absent session");
            assert_eq!(load(&store, up).await.unwrap().as_ref(), Some(up));
        }
        assert!(since.elapsed() < SLACK, "they fail at once: {:?}", since.elapsed());
        for name in &first {
            assert_eq!(servers[1].value(name), None, "no key moves to another server");
        }
        block_in_place(|| servers[0].restart());
        until("the server", async || load(&store, &first[0]).await.is_ok()).await;
        for name in &first {
            assert_eq!(load(&store, name).await.unwrap(), None, "it has nothing of what it had");
        }
    });
}

fn all_servers_must_be_there_to_connect() {
    let mut servers = start();
    on_tokio(async {
        block_in_place(|| servers[1].kill());
        let error = config(&servers).connect(Tokio).await.unwrap_err();
        let words = cloakroom_tests::witness::words_of(&error);
        assert!(words.contains(&servers[1].address().to_string()) && words.contains("refused"), "{words}");
    });
}

fn updates_on_two_servers_are_all_kept() {
    let servers = start();
    on_tokio(async {
        let site = Site::new(config(&servers).lazy(Tokio), Tokio);
        let witness = Witness::begin(&site, 6).await;
        witness.goes_on(200).await;
        let summary = witness.check().await;
        println!("two servers: {summary:?}");
        for server in &servers {
            assert!(server.stats("")["cmd_set"].parse::<u64>().unwrap() > 10, "both have sessions");
        }
    });
}
