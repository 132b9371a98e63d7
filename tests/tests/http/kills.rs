//! A service that is killed, and comes back over the same file.

use std::{
    thread,
    time::{Duration, Instant},
};

use cloakroom_core::End;
use cloakroom_store::Store;
use cloakroom_tests::{
    servers::{Service, ServiceOptions},
    witness::{Site, Witness},
};
use cloakroom_tokio::Tokio;
use tempfile::TempDir;
use tokio::task::block_in_place;

use crate::common::{RECOVERY, SLACK, config, create, key, load, on_tokio, replace, service, until};

tests! {
    a_killed_service_has_all_that_was_acknowledged,
    an_end_that_was_acknowledged_outlives_a_kill,
    a_service_that_restarts_fails_no_write,
    nobody_waits_for_a_service_that_is_gone,
}

/// A service whose sessions are in a file.
fn durable() -> (Service, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.redb");
    let options = ServiceOptions::new(&format!("redb:{}", path.display())).set("--log", "error");
    (Service::start(options), folder)
}

fn a_killed_service_has_all_that_was_acknowledged() {
    let (mut service, _folder) = durable();
    on_tokio(async {
        let site = Site::new(config(&service.url()).lazy(Tokio), Tokio);
        let probe = site.sign_in(1).await.unwrap();
        let witness = Witness::begin(&site, 6).await;
        for round in 0..3 {
            witness.goes_on(20).await;
            block_in_place(|| {
                service.kill();
                thread::sleep(Duration::from_millis(if round == 2 { 2500 } else { 0 }));
                service.restart();
            });
            let took = site.recovers(&probe, Instant::now()).await;
            println!("the first success after a kill: {took:?}");
            assert!(took < RECOVERY, "{took:?}");
        }
        witness.goes_on(20).await;
        let summary = witness.check().await;
        println!("kills: {summary:?}");
        assert!(summary.failed > 0, "the kills were felt: {summary:?}");
    });
}

fn an_end_that_was_acknowledged_outlives_a_kill() {
    let (mut service, _folder) = durable();
    on_tokio(async {
        let site = Site::new(config(&service.url()).lazy(Tokio), Tokio);
        let (ended, live) = (site.sign_in(1).await.unwrap(), site.sign_in(2).await.unwrap());
        // A request that loaded the session before its end.
        let late = site.open(&ended);
        late.insert("n", &3).await.unwrap();
        assert_eq!(site.end(&ended).await.0, Some(End::Ended));
        block_in_place(|| service.restart());
        site.recovers(&live, Instant::now()).await;
        assert_eq!(site.read(&ended).await.unwrap(), None);
        assert_eq!(site.read(&live).await.unwrap(), Some(2));
        late.save().await.unwrap_err();
        assert_eq!(site.read(&ended).await.unwrap(), None, "nothing brings it back");
    });
}

fn a_service_that_restarts_fails_no_write() {
    let (mut service, _folder) = durable();
    on_tokio(async {
        let store = config(&service.url()).lazy(Tokio);
        let mut version = create(&store, "k", "0").await.unwrap();
        for round in 1..4 {
            // The connection that is kept ends with the service; the client learns of it before the next write.
            block_in_place(|| service.restart());
            version = replace(&store, "k", &version, &round.to_string()).await.unwrap();
        }
        let found = store.load(&key("k")).await.unwrap().unwrap();
        assert_eq!((found.value.as_bytes(), &found.version), (&b"3"[..], &version));
    });
}

fn nobody_waits_for_a_service_that_is_gone() {
    let mut service = service();
    let deadline = Duration::from_secs(2);
    on_tokio(async {
        let store = config(&service.url()).deadline(deadline).lazy(Tokio);
        let version = create(&store, "k", "1").await.unwrap();
        block_in_place(|| service.kill());
        let _ = load(&store, "k").await;
        let since = Instant::now();
        for _ in 0..20 {
            assert!(load(&store, "k").await.is_err());
            let error = replace(&store, "k", &version, "2").await.unwrap_err();
            assert!(!error.may_have_happened(), "nothing was sent: {error}");
        }
        assert!(since.elapsed() < deadline / 2 + SLACK, "they fail at once: {:?}", since.elapsed());
        block_in_place(|| service.restart());
        until("the service", async || load(&store, "k").await.is_ok()).await;
    });
}
