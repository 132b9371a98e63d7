//! What the store says of servers that may lose sessions.

use std::{cell::RefCell, io, num::NonZeroU8, sync::Once};

use cloakroom_memcached::{MemcachedConfig, MemcachedStore};
use cloakroom_tests::servers::{Memcached, MemcachedOptions};
use cloakroom_tokio::Tokio;

use crate::common::{create, load};

tests! {
    a_server_that_evicts_is_warned_of_once,
    memory_alone_is_warned_of_where_nothing_is_evicted,
    the_warnings_can_be_switched_off,
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

async fn use_it(store: &MemcachedStore) {
    create(store, "k", "the-secret-value").await.unwrap();
    for _ in 0..6 {
        load(store, "k").await.unwrap();
    }
}

fn a_server_that_evicts_is_warned_of_once() {
    let server = Memcached::start(MemcachedOptions::new());
    let log = logged(async {
        let config = MemcachedConfig::new(&server.url()).unwrap().connections(NonZeroU8::new(3).unwrap());
        use_it(&config.lazy(Tokio)).await;
        assert_eq!(server.clients(), 3);
    });
    assert_eq!(log.lines().count(), 2, "{log}");
    assert!(log.contains("restarts") && log.contains("-M") && log.contains("127.0.0.1"), "{log}");
    assert!(!log.contains("the-secret"));
}

fn memory_alone_is_warned_of_where_nothing_is_evicted() {
    let server = Memcached::start(MemcachedOptions::new().arguments(["-M"]));
    let log = logged(async { use_it(&MemcachedStore::connect(&server.url(), Tokio).await.unwrap()).await });
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("restarts"), "{log}");
}

fn the_warnings_can_be_switched_off() {
    let server = Memcached::start(MemcachedOptions::new());
    let log = logged(async {
        let config = MemcachedConfig::new(&server.url()).unwrap().check_server(false);
        use_it(&config.connect(Tokio).await.unwrap()).await;
    });
    assert_eq!(log, "");
}
