//! Writes that wait share a transaction, and each of them is a step of its own.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::Duration;

use cloakroom_core::{StoreKey, Stored, Value};
use cloakroom_redb::RedbStore;
use cloakroom_runtime::BoxFuture;
use cloakroom_store::{Created, Fault, Removed, Store, StoreError, Written};

use self::common::{Case, TTL, eventually, key, poll_once, stored, value};

fn creating(store: &RedbStore, number: usize, value: Value) -> BoxFuture<'static, Result<Created, StoreError>> {
    let store = store.clone();
    Box::pin(async move { store.create(&key(number), &value, TTL).await })
}

/// Waits for what must come, and fails if it does not.
async fn answered<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.unwrap()
}

fn number(value: &Value) -> usize {
    usize::from_le_bytes(value.as_bytes().try_into().unwrap())
}

#[tokio::test]
async fn writes_that_wait_share_one_commit() {
    let case = Case::new().await;
    case.runtime.hold();
    let mut all: Vec<_> = (0..300).map(|number| creating(&case.store, number, value(10))).collect();
    poll_once(&mut all).await;
    assert_eq!(case.runtime.held(), 1, "one function does them all");
    case.runtime.release();
    for created in all {
        assert!(matches!(created.await.unwrap(), Created::Done(_)));
    }
    let metrics = case.store.metrics();
    assert_eq!((metrics.writes_total, metrics.commits_total, metrics.entries), (300, 1, 300));
}

#[tokio::test]
async fn what_is_too_much_for_one_commit_goes_into_several() {
    let case = Case::new().await;
    case.runtime.hold();
    let mut many: Vec<_> = (0..1025).map(|number| creating(&case.store, number, value(1))).collect();
    poll_once(&mut many).await;
    case.runtime.release();
    for created in many {
        created.await.unwrap();
    }
    assert_eq!(case.store.metrics().commits_total, 3);

    case.runtime.hold();
    let mut large: Vec<_> = (0..5).map(|number| creating(&case.store, 2000 + number, value(8 << 20))).collect();
    poll_once(&mut large).await;
    case.runtime.release();
    for created in large {
        created.await.unwrap();
    }
    assert_eq!(case.store.metrics().commits_total, 6);
}

#[tokio::test]
async fn each_of_them_sees_what_those_before_it_did() {
    let case = Case::new().await;
    let old = case.create(1, &value(10), TTL).await;
    case.runtime.hold();
    let store = &case.store;
    let (k1, k2, v20, v30) = (key(1), key(2), value(20), value(30));
    let replacing = store.replace(&k1, &old, &v20, TTL);
    let late = store.replace(&k1, &old, &v30, TTL);
    let touching = store.touch(&k1, &old, &v20, TTL);
    let removing = store.remove(&k1, &old);
    let first = store.create(&k2, &v20, TTL);
    let second = store.create(&k2, &v30, TTL);
    let release = async { case.runtime.release() };
    // Polled in this order.
    let (replaced, late, touched, removed, first, second, ()) =
        tokio::join!(biased; replacing, late, touching, removing, first, second, release);
    let Written::Done(new) = replaced.unwrap() else { panic!() };
    let there = Some(stored(&v20, &new));
    assert_eq!(late.unwrap(), Written::Conflict(there.clone()));
    assert_eq!(touched.unwrap(), Written::Conflict(there.clone()));
    assert_eq!(removed.unwrap(), Removed::Conflict(there.clone()));
    let Created::Done(made) = first.unwrap() else { panic!() };
    assert_eq!(second.unwrap(), Created::Exists);
    assert_eq!((case.load(1).await, case.load(2).await), (there, Some(stored(&v20, &made))));
    assert_eq!(case.store.metrics().commits_total, 2);
}

#[tokio::test]
async fn what_changes_nothing_costs_no_commit() {
    let case = Case::new().await;
    let version = case.create(1, &value(10), TTL).await;
    assert_eq!(case.store.create(&key(1), &value(20), TTL).await.unwrap(), Created::Exists);
    assert_eq!(case.store.remove(&key(2), &version).await.unwrap(), Removed::Absent);
    assert_eq!(case.store.sweep_now().await.unwrap(), 0);
    assert_eq!(case.load(2).await, None);
    assert_eq!(case.store.metrics().commits_total, 1);
    case.create(2, &value(10), TTL).await;
}

#[tokio::test]
async fn what_is_given_up_before_it_began_does_not_happen_and_disturbs_nobody() {
    let case = Case::new().await;
    case.runtime.hold();
    let mut all: Vec<_> = (0..100).map(|number| creating(&case.store, number, value(10))).collect();
    poll_once(&mut all).await;
    let kept: Vec<_> = all.into_iter().enumerate().filter(|(number, _)| number % 3 == 0).collect();
    case.runtime.release();
    for (number, created) in kept {
        let Created::Done(version) = created.await.unwrap() else { panic!() };
        assert_eq!(case.load(number).await, Some(stored(&value(10), &version)));
    }
    assert_eq!(case.store.metrics().entries, 34);
    case.create(1, &value(20), TTL).await;
}

#[tokio::test]
async fn loads_that_are_given_up_disturb_nobody() {
    let case = Case::new().await;
    let version = case.create(1, &value(10), TTL).await;
    case.runtime.hold();
    let load = |number: usize| {
        let store = case.store.clone();
        Box::pin(async move { store.load(&key(number)).await }) as BoxFuture<'_, Result<Option<Stored>, StoreError>>
    };
    let mut all: Vec<_> = (0..100).map(|number| load(number % 2)).collect();
    poll_once(&mut all).await;
    let kept: Vec<_> = all.into_iter().enumerate().filter(|(number, _)| number % 3 == 0).collect();
    case.runtime.release();
    for (number, loading) in kept {
        let expected = (number % 2 == 1).then(|| stored(&value(10), &version));
        assert_eq!(loading.await.unwrap(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn giving_up_at_random_leaves_each_key_whole() {
    let case = Case::new().await;
    let began = std::time::Instant::now();
    let mut seed = 7_u64;
    while began.elapsed() < Duration::from_secs(2) {
        let tasks: Vec<_> = (0..40).map(|number| tokio::spawn(creating(&case.store, number, value(3000)))).collect();
        for task in &tasks {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if seed >> 63 == 0 {
                task.abort();
            }
            if seed >> 60 == 1 {
                tokio::task::yield_now().await;
            }
        }
        for (number, task) in tasks.into_iter().enumerate() {
            let acknowledged = task.await.ok().map(Result::unwrap);
            let found = case.load(number).await;
            if let Some(Created::Done(version)) = &acknowledged {
                assert_eq!(found.as_ref().map(|found| &found.version), Some(version));
            }
            if let Some(found) = found {
                assert_eq!(found.value, value(3000));
                assert_eq!(case.store.remove(&key(number), &found.version).await.unwrap(), Removed::Done);
            }
        }
    }
}

#[tokio::test]
async fn a_runtime_that_drops_what_waits_is_answered_for_and_the_next_operations_work() {
    let case = Case::new().await;
    case.runtime.hold();
    let mut writes: Vec<_> = (0..3).map(|number| creating(&case.store, number, value(10))).collect();
    poll_once(&mut writes).await;
    let loading = case.store.clone();
    let mut loads = [Box::pin(async move { loading.load(&key(0)).await })];
    poll_once(&mut loads).await;
    case.runtime.drop_held();
    for write in writes {
        let error = answered(write).await.unwrap_err();
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::Unavailable, false));
    }
    for load in loads {
        assert_eq!(answered(load).await.unwrap_err().fault(), Fault::Unavailable);
    }
    case.create(1, &value(10), TTL).await;
    assert_eq!(case.load(0).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_at_the_same_time_share_commits() {
    const EACH: usize = 20;
    let case = Case::new().await;
    let write = |writer: usize| {
        let store = case.store.clone();
        tokio::spawn(async move {
            for turn in 0..EACH {
                store.create(&key(writer * EACH + turn), &value(300), TTL).await.unwrap();
            }
        })
    };
    let writers: Vec<_> = (0..64).map(write).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let metrics = case.store.metrics();
    assert_eq!((metrics.writes_total, metrics.entries), (64 * EACH as u64, 64 * EACH as u64));
    assert!(metrics.commits_total < metrics.writes_total / 4, "{metrics:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn compare_and_swap_loses_no_increment() {
    const TASKS: usize = 16;
    const EACH: usize = 50;
    let case = Case::new().await;
    let value_of = |number: usize| Value::from(number.to_le_bytes().to_vec());
    case.create(1, &value_of(0), TTL).await;
    let add = |_| {
        let store = case.store.clone();
        tokio::spawn(async move {
            for _ in 0..EACH {
                let mut found = store.load(&key(1)).await.unwrap().unwrap();
                loop {
                    let more = value_of(number(&found.value) + 1);
                    match store.replace(&key(1), &found.version, &more, TTL).await.unwrap() {
                        Written::Conflict(Some(there)) => found = there,
                        Written::Done(_) => break,
                        other => panic!("{other:?}"),
                    }
                }
            }
        })
    };
    let tasks: Vec<_> = (0..TASKS).map(add).collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(number(&case.load(1).await.unwrap().value), TASKS * EACH);
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_one_create_replace_and_remove_win() {
    async fn won<T: Send + 'static>(
        case: &Case,
        operation: impl Fn(RedbStore, StoreKey) -> BoxFuture<'static, T>,
        is_done: impl Fn(&T) -> bool,
    ) -> usize {
        let tasks: Vec<_> = (0..16).map(|_| tokio::spawn(operation(case.store.clone(), key(1)))).collect();
        let mut won = 0;
        for task in tasks {
            won += usize::from(is_done(&task.await.unwrap()));
        }
        won
    }
    let case = Case::new().await;
    for round in 0..20 {
        let create = |store: RedbStore, key: StoreKey| -> BoxFuture<'static, _> {
            Box::pin(async move { store.create(&key, &value(9), TTL).await.unwrap() })
        };
        assert_eq!(won(&case, create, |created| matches!(created, Created::Done(_))).await, 1, "round {round}");
        let version = case.load(1).await.unwrap().version;
        let replace = |store: RedbStore, key: StoreKey| -> BoxFuture<'static, _> {
            let version = version.clone();
            Box::pin(async move { store.replace(&key, &version, &value(8), TTL).await.unwrap() })
        };
        assert_eq!(won(&case, replace, |written| matches!(written, Written::Done(_))).await, 1, "round {round}");
        let version = case.load(1).await.unwrap().version;
        let remove = |store: RedbStore, key: StoreKey| -> BoxFuture<'static, _> {
            let version = version.clone();
            Box::pin(async move { store.remove(&key, &version).await.unwrap() })
        };
        assert_eq!(won(&case, remove, |removed| *removed == Removed::Done).await, 1, "round {round}");
    }
}

#[tokio::test]
async fn the_file_is_closed_when_what_was_under_way_has_ended() {
    let case = Case::new().await;
    case.runtime.hold();
    let mut writes = [creating(&case.store, 1, value(10))];
    poll_once(&mut writes).await;
    let path = case.path();
    let [write] = writes;
    drop(case.store);
    case.runtime.release();
    write.await.unwrap();
    eventually("the file can be opened", || cloakroom_redb::compact(&path).is_ok()).await;
}
