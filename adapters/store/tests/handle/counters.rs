//! What is counted over all requests, and what errors of a store say.

use std::error::Error;

use cloakroom_core::{OpKind, limits::MAX_EVENTS};
use cloakroom_store::{Fault, Finish, Session, StoreError};

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
