//! Handlers take their sessions by type, several side by side.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::time::Duration;

use axum::{Router, routing::get};
use cloakroom_tokio::Tokio;
use cloakroom_tower::{
    CookieName, CookiePolicy, Engine, Lifetime, MemoryStore, MissingLayer, Session, SessionError, SessionLayer,
    SessionName, Sessions,
};
use common::{TestRuntime, TestStore, World, add_one, lines, ring, send, text, ticket};
use http::{Extensions, StatusCode, header};

async fn visits(session: Session) -> Result<String, SessionError> {
    let n = session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1).await?;
    Ok(format!("visit {n}"))
}

#[tokio::test(start_paused = true)]
async fn visits_count_up_over_requests_with_the_returned_cookie() {
    let w = World::new();
    let app = Router::new().route("/", get(visits)).layer(SessionLayer::new(w.sessions.clone()));
    let first = send(&app, "/", "").await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(lines(&first, header::CACHE_CONTROL), ["no-store"]);
    assert_eq!(lines(&first, header::VARY), ["Cookie"]);
    let browser = ticket(&first).unwrap();
    assert_eq!(text(first).await, "visit 1");
    for n in 2..=4 {
        let next = send(&app, "/", &browser).await;
        assert_eq!((ticket(&next), lines(&next, header::CACHE_CONTROL).len()), (None, 0));
        assert_eq!(lines(&next, header::VARY), ["Cookie"]);
        assert_eq!(text(next).await, format!("visit {n}"));
    }
    let other = send(&app, "/", "").await;
    assert_ne!(ticket(&other).unwrap(), browser);
    assert_eq!(text(other).await, "visit 1");
    assert_eq!(w.store.take_ops(), "create,load,replace,load,replace,load,replace,create");
}

#[tokio::test]
async fn five_lines_are_enough() {
    let sessions = Sessions::new(ring(), MemoryStore::new(Tokio), Tokio);
    let app = Router::new().route("/", get(visits)).layer(SessionLayer::new(sessions));
    let first = send(&app, "/", "").await;
    let browser = ticket(&first).unwrap();
    assert_eq!(text(first).await, "visit 1");
    assert_eq!(text(send(&app, "/", &browser).await).await, "visit 2");
}

#[tokio::test(start_paused = true)]
async fn a_session_without_its_layer_is_the_servers_fault() {
    #[derive(Debug)]
    struct Other;
    impl SessionName for Other {}
    let w = World::new();
    let bare = Router::new().route("/", get(visits));
    assert_eq!(send(&bare, "/", "").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let named = Router::new().route("/", get(async |_: Session<Other>| "never")).layer(w.layer());
    assert_eq!(send(&named, "/", "").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(Session::<Other>::find(&Extensions::new()).unwrap_err(), MissingLayer);
    let later = Router::new().layer(w.layer()).route("/", get(visits));
    assert_eq!(send(&later, "/", "").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[derive(Debug)]
struct Admin;
impl SessionName for Admin {}

struct Two {
    main: World,
    admin_store: TestStore,
    app: Router,
}

/// An application with a session for visitors and one for administrators.
fn two_sessions() -> Two {
    let main = World::new();
    let admin_store = TestStore::default();
    let engine = Engine::builder(ring())
        .name("admin")
        .cookie(CookiePolicy::named(CookieName::new("__Host-admin").unwrap()))
        .lifetime(Lifetime::new(Duration::from_secs(60), Duration::from_secs(600)).persistent())
        .build()
        .unwrap();
    let admin = Sessions::builder(engine, admin_store.clone(), TestRuntime::new()).build();
    let app = Router::new()
        .route("/main", get(async |session: Session| session.update("n", add_one).await.unwrap().to_string()))
        .route("/admin", get(async |session: Session<Admin>| session.update("n", add_one).await.unwrap().to_string()))
        .route(
            "/both",
            get(async |main: Session, admin: Session<Admin>| {
                main.update("n", add_one).await.unwrap();
                admin.update("n", add_one).await.unwrap();
            }),
        )
        .route("/neither", get(async || ()))
        .route("/out", get(async |admin: Session<Admin>| admin.destroy().await.unwrap()))
        .layer(SessionLayer::<Admin>::named(admin))
        .layer(main.layer());
    Two { main, admin_store, app }
}

#[tokio::test(start_paused = true)]
async fn named_sessions_live_side_by_side() {
    let t = two_sessions();
    let response = send(&t.app, "/both", "").await;
    let cookies = lines(&response, header::SET_COOKIE);
    assert_eq!(cookies.len(), 2);
    let admin = cookies.iter().find(|line| line.starts_with("__Host-admin=")).unwrap();
    let main = cookies.iter().find(|line| line.starts_with("__Host-id=")).unwrap();
    assert!(admin.contains("Max-Age=600") && !main.contains("Max-Age"), "{admin} {main}");
    assert_eq!(lines(&response, header::VARY), ["Cookie"]);
    assert_eq!(lines(&response, header::CACHE_CONTROL), ["no-store"]);
    assert_eq!((t.main.store.take_ops().as_str(), t.admin_store.take_ops().as_str()), ("create", "create"));

    let jar = format!("{}; {}", main.split(';').next().unwrap(), admin.split(';').next().unwrap());
    assert_eq!(text(send(&t.app, "/main", &jar).await).await, "2");
    assert_eq!((t.main.store.take_ops().as_str(), t.admin_store.take_ops().as_str()), ("load,replace", ""));
    assert_eq!(text(send(&t.app, "/admin", &jar).await).await, "2");
    assert_eq!((t.main.store.take_ops().as_str(), t.admin_store.take_ops().as_str()), ("", "load,replace"));
    let response = send(&t.app, "/neither", &jar).await;
    assert_eq!(lines(&response, header::VARY).len(), 0);

    // The end of one leaves the other.
    let response = send(&t.app, "/out", &jar).await;
    let cookies = lines(&response, header::SET_COOKIE);
    assert!(cookies.len() == 1 && cookies[0].starts_with("__Host-admin=;"), "{cookies:?}");
    assert_eq!((t.main.store.live(), t.admin_store.live()), (1, 0));

    // The administrator's is shorter.
    let both = send(&t.app, "/both", "").await;
    let cookies = lines(&both, header::SET_COOKIE);
    let jar = cookies.iter().map(|line| line.split(';').next().unwrap()).collect::<Vec<_>>().join("; ");
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert_eq!(text(send(&t.app, "/main", &jar).await).await, "2");
    assert_eq!(text(send(&t.app, "/admin", &jar).await).await, "1");
}

#[tokio::test(start_paused = true)]
async fn a_ticket_of_one_session_is_worth_nothing_in_another() {
    let t = two_sessions();
    let main = ticket(&send(&t.app, "/main", "").await).unwrap();
    let token = main.split_once('=').unwrap().1.to_owned();
    t.main.store.take_ops();
    let response = send(&t.app, "/admin", &format!("__Host-admin={token}")).await;
    assert_eq!(t.admin_store.take_ops(), "create", "refused before the store saw it");
    let admin = lines(&response, header::SET_COOKIE).pop().unwrap();
    let token = admin.split_once('=').unwrap().1.split(';').next().unwrap().to_owned();
    send(&t.app, "/main", &format!("__Host-id={token}")).await;
    assert_eq!(t.main.store.take_ops(), "create");
}
