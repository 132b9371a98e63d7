//! Indexes as they are kept on a server.

use std::time::{Duration, SystemTime};

use cloakroom_redis::RedisStore;
use cloakroom_store::{Directory, Fault};
use cloakroom_tests::{
    servers::{Options, Redis},
    witness::words_of,
};
use cloakroom_tokio::Tokio;
use tokio::task::block_in_place;

use crate::common::{LONG, config, enroll, index, key, list, on_tokio, store, unenroll, until};

tests! {
    a_member_is_there_by_when_it_expires,
    the_key_expires_with_its_last_member,
    an_index_without_members_is_no_key,
    what_is_over_is_removed_by_a_listing_and_by_an_enrolment,
    a_member_takes_little_memory,
    an_index_has_the_key_prefix,
    what_is_no_key_of_a_session_is_an_error,
    who_was_enrolled_is_there_after_a_kill,
    a_replica_has_what_was_waited_for,
}

fn millis_from_now(ttl: Duration) -> f64 {
    let end = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() + ttl;
    end.as_millis() as f64
}

fn score(server: &Redis, name: &str, member: &str) -> f64 {
    server.ask(&["ZSCORE", &index(name), member]).text().parse().unwrap()
}

async fn enroll_for(store: &RedisStore, member: &str, ttl: Duration) {
    store.enroll(&key("i"), &key(member), ttl).await.unwrap();
}

fn a_member_is_there_by_when_it_expires() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let store = store(&server);
        let earliest = millis_from_now(LONG);
        enroll_for(&store, "a", LONG).await;
        let first = score(&server, "i", "a");
        // Both read the clock of one machine.
        assert!((earliest..=millis_from_now(LONG)).contains(&first), "{first}");
        enroll_for(&store, "a", LONG / 2).await;
        assert_eq!(score(&server, "i", "a"), first, "a shorter enrolment changes nothing");
        enroll_for(&store, "a", LONG * 2).await;
        assert!(score(&server, "i", "a") >= first + 600_000.0);
        enroll_for(&store, "b", Duration::MAX).await;
        // 142,000 years, to the millisecond.
        let furthest = score(&server, "i", "b") - (1_u64 << 52) as f64;
        assert!((earliest - 600_000.0..=millis_from_now(Duration::ZERO)).contains(&furthest), "{furthest}");
    });
}

fn the_key_expires_with_its_last_member() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let store = store(&server);
        let ends = |member: &str| {
            let left = server.ask(&["PTTL", &index("i")]).integer() as f64;
            let end = millis_from_now(Duration::ZERO) + left;
            (end - score(&server, "i", member)).abs() < 1000.0
        };
        enroll_for(&store, "long", LONG).await;
        assert!(ends("long"));
        enroll_for(&store, "brief", LONG / 2).await;
        assert!(ends("long"), "a shorter one changes nothing");
        enroll_for(&store, "longer", LONG * 2).await;
        assert!(ends("longer"), "a longer one counts");
        enroll_for(&store, "for-ever", Duration::MAX).await;
        assert!(ends("for-ever"), "the longest time is one as well");
        for gone in ["longer", "for-ever"] {
            unenroll(&store, "i", gone).await.unwrap();
        }
        enroll_for(&store, "brief", LONG / 2).await;
        assert!(ends("long"), "who is gone does not count");
    });
}

fn an_index_without_members_is_no_key() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let store = store(&server);
        assert_eq!(list(&store, "i").await.unwrap(), [""; 0]);
        unenroll(&store, "i", "a").await.unwrap();
        assert_eq!(server.ask(&["DBSIZE"]).integer(), 0);
        enroll(&store, "i", "a").await.unwrap();
        unenroll(&store, "i", "a").await.unwrap();
        assert_eq!(server.ask(&["DBSIZE"]).integer(), 0);
    });
}

fn what_is_over_is_removed_by_a_listing_and_by_an_enrolment() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let store = store(&server);
        for by in ["a listing", "an enrolment"] {
            enroll(&store, "i", "kept").await.unwrap();
            for number in 0..50 {
                server.ask(&["ZADD", &index("i"), &number.to_string(), &format!("over-{number}")]);
            }
            match by {
                "a listing" => assert_eq!(list(&store, "i").await.unwrap(), ["kept"]),
                _ => enroll(&store, "i", "kept").await.unwrap(),
            }
            assert_eq!(server.ask(&["ZCARD", &index("i")]).integer(), 1, "{by}");
        }
    });
}

fn a_member_takes_little_memory() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let store = store(&server);
        // As long as the keys of sessions are.
        let member = |number: usize| format!("cloakroom:{number:022}");
        let mut bytes = Vec::new();
        for number in 0..1000 {
            enroll_for(&store, &member(number), LONG).await;
            if [1, 10, 100, 1000].contains(&(number + 1)) {
                let used = server.ask(&["MEMORY", "USAGE", &index("i"), "SAMPLES", "0"]).integer();
                bytes.push((number + 1, used));
            }
        }
        println!("members and bytes: {bytes:?}");
        assert!(bytes[0].1 < 300 && bytes[2].1 < 100 * 60 && bytes[3].1 < 1000 * 180, "{bytes:?}");
    });
}

fn an_index_has_the_key_prefix() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let one = config(&server.url()).key_prefix("one:").unwrap().lazy(Tokio);
        let other = config(&server.url()).key_prefix("other:").unwrap().lazy(Tokio);
        enroll(&one, "i", "a").await.unwrap();
        assert_eq!(list(&other, "i").await.unwrap(), [""; 0]);
        assert_eq!(server.ask(&["ZCARD", &index("one:i")]).integer(), 1);
        assert_eq!(server.ask(&["DBSIZE"]).integer(), 1);
    });
}

fn what_is_no_key_of_a_session_is_an_error() {
    const JUNK: &str = "two words";
    let server = Redis::start(Options::new());
    on_tokio(async {
        let store = store(&server);
        enroll(&store, "i", "a").await.unwrap();
        server.ask(&["ZADD", &index("i"), "4e12", JUNK]);
        let error = list(&store, "i").await.unwrap_err();
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::Internal, false));
        assert!(!words_of(&error).contains(JUNK), "{error:?}");
    });
}

fn who_was_enrolled_is_there_after_a_kill() {
    let mut server = Redis::start(Options::new().durable());
    on_tokio(async {
        let store = store(&server);
        for member in ["a", "b", "c"] {
            enroll(&store, "i", member).await.unwrap();
        }
        unenroll(&store, "i", "b").await.unwrap();
        let before = score(&server, "i", "a");
        block_in_place(|| {
            server.kill();
            server.restart();
        });
        until("the server", async || list(&store, "i").await.is_ok()).await;
        assert_eq!(list(&store, "i").await.unwrap(), ["a", "c"]);
        assert_eq!(score(&server, "i", "a"), before);
        assert!(server.ask(&["PTTL", &index("i")]).integer() > 500_000);
    });
}

fn a_replica_has_what_was_waited_for() {
    let master = Redis::start(Options::new());
    let replica = Redis::start(Options::new().set("replicaof", &format!("127.0.0.1 {}", master.port())));
    on_tokio(async {
        let store = config(&master.url()).replicas(1).lazy(Tokio);
        until("the replica", async || enroll(&store, "i", "first").await.is_ok()).await;
        let there = |member: &str| replica.command(&["ZSCORE", &index("i"), member]);
        for number in 0..50 {
            let member = format!("m{number}");
            enroll(&store, "i", &member).await.unwrap();
            assert_eq!(there(&member).text().parse::<f64>().unwrap(), score(&master, "i", &member), "{number}");
            unenroll(&store, "i", &member).await.unwrap();
            assert_eq!(there(&member), cloakroom_tests::servers::Reply::Nil, "{number}");
        }
        // Servers from version 7.2 on wait for what a connection wrote: a listing writes too, and changes nothing.
        let writes = || master.calls().get("pexpire").copied().unwrap_or_default();
        let (before, left) = (writes(), master.ask(&["PTTL", &index("i")]).integer());
        assert_eq!(list(&store, "i").await.unwrap(), ["first"]);
        assert_eq!(writes(), before + 1);
        assert!((left - 10_000..=left).contains(&master.ask(&["PTTL", &index("i")]).integer()));
        // What changes nothing, and what only reads, is waited for as well.
        replica.pause();
        let brief = config(&master.url()).replicas(1).deadline(Duration::from_millis(400)).lazy(Tokio);
        assert!(enroll(&brief, "i", "first").await.unwrap_err().may_have_happened());
        assert!(!list(&brief, "i").await.unwrap_err().may_have_happened());
        replica.resume();
        until("the replica", async || list(&store, "i").await.is_ok()).await;
        assert_eq!(list(&store, "i").await.unwrap(), ["first"]);
    });
}
