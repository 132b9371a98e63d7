//! One commit a request: whole, whatever becomes of who waits for it, and closed afterwards.

use std::task::Poll;

use cloakroom_core::{CommitError, End, Lifetime, OpKind};
use cloakroom_store::{Finish, Session, SessionError, StoreFailure};
use tokio::time::sleep;

use crate::common::{DEADLINE, Gate, Trouble, World, add_one, cookie, let_run, poll_once, set_cookie, until};

#[tokio::test(start_paused = true)]
async fn an_untouched_session_is_settled_at_the_first_poll_and_asks_for_nothing() {
    let w = World::new();
    let valid = w.sign_in(1).await;
    let before = w.runtime.uses();
    for (line, finish) in [(valid.as_str(), Finish::Keep), (valid.as_str(), Finish::DropEdits), ("", Finish::Keep)] {
        let session = w.open(line);
        let Poll::Ready(report) = poll_once(Session::commit(&session, finish)) else { panic!("it waited") };
        report.result().unwrap();
        assert_eq!(report.headers().count(), 0);
        assert!(report.ops().is_empty());
    }
    assert_eq!(w.store.take_ops(), "");
    assert_eq!(w.runtime.uses(), before, "nothing was spawned and no timer made");
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_request_asks_for_what_it_needs_and_nothing_twice() {
    let w = World::new();
    let session = w.open("");
    session.insert("n", &1).await.unwrap();
    let report = Session::commit(&session, Finish::Keep).await;
    assert_eq!((w.store.take_ops().as_str(), report.ops().to_string().as_str()), ("create", "create"));
    let ticket = cookie(&report).unwrap();

    let session = w.open(&ticket);
    session.get::<u64>("n").await.unwrap();
    let report = Session::commit(&session, Finish::Keep).await;
    assert_eq!((w.store.take_ops().as_str(), report.ops().to_string().as_str()), ("load", "load"));
    assert_eq!(report.headers().collect::<Vec<_>>(), [("vary", "Cookie")]);

    let session = w.open(&ticket);
    session.update("n", add_one).await.unwrap();
    let report = Session::commit(&session, Finish::Keep).await;
    assert_eq!((w.store.take_ops().as_str(), report.ops().to_string().as_str()), ("load,replace", "load,replace"));
    assert_eq!(report.cookie().name(), "keep");

    let session = w.open(&ticket);
    session.insert("n", &2).await.unwrap();
    Session::commit(&session, Finish::Keep).await.result().unwrap();
    assert_eq!(w.store.take_ops(), "load", "equal writes are no commit");
}

#[tokio::test(start_paused = true)]
async fn after_the_commit_every_clone_is_closed() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    for use_before in ["nothing", "read", "change"] {
        let session = w.open(&ticket);
        let clone = session.clone();
        match use_before {
            "read" => assert!(session.get::<u64>("n").await.unwrap().is_some()),
            "change" => session.insert("n", &5).await.unwrap(),
            _ => {}
        }
        Session::commit(&session, Finish::Keep).await.result().unwrap();
        w.store.take_ops();
        let closed = |result: Result<(), SessionError>| assert!(matches!(result, Err(SessionError::Closed)));
        closed(clone.get::<u64>("n").await.map(drop));
        closed(clone.is_new().await.map(drop));
        closed(clone.created().await.map(drop));
        closed(clone.handle().await.map(drop));
        closed(clone.whole::<std::collections::BTreeMap<String, u64>>().await.map(drop));
        closed(clone.insert("n", &9).await);
        closed(clone.remove("n").await.map(drop));
        closed(clone.clear().await);
        closed(clone.update("n", add_one).await.map(drop));
        closed(clone.try_update("n", |_| Ok::<u64, SessionError>(9)).await.map(drop));
        closed(clone.update_now("n", add_one).await.map(drop));
        closed(clone.set_lifetime(Lifetime::default()).await);
        closed(clone.rotate().await);
        closed(clone.destroy().await);
        closed(clone.save().await);
        clone.on_store_failure(StoreFailure::ServeWithout);
        closed(clone.get::<u64>("n").await.map(drop));
        let report = Session::commit(&clone, Finish::Keep).await;
        closed(report.result());
        assert_eq!(report.headers().count(), 0);
        assert_eq!(w.store.take_ops(), "");
    }
    assert_eq!(w.read(&ticket).await, Some(5));
}

#[tokio::test(start_paused = true)]
async fn a_commit_closes_the_handle_before_the_store_answers() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    let session = w.open(&ticket);
    session.insert("n", &2).await.unwrap();
    let gate = Gate::default();
    w.store.once(OpKind::Replace, Trouble::Hold(gate.clone()));
    let mut commit = Session::commit(&session, Finish::Keep);
    assert!(poll_once(&mut commit).is_pending());
    assert!(matches!(session.insert("n", &3).await, Err(SessionError::Closed)));
    gate.open();
    commit.await.result().unwrap();
    assert_eq!(w.read(&ticket).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_commit_goes_on_when_nobody_waits_for_it() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    for (n, polls) in [(2, 0), (3, 1)] {
        let gate = Gate::default();
        w.store.once(OpKind::Replace, Trouble::Hold(gate.clone()));
        let session = w.open(&ticket);
        session.insert("n", &n).await.unwrap();
        let mut commit = Session::commit(&session, Finish::Keep);
        for _ in 0..polls {
            assert!(poll_once(&mut commit).is_pending());
            let_run().await;
        }
        drop((commit, session));
        gate.open();
        until(|| w.store.holds(&format!(r#""n":{n}"#))).await;
        assert_eq!(w.read(&ticket).await, Some(n));
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_somebody_waits_for_is_done_in_place() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    let (spawned, slept) = w.runtime.uses();
    for waits in [false, true] {
        let gate = Gate::default();
        let session = w.open(&ticket);
        session.update("n", add_one).await.unwrap();
        if waits {
            w.store.once(OpKind::Replace, Trouble::Hold(gate.clone()));
        }
        let mut commit = Session::commit(&session, Finish::Keep);
        if waits {
            assert!(poll_once(&mut commit).is_pending());
        }
        gate.open();
        commit.await.result().unwrap();
        assert_eq!(w.runtime.uses(), (spawned, slept + usize::from(waits)), "no task, and a timer only to wait");
    }
    assert_eq!(w.read(&ticket).await, Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_nobody_waits_for_is_whole() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    let gate = Gate::default();
    w.store.once(OpKind::Create, Trouble::ApplyThenHold(gate.clone()));
    let session = w.open(&ticket);
    session.insert("n", &2).await.unwrap();
    session.rotate().await.unwrap();
    drop(Session::commit(&session, Finish::Keep));
    let_run().await;
    gate.open();
    until(|| w.store.live() == 1 && w.store.held_keys().len() == 2).await;
    assert_eq!(w.read(&ticket).await, Some(2), "through the pointer, the new ticket was never presented");
}

#[tokio::test(start_paused = true)]
async fn a_save_goes_on_when_nobody_waits_for_it() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    let gate = Gate::default();
    w.store.once(OpKind::Replace, Trouble::Hold(gate.clone()));
    let session = w.open(&ticket);
    session.insert("n", &2).await.unwrap();
    assert!(poll_once(session.save()).is_pending());
    drop(session);
    let_run().await;
    gate.open();
    until(|| w.store.holds(r#""n":2"#)).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_goes_on_after_a_save_that_nobody_waited_for() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    let gate = Gate::default();
    w.store.once(OpKind::Replace, Trouble::Hold(gate.clone()));
    let session = w.open(&ticket);
    session.insert("n", &2).await.unwrap();
    assert!(poll_once(session.save()).is_pending());
    let_run().await;
    gate.open();
    assert_eq!(session.get::<u64>("n").await.unwrap(), Some(2));
    session.insert("m", &3).await.unwrap();
    Session::commit(&session, Finish::Keep).await.result().unwrap();
    assert!(w.store.holds(r#""m":3"#) && w.store.holds(r#""n":2"#));
    assert_eq!(w.store.take_ops(), "load,replace,replace");
}

#[tokio::test(start_paused = true)]
async fn edits_around_a_save_are_two_writes_and_one_cookie() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    let session = w.open(&ticket);
    session.insert("a", &1).await.unwrap();
    session.save().await.unwrap();
    assert!(w.store.holds(r#""a":1"#), "before the commit");
    session.insert("b", &2).await.unwrap();
    let report = Session::commit(&session, Finish::Keep).await;
    report.result().unwrap();
    assert_eq!(w.store.take_ops(), "load,replace,replace");
    assert_eq!(report.cookie().name(), "keep");

    let session = w.open("");
    session.insert("a", &1).await.unwrap();
    session.save().await.unwrap();
    session.insert("b", &2).await.unwrap();
    let report = Session::commit(&session, Finish::Keep).await;
    assert_eq!(w.store.take_ops(), "create,replace");
    let new = cookie(&report).unwrap();
    assert_eq!(w.open(&new).get::<u64>("b").await.unwrap(), Some(2));
}

#[tokio::test(start_paused = true)]
async fn the_last_cookie_of_a_request_wins() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    let session = w.open(&ticket);
    session.rotate().await.unwrap();
    session.save().await.unwrap();
    session.rotate().await.unwrap();
    session.save().await.unwrap();
    session.destroy().await.unwrap();
    let report = Session::commit(&session, Finish::Keep).await;
    assert_eq!(report.end(), Some(End::Ended));
    let line = set_cookie(&report).unwrap();
    assert!(line.starts_with("__Host-id=;") && line.contains("Max-Age=0"), "{line}");
    assert_eq!(w.store.live(), 0);
    assert_eq!(w.read(&ticket).await, None);
}

#[tokio::test(start_paused = true)]
async fn the_cookie_of_a_save_is_owed_though_the_commit_fails() {
    let w = World::new();
    let session = w.open("");
    session.insert("a", &1).await.unwrap();
    session.save().await.unwrap();
    session.insert("b", &2).await.unwrap();
    w.store.always(OpKind::Replace, Trouble::Fail);
    let report = Session::commit(&session, Finish::Keep).await;
    assert!(matches!(report.result(), Err(SessionError::Commit(CommitError::Store))));
    let new = cookie(&report).unwrap();
    assert_eq!(w.open(&new).get::<u64>("a").await.unwrap(), Some(1));
    assert_eq!(w.open(&new).get::<u64>("b").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_edits_keeps_an_end_and_what_was_saved() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    let session = w.open(&ticket);
    session.insert("n", &2).await.unwrap();
    session.rotate().await.unwrap();
    let report = Session::commit(&session, Finish::DropEdits).await;
    report.result().unwrap();
    assert_eq!((w.store.take_ops().as_str(), report.cookie().name()), ("load", "keep"));
    assert_eq!(w.read(&ticket).await, Some(1));

    let session = w.open(&ticket);
    session.insert("n", &3).await.unwrap();
    session.save().await.unwrap();
    session.insert("n", &4).await.unwrap();
    Session::commit(&session, Finish::DropEdits).await.result().unwrap();
    assert_eq!(w.read(&ticket).await, Some(3));

    let session = w.open(&ticket);
    session.destroy().await.unwrap();
    session.insert("n", &5).await.unwrap();
    let report = Session::commit(&session, Finish::DropEdits).await;
    assert_eq!((report.end(), report.cookie().name()), (Some(End::Ended), "clear"));
    assert_eq!((w.read(&ticket).await, w.store.live()), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn a_commit_waits_for_a_clone_that_loads() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    let gate = Gate::default();
    w.store.once(OpKind::Load, Trouble::Hold(gate.clone()));
    let session = w.open(&ticket);
    let clone = session.clone();
    let loader = tokio::spawn(async move { clone.insert("n", &2).await });
    until(|| w.store.count(OpKind::Load) == 1).await;
    let commit = Session::commit(&session, Finish::Keep);
    let_run().await;
    gate.open();
    loader.await.unwrap().unwrap();
    let report = commit.await;
    report.result().unwrap();
    assert_eq!(report.ops().to_string(), "load,replace");
    assert_eq!(w.read(&ticket).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_takes_no_edits_and_keeps_the_cookie() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    let late = w.open(&ticket);
    late.insert("n", &2).await.unwrap();
    let other = w.open(&ticket);
    other.destroy().await.unwrap();
    Session::commit(&other, Finish::Keep).await.result().unwrap();
    let report = Session::commit(&late, Finish::Keep).await;
    assert!(matches!(report.result(), Err(SessionError::Commit(CommitError::Lost))));
    assert_eq!((report.cookie().name(), w.store.live()), ("keep", 0));
}

#[tokio::test(start_paused = true)]
async fn two_slow_writers_to_different_keys_both_keep_their_changes() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    let (one, two) = (w.open(&ticket), w.open(&ticket));
    one.insert("a", &1).await.unwrap();
    two.insert("b", &2).await.unwrap();
    sleep(DEADLINE * 5).await;
    let (one, two) = tokio::join!(Session::commit(&one, Finish::Keep), Session::commit(&two, Finish::Keep));
    one.result().unwrap();
    two.result().unwrap();
    assert!(w.store.holds(r#""a":1"#) && w.store.holds(r#""b":2"#));
}

/// Every future of the handle can move between threads.
#[allow(dead_code, reason = "it need only compile")]
fn futures_are_send(session: &'static Session) {
    fn is_send(_: impl Send) {}
    fn is_shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    is_shared(session);
    is_send(session.get::<u64>("n"));
    is_send(session.whole::<std::collections::BTreeMap<String, u64>>());
    is_send(session.is_new());
    is_send(session.created());
    is_send(session.handle());
    is_send(session.insert("n", &1));
    is_send(session.remove("n"));
    is_send(session.clear());
    is_send(session.update("n", add_one));
    is_send(session.try_update("n", |_| Ok::<u64, SessionError>(1)));
    is_send(session.update_now("n", add_one));
    is_send(session.set_lifetime(Lifetime::default()));
    is_send(session.rotate());
    is_send(session.destroy());
    is_send(session.save());
    is_send(Session::commit(session, Finish::Keep));
}
