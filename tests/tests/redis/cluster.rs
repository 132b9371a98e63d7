//! A cluster: nodes that die, slots that move.

use std::{
    net::TcpListener,
    num::NonZeroU8,
    time::{Duration, Instant},
};

use cloakroom_redis::{ConnectError, RedisConfig, RedisStore};
use cloakroom_store::{Fault, Removed, Store, Written};
use cloakroom_tests::{
    servers::{Cluster, ClusterOptions, Options, Redis, slot_of},
    witness::{Site, Witness},
};
use cloakroom_tokio::Tokio;
use futures_util::FutureExt as _;
use tokio::task::block_in_place;

use crate::common::{
    RECOVERY, SLACK, config, create, enroll, key, list, load, on_tokio, replace, touch, unenroll, until, version,
};

tests! {
    keys_are_where_their_slots_are,
    a_slot_that_moves_under_load_fails_nothing,
    a_slot_that_has_moved_is_followed_at_once,
    a_slot_that_is_moving_is_followed_at_once,
    a_killed_node_loses_nothing_that_its_replica_had,
    a_stopped_node_that_comes_back_loses_nothing,
    a_cluster_that_is_down_answers_in_time_and_is_found_again,
    dead_seeds_do_no_harm,
    requests_that_are_dropped_say_nothing_of_the_map,
    a_server_that_is_no_cluster_is_refused,
}

async fn all_work(store: &RedisStore, name: &str) {
    create(store, name, "1").await.unwrap();
    assert!(matches!(replace(store, name, "0", "2").await.unwrap(), Written::Conflict(Some(_))));
    assert!(matches!(replace(store, name, "1", "2").await.unwrap(), Written::Done(_)));
    assert!(matches!(touch(store, name, "2").await.unwrap(), Written::Done(_)));
    assert_eq!(load(store, name).await.unwrap().as_deref(), Some("2"));
    assert_eq!(store.remove(&key(name), &version("2")).await.unwrap(), Removed::Done);
    assert_eq!(load(store, name).await.unwrap(), None);
    enroll(store, name, "m").await.unwrap();
    assert_eq!(list(store, name).await.unwrap(), ["m"]);
    unenroll(store, name, "m").await.unwrap();
    assert_eq!(list(store, name).await.unwrap(), [""; 0]);
}

fn keys_are_where_their_slots_are() {
    let mut cluster = Cluster::start(ClusterOptions::new());
    on_tokio(async {
        let store = config(&cluster.url()).connect(Tokio).await.unwrap();
        for number in 0..60 {
            all_work(&store, &format!("key-{number}")).await;
        }
        // Nobody is asked for what another has.
        for node in cluster.nodes() {
            let replies = node.info("errorstats");
            assert!(!replies.contains_key("errorstat_MOVED"), "{replies:?}");
            assert!(node.calls()["set"] >= 20);
        }
        let prefixed = config(&cluster.url()).key_prefix("{one}:").unwrap().lazy(Tokio);
        all_work(&prefixed, "a").await;
        create(&prefixed, "b", "1").await.unwrap();
        let node = cluster.master_of_key("{one}:b");
        assert_eq!(cluster.nodes()[node].ask(&["GET", "{one}:b"]).text(), "1");
    });
}

fn a_slot_that_moves_under_load_fails_nothing() {
    let cluster = Cluster::start(ClusterOptions::new());
    let slot = slot_of("{all}");
    on_tokio(async {
        let store = config(&cluster.url()).key_prefix("{all}").unwrap().lazy(Tokio);
        let site = Site::new(store, Tokio);
        let witness = Witness::begin(&site, 4).await;
        let goes_on = async || {
            witness.goes_on(20).await;
        };
        goes_on().await;
        for _ in 0..2 {
            let from = block_in_place(|| cluster.master_of(slot));
            let to = (from + 1) % 3;
            block_in_place(|| cluster.begin_move(slot, from, to));
            goes_on().await;
            // Sessions are made there meanwhile, and none here.
            while block_in_place(|| cluster.move_keys(slot, from, to, 5)) > 0 {
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            goes_on().await;
            block_in_place(|| cluster.end_move(slot, to));
            goes_on().await;
        }
        let summary = witness.check().await;
        println!("moves: {summary:?}");
        assert_eq!((summary.failed, summary.doubtful), (0, 0), "{summary:?}");
    });
}

fn a_slot_that_has_moved_is_followed_at_once() {
    let mut cluster = Cluster::start(ClusterOptions::new());
    on_tokio(async {
        let store = config(&cluster.url()).connect(Tokio).await.unwrap();
        for name in ["a", "b", "c", "d"] {
            create(&store, name, "1").await.unwrap();
            let from = cluster.master_of_key(name);
            block_in_place(|| cluster.move_slot(slot_of(name), (from + 1) % 3));
            assert!(matches!(replace(&store, name, "1", "2").await.unwrap(), Written::Done(_)), "at the first try");
            assert_eq!(load(&store, name).await.unwrap().as_deref(), Some("2"));
            let node = cluster.master_of_key(name);
            assert_eq!(node, (from + 1) % 3);
            assert_eq!(cluster.nodes()[node].ask(&["GET", name]).text(), "2");
        }
        // It was learnt: nobody is sent on any more.
        let moved = |node: &Redis| node.info("errorstats").get("errorstat_MOVED").cloned();
        let before: Vec<_> = cluster.nodes().iter().map(moved).collect();
        for name in ["a", "b", "c", "d"] {
            load(&store, name).await.unwrap();
        }
        assert_eq!(cluster.nodes().iter().map(moved).collect::<Vec<_>>(), before);
    });
}

fn a_slot_that_is_moving_is_followed_at_once() {
    let mut cluster = Cluster::start(ClusterOptions::new());
    on_tokio(async {
        let store = config(&cluster.url()).connect(Tokio).await.unwrap();
        create(&store, "{t}moved", "1").await.unwrap();
        let slot = slot_of("{t}");
        let from = cluster.master_of(slot);
        let to = (from + 1) % 3;
        cluster.begin_move(slot, from, to);
        assert_eq!(load(&store, "{t}moved").await.unwrap().as_deref(), Some("1"), "it is where it was");
        assert_eq!(cluster.move_keys(slot, from, to, 10), 1);
        assert_eq!(load(&store, "{t}moved").await.unwrap().as_deref(), Some("1"), "it is where it will be");
        assert!(matches!(replace(&store, "{t}moved", "1", "2").await.unwrap(), Written::Done(_)));
        all_work(&store, "{t}new").await;
        assert_eq!(cluster.nodes()[from].ask(&["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()]).integer(), 0);
        assert_eq!(cluster.nodes()[to].ask(&["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()]).integer(), 1);
        cluster.end_move(slot, to);
        assert_eq!(load(&store, "{t}moved").await.unwrap().as_deref(), Some("2"));
    });
}

fn a_killed_node_loses_nothing_that_its_replica_had() {
    let options = ClusterOptions::new().replicas().node_timeout(Duration::from_millis(600));
    let mut cluster = Cluster::start(options);
    on_tokio(async {
        let store = config(&cluster.url()).replicas(1).deadline(Duration::from_millis(800)).lazy(Tokio);
        let site = Site::new(store.clone(), Tokio);
        let plain = config(&cluster.url()).connect(Tokio).await.unwrap();
        let witness = Witness::begin(&site, 4).await;
        let slot = slot_of("probe");
        create(&store, "probe", "1").await.unwrap();
        witness.goes_on(40).await;
        let killed = cluster.master_of(slot);
        let since = Instant::now();
        cluster.kill(killed);
        block_in_place(|| cluster.promoted(slot, killed));
        println!("a failover of the cluster took {:?}", since.elapsed());
        let since = Instant::now();
        until("the promoted node", async || load(&plain, "probe").await.is_ok()).await;
        println!("the first success after it: {:?}", since.elapsed());
        assert!(since.elapsed() < RECOVERY, "{:?}", since.elapsed());
        block_in_place(|| {
            cluster.nodes()[killed].restart();
            cluster.is_well();
        });
        let since = Instant::now();
        until("its replica", async || replace(&store, "probe", "1", "1").await.is_ok()).await;
        println!("the first acknowledged write after its replica was back: {:?}", since.elapsed());
        assert!(since.elapsed() < RECOVERY + SLACK, "{:?}", since.elapsed());
        witness.goes_on(20).await;
        let summary = witness.check().await;
        println!("a killed node: {summary:?}");
        assert!(summary.failed > 0, "{summary:?}");
    });
}

fn a_stopped_node_that_comes_back_loses_nothing() {
    let options = ClusterOptions::new().replicas().node_timeout(Duration::from_millis(600));
    let mut cluster = Cluster::start(options);
    on_tokio(async {
        // All sessions on one node.
        let config = config(&cluster.url()).key_prefix("{all}").unwrap().connections(NonZeroU8::new(2).unwrap());
        let site = Site::new(config.replicas(1).deadline(Duration::from_millis(800)).lazy(Tokio), Tokio);
        let witness = Witness::begin(&site, 4).await;
        witness.goes_on(40).await;
        let (slot, old) = (slot_of("{all}"), cluster.master_of_key("{all}"));
        cluster.nodes()[old].pause();
        let replica = old + 3;
        until("a failover", async || cluster.nodes()[replica].info("replication")["role"] == "master").await;
        cluster.nodes()[old].resume();
        let since = Instant::now();
        witness.goes_on(20).await;
        println!("writes are acknowledged again, {:?} after the old node went on", since.elapsed());
        assert_eq!(block_in_place(|| cluster.master_of(slot)), replica);
        let summary = witness.check().await;
        println!("a stopped node: {summary:?}");
        assert!(summary.failed > 0, "{summary:?}");
    });
}

fn a_cluster_that_is_down_answers_in_time_and_is_found_again() {
    let nodes = Options::new().durable();
    let mut cluster = Cluster::start(ClusterOptions::new().nodes(nodes).node_timeout(Duration::from_millis(600)));
    on_tokio(async {
        let store = config(&cluster.url()).connect(Tokio).await.unwrap();
        let names: Vec<_> = (0..12).map(|number| format!("key-{number}")).collect();
        for name in &names {
            create(&store, name, "1").await.unwrap();
        }
        let ask_all = async || {
            let mut failed = 0;
            for name in &names {
                let since = Instant::now();
                if let Err(error) = load(&store, name).await {
                    assert!(matches!(error.fault(), Fault::Unavailable | Fault::TimedOut), "{error:?}");
                    failed += 1;
                }
                if let Err(error) = touch(&store, name, "1").await {
                    assert!(matches!(error.fault(), Fault::Unavailable | Fault::TimedOut), "{error:?}");
                }
                assert!(since.elapsed() < 2 * RedisConfig::DEADLINE + SLACK, "{:?}", since.elapsed());
            }
            failed
        };
        for dead in [vec![1], vec![0, 1, 2]] {
            for &node in &dead {
                cluster.kill(node);
            }
            until("a cluster that is down", async || ask_all().await == names.len()).await;
            block_in_place(|| {
                dead.iter().for_each(|&node| cluster.nodes()[node].restart());
                cluster.is_well();
            });
            let since = Instant::now();
            until("the cluster", async || ask_all().await == 0).await;
            println!("all slots are served again after {:?}", since.elapsed());
            assert!(since.elapsed() < RECOVERY + SLACK, "{:?}", since.elapsed());
            for name in &names {
                assert_eq!(load(&store, name).await.unwrap().as_deref(), Some("1"));
            }
        }
    });
}

fn dead_seeds_do_no_harm() {
    let cluster = Cluster::start(ClusterOptions::new());
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    on_tokio(async {
        let alive = cluster.urls().swap_remove(0);
        let seeds = [format!("redis://{nobody}"), format!("redis://{}", silent.local_addr().unwrap()), alive];
        let since = Instant::now();
        let store = RedisStore::connect_cluster(&seeds, Tokio).await.unwrap();
        println!("connected with two of three seeds dead: {:?}", since.elapsed());
        for number in 0..9 {
            all_work(&store, &format!("key-{number}")).await;
        }
        let error = RedisStore::connect_cluster(&seeds[..2], Tokio).await.unwrap_err();
        assert!(matches!(error, ConnectError::Unreachable(_)));
        // A node that was never named is as good as any.
        let lazy = RedisConfig::cluster(&seeds).unwrap().check_server(false).lazy(Tokio);
        all_work(&lazy, "k").await;
    });
}

fn requests_that_are_dropped_say_nothing_of_the_map() {
    let mut cluster = Cluster::start(ClusterOptions::new());
    on_tokio(async {
        // By a name that the nodes do not have for themselves.
        let port = cluster.nodes()[0].port();
        let store = config(&format!("redis+cluster://localhost:{port}")).connect(Tokio).await.unwrap();
        for number in 0..60 {
            create(&store, &format!("key-{number}"), "1").await.unwrap();
        }
        let mut asked = || -> (u64, u64) {
            let nodes = cluster.nodes().iter();
            let of = |node: &Redis| {
                let came = node.info("stats")["total_connections_received"].parse::<u64>().unwrap();
                (node.calls().get("cluster|slots").copied().unwrap_or(0), came)
            };
            nodes.map(of).fold((0, 0), |(looks, all), (look, came)| (looks + look, all + came))
        };
        let before = asked();
        let probes = asked().1 - before.1;
        let mut dropped = 0;
        for number in 0..300 {
            let name = format!("key-{}", number % 60);
            dropped += usize::from(load(&store, &name).now_or_never().is_none());
            assert_eq!(load(&store, &name).await.unwrap().as_deref(), Some("1"));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(dropped > 200, "{dropped}");
        let after = asked();
        assert_eq!(after.0, before.0, "nobody looked at the map");
        assert_eq!(after.1 - before.1, 2 * probes, "no connection but those of the test");
    });
}

fn a_server_that_is_no_cluster_is_refused() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let error = RedisStore::connect_cluster([server.url()], Tokio).await.unwrap_err();
        let ConnectError::Unreachable(cause) = &error else { panic!("{error:?}") };
        assert_eq!((cause.fault(), cause.may_have_happened()), (Fault::Refused, false), "{error:?}");
    });
}
