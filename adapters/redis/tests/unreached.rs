//! An error names the server that is not reached, and nothing of who logs in there.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::{error::Error as _, net::TcpListener, sync::Arc, time::Duration};

use cloakroom_redis::{
    ConnectError, RedisConfig,
    rustls::{ClientConfig, RootCertStore, crypto::ring},
};
use cloakroom_smol::Smol;

/// Trusts nobody: no answer comes that could ask for it.
fn tls() -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// What the store says below that it cannot be reached.
fn words(url: &str) -> String {
    let config = RedisConfig::new(url).unwrap().deadline(Duration::from_millis(200)).tls(tls());
    match smol::block_on(config.connect(Smol)) {
        Err(ConnectError::Unreachable(error)) => error.source().unwrap().to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for url in
        [format!("redis://user:secret@127.0.0.1:{port}/1"), format!("redis+cluster://user:secret@127.0.0.1:{port}")]
    {
        let words = words(&url);
        assert!(words.starts_with(&format!("no connection to 127.0.0.1:{port}: ")), "{words}");
        assert!(!words.contains("secret") && !words.contains("user"), "{words}");
    }
    let words = words("redis+unix:///no/such/socket?pass=secret");
    assert!(words.starts_with("no connection to /no/such/socket: "), "{words}");
}

#[test]
fn a_server_that_does_not_speak_tls_is_named_with_it() {
    // It takes the connection and says nothing, as Redis does that waits for the end of a line.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let said = words(&format!("rediss://:secret@127.0.0.1:{port}"));
    assert_eq!(said, format!("no connection to 127.0.0.1:{port} by TLS was made in time"));
}

#[test]
fn a_main_that_returns_an_error_prints_sentences() {
    let config = RedisConfig::new("redis://127.0.0.1:1").unwrap().deadline(Duration::from_millis(200));
    let error: Box<dyn std::error::Error> = smol::block_on(config.connect(Smol)).unwrap_err().into();
    let shown = format!("{error:?}");
    assert!(
        shown.starts_with("cannot connect to Redis: the store cannot be reached: no connection to 127.0.0.1:1: "),
        "{shown}"
    );
    let error = RedisConfig::new("redis:/x").unwrap_err();
    assert_eq!(format!("{error:?}"), error.to_string());
    assert_eq!(format!("{:?}", ConnectError::from(error)), error.to_string());
}
