//! Sessions that are held in the cookie, through a handle.

use cloakroom_core::{CookieHeld, Engine, Login, OpKind, RequestInfo, RosterError};
use cloakroom_store::{CookieOnly, Finish, Session, SessionError, Sessions, StoreFailure};
use cloakroom_tokio::Tokio;

use crate::common::{Trouble, World, cookie, ring};

fn revocable() -> World {
    World::of(Engine::builder(ring()).hold_in_cookie(CookieHeld::encrypted()).build().unwrap())
}

async fn finish(session: &Session) -> Option<String> {
    let report = Session::commit(session, Finish::Keep).await;
    report.result().unwrap();
    cookie(&report)
}

async fn signed_in(w: &World) -> String {
    let session = w.open("");
    session.login("alice", Login::new()).await.unwrap();
    finish(&session).await.unwrap()
}

async fn who(w: &World, jar: &str) -> Option<String> {
    w.open(jar).principal().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn with_a_store_of_ends_every_end_is_final() {
    let w = revocable();
    let jar = signed_in(&w).await;
    let session = w.open(&jar);
    session.logout().await.unwrap();
    finish(&session).await;
    assert_eq!(who(&w, &jar).await, None);

    let [desk, phone] = [signed_in(&w).await, signed_in(&w).await];
    let session = w.open(&desk);
    session.credentials_changed().await.unwrap();
    let after = finish(&session).await.unwrap();
    assert_eq!((who(&w, &desk).await, who(&w, &phone).await), (None, None));
    assert_eq!(who(&w, &after).await.as_deref(), Some("alice"));
    let session = w.open(&after);
    session.end_all_sessions().await.unwrap();
    finish(&session).await;
    assert_eq!(who(&w, &after).await, None);
}

#[tokio::test(start_paused = true)]
async fn without_one_a_copy_opens_again_and_nothing_is_asked() {
    let sessions = Sessions::cookie_only(ring(), Tokio).unwrap();
    let open = |jar: &str| sessions.open([jar.as_bytes()], &RequestInfo::new(), StoreFailure::Refuse);
    let session = open("");
    session.insert("n", &1).await.unwrap();
    let jar = finish(&session).await.unwrap();
    let session = open(&jar);
    session.destroy().await.unwrap();
    finish(&session).await;
    assert_eq!(open(&jar).get::<u32>("n").await.unwrap(), Some(1));
    assert!(!sessions.has_index());
    assert_eq!(format!("{:?}", sessions.store()), format!("{CookieOnly:?}"));
}

#[tokio::test(start_paused = true)]
async fn a_store_of_ends_that_is_down_opens_nothing() {
    let w = revocable();
    let jar = signed_in(&w).await;
    w.store.once(OpKind::Load, Trouble::Fail);
    let read = w.open(&jar).principal::<String>().await;
    assert!(matches!(read, Err(SessionError::Store(_))), "{read:?}");
}

#[tokio::test(start_paused = true)]
async fn nobodys_sessions_are_listed() {
    let w = revocable();
    let jar = signed_in(&w).await;
    let listed = w.open(&jar).user_sessions().await;
    assert!(matches!(listed, Err(SessionError::Roster(RosterError::NoIndex))), "{listed:?}");
    assert!(!w.sessions.has_index());
}
