//! A service that stops for longer than the deadline, and goes on.

use std::time::{Duration, Instant};

use cloakroom_store::{Fault, Store, Written};
use cloakroom_tests::witness::{Site, Witness};
use cloakroom_tokio::Tokio;
use futures_util::future::join_all;
use tokio::time::sleep;

use crate::common::{LONG, RECOVERY, SLACK, config, create, key, load, on_tokio, replace, service, until, value};

tests! {
    every_operation_ends_within_its_deadline,
    a_service_that_goes_on_loses_nothing,
    a_service_that_goes_on_is_found_within_two_seconds,
    what_was_sent_before_a_stop_may_happen_after_it,
    connections_that_died_together_are_given_up_together,
}

fn every_operation_ends_within_its_deadline() {
    const DEADLINE: Duration = Duration::from_millis(300);
    let service = service();
    on_tokio(async {
        for round in 0..5 {
            let store = config(&service.url()).deadline(DEADLINE).lazy(Tokio);
            let name = format!("k{round}");
            let version = create(&store, &name, "1").await.unwrap();
            service.pause();
            let since = Instant::now();
            let key = key(&name);
            let (error, writes) = match round {
                0 => (load(&store, &name).await.unwrap_err(), false),
                1 => (create(&store, "new", "1").await.unwrap_err(), true),
                2 => (replace(&store, &name, &version, "2").await.unwrap_err(), true),
                3 => (store.touch(&key, &version, &value("1"), DEADLINE).await.unwrap_err(), true),
                _ => (store.remove(&key, &version).await.unwrap_err(), true),
            };
            assert!((DEADLINE..DEADLINE + SLACK).contains(&since.elapsed()), "{round}: {:?}", since.elapsed());
            assert_eq!(error.fault(), Fault::TimedOut, "{round}");
            assert_eq!(
                error.may_have_happened(),
                writes,
                "{round}: a write that was sent is unknown, a load has failed"
            );
            service.resume();
            until("the service", async || load(&store, &name).await.is_ok()).await;
        }
    });
}

fn a_service_that_goes_on_is_found_within_two_seconds() {
    let service = service();
    on_tokio(async {
        let site = Site::new(config(&service.url()).lazy(Tokio), Tokio);
        let ticket = site.sign_in(1).await.unwrap();
        for stop in [500, 4000] {
            service.pause();
            let asking = async {
                loop {
                    let _ = site.read(&ticket).await;
                    sleep(Duration::from_millis(20)).await;
                }
            };
            let _ = tokio::time::timeout(Duration::from_millis(stop), asking).await;
            service.resume();
            let took = site.recovers(&ticket, Instant::now()).await;
            println!("the first success after a stop of {stop} ms: {took:?}");
            assert!(took < RECOVERY, "{took:?}");
        }
    });
}

fn a_service_that_goes_on_loses_nothing() {
    let service = service();
    on_tokio(async {
        let store = config(&service.url()).deadline(Duration::from_millis(300)).lazy(Tokio);
        let site = Site::new(store, Tokio);
        let witness = Witness::begin(&site, 6).await;
        for _ in 0..3 {
            witness.goes_on(20).await;
            service.pause();
            sleep(Duration::from_millis(700)).await;
            service.resume();
        }
        witness.goes_on(20).await;
        let summary = witness.check().await;
        println!("stops: {summary:?}");
        assert!(summary.failed > 0, "the stops were felt: {summary:?}");
    });
}

fn what_was_sent_before_a_stop_may_happen_after_it() {
    let service = service();
    on_tokio(async {
        let store = config(&service.url()).deadline(Duration::from_millis(200)).lazy(Tokio);
        let version = create(&store, "k", "1").await.unwrap();
        service.pause();
        let error = replace(&store, "k", &version, "late").await.unwrap_err();
        assert!(error.may_have_happened());
        service.resume();
        // It is conditional: it happens before whatever comes next, or never.
        until("the service", async || load(&store, "k").await.is_ok()).await;
        let mut found = store.load(&key("k")).await.unwrap().unwrap();
        assert!([value("1"), value("late")].contains(&found.value), "{found:?}");
        let next = loop {
            match store.replace(&key("k"), &found.version, &value("next"), LONG).await.unwrap() {
                Written::Done(version) => break version,
                // It came between the two, which it can only once.
                Written::Conflict(Some(late)) if late.value == value("late") => found = late,
                other => panic!("{other:?}"),
            }
        };
        // Ours, and the one that asks: what another carried has happened by now, or never will.
        until("the first is closed", async || service.counter("cloakroom_connections") <= 2).await;
        assert_eq!(store.load(&key("k")).await.unwrap().unwrap().version, next, "it came too late");
    });
}

fn connections_that_died_together_are_given_up_together() {
    const DEADLINE: Duration = Duration::from_millis(300);
    let service = service();
    on_tokio(async {
        let store = config(&service.url()).deadline(DEADLINE).lazy(Tokio);
        // As many connections as operations at a time.
        let names: Vec<_> = (0..16).map(|number| number.to_string()).collect();
        for created in join_all(names.iter().map(|name| create(&store, name, "1"))).await {
            created.unwrap();
        }
        service.pause();
        load(&store, "0").await.unwrap_err();
        service.resume();
        // None of the others is met again, whatever has become of it.
        let opened = service.counter("cloakroom_connections_total");
        load(&store, "1").await.unwrap();
        // One for each time that the counter was looked at, at most, and ours.
        let more = service.counter("cloakroom_connections_total") - opened;
        assert!((1..=2).contains(&more), "a connection was made: {more}");
        until("the others are closed", async || service.counter("cloakroom_connections") <= 4).await;
    });
}
