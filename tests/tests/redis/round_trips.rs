//! How often a server is asked, counted on the server. No replica and no other client are there to be counted too.

use std::time::Duration;

use cloakroom_core::{End, Engine};
use cloakroom_redis::RedisStore;
use cloakroom_store::{Created, Finish, Removed, Session, Store, Written};
use cloakroom_tests::{
    servers::{Options, Redis},
    witness::{Site, cookie, ring},
};
use cloakroom_tokio::Tokio;

use crate::common::{
    LONG, Meter, config, create, enroll, key, list, load, on_tokio, replace, store, touch, unenroll, value, version,
};

tests! {
    a_connection_costs_at_most_one_round_trip_more,
    a_request_costs_no_more_than_it_must,
    every_operation_is_one_round_trip,
    the_first_presentation_of_a_renewed_ticket_costs_at_most_three_more,
    a_touch_is_one_more_and_only_when_it_is_due,
    nothing_is_sent_while_nobody_asks,
    a_script_that_was_forgotten_costs_one_more_once,
}

/// Lets the server learn the scripts, and the store connect.
async fn warm(store: &RedisStore) {
    create(store, "warm", "a").await.unwrap();
    replace(store, "warm", "a", "b").await.unwrap();
    touch(store, "warm", "b").await.unwrap();
    store.remove(&key("warm"), &version("b")).await.unwrap();
    enroll(store, "warm", "a").await.unwrap();
    list(store, "warm").await.unwrap();
    unenroll(store, "warm", "a").await.unwrap();
}

fn every_operation_is_one_round_trip() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let (store, mut meter) = (store(&server), Meter::new(&server));
        warm(&store).await;
        let counted = meter.count(create(&store, "k", "one")).await;
        assert_eq!((counted.0, counted.1.unwrap()), (1, Created::Done(version("one"))));
        let counted = meter.count(create(&store, "k", "other")).await;
        assert_eq!((counted.0, counted.1.unwrap()), (1, Created::Exists));
        let counted = meter.count(load(&store, "k")).await;
        assert_eq!((counted.0, counted.1.unwrap().as_deref()), (1, Some("one")));
        let counted = meter.count(load(&store, "absent")).await;
        assert_eq!((counted.0, counted.1.unwrap()), (1, None));
        let counted = meter.count(replace(&store, "k", "one", "two")).await;
        assert_eq!((counted.0, counted.1.unwrap()), (1, Written::Done(version("two"))));
        let (reads, conflict) = meter.count(replace(&store, "k", "one", "three")).await;
        let Written::Conflict(Some(found)) = conflict.unwrap() else { panic!("no conflict") };
        assert_eq!((reads, found.value), (1, value("two")), "a conflict brings what is there");
        let counted = meter.count(touch(&store, "k", "two")).await;
        assert_eq!((counted.0, counted.1.unwrap()), (1, Written::Done(version("two"))));
        let (reads, conflict) = meter.count(touch(&store, "k", "one")).await;
        assert!(matches!((reads, conflict.unwrap()), (1, Written::Conflict(Some(_)))));
        let (reads, conflict) = meter.count(store.remove(&key("k"), &version("one"))).await;
        assert!(matches!((reads, conflict.unwrap()), (1, Removed::Conflict(Some(_)))));
        let counted = meter.count(store.remove(&key("k"), &version("two"))).await;
        assert_eq!((counted.0, counted.1.unwrap()), (1, Removed::Done));
        let counted = meter.count(replace(&store, "k", "two", "three")).await;
        assert_eq!((counted.0, counted.1.unwrap()), (1, Written::Absent));
        for _ in 0..2 {
            assert_eq!(meter.count(enroll(&store, "i", "m")).await.0, 1);
        }
        let counted = meter.count(list(&store, "i")).await;
        assert_eq!((counted.0, counted.1.unwrap()), (1, vec!["m".to_owned()]));
        for _ in 0..2 {
            assert_eq!(meter.count(unenroll(&store, "i", "m")).await.0, 1);
        }
        let counted = meter.count(list(&store, "i")).await;
        assert_eq!((counted.0, counted.1.unwrap()), (1, Vec::new()));
    });
}

fn a_request_costs_no_more_than_it_must() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let (store, mut meter) = (store(&server), Meter::new(&server));
        warm(&store).await;
        let site = Site::new(store, Tokio);

        let untouched = async |ticket: &str| {
            let session = site.open(ticket);
            Session::commit(&session, Finish::Keep).await.result().unwrap();
        };
        let (made, ticket) = meter.count(site.sign_in(1)).await;
        let ticket = ticket.unwrap();
        assert_eq!(made, 1, "a new session");
        let (reads, ()) = meter.count(untouched(&ticket)).await;
        assert_eq!(reads, 0, "an untouched session");
        let forged = forge(&ticket);
        let (reads, found) = meter.count(site.read(&forged)).await;
        assert_eq!((reads, found.unwrap()), (0, None), "a forged ticket");
        let (read, found) = meter.count(site.read(&ticket)).await;
        assert_eq!((read, found.unwrap()), (1, Some(1)), "a read");
        let (changed, added) = meter.count(site.add(&ticket)).await;
        added.unwrap();
        assert_eq!(changed, 2, "a change");
        let equal = async {
            let session = site.open(&ticket);
            session.insert("n", &2).await.unwrap();
            Session::commit(&session, Finish::Keep).await.result().unwrap();
        };
        let (reads, ()) = meter.count(equal).await;
        assert_eq!(reads, 1, "a write of what is there already");

        let rotate = async {
            let session = site.open(&ticket);
            session.rotate().await.unwrap();
            let report = Session::commit(&session, Finish::Keep).await;
            report.result().unwrap();
            cookie(&report).unwrap()
        };
        let (rotated, renewed) = meter.count(rotate).await;
        assert!(rotated <= 3, "a rotation takes {rotated}");
        let (presented, found) = meter.count(site.read(&renewed)).await;
        assert_eq!(found.unwrap(), Some(2));
        let (again, found) = meter.count(site.read(&renewed)).await;
        assert_eq!((again, found.unwrap()), (1, Some(2)), "once presented it is as any other");

        let session = site.open(&renewed);
        session.get::<u64>("n").await.unwrap();
        let end = async {
            session.destroy().await.unwrap();
            Session::commit(&session, Finish::Keep).await.end()
        };
        let (ended, end) = meter.count(end).await;
        assert_eq!((ended, end), (1, Some(End::Ended)), "the end of a session that is loaded");
        let (dead, found) = meter.count(site.read(&renewed)).await;
        assert_eq!((dead, found.unwrap()), (1, None));
        println!(
            "round trips: new {made}, untouched 0, forged 0, read {read}, change {changed}, rotate {rotated}, \
             first presentation {presented} with its read, end of a loaded session {ended}, ended {dead}"
        );
    });
}

/// Changes the tag of a ticket.
fn forge(ticket: &str) -> String {
    let (rest, last) = ticket.split_at(ticket.len() - 8);
    let last: String = last.chars().map(|char| if char == 'A' { 'B' } else { 'A' }).collect();
    // The last character has bits that must be zero; that of the real ticket has them so.
    format!("{rest}{}{}", &last[..7], &ticket[ticket.len() - 1..])
}

fn the_first_presentation_of_a_renewed_ticket_costs_at_most_three_more() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let (store, mut meter) = (store(&server), Meter::new(&server));
        warm(&store).await;
        let site = Site::new(store, Tokio);
        for work in ["read", "change"] {
            let ticket = site.sign_in(7).await.unwrap();
            let session = site.open(&ticket);
            session.rotate().await.unwrap();
            let report = Session::commit(&session, Finish::Keep).await;
            report.result().unwrap();
            let renewed = cookie(&report).unwrap();
            let present = async {
                match work {
                    "read" => site.read(&renewed).await.map(drop).unwrap(),
                    _ => site.add(&renewed).await.unwrap(),
                }
            };
            let (reads, ()) = meter.count(present).await;
            let without = if work == "read" { 1 } else { 2 };
            assert!((without + 1..=without + 3).contains(&reads), "a {work} with a renewed ticket takes {reads}");
        }
    });
}

fn a_touch_is_one_more_and_only_when_it_is_due() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let (store, mut meter) = (store(&server), Meter::new(&server));
        warm(&store).await;
        let site = Site::with_engine(Engine::builder(ring()).build().unwrap(), store, Tokio);
        let ticket = site.sign_in(1).await.unwrap();
        let held = server.ask(&["KEYS", "cloakroom:*"]).array()[0].text();
        let whole = server.ask(&["PTTL", &held]).integer();
        let (reads, _) = meter.count(site.read(&ticket)).await;
        assert_eq!(reads, 1, "it is not due");
        // As time would.
        server.ask(&["PEXPIRE", &held, &(whole / 2).to_string()]);
        let (reads, found) = meter.count(site.read(&ticket)).await;
        assert_eq!((reads, found.unwrap()), (2, Some(1)), "it is due");
        assert!(server.ask(&["PTTL", &held]).integer() > whole * 9 / 10, "it was touched");
        let (reads, _) = meter.count(site.read(&ticket)).await;
        assert_eq!(reads, 1, "it was done");
        server.ask(&["PEXPIRE", &held, &(whole / 2).to_string()]);
        let (reads, added) = meter.count(site.add(&ticket)).await;
        added.unwrap();
        assert_eq!(reads, 2, "a change touches by itself");
    });
}

fn nothing_is_sent_while_nobody_asks() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let (store, mut meter) = (store(&server), Meter::new(&server));
        warm(&store).await;
        // `AUTH` and `INFO` are the probes'.
        let calls = |server: &Redis| {
            let calls = server.calls().into_iter().filter(|(name, _)| !matches!(name.as_str(), "auth" | "info"));
            calls.map(|(_, count)| count).sum::<u64>()
        };
        let before = calls(&server);
        let (reads, ()) = meter.count(tokio::time::sleep(Duration::from_secs(1))).await;
        assert_eq!(reads, 0);
        assert_eq!(calls(&server), before);
        let (reads, _) = meter.count(load(&store, "k")).await;
        assert_eq!(reads, 1, "over the connection that was idle");
    });
}

fn a_connection_costs_at_most_one_round_trip_more() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let mut meter = Meter::new(&server);
        let lazy = store(&server);
        let (reads, found) = meter.count(load(&lazy, "k")).await;
        assert_eq!(found.unwrap(), None);
        assert!(reads <= 2, "the first operation takes {reads}");
        let connect = async { config(&server.url()).connect(Tokio).await.unwrap() };
        let (reads, eager) = meter.count(connect).await;
        assert!(reads <= 1, "a connection takes {reads}");
        let (reads, _) = meter.count(eager.load(&key("k"))).await;
        assert_eq!(reads, 1);
    });
}

fn a_script_that_was_forgotten_costs_one_more_once() {
    let mut server = Redis::start(Options::new().durable());
    on_tokio(async {
        let (store, mut meter) = (store(&server), Meter::new(&server));
        create(&store, "k", "0").await.unwrap();
        replace(&store, "k", "0", "1").await.unwrap();
        touch(&store, "k", "1").await.unwrap();
        server.ask(&["SCRIPT", "FLUSH"]);
        let (reads, written) = meter.count(replace(&store, "k", "1", "2")).await;
        assert_eq!((reads, written.unwrap()), (2, Written::Done(version("2"))));
        let (reads, written) = meter.count(replace(&store, "k", "2", "3")).await;
        assert_eq!((reads, written.unwrap()), (1, Written::Done(version("3"))));
        let (reads, _) = meter.count(touch(&store, "k", "3")).await;
        assert_eq!(reads, 2, "each script is learnt by itself");
        server.ask(&["SCRIPT", "FLUSH"]);
        let (reads, removed) = meter.count(store.remove(&key("k"), &version("3"))).await;
        assert_eq!((reads, removed.unwrap()), (2, Removed::Done));

        assert_eq!(meter.count(enroll(&store, "i", "m")).await.0, 2);
        assert_eq!(meter.count(list(&store, "i")).await.0, 2);
        assert_eq!(meter.count(enroll(&store, "i", "n")).await.0, 1);
        assert_eq!(meter.count(list(&store, "i")).await.0, 1);

        store.create(&key("k"), &value("4"), LONG).await.unwrap();
        tokio::task::block_in_place(|| server.restart());
        let written = replace(&store, "k", "4", "5").await;
        // The store may not have seen yet that the connection is gone.
        let written = match written {
            Err(error) if error.may_have_happened() => replace(&store, "k", "4", "5").await,
            other => other,
        };
        assert!(matches!(written.unwrap(), Written::Done(_)), "a restart forgets the scripts as well");
    });
}
