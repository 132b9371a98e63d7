//! The store gives back the room of what has expired, and leaves nothing behind when it is dropped.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::Duration;

use cloakroom_core::Value;
use cloakroom_redb::{OpenError, RedbConfig, compact};
use cloakroom_store::Store;

use self::common::{Case, MILLI, TestRuntime, eventually, key, value};

const MINUTE: Duration = Duration::from_secs(60);

async fn create_many(case: &Case, numbers: std::ops::Range<usize>, value: &Value, ttl: impl Fn(usize) -> Duration) {
    let create = |number: usize| {
        let (store, value, ttl) = (case.store.clone(), value.clone(), ttl(number));
        tokio::spawn(async move { store.create(&key(number), &value, ttl).await.unwrap() })
    };
    let creating: Vec<_> = numbers.map(create).collect();
    for created in creating {
        created.await.unwrap();
    }
}

#[tokio::test]
async fn a_sweep_drops_what_has_expired_and_nothing_else() {
    let case = Case::new().await;
    let ttl = |number: usize| if number.is_multiple_of(2) { MINUTE } else { MINUTE + MILLI };
    create_many(&case, 0..1000, &value(10), ttl).await;
    eventually("the sweeper sleeps", || case.runtime.sleepers() == 1).await;
    case.runtime.advance(MINUTE - MILLI);
    assert_eq!(case.store.sweep_now().await.unwrap(), 0);
    assert_eq!(case.store.metrics().entries, 1000);
    case.runtime.advance(MILLI);
    eventually("they are swept", || case.store.metrics().entries == 500).await;
    assert_eq!(case.store.metrics().expired_total, 500);
    for number in 0..1000 {
        assert_eq!(case.load(number).await.is_some(), number % 2 == 1);
    }
}

#[tokio::test]
async fn a_store_is_swept_at_the_interval_that_was_set() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = TestRuntime::default();
    let config = RedbConfig::new(folder.path().join("s.redb")).sweep_every(Duration::from_secs(5));
    let store = config.open(runtime.clone()).await.unwrap();
    let case = Case { store, runtime, folder };
    for round in 1..=3 {
        eventually("the sweeper sleeps", || case.runtime.sleepers() == 1).await;
        case.create(round, &value(10), Duration::from_secs(1)).await;
        case.runtime.advance(Duration::from_secs(4));
        assert_eq!((case.runtime.sleepers(), case.store.metrics().entries), (1, 1), "round {round}");
        case.runtime.advance(Duration::from_secs(1));
        eventually("it is swept", || case.store.metrics().entries == 0).await;
    }
}

#[tokio::test]
async fn a_large_sweep_goes_in_bounded_steps() {
    let case = Case::unswept().await;
    create_many(&case, 0..1000, &value(10), |_| MINUTE).await;
    let before = case.store.metrics().commits_total;
    case.runtime.advance(MINUTE);
    assert_eq!(case.store.sweep_now().await.unwrap(), 1000);
    assert_eq!(case.store.metrics().commits_total - before, 4);
}

#[tokio::test]
async fn the_sweeper_ends_with_the_last_handle() {
    let case = Case::new().await;
    let clone = case.store.clone();
    eventually("the sweeper sleeps", || (case.runtime.tasks(), case.runtime.sleepers()) == (1, 1)).await;
    drop(case.store);
    assert_eq!((case.runtime.tasks(), case.runtime.sleepers()), (1, 1));
    drop(clone);
    eventually("the sweeper ended", || (case.runtime.tasks(), case.runtime.sleepers()) == (0, 0)).await;
}

#[tokio::test]
async fn compaction_shrinks_the_file_after_many_expired() {
    let mut case = Case::unswept().await;
    let text = Value::from((0..2000).map(|number| (number % 251) as u8).collect::<Vec<_>>());
    // The tool looks at the system's clock, which is behind the test's.
    create_many(&case, 0..2000, &text, |number| if number < 1990 { MILLI } else { Duration::MAX }).await;
    case.runtime.advance(MINUTE);
    assert_eq!(case.load(0).await, None);
    let version = case.load(1995).await.unwrap().version;
    assert!(matches!(compact(case.path()), Err(OpenError::InUse(_))));
    case.store.close().await;

    let compacted = compact(case.path()).unwrap();
    assert_eq!((compacted.expired, compacted.entries), (1989, 10));
    assert!(compacted.before_bytes > 4_000_000, "{compacted:?}");
    assert!(compacted.after_bytes < compacted.before_bytes / 4, "{compacted:?}");
    assert_eq!(compacted.after_bytes, std::fs::metadata(case.path()).unwrap().len());
    let again = compact(case.path()).unwrap();
    assert_eq!((again.expired, again.entries), (0, 10));
    assert!(again.after_bytes <= compacted.after_bytes, "{again:?}");

    case.reopen().await;
    let found = case.load(1995).await.unwrap();
    assert_eq!((found.value, &found.version), (text.clone(), &version));
    case.create(0, &text, MINUTE).await;
}

#[tokio::test]
async fn compaction_makes_no_file_and_touches_no_foreign_one() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.redb");
    assert!(matches!(compact(&missing), Err(OpenError::Io(path, _)) if path == missing));
    assert!(!missing.exists());
    let foreign = folder.path().join("notes.txt");
    std::fs::write(&foreign, "notes").unwrap();
    assert!(matches!(compact(&foreign), Err(OpenError::NotAStore(path)) if path == foreign));
    assert_eq!(std::fs::read(&foreign).unwrap(), b"notes");
}

#[tokio::test]
async fn the_room_of_what_was_swept_is_used_again() {
    let case = Case::unswept().await;
    let mut sizes = Vec::new();
    for round in 0..6 {
        create_many(&case, round * 500..(round + 1) * 500, &value(2000), |_| MINUTE).await;
        sizes.push(case.store.metrics().file_bytes);
        case.runtime.advance(MINUTE);
        assert_eq!(case.store.sweep_now().await.unwrap(), 500);
    }
    assert!(sizes[5] <= 2 * sizes[1], "{sizes:?}");
    assert_eq!(case.store.load(&key(1)).await.unwrap(), None);
}
