//! `update_now` returns exactly what is stored, or an error.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use cloakroom_core::{CommitError, OpKind};
use cloakroom_store::{Finish, Session, SessionError};
use tokio::time::sleep;

use crate::common::{Gate, Trouble, World, add_one, let_run, poll_once, until};

/// Takes a number in requests of its own until one is had.
async fn take_number(open: impl Fn() -> Session) -> u64 {
    loop {
        let session = open();
        match session.update_now("n", add_one).await {
            Ok(number) => {
                Session::commit(&session, Finish::Keep).await.result().unwrap();
                return number;
            }
            Err(SessionError::Commit(CommitError::Contention)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn numbers_taken_at_the_same_time_are_all_different() {
    let w = Arc::new(World::new());
    let ticket = w.sign_in(0).await;
    // Every load is slow, so that all of them stand on old records.
    w.store.always(OpKind::Load, Trouble::Delay(Duration::from_millis(5)));
    let takers: Vec<_> = (0..100)
        .map(|_| {
            let (w, ticket) = (Arc::clone(&w), ticket.clone());
            tokio::spawn(async move { take_number(|| w.open(&ticket)).await })
        })
        .collect();
    let mut numbers = BTreeSet::new();
    for taker in takers {
        assert!(numbers.insert(taker.await.unwrap()), "a number was given twice");
    }
    assert_eq!(numbers, (1..=100).collect());
    assert_eq!(w.read(&ticket).await, Some(100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn numbers_taken_on_several_threads_are_all_different() {
    let w = Arc::new(World::new());
    let ticket = w.sign_in(0).await;
    let takers: Vec<_> = (0..100)
        .map(|_| {
            let (w, ticket) = (Arc::clone(&w), ticket.clone());
            tokio::spawn(async move { take_number(|| w.open(&ticket)).await })
        })
        .collect();
    let mut numbers = BTreeSet::new();
    for taker in takers {
        numbers.insert(taker.await.unwrap());
    }
    assert_eq!(numbers, (1..=100).collect());
    assert_eq!(w.read(&ticket).await, Some(100));
}

#[tokio::test(start_paused = true)]
async fn a_number_whose_write_was_late_is_the_one_that_landed() {
    for trouble in [Trouble::ApplyThenHang, Trouble::Hang, Trouble::LandLate(Duration::from_secs(3))] {
        let w = World::new();
        let ticket = w.sign_in(4).await;
        w.store.once(OpKind::Replace, trouble);
        assert_eq!(take_number(|| w.open(&ticket)).await, 5);
        sleep(Duration::from_secs(10)).await;
        assert_eq!(w.read(&ticket).await, Some(5));
    }
}

#[tokio::test(start_paused = true)]
async fn a_number_that_landed_late_and_was_overtaken_is_still_ones_own() {
    let w = World::new();
    let ticket = w.sign_in(0).await;
    w.store.once(OpKind::Replace, Trouble::ApplyThenHang);
    let slow = w.open(&ticket);
    let slow = tokio::spawn(async move { slow.update_now("n", add_one).await });
    until(|| w.store.count(OpKind::Replace) == 1).await;
    for expected in 2..=4 {
        assert_eq!(take_number(|| w.open(&ticket)).await, expected);
    }
    assert_eq!(slow.await.unwrap().unwrap(), 1);
    assert_eq!(w.read(&ticket).await, Some(4));
}

#[tokio::test(start_paused = true)]
async fn a_number_whose_write_did_not_happen_before_others_is_the_replayed_one() {
    let w = World::new();
    let ticket = w.sign_in(0).await;
    w.store.once(OpKind::Replace, Trouble::Hang);
    let slow = w.open(&ticket);
    let slow = tokio::spawn(async move { slow.update_now("n", add_one).await });
    until(|| w.store.count(OpKind::Replace) == 1).await;
    assert_eq!(take_number(|| w.open(&ticket)).await, 1);
    assert_eq!(slow.await.unwrap().unwrap(), 2);
    assert_eq!(w.read(&ticket).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_number_that_is_not_stored_is_not_returned() {
    let w = World::new();
    let ticket = w.sign_in(0).await;
    w.store.once(OpKind::Replace, Trouble::Fail);
    let session = w.open(&ticket);
    assert!(matches!(session.update_now("n", add_one).await, Err(SessionError::Commit(CommitError::Store))));
    Session::commit(&session, Finish::Keep).await.result().unwrap();
    assert_eq!(w.read(&ticket).await, Some(0));
}

#[tokio::test(start_paused = true)]
async fn clones_of_one_request_get_different_numbers() {
    let w = World::new();
    let ticket = w.sign_in(0).await;
    let session = w.open(&ticket);
    let (one, two) = tokio::join!(session.update_now("n", add_one), session.update_now("n", add_one));
    assert_eq!(BTreeSet::from([one.unwrap(), two.unwrap()]), BTreeSet::from([1, 2]));
    assert_eq!(w.read(&ticket).await, Some(2));
}

/// Lets one clone's change come between another's change and its save.
async fn interleave<A, B>(w: &World, one: impl Future<Output = A>, two: impl Future<Output = B>) -> (A, B) {
    let gate = Gate::default();
    w.store.once(OpKind::Load, Trouble::Hold(gate.clone()));
    let (mut one, mut two) = (Box::pin(one), Box::pin(two));
    assert!(poll_once(one.as_mut()).is_pending());
    assert!(poll_once(two.as_mut()).is_pending());
    gate.open();
    sleep(Duration::from_millis(5)).await;
    // The first loads, changes and asks for its save; the second changes before that save runs.
    match (poll_once(one.as_mut()), poll_once(two.as_mut())) {
        (Poll::Ready(one), Poll::Ready(two)) => (one, two),
        (Poll::Ready(one), Poll::Pending) => (one, two.await),
        (Poll::Pending, Poll::Ready(two)) => (one.await, two),
        (Poll::Pending, Poll::Pending) => tokio::join!(one, two),
    }
}

#[tokio::test(start_paused = true)]
async fn clones_of_one_request_are_not_told_a_number_that_is_not_stored() {
    let w = World::new();
    let ticket = w.sign_in(0).await;
    w.store.once(OpKind::Replace, Trouble::Fail);
    let session = w.open(&ticket);
    let clone = session.clone();
    let (one, two) = interleave(&w, session.update_now("n", add_one), clone.update_now("n", add_one)).await;
    let told: BTreeSet<u64> = [one, two].into_iter().flatten().collect();
    Session::commit(&session, Finish::Keep).await.result().unwrap();
    let stored = w.read(&ticket).await.unwrap();
    assert!(told.iter().all(|&number| number <= stored), "told {told:?}, stored {stored}");
}

#[tokio::test(start_paused = true)]
async fn a_number_is_not_returned_when_a_clone_ends_the_session_meanwhile() {
    let w = World::new();
    let ticket = w.sign_in(0).await;
    let session = w.open(&ticket);
    let clone = session.clone();
    let (number, ended) = interleave(&w, session.update_now("n", add_one), clone.destroy()).await;
    ended.unwrap();
    let was_stored = w.store.holds(r#""n":1"#);
    Session::commit(&session, Finish::Keep).await.result().unwrap();
    assert_eq!(w.read(&ticket).await, None);
    assert!(number.is_err() || was_stored, "{number:?} was never stored");
}

#[tokio::test(start_paused = true)]
async fn a_number_is_the_stored_one_though_a_clone_changes_it_before_the_save() {
    let w = World::new();
    let ticket = w.sign_in(0).await;
    let session = w.open(&ticket);
    let clone = session.clone();
    let (number, set) = interleave(&w, session.update_now("n", add_one), clone.insert("n", &50)).await;
    set.unwrap();
    let stored = w.read(&ticket).await;
    assert!(number.is_err() || number.as_ref().ok() == stored.as_ref(), "told {number:?}, stored {stored:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_before_is_saved_with_the_number() {
    let w = World::new();
    let ticket = w.sign_in(0).await;
    let session = w.open(&ticket);
    session.insert("m", &7).await.unwrap();
    assert_eq!(session.update_now("n", add_one).await.unwrap(), 1);
    assert!(w.store.holds(r#""m":7"#));
    assert_eq!(w.store.take_ops(), "load,replace");
    let report = Session::commit(&session, Finish::Keep).await;
    report.result().unwrap();
    assert_eq!(w.store.take_ops(), "");
}

#[tokio::test(start_paused = true)]
async fn a_number_goes_on_being_taken_when_nobody_waits() {
    let w = World::new();
    let ticket = w.sign_in(0).await;
    let gate = Gate::default();
    w.store.once(OpKind::Replace, Trouble::Hold(gate.clone()));
    let session = w.open(&ticket);
    assert!(poll_once(session.update_now("n", add_one)).is_pending());
    drop(session);
    let_run().await;
    gate.open();
    until(|| w.store.holds(r#""n":1"#)).await;
}

#[tokio::test(start_paused = true)]
async fn an_exact_number_calls_its_function_once_for_each_try() {
    let w = World::new();
    let ticket = w.sign_in(0).await;
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let session = w.open(&ticket);
    let f = move |n: Option<u64>| {
        counted.fetch_add(1, Ordering::Relaxed);
        add_one(n)
    };
    session.update_now("n", f).await.unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}
