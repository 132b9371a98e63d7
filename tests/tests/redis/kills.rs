//! A server that is killed, and comes back with what it wrote to its disk.

use std::{
    thread,
    time::{Duration, Instant},
};

use cloakroom_core::End;
use cloakroom_store::{Created, Removed, Store, Written};
use cloakroom_tests::{
    servers::{Options, Redis},
    witness::{Site, Witness},
};
use cloakroom_tokio::Tokio;
use tokio::task::block_in_place;

use crate::common::{
    LONG, RECOVERY, SLACK, config, create, key, load, on_tokio, replace, store, touch, until, value, version,
};

tests! {
    a_killed_server_has_all_that_was_acknowledged,
    an_end_that_was_acknowledged_outlives_a_kill,
    versions_go_on_after_a_restart,
    nobody_waits_for_a_server_that_is_gone,
}

fn a_killed_server_has_all_that_was_acknowledged() {
    let mut server = Redis::start(Options::new().durable());
    on_tokio(async {
        let site = Site::new(store(&server), Tokio);
        let probe = site.sign_in(1).await.unwrap();
        let witness = Witness::begin(&site, 6).await;
        for round in 0..3 {
            witness.goes_on(20).await;
            block_in_place(|| {
                server.kill();
                thread::sleep(Duration::from_millis(if round == 2 { 3500 } else { 0 }));
                server.restart();
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
    let mut server = Redis::start(Options::new().durable());
    on_tokio(async {
        let site = Site::new(store(&server), Tokio);
        let (ended, live) = (site.sign_in(1).await.unwrap(), site.sign_in(2).await.unwrap());
        // A request that loaded the session before its end.
        let late = site.open(&ended);
        late.insert("n", &3).await.unwrap();
        assert_eq!(site.end(&ended).await.0, Some(End::Ended));
        block_in_place(|| server.restart());
        site.recovers(&live, Instant::now()).await;
        assert_eq!(site.read(&ended).await.unwrap(), None);
        assert_eq!(site.read(&live).await.unwrap(), Some(2));
        late.save().await.unwrap_err();
        assert_eq!(site.read(&ended).await.unwrap(), None, "nothing brings it back");
    });
}

fn versions_go_on_after_a_restart() {
    let mut server = Redis::start(Options::new().durable());
    on_tokio(async {
        let store = store(&server);
        create(&store, "k", "1").await.unwrap();
        let before = store.load(&key("k")).await.unwrap().unwrap();
        block_in_place(|| server.restart());
        until("the server", async || load(&store, "k").await.is_ok()).await;
        let after = store.load(&key("k")).await.unwrap().unwrap();
        assert_eq!(after.version, before.version);
        assert!(after.expires_in.unwrap() <= before.expires_in.unwrap());
        assert_eq!(create(&store, "k", "0").await.unwrap(), Created::Exists);
        let written = store.replace(&key("k"), &before.version, &value("2"), LONG).await.unwrap();
        assert_eq!(written, Written::Done(version("2")));
        assert!(matches!(replace(&store, "k", "1", "3").await.unwrap(), Written::Conflict(Some(_))));
        assert!(matches!(touch(&store, "k", "2").await.unwrap(), Written::Done(_)));
        assert_eq!(store.remove(&key("k"), &version("2")).await.unwrap(), Removed::Done);
    });
}

fn nobody_waits_for_a_server_that_is_gone() {
    let mut server = Redis::start(Options::new());
    let deadline = Duration::from_secs(2);
    on_tokio(async {
        let store = config(&server.url()).deadline(deadline).lazy(Tokio);
        create(&store, "k", "1").await.unwrap();
        block_in_place(|| server.kill());
        // Its connection is closed by now, or will be.
        let _ = load(&store, "k").await;
        let since = Instant::now();
        for _ in 0..20 {
            assert!(load(&store, "k").await.is_err());
            let error = replace(&store, "k", "1", "2").await.unwrap_err();
            assert!(!error.may_have_happened(), "nothing was sent: {error}");
        }
        assert!(since.elapsed() < deadline / 2 + SLACK, "they fail at once: {:?}", since.elapsed());
    });
}
