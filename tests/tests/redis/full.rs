//! A server whose memory is full.

use cloakroom_core::{CommitError, End};
use cloakroom_store::{Created, Fault, Removed, SessionError, Store, Written};
use cloakroom_tests::{
    servers::{Options, Redis},
    witness::Site,
};
use cloakroom_tokio::Tokio;

use crate::common::{config, create, enroll, key, list, load, on_tokio, replace, store, touch, unenroll, version};

tests! {
    a_full_server_takes_nothing_that_grows,
    a_full_server_ends_sessions,
}

fn fill(server: &Redis) {
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
}

fn empty(server: &Redis) {
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
}

fn a_full_server_takes_nothing_that_grows() {
    let server = Redis::start(Options::new().set("maxmemory-policy", "noeviction"));
    on_tokio(async {
        let store = store(&server);
        for name in ["a", "b", "c"] {
            create(&store, name, "some text").await.unwrap();
            enroll(&store, "i", name).await.unwrap();
        }
        // Also where the server does not know the scripts yet.
        fill(&server);
        let error = create(&store, "new", "1").await.unwrap_err();
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::Full, false), "{error:?}");
        let error = replace(&store, "a", "some text", "some longer text").await.unwrap_err();
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::Full, false), "{error:?}");
        assert_eq!(load(&store, "a").await.unwrap().as_deref(), Some("some text"));
        assert!(matches!(replace(&store, "a", "other", "1").await.unwrap(), Written::Conflict(Some(_))));
        assert_eq!(touch(&store, "a", "some text").await.unwrap(), Written::Done(version("some text")));
        assert_eq!(replace(&store, "a", "some text", "same long").await.unwrap(), Written::Done(version("same long")));
        assert_eq!(replace(&store, "a", "same long", "gone").await.unwrap(), Written::Done(version("gone")));
        assert_eq!(load(&store, "a").await.unwrap().as_deref(), Some("gone"));
        assert!(server.ask(&["PTTL", "a"]).integer() > 500_000);
        assert_eq!(store.remove(&key("b"), &version("some text")).await.unwrap(), Removed::Done);
        assert_eq!(load(&store, "b").await.unwrap(), None);
        let error = enroll(&store, "i", "new").await.unwrap_err();
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::Full, false), "{error:?}");
        unenroll(&store, "i", "b").await.unwrap();
        assert_eq!(list(&store, "i").await.unwrap(), ["a", "c"]);
        empty(&server);
        enroll(&store, "i", "new").await.unwrap();
        assert!(matches!(create(&store, "new", "1").await.unwrap(), Created::Done(_)));
        assert!(matches!(replace(&store, "c", "some text", "some longer text").await.unwrap(), Written::Done(_)));
    });
}

fn a_full_server_ends_sessions() {
    let server = Redis::start(Options::new().set("maxmemory-policy", "noeviction"));
    on_tokio(async {
        for warm in [false, true] {
            let site = Site::new(config(&server.url()).connect(Tokio).await.unwrap(), Tokio);
            let (ended, kept) = (site.sign_in(1).await.unwrap(), site.sign_in(1).await.unwrap());
            let rotated = site.open(&kept);
            if warm {
                site.add(&ended).await.unwrap();
            }
            fill(&server);
            let error = site.sign_in(2).await.unwrap_err();
            assert!(matches!(error, SessionError::Commit(CommitError::Store)), "{error:?}");
            rotated.rotate().await.unwrap();
            let error = rotated.save().await.unwrap_err();
            assert!(matches!(error, SessionError::Commit(CommitError::Store)), "{error:?}");
            assert_eq!(site.read(&kept).await.unwrap(), Some(1));
            assert_eq!(site.end(&ended).await.0, Some(End::Ended), "logout works on a full server");
            assert_eq!(site.read(&ended).await.unwrap(), None);
            empty(&server);
            site.add(&kept).await.unwrap();
            assert_eq!(site.read(&kept).await.unwrap(), Some(2));
            assert_eq!(site.read(&ended).await.unwrap(), None);
            server.ask(&["SCRIPT", "FLUSH"]);
        }
    });
}
