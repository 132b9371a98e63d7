//! A server that is killed, or stops for longer than the deadline and goes on.

use std::{
    thread,
    time::{Duration, Instant},
};

use cloakroom_core::End;
use cloakroom_memcached::MemcachedConfig;
use cloakroom_store::{Fault, Store, Written};
use cloakroom_tests::{
    servers::{Memcached, MemcachedOptions},
    witness::{Site, Witness},
};
use cloakroom_tokio::Tokio;
use tokio::{task::block_in_place, time::sleep};

use crate::common::{
    LONG, RECOVERY, SLACK, config, create, done, found, key, load, on_tokio, replace, store, until, value,
};

tests! {
    a_killed_server_has_nothing_and_brings_nothing_back,
    nobody_waits_for_a_server_that_is_gone,
    every_operation_ends_within_its_deadline,
    a_server_that_goes_on_is_found_within_two_seconds,
    a_server_that_goes_on_loses_nothing,
    what_was_sent_before_a_stop_may_happen_after_it,
}

fn a_killed_server_has_nothing_and_brings_nothing_back() {
    let mut server = Memcached::start(MemcachedOptions::new());
    on_tokio(async {
        let site = Site::new(store(&server), Tokio);
        let (ended, live) = (site.sign_in(1).await.unwrap(), site.sign_in(2).await.unwrap());
        // Requests that loaded a session before the restart.
        let (late, later) = (site.open(&ended), site.open(&live));
        late.insert("n", &3).await.unwrap();
        later.insert("n", &4).await.unwrap();
        assert_eq!(site.end(&ended).await.0, Some(End::Ended));
        let since = Instant::now();
        block_in_place(|| {
            server.kill();
            thread::sleep(Duration::from_millis(1500));
            server.restart();
        });
        until("the server", async || site.read(&live).await.is_ok()).await;
        println!("a success after a kill: {:?}", since.elapsed());
        for session in [late, later] {
            session.save().await.unwrap_err();
        }
        for ticket in [&ended, &live] {
            assert_eq!(site.read(ticket).await.unwrap(), None, "nothing brings it back");
        }
        let another = site.sign_in(5).await.unwrap();
        assert_eq!(site.read(&another).await.unwrap(), Some(5));
    });
}

fn nobody_waits_for_a_server_that_is_gone() {
    let mut server = Memcached::start(MemcachedOptions::new());
    on_tokio(async {
        let store = config(&server.url()).lazy(Tokio);
        let version = create(&store, "k", "1").await.unwrap();
        block_in_place(|| server.kill());
        // Its connection is closed by now, or will be.
        let _ = load(&store, "k").await;
        let since = Instant::now();
        for _ in 0..20 {
            assert!(load(&store, "k").await.is_err());
            let error = replace(&store, "k", &version, "2").await.unwrap_err();
            assert!(!error.may_have_happened(), "nothing was sent: {error}");
        }
        let took = since.elapsed();
        assert!(took < MemcachedConfig::DEADLINE / 2 + SLACK, "they fail at once: {took:?}");
    });
}

fn every_operation_ends_within_its_deadline() {
    const DEADLINE: Duration = Duration::from_millis(300);
    let server = Memcached::start(MemcachedOptions::new());
    on_tokio(async {
        for round in 0..5 {
            let store = config(&server.url()).deadline(DEADLINE).lazy(Tokio);
            let version = create(&store, "k", "1").await.unwrap();
            server.pause();
            let since = Instant::now();
            let (error, writes) = match round {
                0 => (load(&store, "k").await.unwrap_err(), false),
                1 => (create(&store, "new", "1").await.unwrap_err(), true),
                2 => (replace(&store, "k", &version, "2").await.unwrap_err(), true),
                3 => (store.touch(&key("k"), &version, &value("1"), LONG).await.unwrap_err(), true),
                _ => (store.remove(&key("k"), &version).await.unwrap_err(), true),
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
                let error = replace(&store, "k", &version, "3").await.unwrap_err();
                assert!(since.elapsed() < DEADLINE + SLACK, "{round}: {:?}", since.elapsed());
                assert!(!error.may_have_happened(), "{round}: {error:?}");
            }
            server.resume();
            until("the server", async || load(&store, "k").await.is_ok()).await;
            server.ask("flush_all");
        }
    });
}

fn a_server_that_goes_on_is_found_within_two_seconds() {
    let server = Memcached::start(MemcachedOptions::new());
    on_tokio(async {
        let site = Site::new(store(&server), Tokio);
        let ticket = site.sign_in(1).await.unwrap();
        // The second is long enough for an attempt to connect that fails.
        for stop in [500, 4000] {
            server.pause();
            let asking = async {
                loop {
                    let _ = site.read(&ticket).await;
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
    let server = Memcached::start(MemcachedOptions::new());
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
    let server = Memcached::start(MemcachedOptions::new());
    on_tokio(async {
        let store = config(&server.url()).deadline(Duration::from_millis(200)).lazy(Tokio);
        let first = create(&store, "k", "1").await.unwrap();
        let second = done(replace(&store, "k", &first, "2").await.unwrap());
        server.pause();
        let error = replace(&store, "k", &second, "late").await.unwrap_err();
        assert!(error.may_have_happened());
        server.resume();
        // It is conditional: it happens before whatever comes next, or never.
        until("the server", async || load(&store, "k").await.is_ok()).await;
        let mut there = found(&store, "k").await.unwrap().unwrap();
        assert!([value("2"), value("late")].contains(&there.value));
        loop {
            match replace(&store, "k", &there.version, "next").await.unwrap() {
                Written::Done(_) => break,
                // It came between the two, which it can only once.
                Written::Conflict(Some(late)) if late.value == value("late") => there = late,
                other => panic!("{other:?}"),
            }
        }
        sleep(Duration::from_millis(200)).await;
        assert_eq!(load(&store, "k").await.unwrap().as_deref(), Some("next"));
    });
}
