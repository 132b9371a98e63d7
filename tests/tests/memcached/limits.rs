//! Values and memory that are too large or too small.

use std::error::Error as _;

use cloakroom_core::Value;
use cloakroom_store::{Created, Fault, Store};
use cloakroom_tests::servers::{Memcached, MemcachedOptions};

use crate::common::{LONG, bulk, create, done, key, load, on_tokio, replace, store};

tests! {
    the_largest_value_fits_and_one_byte_more_is_never_sent,
    an_item_limit_of_ones_own_is_the_limit,
    a_full_server_that_does_not_evict_says_so,
}

/// What an item has beside key and value.
const OVERHEAD: usize = 59;

fn is_the_largest(server: &Memcached, limit: usize) {
    on_tokio(async {
        let store = store(server);
        let name = "a-name-of-20-letters";
        let largest = limit - OVERHEAD - name.len();
        // The server's own word, beyond our arithmetic.
        let Created::Done(_) = store.create(&key(name), &bulk(largest), LONG).await.unwrap() else { panic!("exists") };
        let found = store.load(&key(name)).await.unwrap().unwrap();
        assert_eq!(found.value.len(), largest);
        let raw = "x".repeat(largest + 1);
        let answer = server.ask(&format!("ms raw-name-of-20-bytes {} T60\r\n{raw}", raw.len()));
        assert_eq!(answer, "SERVER_ERROR object too large for cache\r\n", "{largest}");

        let version = create(&store, "stays", "one").await.unwrap();
        let before = server.stats("")["cmd_set"].clone();
        for bytes in [limit - OVERHEAD, limit, 3 * limit] {
            for error in [
                store.create(&key("new"), &bulk(bytes), LONG).await.unwrap_err(),
                store.replace(&key("stays"), &version, &bulk(bytes), LONG).await.unwrap_err(),
                store.touch(&key("stays"), &version, &bulk(bytes), LONG).await.unwrap_err(),
            ] {
                assert_eq!((error.fault(), error.may_have_happened()), (Fault::Refused, false));
                let words = error.source().unwrap().to_string();
                assert!(words.contains(&bytes.to_string()) && words.contains(&limit.to_string()), "{words}");
            }
        }
        // A value that is too large makes the server drop what is there.
        assert_eq!(load(&store, "stays").await.unwrap().as_deref(), Some("one"));
        assert_eq!(server.stats("")["cmd_set"], before, "none of them was sent");
        done(replace(&store, "stays", &version, "two").await.unwrap());
    });
}

fn the_largest_value_fits_and_one_byte_more_is_never_sent() {
    is_the_largest(&Memcached::start(MemcachedOptions::new()), 1024 * 1024);
}

fn an_item_limit_of_ones_own_is_the_limit() {
    is_the_largest(&Memcached::start(MemcachedOptions::new().arguments(["-I", "1536k"])), 1536 * 1024);
}

fn a_full_server_that_does_not_evict_says_so() {
    let server = Memcached::start(MemcachedOptions::new().arguments(["-M", "-m", "2"]));
    on_tokio(async {
        let store = store(&server);
        create(&store, "small", "one").await.unwrap();
        let large: Value = bulk(200_000);
        let mut refused = None;
        for number in 0..100 {
            match store.create(&key(&format!("k{number}")), &large, LONG).await {
                Ok(created) => assert_ne!(created, Created::Exists),
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let error = refused.expect("a server that is full");
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::Full, false), "{error:?}");
        // The connection goes on, and so does what is there.
        assert_eq!(load(&store, "small").await.unwrap().as_deref(), Some("one"));
        assert_eq!(store.load(&key("k0")).await.unwrap().unwrap().value, large);

        // A change that finds no room costs the session: the server drops what it cannot bring up to date.
        let version = store.load(&key("small")).await.unwrap().unwrap().version;
        let error = store.replace(&key("small"), &version, &large, LONG).await.unwrap_err();
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::Full, false), "{error:?}");
        assert_eq!(load(&store, "small").await.unwrap(), None);
    });
}
