//! Nothing that is printed holds a ticket, a key or a value; and everything that happens is counted.

use std::collections::BTreeMap;

use cloakroom_core::OpKind;
use cloakroom_store::{Finish, Report, Session};

use crate::common::{RING, Trouble, World, add_one, cookie, set_cookie};

const VALUE: &str = "correct-horse-battery";

/// Looks for each secret in a text, whole and in parts that would do.
fn assert_silent(text: &str, secrets: &[String]) {
    for secret in secrets {
        assert!(!text.contains(secret.as_str()), "{secret} is in {text}");
        if secret.len() >= 16 {
            assert!(!text.contains(&secret[secret.len() - 12..]), "the end of {secret} is in {text}");
        }
    }
}

fn secrets_of(w: &World, ticket: &str) -> Vec<String> {
    let mut secrets = vec![VALUE.to_owned(), ticket.split_once('=').unwrap().1.to_owned()];
    secrets.push(RING.rsplit(':').next().unwrap().to_owned());
    for key in w.store.held_keys() {
        secrets.push(key.as_str().to_owned());
        secrets.push(key.handle().as_str().to_owned());
    }
    secrets
}

#[tokio::test(start_paused = true)]
async fn handles_reports_and_errors_print_no_secret() {
    let w = World::new();
    let session = w.open("");
    session.insert("password", VALUE).await.unwrap();
    let mut printed = format!("{session:?}");
    let commit = Session::commit(&session, Finish::Keep);
    printed += &format!("{commit:?}");
    let report = commit.await;
    printed += &format!("{report:?} {:?} {:?} {}", report.cookie(), report.ops(), report.ops());
    let ticket = cookie(&report).unwrap();

    let session = w.open(&ticket);
    session.get::<String>("password").await.unwrap();
    session.rotate().await.unwrap();
    printed += &format!("{session:?}");
    printed += &session.read(|loaded| Ok(format!("{loaded:?}"))).await.unwrap().unwrap();
    printed += &format!("{:?}", session.get::<u64>("password").await.unwrap_err());
    printed += &session.get::<u64>("password").await.unwrap_err().to_string();
    printed += &format!("{:?}", Session::commit(&session, Finish::Keep).await);

    w.store.always(OpKind::Load, Trouble::Fail);
    let session = w.open(&ticket);
    let error = session.get::<String>("password").await.unwrap_err();
    printed += &format!("{error:?} {error} {:?}", Session::commit(&session, Finish::Keep).await);
    printed += &format!("{:?} {:?} {:?}", w.sessions, w.sessions.engine(), w.sessions.counters());
    // The test's own store prints what it holds, in `Debug` of the sessions too; its keys and values hide themselves.
    assert_silent(&printed, &secrets_of(&w, &ticket));
}

#[tokio::test(start_paused = true)]
async fn everything_is_counted_once() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    let (one, two) = (w.open(&ticket), w.open(&ticket));
    one.update("n", add_one).await.unwrap();
    two.update("n", add_one).await.unwrap();
    Session::commit(&one, Finish::Keep).await.result().unwrap();
    Session::commit(&two, Finish::Keep).await.result().unwrap();
    let session = w.open(&ticket);
    session.destroy().await.unwrap();
    Session::commit(&session, Finish::Keep).await.result().unwrap();
    let forged = w.open("__Host-id=AbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbA");
    forged.get::<u64>("n").await.unwrap();
    let _: Report = Session::commit(&forged, Finish::Keep).await;
    let untouched = w.open("__Host-id=AbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbA");
    let _: Report = Session::commit(&untouched, Finish::Keep).await;
    w.store.once(OpKind::Load, Trouble::Hang);
    let failing = w.open(&ticket);
    failing.get::<u64>("n").await.unwrap_err();
    let _: Report = Session::commit(&failing, Finish::Keep).await;

    let counters = w.sessions.counters();
    let operations: BTreeMap<_, _> = counters.operations().filter(|(_, count)| *count > 0).collect();
    let expected = BTreeMap::from([("create", 1), ("load", 4), ("replace", 4)]);
    assert_eq!(operations, expected);
    assert_eq!(counters.store_failures(), 1);
    assert_eq!(counters.events_overflowed(), 0);
    let events: BTreeMap<_, _> = counters.events().filter(|(_, count)| *count > 0).collect();
    let refused: u64 = ["forged_token", "unknown_key"].iter().filter_map(|name| events.get(name)).sum();
    assert_eq!(refused, 1, "{events:?}");
    assert_eq!((events.get("created"), events.get("conflict"), events.get("ended")), (Some(&1), Some(&1), Some(&1)));
}

#[tokio::test(start_paused = true)]
async fn events_of_a_save_are_counted_once() {
    let w = World::new();
    let session = w.open("");
    session.insert("n", &1).await.unwrap();
    session.save().await.unwrap();
    session.insert("n", &2).await.unwrap();
    session.save().await.unwrap();
    let report = Session::commit(&session, Finish::Keep).await;
    assert!(set_cookie(&report).is_some());
    let events: BTreeMap<_, _> = w.sessions.counters().events().filter(|(_, count)| *count > 0).collect();
    assert_eq!(events, BTreeMap::from([("created", 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_store_is_asked_only_for_keys_of_ids_that_were_minted() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    let key = w.store.held_keys().pop().unwrap();
    let token = ticket.split_once('=').unwrap().1;
    w.open(&format!("{ticket}; __Host-id=AbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbA; __Host-id=x"))
        .get::<u64>("n")
        .await
        .unwrap();
    assert_eq!(w.store.keys(), std::slice::from_ref(&key));
    assert!(!key.as_str().contains(token) && !key.as_str().contains(&token[2..24]));
}
