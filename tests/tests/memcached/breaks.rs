//! A wire that breaks at every byte of every operation, there and back.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use cloakroom_core::Version;
use cloakroom_memcached::{MemcachedConfig, MemcachedStore};
use cloakroom_store::{Created, Fault, Removed, Store, StoreError};
use cloakroom_tests::{
    demo::PATIENCE,
    proxy::{Direction, Fault as Break, Proxy},
    servers::{Memcached, MemcachedOptions},
};
use cloakroom_tokio::Tokio;
use tokio::task::JoinSet;

use crate::common::{LONG, SLACK, config, done, found, key, load, on_tokio, value};

tests! {
    a_wire_that_is_cut_anywhere_tells_the_truth,
    a_wire_that_is_reset_anywhere_tells_the_truth,
    a_wire_that_stalls_anywhere_tells_the_truth,
    a_wire_that_is_slow_anywhere_fails_nothing,
    a_connection_that_went_dead_while_idle_is_replaced,
}

const DEADLINE: Duration = Duration::from_millis(200);
const OLD: &str = "the old value";
const NEW: &str = "the new value";
const WORKERS: usize = 24;
const WAYS: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

fn url(proxy: &Proxy) -> String {
    format!("memcached://{}", proxy.address())
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operation {
    Create,
    Load,
    Remove,
    Replace,
    Touch,
}

const ALL: [Operation; 5] =
    [Operation::Create, Operation::Load, Operation::Remove, Operation::Replace, Operation::Touch];

impl Operation {
    /// Does it; it must do what it says where it is well.
    async fn run(self, store: &MemcachedStore, name: &str, version: &Version) -> Result<(), StoreError> {
        let key = key(name);
        match self {
            Self::Create => assert!(matches!(store.create(&key, &value(NEW), LONG).await?, Created::Done(_))),
            Self::Load => assert_eq!(load(store, name).await?.as_deref(), Some(OLD)),
            Self::Remove => assert_eq!(store.remove(&key, version).await?, Removed::Done),
            Self::Replace => drop(done(store.replace(&key, version, &value(NEW), LONG).await?)),
            Self::Touch => drop(done(store.touch(&key, version, &value(OLD), LONG).await?)),
        }
        Ok(())
    }

    /// Returns what is under the key, and whether it lives long, before and after.
    fn states(self) -> [Option<(&'static str, bool)>; 2] {
        match self {
            Self::Create => [None, Some((NEW, true))],
            Self::Load => [Some((OLD, false)), Some((OLD, false))],
            Self::Remove => [Some((OLD, false)), None],
            Self::Replace => [Some((OLD, false)), Some((NEW, true))],
            Self::Touch => [Some((OLD, false)), Some((OLD, true))],
        }
    }
}

/// Returns what is under a key, and whether it lives for longer than it did at first.
fn state(server: &Memcached, name: &str) -> Option<(String, bool)> {
    let answer = server.ask(&format!("mg {name} t v"));
    let (head, value) = answer.split_once("\r\n")?;
    let ttl: i64 = head.strip_prefix("VA ")?.split_once(" t")?.1.parse().unwrap();
    Some((value.strip_suffix("\r\n")?.to_owned(), ttl > 300))
}

struct Worker {
    server: Arc<Memcached>,
    proxy: Proxy,
    store: MemcachedStore,
    action: Break,
    number: usize,
    tried: usize,
    /// What failed, so that it must never happen, with what was there.
    failed: Vec<(String, Operation)>,
}

impl Worker {
    fn new(server: &Arc<Memcached>, action: Break, number: usize) -> Self {
        let proxy = Proxy::start(server.address());
        // Where something stalls, every place is waited for.
        let deadline = if action == Break::Swallow { DEADLINE } else { MemcachedConfig::DEADLINE };
        let store = config(&url(&proxy)).deadline(deadline).lazy(Tokio);
        Self { server: server.clone(), proxy, store, action, number, tried: 0, failed: Vec::new() }
    }

    fn set(&self, name: &str, text: &str) -> Version {
        let answer = self.server.ask(&format!("ms {name} {} c T100\r\n{text}", text.len()));
        Version::from_u64(answer.trim_end().strip_prefix("HD c").unwrap().parse().unwrap())
    }

    fn prepare(&mut self, operation: Operation) -> (String, Version) {
        let name = format!("w{:02}-{:04}", self.number, self.tried);
        self.tried += 1;
        let version = match operation {
            Operation::Create => Version::from_u64(1),
            _ => self.set(&name, OLD),
        };
        (name, version)
    }

    /// Returns how many bytes an operation takes there and back.
    async fn measure(&mut self, operation: Operation) -> [u64; 2] {
        // A connection is there.
        load(&self.store, "none").await.unwrap();
        let (name, version) = self.prepare(operation);
        let before = WAYS.map(|way| self.proxy.bytes(way));
        operation.run(&self.store, &name, &version).await.unwrap();
        let after = WAYS.map(|way| self.proxy.bytes(way));
        [after[0] - before[0], after[1] - before[1]]
    }

    /// Breaks the wire at a byte of an operation.
    async fn break_at(&mut self, operation: Operation, way: Direction, after: u64) {
        let place = format!("{operation:?}, {way:?}, byte {after}, {:?}", self.action);
        let (name, version) = self.prepare(operation);
        let others = [format!("other-{}-a", self.number), format!("other-{}-b", self.number)];
        for other in &others {
            self.set(other, other);
        }
        // The operation meets a connection that is there.
        load_by_and_by(&self.store, &others[0], &place).await;
        let struck = self.proxy.faults();
        self.proxy.strike(way, after, self.action);
        let since = Instant::now();
        let (done, a, b) = tokio::join!(
            operation.run(&self.store, &name, &version),
            load(&self.store, &others[0]),
            load(&self.store, &others[1]),
        );
        assert!(since.elapsed() < DEADLINE + SLACK, "{place}: {:?}", since.elapsed());
        assert!(self.proxy.faults() > struck, "{place}: it was not met");
        self.proxy.heal();
        for (other, found) in others.iter().zip([a, b]) {
            if let Ok(found) = found {
                assert_eq!(found.as_ref(), Some(other), "{place}: the answer of another");
            }
        }
        let [before, after] = operation.states().map(|state| state.map(|(text, long)| (text.to_owned(), long)));
        let found = state(&self.server, &name);
        match done {
            Ok(()) => assert_eq!(found, after, "{place}: it is done"),
            Err(error) => {
                if !error.may_have_happened() {
                    assert_eq!(found, before, "{place}: it failed");
                    self.failed.push((name, operation));
                } else {
                    assert!(operation != Operation::Load, "{place}: a load is never unknown");
                    assert!(found == before || found == after, "{place}: {found:?}");
                }
                match self.action {
                    // Another that ran out of time may have closed the connection a moment before.
                    Break::Swallow => {
                        let is_told = matches!(error.fault(), Fault::TimedOut | Fault::Unavailable);
                        assert!(is_told, "{place}: {error:?}");
                    }
                    Break::Finish | Break::Reset => {
                        assert!(operation != Operation::Load, "{place}: a load goes on elsewhere");
                        assert_eq!(error.fault(), Fault::Unavailable, "{place}: {error:?}");
                    }
                    _ => panic!("{place}: {error:?}"),
                }
            }
        }
        // What comes next works, over another connection.
        load_by_and_by(&self.store, &others[1], &place).await;
    }

    /// Checks that what failed has not happened later.
    fn check(&mut self) {
        for (name, operation) in std::mem::take(&mut self.failed) {
            let [before, _] = operation.states().map(|state| state.map(|(text, long)| (text.to_owned(), long)));
            assert_eq!(state(&self.server, &name), before, "{operation:?} failed, and happened later");
        }
    }
}

/// Loads what is there. On a busy machine, a connection may take longer than the short deadline leaves for it.
async fn load_by_and_by(store: &MemcachedStore, name: &str, place: &str) {
    let since = Instant::now();
    loop {
        match load(store, name).await {
            Ok(found) => return assert_eq!(found.as_deref(), Some(name), "{place}"),
            Err(error) => assert!(since.elapsed() < PATIENCE, "{place}: {error:?}"),
        }
    }
}

fn break_everywhere(action: Break) {
    let server = Arc::new(Memcached::start(MemcachedOptions::new()));
    on_tokio(async {
        let mut places = VecDeque::new();
        let mut first = Worker::new(&server, action, WORKERS);
        for operation in ALL {
            let bytes = first.measure(operation).await;
            assert!(bytes[0] > 20 && bytes[1] > 3, "{operation:?}: {bytes:?}");
            for (way, bytes) in WAYS.into_iter().zip(bytes) {
                places.extend((0..bytes).map(|byte| (operation, way, byte)));
            }
        }
        let (count, since) = (places.len(), Instant::now());
        let places = Arc::new(Mutex::new(places));
        let mut workers = JoinSet::new();
        for number in 0..WORKERS {
            let (mut worker, places) = (Worker::new(&server, action, number), places.clone());
            workers.spawn(async move {
                loop {
                    let Some((operation, way, byte)) = places.lock().unwrap().pop_front() else { break };
                    worker.break_at(operation, way, byte).await;
                }
                worker
            });
        }
        for mut worker in workers.join_all().await {
            worker.check();
        }
        println!("{action:?} at {count} places: {:?}", since.elapsed());
    });
}

fn a_wire_that_is_cut_anywhere_tells_the_truth() {
    break_everywhere(Break::Finish);
}

fn a_wire_that_is_reset_anywhere_tells_the_truth() {
    break_everywhere(Break::Reset);
}

fn a_wire_that_stalls_anywhere_tells_the_truth() {
    break_everywhere(Break::Swallow);
}

fn a_wire_that_is_slow_anywhere_fails_nothing() {
    break_everywhere(Break::Delay(Duration::from_millis(10)));
}

fn a_connection_that_went_dead_while_idle_is_replaced() {
    let server = Memcached::start(MemcachedOptions::new());
    on_tokio(async {
        let proxy = Proxy::start(server.address());
        let store = config(&url(&proxy)).deadline(DEADLINE).lazy(Tokio);
        let mut version = crate::common::create(&store, "k", "0").await.unwrap();
        for round in 1..6 {
            // The next byte is carried nowhere, on this connection alone.
            proxy.strike(Direction::ToServer, 0, Break::Swallow);
            let since = Instant::now();
            let error = crate::common::replace(&store, "k", &version, "never").await.unwrap_err();
            assert!(error.may_have_happened(), "nobody can know");
            assert!(since.elapsed() < DEADLINE + SLACK);
            version = done(crate::common::replace(&store, "k", &version, &round.to_string()).await.unwrap());
        }
        assert_eq!(found(&store, "k").await.unwrap().unwrap().value, value("5"));
    });
}
