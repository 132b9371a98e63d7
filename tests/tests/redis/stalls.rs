//! A server that stops for longer than the deadline, and goes on.

use std::time::{Duration, Instant};

use cloakroom_redis::RedisConfig;
use cloakroom_store::{Fault, Store};
use cloakroom_tests::{
    servers::{Options, Redis},
    witness::{Site, Witness},
};
use cloakroom_tokio::Tokio;
use tokio::time::sleep;

use crate::common::{RECOVERY, SLACK, config, create, key, load, on_tokio, replace, store, touch, until, version};

tests! {
    every_operation_ends_within_its_deadline,
    a_server_that_goes_on_loses_nothing,
    a_server_that_goes_on_is_found_within_two_seconds,
    what_was_sent_before_a_stop_may_happen_after_it,
}

fn every_operation_ends_within_its_deadline() {
    const DEADLINE: Duration = Duration::from_millis(300);
    let server = Redis::start(Options::new());
    on_tokio(async {
        for round in 0..5 {
            let store = config(&server.url()).deadline(DEADLINE).lazy(Tokio);
            create(&store, "k", "1").await.unwrap();
            server.pause();
            let since = Instant::now();
            let (error, writes) = match round {
                0 => (load(&store, "k").await.unwrap_err(), false),
                1 => (create(&store, "new", "1").await.unwrap_err(), true),
                2 => (replace(&store, "k", "1", "2").await.unwrap_err(), true),
                3 => (touch(&store, "k", "1").await.unwrap_err(), true),
                _ => (store.remove(&key("k"), &version("1")).await.unwrap_err(), true),
            };
            assert!((DEADLINE..DEADLINE + SLACK).contains(&since.elapsed()), "{round}: {:?}", since.elapsed());
            assert_eq!(error.fault(), Fault::TimedOut, "{round}");
            assert_eq!(
                error.may_have_happened(),
                writes,
                "{round}: a write that was sent is unknown, a load has failed"
            );
            // The connection is given up: what comes next is not sent.
            for _ in 0..3 {
                let since = Instant::now();
                let error = replace(&store, "k", "1", "3").await.unwrap_err();
                assert!(since.elapsed() < DEADLINE + SLACK, "{round}: {:?}", since.elapsed());
                assert!(!error.may_have_happened(), "{round}: {error:?}");
            }
            server.resume();
            until("the server", async || load(&store, "k").await.is_ok()).await;
            server.ask(&["FLUSHALL"]);
        }
    });
}

fn a_server_that_goes_on_is_found_within_two_seconds() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let site = Site::new(store(&server), Tokio);
        let ticket = site.sign_in(1).await.unwrap();
        for stop in [500, 3000] {
            server.pause();
            let asking = async {
                loop {
                    let since = Instant::now();
                    let _ = site.read(&ticket).await;
                    assert!(since.elapsed() < RedisConfig::DEADLINE + SLACK);
                    sleep(Duration::from_millis(20)).await;
                }
            };
            let _ = tokio::time::timeout(Duration::from_millis(stop), asking).await;
            server.resume();
            let took = site.recovers(&ticket, Instant::now()).await;
            println!("the first success after a stop of {stop} ms: {took:?}");
            assert!(took < RECOVERY, "{took:?}");
        }
    });
}

fn a_server_that_goes_on_loses_nothing() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let store = config(&server.url()).deadline(Duration::from_millis(300)).lazy(Tokio);
        let site = Site::new(store, Tokio);
        let witness = Witness::begin(&site, 6).await;
        for _ in 0..3 {
            witness.goes_on(20).await;
            server.pause();
            sleep(Duration::from_millis(700)).await;
            server.resume();
        }
        witness.goes_on(20).await;
        let summary = witness.check().await;
        println!("stops: {summary:?}");
        assert!(summary.failed > 0, "the stops were felt: {summary:?}");
    });
}

fn what_was_sent_before_a_stop_may_happen_after_it() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let store = config(&server.url()).deadline(Duration::from_millis(200)).lazy(Tokio);
        create(&store, "k", "1").await.unwrap();
        replace(&store, "k", "1", "2").await.unwrap();
        server.pause();
        let error = replace(&store, "k", "2", "late").await.unwrap_err();
        assert!(error.may_have_happened());
        server.resume();
        // It is conditional: it happens before whatever comes next, or never.
        until("the server", async || load(&store, "k").await.is_ok()).await;
        let found = load(&store, "k").await.unwrap().unwrap();
        assert!(["2", "late"].contains(&found.as_str()), "{found}");
        replace(&store, "k", &found, "next").await.unwrap();
        assert_eq!(load(&store, "k").await.unwrap().as_deref(), Some("next"));
    });
}
