//! What waits while the file stalls has bounds.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    error::Error,
    fmt::Debug,
    pin::pin,
    task::{Context, Poll, Waker},
};

use cloakroom_core::Value;
use cloakroom_runtime::BoxFuture;
use cloakroom_store::{Created, Fault, Store, StoreError};

use self::common::{Case, TTL, key, poll_once, value};

const MAX: usize = 16_384;

fn creating(case: &Case, number: usize, value: &Value) -> BoxFuture<'static, Result<Created, StoreError>> {
    let (store, value) = (case.store.clone(), value.clone());
    Box::pin(async move { store.create(&key(number), &value, TTL).await })
}

/// Sees that it is refused at once.
fn is_refused<T: Debug>(operation: impl Future<Output = Result<T, StoreError>>) {
    let Poll::Ready(answer) = pin!(operation).poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it waits");
    };
    let error = answer.unwrap_err();
    assert_eq!((error.fault(), error.may_have_happened()), (Fault::Unavailable, false), "{error:?}");
    assert_eq!(error.source().unwrap().to_string(), "too much waits for the file");
}

#[tokio::test]
async fn so_many_writes_wait_and_no_more() {
    let case = Case::unswept().await;
    case.runtime.hold();
    let mut waiting: Vec<_> = (0..MAX).map(|number| creating(&case, number, &value(1))).collect();
    poll_once(&mut waiting).await;
    is_refused(creating(&case, MAX, &value(1)));

    // Who gave up makes room, wherever it stood.
    drop(waiting.swap_remove(MAX / 2));
    let mut last = [creating(&case, MAX + 1, &value(1))];
    poll_once(&mut last).await;
    is_refused(creating(&case, MAX + 2, &value(1)));

    case.runtime.release();
    for created in waiting.into_iter().chain(last) {
        assert!(matches!(created.await.unwrap(), Created::Done(_)));
    }
    assert_eq!(case.store.metrics().entries, MAX as u64);
    case.create(MAX + 2, &value(1), TTL).await;
}

#[tokio::test]
async fn so_many_loads_wait_and_no_more() {
    let case = Case::unswept().await;
    case.create(1, &value(1), TTL).await;
    case.runtime.hold();
    let loading = || {
        let store = case.store.clone();
        Box::pin(async move { store.load(&key(1)).await })
    };
    let mut waiting: Vec<_> = (0..MAX).map(|_| loading()).collect();
    poll_once(&mut waiting).await;
    is_refused(loading());
    // They keep out no write.
    let mut write = [creating(&case, 2, &value(1))];
    poll_once(&mut write).await;

    drop(waiting);
    let mut late = [loading()];
    poll_once(&mut late).await;
    case.runtime.release();
    let [late] = late;
    assert!(late.await.unwrap().is_some());
}

#[tokio::test]
async fn values_that_wait_weigh_so_much_and_no_more() {
    let case = Case::unswept().await;
    case.runtime.hold();
    let large = value(64 << 20);
    let mut waiting: Vec<_> = (0..4).map(|number| creating(&case, number, &large)).collect();
    poll_once(&mut waiting).await;
    is_refused(creating(&case, 5, &value(1)));
    // What has no value weighs nothing.
    let mut empty = [creating(&case, 6, &value(0))];
    poll_once(&mut empty).await;

    drop(waiting.pop());
    let mut last = [creating(&case, 7, &value(64 << 20))];
    poll_once(&mut last).await;
    is_refused(creating(&case, 8, &value(1)));
    drop((waiting, last));
    case.runtime.release();
    let [empty] = empty;
    assert!(matches!(empty.await.unwrap(), Created::Done(_)));
}
