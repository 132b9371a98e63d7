//! Walks over the keys of servers.

use std::collections::BTreeSet;

use cloakroom_core::StoreKey;
use cloakroom_redis::{RedisConfig, RedisStore, RedisWalk};
use cloakroom_store::Fault;
use cloakroom_tests::servers::{Cluster, ClusterOptions, Options, Redis, Sentinel, SentinelOptions};
use cloakroom_tokio::Tokio;

use crate::common::{config, create, enroll, on_tokio, store};

tests! {
    every_entry_of_the_prefix_comes,
    a_prefix_is_taken_as_it_is,
    what_is_somebody_elses_does_not_come,
    an_index_comes_once_it_has_a_member,
    a_walk_goes_over_all_masters_of_a_cluster,
    a_walk_goes_over_the_master_of_sentinels,
    a_walk_whose_connection_is_lost_has_ended,
    a_walk_needs_one_right_more,
    a_connection_of_the_applications_is_not_walked_over,
}

/// More than two pages.
const MANY: usize = 3000;

fn name(number: usize) -> String {
    format!("a:{number:04}")
}

async fn all(mut walk: RedisWalk) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    while let Some(page) = walk.next_page().await.unwrap() {
        // As many as the server looks at for one, and what lies in the same place of its table.
        assert!(page.len() < 1100, "{}", page.len());
        all.extend(page.iter().map(|key: &StoreKey| key.as_str().to_owned()));
    }
    assert!(walk.next_page().await.unwrap().is_none(), "the end is the end");
    all
}

async fn create_all(store: &RedisStore, names: impl IntoIterator<Item = impl AsRef<str>>) {
    for name in names {
        create(store, name.as_ref(), "v").await.unwrap();
    }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn every_entry_of_the_prefix_comes() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let store = store(&server);
        assert_eq!(all(store.walk_entries("")).await, set(&[]));
        create_all(&store, (0..MANY).map(name)).await;
        create_all(&store, ["a", "b:1"]).await;
        assert_eq!(all(store.walk_entries("a:")).await, (0..MANY).map(name).collect());
        assert_eq!(all(store.walk_entries("b")).await, set(&["b:1"]));
        assert_eq!(all(store.walk_entries("")).await.len(), MANY + 2);
    });
    let calls = server.calls();
    assert_eq!((calls.get("keys"), calls.get("get")), (None, None), "{calls:?}");
}

fn a_prefix_is_taken_as_it_is() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let odd = r"a*[b-z]?\";
        let store = config(&server.url()).key_prefix(odd).unwrap().lazy(Tokio);
        create_all(&store, ["a*1", "ab1", "[a]", "?x", r"\y"]).await;
        let other = config(&server.url()).key_prefix("aab").unwrap().lazy(Tokio);
        create_all(&other, ["c"]).await;
        assert_eq!(all(store.walk_entries("a*")).await, set(&["a*1"]));
        assert_eq!(all(store.walk_entries("[a]")).await, set(&["[a]"]));
        assert_eq!(all(store.walk_entries("?")).await, set(&["?x"]));
        assert_eq!(all(store.walk_entries(r"\")).await, set(&[r"\y"]));
        assert_eq!(all(store.walk_entries("")).await.len(), 5);
        enroll(&store, "u*", "m").await.unwrap();
        enroll(&store, "u1", "m").await.unwrap();
        assert_eq!(all(store.walk_indexes("u*")).await, set(&["u*"]));
    });
}

fn what_is_somebody_elses_does_not_come() {
    let server = Redis::start(Options::new());
    server.ask(&["SET", "a:with a space", "v"]);
    server.ask(&["SET", "a:\u{e4}", "v"]);
    server.ask(&["SET", &format!("a:{}", "x".repeat(200)), "v"]);
    server.ask(&["SET", "a:string members", "v"]);
    server.ask(&["RPUSH", "a:list", "v"]);
    server.ask(&["ZADD", "a:set", "1", "v"]);
    on_tokio(async {
        let store = store(&server);
        create_all(&store, ["a:1"]).await;
        enroll(&store, "a:1", "a:1").await.unwrap();
        assert_eq!(all(store.walk_entries("a:")).await, set(&["a:1"]));
        assert_eq!(all(store.walk_indexes("a:")).await, set(&["a:1"]));
    });
}

fn an_index_comes_once_it_has_a_member() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let store = store(&server);
        for index in ["u:1", "u:2", "x:3"] {
            for member in ["a", "b"] {
                enroll(&store, index, member).await.unwrap();
            }
        }
        assert_eq!(all(store.walk_indexes("u:")).await, set(&["u:1", "u:2"]));
        assert_eq!(all(store.walk_indexes("")).await, set(&["u:1", "u:2", "x:3"]));
        assert_eq!(all(store.walk_entries("")).await, set(&[]));
    });
}

fn a_walk_goes_over_all_masters_of_a_cluster() {
    let mut cluster = Cluster::start(ClusterOptions::new());
    let masters: BTreeSet<_> = (0..100).map(|number| cluster.master_of_key(&name(number))).collect();
    assert!(masters.len() > 1);
    on_tokio(async {
        let store = config(&cluster.url()).lazy(Tokio);
        create_all(&store, (0..100).map(name)).await;
        for index in ["u:1", "u:2", "u:3", "u:4", "u:5", "u:6"] {
            enroll(&store, index, "m").await.unwrap();
        }
        // One that nothing was asked of yet.
        let store = config(&cluster.url()).lazy(Tokio);
        assert_eq!(all(store.walk_entries("a:")).await, (0..100).map(name).collect());
        assert_eq!(all(store.walk_indexes("u:")).await.len(), 6);
    });
    let scanned = cluster.nodes().iter().filter(|node| node.calls().contains_key("scan")).count();
    assert_eq!(scanned, masters.len());
}

fn a_walk_goes_over_the_master_of_sentinels() {
    let sentinel = Sentinel::start(SentinelOptions::new());
    on_tokio(async {
        let store = config(&sentinel.url()).lazy(Tokio);
        create_all(&store, (0..10).map(name)).await;
        assert_eq!(all(store.walk_entries("")).await, (0..10).map(name).collect());
    });
}

fn a_walk_whose_connection_is_lost_has_ended() {
    let mut server = Redis::start(Options::new().durable());
    on_tokio(async {
        let store = store(&server);
        create_all(&store, (0..MANY).map(name)).await;
        let mut walk = store.walk_entries("");
        assert!(walk.next_page().await.unwrap().is_some());
        // With another table, so that the place in the old one says nothing.
        server.restart();
        for _ in 0..3 {
            assert_eq!(walk.next_page().await.unwrap_err().fault(), Fault::Unavailable);
        }
        assert_eq!(all(store.walk_entries("")).await.len(), MANY);
    });
}

fn a_walk_needs_one_right_more() {
    let rules = "on >word ~* -@all +get +pttl +set +pexpire +del +evalsha +eval +ping";
    let server = Redis::start(Options::new().user("web", rules).user("admin", &format!("{rules} +scan")));
    let url = |user: &str| format!("redis://{user}:word@127.0.0.1:{}", server.port());
    on_tokio(async {
        create_all(&config(&url("web")).lazy(Tokio), ["a"]).await;
        let error = config(&url("web")).lazy(Tokio).walk_entries("").next_page().await.unwrap_err();
        assert_eq!(error.fault(), Fault::Refused);
        assert_eq!(all(config(&url("admin")).lazy(Tokio).walk_entries("")).await, set(&["a"]));
    });
}

fn a_connection_of_the_applications_is_not_walked_over() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let client = redis::Client::open(server.url()).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut walk = RedisConfig::client(connection).lazy(Tokio).walk_entries("");
        assert_eq!(walk.next_page().await.unwrap_err().fault(), Fault::Refused);
        assert_eq!(format!("{walk:?}"), "RedisWalk { kind: \"string\", .. }");
    });
}
