//! What the store says of a server that may lose sessions.

use std::{cell::RefCell, io, num::NonZeroU8, sync::Once, time::Duration};

use cloakroom_redis::{RedisConfig, RedisStore};
use cloakroom_tests::servers::{Options, Redis};
use cloakroom_tokio::Tokio;

use crate::common::{create, load, until};

tests! {
    a_server_that_evicts_and_keeps_nothing_is_warned_of_once,
    a_server_that_keeps_what_it_has_is_not_warned_of,
    the_look_at_the_server_can_be_switched_off,
    a_server_that_does_not_say_is_left_alone,
}

thread_local! {
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what is logged on each thread, and so in each test, apart.
#[derive(Clone, Copy)]
struct Log;

impl Log {
    fn take() -> String {
        String::from_utf8(LOG.take()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs a test on one thread, and returns what was logged.
fn logged(test: impl Future<Output = ()>) -> String {
    static SUBSCRIBER: Once = Once::new();
    SUBSCRIBER.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::INFO);
        subscriber.with_ansi(false).with_writer(|| Log).init();
    });
    Log::take();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    Log::take()
}

/// Lets a store connect again and again, and waits until it has looked at the server.
async fn use_it(store: &RedisStore, server: &Redis, looks: bool) {
    create(store, "k", "the-secret-value").await.unwrap();
    if looks {
        until("a look at the server", async || server.calls().contains_key("config|get")).await;
    }
    for _ in 0..3 {
        for _ in 0..4 {
            load(store, "k").await.unwrap();
        }
        server.ask(&["CLIENT", "KILL", "TYPE", "NORMAL"]);
    }
    // What was sent is answered in order.
    load(store, "k").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
}

fn a_server_that_evicts_and_keeps_nothing_is_warned_of_once() {
    let options = Options::new().set("maxmemory", "100mb").set("maxmemory-policy", "volatile-lru");
    let server = Redis::start(options);
    let log = logged(async {
        let config = RedisConfig::new(&server.url()).unwrap().connections(NonZeroU8::new(3).unwrap());
        use_it(&config.lazy(Tokio), &server, true).await;
    });
    assert_eq!(log.lines().count(), 2, "{log}");
    assert!(log.contains("volatile-lru") && log.contains("on disk"), "{log}");
    assert!(!log.contains("the-secret"));
    assert_eq!(server.calls()["config|get"], 1);
    // Each store says so once.
    let log = logged(async { use_it(&RedisStore::connect(&server.url(), Tokio).await.unwrap(), &server, true).await });
    assert_eq!(log.lines().count(), 2, "{log}");
}

fn a_server_that_keeps_what_it_has_is_not_warned_of() {
    let server = Redis::start(Options::new().durable().set("maxmemory", "100mb"));
    let log = logged(async { use_it(&RedisStore::connect(&server.url(), Tokio).await.unwrap(), &server, true).await });
    assert_eq!(log, "");
}

fn the_look_at_the_server_can_be_switched_off() {
    let server = Redis::start(Options::new().set("maxmemory", "100mb").set("maxmemory-policy", "allkeys-lru"));
    let log = logged(async {
        let config = RedisConfig::new(&server.url()).unwrap().check_server(false);
        use_it(&config.connect(Tokio).await.unwrap(), &server, false).await;
    });
    assert_eq!(log, "");
    assert!(!server.calls().contains_key("config|get"));
}

fn a_server_that_does_not_say_is_left_alone() {
    let rules = "on >secret ~* -@all +get +pttl +set +evalsha +eval";
    let server = Redis::start(Options::new().user("web", rules));
    let log = logged(async {
        let url = format!("redis://web:secret@127.0.0.1:{}", server.port());
        use_it(&RedisStore::connect(&url, Tokio).await.unwrap(), &server, false).await;
    });
    assert_eq!(log, "");
}
