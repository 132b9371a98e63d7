//! Signing in through a handle, and the sessions of a user.

use std::time::Duration;

use cloakroom_core::{CommitError, EditError, Excess, Login, OpKind, RosterError, Which};
use cloakroom_runtime::BoxFuture;
use cloakroom_store::{Finish, Session, SessionError};

use crate::common::{Trouble, World, cookie, poll_once};

async fn finish(session: &Session) -> Option<String> {
    let report = Session::commit(session, Finish::Keep).await;
    report.result().unwrap();
    cookie(&report)
}

async fn login(w: &World, jar: &str, user: &str, how: Login) -> String {
    let session = w.open(jar);
    session.login(user, how).await.unwrap();
    finish(&session).await.unwrap()
}

async fn user_of(w: &World, jar: &str) -> Option<String> {
    w.open(jar).principal().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_login_gives_a_new_session_and_the_old_ticket_opens_nothing() {
    let w = World::new();
    let before = w.sign_in(1).await;
    let after = login(&w, &before, "alice", Login::new().carry("n")).await;
    assert_eq!(w.store.take_ops(), "load,create,enroll,replace");
    assert_eq!((user_of(&w, &before).await, w.read(&before).await), (None, None));
    assert_eq!((user_of(&w, &after).await.as_deref(), w.read(&after).await), (Some("alice"), Some(1)));
    let session = w.open(&after);
    session.logout().await.unwrap();
    finish(&session).await;
    assert_eq!(user_of(&w, &after).await, None);
    let sessions = w.sessions.of_user("alice").unwrap();
    assert!(sessions.list().await.unwrap().is_empty());
    assert_eq!(format!("{sessions:?}"), "UserSessions { .. }");
}

#[tokio::test(start_paused = true)]
async fn an_id_of_any_type_comes_back_as_it_went_in() {
    #[derive(Debug, serde::Deserialize, serde::Serialize, Eq, PartialEq)]
    struct UserId {
        tenant: u32,
        name: String,
    }
    let w = World::new();
    let id = UserId { tenant: 7, name: "ä\"\\".to_owned() };
    let session = w.open("");
    session.login(&id, Login::new()).await.unwrap();
    assert_eq!(session.principal::<UserId>().await.unwrap().as_ref(), Some(&id), "in the same request, too");
    let jar = finish(&session).await.unwrap();
    assert_eq!(w.open(&jar).principal::<UserId>().await.unwrap(), Some(id));
    assert!(matches!(w.open(&jar).principal::<u64>().await, Err(SessionError::Edit(EditError::Replay(_)))));
    let refused = w.open("").login(&None::<u32>, Login::new()).await;
    assert!(matches!(refused, Err(SessionError::Edit(EditError::Principal))), "{refused:?}");
}

/// A tie would be broken by chance, so that some tries show it.
#[tokio::test(start_paused = true)]
async fn of_two_logins_within_a_tick_of_the_clock_the_later_is_the_newer() {
    let w = World::new();
    for user in 0..16 {
        let user = user.to_string();
        login(&w, "", &user, Login::new().label("first")).await;
        tokio::time::advance(Duration::from_millis(1)).await;
        let jar = login(&w, "", &user, Login::new().label("second")).await;
        let listed = w.open(&jar).user_sessions().await.unwrap();
        assert_eq!(listed.iter().map(|one| one.current).collect::<Vec<_>>(), [true, false], "{user}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_lists_their_devices_and_ends_one() {
    let w = World::new();
    let phone = login(&w, "", "alice", Login::new().label("phone")).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    let laptop = login(&w, "", "alice", Login::new().label("laptop")).await;
    login(&w, "", "bob", Login::new()).await;
    let listed = w.open(&laptop).user_sessions().await.unwrap();
    let told: Vec<_> =
        listed.iter().map(|one| (one.label.as_ref().map(|label| label.as_str().to_owned()), one.current)).collect();
    assert_eq!(told, [(Some("laptop".to_owned()), true), (Some("phone".to_owned()), false)]);
    assert_eq!(listed[0].created.since(listed[1].created), Duration::from_secs(60));
    let session = w.open(&laptop);
    session.end_session(listed[1].handle).await.unwrap();
    assert_eq!(finish(&session).await, None);
    assert_eq!((user_of(&w, &phone).await, user_of(&w, &laptop).await.as_deref()), (None, Some("alice")));
    let gone = w.open(&laptop).end_session(listed[1].handle).await;
    assert!(matches!(gone, Err(SessionError::Roster(RosterError::UnknownHandle))), "{gone:?}");
    let session = w.open(&laptop);
    session.end_session(listed[0].handle).await.unwrap();
    let report = Session::commit(&session, Finish::Keep).await;
    assert_eq!((report.cookie().name(), user_of(&w, &laptop).await), ("clear", None));
}

#[tokio::test(start_paused = true)]
async fn ending_others_spares_this_one_and_ending_all_does_not() {
    let w = World::new();
    let mut jars = Vec::new();
    for _ in 0..3 {
        jars.push(login(&w, "", "alice", Login::new()).await);
    }
    let bob = login(&w, "", "bob", Login::new()).await;
    w.open(&jars[0]).end_other_sessions().await.unwrap();
    assert_eq!(user_of(&w, &jars[0]).await.as_deref(), Some("alice"));
    assert!(user_of(&w, &jars[1]).await.is_none() && user_of(&w, &jars[2]).await.is_none());
    jars.push(login(&w, "", "alice", Login::new()).await);
    let session = w.open(&jars[0]);
    session.end_all_sessions().await.unwrap();
    let report = Session::commit(&session, Finish::Keep).await;
    assert_eq!(report.cookie().name(), "clear");
    for jar in &jars {
        assert_eq!(user_of(&w, jar).await, None);
    }
    assert_eq!(user_of(&w, &bob).await.as_deref(), Some("bob"));
    let nobody = w.open("").end_all_sessions().await;
    assert!(matches!(nobody, Err(SessionError::Edit(EditError::NotSignedIn))), "{nobody:?}");
}

#[tokio::test(start_paused = true)]
async fn changed_credentials_give_a_new_id_and_end_the_others() {
    let w = World::new();
    let other = login(&w, "", "alice", Login::new()).await;
    let old = login(&w, "", "alice", Login::new()).await;
    let session = w.open(&old);
    session.credentials_changed().await.unwrap();
    let new = finish(&session).await.unwrap();
    assert_ne!(new, old);
    assert_eq!((user_of(&w, &old).await, user_of(&w, &other).await), (None, None));
    assert_eq!(user_of(&w, &new).await.as_deref(), Some("alice"));
}

#[tokio::test(start_paused = true)]
async fn the_others_end_also_when_this_session_gets_no_new_id() {
    let w = World::new();
    let other = login(&w, "", "alice", Login::new()).await;
    let jar = login(&w, "", "alice", Login::new()).await;
    w.store.once(OpKind::Create, Trouble::Fail);
    let failed = w.open(&jar).credentials_changed().await;
    assert!(matches!(failed, Err(SessionError::Commit(CommitError::Store))), "{failed:?}");
    assert_eq!((user_of(&w, &other).await, user_of(&w, &jar).await.as_deref()), (None, Some("alice")));
}

#[tokio::test(start_paused = true)]
async fn where_no_index_is_kept_this_session_gets_its_new_id_and_the_caller_is_told_of_the_others() {
    let w = World::new();
    w.store.keep_no_index();
    let other = login(&w, "", "alice", Login::new()).await;
    let old = login(&w, "", "alice", Login::new()).await;
    assert!(!w.sessions.has_index(), "it can be asked before");
    let session = w.open(&old);
    let told = session.credentials_changed().await;
    assert!(matches!(told, Err(SessionError::Roster(RosterError::NoIndex))), "{told:?}");
    // As after the 501 that comes of it.
    let report = Session::commit(&session, Finish::DropEdits).await;
    let new = cookie(&report).unwrap();
    assert_eq!(user_of(&w, &old).await, None, "who has a copy of the old ticket is out");
    assert_eq!(user_of(&w, &new).await.as_deref(), Some("alice"));
    assert_eq!(user_of(&w, &other).await.as_deref(), Some("alice"));
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_goes_on_when_the_client_hangs_up() {
    type Begin = fn(Session) -> BoxFuture<'static, Result<(), SessionError>>;
    let begun: [Begin; 3] = [
        |session| Box::pin(async move { session.credentials_changed().await }),
        |session| Box::pin(async move { session.end_all_sessions().await }),
        |session| Box::pin(async move { session.end_other_sessions().await }),
    ];
    for begin in begun {
        let w = World::new();
        let other = login(&w, "", "alice", Login::new()).await;
        let jar = login(&w, "", "alice", Login::new()).await;
        for kind in [OpKind::List, OpKind::Create, OpKind::Replace] {
            w.store.once(kind, Trouble::Delay(Duration::from_millis(100)));
        }
        let session = w.open(&jar);
        assert!(session.principal::<String>().await.unwrap().is_some());
        assert!(poll_once(begin(session)).is_pending());
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(user_of(&w, &other).await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sensitive_step_asks_for_a_fresh_proof() {
    let (w, minutes) = (World::new(), |n: u64| Duration::from_secs(n * 60));
    let jar = login(&w, "", "alice", Login::new()).await;
    assert!(w.open(&jar).authenticated_within(minutes(5)).await.unwrap());
    tokio::time::advance(minutes(6)).await;
    let session = w.open(&jar);
    assert!(!session.authenticated_within(minutes(5)).await.unwrap());
    session.elevate().await.unwrap();
    assert!(session.authenticated_within(minutes(5)).await.unwrap());
    let elevated = finish(&session).await.unwrap();
    assert!(w.open(&elevated).authenticated_within(minutes(5)).await.unwrap());
    assert_eq!(user_of(&w, &jar).await, None);
    assert!(!w.open("").authenticated_within(minutes(5)).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_limit_refuses_or_ends_the_oldest() {
    let w = World::new();
    let mut jars = Vec::new();
    for _ in 0..2 {
        jars.push(login(&w, "", "alice", Login::new()).await);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let session = w.open("");
    session.login("alice", Login::new().at_most(2, Excess::Refuse)).await.unwrap();
    let refused = session.save().await;
    assert!(matches!(refused, Err(SessionError::Commit(CommitError::TooManySessions))), "{refused:?}");
    assert_eq!(Session::commit(&session, Finish::Keep).await.cookie().name(), "keep");
    let third = login(&w, "", "alice", Login::new().at_most(2, Excess::EndOldest)).await;
    assert_eq!(user_of(&w, &jars[0]).await, None);
    assert!(user_of(&w, &jars[1]).await.is_some() && user_of(&w, &third).await.is_some());
    assert_eq!(w.sessions.of_user("alice").unwrap().list().await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_administrator_ends_the_sessions_of_any_user() {
    let w = World::new();
    let (alice, bob) = (login(&w, "", "alice", Login::new()).await, login(&w, "", "bob", Login::new()).await);
    let sessions = w.sessions.of_user("alice").unwrap();
    let listed = sessions.list().await.unwrap();
    assert!(listed.len() == 1 && !listed[0].current);
    assert_eq!(sessions.end(Which::All).await, Ok(1));
    assert_eq!((sessions.end(Which::All).await, sessions.list().await.unwrap().len()), (Ok(0), 0));
    assert_eq!((user_of(&w, &alice).await, user_of(&w, &bob).await.as_deref()), (None, Some("bob")));
    assert!(w.sessions.of_user(&()).is_err());
}

#[tokio::test(start_paused = true)]
async fn an_end_of_all_that_failed_says_so_and_can_be_tried_again() {
    let w = World::new();
    let jar = login(&w, "", "alice", Login::new()).await;
    let other = login(&w, "", "alice", Login::new()).await;
    w.store.once(OpKind::List, Trouble::Fail);
    let failed = w.open(&jar).end_all_sessions().await;
    assert!(matches!(failed, Err(SessionError::Roster(RosterError::Store))), "{failed:?}");
    assert_eq!(user_of(&w, &jar).await.as_deref(), Some("alice"), "who asked can ask again");
    w.open(&jar).end_all_sessions().await.unwrap();
    assert_eq!((user_of(&w, &jar).await, user_of(&w, &other).await), (None, None));
}
