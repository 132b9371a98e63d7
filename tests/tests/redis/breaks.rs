//! A wire that breaks at every byte of every operation, there and back.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use cloakroom_redis::RedisStore;
use cloakroom_store::{Created, Fault, Removed, Store, StoreError, Written};
use cloakroom_tests::{
    proxy::{Direction, Fault as Break, Proxy},
    servers::{Connection, Options, Redis, Reply},
    witness::Site,
};
use cloakroom_tokio::Tokio;
use tokio::task::JoinSet;

use crate::common::{
    RECOVERY, SLACK, config, create, enroll, index, key, list, load, on_tokio, replace, touch, unenroll, until, version,
};

tests! {
    a_wire_that_is_cut_anywhere_tells_the_truth,
    a_wire_that_is_reset_anywhere_tells_the_truth,
    a_wire_that_stalls_anywhere_tells_the_truth,
    a_wire_that_is_slow_anywhere_fails_nothing,
    a_connection_that_went_dead_while_idle_is_replaced,
    a_server_behind_a_dead_wire_is_found_again,
}

const DEADLINE: Duration = Duration::from_millis(200);
const OLD: &str = "the old value";
const NEW: &str = "the new value";
const MEMBER: &str = "member";
const OTHER: &str = "another";
const BOTH: &str = "another,member";
const WORKERS: usize = 24;
const WAYS: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

fn url(proxy: &Proxy) -> String {
    format!("redis://{}", proxy.address())
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operation {
    Create,
    Enroll,
    List,
    Load,
    Remove,
    Replace,
    Touch,
    Unenroll,
}

const ALL: [Operation; 8] = [
    Operation::Create,
    Operation::Enroll,
    Operation::List,
    Operation::Load,
    Operation::Remove,
    Operation::Replace,
    Operation::Touch,
    Operation::Unenroll,
];

impl Operation {
    /// Does it; it must do what it says where it is well.
    async fn run(self, store: &RedisStore, name: &str) -> Result<(), StoreError> {
        match self {
            Self::Create => assert_eq!(create(store, name, NEW).await?, Created::Done(version(NEW))),
            Self::Enroll => enroll(store, name, OTHER).await?,
            Self::List => assert_eq!(list(store, name).await?, [MEMBER]),
            Self::Load => assert_eq!(load(store, name).await?.as_deref(), Some(OLD)),
            Self::Remove => assert_eq!(store.remove(&key(name), &version(OLD)).await?, Removed::Done),
            Self::Replace => assert_eq!(replace(store, name, OLD, NEW).await?, Written::Done(version(NEW))),
            Self::Touch => assert_eq!(touch(store, name, OLD).await?, Written::Done(version(OLD))),
            Self::Unenroll => unenroll(store, name, MEMBER).await?,
        }
        Ok(())
    }

    fn only_reads(self) -> bool {
        matches!(self, Self::List | Self::Load)
    }

    fn is_of_index(self) -> bool {
        matches!(self, Self::Enroll | Self::List | Self::Unenroll)
    }

    /// Returns what is under the key, and whether it lives long, before and after.
    fn states(self) -> [Option<(&'static str, bool)>; 2] {
        match self {
            Self::Create => [None, Some((NEW, true))],
            Self::Enroll => [Some((MEMBER, false)), Some((BOTH, true))],
            Self::List => [Some((MEMBER, false)), Some((MEMBER, false))],
            Self::Load => [Some((OLD, false)), Some((OLD, false))],
            Self::Remove => [Some((OLD, false)), None],
            Self::Replace => [Some((OLD, false)), Some((NEW, true))],
            Self::Touch => [Some((OLD, false)), Some((OLD, true))],
            Self::Unenroll => [Some((MEMBER, false)), None],
        }
    }
}

/// Returns what is under a key, and whether it lives for longer than it did at first.
fn state(admin: &mut Connection, operation: Operation, name: &str) -> Option<(String, bool)> {
    let key = if operation.is_of_index() { index(name) } else { name.to_owned() };
    let value = match operation.is_of_index() {
        true => {
            let members = admin.command(&["ZRANGE", &key, "0", "-1"]).unwrap();
            members.array().iter().map(|member| member.text()).collect::<Vec<_>>().join(",")
        }
        false => match admin.command(&["GET", &key]).unwrap() {
            Reply::Nil => String::new(),
            value => value.text(),
        },
    };
    let ttl = admin.command(&["PTTL", &key]).unwrap().integer();
    (!value.is_empty()).then_some((value, ttl > 300_000))
}

struct Worker {
    proxy: Proxy,
    store: RedisStore,
    admin: Connection,
    action: Break,
    number: usize,
    tried: usize,
    /// What failed, so that it must never happen, with what was there.
    failed: Vec<(String, Operation)>,
}

impl Worker {
    fn new(server: &Redis, action: Break, number: usize) -> Self {
        let proxy = Proxy::start(server.address());
        let store = config(&url(&proxy)).deadline(DEADLINE).lazy(Tokio);
        Self { proxy, store, admin: server.connect().unwrap(), action, number, tried: 0, failed: Vec::new() }
    }

    fn prepare(&mut self, operation: Operation) -> String {
        let name = format!("w{:02}-{:04}", self.number, self.tried);
        self.tried += 1;
        if operation.is_of_index() {
            // A time that is far away as well as its key's, which is not.
            self.admin.command(&["ZADD", &index(&name), "4e12", MEMBER]).unwrap();
            self.admin.command(&["PEXPIRE", &index(&name), "100000"]).unwrap();
        } else if operation != Operation::Create {
            self.admin.command(&["SET", &name, OLD, "PX", "100000"]).unwrap();
        }
        name
    }

    /// Returns how many bytes an operation takes there and back.
    async fn measure(&mut self, operation: Operation) -> [u64; 2] {
        // The server learns the script.
        let name = self.prepare(operation);
        operation.run(&self.store, &name).await.unwrap();
        let name = self.prepare(operation);
        let before = WAYS.map(|way| self.proxy.bytes(way));
        operation.run(&self.store, &name).await.unwrap();
        let after = WAYS.map(|way| self.proxy.bytes(way));
        [after[0] - before[0], after[1] - before[1]]
    }

    /// Breaks the wire at a byte of an operation.
    async fn break_at(&mut self, operation: Operation, way: Direction, after: u64) {
        let place = format!("{operation:?}, {way:?}, byte {after}, {:?}", self.action);
        let name = self.prepare(operation);
        let others = [format!("other-{}-a", self.number), format!("other-{}-b", self.number)];
        for other in &others {
            self.admin.command(&["SET", other, other]).unwrap();
        }
        // The operation meets a connection that is there.
        load_by_and_by(&self.store, &others[0], &place).await;
        let struck = self.proxy.faults();
        self.proxy.strike(way, after, self.action);
        let since = Instant::now();
        let (done, a, b) = tokio::join!(
            operation.run(&self.store, &name),
            load(&self.store, &others[0]),
            load(&self.store, &others[1]),
        );
        assert!(since.elapsed() < DEADLINE + SLACK, "{place}: {:?}", since.elapsed());
        assert_eq!(self.proxy.faults(), struck + 1, "{place}: it was not met");
        self.proxy.heal();
        for (other, found) in others.iter().zip([a, b]) {
            if let Ok(found) = found {
                assert_eq!(found.as_ref(), Some(other), "{place}: the answer of another");
            }
        }
        let [before, after] = operation.states().map(|state| state.map(|(text, long)| (text.to_owned(), long)));
        let found = state(&mut self.admin, operation, &name);
        match done {
            Ok(()) => assert_eq!(found, after, "{place}: it is done"),
            Err(error) => {
                if !error.may_have_happened() {
                    assert_eq!(found, before, "{place}: it failed");
                    self.failed.push((name, operation));
                } else {
                    assert!(!operation.only_reads(), "{place}: a load is never unknown");
                    assert!(found == before || found == after, "{place}: {found:?}");
                }
                match self.action {
                    Break::Swallow => assert_eq!(error.fault(), Fault::TimedOut, "{place}: {error:?}"),
                    Break::Finish | Break::Reset => {
                        assert!(!operation.only_reads(), "{place}: a load goes on elsewhere");
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
            assert_eq!(state(&mut self.admin, operation, &name), before, "{operation:?} failed, and happened later");
        }
    }
}

/// Loads what is there. On a busy machine, a connection may take longer than the short deadline leaves for it.
async fn load_by_and_by(store: &RedisStore, name: &str, place: &str) {
    let since = Instant::now();
    loop {
        match load(store, name).await {
            Ok(found) => return assert_eq!(found.as_deref(), Some(name), "{place}"),
            Err(error) => assert!(since.elapsed() < RECOVERY, "{place}: {error:?}"),
        }
    }
}

fn break_everywhere(action: Break) {
    let server = Redis::start(Options::new());
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
    let server = Redis::start(Options::new());
    on_tokio(async {
        let proxy = Proxy::start(server.address());
        let store = config(&url(&proxy)).deadline(DEADLINE).lazy(Tokio);
        create(&store, "k", "0").await.unwrap();
        for round in 0..5 {
            // The next byte is carried nowhere, on this connection alone.
            proxy.strike(Direction::ToServer, 0, Break::Swallow);
            let since = Instant::now();
            let error = replace(&store, "k", &round.to_string(), "never").await.unwrap_err();
            assert!(error.may_have_happened(), "nobody can know");
            assert!(since.elapsed() < DEADLINE + SLACK);
            let written = replace(&store, "k", &round.to_string(), &(round + 1).to_string()).await;
            assert!(matches!(written.unwrap(), Written::Done(_)), "at once, over another connection");
        }
    });
}

fn a_server_behind_a_dead_wire_is_found_again() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let proxy = Proxy::start(server.address());
        let site = Site::new(config(&url(&proxy)).lazy(Tokio), Tokio);
        let store = config(&url(&proxy)).deadline(DEADLINE).lazy(Tokio);
        let ticket = site.sign_in(1).await.unwrap();
        create(&store, "k", "1").await.unwrap();
        proxy.blackhole();
        let _ = load(&store, "k").await.unwrap_err();
        for _ in 0..5 {
            let since = Instant::now();
            let error = create(&store, "new", "1").await.unwrap_err();
            assert!(!error.may_have_happened(), "no connection was made: {error:?}");
            assert!(since.elapsed() < DEADLINE + SLACK);
        }
        // As long as the pauses between attempts grow.
        let _ = tokio::time::timeout(Duration::from_secs(3), async {
            loop {
                let _ = site.read(&ticket).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        proxy.heal();
        let took = site.recovers(&ticket, Instant::now()).await;
        println!("the first success after the wire was mended: {took:?}");
        assert!(took < RECOVERY, "{took:?}");
        until("the other store", async || load(&store, "k").await.is_ok()).await;
        assert_eq!(load(&store, "new").await.unwrap(), None);
    });
}
