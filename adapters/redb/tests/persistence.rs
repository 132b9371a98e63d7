//! What was acknowledged is there after a restart, and goes on from there.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod common;

use std::{collections::HashSet, time::Duration};

use cloakroom_core::Stored;
use cloakroom_redb::RedbStore;
use cloakroom_store::{Created, Removed, Store, Written};

use self::common::{Case, TTL, key, stored, value};

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let mut case = Case::new().await;
    let kept = case.create(1, &value(10), TTL).await;
    let first = case.create(2, &value(10), TTL).await;
    let replaced = case.replace(2, &first, &value(20), TTL).await;
    let removed = case.create(3, &value(10), TTL).await;
    assert_eq!(case.store.remove(&key(3), &removed).await.unwrap(), Removed::Done);
    let touched = case.create(4, &value(10), TTL).await;
    case.store.touch(&key(4), &touched, &value(10), 2 * TTL).await.unwrap();
    case.reopen().await;
    assert_eq!(case.load(1).await, Some(stored(&value(10), &kept)));
    assert_eq!(case.load(2).await, Some(stored(&value(20), &replaced)));
    assert_eq!(case.load(3).await, None);
    assert_eq!(case.load(4).await, Some(Stored { expires_in: Some(2 * TTL), ..stored(&value(10), &touched) }));
    assert_eq!(case.store.metrics().entries, 3);
}

#[tokio::test]
async fn a_version_from_before_a_restart_still_matches() {
    let mut case = Case::new().await;
    let version = case.create(1, &value(10), TTL).await;
    case.reopen().await;
    let second = case.replace(1, &version, &value(20), TTL).await;
    assert!(matches!(
        case.store.replace(&key(1), &version, &value(30), TTL).await.unwrap(),
        Written::Conflict(Some(_))
    ));
    case.reopen().await;
    assert_eq!(case.load(1).await, Some(stored(&value(20), &second)));
}

#[tokio::test]
async fn times_to_live_go_on_while_the_store_is_closed() {
    let mut case = Case::new().await;
    case.create(1, &value(10), TTL).await;
    case.create(2, &value(10), 2 * TTL).await;
    case.store.close().await;
    case.runtime.advance(TTL);
    case.reopen().await;
    assert_eq!((case.left(1).await, case.left(2).await), (None, Some(TTL)));
}

#[tokio::test]
async fn versions_do_not_come_back_after_restarts() {
    let mut case = Case::new().await;
    let mut seen = HashSet::new();
    for round in 0..5 {
        let created = case.create(1, &value(10), TTL).await;
        assert!(seen.insert(created.as_u64().unwrap()), "round {round}");
        let replaced = case.replace(1, &created, &value(10), TTL).await;
        assert!(seen.insert(replaced.as_u64().unwrap()), "round {round}");
        assert_eq!(case.store.remove(&key(1), &replaced).await.unwrap(), Removed::Done);
        // Once with the file left as it is, and once as a tool leaves it.
        case.reopen().await;
        if round % 2 == 0 {
            case.store.close().await;
            cloakroom_redb::compact(case.path()).unwrap();
            case.reopen().await;
        }
    }
}

#[tokio::test]
async fn the_last_handle_closes_the_file() {
    let case = Case::new().await;
    let version = case.create(1, &value(10), TTL).await;
    let clone = case.store.clone();
    let path = case.path();
    drop((case.store, clone));
    // The sweeper may have held it for a moment.
    let mut store = RedbStore::open(&path, case.runtime.clone()).await;
    while store.is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
        store = RedbStore::open(&path, case.runtime.clone()).await;
    }
    assert_eq!(store.unwrap().load(&key(1)).await.unwrap(), Some(stored(&value(10), &version)));
}

#[tokio::test]
async fn a_store_works_on_many_runtimes_in_turn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.redb");
    let mut versions = HashSet::new();
    for number in 0..3 {
        let path = path.clone();
        let on_a_thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let store = RedbStore::open(&path, cloakroom_tokio::Tokio).await.unwrap();
                let Created::Done(version) = store.create(&key(number), &value(10), TTL).await.unwrap() else {
                    panic!()
                };
                for earlier in 0..number {
                    assert!(store.load(&key(earlier)).await.unwrap().is_some());
                }
                version.as_u64().unwrap()
            })
        });
        assert!(versions.insert(on_a_thread.join().unwrap()));
    }
}
