//! The client's address: from the server's word on the connection, and through trusted proxies only.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::{
    cell::RefCell,
    io,
    net::{IpAddr, SocketAddr},
    sync::Once,
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Extension},
    routing::get,
};
use cloakroom_tower::{
    AddressError, ClientAddr,
    ForwardedHeader::{self, Forwarded, XForwardedFor},
    PeerAddr, Session, SessionLayer, StatusOnly, TrustedProxies,
};
use common::{World, text};
use http::Request;
use tower::ServiceExt;

thread_local! {
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what is logged on each thread, and so in each test, apart.
#[derive(Clone, Copy)]
struct Log;

impl Log {
    fn listen() {
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| tracing_subscriber::fmt().with_ansi(false).with_writer(|| Self).init());
        Self::take();
    }

    fn take() -> String {
        String::from_utf8(LOG.take()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn by_networks(header: ForwardedHeader) -> TrustedProxies {
    TrustedProxies::by_networks(header, ["10.0.0.0/8".parse().unwrap()])
}

/// What a handler finds out, and what was logged.
async fn client(layer: SessionLayer, peer: Option<IpAddr>, headers: &[(&str, &str)]) -> (Option<ClientAddr>, String) {
    Log::listen();
    let handler = async |_: Session, address: Option<Extension<ClientAddr>>| format!("{address:?}");
    let app = Router::new().route("/", get(handler)).layer(layer);
    let mut request = Request::get("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    if let Some(peer) = peer {
        request.extensions_mut().insert(PeerAddr(peer));
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(ip("203.0.113.99"), 1)));
    }
    let told = text(app.oneshot(request).await.unwrap()).await;
    let known = [
        Ok(ip("203.0.113.7")),
        Ok(ip("203.0.113.99")),
        Ok(ip("10.0.0.1")),
        Err(AddressError::Hidden),
        Err(AddressError::Malformed),
        Err(AddressError::Missing),
        Err(AddressError::NoPeer),
        Err(AddressError::TooLong),
    ];
    let found = known.into_iter().map(ClientAddr).find(|known| told == format!("{:?}", Some(Extension(*known))));
    assert!(found.is_some() || told == "None", "{told}");
    (found, Log::take())
}

const SPOOFED: [(&str, &str); 3] =
    [("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=6.6.6.6"), ("x-real-ip", "6.6.6.6")];

#[tokio::test]
async fn without_a_word_on_the_peer_there_is_no_address() {
    let w = World::new();
    let (found, log) = client(w.layer(), None, &SPOOFED).await;
    assert_eq!((found, log.contains("no_client_address")), (None, false), "{log}");
}

#[tokio::test]
async fn by_default_the_peer_is_the_client() {
    let w = World::new();
    let (found, log) = client(w.layer(), Some(ip("::ffff:203.0.113.7")), &SPOOFED).await;
    assert_eq!((found, log.as_str()), (Some(ClientAddr(Ok(ip("203.0.113.7")))), ""));
}

#[tokio::test]
async fn the_peer_is_where_the_setting_says() {
    let w = World::new();
    let connected = |extensions: &http::Extensions| extensions.get::<ConnectInfo<SocketAddr>>().map(|it| it.0.ip());
    let (found, _) = client(w.layer().peer(connected), Some(ip("10.0.0.1")), &[]).await;
    assert_eq!(found, Some(ClientAddr(Ok(ip("203.0.113.99")))));
    let proxies = TrustedProxies::by_networks(XForwardedFor, [ip("203.0.113.99").into()]);
    let line = [("x-forwarded-for", "203.0.113.7")];
    for layer in [
        w.layer().trusted_proxies(proxies.clone()).peer(connected),
        w.layer().peer(connected).trusted_proxies(proxies).refusal(StatusOnly),
    ] {
        let (found, _) = client(layer, Some(ip("10.0.0.1")), &line).await;
        assert_eq!(found, Some(ClientAddr(Ok(ip("203.0.113.7")))));
    }
}

#[tokio::test]
async fn trusted_proxies_say_the_address_in_their_header_only() {
    let w = World::new();
    let lines = [
        ("forwarded", "for=6.6.6.6"),
        ("x-forwarded-for", "6.6.6.6"),
        ("forwarded", "for=203.0.113.7, for=10.0.0.2"),
        ("x-real-ip", "6.6.6.6"),
    ];
    let through = async |peer, header| {
        client(w.layer().trusted_proxies(by_networks(header)).refusal(StatusOnly), Some(ip(peer)), &lines).await
    };
    let (found, log) = through("10.0.0.1", Forwarded).await;
    assert_eq!((found, log.as_str()), (Some(ClientAddr(Ok(ip("203.0.113.7")))), ""));
    let (found, _) = through("203.0.113.99", Forwarded).await;
    assert_eq!(found, Some(ClientAddr(Ok(ip("203.0.113.99")))), "the peer is no proxy of ours");
    let counted = w.layer().trusted_proxies(TrustedProxies::by_count(Forwarded, 2));
    assert_eq!(client(counted, None, &lines).await.0, Some(ClientAddr(Ok(ip("203.0.113.7")))), "a Unix socket");
}

#[tokio::test]
async fn a_header_that_says_no_address_is_logged_and_gives_none() {
    let w = World::new();
    for (line, error) in [
        ("for=203.0.113.7, for=\"203.0.113.7", AddressError::Malformed),
        ("for=203.0.113.7, for=secret", AddressError::Malformed),
        ("for=203.0.113.7, for=_secret", AddressError::Hidden),
    ] {
        let layer = w.layer().trusted_proxies(by_networks(Forwarded));
        let (found, log) = client(layer, Some(ip("10.0.0.1")), &[("forwarded", line)]).await;
        assert_eq!(found, Some(ClientAddr(Err(error))), "{line}");
        assert!(log.contains("no_client_address") && log.contains(error.name()), "{log}");
        assert!(!log.contains("secret") && !log.contains("203.0.113.7"), "{log}");
    }
    for (peer, headers, error) in [
        (Some(ip("10.0.0.1")), &[][..], AddressError::Missing),
        (Some(ip("10.0.0.1")), &[("x-forwarded-for", "203.0.113.7")], AddressError::Missing),
        (None, &[("forwarded", "for=203.0.113.7")], AddressError::NoPeer),
    ] {
        let (found, log) = client(w.layer().trusted_proxies(by_networks(Forwarded)), peer, headers).await;
        assert_eq!(found, Some(ClientAddr(Err(error))));
        assert!(log.contains("no_client_address") && log.contains(error.name()), "{log}");
    }
}
