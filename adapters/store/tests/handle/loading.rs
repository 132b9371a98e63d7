//! The handle loads on first use, once, and says what is wrong with the store.

use std::{task::Poll, time::Duration};

use cloakroom_core::{EditError, LoadError, OpKind};
use cloakroom_store::{Fault, Finish, Session, SessionError, StoreFailure};
use tokio::time::Instant;

use crate::common::{DEADLINE, Gate, Trouble, World, let_run, poll_once, until};

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_before_the_first_access() {
    let w = World::new();
    let cookie = w.sign_in(1).await;
    let session = w.open(&cookie);
    let clone = session.clone();
    let_run().await;
    assert!(!session.is_accessed());
    assert_eq!(w.store.take_ops(), "");
    assert_eq!(clone.get::<u64>("n").await.unwrap(), Some(1));
    assert!(session.is_accessed());
    assert_eq!(w.store.take_ops(), "load");
}

#[tokio::test(start_paused = true)]
async fn an_access_without_a_ticket_asks_for_nothing() {
    let w = World::new();
    let session = w.open("theme=dark");
    assert_eq!(session.get::<u64>("n").await.unwrap(), None);
    assert!(session.is_new().await.unwrap());
    assert_eq!(w.store.take_ops(), "");
}

#[tokio::test(start_paused = true)]
async fn clones_that_load_at_the_same_time_load_once() {
    let w = World::new();
    let cookie = w.sign_in(7).await;
    let gate = Gate::default();
    w.store.always(OpKind::Load, Trouble::Hold(gate.clone()));
    let session = w.open(&cookie);
    let readers: Vec<_> = (0..5)
        .map(|_| {
            let session = session.clone();
            tokio::spawn(async move { session.get::<u64>("n").await.unwrap() })
        })
        .collect();
    until(|| w.store.count(OpKind::Load) > 0).await;
    let_run().await;
    gate.open();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), Some(7));
    }
    assert_eq!(w.store.take_ops(), "load");
}

#[tokio::test(start_paused = true)]
async fn a_first_loader_that_gives_up_leaves_the_session_loadable() {
    let w = World::new();
    let cookie = w.sign_in(7).await;
    w.store.once(OpKind::Load, Trouble::Hang);
    let session = w.open(&cookie);
    assert!(poll_once(session.get::<u64>("n")).is_pending());
    assert_eq!(session.get::<u64>("n").await.unwrap(), Some(7));
    assert_eq!(w.store.take_ops(), "load,load");
    session.insert("m", &1).await.unwrap();
    Session::commit(&session, Finish::Keep).await.result().unwrap();
    assert!(w.store.holds(r#""m":1"#));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_loader_that_gives_up_loads_in_its_place() {
    let w = World::new();
    let cookie = w.sign_in(7).await;
    w.store.once(OpKind::Load, Trouble::Hang);
    let session = w.open(&cookie);
    let mut first = Box::pin(session.get::<u64>("n"));
    assert!(poll_once(first.as_mut()).is_pending());
    let other = session.clone();
    let second = tokio::spawn(async move { other.get::<u64>("n").await.unwrap() });
    let_run().await;
    drop(first);
    assert_eq!(second.await.unwrap(), Some(7));
}

#[tokio::test(start_paused = true)]
async fn a_load_ends_at_the_deadline_as_an_error_of_the_store() {
    let w = World::new();
    let cookie = w.sign_in(1).await;
    w.store.always(OpKind::Load, Trouble::Hang);
    let session = w.open(&cookie);
    let start = Instant::now();
    let error = session.get::<u64>("n").await.unwrap_err();
    assert!(matches!(&error, SessionError::Store(error) if error.fault() == Fault::TimedOut), "{error:?}");
    assert!(start.elapsed() >= DEADLINE && start.elapsed() < DEADLINE + Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn an_answer_just_before_the_deadline_counts() {
    let w = World::new();
    let cookie = w.sign_in(1).await;
    w.store.always(OpKind::Load, Trouble::Delay(DEADLINE - Duration::from_millis(10)));
    assert_eq!(w.read(&cookie).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_failed_is_not_waited_for_twice_by_one_request() {
    let w = World::new();
    let cookie = w.sign_in(1).await;
    w.store.always(OpKind::Load, Trouble::Hang);
    let session = w.open(&cookie);
    let start = Instant::now();
    session.get::<u64>("n").await.unwrap_err();
    w.store.recover();
    assert!(matches!(session.clone().get::<u64>("n").await, Err(SessionError::Store(_))));
    assert!(matches!(session.insert("m", &1).await, Err(SessionError::Store(_))));
    assert!(matches!(session.destroy().await, Err(SessionError::Store(_))));
    assert!(matches!(session.save().await, Err(SessionError::Store(_))));
    let report = Session::commit(&session, Finish::Keep).await;
    assert!(start.elapsed() < DEADLINE + Duration::from_millis(10));
    assert_eq!(w.store.take_ops(), "load");
    assert!(matches!(report.result(), Err(SessionError::Store(_))));
    assert_eq!((report.cookie().name(), report.ops().to_string().as_str()), ("keep", "load"));
    // The next request asks again.
    assert_eq!(w.read(&cookie).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_served_without_reads_nothing_and_writes_nothing() {
    let w = World::new();
    let cookie = w.sign_in(1).await;
    w.store.always(OpKind::Load, Trouble::Fail);
    let session = w.open_with(&cookie, StoreFailure::ServeWithout);
    assert_eq!(session.get::<u64>("n").await.unwrap(), None);
    assert!(session.is_new().await.unwrap());
    assert_eq!(session.created().await.unwrap(), None);
    assert_eq!(session.handle().await.unwrap(), None);
    let whole = session.whole::<std::collections::BTreeMap<String, u64>>().await.unwrap();
    assert!(whole.is_empty());
    let unavailable = |result: Result<(), SessionError>| assert!(matches!(result, Err(SessionError::Unavailable)));
    unavailable(session.insert("m", &1).await);
    unavailable(session.remove("n").await.map(drop));
    unavailable(session.clear().await);
    unavailable(session.update("n", crate::common::add_one).await.map(drop));
    unavailable(session.update_now("n", crate::common::add_one).await.map(drop));
    unavailable(session.rotate().await);
    unavailable(session.save().await);
    let report = Session::commit(&session, Finish::Keep).await;
    assert!(report.result().is_ok(), "the handler was told");
    assert_eq!((report.cookie().name(), w.store.take_ops().as_str()), ("keep", "load"));
    let session = w.open_with(&cookie, StoreFailure::ServeWithout);
    unavailable(session.destroy().await);
    let report = Session::commit(&session, Finish::Keep).await;
    assert!(matches!(report.result(), Err(SessionError::Unavailable)), "an end is never forgotten");
    assert_eq!((report.cookie().name(), w.store.take_ops().as_str()), ("keep", "load"));
    w.store.recover();
    assert_eq!(w.read(&cookie).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn serving_without_is_no_licence_for_a_write_that_fails_at_the_commit() {
    let w = World::new();
    let cookie = w.sign_in(1).await;
    w.store.always(OpKind::Replace, Trouble::Fail);
    let session = w.open_with(&cookie, StoreFailure::ServeWithout);
    session.insert("n", &2).await.unwrap();
    let report = Session::commit(&session, Finish::Keep).await;
    assert!(report.result().is_err());
    assert_eq!(w.read(&cookie).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn what_a_failure_means_can_be_set_for_a_request_at_any_time() {
    let w = World::new();
    let cookie = w.sign_in(1).await;
    w.store.always(OpKind::Load, Trouble::Fail);
    let session = w.open(&cookie);
    assert!(matches!(session.get::<u64>("n").await, Err(SessionError::Store(_))));
    session.clone().on_store_failure(StoreFailure::ServeWithout);
    assert_eq!(session.get::<u64>("n").await.unwrap(), None);
    session.on_store_failure(StoreFailure::Refuse);
    assert!(matches!(session.get::<u64>("n").await, Err(SessionError::Store(_))));
}

#[tokio::test(start_paused = true)]
async fn an_undecodable_record_is_an_error_for_every_read_and_edit() {
    let w = World::new();
    let cookie = w.sign_in(1).await;
    w.store.corrupt();
    let session = w.open(&cookie);
    let unreadable = |error: SessionError| {
        let known = [LoadError::Undecodable];
        match error {
            SessionError::Load(error) => assert!(known.contains(&error)),
            SessionError::Edit(error) => assert_eq!(error, EditError::Undecodable),
            other => panic!("{other:?}"),
        }
    };
    unreadable(session.get::<u64>("n").await.unwrap_err());
    unreadable(session.get::<u64>("n").await.unwrap_err());
    unreadable(session.insert("n", &1).await.unwrap_err());
    unreadable(session.clear().await.unwrap_err());
    unreadable(session.update("n", crate::common::add_one).await.unwrap_err());
    assert_eq!(w.store.take_ops(), "load");
    let report = Session::commit(&session, Finish::Keep).await;
    assert_eq!((report.cookie().name(), w.store.take_ops().as_str()), ("keep", ""));
}

#[tokio::test(start_paused = true)]
async fn an_undecodable_record_is_no_new_session() {
    let w = World::new();
    let cookie = w.sign_in(1).await;
    w.store.corrupt();
    let session = w.open(&cookie);
    assert!(session.is_new().await.is_err());
    assert!(!matches!(session.is_new().await, Ok(true)), "the second look says what the first did");
}

#[tokio::test(start_paused = true)]
async fn an_undecodable_record_can_be_ended() {
    let w = World::new();
    let cookie = w.sign_in(1).await;
    w.store.corrupt();
    let session = w.open(&cookie);
    session.destroy().await.unwrap();
    let report = Session::commit(&session, Finish::Keep).await;
    report.result().unwrap();
    assert_eq!(report.cookie().name(), "clear");
    assert_eq!(w.store.take_ops(), "load,replace");
    assert_eq!(w.read(&cookie).await, None);
    assert!(w.open(&cookie).is_new().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_load_that_panics_leaves_the_handle_usable() {
    let w = World::new();
    let cookie = w.sign_in(3).await;
    w.store.once(OpKind::Load, Trouble::Panic);
    let session = w.open(&cookie);
    let other = session.clone();
    assert!(tokio::spawn(async move { other.get::<u64>("n").await }).await.unwrap_err().is_panic());
    assert_eq!(session.get::<u64>("n").await.unwrap(), Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_forged_ticket_costs_the_store_nothing() {
    let w = World::new();
    let cookie = w.sign_in(1).await;
    let (name, token) = cookie.split_once('=').unwrap();
    let flipped = if token.starts_with('A') { 'B' } else { 'A' };
    let long = "x".repeat(5000);
    for forged in [format!("{flipped}{}", &token[1..]), token[..43].to_owned(), long, String::new()] {
        let session = w.open(&format!("{name}={forged}"));
        assert_eq!(session.get::<u64>("n").await.unwrap(), None);
        let report = Session::commit(&session, Finish::Keep).await;
        assert_eq!((report.cookie().name(), report.ops().len()), ("keep", 0), "{forged}");
    }
    assert_eq!(w.store.take_ops(), "");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_answers_at_once_needs_no_timer() {
    let w = World::new();
    let cookie = w.sign_in(1).await;
    let before = w.runtime.uses().1;
    let session = w.open(&cookie);
    let Poll::Ready(Ok(Some(1_u64))) = poll_once(session.get("n")) else { panic!("it waited") };
    assert_eq!(w.runtime.uses().1, before);
}
