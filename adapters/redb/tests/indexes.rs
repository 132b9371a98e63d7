//! Indexes in the file: they outlive a restart, share commits, and are swept.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::Duration;

use cloakroom_core::{Members, StoreKey};
use cloakroom_redb::{RedbStore, compact};
use cloakroom_runtime::BoxFuture;
use cloakroom_store::{Directory, Fault, StoreError};
use redb::{Database, TableDefinition};

use self::common::{Case, MILLI, TTL, eventually, key, poll_once, value};

const MEMBERS: TableDefinition<'_, &[u8], u64> = TableDefinition::new("cloakroom.members");
const MEMBER_EXPIRIES: TableDefinition<'_, &[u8], ()> = TableDefinition::new("cloakroom.member_expiries");

fn index(number: usize) -> StoreKey {
    StoreKey::new(&format!("u:{number:022}")).unwrap()
}

async fn enroll(case: &Case, of: usize, member: usize, ttl: Duration) {
    case.store.enroll(&index(of), &key(member), ttl).await.unwrap();
}

async fn unenroll(case: &Case, of: usize, member: usize) {
    case.store.unenroll(&index(of), &key(member)).await.unwrap();
}

/// The members of an index, in the order of their keys.
async fn list(case: &Case, of: usize) -> Vec<StoreKey> {
    let Members { mut keys, total } = case.store.list(&index(of), usize::MAX).await.unwrap();
    assert_eq!(total, keys.len() as u64);
    keys.sort();
    keys
}

fn keys(numbers: impl IntoIterator<Item = usize>) -> Vec<StoreKey> {
    numbers.into_iter().map(key).collect()
}

fn enrolling(store: &RedbStore, member: usize) -> BoxFuture<'static, Result<(), StoreError>> {
    let store = store.clone();
    Box::pin(async move { store.enroll(&index(1), &key(member), TTL).await })
}

#[tokio::test]
async fn an_index_is_there_after_a_restart_and_its_times_go_on() {
    let mut case = Case::new().await;
    for (member, ttl) in [(1, TTL), (2, 2 * TTL), (3, 2 * TTL)] {
        enroll(&case, 1, member, ttl).await;
    }
    enroll(&case, 2, 1, 2 * TTL).await;
    unenroll(&case, 1, 3).await;
    case.reopen().await;
    assert_eq!((list(&case, 1).await, list(&case, 2).await), (keys([1, 2]), keys([1])));
    assert_eq!((case.store.metrics().members, case.store.metrics().entries), (3, 0));
    case.store.close().await;
    case.runtime.advance(TTL);
    case.reopen().await;
    assert_eq!(list(&case, 1).await, keys([2]));
    case.runtime.advance(TTL);
    assert_eq!((list(&case, 1).await, list(&case, 2).await), (keys([]), keys([])));
}

#[tokio::test]
async fn a_member_is_listed_to_its_last_millisecond() {
    let case = Case::unswept().await;
    enroll(&case, 1, 1, TTL).await;
    enroll(&case, 1, 2, Duration::from_micros(1)).await;
    assert_eq!(list(&case, 1).await, keys([1, 2]), "a part of a millisecond counts as one");
    case.runtime.advance(TTL - MILLI);
    assert_eq!(list(&case, 1).await, keys([1]));
    case.runtime.advance(MILLI);
    assert_eq!(list(&case, 1).await, keys([]));
}

#[tokio::test]
async fn who_is_gone_stays_away_when_the_clock_is_set_back() {
    let case = Case::unswept().await;
    enroll(&case, 1, 1, TTL).await;
    case.runtime.advance(TTL);
    assert_eq!(list(&case, 1).await, keys([]));
    case.runtime.set_clock(Duration::ZERO);
    assert_eq!(list(&case, 1).await, keys([]));
}

#[tokio::test]
async fn changes_that_wait_share_one_commit() {
    let case = Case::new().await;
    case.runtime.hold();
    let mut all: Vec<_> = (0..300).map(|member| enrolling(&case.store, member)).collect();
    poll_once(&mut all).await;
    assert_eq!(case.runtime.held(), 1, "one function does them all");
    case.runtime.release();
    for enrolled in all {
        enrolled.await.unwrap();
    }
    let metrics = case.store.metrics();
    assert_eq!((metrics.writes_total, metrics.commits_total, metrics.members), (300, 1, 300));
    assert_eq!(list(&case, 1).await, keys(0..300));
}

#[tokio::test]
async fn what_changes_nothing_is_not_written() {
    let case = Case::new().await;
    enroll(&case, 1, 1, TTL).await;
    let before = case.store.metrics();
    enroll(&case, 1, 1, TTL).await;
    enroll(&case, 1, 1, TTL / 2).await;
    unenroll(&case, 1, 2).await;
    unenroll(&case, 2, 1).await;
    assert_eq!(case.store.metrics(), before);
    enroll(&case, 1, 1, TTL + MILLI).await;
    assert_eq!(case.store.metrics().commits_total, before.commits_total + 1);
}

#[tokio::test]
async fn a_sweep_drops_members_that_have_expired_and_nothing_else() {
    let case = Case::new().await;
    for member in 0..600 {
        enroll(&case, member % 5, member, if member % 2 == 0 { TTL } else { TTL + MILLI }).await;
    }
    // Its longest time counts, and the place of its shorter one is none any more.
    enroll(&case, 0, 0, TTL + MILLI).await;
    case.create(1, &value(10), TTL).await;
    eventually("the sweeper sleeps", || case.runtime.sleepers() == 1).await;
    case.runtime.advance(TTL - MILLI);
    assert_eq!(case.store.sweep_now().await.unwrap(), 0);
    case.runtime.advance(MILLI);
    eventually("they are swept", || case.store.metrics().members == 301).await;
    assert_eq!((case.store.metrics().entries, case.store.metrics().expired_total), (0, 1));
    assert!(list(&case, 0).await.contains(&key(0)));
    case.runtime.advance(MILLI);
    assert_eq!(case.store.sweep_now().await.unwrap(), 301);
    assert_eq!(case.store.metrics().members, 0);
    case.store.close().await;
    let database = Database::open(case.path()).unwrap();
    assert_eq!(rows(&database), (0, 0), "nothing of them is left");
}

#[tokio::test]
async fn a_member_has_one_place_among_the_expiries() {
    let mut case = Case::unswept().await;
    for ttl in [TTL, 3 * TTL, 2 * TTL, 4 * TTL] {
        enroll(&case, 1, 1, ttl).await;
    }
    enroll(&case, 1, 2, TTL).await;
    unenroll(&case, 1, 2).await;
    case.store.close().await;
    {
        let database = Database::open(case.path()).unwrap();
        assert_eq!(rows(&database), (1, 1));
        // One that is out of date, as no version of this program leaves it.
        let place = [&1_u64.to_be_bytes()[..], &[24], index(1).as_bytes(), key(1).as_bytes()].concat();
        let writing = database.begin_write().unwrap();
        writing.open_table(MEMBER_EXPIRIES).unwrap().insert(&*place, ()).unwrap();
        writing.commit().unwrap();
    }
    case.reopen().await;
    assert_eq!(case.store.sweep_now().await.unwrap(), 1);
    assert_eq!(list(&case, 1).await, keys([1]), "it drops nobody");
}

#[tokio::test]
async fn a_large_sweep_of_entries_and_members_goes_in_bounded_steps() {
    let case = Case::unswept().await;
    for number in 0..300 {
        enroll(&case, number, number, TTL).await;
        case.create(number, &value(10), TTL).await;
    }
    let before = case.store.metrics().commits_total;
    case.runtime.advance(TTL);
    assert_eq!(case.store.sweep_now().await.unwrap(), 600);
    assert_eq!(case.store.metrics().commits_total - before, 3);
}

#[tokio::test]
async fn compaction_drops_members_that_have_expired() {
    let mut case = Case::unswept().await;
    for member in 0..100 {
        // The tool looks at the system's clock, which is behind the test's.
        enroll(&case, 1, member, if member < 90 { MILLI } else { Duration::MAX }).await;
    }
    case.runtime.advance(TTL);
    enroll(&case, 2, 1, Duration::MAX).await;
    case.store.close().await;
    compact(case.path()).unwrap();
    assert_eq!(rows(&Database::open(case.path()).unwrap()), (11, 11));
    case.reopen().await;
    assert_eq!(list(&case, 1).await, keys(90..100));
}

#[tokio::test]
async fn a_file_from_before_there_were_indexes_has_empty_ones() {
    let mut case = Case::new().await;
    let version = case.create(1, &value(10), TTL).await;
    case.store.close().await;
    {
        let database = Database::open(case.path()).unwrap();
        let writing = database.begin_write().unwrap();
        assert!(writing.delete_table(MEMBERS).unwrap() && writing.delete_table(MEMBER_EXPIRIES).unwrap());
        writing.commit().unwrap();
    }
    case.reopen().await;
    assert_eq!((list(&case, 1).await, case.store.metrics().members), (keys([]), 0));
    unenroll(&case, 1, 1).await;
    assert_eq!(case.load(1).await.unwrap().version, version);
    assert_eq!(list(&case, 1).await, keys([]));
    enroll(&case, 1, 1, TTL).await;
    assert_eq!(list(&case, 1).await, keys([1]));
}

#[tokio::test]
async fn a_damaged_member_is_an_error_of_its_index_alone() {
    let mut case = Case::new().await;
    enroll(&case, 1, 1, TTL).await;
    enroll(&case, 2, 1, TTL).await;
    case.store.close().await;
    {
        let database = Database::open(case.path()).unwrap();
        let writing = database.begin_write().unwrap();
        let row = [&[24], index(1).as_bytes(), b"two words"].concat();
        writing.open_table(MEMBERS).unwrap().insert(&*row, u64::MAX).unwrap();
        writing.commit().unwrap();
    }
    case.reopen().await;
    let error = case.store.list(&index(1), usize::MAX).await.unwrap_err();
    assert_eq!((error.fault(), error.may_have_happened()), (Fault::Internal, false));
    assert!(!format!("{error:?}").contains("two words"));
    // Also where both are listed in one go.
    case.runtime.hold();
    let listing = |of| {
        let store = case.store.clone();
        Box::pin(async move { store.list(&index(of), usize::MAX).await })
    };
    let mut both = [listing(1), listing(2)];
    poll_once(&mut both).await;
    case.runtime.release();
    let [damaged, whole] = both;
    assert_eq!(damaged.await.unwrap_err().fault(), Fault::Internal);
    assert_eq!(whole.await.unwrap().keys, keys([1]));
    unenroll(&case, 1, 1).await;
}

#[tokio::test]
async fn a_closed_store_lists_nothing_and_enrolls_nobody() {
    let case = Case::new().await;
    case.store.close().await;
    let enrolled = case.store.enroll(&index(1), &key(1), TTL).await.unwrap_err();
    let listed = case.store.list(&index(1), 1).await.unwrap_err();
    for error in [enrolled, listed] {
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::Unavailable, false));
    }
}

/// The rows of both tables.
fn rows(database: &Database) -> (u64, u64) {
    use redb::{ReadableDatabase as _, ReadableTableMetadata as _};
    let reading = database.begin_read().unwrap();
    let members = reading.open_table(MEMBERS).unwrap().len().unwrap();
    (members, reading.open_table(MEMBER_EXPIRIES).unwrap().len().unwrap())
}
