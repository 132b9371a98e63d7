//! Fills stores with a thousand, a hundred thousand and a million sessions; tells what each session takes beside its value,
//! and what an operation costs at each size.
//!
//! ```sh
//! cargo run --release -p cloakroom-tests --example census            # memory, redb and redis
//! cargo run --release -p cloakroom-tests --example census -- redb    # or some of them
//! ```
//!
//! Times are medians of operations one after the other, by one task, the server on this machine; and operations in a
//! second of 64 tasks at once. Compare the numbers of one run.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that measures")]

use std::{
    env, fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use cloakroom_core::{StoreKey, Value};
use cloakroom_redb::RedbStore;
use cloakroom_redis::RedisStore;
use cloakroom_store::{Created, DynStore, MemoryStore, Removed, Written};
use cloakroom_tests::{
    demo::Seed,
    servers::{Options, Redis},
};
use cloakroom_tokio::Tokio;
use tokio::{
    runtime::Builder,
    task::{JoinSet, yield_now},
};

const SIZES: [u64; 3] = [1_000, 100_000, 1_000_000];
/// The bytes of a value: a record with a user and a few keys.
const PAYLOAD: u64 = 300;
/// The characters of a key, as the engine makes them.
const KEY: u64 = 22;
const SAMPLES: u64 = 2_000;
const TASKS: u64 = 64;
const TTL: Duration = Duration::from_secs(8 * 60 * 60);

fn main() {
    let asked: Vec<String> = env::args().skip(1).collect();
    let is_asked = |name: &str| asked.is_empty() || asked.iter().any(|asked| asked == name);
    println!(
        "| store | sessions | bytes beside {PAYLOAD} | load | create | replace | touch | remove | {TASKS} tasks: loads/s | replaces/s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    if is_asked("memory") {
        let store =
            runtime.block_on(async { MemoryStore::builder().max_entries(2_000_000).max_bytes(4 << 30).build(Tokio) });
        runtime.block_on(census("memory", Arc::new(store.clone()), || store.metrics().bytes as u64));
    }
    if is_asked("redb") {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.redb");
        let store = runtime.block_on(RedbStore::open(&path, Tokio)).unwrap();
        runtime.block_on(census("redb", Arc::new(store), || fs::metadata(&path).unwrap().len()));
    }
    if is_asked("redis") {
        for (name, options) in [("redis", Options::new()), ("redis, appendfsync always", Options::new().durable())] {
            let server = Redis::start(options);
            let store = runtime.block_on(RedisStore::connect(&server.url(), Tokio)).unwrap();
            runtime.block_on(census(name, Arc::new(store), || server.info("memory")["used_memory"].parse().unwrap()));
        }
    }
}

async fn census(name: &str, store: Arc<dyn DynStore>, size: impl Fn() -> u64) {
    let empty = size();
    let mut filled = 0;
    for sessions in SIZES {
        let next = AtomicU64::new(filled);
        let next = Arc::new(next);
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            let (store, next) = (store.clone(), next.clone());
            tasks.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= sessions {
                        break;
                    }
                    let created = store.create(&key(number), &value(number, 0), TTL).await.unwrap();
                    assert!(matches!(created, Created::Done(_)));
                }
            });
        }
        tasks.join_all().await;
        filled = sessions;
        let beside = size().saturating_sub(empty) / sessions;
        let times = alone(&*store, sessions).await.map(|time| format!("{:.1} µs", time.as_nanos() as f64 / 1e3));
        let loads = together(&store, sessions, false).await;
        let replaces = together(&store, sessions, true).await;
        let beside = beside.saturating_sub(PAYLOAD);
        println!("| {name} | {sessions} | {beside} | {} | {loads} | {replaces} |", times.join(" | "));
    }
}

/// Returns the medians of load, create, replace, touch and remove.
async fn alone(store: &dyn DynStore, sessions: u64) -> [Duration; 5] {
    let mut times: [Vec<Duration>; 5] = Default::default();
    let mut random = Seed::draw().random(sessions);
    for sample in 0..SAMPLES {
        let number = random.below(sessions);
        let key = key(number);
        let began = Instant::now();
        let found = store.load(&key).await.unwrap().unwrap();
        times[0].push(began.elapsed());

        let fresh = self::key(u64::MAX - sample);
        let began = Instant::now();
        let Created::Done(made) = store.create(&fresh, &value(sample, 1), TTL).await.unwrap() else { unreachable!() };
        times[1].push(began.elapsed());

        let began = Instant::now();
        let written = store.replace(&key, &found.version, &value(number, sample), TTL).await.unwrap();
        times[2].push(began.elapsed());

        let Written::Done(version) = written else { unreachable!() };
        let began = Instant::now();
        assert!(matches!(store.touch(&key, &version, &found.value, TTL).await.unwrap(), Written::Done(_)));
        times[3].push(began.elapsed());

        let began = Instant::now();
        assert_eq!(store.remove(&fresh, &made).await.unwrap(), Removed::Done);
        times[4].push(began.elapsed());
    }
    times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    })
}

/// Returns how many loads, or loads with a replace each, all tasks do in a second.
async fn together(store: &Arc<dyn DynStore>, sessions: u64, replaces: bool) -> u64 {
    const LASTS: Duration = Duration::from_secs(3);

    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let store = store.clone();
        tasks.spawn(async move {
            let (mut random, mut done) = (Seed::draw().random(task), 0);
            while began.elapsed() < LASTS {
                let number = random.below(sessions);
                let found = store.load(&key(number)).await.unwrap().unwrap();
                if replaces {
                    // Another may have been there in between: that is a replace as well.
                    store.replace(&key(number), &found.version, &value(number, done), TTL).await.unwrap();
                }
                done += 1;
                // What never waits would keep its thread to itself.
                yield_now().await;
            }
            done
        });
    }
    tasks.join_all().await.into_iter().sum::<u64>() / LASTS.as_secs()
}

/// Spread like hashes, and as long as those that the engine makes.
fn key(number: u64) -> StoreKey {
    let spread = u128::from(number).wrapping_mul(0x2d99_787f_7d9a_1a5b_9e37_79b9_7f4a_7c15);
    let text = format!("{spread:0width$x}", width = KEY as usize);
    StoreKey::new(&text[text.len() - KEY as usize..]).unwrap()
}

fn value(number: u64, edition: u64) -> Value {
    let mut bytes = format!("{{\"user\":{number},\"edition\":{edition},\"rest\":\"").into_bytes();
    bytes.resize(PAYLOAD as usize - 2, b'x');
    bytes.extend(b"\"}");
    Value::from(bytes)
}
