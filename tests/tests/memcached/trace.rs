//! What goes over the wire, byte by byte, and what becomes of a connection.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use cloakroom_core::Version;
use cloakroom_store::{Fault, Store, Written};
use cloakroom_tokio::Tokio;

use crate::{
    common::{LONG, SLACK, config, create, key, load, on_tokio, replace, until, value},
    script::{Script, opaque},
};

tests! {
    a_write_and_its_look_are_one_packet,
    a_connection_on_which_time_ran_out_is_closed,
    a_pipelined_connection_on_which_time_ran_out_is_closed_for_all,
    a_connection_that_was_just_heard_is_closed_as_well,
    a_late_answer_is_nobodys,
    an_answer_to_another_question_closes_the_connection,
    an_answer_that_does_not_parse_closes_the_connection,
    an_answer_that_nobody_asked_for_closes_the_connection,
    an_answer_without_a_cas_number_is_none,
    a_server_that_speaks_no_meta_protocol_is_refused,
    a_value_too_large_for_a_server_that_does_not_say_is_refused_by_it,
    words_of_another_than_memcached_prove_nothing,
    a_cancelled_load_shifts_no_answer,
}

/// As a proxy does that knows no statistics.
const GREETING: &str = "MN\r\nERROR\r\nERROR\r\n";
const DEADLINE: Duration = Duration::from_millis(300);

fn script(reply: crate::script::Reply) -> Script {
    Script::start(GREETING, reply)
}

fn version() -> Version {
    Version::from_u64(7)
}

fn found(asked: &str, text: &str) -> Option<Vec<u8>> {
    Some(format!("VA {} c7 t60 {}\r\n{text}\r\n", text.len(), opaque(asked)).into_bytes())
}

fn a_write_and_its_look_are_one_packet() {
    let server = script(|_, asked| {
        let (first, second) = asked.rsplit_once("mg ")?;
        let (first, second) = (opaque(first), opaque(second));
        Some(format!("EX c0 {first}\r\nVA 3 c9 t60 {second}\r\nnew\r\n").into_bytes())
    });
    on_tokio(async {
        let store = config(&server.url()).lazy(Tokio);
        let Written::Conflict(Some(found)) = replace(&store, "k", &version(), "mine").await.unwrap() else {
            panic!("no conflict")
        };
        assert_eq!((found.value, found.version), (value("new"), Version::from_u64(9)));
        assert_eq!(found.expires_in, Some(Duration::from_secs(59)));
        let traces = server.traces("a read", |traces| traces[0].reads.len() == 1);
        let numbers: Vec<_> =
            traces[0].reads[0].split(['O', '\r']).filter_map(|part| part.parse::<u32>().ok()).collect();
        let [first, second] = numbers[..] else { panic!("{traces:?}") };
        assert_eq!(traces[0].reads[0], format!("ms k 4 c C7 T601 O{first}\r\nmine\r\nmg k c t v O{second}\r\n"));
    });
}

fn a_connection_on_which_time_ran_out_is_closed() {
    let server = script(|connection, asked| if connection == 0 { None } else { found(asked, "there") });
    on_tokio(async {
        let store = config(&server.url()).deadline(DEADLINE).lazy(Tokio);
        let since = Instant::now();
        let error = replace(&store, "k", &version(), "mine").await.unwrap_err();
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::TimedOut, true));
        assert!((DEADLINE..DEADLINE + SLACK).contains(&since.elapsed()), "{:?}", since.elapsed());
        let traces = server.traces("a closed connection", |traces| traces[0].is_closed);
        assert_eq!(traces[0].reads.len(), 1);
        assert_eq!(load(&store, "k").await.unwrap().as_deref(), Some("there"));
        let traces = server.traces("another connection", |traces| traces.len() == 2);
        assert_eq!((traces[0].reads.len(), traces[1].reads.len()), (1, 1), "the first is never used again");
        assert!(!traces[1].is_closed);
    });
}

fn a_pipelined_connection_on_which_time_ran_out_is_closed_for_all() {
    // The first of two questions is answered on the first connection, and nothing behind it.
    let server = script(|connection, asked| match (connection, asked.starts_with("mg first ")) {
        (0, false) => None,
        _ => found(asked.lines().next()?, "there"),
    });
    on_tokio(async {
        let store = config(&server.url()).deadline(DEADLINE).lazy(Tokio);
        assert_eq!(load(&store, "first").await.unwrap().as_deref(), Some("there"));
        let since = Instant::now();
        let version = version();
        let behind = async {
            tokio::time::sleep(DEADLINE / 2).await;
            replace(&store, "behind", &version, "mine").await
        };
        let (late, behind) = tokio::join!(replace(&store, "late", &version, "mine"), behind);
        // Whoever waits behind what ran out of time is told at once, and in doubt as well: it was sent.
        let (late, behind) = (late.unwrap_err(), behind.unwrap_err());
        assert_eq!((late.fault(), late.may_have_happened()), (Fault::TimedOut, true));
        assert_eq!((behind.fault(), behind.may_have_happened()), (Fault::Unavailable, true));
        assert!((DEADLINE..DEADLINE + SLACK).contains(&since.elapsed()), "{:?}", since.elapsed());
        let traces = server.traces("a closed connection", |traces| traces[0].is_closed);
        assert_eq!(traces[0].reads.len(), 3, "all went over one connection");
        assert_eq!(load(&store, "next").await.unwrap().as_deref(), Some("there"));
        let traces = server.traces("another connection", |traces| traces.len() == 2);
        assert_eq!((traces[0].reads.len(), traces[1].reads.len()), (3, 1));
    });
}

fn a_connection_that_was_just_heard_is_closed_as_well() {
    // What came before is answered so late that the server is not silent for long when time runs out.
    let server = script(|connection, asked| match (connection, asked.starts_with("mg slow ")) {
        (0, true) => {
            std::thread::sleep(DEADLINE * 3 / 5);
            found(asked.lines().next()?, "there")
        }
        (0, false) => None,
        _ => found(asked, "there"),
    });
    on_tokio(async {
        let store = config(&server.url()).deadline(DEADLINE).lazy(Tokio);
        let version = version();
        let behind = async {
            // The first one is on its way.
            until("a connection", async || server.connections() == 1).await;
            replace(&store, "behind", &version, "mine").await
        };
        let (_, behind) = tokio::join!(load(&store, "slow"), behind);
        assert!(behind.unwrap_err().may_have_happened());
        server.traces("a closed connection", |traces| traces[0].is_closed);
        assert_eq!(load(&store, "next").await.unwrap().as_deref(), Some("there"));
        assert_eq!(server.connections(), 2);
    });
}

fn a_late_answer_is_nobodys() {
    // What the first question is owed comes with the answer to the second.
    let server = script(|connection, asked| match connection {
        0 if asked.contains("mg k1 ") => None,
        _ => found(asked, "mine"),
    });
    on_tokio(async {
        let store = config(&server.url()).deadline(DEADLINE).lazy(Tokio);
        load(&store, "k1").await.unwrap_err();
        assert_eq!(load(&store, "k2").await.unwrap().as_deref(), Some("mine"));
        let traces = server.traces("two connections", |traces| traces.len() == 2 && traces[0].is_closed);
        assert!(traces[1].reads[0].starts_with("mg k2 "));
    });
}

fn is_closed_after(answer: crate::script::Reply, fault: Fault) {
    let server = script(answer);
    on_tokio(async {
        let store = config(&server.url()).deadline(DEADLINE * 4).lazy(Tokio);
        let error = replace(&store, "k", &version(), "mine").await.unwrap_err();
        assert_eq!((error.fault(), error.may_have_happened()), (fault, true), "{error:?}");
        server.traces("a closed connection", |traces| traces[0].is_closed);
        assert_eq!(load(&store, "k").await.unwrap().as_deref(), Some("there"), "over another connection");
        server.traces("two connections", |traces| traces.len() == 2);
    });
}

fn an_answer_to_another_question_closes_the_connection() {
    is_closed_after(
        |connection, asked| match connection {
            0 => Some(b"HD c8 O4000000000\r\nEN\r\n".to_vec()),
            _ => found(asked, "there"),
        },
        Fault::Internal,
    );
}

fn an_answer_that_does_not_parse_closes_the_connection() {
    is_closed_after(
        |connection, asked| match connection {
            0 => Some(b"STORED\r\n".to_vec()),
            _ => found(asked, "there"),
        },
        Fault::Internal,
    );
}

fn an_answer_that_nobody_asked_for_closes_the_connection() {
    let server = script(|connection, asked| match connection {
        0 => Some([found(asked, "first")?, b"VA 5 c7 t60\r\nother\r\n".to_vec()].concat()),
        _ => found(asked, "there"),
    });
    on_tokio(async {
        let store = config(&server.url()).lazy(Tokio);
        assert_eq!(load(&store, "k").await.unwrap().as_deref(), Some("first"));
        server.traces("a closed connection", |traces| traces[0].is_closed);
        assert_eq!(load(&store, "k").await.unwrap().as_deref(), Some("there"));
    });
}

fn an_answer_without_a_cas_number_is_none() {
    let server = script(|_, asked| match asked.starts_with("mg") {
        true => Some(format!("VA 1 c0 t60 {}\r\nx\r\n", opaque(asked)).into_bytes()),
        false => Some(format!("HD {}\r\n", opaque(asked)).into_bytes()),
    });
    on_tokio(async {
        let store = config(&server.url()).lazy(Tokio);
        let error = load(&store, "k").await.unwrap_err();
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::Internal, false));
        let error = create(&store, "k", "1").await.unwrap_err();
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::Internal, true));
    });
}

fn a_server_that_speaks_no_meta_protocol_is_refused() {
    let server = Script::start("ERROR\r\nEND\r\nEND\r\n", |_, _| None);
    on_tokio(async {
        let error = config(&server.url()).connect(Tokio).await.unwrap_err();
        let words = cloakroom_tests::witness::words_of(&error);
        assert!(words.contains("1.6"), "{words}");
    });
}

fn a_value_too_large_for_a_server_that_does_not_say_is_refused_by_it() {
    let server = script(|_, asked| {
        let look = if asked.starts_with("ms") { "EN\r\n" } else { "" };
        Some(format!("SERVER_ERROR object too large for cache\r\n{look}").into_bytes())
    });
    on_tokio(async {
        let store = config(&server.url()).lazy(Tokio);
        let error = replace(&store, "k", &version(), "1234567").await.unwrap_err();
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::Refused, false));
        let words = cloakroom_tests::witness::words_of(&error);
        assert!(words.contains("7 bytes"), "{words}");
        assert_eq!(load(&store, "k").await.unwrap_err().fault(), Fault::Refused);
        assert!(!server.traces("both", |traces| traces[0].reads.len() == 2)[0].is_closed, "it is in step");
    });
}

fn words_of_another_than_memcached_prove_nothing() {
    let server = script(|_, _| Some(b"SERVER_ERROR backend timeout\r\nEN\r\n".to_vec()));
    on_tokio(async {
        let store = config(&server.url()).lazy(Tokio);
        let error = replace(&store, "k", &version(), "1").await.unwrap_err();
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::Unavailable, true));
    });
    let server = script(|_, asked| asked.starts_with("ms").then(|| b"CLIENT_ERROR bad data chunk\r\n".to_vec()));
    on_tokio(async {
        let store = config(&server.url()).lazy(Tokio);
        let error = store.create(&key("k"), &value("1"), LONG).await.unwrap_err();
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::Refused, false));
        server.traces("a closed connection", |traces| traces[0].is_closed);
    });
}

fn a_cancelled_load_shifts_no_answer() {
    thread_local! {
        static HELD: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    // What the first of two questions is owed comes with the answer to the second.
    let server = script(|_, asked| {
        let answer = found(asked, asked.split(' ').nth(1)?)?;
        match asked.starts_with("mg slow ") {
            true => {
                HELD.set(answer);
                None
            }
            false => Some([HELD.take(), answer].concat()),
        }
    });
    on_tokio(async {
        let store = config(&server.url()).lazy(Tokio);
        for round in 0..10 {
            tokio::select! {
                answer = load(&store, "slow") => panic!("it has no answer yet: {answer:?}"),
                () = until("a question", async || server.reads() == 2 * round + 1) => {}
            }
            let name = format!("k{round}");
            assert_eq!(load(&store, &name).await.unwrap().as_ref(), Some(&name));
        }
        assert_eq!(server.traces("one", |traces| traces.len() == 1)[0].reads.len(), 20, "all over one connection");
    });
}
