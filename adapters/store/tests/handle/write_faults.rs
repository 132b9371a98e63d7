//! Writes that fail, time out or break down: settled by a look where they can be, never told to have succeeded.

use std::time::Duration;

use cloakroom_core::{CommitError, End, OpKind};
use cloakroom_store::{Fault, Finish, Report, Session, SessionError, Sessions};
use tokio::time::{Instant, sleep};

use crate::common::{DEADLINE, TestRuntime, TestStore, Trouble, World, add_one, let_run, ring};

fn commit_error(report: &Report) -> CommitError {
    match report.result() {
        Err(SessionError::Commit(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_write_that_happened_is_settled_by_a_look() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    w.store.once(OpKind::Replace, Trouble::ApplyThenHang);
    let session = w.open(&ticket);
    session.update("n", add_one).await.unwrap();
    let start = Instant::now();
    let report = Session::commit(&session, Finish::Keep).await;
    report.result().unwrap();
    assert_eq!(report.ops().to_string(), "load,replace,load");
    assert!(start.elapsed() >= DEADLINE && start.elapsed() < DEADLINE * 2);
    assert_eq!(
        report.store_error().map(|error| (error.fault(), error.may_have_happened())),
        Some((Fault::TimedOut, true))
    );
    assert_eq!(w.read(&ticket).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_late_write_that_did_not_happen_is_tried_again() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    w.store.once(OpKind::Replace, Trouble::Hang);
    let session = w.open(&ticket);
    session.update("n", add_one).await.unwrap();
    let report = Session::commit(&session, Finish::Keep).await;
    report.result().unwrap();
    assert_eq!(report.ops().to_string(), "load,replace,load,replace");
    assert_eq!(w.read(&ticket).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_lands_after_the_second_try_counts_once() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    w.store.once(OpKind::Replace, Trouble::LandLate(DEADLINE * 3));
    let session = w.open(&ticket);
    session.update("n", add_one).await.unwrap();
    Session::commit(&session, Finish::Keep).await.result().unwrap();
    sleep(DEADLINE * 5).await;
    assert_eq!(w.read(&ticket).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_late_write_that_nobody_can_look_for_is_in_doubt() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    let session = w.open(&ticket);
    session.update("n", add_one).await.unwrap();
    w.store.once(OpKind::Replace, Trouble::ApplyThenHang);
    w.store.always(OpKind::Load, Trouble::Fail);
    let report = Session::commit(&session, Finish::Keep).await;
    assert_eq!(commit_error(&report), CommitError::OutcomeUnknown);
    assert_eq!(report.cookie().name(), "keep");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_failed_is_told_and_not_tried_again() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    w.store.once(OpKind::Replace, Trouble::Fail);
    let session = w.open(&ticket);
    session.insert("n", &2).await.unwrap();
    let report = Session::commit(&session, Finish::Keep).await;
    assert_eq!(commit_error(&report), CommitError::Store);
    assert_eq!(report.ops().to_string(), "load,replace");
    assert_eq!(w.read(&ticket).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn no_cookie_is_sent_for_a_session_that_may_not_be_stored() {
    for trouble in [Trouble::Fail, Trouble::Hang, Trouble::ApplyThenHang] {
        let w = World::new();
        w.store.once(OpKind::Create, trouble);
        let session = w.open("");
        session.insert("n", &1).await.unwrap();
        let report = Session::commit(&session, Finish::Keep).await;
        assert!(report.result().is_err());
        assert_eq!(report.cookie().name(), "keep");
        assert_eq!(report.ops().to_string(), "create");
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_failed_removes_no_cookie() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    w.store.always(OpKind::Replace, Trouble::Fail);
    let session = w.open(&ticket);
    session.destroy().await.unwrap();
    let report = Session::commit(&session, Finish::Keep).await;
    assert!(report.result().is_err());
    assert_eq!((report.end(), report.cookie().name()), (Some(End::Failed), "keep"));
}

#[tokio::test(start_paused = true)]
async fn an_end_whose_answer_is_late_is_settled_by_a_look() {
    for (trouble, ops) in [(Trouble::ApplyThenHang, "load,replace,load"), (Trouble::Hang, "load,replace,load,replace")]
    {
        let w = World::new();
        let ticket = w.sign_in(1).await;
        w.store.once(OpKind::Replace, trouble);
        let session = w.open(&ticket);
        session.destroy().await.unwrap();
        let report = Session::commit(&session, Finish::Keep).await;
        report.result().unwrap();
        assert_eq!((report.end(), report.cookie().name()), (Some(End::Ended), "clear"));
        assert_eq!(report.ops().to_string(), ops);
        assert_eq!(w.store.live(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_failed_in_a_save_is_tried_again_at_the_commit() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    w.store.once(OpKind::Replace, Trouble::Fail);
    let session = w.open(&ticket);
    session.destroy().await.unwrap();
    assert!(session.save().await.is_err());
    let report = Session::commit(&session, Finish::DropEdits).await;
    report.result().unwrap();
    assert_eq!((report.end(), report.cookie().name()), (Some(End::Ended), "clear"));
    assert_eq!(w.store.live(), 0);
}

#[tokio::test(start_paused = true)]
async fn edits_of_a_save_that_failed_are_not_written_later() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    w.store.once(OpKind::Replace, Trouble::Fail);
    let session = w.open(&ticket);
    session.insert("a", &1).await.unwrap();
    assert!(matches!(session.save().await, Err(SessionError::Commit(CommitError::Store))));
    session.insert("b", &2).await.unwrap();
    Session::commit(&session, Finish::Keep).await.result().unwrap();
    assert!(w.store.holds(r#""b":2"#) && !w.store.holds(r#""a":1"#));
}

#[tokio::test(start_paused = true)]
async fn conflicts_that_bring_nothing_are_looked_at() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    w.store.bring_no_conflict();
    let (one, two) = (w.open(&ticket), w.open(&ticket));
    one.update("n", add_one).await.unwrap();
    two.update("n", add_one).await.unwrap();
    Session::commit(&one, Finish::Keep).await.result().unwrap();
    let report = Session::commit(&two, Finish::Keep).await;
    report.result().unwrap();
    assert_eq!(report.ops().to_string(), "load,replace,load,replace");
    assert_eq!(w.read(&ticket).await, Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_replay_drops_its_request_alone() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    let (bad, good) = (w.open(&ticket), w.open(&ticket));
    let mut calls = 0;
    let fatal = move |n: Option<u64>| {
        calls += 1;
        assert!(calls < 2, "a replay");
        n.unwrap() + 10
    };
    bad.insert("m", &1).await.unwrap();
    bad.update("n", fatal).await.unwrap();
    good.update("n", add_one).await.unwrap();
    let clone = bad.clone();
    let first = w.open(&ticket);
    first.update("n", add_one).await.unwrap();
    Session::commit(&first, Finish::Keep).await.result().unwrap();
    w.store.take_ops();
    let report = Session::commit(&bad, Finish::Keep).await;
    assert!(matches!(report.result(), Err(SessionError::Interrupted)), "{:?}", report.result());
    assert_eq!((report.headers().filter(|(name, _)| *name == "set-cookie").count(), report.end()), (0, None));
    assert_eq!(w.store.take_ops(), "replace", "the try that conflicted, and nothing more");
    assert!(matches!(clone.get::<u64>("n").await, Err(SessionError::Closed)));
    Session::commit(&good, Finish::Keep).await.result().unwrap();
    assert_eq!(w.read(&ticket).await, Some(3));
    assert!(!w.store.holds(r#""m":"#));
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_replay_during_a_save_closes_the_request() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    let bad = w.open(&ticket);
    let mut calls = 0;
    bad.update("n", move |n: Option<u64>| {
        calls += 1;
        assert!(calls < 2, "a replay");
        n.unwrap() + 10
    })
    .await
    .unwrap();
    let other = w.open(&ticket);
    other.update("n", add_one).await.unwrap();
    Session::commit(&other, Finish::Keep).await.result().unwrap();
    assert!(matches!(bad.save().await, Err(SessionError::Interrupted)));
    assert!(matches!(bad.insert("m", &1).await, Err(SessionError::Closed)));
    assert!(Session::commit(&bad, Finish::Keep).await.result().is_err(), "the request cannot succeed any more");
    assert_eq!(w.read(&ticket).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_an_update_changes_nothing_and_locks_nobody_out() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    let session = w.open(&ticket);
    let clone = session.clone();
    let broken =
        tokio::spawn(async move { clone.update("n", |_: Option<u64>| -> u64 { panic!("the application") }).await });
    assert!(broken.await.unwrap_err().is_panic());
    assert_eq!(session.get::<u64>("n").await.unwrap(), Some(1));
    session.update("n", add_one).await.unwrap();
    Session::commit(&session, Finish::Keep).await.result().unwrap();
    assert_eq!(w.read(&ticket).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_in_a_commit_interrupts_that_request_alone() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    w.store.once(OpKind::Replace, Trouble::Panic);
    let session = w.open(&ticket);
    session.insert("n", &2).await.unwrap();
    let report = Session::commit(&session, Finish::Keep).await;
    assert!(matches!(report.result(), Err(SessionError::Interrupted)));
    let session = w.open(&ticket);
    session.insert("n", &3).await.unwrap();
    Session::commit(&session, Finish::Keep).await.result().unwrap();
    assert_eq!(w.read(&ticket).await, Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_try_update_that_refuses_on_replay_writes_nothing() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    let take = |n: Option<u64>| match n {
        Some(n) if n > 0 => Ok(n - 1),
        _ => Err(SessionError::Unavailable),
    };
    let (one, two) = (w.open(&ticket), w.open(&ticket));
    assert_eq!(one.try_update("n", take).await.unwrap(), 0);
    assert_eq!(two.try_update("n", take).await.unwrap(), 0);
    two.insert("m", &1).await.unwrap();
    Session::commit(&one, Finish::Keep).await.result().unwrap();
    let report = Session::commit(&two, Finish::Keep).await;
    assert!(matches!(commit_error(&report), CommitError::Replay(_)));
    assert_eq!(w.read(&ticket).await, Some(0));
    assert!(!w.store.holds(r#""m":"#));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_a_setting_and_holds_for_each_operation_alone() {
    let (store, runtime) = (TestStore::default(), TestRuntime::new());
    let deadline = Duration::from_millis(300);
    let builder = Sessions::builder(cloakroom_core::Engine::new(ring()), store.clone(), runtime);
    let sessions = builder.deadline(deadline).build();
    let open = |ticket: &str| {
        sessions.open([ticket.as_bytes()], &cloakroom_core::RequestInfo::new(), cloakroom_store::StoreFailure::Refuse)
    };
    let session = open("");
    session.insert("n", &1).await.unwrap();
    let ticket = crate::common::cookie(&Session::commit(&session, Finish::Keep).await).unwrap();

    for kind in [OpKind::Load, OpKind::Replace] {
        store.always(kind, Trouble::Delay(deadline - Duration::from_millis(50)));
    }
    let session = open(&ticket);
    session.insert("n", &2).await.unwrap();
    Session::commit(&session, Finish::Keep).await.result().unwrap();

    store.recover();
    store.always(OpKind::Load, Trouble::Delay(deadline + Duration::from_millis(50)));
    let start = Instant::now();
    assert!(matches!(open(&ticket).get::<u64>("n").await, Err(SessionError::Store(_))));
    assert!(start.elapsed() < deadline + Duration::from_millis(10));
    let_run().await;
}
