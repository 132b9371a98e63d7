//! Which connections are made, kept and given up.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    num::NonZeroU16,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use cloakroom_http::{ConnectError, HttpStore};
use cloakroom_store::{Fault, Store, StoreError};
use cloakroom_tests::{
    proxy::Proxy,
    servers::{Service, ServiceOptions},
};
use cloakroom_tokio::Tokio;
use futures_util::future::join_all;

use crate::common::{LONG, config, create, key, load, on_tokio, replace, service, until, value};

tests! {
    a_connection_is_kept_and_used_again,
    there_are_no_more_connections_than_are_set,
    a_connection_that_nobody_used_for_long_is_not_used_again,
    a_connection_whose_request_was_dropped_is_closed,
    a_write_is_never_sent_twice,
    a_read_is_tried_once_more,
    what_is_no_session_service_is_refused_at_once,
    an_answer_that_is_too_long_is_not_taken,
    a_base_path_is_kept,
    a_wrong_token_is_said,
}

fn a_connection_is_kept_and_used_again() {
    let service = service();
    on_tokio(async {
        let proxy = Proxy::start(service.address());
        let store = config(&format!("http://{}", proxy.address())).lazy(Tokio);
        assert_eq!(proxy.connections(), 0, "nothing happens while nobody asks");
        let mut version = create(&store, "k", "0").await.unwrap();
        for round in 0..20 {
            version = replace(&store, "k", &version, &round.to_string()).await.unwrap();
            load(&store, "none").await.unwrap();
        }
        assert_eq!(proxy.connections(), 1);
    });
}

fn there_are_no_more_connections_than_are_set() {
    let service = service();
    on_tokio(async {
        let proxy = Proxy::start(service.address());
        let config = config(&format!("http://{}", proxy.address())).connections(NonZeroU16::new(3).unwrap());
        let store = config.deadline(Duration::from_secs(20)).lazy(Tokio);
        let names: Vec<_> = (0..60).map(|number| number.to_string()).collect();
        for created in join_all(names.iter().map(|name| create(&store, name, "1"))).await {
            created.unwrap();
        }
        assert!(proxy.connections() <= 3, "{}", proxy.connections());
    });
}

fn a_connection_that_nobody_used_for_long_is_not_used_again() {
    let service = service();
    on_tokio(async {
        let proxy = Proxy::start(service.address());
        let store = config(&format!("http://{}", proxy.address())).idle(Duration::ZERO).lazy(Tokio);
        for round in 1..4 {
            load(&store, "k").await.unwrap();
            assert_eq!(proxy.connections(), round);
        }
    });
}

fn a_connection_whose_request_was_dropped_is_closed() {
    let service = service();
    on_tokio(async {
        let proxy = Proxy::start(service.address());
        let store = config(&format!("http://{}", proxy.address())).lazy(Tokio);
        create(&store, "k", "1").await.unwrap();
        proxy.hold();
        let asked = tokio::time::timeout(Duration::from_millis(100), load(&store, "k")).await;
        assert!(asked.is_err(), "it waits");
        proxy.heal();
        assert_eq!(load(&store, "none").await.unwrap(), None, "no answer of another's");
        assert_eq!(proxy.connections(), 2);
        until("the first is closed", async || proxy.open() == 1).await;
    });
}

/// A server that answers each of its connections by a script: reads a head, then writes this and closes. Counts heads.
fn scripted(answers: Vec<&'static [u8]>) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, heads) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&heads);
    thread::spawn(move || {
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                head.push(byte[0]);
            }
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = stream.write_all(answer);
        }
    });
    (address, heads)
}

const ABSENT: &[u8] = b"HTTP/1.1 404 Not Found\r\ncloakroom-outcome: absent\r\ncontent-length: 0\r\n\r\n";

fn scripted_store(answers: Vec<&'static [u8]>) -> (HttpStore, Arc<AtomicUsize>) {
    let (address, heads) = scripted(answers);
    (config(&format!("http://{address}")).lazy(Tokio), heads)
}

fn a_write_is_never_sent_twice() {
    on_tokio(async {
        for cut in [&b""[..], b"HTTP/1.1 201", b"HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\nab"] {
            let (store, heads) = scripted_store(vec![cut, ABSENT, ABSENT]);
            let error = store.create(&key("k"), &value("v"), LONG).await.unwrap_err();
            assert!(error.may_have_happened() && error.fault() == Fault::Unavailable, "{error:?}");
            assert_eq!(heads.load(Ordering::SeqCst), 1);
        }
    });
}

fn a_read_is_tried_once_more() {
    on_tokio(async {
        let (store, heads) = scripted_store(vec![b"", ABSENT]);
        assert_eq!(load(&store, "k").await.unwrap(), None);
        assert_eq!(heads.load(Ordering::SeqCst), 2);
        let (store, heads) = scripted_store(vec![b"", b"", ABSENT]);
        assert!(!load(&store, "k").await.unwrap_err().may_have_happened());
        assert_eq!(heads.load(Ordering::SeqCst), 2, "once, not for ever");
    });
}

fn refused(connected: Result<HttpStore, ConnectError>) -> StoreError {
    match connected {
        Err(ConnectError::Unreachable(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn what_is_no_session_service_is_refused_at_once() {
    on_tokio(async {
        for (answer, fault) in [
            (&b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"[..], Fault::Refused),
            (b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi", Fault::Internal),
            (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n", Fault::Unavailable),
            (b"HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n", Fault::Internal),
        ] {
            let (address, _) = scripted(vec![answer]);
            let error = refused(config(&format!("http://{address}")).connect(Tokio).await);
            assert_eq!(error.fault(), fault, "{error:?}");
        }
        let since = Instant::now();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = refused(config(&format!("http://{closed}")).connect(Tokio).await);
        assert_eq!(error.fault(), Fault::Unavailable);
        assert!(since.elapsed() < Duration::from_secs(2));
    });
}

fn an_answer_that_is_too_long_is_not_taken() {
    const FOUND: &[u8] = b"HTTP/1.1 200 OK\r\ncloakroom-outcome: found\r\ncloakroom-ttl: 1000\r\netag: \"v\"\r\n\
        content-type: application/octet-stream\r\ncontent-length: 11\r\n\r\nhello world";
    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ncloakroom-outcome: found\r\ncloakroom-ttl: 1000\r\netag: \"v\"\r\n\
        content-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n";
    on_tokio(async {
        for answer in [FOUND, CHUNKED] {
            for (max, is_taken) in [(11, true), (10, false)] {
                let (address, _) = scripted(vec![answer, answer]);
                let store = config(&format!("http://{address}")).max_value(max).lazy(Tokio);
                match load(&store, "k").await {
                    Ok(found) => assert!(is_taken && found.as_deref() == Some("hello world"), "{found:?}"),
                    Err(error) => assert!(!is_taken && error.fault() == Fault::Internal, "{error:?}"),
                }
            }
        }
    });
}

fn a_base_path_is_kept() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let head = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = vec![0; 4096];
        let read = stream.read(&mut head).unwrap();
        stream.write_all(ABSENT).unwrap();
        String::from_utf8(head[..read].to_vec()).unwrap()
    });
    on_tokio(async {
        let store = config(&format!("http://{address}/shop/v1/")).token("a-token").unwrap().lazy(Tokio);
        assert_eq!(store.load(&key("a/../b?")).await.unwrap(), None);
    });
    let head = head.join().unwrap();
    assert!(head.starts_with("GET /shop/v1/sessions/a%2F%2E%2E%2Fb%3F HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: {address}\r\n")), "{head}");
    assert!(head.contains("authorization: Bearer a-token\r\n"), "{head}");
}

fn a_wrong_token_is_said() {
    let service = Service::start(ServiceOptions::new("memory:").token("one-0123456789.abcdef"));
    on_tokio(async {
        let config = config(&service.url());
        for config in [config.clone(), config.clone().token("another").unwrap()] {
            let error = refused(config.connect(Tokio).await);
            assert_eq!((error.fault(), error.may_have_happened()), (Fault::Refused, false));
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert_eq!(source, "the service answered 401: unauthorized");
        }
        config.token("one-0123456789.abcdef").unwrap().connect(Tokio).await.unwrap();
    });
}
