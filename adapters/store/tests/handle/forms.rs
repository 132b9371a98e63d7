//! Tokens against forgery, and messages that are shown once.

use cloakroom_core::{Login, OpKind};
use cloakroom_store::{Finish, Flash, Session};

use crate::common::{Trouble, World, cookie};

async fn finish(session: &Session) -> Option<String> {
    let report = Session::commit(session, Finish::Keep).await;
    report.result().unwrap();
    cookie(&report)
}

async fn token(w: &World, jar: &str) -> (String, Option<String>) {
    let session = w.open(jar);
    let token = session.csrf_token().await.unwrap();
    (token, finish(&session).await)
}

async fn is_valid(w: &World, jar: &str, token: &str) -> bool {
    w.open(jar).is_csrf_token(token.as_bytes()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_token_is_good_for_its_session_alone() {
    let w = World::new();
    let (first, jar) = token(&w, "").await;
    let jar = jar.expect("a session is made for it");
    let (second, set) = token(&w, &jar).await;
    assert_eq!((set, w.store.take_ops().as_str()), (None, "create,load"), "nothing is stored for it");
    assert_ne!(first, second);
    assert!(is_valid(&w, &jar, &first).await && is_valid(&w, &jar, &second).await);
    let (_, other) = token(&w, "").await;
    for wrong in ["", "x", &first[1..], &first.to_lowercase(), &format!("{first}A")] {
        assert!(!is_valid(&w, &jar, wrong).await, "{wrong}");
    }
    assert!(!is_valid(&w, &other.unwrap(), &first).await && !is_valid(&w, "", &first).await);
}

#[tokio::test(start_paused = true)]
async fn a_token_lives_through_a_renewal_and_dies_with_a_login() {
    let w = World::new();
    let (mine, jar) = token(&w, "").await;
    let session = w.open(&jar.unwrap());
    session.rotate().await.unwrap();
    let renewed = finish(&session).await.unwrap();
    assert!(is_valid(&w, &renewed, &mine).await);
    let session = w.open(&renewed);
    session.login("alice", Login::new()).await.unwrap();
    let for_after = session.csrf_token().await.unwrap();
    let signed_in = finish(&session).await.unwrap();
    assert!(!is_valid(&w, &signed_in, &mine).await);
    assert!(is_valid(&w, &signed_in, &for_after).await);
}

fn flash(level: &str, text: &str) -> Flash {
    Flash { level: level.to_owned(), text: text.to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_shown_once_after_a_redirect() {
    let w = World::new();
    let session = w.open("");
    session.flash("info", "saved").await.unwrap();
    session.flash("error", "but").await.unwrap();
    let jar = finish(&session).await.unwrap();
    let session = w.open(&jar);
    assert_eq!(session.take_flashes().await.unwrap(), [flash("info", "saved"), flash("error", "but")]);
    finish(&session).await;
    w.store.take_ops();
    assert_eq!(w.open(&jar).take_flashes().await.unwrap(), []);
    assert_eq!(w.store.take_ops(), "load", "where there are none, nothing is stored");
}

#[tokio::test(start_paused = true)]
async fn of_two_pages_at_the_same_time_one_shows_it() {
    let w = World::new();
    let session = w.open("");
    session.flash("info", "once").await.unwrap();
    let jar = finish(&session).await.unwrap();
    let (a, b) = (w.open(&jar), w.open(&jar));
    assert!(a.get::<u8>("n").await.unwrap().is_none() && b.get::<u8>("n").await.unwrap().is_none());
    let shown = [a.take_flashes().await.unwrap(), b.take_flashes().await.unwrap()].concat();
    assert_eq!(shown, [flash("info", "once")]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_could_not_be_taken_is_not_lost() {
    let w = World::new();
    let session = w.open("");
    session.flash("info", "once").await.unwrap();
    let jar = finish(&session).await.unwrap();
    w.store.once(OpKind::Replace, Trouble::Fail);
    w.open(&jar).take_flashes().await.unwrap_err();
    assert_eq!(w.open(&jar).take_flashes().await.unwrap(), [flash("info", "once")]);
}

#[tokio::test(start_paused = true)]
async fn old_messages_give_way_to_new_ones() {
    let w = World::new();
    let session = w.open("");
    for n in 0..Session::MAX_FLASHES + 3 {
        session.flash("info", &n.to_string()).await.unwrap();
    }
    let jar = finish(&session).await.unwrap();
    let taken = w.open(&jar).take_flashes().await.unwrap();
    assert_eq!((taken.len(), taken[0].text.as_str()), (Session::MAX_FLASHES, "3"));
}
