//! What has expired is absent, whether it was swept or not, and stays so.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::Duration;

use cloakroom_core::Version;
use cloakroom_store::{Created, Removed, Store, Written};

use self::common::{Case, MILLI, key, value};

const TTL: Duration = Duration::from_secs(10);

async fn unswept() -> (Case, Version) {
    let case = Case::unswept().await;
    let version = case.create(1, &value(10), TTL).await;
    (case, version)
}

#[tokio::test]
async fn load_tells_the_time_left_to_the_millisecond() {
    let (case, _) = unswept().await;
    assert_eq!(case.left(1).await, Some(TTL));
    case.runtime.advance(Duration::from_millis(3500));
    assert_eq!(case.left(1).await, Some(Duration::from_millis(6500)));
    case.runtime.advance(Duration::from_millis(6499));
    assert_eq!(case.left(1).await, Some(MILLI));
    case.runtime.advance(MILLI - Duration::from_nanos(1));
    assert_eq!(case.left(1).await, Some(MILLI));
    case.runtime.advance(Duration::from_nanos(1));
    assert_eq!(case.left(1).await, None);
}

#[tokio::test]
async fn a_millisecond_that_has_begun_counts() {
    let (case, version) = unswept().await;
    case.store.touch(&key(1), &version, &value(10), Duration::from_nanos(1)).await.unwrap();
    assert_eq!(case.left(1).await, Some(MILLI));
}

#[tokio::test]
async fn a_conflict_tells_the_time_left() {
    let (case, _) = unswept().await;
    case.runtime.advance(TTL / 4);
    let conflict = case.store.replace(&key(1), &Version::from_u64(0), &value(10), TTL).await.unwrap();
    let Written::Conflict(Some(found)) = conflict else { panic!("{conflict:?}") };
    assert_eq!(found.expires_in, Some(TTL / 4 * 3));
}

#[tokio::test]
async fn the_expired_is_absent_for_a_replace() {
    let (case, version) = unswept().await;
    case.runtime.advance(TTL);
    assert_eq!(case.store.replace(&key(1), &version, &value(10), TTL).await.unwrap(), Written::Absent);
    assert_eq!(case.left(1).await, None);
}

#[tokio::test]
async fn the_expired_is_absent_for_a_touch() {
    let (case, version) = unswept().await;
    case.runtime.advance(TTL);
    assert_eq!(case.store.touch(&key(1), &version, &value(10), TTL).await.unwrap(), Written::Absent);
    assert_eq!(case.left(1).await, None);
}

#[tokio::test]
async fn the_expired_is_absent_for_a_remove() {
    let (case, version) = unswept().await;
    case.runtime.advance(TTL);
    assert_eq!(case.store.remove(&key(1), &version).await.unwrap(), Removed::Absent);
}

#[tokio::test]
async fn the_expired_is_absent_for_a_create() {
    let (case, old) = unswept().await;
    case.runtime.advance(TTL);
    let version = case.create(1, &value(20), TTL).await;
    assert_ne!(version, old);
    assert_eq!(case.left(1).await, Some(TTL));
    assert_eq!((case.store.metrics().entries, case.store.metrics().expired_total), (1, 1));
    let replaced = case.store.replace(&key(1), &old, &value(1), TTL).await.unwrap();
    assert!(matches!(replaced, Written::Conflict(Some(_))));
}

#[tokio::test]
async fn what_was_seen_to_be_expired_does_not_come_back_when_the_clock_is_set_back() {
    let (mut case, _) = unswept().await;
    case.runtime.set_clock(TTL);
    assert_eq!(case.left(1).await, None);
    case.runtime.set_clock(Duration::ZERO);
    assert_eq!(case.left(1).await, None);
    assert_eq!(case.store.metrics().entries, 0);
    case.reopen().await;
    assert_eq!(case.left(1).await, None);
}

#[tokio::test]
async fn time_goes_on_when_the_clock_is_set_back() {
    let (case, version) = unswept().await;
    let far = Duration::from_secs(10_000_000);
    case.runtime.set_clock(far);
    assert_eq!(case.left(1).await, None);
    let other = case.create(2, &value(10), TTL).await;
    case.runtime.set_clock(Duration::ZERO);
    assert_eq!(case.left(2).await, Some(TTL), "no more than was set");
    case.create(3, &value(10), 2 * TTL).await;
    case.runtime.set_clock(TTL);
    assert_eq!((case.left(2).await, case.left(3).await), (None, Some(TTL)));
    assert_eq!(case.store.sweep_now().await.unwrap(), 0);
    case.runtime.set_clock(2 * TTL);
    assert_eq!(case.store.sweep_now().await.unwrap(), 1, "what was written after the clock was set back");
    assert_eq!(case.store.touch(&key(2), &other, &value(10), TTL).await.unwrap(), Written::Absent);
    assert_eq!(case.store.touch(&key(1), &version, &value(10), TTL).await.unwrap(), Written::Absent);
}

#[tokio::test]
async fn a_clock_that_was_set_back_over_a_restart_brings_nothing_back() {
    let (mut case, _) = unswept().await;
    case.create(2, &value(10), 3 * TTL).await;
    case.runtime.set_clock(TTL);
    // It is written that it is so late, though nobody has looked at the entry.
    case.create(3, &value(10), TTL).await;
    case.store.close().await;
    case.runtime.set_clock(Duration::ZERO);
    case.reopen().await;
    assert_eq!((case.left(1).await, case.left(2).await), (None, Some(2 * TTL)));
}

#[tokio::test]
async fn a_replace_sets_the_time_to_live() {
    let (case, version) = unswept().await;
    case.runtime.advance(TTL - MILLI);
    case.replace(1, &version, &value(10), 3 * TTL).await;
    case.runtime.advance(2 * TTL);
    assert_eq!(case.left(1).await, Some(TTL));
}

#[tokio::test]
async fn a_touch_lengthens_and_shortens_the_time_to_live() {
    let (case, version) = unswept().await;
    case.runtime.advance(TTL - MILLI);
    case.store.touch(&key(1), &version, &value(10), 3 * TTL).await.unwrap();
    case.runtime.advance(2 * TTL);
    assert_eq!(case.left(1).await, Some(TTL));
    case.store.touch(&key(1), &version, &value(10), MILLI).await.unwrap();
    assert_eq!(case.left(1).await, Some(MILLI));
    case.runtime.advance(MILLI);
    assert_eq!(case.left(1).await, None);
}

#[tokio::test]
async fn what_was_written_again_does_not_expire_at_the_old_time() {
    let (case, version) = unswept().await;
    let replaced = case.replace(1, &version, &value(10), 2 * TTL).await;
    case.store.touch(&key(1), &replaced, &value(10), 3 * TTL).await.unwrap();
    let removed = case.create(2, &value(10), TTL).await;
    assert_eq!(case.store.remove(&key(2), &removed).await.unwrap(), Removed::Done);
    case.create(2, &value(10), 3 * TTL).await;
    case.runtime.advance(2 * TTL);
    assert_eq!(case.store.sweep_now().await.unwrap(), 0);
    assert_eq!((case.left(1).await, case.left(2).await), (Some(TTL), Some(TTL)));
}

#[tokio::test]
async fn no_time_to_live_is_expired_at_once() {
    let case = Case::unswept().await;
    assert!(matches!(case.store.create(&key(1), &value(10), Duration::ZERO).await.unwrap(), Created::Done(_)));
    assert_eq!(case.left(1).await, None);
}

#[tokio::test]
async fn the_longest_time_to_live_does_not_overflow() {
    let case = Case::unswept().await;
    case.create(1, &value(10), Duration::MAX).await;
    assert!(case.left(1).await.unwrap() > Duration::from_secs(100 * 365 * 24 * 60 * 60));
    assert_eq!(case.store.sweep_now().await.unwrap(), 0);
}
