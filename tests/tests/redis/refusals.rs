//! What a server refuses, and how the store tells of it.

use std::{fs, thread, time::Duration};

use cloakroom_core::End;
use cloakroom_redis::{ConnectError, RedisStore};
use cloakroom_store::{Created, Fault, Removed, Store, StoreError, Written};
use cloakroom_tests::{
    demo::eventually,
    servers::{Options, Redis, Reply},
    witness::{Site, words_of},
};
use cloakroom_tokio::Tokio;

use crate::common::{
    LONG, config, create, enroll, index, key, list, load, on_tokio, replace, store, touch, unenroll, until, value,
    version,
};

tests! {
    a_wrong_type_under_the_key_is_refused,
    a_user_needs_few_rights,
    a_user_without_rights_is_refused,
    a_wrong_password_is_refused,
    a_command_that_was_renamed_is_refused,
    a_server_that_cannot_save_can_be_read,
    a_server_that_loads_is_unavailable,
    a_replica_is_unavailable_for_writes,
    a_replica_that_lost_its_master_is_unavailable,
    too_many_clients_are_unavailable,
    too_few_replicas_leave_writes_unknown,
    somebody_else_who_listens_is_an_error,
}

/// What no error may tell.
const KEY: &str = "the-secret-key";
const VALUE: &str = "the-secret-value";
const OTHER: &str = "another-secret-value";
const PASSWORD: &str = "the-secret-password";
const INDEX: &str = "the-secret-index";
const MEMBER: &str = "the-secret-member";

#[track_caller]
fn tells_nothing(error: &StoreError) {
    let told = format!("{error} {error:?} {error:#?} {}", words_of(error));
    for secret in [KEY, VALUE, OTHER, PASSWORD, INDEX, MEMBER] {
        assert!(!told.contains(secret), "{told}");
    }
}

/// Checks that something failed, and did not happen.
#[track_caller]
fn failed<T: std::fmt::Debug>(result: Result<T, StoreError>, fault: Fault, words: &str) {
    let error = result.unwrap_err();
    tells_nothing(&error);
    assert_eq!((error.fault(), error.may_have_happened()), (fault, false), "{}", words_of(&error));
    assert!(words_of(&error).contains(words), "{}", words_of(&error));
}

async fn remove(store: &RedisStore, text: &str) -> Result<Removed, StoreError> {
    store.remove(&key(KEY), &version(text)).await
}

/// Checks that no write goes.
async fn no_write_goes(store: &RedisStore, fault: Fault, words: &str) {
    failed(create(store, "absent", VALUE).await, fault, words);
    failed(replace(store, KEY, VALUE, OTHER).await, fault, words);
    failed(touch(store, KEY, VALUE).await, fault, words);
    failed(remove(store, VALUE).await, fault, words);
    failed(enroll(store, INDEX, MEMBER).await, fault, words);
    failed(unenroll(store, INDEX, MEMBER).await, fault, words);
}

fn a_wrong_type_under_the_key_is_refused() {
    let server = Redis::start(Options::new());
    server.ask(&["RPUSH", KEY, VALUE]);
    server.ask(&["SET", &index(INDEX), VALUE]);
    on_tokio(async {
        let store = store(&server);
        failed(load(&store, KEY).await, Fault::Refused, "WRONGTYPE");
        assert_eq!(create(&store, KEY, VALUE).await.unwrap(), Created::Exists);
        failed(replace(&store, KEY, VALUE, OTHER).await, Fault::Refused, "WRONGTYPE");
        failed(touch(&store, KEY, VALUE).await, Fault::Refused, "WRONGTYPE");
        failed(remove(&store, VALUE).await, Fault::Refused, "WRONGTYPE");
        failed(enroll(&store, INDEX, MEMBER).await, Fault::Refused, "WRONGTYPE");
        failed(unenroll(&store, INDEX, MEMBER).await, Fault::Refused, "WRONGTYPE");
        failed(list(&store, INDEX).await, Fault::Refused, "WRONGTYPE");
        assert_eq!(server.ask(&["LLEN", KEY]).integer(), 1, "it is left alone");
        assert_eq!(server.ask(&["GET", &index(INDEX)]).text(), VALUE, "it is left alone");
        assert_eq!(load(&store, "other").await.unwrap(), None, "the connection is as good as before");
    });
}

fn a_user_needs_few_rights() {
    let index_rules = "+time +zadd +zcount +zrange +zrangebyscore +zrem +zremrangebyscore +pexpireat";
    let rules = format!("on >{PASSWORD} ~app:* -@all +get +pttl +set +pexpire +del +evalsha +eval {index_rules}");
    let server = Redis::start(Options::new().user("web", &rules));
    on_tokio(async {
        let url = format!("redis://web:{PASSWORD}@127.0.0.1:{}", server.port());
        // With the look at the server, which this user has no right to.
        let config = cloakroom_redis::RedisConfig::new(&url).unwrap().key_prefix("app:").unwrap();
        let store = config.connect(Tokio).await.unwrap();
        assert!(matches!(create(&store, KEY, VALUE).await.unwrap(), Created::Done(_)));
        assert!(matches!(touch(&store, KEY, VALUE).await.unwrap(), Written::Done(_)));
        assert!(matches!(replace(&store, KEY, OTHER, VALUE).await.unwrap(), Written::Conflict(Some(_))));
        assert!(matches!(replace(&store, KEY, VALUE, OTHER).await.unwrap(), Written::Done(_)));
        assert_eq!(load(&store, KEY).await.unwrap().as_deref(), Some(OTHER));
        assert_eq!(server.ask(&["GET", &format!("app:{KEY}")]).text(), OTHER);
        assert_eq!(remove(&store, OTHER).await.unwrap(), Removed::Done);
        enroll(&store, INDEX, MEMBER).await.unwrap();
        assert_eq!(list(&store, INDEX).await.unwrap(), [MEMBER]);
        unenroll(&store, INDEX, MEMBER).await.unwrap();
        let site = Site::new(store, Tokio);
        let ticket = site.sign_in(1).await.unwrap();
        site.add(&ticket).await.unwrap();
        assert_eq!(site.end(&ticket).await.0, Some(End::Ended));
    });
}

fn a_user_without_rights_is_refused() {
    let reads = format!("on >{PASSWORD} ~* -@all +get +pttl +ping");
    let elsewhere = format!("on >{PASSWORD} ~other:* +@all");
    let server = Redis::start(Options::new().user("reads", &reads).user("elsewhere", &elsewhere));
    server.ask(&["SET", KEY, VALUE, "EX", "600"]);
    on_tokio(async {
        let reads = config(&format!("redis://reads:{PASSWORD}@127.0.0.1:{}", server.port())).lazy(Tokio);
        assert_eq!(load(&reads, KEY).await.unwrap().as_deref(), Some(VALUE));
        no_write_goes(&reads, Fault::Refused, "NOPERM").await;
        let elsewhere = config(&format!("redis://elsewhere:{PASSWORD}@127.0.0.1:{}", server.port())).lazy(Tokio);
        failed(load(&elsewhere, KEY).await, Fault::Refused, "NOPERM");
        failed(list(&elsewhere, INDEX).await, Fault::Refused, "NOPERM");
        no_write_goes(&elsewhere, Fault::Refused, "NOPERM").await;
    });
}

fn a_wrong_password_is_refused() {
    let server = Redis::start(Options::new().password("right"));
    on_tokio(async {
        for user in [format!(":{PASSWORD}@"), format!("nobody:{PASSWORD}@"), String::new()] {
            let url = format!("redis://{user}127.0.0.1:{}", server.port());
            let error = config(&url).connect(Tokio).await.unwrap_err();
            let ConnectError::Unreachable(error) = error else { panic!("{error:?}") };
            failed::<()>(Err(error), Fault::Refused, "");
            let store = config(&url).lazy(Tokio);
            failed(load(&store, KEY).await, Fault::Refused, "");
            let error = create(&store, KEY, VALUE).await.unwrap_err();
            tells_nothing(&error);
            assert_eq!((error.fault(), error.may_have_happened()), (Fault::Refused, false));
        }
        assert_eq!(load(&store(&server), KEY).await.unwrap(), None);
    });
}

fn a_command_that_was_renamed_is_refused() {
    let options = Options::new().set("rename-command", "EVALSHA \"\"").set("rename-command", "PTTL \"\"");
    let server = Redis::start(options);
    on_tokio(async {
        let store = store(&server);
        create(&store, KEY, VALUE).await.unwrap();
        failed(load(&store, KEY).await, Fault::Refused, "unknown command");
        failed(replace(&store, KEY, VALUE, OTHER).await, Fault::Refused, "unknown command");
        failed(touch(&store, KEY, VALUE).await, Fault::Refused, "unknown command");
        failed(remove(&store, VALUE).await, Fault::Refused, "unknown command");
    });
}

fn a_server_that_cannot_save_can_be_read() {
    let server = Redis::start(Options::new().set("dbfilename", "taken.rdb"));
    // Nothing can take the place of a folder that is not empty.
    let folder = server.socket().with_file_name("taken.rdb");
    fs::create_dir_all(folder.join("full")).unwrap();
    server.ask(&["SET", KEY, VALUE, "EX", "600"]);
    server.ask(&["ZADD", &index(INDEX), "9e15", MEMBER, "1", "over"]);
    server.ask(&["CONFIG", "SET", "save", "3600 1"]);
    server.ask(&["BGSAVE"]);
    eventually("a save that fails", || server.info("persistence")["rdb_last_bgsave_status"] == "err");
    on_tokio(async {
        for _ in 0..2 {
            // Each time over a connection of its own.
            let store = store(&server);
            assert_eq!(load(&store, KEY).await.unwrap().as_deref(), Some(VALUE));
            no_write_goes(&store, Fault::Refused, "MISCONF").await;
            assert_eq!(list(&store, INDEX).await.unwrap(), [MEMBER], "what is over cannot be removed");
            assert_eq!(load(&store, KEY).await.unwrap().as_deref(), Some(VALUE));
        }
        config(&server.url()).connect(Tokio).await.unwrap();
        server.ask(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]);
        assert!(matches!(create(&store(&server), "new", VALUE).await.unwrap(), Created::Done(_)));
    });
}

fn a_server_that_loads_is_unavailable() {
    const KEYS: usize = 60;
    // Microseconds for each key.
    let options = Options::new().set("key-load-delay", "20000").set("loading-process-events-interval-bytes", "1024");
    let mut server = Redis::start(options);
    for number in 0..KEYS {
        let incompressible: String = (0..1500_u32).map(|n| char::from(33 + (n * n * 7 % 89) as u8)).collect();
        server.ask(&["SET", &format!("{KEY}{number}"), &format!("{number}{incompressible}"), "EX", "600"]);
    }
    server.ask(&["SAVE"]);
    on_tokio(async {
        let store = store(&server);
        create(&store, KEY, VALUE).await.unwrap();
        let mut said = Vec::new();
        thread::scope(|scope| {
            let restart = scope.spawn(|| server.restart());
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(async {
                    while !restart.is_finished() {
                        for result in [load(&store, KEY).await.map(drop), create(&store, KEY, VALUE).await.map(drop)] {
                            if let Err(error) = result {
                                tells_nothing(&error);
                                said.push((error.fault(), words_of(&error)));
                            }
                        }
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                });
            });
        });
        assert!(
            said.iter().any(|(fault, words)| words.contains("LOADING") && *fault == Fault::Unavailable),
            "{said:?}"
        );
        until("the server", async || load(&store, "absent").await.is_ok()).await;
        assert!(load(&store, &format!("{KEY}7")).await.unwrap().is_some());
    });
}

fn a_replica_is_unavailable_for_writes() {
    let master = Redis::start(Options::new());
    let replica = Redis::start(Options::new().set("replicaof", &format!("127.0.0.1 {}", master.port())));
    master.ask(&["ZADD", &index(INDEX), "9e15", MEMBER, "1", "over"]);
    master.ask(&["SET", KEY, VALUE, "EX", "600"]);
    eventually("a replica that follows", || {
        replica.info("replication")["master_link_status"] == "up"
            && replica.command(&["GET", KEY]) == Reply::Text(VALUE.into())
    });
    on_tokio(async {
        let store = store(&replica);
        assert_eq!(load(&store, KEY).await.unwrap().as_deref(), Some(VALUE));
        no_write_goes(&store, Fault::Unavailable, "READONLY").await;
        assert_eq!(list(&store, INDEX).await.unwrap(), [MEMBER]);
    });
}

fn a_replica_that_lost_its_master_is_unavailable() {
    let lost = Redis::start(Options::new().set("replica-serve-stale-data", "no"));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    lost.ask(&["REPLICAOF", "127.0.0.1", &nobody.to_string()]);
    on_tokio(async {
        let store = store(&lost);
        failed(load(&store, KEY).await, Fault::Unavailable, "MASTERDOWN");
        no_write_goes(&store, Fault::Unavailable, "MASTERDOWN").await;
        failed(list(&store, INDEX).await, Fault::Unavailable, "MASTERDOWN");
        lost.ask(&["REPLICAOF", "NO", "ONE"]);
        until("the server", async || create(&store, KEY, VALUE).await.is_ok()).await;
    });
}

fn too_many_clients_are_unavailable() {
    let server = Redis::start(Options::new().set("maxclients", "4"));
    on_tokio(async {
        let mut held = Vec::new();
        while let Ok(connection) = server.connect() {
            held.push(connection);
            if held.len() == 4 {
                break;
            }
        }
        let store = store(&server);
        let error = load(&store, KEY).await.unwrap_err();
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::Unavailable, false), "{}", words_of(&error));
        let error = create(&store, KEY, VALUE).await.unwrap_err();
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::Unavailable, false), "{}", words_of(&error));
        drop(held);
        until("room for a client", async || load(&store, KEY).await.is_ok()).await;
    });
}

fn too_few_replicas_leave_writes_unknown() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let store = config(&server.url()).replicas(1).deadline(Duration::from_millis(400)).lazy(Tokio);
        let error = create(&store, KEY, VALUE).await.unwrap_err();
        tells_nothing(&error);
        assert!(error.may_have_happened(), "it is on the master: {error}");
        let error = load(&store, KEY).await.unwrap_err();
        assert!(!error.may_have_happened());
        for error in [enroll(&store, INDEX, MEMBER).await, unenroll(&store, INDEX, MEMBER).await] {
            let error = error.unwrap_err();
            tells_nothing(&error);
            assert!(error.may_have_happened(), "it is on the master: {error}");
        }
        assert!(!list(&store, INDEX).await.unwrap_err().may_have_happened());
        // One that cannot happen whatever the replicas do.
        let written = store.replace(&key("absent"), &version("1"), &value("2"), LONG).await;
        assert!(written.is_err());
    });
}

fn somebody_else_who_listens_is_an_error() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let chatter = thread::spawn(move || {
        use std::io::Write as _;
        for stream in listener.incoming().take(2) {
            stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
    });
    on_tokio(async {
        for _ in 0..2 {
            let error = config(&format!("redis://{address}")).connect(Tokio).await.unwrap_err();
            let ConnectError::Unreachable(error) = error else { panic!("{error:?}") };
            assert!(!error.may_have_happened());
        }
    });
    chatter.join().unwrap();
}
