//! What a store leaves behind whose runtime ended, however far it was.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{sync::Arc, time::Duration};

use cloakroom_core::StoreKey;
use cloakroom_http::HttpStore;
use cloakroom_memcached::MemcachedStore;
use cloakroom_redis::RedisStore;
use cloakroom_runtime::{Endpoint, Runtime as _, run};
use cloakroom_sim::{Sim, SimRuntime};
use cloakroom_store::{DynStore, MemoryStore};
use futures_util::future::select;

/// How a store is made over a runtime.
type Make = fn(Arc<SimRuntime>) -> Box<dyn DynStore>;

#[test]
fn a_store_is_dropped_whose_runtime_ended() {
    let stores: [(&str, Make); 5] = [
        ("memory", |runtime| Box::new(MemoryStore::new(runtime))),
        ("redis", |runtime| Box::new(RedisStore::lazy("redis://127.0.0.1:1000", runtime).unwrap())),
        ("redis cluster", |runtime| Box::new(RedisStore::lazy("redis+cluster://127.0.0.1:1000", runtime).unwrap())),
        ("memcached", |runtime| Box::new(MemcachedStore::lazy("memcached://127.0.0.1:1000", runtime).unwrap())),
        ("http", |runtime| Box::new(HttpStore::lazy("http://127.0.0.1:1000", runtime).unwrap())),
    ];
    // Before the connection, while it waits for a first answer, between two attempts, and after the deadline.
    let times = [0, 1, 10, 1020, 10_000].map(Duration::from_millis);
    for (name, make) in stores {
        for time in times {
            let sim = Sim::new(7);
            let runtime = Arc::new(sim.runtime());
            let silent = sim.listen(&Endpoint::Tcp("127.0.0.1:1000".parse().unwrap())).unwrap();
            drop(run(&sim.runtime(), async move {
                let mut streams = Vec::new();
                loop {
                    streams.push(silent.accept().await);
                }
            }));
            let store = make(Arc::clone(&runtime));
            let key = StoreKey::new("cloakroom:0123456789abcdef0123456789abcdef").unwrap();
            drop(sim.block_on(select(store.load(&key), runtime.sleep(time))));
            assert!(Arc::strong_count(&runtime) > 1, "{name}: nothing to leave behind");
            drop(sim);
            drop(store);
            assert_eq!(Arc::strong_count(&runtime), 1, "{name}, ended after {time:?}");
        }
    }
}
