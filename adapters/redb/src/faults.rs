//! The store over a disk that fails on command.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::{
    io::{self, ErrorKind},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use cloakroom_core::{StoreKey, Value, Version};
use cloakroom_runtime::{BoxFuture, Endpoint, Runtime, Stream, Task};
use cloakroom_store::{Created, Directory, Fault, Removed, Store, StoreError, Written};
use cloakroom_tokio::Tokio;
use redb::{StorageBackend, backends::FileBackend};
use tempfile::TempDir;

use crate::{OpenError, RedbConfig, RedbStore, open::Opener};

const TTL: Duration = Duration::from_secs(60);

/// What the disk does.
#[derive(Debug, Default)]
struct Disk {
    /// Refuses reads.
    reads: AtomicUsize,
    /// Refuses writes, by the kind of [`Disk::kind`].
    writes: AtomicUsize,
    /// Refuses to make files longer.
    growth: AtomicUsize,
    syncs: AtomicUsize,
    opened: AtomicUsize,
    /// How long it takes to open a file.
    opening_secs: AtomicUsize,
}

const FULL: usize = 1;
const BROKEN: usize = 2;
const PANIC: usize = 3;
/// Broken for one operation.
const ONCE: usize = 4;

impl Disk {
    fn check(switch: &AtomicUsize) -> io::Result<()> {
        match switch.load(Ordering::SeqCst) {
            0 => Ok(()),
            FULL => Err(ErrorKind::StorageFull.into()),
            PANIC => panic!("on command"),
            ONCE => {
                switch.store(0, Ordering::SeqCst);
                Err(io::Error::from_raw_os_error(5))
            }
            _ => Err(io::Error::from_raw_os_error(5)),
        }
    }
}

#[derive(Debug)]
struct Failing {
    file: FileBackend,
    disk: Arc<Disk>,
}

impl StorageBackend for Failing {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        Disk::check(&self.disk.reads)?;
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if len > self.file.len()? {
            Disk::check(&self.disk.growth)?;
        }
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Disk::check(&self.disk.syncs)?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        Disk::check(&self.disk.writes)?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

/// Tokio with a clock that the test moves, so that the store waits as long as the test wants.
#[derive(Clone, Debug, Default)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    }
}

impl Runtime for Clock {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Tokio.sleep(duration)
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) -> Task {
        Tokio.spawn(future)
    }

    fn unblock(&self, function: Box<dyn FnOnce() + Send + 'static>) -> Task {
        Tokio.unblock(function)
    }

    fn connect(&self, endpoint: &Endpoint) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        Tokio.connect(endpoint)
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
            + Duration::from_secs(1_800_000_000)
            + Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
}

struct Case {
    store: RedbStore,
    disk: Arc<Disk>,
    clock: Clock,
    folder: TempDir,
}

impl Case {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (disk, clock) = (Arc::new(Disk::default()), Clock::default());
        let path = folder.path().join("s.redb");
        let opener = Opener::new(path.clone(), 1024 * 1024).with_database({
            let (disk, clock) = (Arc::clone(&disk), clock.clone());
            move |builder, file| {
                disk.opened.fetch_add(1, Ordering::SeqCst);
                clock.advance(Duration::from_secs(disk.opening_secs.load(Ordering::SeqCst) as u64));
                builder.create_with_backend(Failing { file: FileBackend::new(file)?, disk: Arc::clone(&disk) })
            }
        });
        let config = RedbConfig::new(path).sweep_every(Duration::from_secs(1_000_000));
        let store = config.open_with(Arc::new(clock.clone()), opener).await.unwrap();
        Self { store, disk, clock, folder }
    }

    async fn create(&self, number: usize) -> Version {
        match self.store.create(&key(number), &value(), TTL).await.unwrap() {
            Created::Done(version) => version,
            Created::Exists => panic!("there is one"),
        }
    }

    async fn fails(&self, number: usize) -> StoreError {
        self.store.create(&key(number), &value(), TTL).await.unwrap_err()
    }

    async fn is_there(&self, number: usize) -> bool {
        self.store.load(&key(number)).await.unwrap().is_some()
    }

    fn opened(&self) -> usize {
        self.disk.opened.load(Ordering::SeqCst)
    }
}

fn key(number: usize) -> StoreKey {
    StoreKey::new(&format!("s:{number:022}")).unwrap()
}

/// One of the longest.
fn long_key(number: usize) -> StoreKey {
    StoreKey::new(&format!("s:{number:0118}")).unwrap()
}

fn value() -> Value {
    Value::from(vec![b'x'; 3000])
}

fn set(switch: &AtomicUsize, to: usize) {
    switch.store(to, Ordering::SeqCst);
}

#[tokio::test]
async fn a_disk_that_is_full_is_told_and_loads_go_on() {
    let case = Case::new().await;
    set(&case.disk.growth, FULL);
    let mut count = 0;
    let error = loop {
        match case.store.create(&key(count), &value(), TTL).await {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.fault(), Fault::Full, "{error:?}");
    assert!(count > 50, "{count}");
    for number in 0..count {
        assert!(case.is_there(number).await, "{number} of {count}");
    }
    assert!(!case.is_there(count).await);
    assert_eq!(case.store.metrics().failures_total, 1);

    set(&case.disk.growth, 0);
    case.clock.advance(Duration::from_millis(100));
    case.create(count).await;
}

#[tokio::test]
async fn a_disk_that_stays_full_is_not_tried_for_each_write() {
    let case = Case::new().await;
    case.create(1).await;
    set(&case.disk.writes, FULL);
    let error = case.fails(2).await;
    assert_eq!((error.fault(), error.may_have_happened()), (Fault::Full, true), "{error:?}");
    let opened = case.opened();
    for number in 3..50 {
        let error = case.fails(number).await;
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::Full, false), "{error:?}");
    }
    assert_eq!(case.opened(), opened);
    // Longer each time: as many tries as the bounds allow.
    for number in 50..250 {
        case.clock.advance(Duration::from_millis(100));
        assert_eq!(case.fails(number).await.fault(), Fault::Full);
    }
    assert!((5..30).contains(&(case.opened() - opened)), "{}", case.opened() - opened);

    set(&case.disk.writes, 0);
    case.clock.advance(Duration::from_secs(2));
    assert!(case.is_there(1).await);
    case.create(300).await;
    case.create(301).await;
}

#[tokio::test]
async fn a_file_that_takes_long_to_open_is_written_five_seconds_later() {
    let case = Case::new().await;
    case.create(1).await;
    for (opening, refused_millis) in [(60, 5000), (1, 5000), (0, 100)] {
        set(&case.disk.opening_secs, opening);
        set(&case.disk.syncs, BROKEN);
        case.fails(100 + opening).await;
        set(&case.disk.syncs, 0);
        // Opens it anew; only then does the time begin.
        case.store.load(&key(1)).await.unwrap();
        case.clock.advance(Duration::from_millis(refused_millis - 1));
        let error = case.fails(3).await;
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::Unavailable, false), "{opening}: {error:?}");
        case.clock.advance(Duration::from_millis(1));
        case.create(10 + opening).await;
    }
}

#[tokio::test]
async fn a_sync_that_fails_leaves_it_open_whether_the_write_happened() {
    let case = Case::new().await;
    let version = case.create(1).await;
    set(&case.disk.syncs, BROKEN);
    let error = case.store.replace(&key(1), &version, &value(), 2 * TTL).await.unwrap_err();
    assert_eq!((error.fault(), error.may_have_happened()), (Fault::Unavailable, true), "{error:?}");
    set(&case.disk.syncs, 0);
    let found = case.store.load(&key(1)).await.unwrap().unwrap();
    case.clock.advance(Duration::from_millis(100));
    // Whichever it was, it stays so, and no version comes back.
    let replaced = case.store.replace(&key(1), &found.version, &value(), TTL).await.unwrap();
    let Written::Done(replaced) = replaced else { panic!("{replaced:?}") };
    let numbers = [version, found.version, replaced].map(|version| version.as_u64().unwrap());
    assert!(numbers[0] <= numbers[1] && numbers[2] > numbers[0] + 1 && numbers[2] > numbers[1], "{numbers:?}");
}

#[tokio::test]
async fn all_writes_of_a_commit_that_fails_are_told() {
    let case = Case::new().await;
    case.create(1).await;
    set(&case.disk.syncs, BROKEN);
    let tasks: Vec<_> = (10..30)
        .map(|number| {
            let store = case.store.clone();
            tokio::spawn(async move { store.create(&key(number), &value(), TTL).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap_err().fault(), Fault::Unavailable);
    }
    set(&case.disk.syncs, 0);
    case.clock.advance(Duration::from_secs(2));
    case.create(50).await;
    assert!(case.is_there(1).await);
}

#[tokio::test]
async fn a_read_that_fails_once_is_tried_again_at_once() {
    let case = Case::new().await;
    // More than the cache holds.
    for number in 0..600 {
        case.create(number).await;
    }
    set(&case.disk.reads, ONCE);
    for number in 0..600 {
        assert!(case.is_there(number).await, "{number}");
    }
    assert_eq!((case.store.metrics().failures_total, case.disk.reads.load(Ordering::SeqCst)), (1, 0));
}

#[tokio::test]
async fn an_enrolment_that_fails_is_told_and_listings_go_on() {
    let case = Case::new().await;
    let index = key(0);
    case.store.enroll(&index, &key(1), TTL).await.unwrap();
    set(&case.disk.syncs, BROKEN);
    let error = case.store.enroll(&index, &key(2), TTL).await.unwrap_err();
    assert_eq!((error.fault(), error.may_have_happened()), (Fault::Unavailable, true), "{error:?}");
    set(&case.disk.syncs, 0);
    let listed = case.store.list(&index, 10).await.unwrap();
    assert!(listed.keys.contains(&key(1)), "{listed:?}");
    let error = case.store.enroll(&index, &key(3), TTL).await.unwrap_err();
    assert!(!error.may_have_happened(), "it is not tried so soon: {error:?}");
    assert_eq!(case.store.list(&index, 10).await.unwrap(), listed, "whichever it was, it stays so");
    case.clock.advance(Duration::from_secs(2));
    case.store.enroll(&index, &key(3), TTL).await.unwrap();
    assert!(case.store.list(&index, 10).await.unwrap().keys.contains(&key(3)));
}

#[tokio::test]
async fn a_listing_that_fails_once_is_tried_again_at_once() {
    const MEMBERS: usize = 6_000;
    let case = Case::new().await;
    let index = long_key(0);
    // More than the cache holds.
    let enroll = |number| {
        let (store, index) = (case.store.clone(), index.clone());
        tokio::spawn(async move { store.enroll(&index, &long_key(number), TTL).await })
    };
    let enrolling: Vec<_> = (0..MEMBERS).map(enroll).collect();
    for enrolled in enrolling {
        enrolled.await.unwrap().unwrap();
    }
    set(&case.disk.reads, ONCE);
    assert_eq!(case.store.list(&index, 10).await.unwrap().total, MEMBERS as u64);
    assert_eq!((case.store.metrics().failures_total, case.disk.reads.load(Ordering::SeqCst)), (1, 0));
    set(&case.disk.reads, BROKEN);
    let error = case.store.list(&index, 10).await.unwrap_err();
    assert_eq!((error.fault(), error.may_have_happened()), (Fault::Unavailable, false), "{error:?}");
}

#[tokio::test]
async fn a_disk_that_cannot_be_read_is_tried_from_time_to_time() {
    let case = Case::new().await;
    // More than the cache holds.
    for number in 0..600 {
        case.create(number).await;
    }
    set(&case.disk.reads, BROKEN);
    let mut failed = 0;
    for number in 0..600 {
        if let Err(error) = case.store.load(&key(number)).await {
            assert_eq!((error.fault(), error.may_have_happened()), (Fault::Unavailable, false));
            failed += 1;
        }
    }
    assert!(failed > 0);
    assert!(case.opened() < 10, "{}", case.opened());
    set(&case.disk.reads, 0);
    case.clock.advance(Duration::from_secs(2));
    for number in 0..600 {
        assert!(case.is_there(number).await);
    }
    case.create(600).await;
}

#[tokio::test]
async fn a_write_after_a_read_that_failed_succeeds() {
    let case = Case::new().await;
    for number in 0..600 {
        case.create(number).await;
    }
    set(&case.disk.reads, BROKEN);
    let mut number = 0;
    while case.store.load(&key(number)).await.is_ok() {
        number += 1;
    }
    set(&case.disk.reads, 0);
    case.clock.advance(Duration::from_secs(2));
    case.create(600).await;
}

#[tokio::test]
async fn a_panic_below_is_told_and_does_not_end_the_store() {
    let case = Case::new().await;
    let version = case.create(1).await;
    set(&case.disk.writes, PANIC);
    let error = case.fails(2).await;
    assert_eq!((error.fault(), error.may_have_happened()), (Fault::Internal, true), "{error:?}");
    set(&case.disk.writes, 0);
    case.clock.advance(Duration::from_secs(2));
    assert!(case.is_there(1).await);
    assert_eq!(case.store.remove(&key(1), &version).await.unwrap(), Removed::Done);
    case.create(3).await;
}

#[tokio::test]
async fn a_file_that_went_away_is_not_made_anew() {
    let case = Case::new().await;
    case.create(1).await;
    let path = case.folder.path().join("s.redb");
    for empty in [false, true] {
        set(&case.disk.syncs, BROKEN);
        case.fails(10 + usize::from(empty)).await;
        set(&case.disk.syncs, 0);
        std::fs::rename(&path, path.with_extension("away")).unwrap();
        if empty {
            std::fs::write(&path, "").unwrap();
        }
        case.clock.advance(Duration::from_secs(2));
        assert!(case.store.load(&key(1)).await.is_err(), "an absent session where the store is gone");
        assert_eq!(path.exists(), empty);
        std::fs::rename(path.with_extension("away"), &path).unwrap();
        case.clock.advance(Duration::from_secs(2));
        assert!(case.is_there(1).await);
        case.create(3 + usize::from(empty)).await;
    }
}

#[tokio::test]
async fn errors_say_what_the_system_said_and_nothing_of_what_is_stored() {
    let case = Case::new().await;
    case.create(1234).await;
    set(&case.disk.syncs, BROKEN);
    let error = case.fails(5678).await;
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("os error 5"), "{source}");
    let shown = format!("{error} {error:?} {source}");
    assert!(!shown.contains("5678") && !shown.contains("1234") && !shown.contains("xxx"), "{shown}");
}

#[tokio::test]
async fn a_panic_of_the_database_while_it_opens_a_file_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.redb");
    let opener = Opener::new(path.clone(), 1024 * 1024).with_database(|_, _| panic!("on command"));
    let opened = RedbConfig::new(&path).open_with(Arc::new(Tokio), opener).await;
    assert!(matches!(opened, Err(OpenError::Damaged(named)) if named == path));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
