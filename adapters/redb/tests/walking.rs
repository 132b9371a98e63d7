//! Walks over what the file holds.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod common;

use cloakroom_core::StoreKey;
use cloakroom_redb::RedbWalk;
use cloakroom_store::{Directory as _, Fault, Store as _};

use self::common::{Case, MILLI, TTL, value};

/// More than two pages.
const MANY: usize = 10_000;

fn named(name: &str) -> StoreKey {
    StoreKey::new(name).unwrap()
}

fn numbered(number: usize) -> StoreKey {
    named(&format!("a:{number:05}"))
}

/// All keys of a walk, page by page.
async fn pages(mut walk: RedbWalk) -> Vec<Vec<StoreKey>> {
    let mut pages = Vec::new();
    while let Some(page) = walk.next_page().await.unwrap() {
        pages.push(page);
    }
    assert!(walk.next_page().await.unwrap().is_none(), "the end is the end");
    pages
}

async fn names(walk: RedbWalk) -> Vec<String> {
    pages(walk).await.concat().iter().map(|key| key.as_str().to_owned()).collect()
}

#[tokio::test]
async fn every_entry_of_the_prefix_comes_once() {
    let case = Case::new().await;
    let creations = (0..MANY).map(|number| {
        let store = case.store.clone();
        tokio::spawn(async move { store.create(&numbered(number), &value(1), TTL).await.unwrap() })
    });
    for creation in creations.collect::<Vec<_>>() {
        creation.await.unwrap();
    }
    for name in ["a", "a;", "b:00001"] {
        case.store.create(&named(name), &value(1), TTL).await.unwrap();
    }
    let pages = pages(case.store.walk_entries("a:")).await;
    assert!(pages.len() > 2 && pages.iter().all(|page| page.len() <= 4096), "{}", pages.len());
    assert_eq!(pages.concat(), (0..MANY).map(numbered).collect::<Vec<_>>());
    assert_eq!(names(case.store.walk_entries("a:0000")).await.len(), 10);
    assert_eq!(names(case.store.walk_entries("b")).await, ["b:00001"]);
    assert_eq!(names(case.store.walk_entries("c")).await, [""; 0]);
    assert_eq!(names(case.store.walk_entries("")).await.len(), MANY + 3);
}

#[tokio::test]
async fn what_has_expired_does_not_come_and_is_not_dropped() {
    let case = Case::unswept().await;
    for (name, ttl) in [("a", TTL), ("b", 2 * TTL), ("c", TTL)] {
        case.store.create(&named(name), &value(1), ttl).await.unwrap();
        case.store.enroll(&named(&format!("u:{name}")), &named(name), ttl).await.unwrap();
    }
    // One of its members is left.
    case.store.enroll(&named("u:a"), &named("z"), 2 * TTL).await.unwrap();
    case.runtime.advance(TTL - MILLI);
    let before = case.store.metrics();
    assert_eq!(names(case.store.walk_entries("")).await, ["a", "b", "c"]);
    case.runtime.advance(MILLI);
    assert_eq!(names(case.store.walk_entries("")).await, ["b"]);
    assert_eq!(names(case.store.walk_indexes("")).await, ["u:a", "u:b"]);
    assert_eq!(case.store.metrics(), before, "a walk writes nothing");
}

#[tokio::test]
async fn every_index_comes_once_however_many_members_it_has() {
    let case = Case::new().await;
    assert_eq!(names(case.store.walk_indexes("")).await, [""; 0]);
    let indexes = ["user:a", "user:aa", "user:b", "user:", "other", "user:~"];
    for index in indexes {
        for member in 0..20 {
            case.store.enroll(&named(index), &numbered(member), TTL).await.unwrap();
        }
        // The last that a key can be.
        case.store.enroll(&named(index), &named(&"~".repeat(120)), TTL).await.unwrap();
    }
    let mut all = names(case.store.walk_indexes("user:")).await;
    all.sort();
    assert_eq!(all, ["user:", "user:a", "user:aa", "user:b", "user:~"]);
    assert_eq!(names(case.store.walk_indexes("user:a")).await, ["user:a", "user:aa"]);
    assert_eq!(names(case.store.walk_indexes("")).await.len(), indexes.len());
}

#[tokio::test]
async fn a_walk_goes_on_while_others_write() {
    let case = Case::new().await;
    for number in 0..3 {
        case.store.create(&numbered(number), &value(1), TTL).await.unwrap();
    }
    let mut walk = case.store.walk_entries("");
    assert_eq!(walk.next_page().await.unwrap().unwrap().len(), 3);
    assert!(walk.next_page().await.unwrap().is_none());
    let mut walk = case.store.walk_entries("");
    case.store.create(&numbered(3), &value(1), TTL).await.unwrap();
    assert_eq!(walk.next_page().await.unwrap().unwrap().len(), 4);
}

#[tokio::test]
async fn a_store_that_was_closed_is_not_walked_over() {
    let case = Case::new().await;
    let mut walk = case.store.walk_entries("");
    case.store.close().await;
    for _ in 0..2 {
        assert_eq!(walk.next_page().await.unwrap_err().fault(), Fault::Unavailable);
    }
    assert_eq!(format!("{walk:?}"), "RedbWalk { kind: Entries, .. }");
}
