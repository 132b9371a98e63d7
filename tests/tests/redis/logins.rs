//! Ways to reach a server, and to log in there.

use std::{sync::Arc, time::Duration};

use cloakroom_redis::{
    RedisConfig, RedisStore,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, pem::PemObject as _},
    },
};
use cloakroom_store::Store;
use cloakroom_tests::{
    servers::{Certificates, Options, Redis},
    witness::{Site, words_of},
};
use cloakroom_tokio::Tokio;

use crate::common::{config, create, key, load, on_tokio, replace, version};

tests! {
    a_user_and_a_password_log_in,
    a_number_chooses_the_database,
    a_unix_socket_serves,
    a_prefix_stands_before_every_key,
    tls_trusts_the_authority_that_it_is_given,
    tls_refuses_whom_nobody_vouches_for,
    tls_survives_a_restart_and_large_values,
}

/// Checks that a store works, and that what it stores is where it should be.
async fn serves(store: &RedisStore, server: &Redis, database: &str, full_key: &str) {
    create(store, "k", "1").await.unwrap();
    replace(store, "k", "1", "2").await.unwrap();
    assert_eq!(load(store, "k").await.unwrap().as_deref(), Some("2"));
    let mut connection = server.connect().unwrap();
    connection.command(&["SELECT", database]).unwrap();
    assert_eq!(connection.command(&["GET", full_key]).unwrap().text(), "2");
    store.remove(&key("k"), &version("2")).await.unwrap();
}

fn a_user_and_a_password_log_in() {
    let special = "p@ss:w/rd#%?";
    let server = Redis::start(Options::new().password("default's").user("web", &format!("on >{special} ~* +@all")));
    on_tokio(async {
        serves(&config(&server.url()).connect(Tokio).await.unwrap(), &server, "0", "k").await;
        let url = format!("redis://web:p%40ss%3Aw%2Frd%23%25%3F@127.0.0.1:{}", server.port());
        let store = config(&url).connect(Tokio).await.unwrap();
        assert!(server.ask(&["CLIENT", "LIST"]).text().contains("user=web"));
        serves(&store, &server, "0", "k").await;
        let set = config(&format!("redis://127.0.0.1:{}", server.port())).login(Some("web"), Some(special), 3);
        serves(&set.connect(Tokio).await.unwrap(), &server, "3", "k").await;
    });
}

fn a_number_chooses_the_database() {
    let mut server = Redis::start(Options::new());
    on_tokio(async {
        let store = config(&format!("{}/5", server.url())).lazy(Tokio);
        serves(&store, &server, "5", "k").await;
        tokio::task::block_in_place(|| server.restart());
        let _ = load(&store, "k").await;
        serves(&store, &server, "5", "k").await;
    });
}

fn a_unix_socket_serves() {
    let server = Redis::start(Options::new().user("web", "on >secret ~* +@all"));
    on_tokio(async {
        let store = config(&server.unix_url()).connect(Tokio).await.unwrap();
        serves(&store, &server, "0", "k").await;
        let url = format!("{}?user=web&pass=secret&db=2", server.unix_url());
        serves(&config(&url).connect(Tokio).await.unwrap(), &server, "2", "k").await;
    });
}

fn a_prefix_stands_before_every_key() {
    let server = Redis::start(Options::new());
    on_tokio(async {
        let prefixed = config(&server.url()).key_prefix("shop:").unwrap().lazy(Tokio);
        serves(&prefixed, &server, "0", "shop:k").await;
        let site = Site::new(prefixed, Tokio);
        let ticket = site.sign_in(1).await.unwrap();
        assert_eq!(server.ask(&["KEYS", "shop:cloakroom:*"]).array().len(), 1);
        // Another application's sessions are not this one's, although it has the same ring.
        let other = Site::new(config(&server.url()).lazy(Tokio), Tokio);
        assert_eq!(other.read(&ticket).await.unwrap(), None);
        assert_eq!(server.ask(&["DBSIZE"]).integer(), 1);
    });
}

fn trust(certificates: &Certificates) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificates.authority()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

fn tls_trusts_the_authority_that_it_is_given() {
    let server = Redis::start(Options::new().tls().password("secret"));
    on_tokio(async {
        let trusted = trust(server.certificates().unwrap());
        assert!(server.url().starts_with("rediss://"));
        let store = config(&server.url()).tls(trusted.clone()).connect(Tokio).await.unwrap();
        serves(&store, &server, "0", "k").await;
        // A certificate may name an address.
        let url = server.url().replace("localhost", "127.0.0.1");
        serves(&config(&url).tls(trusted).connect(Tokio).await.unwrap(), &server, "0", "k").await;
        let plain = server.url().replace("rediss", "redis");
        let error = config(&plain).deadline(Duration::from_millis(600)).connect(Tokio).await.unwrap_err();
        assert!(!words_of(&error).contains("secret"), "{}", words_of(&error));
    });
}

fn tls_refuses_whom_nobody_vouches_for() {
    let (server, other) = (Redis::start(Options::new().tls()), Redis::start(Options::new().tls()));
    on_tokio(async {
        let mistaken = trust(other.certificates().unwrap());
        for config in [config(&server.url()), config(&server.url()).tls(mistaken)] {
            let error = config.connect(Tokio).await.unwrap_err();
            let words = words_of(&error);
            assert!(words.contains("TLS: ") && words.contains("certificate"), "{words}");
        }
        assert_eq!(server.calls().get("ping").copied().unwrap_or_default(), 1, "the tests' own");
        // The name has to be right as well.
        let url = server.url().replace("localhost", "127.0.0.2");
        let config = RedisConfig::new(&url).unwrap().tls(trust(server.certificates().unwrap()));
        let _ = config.connect(Tokio).await.unwrap_err();
    });
}

fn tls_survives_a_restart_and_large_values() {
    let mut server = Redis::start(Options::new().tls().durable());
    on_tokio(async {
        let store = config(&server.url()).tls(trust(server.certificates().unwrap())).lazy(Tokio);
        let large = "x".repeat(700_000);
        create(&store, "k", &large).await.unwrap();
        tokio::task::block_in_place(|| server.restart());
        crate::common::until("the server", async || load(&store, "k").await.is_ok()).await;
        assert_eq!(load(&store, "k").await.unwrap().unwrap(), large);
    });
}
