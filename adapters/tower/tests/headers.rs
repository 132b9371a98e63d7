//! The session's headers are merged with what the handler set.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use axum::{Router, http::HeaderMap, routing::get};
use cloakroom_tower::Session;
use common::{World, lines, send, ticket};
use http::{HeaderName, HeaderValue, Response, header};

/// The answer to a request that makes a session, or only looks, where the handler sets these lines.
async fn answer(writes: bool, name: HeaderName, set: &[&'static str]) -> Response<axum::body::Body> {
    let w = World::new();
    let headers: HeaderMap = set.iter().map(|line| (name.clone(), HeaderValue::from_static(line))).collect();
    let handler = async move |session: Session| {
        match writes {
            true => session.insert("n", &1).await.unwrap(),
            false => drop(session.get::<u64>("n").await.unwrap()),
        }
        headers
    };
    send(&Router::new().route("/", get(handler)).layer(w.layer()), "/", "").await
}

async fn vary(set: &[&'static str]) -> Vec<String> {
    let read = lines(&answer(false, header::VARY, set).await, header::VARY);
    let written = lines(&answer(true, header::VARY, set).await, header::VARY);
    assert_eq!(read, written, "looking is enough");
    read
}

async fn cache_control(set: &[&'static str]) -> Vec<String> {
    let untouched: Vec<String> = set.iter().map(|line| (*line).to_owned()).collect();
    let read = lines(&answer(false, header::CACHE_CONTROL, set).await, header::CACHE_CONTROL);
    assert_eq!(read, untouched, "without a cookie the handler's stands");
    lines(&answer(true, header::CACHE_CONTROL, set).await, header::CACHE_CONTROL)
}

#[tokio::test(start_paused = true)]
async fn vary_gains_cookie() {
    assert_eq!(vary(&[]).await, ["Cookie"]);
    assert_eq!(vary(&["Accept-Encoding"]).await, ["Accept-Encoding, Cookie"]);
    assert_eq!(vary(&["Accept-Encoding", "Origin"]).await.join(", "), "Accept-Encoding, Origin, Cookie");
    assert_eq!(vary(&["X-Cookie"]).await, ["X-Cookie, Cookie"]);
    assert_eq!(vary(&["Cookie2, Set-Cookie"]).await, ["Cookie2, Set-Cookie, Cookie"]);
}

#[tokio::test(start_paused = true)]
async fn a_vary_that_says_it_already_is_kept() {
    assert_eq!(vary(&["*"]).await, ["*"]);
    assert_eq!(vary(&["Cookie"]).await, ["Cookie"]);
    assert_eq!(vary(&["Accept, cookie"]).await, ["Accept, cookie"]);
    assert_eq!(vary(&["Accept", "COOKIE"]).await, ["Accept", "COOKIE"]);
    assert_eq!(vary(&["Accept", "*"]).await, ["Accept", "*"]);
}

#[tokio::test(start_paused = true)]
async fn a_cookie_is_never_cached() {
    assert_eq!(cache_control(&[]).await, ["no-store"]);
    assert_eq!(cache_control(&["public, max-age=60"]).await, ["no-store"]);
    assert_eq!(cache_control(&["Public, Max-Age=60, S-MaxAge = 5, immutable"]).await, ["no-store"]);
    assert_eq!(cache_control(&["private"]).await, ["private, no-store"]);
    assert_eq!(cache_control(&["must-understand, no-store"]).await, ["no-store"]);
    assert_eq!(cache_control(&["no-store"]).await, ["no-store"]);
    assert_eq!(cache_control(&["No-Store, no-cache"]).await.join(",").matches("o-").count(), 2);
    assert_eq!(cache_control(&["public", "no-transform"]).await, ["no-transform, no-store"]);
    assert_eq!(cache_control(&["stale-while-revalidate=30, no-cache"]).await, ["no-cache, no-store"]);
}

#[tokio::test(start_paused = true)]
async fn quoted_commas_survive_the_merge() {
    assert_eq!(
        cache_control(&[r#"private="x-a, x-b", no-cache"#]).await,
        [r#"private="x-a, x-b", no-cache, no-store"#]
    );
}

#[tokio::test(start_paused = true)]
async fn the_cookie_is_marked_sensitive_and_stands_beside_the_handlers() {
    let response = answer(true, header::SET_COOKIE, &["theme=dark", "lang=en"]).await;
    let all: Vec<_> = response.headers().get_all(header::SET_COOKIE).iter().collect();
    assert_eq!(all.len(), 3);
    let ours = all.iter().find(|line| line.as_bytes().starts_with(b"__Host-id=")).unwrap();
    assert!(ours.is_sensitive());
    assert!(!format!("{response:?}").contains("__Host-id"));
    let attributes: Vec<_> = ours.to_str().unwrap().split("; ").skip(1).collect();
    for expected in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(attributes.contains(&expected), "{attributes:?}");
    }
    assert!(!attributes.iter().any(|attribute| attribute.starts_with("Domain")));
}

#[tokio::test(start_paused = true)]
async fn a_handlers_own_line_of_our_name_is_replaced_and_others_stay() {
    const SET: &[&str] = &[
        "theme=dark",
        "__Host-id=old; Path=/; Secure",
        "__Host-id2=x",
        " __Host-id = older",
        "__host-id=y",
        "theme=light; Path=/a",
        "x=__Host-id=z",
    ];
    let kept = ["theme=dark", "__Host-id2=x", "__host-id=y", "theme=light; Path=/a", "x=__Host-id=z"];
    let written = lines(&answer(true, header::SET_COOKIE, SET).await, header::SET_COOKIE);
    let (ours, others): (Vec<_>, Vec<_>) = written.iter().partition(|line| line.starts_with("__Host-id="));
    assert_eq!(ours.len(), 1, "{written:?}");
    assert!(ours[0].contains("HttpOnly") && !ours[0].contains("old"), "{ours:?}");
    assert_eq!(others, kept);
    let read = lines(&answer(false, header::SET_COOKIE, SET).await, header::SET_COOKIE);
    assert_eq!(read, SET, "without a cookie of ours all stand");
}

#[tokio::test(start_paused = true)]
async fn the_removal_has_the_attributes_of_the_cookie() {
    let w = World::new();
    let app = Router::new()
        .route("/in", get(async |session: Session| session.insert("n", &1).await.unwrap()))
        .route("/out", get(async |session: Session| session.destroy().await.unwrap()))
        .layer(w.layer());
    let set = lines(&send(&app, "/in", "").await, header::SET_COOKIE).pop().unwrap();
    let response = send(&app, "/out", set.split(';').next().unwrap()).await;
    assert_eq!(lines(&response, header::CACHE_CONTROL), ["no-store"]);
    assert!(response.headers()[header::SET_COOKIE].is_sensitive());
    let removal = lines(&response, header::SET_COOKIE).pop().unwrap();
    let attributes = |line: &str| {
        let mut all: Vec<_> = line.split("; ").skip(1).map(str::to_owned).collect();
        all.retain(|attribute| !attribute.starts_with("Max-Age") && !attribute.starts_with("Expires"));
        all.sort();
        all
    };
    assert!(removal.starts_with("__Host-id=;") && removal.contains("Max-Age=0"), "{removal}");
    assert_eq!(attributes(&removal), attributes(&set));
    // Ended already: nothing to end, and no cookie, for the jar may hold a newer one.
    let again = send(&app, "/out", set.split(';').next().unwrap()).await;
    assert_eq!((again.status().as_u16(), ticket(&again)), (200, None));
}

/// What a request does to its session, one letter each.
async fn act(session: &Session, acts: &str) {
    for (n, act) in acts.chars().enumerate() {
        match act {
            'd' => session.destroy().await.unwrap(),
            'r' => session.rotate().await.unwrap(),
            's' => session.save().await.unwrap(),
            _ => session.insert("n", &n).await.unwrap(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_a_request_does_it_sets_one_cookie_that_works() {
    let w = World::new();
    for acts in ["ws", "wsw", "rs", "rsrs", "wsrsws", "ds", "dsw", "dws", "wsdsws", "rsds", "rsdw", "rsdwrs", "dwsds"] {
        for is_new in [true, false] {
            let browser = if is_new { String::new() } else { w.sign_in(1).await };
            let handler = async move |session: Session| act(&session, acts).await;
            let app = Router::new().route("/", get(handler)).layer(w.layer());
            let response = send(&app, "/", &browser).await;
            assert!(response.status().is_success(), "{acts}: {}", response.status());
            let after = acts.rsplit('d').next().unwrap();
            let ends = acts.contains('d');
            let set = ticket(&response);
            match (ends, after.contains('w')) {
                // The session that the last end left behind.
                (true, true) => assert!(w.read(&set.unwrap()).await.is_some(), "{acts}"),
                (true, false) if !is_new => assert_eq!(set.as_deref(), Some("__Host-id="), "{acts}"),
                (true, false) => assert!(set.is_none_or(|set| set == "__Host-id="), "{acts}"),
                (false, _) if is_new && !acts.contains('w') => assert_eq!(set, None, "{acts}"),
                (false, _) if is_new || acts.contains('r') => assert!(w.read(&set.unwrap()).await.is_some(), "{acts}"),
                (false, _) => assert_eq!(set, None, "{acts}"),
            }
            if ends && !is_new {
                assert_eq!(w.read(&browser).await, None, "{acts}");
            }
        }
    }
}
