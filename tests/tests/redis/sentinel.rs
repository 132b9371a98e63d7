//! A master that sentinels watch over, and its successor.

use std::{
    num::NonZeroU8,
    time::{Duration, Instant},
};

use cloakroom_redis::{ConnectError, RedisConfig, RedisStore};
use cloakroom_store::Fault;
use cloakroom_tests::{
    servers::{Options, Redis, Reply, Sentinel, SentinelOptions},
    witness::{Site, Witness, words_of},
};
use cloakroom_tokio::Tokio;
use tokio::task::block_in_place;

use crate::common::{RECOVERY, SLACK, config, create, load, on_tokio, replace, until};

tests! {
    a_killed_master_loses_nothing_that_replicas_had,
    a_stopped_master_that_comes_back_loses_nothing,
    a_master_that_was_replaced_unawares_acknowledges_nothing,
    a_successor_is_found_by_itself,
    an_old_master_that_comes_back_is_not_asked,
    what_one_connection_learns_all_know,
    few_sentinels_are_enough,
    sentinels_are_needed_for_connecting_alone,
    a_master_of_another_name_is_refused,
    a_replica_that_sentinels_name_is_not_used,
    sentinels_and_master_have_passwords_of_their_own,
}

fn start() -> Sentinel {
    Sentinel::start(SentinelOptions::new().down_after(Duration::from_millis(400)))
}

fn a_killed_master_loses_nothing_that_replicas_had() {
    let mut all = start();
    on_tokio(async {
        let store = config(&all.url()).replicas(1).deadline(Duration::from_millis(800)).lazy(Tokio);
        let site = Site::new(store, Tokio);
        let probe = site.sign_in(1).await.unwrap();
        let witness = Witness::begin(&site, 4).await;
        for _ in 0..2 {
            witness.goes_on(20).await;
            let since = Instant::now();
            let (former, _) = block_in_place(|| all.fail_over());
            let promoted = since.elapsed();
            block_in_place(|| all.rejoin(former));
            // The servers are well when one acknowledges what the other wrote. Sentinels may change their minds before.
            until("a replica that acknowledges", async || {
                let Ok(mut admin) = block_in_place(|| all.master_node().connect()) else { return false };
                let written = admin.command(&["SET", "probe", "1"]).is_ok_and(|reply| reply.error().is_none());
                written && admin.command(&["WAIT", "1", "100"]).is_ok_and(|reply| reply == Reply::Integer(1))
            })
            .await;
            let took = site.recovers(&probe, Instant::now()).await;
            println!("a failover took {promoted:?}; the first success after the replica was back: {took:?}");
            assert!(took < RECOVERY, "{took:?}");
        }
        witness.goes_on(20).await;
        let summary = witness.check().await;
        println!("failovers: {summary:?}");
        assert!(summary.failed > 0, "{summary:?}");
    });
}

fn a_stopped_master_that_comes_back_loses_nothing() {
    let mut all = start();
    on_tokio(async {
        let config = config(&all.url()).connections(NonZeroU8::new(3).unwrap());
        let store = config.replicas(1).deadline(Duration::from_millis(800)).lazy(Tokio);
        let site = Site::new(store, Tokio);
        let witness = Witness::begin(&site, 4).await;
        witness.goes_on(20).await;
        let old = all.master_number();
        all.nodes()[old].pause();
        block_in_place(|| all.promoted(old));
        // It takes itself for the master until the sentinels tell it, and has what was sent to it before.
        all.nodes()[old].resume();
        let since = Instant::now();
        witness.goes_on(20).await;
        println!("the old master follows, and writes are acknowledged again, after {:?}", since.elapsed());
        let summary = witness.check().await;
        println!("a stopped master: {summary:?}");
        assert!(summary.failed > 0, "{summary:?}");
    });
}

fn a_master_that_was_replaced_unawares_acknowledges_nothing() {
    let mut all = start();
    on_tokio(async {
        let config = config(&all.url()).connections(NonZeroU8::new(3).unwrap());
        let site = Site::new(config.replicas(1).deadline(Duration::from_millis(800)).lazy(Tokio), Tokio);
        let witness = Witness::begin(&site, 4).await;
        witness.goes_on(20).await;
        // The old master is well, and its clients are: it learns only seconds later that it is none.
        let name = all.name();
        let old = all.master_number();
        all.sentinels()[0].ask(&["SENTINEL", "FAILOVER", name]);
        block_in_place(|| all.promoted(old));
        let since = Instant::now();
        witness.goes_on(20).await;
        println!("writes are acknowledged again {:?} after the switch", since.elapsed());
        let summary = witness.check().await;
        println!("a replaced master: {summary:?}");
        assert!(summary.failed > 0, "{summary:?}");
    });
}

fn a_successor_is_found_by_itself() {
    let mut all = start();
    on_tokio(async {
        let site = Site::new(config(&all.url()).connect(Tokio).await.unwrap(), Tokio);
        let ticket = site.sign_in(1).await.unwrap();
        assert_eq!(all.nodes()[0].ask(&["WAIT", "1", "5000"]).integer(), 1);
        block_in_place(|| all.fail_over());
        let took = site.recovers(&ticket, Instant::now()).await;
        println!("the first success after a failover: {took:?}");
        assert!(took < RECOVERY, "{took:?}");
        site.add(&ticket).await.unwrap();
        assert_eq!(site.read(&ticket).await.unwrap(), Some(2));
    });
}

/// How often a node was asked for what stores ask for.
fn asked(node: &Redis) -> u64 {
    let calls = node.calls();
    ["get", "set", "evalsha", "eval"].iter().filter_map(|name| calls.get(*name)).sum()
}

fn three(all: &Sentinel, deadline: u64) -> RedisStore {
    let config = config(&all.url()).connections(NonZeroU8::new(3).unwrap());
    config.deadline(Duration::from_millis(deadline)).lazy(Tokio)
}

fn an_old_master_that_comes_back_is_not_asked() {
    let mut all = start();
    on_tokio(async {
        let store = three(&all, 400);
        create(&store, "k", "1").await.unwrap();
        for _ in 0..3 {
            load(&store, "k").await.unwrap();
        }
        assert_eq!(all.nodes()[0].ask(&["WAIT", "1", "5000"]).integer(), 1);
        let old = all.master_number();
        all.nodes()[old].pause();
        let new = block_in_place(|| all.promoted(old));
        let since = Instant::now();
        until("the new master", async || replace(&store, "k", "1", "2").await.is_ok()).await;
        println!("the first success with a stopped master replaced: {:?}", since.elapsed());
        all.nodes()[old].resume();
        let before = (asked(&all.nodes()[old]), asked(&all.nodes()[new]));
        for round in 2..32 {
            let written = replace(&store, "k", &round.to_string(), &(round + 1).to_string()).await;
            assert!(matches!(written.unwrap(), cloakroom_store::Written::Done(_)), "{round}");
            assert_eq!(load(&store, "k").await.unwrap(), Some((round + 1).to_string()));
        }
        assert_eq!(asked(&all.nodes()[old]), before.0, "nothing goes to the old one");
        assert!(asked(&all.nodes()[new]) >= before.1 + 60);
    });
}

fn what_one_connection_learns_all_know() {
    let mut all = start();
    on_tokio(async {
        let store = three(&all, 2000);
        create(&store, "k", "1").await.unwrap();
        for _ in 0..3 {
            load(&store, "k").await.unwrap();
        }
        assert_eq!(all.nodes()[0].ask(&["WAIT", "1", "5000"]).integer(), 1);
        let old = all.master_number();
        all.nodes()[old].pause();
        block_in_place(|| all.promoted(old));
        all.nodes()[old].resume();
        // Nobody tells the old master so for seconds, and nothing is wrong with the connections to it but for one.
        let clients = all.nodes()[old].ask(&["CLIENT", "LIST"]).text();
        let own = clients.lines().filter(|client| client.contains("cmd=pttl")).collect::<Vec<_>>();
        assert_eq!(own.len(), 3, "{clients}");
        let id = own[0].split(' ').next().unwrap().strip_prefix("id=").unwrap();
        assert_eq!(all.nodes()[old].ask(&["CLIENT", "KILL", "ID", id]).integer(), 1);
        for _ in 0..3 {
            load(&store, "k").await.unwrap();
        }
        let before = asked(&all.nodes()[old]);
        for _ in 0..30 {
            load(&store, "k").await.unwrap();
        }
        assert_eq!(asked(&all.nodes()[old]), before, "all connections go to the new one");
    });
}

fn few_sentinels_are_enough() {
    let mut all = start();
    on_tokio(async {
        let urls = all.urls();
        all.sentinels()[0].pause();
        let since = Instant::now();
        let store = RedisStore::connect_sentinel(&urls, all.name(), Tokio).await.unwrap();
        create(&store, "k", "1").await.unwrap();
        println!("connected with one sentinel stopped: {:?}", since.elapsed());
        all.sentinels()[1].kill();
        let since = Instant::now();
        let store = RedisStore::connect_sentinel(&urls, all.name(), Tokio).await.unwrap();
        assert_eq!(load(&store, "k").await.unwrap().as_deref(), Some("1"));
        println!("connected with one stopped and one dead: {:?}", since.elapsed());
        assert!(since.elapsed() < RedisConfig::DEADLINE);
        all.sentinels()[0].resume();
    });
}

fn sentinels_are_needed_for_connecting_alone() {
    let mut all = start();
    on_tokio(async {
        let store = config(&all.url()).connect(Tokio).await.unwrap();
        create(&store, "k", "1").await.unwrap();
        for sentinel in all.sentinels() {
            sentinel.kill();
        }
        assert_eq!(load(&store, "k").await.unwrap().as_deref(), Some("1"), "who is connected goes on");
        let since = Instant::now();
        let error = config(&all.url()).connect(Tokio).await.unwrap_err();
        assert!(since.elapsed() < RedisConfig::DEADLINE + SLACK);
        let ConnectError::Unreachable(cause) = &error else { panic!("{error:?}") };
        assert_eq!(cause.fault(), Fault::Unavailable);
        all.nodes()[0].ask(&["CLIENT", "KILL", "TYPE", "NORMAL"]);
        // It sees at the latest now that its connection is gone.
        load(&store, "k").await.unwrap_err();
        assert!(!create(&store, "new", "1").await.unwrap_err().may_have_happened());
        block_in_place(|| all.sentinels().iter_mut().for_each(Redis::restart));
        let since = Instant::now();
        until("the sentinels", async || load(&store, "k").await.is_ok()).await;
        assert!(since.elapsed() < RECOVERY, "{:?}", since.elapsed());
    });
}

fn a_master_of_another_name_is_refused() {
    let all = start();
    on_tokio(async {
        let error = RedisStore::connect_sentinel(all.urls(), "other", Tokio).await.unwrap_err();
        let ConnectError::Unreachable(cause) = &error else { panic!("{error:?}") };
        assert_eq!((cause.fault(), cause.may_have_happened()), (Fault::Refused, false));
        assert!(words_of(&error).contains("no master of this name"), "{}", words_of(&error));
    });
}

fn a_replica_that_sentinels_name_is_not_used() {
    let mut all = start();
    let replica = all.nodes()[1].port().to_string();
    for sentinel in all.sentinels() {
        sentinel.ask(&["SENTINEL", "MONITOR", "late", "127.0.0.1", &replica, "3"]);
    }
    on_tokio(async {
        let error = RedisStore::connect_sentinel(all.urls(), "late", Tokio).await.unwrap_err();
        let ConnectError::Unreachable(cause) = &error else { panic!("{error:?}") };
        assert_eq!((cause.fault(), cause.may_have_happened()), (Fault::Unavailable, false));
        assert!(words_of(&error).contains("no master"), "{}", words_of(&error));
    });
}

fn sentinels_and_master_have_passwords_of_their_own() {
    let nodes = Options::new().user("web", "on >secret ~* +@all").user("default", "on nopass ~* &* +@all");
    let mut all = Sentinel::start(SentinelOptions::new().nodes(nodes));
    for sentinel in all.sentinels() {
        sentinel.ask(&["ACL", "SETUSER", "watch", "on", ">other", "+@all"]);
        sentinel.ask(&["ACL", "SETUSER", "default", "-@all", "+ping", "+auth"]);
    }
    on_tokio(async {
        let (hosts, name) = (all.url().replace("redis+sentinel://", ""), all.name());
        let good = format!("redis+sentinel://web:secret@{hosts}/2?sentinel_user=watch&sentinel_password=other");
        let store = config(&good).connect(Tokio).await.unwrap();
        create(&store, "k", "1").await.unwrap();
        let mut master = all.nodes()[0].connect().unwrap();
        master.command(&["SELECT", "2"]).unwrap();
        assert_eq!(master.command(&["GET", "k"]).unwrap().text(), "1");
        assert!(all.nodes()[0].ask(&["CLIENT", "LIST"]).text().contains("user=web"));
        let urls = all.urls().into_iter().map(|url| url.replace("redis://", "redis://watch:other@"));
        let list = RedisConfig::sentinel(urls, name).unwrap().login(Some("web"), Some("secret"), 2);
        assert_eq!(load(&list.lazy(Tokio), "k").await.unwrap().as_deref(), Some("1"));
        for (wrong, right) in [("secret@", "wrong-one@"), ("password=other", "password=wrong-one")] {
            let error = config(&good.replace(wrong, right)).connect(Tokio).await.unwrap_err();
            let ConnectError::Unreachable(cause) = &error else { panic!("{error:?}") };
            assert_eq!(cause.fault(), Fault::Refused, "{}", words_of(&error));
            assert!(!words_of(&error).contains("wrong-one"), "{}", words_of(&error));
        }
    });
}
