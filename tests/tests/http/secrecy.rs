//! Neither token nor key nor value is ever printed.

use std::error::Error;

use cloakroom_http::HttpConfig;
use cloakroom_store::Store;
use cloakroom_tests::servers::{Service, ServiceOptions};
use cloakroom_tokio::Tokio;

use crate::common::{LONG, config, key, on_tokio, value};

tests! {
    debug_shows_neither_token_nor_key,
    an_error_shows_neither_token_nor_key_nor_value,
    a_url_is_never_repeated,
}

const TOKEN: &str = "the-token-0123456789";

fn debug_shows_neither_token_nor_key() {
    on_tokio(async {
        let config = config("http://127.0.0.1:1/base").token(TOKEN).unwrap();
        let shown = format!("{config:?} {:?}", config.clone().lazy(Tokio));
        assert!(shown.contains("http://127.0.0.1:1/base") && shown.contains("has_token: true"), "{shown}");
        assert!(!shown.contains(TOKEN), "{shown}");
    });
}

fn an_error_shows_neither_token_nor_key_nor_value() {
    let service = Service::start(ServiceOptions::new("memory:").token("another-0123456789"));
    on_tokio(async {
        for url in [service.url(), "http://127.0.0.1:1".to_owned()] {
            let store = config(&url).token(TOKEN).unwrap().lazy(Tokio);
            let error = store.create(&key("the-key"), &value("the-value"), LONG).await.unwrap_err();
            let shown = format!("{error} {error:?} {:?}", error.source().map(ToString::to_string));
            for secret in [TOKEN, "the-key", "the-value"] {
                assert!(!shown.contains(secret), "{secret}: {shown}");
            }
        }
    });
}

fn a_url_is_never_repeated() {
    for url in ["http://user:secret@host", "ftp://secret", "http://host/?secret", "secret"] {
        let error = HttpConfig::new(url).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    }
    for token in ["", "se cret", "secret\n", &"secret".repeat(200)] {
        let error = config("http://host").token(token).map(drop).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    }
}
