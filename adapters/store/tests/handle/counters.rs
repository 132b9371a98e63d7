//! What is counted and told of requests, and what their errors say.

use std::{error::Error, time::SystemTime};

use cloakroom_core::{CommitError, EditError, Event, LoadError, OpKind, UnixTime, limits::MAX_EVENTS};
use cloakroom_runtime::Runtime;
use cloakroom_store::{Fault, Finish, OpLog, Session, SessionError, StoreError};

use crate::common::{Trouble, World};

#[tokio::test(start_paused = true)]
async fn events_beyond_those_that_are_kept_are_counted_without_their_names() {
    let w = World::new();
    w.read(&w.sign_in(1).await).await;
    assert_eq!(w.sessions.counters().events_overflowed(), 0);
    let cookie = w.sign_in(1).await;
    let named_before: u64 = w.sessions.counters().events().map(|(_, count)| count).sum();
    let session = w.open(&cookie);
    let rotations = MAX_EVENTS + 5;
    for _ in 0..rotations {
        session.rotate().await.unwrap();
        session.save().await.unwrap();
    }
    Session::commit(&session, Finish::Keep).await.result().unwrap();
    let named: u64 = w.sessions.counters().events().map(|(_, count)| count).sum();
    assert_eq!((named - named_before, w.sessions.counters().events_overflowed()), (MAX_EVENTS as u64, 5));
}

#[tokio::test(start_paused = true)]
async fn each_failure_of_the_store_counts_once() {
    let w = World::new();
    let cookie = w.sign_in(1).await;
    assert_eq!(w.sessions.counters().store_failures(), 0);
    for failures in 1..4 {
        w.store.once(OpKind::Load, Trouble::Fail);
        let session = w.open(&cookie);
        session.get::<u64>("n").await.unwrap_err();
        let _ = Session::commit(&session, Finish::Keep).await;
        assert_eq!(w.sessions.counters().store_failures(), failures);
    }
}

#[test]
fn a_failure_says_what_happened_and_whether_it_may_have_been_done() {
    for (fault, words) in [
        (Fault::Full, "full"),
        (Fault::Internal, "must not"),
        (Fault::Refused, "refused"),
        (Fault::TimedOut, "in time"),
        (Fault::Unavailable, "reached"),
    ] {
        let (failed, unknown) = (StoreError::failed(fault), StoreError::unknown(fault));
        assert_eq!((failed.fault(), unknown.fault()), (fault, fault));
        assert!(failed.to_string().contains(words) && unknown.to_string().contains(words), "{failed}");
        assert!(unknown.to_string().ends_with("may have happened") && !failed.may_have_happened());
        assert!(!failed.to_string().contains("may have") && unknown.may_have_happened());
        assert!(failed.source().is_none());
        assert_eq!(failed.with_source("its own words").source().unwrap().to_string(), "its own words");
    }
}

#[test]
fn an_error_of_a_session_says_what_is_wrong_with_it() {
    let store = StoreError::failed(Fault::Full);
    for (error, words, source) in [
        (SessionError::Closed, "committed already", None),
        (SessionError::Commit(CommitError::Lost), "lost", None),
        (SessionError::Edit(EditError::TooManyEdits), "edits", None),
        (SessionError::Interrupted, "broke down", None),
        (SessionError::Load(LoadError::Undecodable), "decode", None),
        (SessionError::Store(store.clone()), "full", None),
        (SessionError::Store(store.with_source("its own words")), "full", Some("its own words")),
        (SessionError::Unavailable, "without a session", None),
    ] {
        // A chain of errors says everything once.
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.source().map(ToString::to_string).as_deref(), source, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_report_tells_the_events_and_the_operations() {
    let w = World::new();
    let session = w.open("");
    assert_eq!(format!("{session:?}"), "Session { .. }");
    session.insert("n", &1).await.unwrap();
    let commit = Session::commit(&session, Finish::Keep);
    assert_eq!(format!("{commit:?}"), "Commit { .. }");
    let report = commit.await;
    let events: Vec<Event> = report.events().unwrap().iter().collect();
    assert_eq!(events, [Event::Created]);
    assert_eq!((report.ops().len(), report.ops().is_empty()), (1, false));
    assert_eq!((report.ops().to_string().as_str(), format!("{:?}", report.ops()).as_str()), ("create", "[Create]"));
    assert_eq!((OpLog::default().len(), OpLog::default().is_empty()), (0, true));
}

#[tokio::test(start_paused = true)]
async fn a_session_is_made_at_the_time_of_its_runtime() {
    let w = World::new();
    let since = w.runtime.now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let now = UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap());
    let cookie = w.sign_in(1).await;
    let created = w.open(&cookie).created().await.unwrap().unwrap();
    assert!(created >= now && created.since(now).as_secs() < 60, "{created:?} and {now:?}");
}

#[tokio::test(start_paused = true)]
async fn a_typed_whole_is_stored_through_the_handle() {
    #[derive(Debug, Default, serde::Deserialize, serde::Serialize, Eq, PartialEq)]
    struct Cart {
        items: u32,
        name: String,
    }
    let w = World::new();
    let cookie = w.sign_in(1).await;
    let session = w.open(&cookie);
    session.set_whole(&Cart { items: 2, name: "a".to_owned() }).await.unwrap();
    session.update_whole(|cart: &mut Cart| cart.items += 1).await.unwrap();
    Session::commit(&session, Finish::Keep).await.result().unwrap();
    let whole: Cart = w.open(&cookie).whole().await.unwrap();
    assert_eq!(whole, Cart { items: 3, name: "a".to_owned() });
}
