//! What a handler may ignore, and what it may not: the report tells failures that the handler did not.

use std::time::Duration;

use cloakroom_core::{CommitError, End, LoadError, OpKind, RequestInfo, StoreKey, Value, Version};
use cloakroom_store::{Fault, Finish, NullStore, Report, Session, SessionError, Sessions, Store as _, StoreFailure};
use cloakroom_tokio::Tokio;
use tokio::time::{Instant, timeout};

use crate::common::{DEADLINE, Trouble, World, poll_once, ring};

/// A session whose store is down, for a request that is served without one.
async fn without() -> (World, String, Session) {
    let w = World::new();
    let cookie = w.sign_in(1).await;
    w.store.always(OpKind::Load, Trouble::Fail);
    let session = w.open_with(&cookie, StoreFailure::ServeWithout);
    (w, cookie, session)
}

fn assert_unavailable(report: &Report) {
    assert!(matches!(report.result(), Err(SessionError::Unavailable)), "{:?}", report.result());
    assert_eq!((report.cookie().name(), report.end()), ("keep", None));
}

#[tokio::test(start_paused = true)]
async fn an_end_that_was_refused_is_an_error_also_when_the_handler_ignores_it() {
    for finish in [Finish::Keep, Finish::DropEdits] {
        for reads in [true, false] {
            let (w, cookie, session) = without().await;
            if reads {
                assert_eq!(session.get::<u64>("n").await.unwrap(), None);
            }
            let _ = session.destroy().await;
            let _ = session.get::<u64>("n").await;
            let report = Session::commit(&session, finish).await;
            assert_unavailable(&report);
            w.store.recover();
            assert_eq!(w.read(&cookie).await, Some(1));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn reads_that_were_served_without_are_no_error() {
    let (_w, _, session) = without().await;
    assert_eq!(session.get::<u64>("n").await.unwrap(), None);
    assert!(session.is_new().await.unwrap());
    assert!(session.handle().await.unwrap().is_none());
    let report = Session::commit(&session, Finish::Keep).await;
    report.result().unwrap();
    assert_eq!(report.cookie().name(), "keep");
    assert!(report.store_error().is_some(), "and it is told");
}

#[tokio::test(start_paused = true)]
async fn a_clone_that_nobody_polls_does_not_hold_up_the_commit() {
    let w = World::new();
    let cookie = w.sign_in(1).await;
    w.store.once(OpKind::Load, Trouble::Delay(Duration::from_millis(10)));
    let session = w.open(&cookie);
    let clone = session.clone();
    let mut stashed = Box::pin(async move {
        let found = clone.get::<u64>("n").await;
        let inserted = clone.insert("n", &9).await;
        (found, inserted, clone.save().await)
    });
    assert!(poll_once(stashed.as_mut()).is_pending());
    let start = Instant::now();
    let report = timeout(10 * DEADLINE, Session::commit(&session, Finish::Keep)).await.expect("it hangs");
    assert!(start.elapsed() <= DEADLINE + Duration::from_millis(10), "{:?}", start.elapsed());
    assert!(matches!(report.result(), Err(SessionError::Interrupted)), "{:?}", report.result());
    assert_eq!(report.cookie().name(), "keep");
    let (found, inserted, saved) = stashed.await;
    assert!(matches!(found, Err(SessionError::Closed)), "{found:?}");
    assert!(matches!(inserted, Err(SessionError::Closed)), "{inserted:?}");
    assert!(matches!(saved, Err(SessionError::Closed)), "{saved:?}");
    assert_eq!(w.read(&cookie).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_clone_that_is_still_loading_is_waited_for() {
    let w = World::new();
    let cookie = w.sign_in(1).await;
    w.store.once(OpKind::Load, Trouble::Delay(DEADLINE / 2));
    let session = w.open(&cookie);
    let clone = session.clone();
    let reader = tokio::spawn(async move { clone.get::<u64>("n").await });
    crate::common::let_run().await;
    Session::commit(&session, Finish::Keep).await.result().unwrap();
    assert_eq!(reader.await.unwrap().unwrap(), Some(1));
}

/// A session whose record is damaged.
async fn damaged() -> (World, Session) {
    let w = World::new();
    let cookie = w.sign_in(1).await;
    w.store.corrupt();
    let session = w.open(&cookie);
    (w, session)
}

fn is_undecodable<T>(result: &Result<T, SessionError>) -> bool {
    matches!(result, Err(SessionError::Load(LoadError::Undecodable)))
}

#[tokio::test(start_paused = true)]
async fn a_read_of_a_record_that_does_not_decode_is_an_error_also_when_the_handler_ignores_it() {
    for finish in [Finish::Keep, Finish::DropEdits] {
        let (_w, session) = damaged().await;
        assert!(is_undecodable(&session.get::<u64>("n").await));
        let report = Session::commit(&session, finish).await;
        assert!(is_undecodable(&report.result()), "{:?}", report.result());
        assert_eq!((report.cookie().name(), report.end()), ("keep", None));
    }
    let (_w, session) = damaged().await;
    assert!(is_undecodable(&session.insert("n", &2).await));
    assert!(is_undecodable(&Session::commit(&session, Finish::Keep).await.result()), "a write too");
    let (_w, session) = damaged().await;
    Session::commit(&session, Finish::Keep).await.result().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_save_that_has_nothing_to_store_does_not_make_it_good() {
    let (_w, session) = damaged().await;
    assert!(is_undecodable(&session.get::<u64>("n").await));
    session.save().await.unwrap();
    assert!(is_undecodable(&Session::commit(&session, Finish::Keep).await.result()));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_session_makes_good_that_its_record_did_not_decode() {
    for reads in [true, false] {
        let (w, session) = damaged().await;
        if reads {
            assert!(is_undecodable(&session.get::<u64>("n").await));
        }
        session.destroy().await.unwrap();
        let report = Session::commit(&session, Finish::Keep).await;
        report.result().unwrap();
        assert_eq!((report.cookie().name(), report.end()), ("clear", Some(End::Ended)));
        assert_eq!(w.store.live(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_was_saved_makes_it_good_too() {
    let (w, session) = damaged().await;
    assert!(is_undecodable(&session.get::<u64>("n").await));
    session.destroy().await.unwrap();
    session.save().await.unwrap();
    session.insert("n", &2).await.unwrap();
    let report = Session::commit(&session, Finish::Keep).await;
    report.result().unwrap();
    assert_eq!((report.cookie().name(), w.store.live()), ("set", 1));
}

#[tokio::test(start_paused = true)]
async fn an_end_that_failed_makes_nothing_good() {
    let (w, session) = damaged().await;
    assert!(is_undecodable(&session.get::<u64>("n").await));
    session.destroy().await.unwrap();
    w.store.always(OpKind::Replace, Trouble::Fail);
    let report = Session::commit(&session, Finish::Keep).await;
    assert!(report.result().is_err());
    assert_eq!((report.cookie().name(), report.end()), ("keep", Some(End::Failed)));
}

#[tokio::test]
async fn where_sessions_are_off_every_operation_says_so() {
    let sessions = Sessions::new(ring(), NullStore, Tokio);
    let ticket = World::new().sign_in(1).await;
    let open = |cookie: &str| sessions.open([cookie.as_bytes()], &RequestInfo::new(), StoreFailure::Refuse);

    let stranger = open("");
    assert_eq!(stranger.get::<u64>("n").await.unwrap(), None);
    Session::commit(&stranger, Finish::Keep).await.result().unwrap();

    let writer = open("");
    writer.insert("n", &1).await.unwrap();
    let report = Session::commit(&writer, Finish::Keep).await;
    assert!(matches!(report.result(), Err(SessionError::Commit(CommitError::Store))), "{:?}", report.result());
    assert_eq!(report.cookie().name(), "keep");

    let Err(SessionError::Store(error)) = open(&ticket).get::<u64>("n").await else { panic!("it was read") };
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!((error.fault(), source.to_string().as_str()), (Fault::Refused, "sessions are off: there is no store"));

    let (key, value, version) =
        (StoreKey::new("a").unwrap(), Value::from(vec![1_u8]), Version::from_bytes(Value::from(vec![1_u8])));
    let ttl = Duration::from_secs(1);
    let errors = [
        NullStore.create(&key, &value, ttl).await.unwrap_err(),
        NullStore.replace(&key, &version, &value, ttl).await.unwrap_err(),
        NullStore.touch(&key, &version, &value, ttl).await.unwrap_err(),
        NullStore.remove(&key, &version).await.unwrap_err(),
    ];
    assert!(errors.iter().all(|error| error.fault() == Fault::Refused && !error.may_have_happened()), "{errors:?}");
}
