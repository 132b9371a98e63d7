//! A wire that breaks at the bytes of every operation, there and back.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use cloakroom_core::Version;
use cloakroom_http::HttpStore;
use cloakroom_store::{Created, Directory, Fault, Removed, Store, StoreError, Written};
use cloakroom_tests::{
    proxy::{Direction, Fault as Break, Proxy},
    servers::Service,
};
use cloakroom_tokio::Tokio;
use tokio::task::{JoinSet, block_in_place};

use crate::common::{LONG, RECOVERY, SLACK, config, create, key, load, on_tokio, replace, service, until, value};

tests! {
    a_wire_that_is_cut_anywhere_tells_the_truth,
    a_wire_that_is_reset_anywhere_tells_the_truth,
    a_wire_that_stalls_anywhere_tells_the_truth,
    a_wire_that_is_slow_anywhere_fails_nothing,
    a_connection_that_went_dead_while_idle_is_replaced,
    a_service_behind_a_dead_wire_is_found_again,
}

const DEADLINE: Duration = Duration::from_millis(200);
const OLD: &str = "the old value";
const NEW: &str = "the new value";
const MEMBER: &str = "member";
const OTHER: &str = "other";
const WORKERS: usize = 16;
const WAYS: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

fn url(proxy: &Proxy) -> String {
    format!("http://{}", proxy.address())
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
    async fn run(self, store: &HttpStore, name: &str, version: &Version) -> Result<(), StoreError> {
        let (key, member) = (key(name), key(MEMBER));
        match self {
            Self::Create => assert!(matches!(store.create(&key, &value(NEW), LONG).await?, Created::Done(_))),
            Self::Enroll => store.enroll(&key, &crate::common::key(OTHER), LONG).await?,
            Self::List => assert_eq!(store.list(&key, 10).await?.keys, [member]),
            Self::Load => assert_eq!(load(store, name).await?.as_deref(), Some(OLD)),
            Self::Remove => assert_eq!(store.remove(&key, version).await?, Removed::Done),
            Self::Replace => drop(replace(store, name, version, NEW).await?),
            Self::Touch => {
                assert!(matches!(store.touch(&key, version, &value(OLD), LONG).await?, Written::Done(_)));
            }
            Self::Unenroll => store.unenroll(&key, &member).await?,
        }
        Ok(())
    }

    fn only_reads(self) -> bool {
        matches!(self, Self::List | Self::Load)
    }

    fn is_of_index(self) -> bool {
        matches!(self, Self::Enroll | Self::List | Self::Unenroll)
    }

    /// Returns what is under the key before and after, and whether it lives long.
    fn states(self) -> [&'static str; 2] {
        match self {
            Self::Create => ["", "the new value, long"],
            Self::Enroll => [MEMBER, "member,other"],
            Self::List => [MEMBER, MEMBER],
            Self::Load => ["the old value", "the old value"],
            Self::Remove => ["the old value", ""],
            Self::Replace => ["the old value", "the new value, long"],
            Self::Touch => ["the old value", "the old value, long"],
            Self::Unenroll => [MEMBER, ""],
        }
    }
}

/// Asks the service itself what is under a key.
fn state(service: &Service, operation: Operation, name: &str) -> String {
    if operation.is_of_index() {
        let said = service.send("GET", &format!("/indexes/{name}/members"), &[], b"").expect(200, "listed");
        let listed: serde_json::Value = serde_json::from_str(said.text()).unwrap();
        let members = listed["members"].as_array().unwrap().iter().map(|member| member.as_str().unwrap());
        let mut members: Vec<_> = members.collect();
        members.sort_unstable();
        return members.join(",");
    }
    let said = service.send("GET", &format!("/sessions/{name}"), &[], b"");
    match said.status {
        404 => String::new(),
        _ => {
            let said = said.expect(200, "found");
            let is_long = said.header("cloakroom-ttl").parse::<u64>().unwrap() > 300_000;
            format!("{}{}", said.text(), if is_long { ", long" } else { "" })
        }
    }
}

struct Worker {
    service: Arc<Service>,
    proxy: Proxy,
    store: HttpStore,
    action: Break,
    number: usize,
    tried: usize,
    /// What failed, so that it must never happen, with what was there.
    failed: Vec<(String, Operation)>,
}

impl Worker {
    fn new(service: &Arc<Service>, action: Break, number: usize) -> Self {
        let proxy = Proxy::start(service.address());
        let store = config(&url(&proxy)).deadline(DEADLINE).lazy(Tokio);
        Self { service: Arc::clone(service), proxy, store, action, number, tried: 0, failed: Vec::new() }
    }

    fn prepare(&mut self, operation: Operation) -> (String, Version) {
        let name = format!("w{:02}-{:04}", self.number, self.tried);
        self.tried += 1;
        let create = [("if-none-match", "*"), ("cloakroom-ttl", "90000")];
        let mut version = Version::from_u64(0);
        if operation.is_of_index() {
            let path = format!("/indexes/{name}/members/{MEMBER}");
            self.service.send("PUT", &path, &create[1..], b"").expect(204, "done");
        } else if operation != Operation::Create {
            let said = self.service.send("PUT", &format!("/sessions/{name}"), &create, OLD.as_bytes());
            version = Version::from_bytes(said.expect(201, "done").header("etag").trim_matches('"').as_bytes());
        }
        (name, version)
    }

    /// Returns how many bytes an operation takes there and back.
    async fn measure(&mut self, operation: Operation) -> [u64; 2] {
        self.load_by_and_by("measure").await;
        let (name, version) = self.prepare(operation);
        let before = WAYS.map(|way| self.proxy.bytes(way));
        operation.run(&self.store, &name, &version).await.unwrap();
        let after = WAYS.map(|way| self.proxy.bytes(way));
        [after[0] - before[0], after[1] - before[1]]
    }

    /// Breaks the wire at a byte of an operation.
    async fn break_at(&mut self, operation: Operation, way: Direction, after: u64) {
        let place = format!("{operation:?}, {way:?}, byte {after}, {:?}", self.action);
        let (name, version) = block_in_place(|| self.prepare(operation));
        // The operation meets a connection that is there.
        self.load_by_and_by(&place).await;
        let struck = self.proxy.faults();
        self.proxy.strike(way, after, self.action);
        let since = Instant::now();
        let done = operation.run(&self.store, &name, &version).await;
        assert!(since.elapsed() < DEADLINE + SLACK, "{place}: {:?}", since.elapsed());
        assert_eq!(self.proxy.faults(), struck + 1, "{place}: it was not met");
        self.proxy.heal();
        let [before, after] = operation.states();
        let found = block_in_place(|| state(&self.service, operation, &name));
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
        self.load_by_and_by(&place).await;
    }

    /// Loads what is not there. On a busy machine, a connection may take longer than the short deadline leaves for it.
    async fn load_by_and_by(&self, place: &str) {
        let since = Instant::now();
        while let Err(error) = load(&self.store, "nothing").await {
            assert!(since.elapsed() < RECOVERY, "{place}: {error:?}");
        }
    }

    /// Checks that what failed has not happened later.
    fn check(&mut self) {
        for (name, operation) in std::mem::take(&mut self.failed) {
            assert_eq!(state(&self.service, operation, &name), operation.states()[0], "{operation:?} of {name} failed");
        }
    }
}

/// Breaks the wire at one in so many bytes of all operations.
fn break_everywhere(action: Break, step: usize) {
    let service = Arc::new(service());
    on_tokio(async {
        let mut places = VecDeque::new();
        let mut first = Worker::new(&service, action, WORKERS);
        for operation in ALL {
            let bytes = first.measure(operation).await;
            assert!(bytes[0] > 50 && bytes[1] > 50, "{operation:?}: {bytes:?}");
            for (way, bytes) in WAYS.into_iter().zip(bytes) {
                // The last byte is what makes it whole.
                let bytes = (0..bytes).step_by(step).chain([bytes - 1]);
                places.extend(bytes.map(|byte| (operation, way, byte)));
            }
        }
        let (count, since) = (places.len(), Instant::now());
        let places = Arc::new(Mutex::new(places));
        let mut workers = JoinSet::new();
        for number in 0..WORKERS {
            let (mut worker, places) = (Worker::new(&service, action, number), places.clone());
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
    break_everywhere(Break::Finish, 3);
}

fn a_wire_that_is_reset_anywhere_tells_the_truth() {
    break_everywhere(Break::Reset, 3);
}

fn a_wire_that_stalls_anywhere_tells_the_truth() {
    break_everywhere(Break::Swallow, 7);
}

fn a_wire_that_is_slow_anywhere_fails_nothing() {
    break_everywhere(Break::Delay(Duration::from_millis(10)), 11);
}

fn a_connection_that_went_dead_while_idle_is_replaced() {
    let service = service();
    on_tokio(async {
        let proxy = Proxy::start(service.address());
        let store = config(&url(&proxy)).deadline(DEADLINE).lazy(Tokio);
        let mut version = create(&store, "k", "0").await.unwrap();
        for round in 0..5 {
            // The next byte is carried nowhere, on this connection alone.
            proxy.strike(Direction::ToServer, 0, Break::Swallow);
            let since = Instant::now();
            let error = replace(&store, "k", &version, "never").await.unwrap_err();
            assert!(error.may_have_happened(), "nobody can know");
            assert!(since.elapsed() < DEADLINE + SLACK);
            version = replace(&store, "k", &version, &round.to_string()).await.unwrap();
        }
    });
}

fn a_service_behind_a_dead_wire_is_found_again() {
    let service = service();
    on_tokio(async {
        let proxy = Proxy::start(service.address());
        let store = config(&url(&proxy)).deadline(DEADLINE).lazy(Tokio);
        create(&store, "k", "1").await.unwrap();
        proxy.blackhole();
        let _ = load(&store, "k").await.unwrap_err();
        for round in 0..5 {
            let since = Instant::now();
            // The wire lets connections in, and swallows what they carry.
            let error = create(&store, &format!("new-{round}"), "1").await.unwrap_err();
            assert!(error.may_have_happened(), "it was sent: {error:?}");
            assert!(since.elapsed() < DEADLINE + SLACK);
        }
        proxy.heal();
        let since = Instant::now();
        until("the service", async || load(&store, "k").await.is_ok()).await;
        assert!(since.elapsed() < RECOVERY, "{:?}", since.elapsed());
        for round in 0..5 {
            assert_eq!(load(&store, &format!("new-{round}")).await.unwrap(), None);
        }
    });
}
