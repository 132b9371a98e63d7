//! Connections: how many there are, whose answers they bring, and that they end.

use std::{
    net::TcpListener,
    num::NonZeroU8,
    time::{Duration, Instant},
};

use cloakroom_core::Value;
use cloakroom_redis::{ConnectError, RedisConfig, RedisStore};
use cloakroom_store::{Created, Fault, Store, Written};
use cloakroom_tests::{
    servers::{Options, Redis},
    witness::Site,
};
use cloakroom_tokio::Tokio;
use futures_util::FutureExt as _;
use tokio::task::JoinSet;

use crate::common::{LONG, SLACK, config, create, key, load, on_tokio, replace, store, until, value};

tests! {
    a_store_has_one_connection_unless_told_otherwise,
    a_lazy_store_connects_when_it_is_asked,
    a_store_that_is_dropped_leaves_nothing,
    a_store_says_at_once_that_nobody_listens,
    a_lost_connection_is_made_again,
    cancelled_operations_shift_no_answers,
    a_deadline_holds_for_connecting_too,
    a_connection_of_the_applications_serves,
    a_connection_manager_of_the_applications_comes_back,
    a_connection_of_the_applications_takes_settings,
    an_attempt_on_a_runtime_that_nobody_runs_holds_nobody_up,
    reads_are_waited_for_as_well,
}

/// How many clients there are but for those of the tests.
fn clients(server: &Redis) -> usize {
    server.ask(&["CLIENT", "LIST"]).text().lines().filter(|client| client.contains("addr=127.0.0.1:")).count()
}

async fn ask_together(store: &RedisStore) {
    let mut asked = JoinSet::new();
    for _ in 0..30 {
        let store = store.clone();
        asked.spawn(async move { load(&store, "k").await.unwrap() });
    }
    asked.join_all().await;
}

fn a_store_has_one_connection_unless_told_otherwise() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let one = store(&server);
        ask_together(&one).await;
        assert_eq!(clients(&server), 1);
        let clone = one.clone();
        ask_together(&clone).await;
        assert_eq!(clients(&server), 1, "clones share it");
        let three = config(&server.url()).connections(NonZeroU8::new(3).unwrap()).lazy(Tokio);
        ask_together(&three).await;
        assert_eq!(clients(&server), 1 + 3);
    });
}

fn a_lazy_store_connects_when_it_is_asked() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let lazy = RedisStore::lazy(&server.url(), Tokio).unwrap();
        let site = Site::new(lazy, Tokio);
        assert_eq!(site.read("__Host-id=forged").await.unwrap(), None);
        assert_eq!(clients(&server), 0);
        site.sign_in(1).await.unwrap();
        assert_eq!(clients(&server), 1);
    });
}

fn a_store_that_is_dropped_leaves_nothing() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let metrics = tokio::runtime::Handle::current().metrics();
        for connections in [1, 3] {
            let store = config(&server.url()).connections(NonZeroU8::new(connections).unwrap()).lazy(Tokio);
            ask_together(&store).await;
            assert_eq!(clients(&server), usize::from(connections));
            // One that is under way is no reason to stay.
            let k = key("k");
            server.pause();
            assert!(store.load(&k).now_or_never().is_none());
            drop(store);
            server.resume();
            until("the end of connections and tasks", async || clients(&server) == 0 && metrics.num_alive_tasks() == 0)
                .await;
        }
    });
}

fn a_store_says_at_once_that_nobody_listens() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    on_tokio(async {
        let since = Instant::now();
        let url = format!("redis://:secret@127.0.0.1:{port}");
        let error = RedisStore::connect(&url, Tokio).await.unwrap_err();
        assert!(since.elapsed() < SLACK);
        let ConnectError::Unreachable(cause) = &error else { panic!("{error:?}") };
        assert_eq!((cause.fault(), cause.may_have_happened()), (Fault::Unavailable, false));
        let words = cloakroom_tests::witness::words_of(&error);
        assert!(words.starts_with("cannot connect to Redis: ") && words.contains("refused"), "{words}");
        assert!(words.contains(&format!("no connection to 127.0.0.1:{port}: ")), "{words}");
        assert!(!words.contains("secret"));
        // A lazy one comes to life when the server does.
        let lazy = RedisStore::lazy(&url, Tokio).unwrap();
        assert!(!create(&lazy, "k", "1").await.unwrap_err().may_have_happened());
    });
}

fn a_lost_connection_is_made_again() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let store = store(&server);
        create(&store, "k", "0").await.unwrap();
        for round in 0..20 {
            server.ask(&["CLIENT", "KILL", "TYPE", "NORMAL"]);
            // A load goes on over another connection, whether or not the loss was seen before.
            assert_eq!(load(&store, "k").await.unwrap(), Some(round.to_string()));
            assert_eq!(clients(&server), 1);
            let written = replace(&store, "k", &round.to_string(), &(round + 1).to_string()).await;
            assert!(matches!(written.unwrap(), Written::Done(_)));
        }
    });
}

fn cancelled_operations_shift_no_answers() {
    const TASKS: u64 = 16;
    let server = Redis::start(Options::new());
    on_tokio(async {
        let store = store(&server);
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let store = store.clone();
            tasks.spawn(async move {
                let name = format!("key {task}").replace(' ', "-");
                // Some are larger than what one read brings.
                let size = if task % 4 == 0 { 300_000 } else { 20 };
                let text: Value = task.to_le_bytes().into_iter().cycle().take(size).collect::<Vec<_>>().into();
                assert!(matches!(store.create(&key(&name), &text, LONG).await.unwrap(), Created::Done(_)));
                let mut random = task * 7919 + 1;
                let mut cancelled = 0;
                for _ in 0..150 {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let patience = Duration::from_micros((random >> 33) % 600);
                    let name = key(&name);
                    let asking = store.load(&name);
                    match tokio::time::timeout(patience, asking).await {
                        Ok(found) => assert_eq!(found.unwrap().unwrap().value, text, "each has its own"),
                        Err(_) => cancelled += 1,
                    }
                    if random % 5 == 0 {
                        let other = value("other");
                        let version = cloakroom_core::Version::from_bytes(other.clone());
                        let writing = store.replace(&name, &version, &other, LONG);
                        if let Ok(written) = tokio::time::timeout(patience, writing).await {
                            let Written::Conflict(Some(found)) = written.unwrap() else { panic!("no conflict") };
                            assert_eq!(found.value, text);
                        }
                    }
                }
                assert_eq!(store.load(&key(&name)).await.unwrap().unwrap().value, text);
                cancelled
            });
        }
        let cancelled: u64 = tasks.join_all().await.into_iter().sum();
        println!("cancelled loads: {cancelled} of {}", TASKS * 150);
        assert!(cancelled > 50, "something was cancelled: {cancelled}");
        assert_eq!(clients(&server), 1);
    });
}

fn a_deadline_holds_for_connecting_too() {
    const DEADLINE: Duration = Duration::from_millis(400);
    // It lets clients connect, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    on_tokio(async {
        let store = config(&format!("redis://{}", silent.local_addr().unwrap())).deadline(DEADLINE).lazy(Tokio);
        for _ in 0..5 {
            let since = Instant::now();
            let error = create(&store, "k", "1").await.unwrap_err();
            assert!(since.elapsed() < DEADLINE + SLACK, "{:?}", since.elapsed());
            assert!(!error.may_have_happened(), "it was never sent");
        }
    });
}

fn a_connection_of_the_applications_serves() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let client = redis::Client::open(server.url()).unwrap();
        let mut own = client.get_multiplexed_async_connection().await.unwrap();
        let store = RedisStore::from_client(own.clone(), Tokio);
        let site = Site::new(store.clone(), Tokio);
        let ticket = site.sign_in(1).await.unwrap();
        site.add(&ticket).await.unwrap();
        let pong: String = redis::cmd("PING").query_async(&mut own).await.unwrap();
        assert_eq!((pong.as_str(), site.read(&ticket).await.unwrap()), ("PONG", Some(2)));
        assert_eq!(clients(&server), 1);
        site.end(&ticket).await.1.result().unwrap();
        assert_eq!(site.read(&ticket).await.unwrap(), None);
        server.ask(&["RPUSH", "list", "x"]);
        assert_eq!(load(&store, "list").await.unwrap_err().fault(), Fault::Refused);
        server.pause();
        let error = create(&store, "k", "1").await.unwrap_err();
        server.resume();
        assert!(error.may_have_happened(), "its own time limit is no proof: {error:?}");
        server.ask(&["CLIENT", "KILL", "TYPE", "NORMAL"]);
        until("a connection that is lost", async || load(&store, "k").await.is_err()).await;
    });
}

fn a_connection_manager_of_the_applications_comes_back() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let client = redis::Client::open(server.url()).unwrap();
        let manager = redis::aio::ConnectionManager::new(client).await.unwrap();
        let store = RedisStore::from_client(manager, Tokio);
        create(&store, "k", "1").await.unwrap();
        server.ask(&["CLIENT", "KILL", "TYPE", "NORMAL"]);
        until("another connection", async || load(&store, "k").await.is_ok()).await;
        assert!(matches!(replace(&store, "k", "1", "2").await.unwrap(), Written::Done(_)));
    });
}

fn a_connection_of_the_applications_takes_settings() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let client = redis::Client::open(server.url()).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        let store = RedisConfig::client(connection).key_prefix("shop:").unwrap().lazy(Tokio);
        create(&store, "k", "v").await.unwrap();
        assert_eq!(server.ask(&["GET", "shop:k"]).text(), "v");
        assert_eq!(load(&store, "k").await.unwrap().as_deref(), Some("v"));
    });
}

fn an_attempt_on_a_runtime_that_nobody_runs_holds_nobody_up() {
    let server = Redis::start(Options::new());
    let store = config(&server.url()).lazy(Tokio);
    let idle = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // It begins to connect there, and is given up.
    idle.block_on(async { assert!(load(&store, "k").now_or_never().is_none()) });
    on_tokio(async {
        let since = Instant::now();
        until("a connection", async || load(&store, "k").await.is_ok()).await;
        assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    });
    drop(idle);
}

fn reads_are_waited_for_as_well() {
    let master = Redis::start(Options::new());
    let replica = Redis::start(Options::new().set("replicaof", &format!("127.0.0.1 {}", master.port())));
    let link = || replica.info("replication").get("master_link_status").cloned();
    on_tokio(async {
        until("a replica", async || link().as_deref() == Some("up")).await;
        let store = config(&master.url()).replicas(1).deadline(Duration::from_secs(4)).lazy(Tokio);
        create(&store, "k", "v").await.unwrap();
        let ttl = || master.ask(&["PEXPIRETIME", "k"]).integer();
        let (before, writes) = (ttl(), master.calls().get("pexpire").copied().unwrap_or(0));
        // A server waits for what was written over the connection: so a read writes, and changes nothing.
        assert_eq!(load(&store, "k").await.unwrap().as_deref(), Some("v"));
        assert_eq!(load(&store, "none").await.unwrap(), None);
        assert!(matches!(replace(&store, "k", "other", "w").await.unwrap(), Written::Conflict(Some(_))));
        assert_eq!(master.calls()["pexpire"], writes + 2, "the load and the conflict");
        assert!((before..before + 10).contains(&ttl()), "{before} {}", ttl());
        replica.pause();
        let error = load(&store, "k").await.unwrap_err();
        assert!(!error.may_have_happened() && error.fault() == Fault::Unavailable, "{error:?}");
        replica.resume();
        until("a replica", async || load(&store, "k").await.is_ok()).await;
    });
}
