//! A process that is killed at any moment loses nothing that it acknowledged. This binary is that process as well.

#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use cloakroom_core::{StoreKey, Stored, Value};
use cloakroom_redb::{OpenError, RedbStore};
use cloakroom_store::{Created, Directory, Removed, Store, Written};
use cloakroom_tokio::Tokio;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::task::JoinSet;

use self::common::key;

const WRITERS: usize = 16;
const KEYS_EACH: usize = 8;
const KEYS: usize = WRITERS * KEYS_EACH;
/// Members of the index are told of as keys from here on, with 1 as their number.
const FIRST_MEMBER: usize = 1000;
const TTL: Duration = Duration::from_secs(3600);

fn main() {
    if let Some(path) = env::var_os("CLOAKROOM_TEST_FILE") {
        return run(be_killed(path.into()));
    }
    let trials = vec![
        Trial::test("what_was_acknowledged_outlives_kills", || kills(30)),
        Trial::test("a_kill_while_the_file_is_made_leaves_none_or_a_whole_one", kills_at_the_start),
        Trial::test("another_process_is_refused_until_the_first_is_gone", another_process),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}

/// Bytes that show whether all of them are there: a number, and a length and a content that follow from it.
fn value(number: u64) -> Value {
    let mut seed = number;
    let mut bytes = number.to_le_bytes().to_vec();
    let len = match number % 50 {
        0 => 100_000,
        rest => 40 * rest,
    };
    while bytes.len() < len as usize {
        seed = next(seed);
        bytes.push((seed >> 56) as u8);
    }
    Value::from(bytes)
}

fn number(value: &Value) -> u64 {
    u64::from_le_bytes(*value.as_bytes().first_chunk().unwrap())
}

fn next(seed: u64) -> u64 {
    seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
}

// --- The process that is killed ---------------------------------------------------------------------------------------

/// Writes as fast as it can, and says so: `S key number` before a value is sent (0 for a removal), `A key number version`
/// after it was acknowledged. Of members of the index it says the same, with 1 for those that are enrolled.
async fn be_killed(path: PathBuf) {
    let store = RedbStore::open(path, Tokio).await.unwrap();
    say(format_args!("ready"));
    if env::var_os("CLOAKROOM_TEST_IDLE").is_some() {
        thread::sleep(Duration::from_secs(600));
    }
    let first: u64 = env::var("CLOAKROOM_TEST_FIRST").unwrap().parse().unwrap();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut writers = JoinSet::<()>::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            let mut seed = next(first + writer as u64);
            loop {
                seed = next(seed);
                let number = first + COUNT.fetch_add(1, Ordering::Relaxed);
                let slot = writer * KEYS_EACH + (seed >> 40) as usize % KEYS_EACH;
                match (seed >> 50) % 4 {
                    0 => change_index(&store, slot, seed >> 60 < 10).await,
                    _ => write(&store, slot, number, seed >> 60).await,
                }
            }
        });
    }
    panic!("a writer ended: {:?}", writers.join_next().await);
}

/// Changes a key that no other task changes.
async fn write(store: &RedbStore, slot: usize, fresh: u64, choice: u64) {
    let found = store.load(&key(slot)).await.unwrap();
    match found {
        None => {
            say(format_args!("S {slot} {fresh}"));
            let Created::Done(version) = store.create(&key(slot), &value(fresh), TTL).await.unwrap() else { panic!() };
            say(format_args!("A {slot} {fresh} {}", version.as_u64().unwrap()));
        }
        Some(Stored { version, .. }) if choice < 4 => {
            say(format_args!("S {slot} 0"));
            assert_eq!(store.remove(&key(slot), &version).await.unwrap(), Removed::Done);
            say(format_args!("A {slot} 0 {}", version.as_u64().unwrap()));
        }
        Some(Stored { version, value: old, .. }) if choice < 6 => {
            let touched = store.touch(&key(slot), &version, &old, TTL).await.unwrap();
            assert_eq!(touched, Written::Done(version));
        }
        Some(Stored { version, .. }) => {
            say(format_args!("S {slot} {fresh}"));
            let replaced = store.replace(&key(slot), &version, &value(fresh), TTL).await.unwrap();
            let Written::Done(version) = replaced else { panic!("{replaced:?}") };
            say(format_args!("A {slot} {fresh} {}", version.as_u64().unwrap()));
        }
    }
}

/// Enrolls or unenrolls a member that no other task does.
async fn change_index(store: &RedbStore, slot: usize, enrolls: bool) {
    let (told, number) = (FIRST_MEMBER + slot, u8::from(enrolls));
    say(format_args!("S {told} {number}"));
    match enrolls {
        true => store.enroll(&index(), &key(slot), TTL).await.unwrap(),
        false => store.unenroll(&index(), &key(slot)).await.unwrap(),
    }
    say(format_args!("A {told} {number}"));
}

fn index() -> StoreKey {
    StoreKey::new("the-index").unwrap()
}

fn say(line: std::fmt::Arguments<'_>) {
    // In one write: a kill leaves whole lines, or cuts the last.
    let line = format!("{line}\n");
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).unwrap();
    out.flush().unwrap();
}

// --- The process that kills -------------------------------------------------------------------------------------------

struct Victim {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Victim {
    fn start(path: &Path, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.env("CLOAKROOM_TEST_FILE", path).envs(settings.iter().copied()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn wait_until_ready(&mut self) {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
    }

    /// Kills it after a while, and returns all that it said.
    fn kill_after(mut self, delay: Duration) -> Vec<String> {
        let mut child = self.child;
        let killing = thread::spawn(move || {
            thread::sleep(delay);
            child.kill().unwrap();
            assert_ne!(child.wait().unwrap().code(), Some(101), "it panicked before it was killed");
        });
        let mut said = Vec::new();
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
            said.push(line.trim_end().to_owned());
            line.clear();
        }
        killing.join().unwrap();
        said
    }
}

/// What must be under a key: what was acknowledged last, or what was sent after it.
#[derive(Clone, Copy, Default)]
struct Expected {
    acknowledged: u64,
    sent: Option<u64>,
}

fn kills(rounds: u64) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("s.redb");
    let mut expected: BTreeMap<usize, Expected> = BTreeMap::new();
    let mut versions = BTreeSet::new();
    let (mut acknowledged, mut unacknowledged) = (0, 0);
    let mut seed = 42;
    for round in 0..rounds {
        let first = ((round + 1) * 10_000_000).to_string();
        let mut victim = Victim::start(&path, &[("CLOAKROOM_TEST_FIRST", &first)]);
        victim.wait_until_ready();
        seed = next(seed);
        for line in victim.kill_after(Duration::from_micros((seed >> 33) % 120_000)) {
            let words: Vec<u64> = line.split(' ').skip(1).map(|word| word.parse().unwrap()).collect();
            let slot = expected.entry(words[0] as usize).or_default();
            if line.starts_with('S') {
                slot.sent = Some(words[1]);
            } else {
                *slot = Expected { acknowledged: words[1], sent: None };
                let is_fresh = words.get(2).is_none_or(|&version| words[1] == 0 || versions.insert(version));
                assert!(is_fresh, "round {round}: a version came back");
                acknowledged += 1;
            }
        }

        let (found, fresh_version) = run(look(&path));
        for (&slot, expected) in &mut expected {
            let there = found.get(&slot).copied().unwrap_or_default();
            let may_be = there == expected.acknowledged || Some(there) == expected.sent;
            assert!(may_be, "round {round}, key {slot}: {there} for {} {:?}", expected.acknowledged, expected.sent);
            unacknowledged += u32::from(expected.sent.is_some());
            *expected = Expected { acknowledged: there, sent: None };
        }
        assert!(found.keys().all(|slot| expected.contains_key(slot)), "round {round}: what nobody wrote");
        assert!(versions.last() < Some(&fresh_version), "round {round}: a version came back");
        versions.insert(fresh_version);
    }
    // It was busy when it was killed.
    assert!(acknowledged > 5 * rounds && unacknowledged > 20, "{acknowledged} {unacknowledged}");
    Ok(())
}

/// Opens what a kill left, and returns the numbers that are there, and a version that is given out next.
async fn look(path: &Path) -> (BTreeMap<usize, u64>, u64) {
    let store = RedbStore::open(path, Tokio).await.unwrap();
    let mut found = BTreeMap::new();
    for slot in 0..KEYS {
        if let Some(stored) = store.load(&key(slot)).await.unwrap() {
            let there = number(&stored.value);
            assert!(stored.value == value(there), "half a value");
            assert!(stored.expires_in.is_some_and(|left| left <= TTL && left > TTL / 2), "{stored:?}");
            found.insert(slot, there);
        }
    }
    assert_eq!(store.metrics().entries, found.len() as u64);
    let members = store.list(&index(), usize::MAX).await.unwrap();
    assert_eq!(store.metrics().members, members.total);
    found.extend((0..KEYS).filter(|&slot| members.keys.contains(&key(slot))).map(|slot| (FIRST_MEMBER + slot, 1)));
    let Created::Done(version) = store.create(&key(KEYS), &value(1), TTL).await.unwrap() else { panic!() };
    assert_eq!(store.remove(&key(KEYS), &version).await.unwrap(), Removed::Done);
    store.close().await;
    (found, version.as_u64().unwrap())
}

fn kills_at_the_start() -> Result<(), Failed> {
    let (mut seed, mut before) = (7, 0);
    for _ in 0..25 {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("s.redb");
        let victim = Victim::start(&path, &[("CLOAKROOM_TEST_IDLE", "1")]);
        seed = next(seed);
        let said = victim.kill_after(Duration::from_micros((seed >> 33) % 12_000));
        before += usize::from(said.is_empty());
        // Nothing is there, or a store.
        run(async {
            let store = RedbStore::open(&path, Tokio).await.unwrap();
            assert!(matches!(store.create(&key(1), &value(1), TTL).await.unwrap(), Created::Done(_)));
        });
    }
    assert!(before > 0, "each was killed after it had opened");
    Ok(())
}

fn another_process() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("s.redb");
    let mut first = Victim::start(&path, &[("CLOAKROOM_TEST_IDLE", "1")]);
    first.wait_until_ready();
    let error = run(RedbStore::open(&path, Tokio)).unwrap_err();
    assert!(matches!(error, OpenError::InUse(_)), "{error:?}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    assert!(matches!(cloakroom_redb::compact(&path), Err(OpenError::InUse(_))));
    first.kill_after(Duration::ZERO);
    run(RedbStore::open(&path, Tokio))?;
    Ok(())
}
