//! A cross-site unsafe request without our cookie: it was withheld, and a new one would overwrite it.

use cloakroom_core::{CommitError, CookieChange, CookiePolicy, Done, Event, Loaded, RequestInfo, SameSite};

use crate::common::{World, add, has, ticket};

fn request(w: &mut World, cookie: &str, method: &str, site: Option<&str>, edit: impl FnOnce(&mut Loaded)) -> Done {
    let mut info = RequestInfo::new().method(method);
    if let Some(site) = site {
        info = info.sec_fetch_site(site.as_bytes());
    }
    let mut session = w.open_as(cookie, &info);
    edit(w.access(&mut session).unwrap());
    w.commit(session)
}

#[test]
fn a_cross_site_unsafe_request_without_our_cookie_makes_no_session() {
    let mut w = World::new();
    for method in ["POST", "PUT", "DELETE", "PATCH", "CONNECT", "post", "get", "ODD", ""] {
        for cookie in ["", "theme=dark", "__Host-id2=x", "=x"] {
            let done = request(&mut w, cookie, method, Some("cross-site"), add(1));
            assert_eq!((done.result(), done.cookie()), (Err(CommitError::CrossSite), CookieChange::Keep), "{method}");
            assert!(has(&done, Event::CrossSite));
        }
    }
    assert_eq!(w.ops(), "");
}

#[test]
fn its_reads_are_empty_and_no_error() {
    let mut w = World::new();
    let done = request(&mut w, "", "POST", Some("cross-site"), |loaded| assert!(loaded.is_new()));
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
}

#[test]
fn its_saves_make_no_session_either() {
    let mut w = World::new();
    let done = request(&mut w, "", "POST", Some("cross-site"), add(1));
    let mut session = done.reopen();
    add(1)(w.access(&mut session).unwrap());
    let done = w.commit(session);
    assert_eq!((done.result(), done.cookie()), (Err(CommitError::CrossSite), CookieChange::Keep));
}

#[test]
fn safe_methods_and_other_sites_make_sessions() {
    let mut w = World::new();
    for method in ["GET", "HEAD", "OPTIONS"] {
        assert!(ticket(&request(&mut w, "", method, Some("cross-site"), add(1))).is_some(), "{method}");
    }
    for site in [None, Some("same-origin"), Some("same-site"), Some("none"), Some("")] {
        assert!(ticket(&request(&mut w, "", "POST", site, add(1))).is_some(), "{site:?}");
    }
    assert!(ticket(&w.request("", add(1))).is_some(), "a server that knows nothing");
}

#[test]
fn a_cross_site_request_with_our_cookie_is_served() {
    let mut w = World::new();
    let jar = w.sign_in();
    let done = request(&mut w, &jar, "POST", Some("cross-site"), add(1));
    assert_eq!(done.result(), Ok(()));
    assert_eq!(w.peek(&jar, "n"), Some(1));
    w.store.evict(&w.key(&jar));
    let done = request(&mut w, &jar, "POST", Some("cross-site"), add(1));
    assert!(ticket(&done).is_some(), "its cookie came, and opens nothing");
    let done = request(&mut w, &jar, "POST", Some("cross-site"), |loaded| {
        loaded.destroy();
        add(1)(loaded);
    });
    assert_eq!(done.result(), Ok(()));
}

#[test]
fn what_browsers_withhold_depends_on_same_site() {
    let policy = |same_site| CookiePolicy::default().same_site(same_site);
    let mut none = World::with(|builder| builder.cookie(policy(SameSite::None)));
    assert!(ticket(&request(&mut none, "", "POST", Some("cross-site"), add(1))).is_some(), "nothing is withheld");
    let mut strict = World::with(|builder| builder.cookie(policy(SameSite::Strict)));
    for method in ["GET", "POST"] {
        let done = request(&mut strict, "", method, Some("cross-site"), add(1));
        assert_eq!((done.result(), done.cookie()), (Err(CommitError::CrossSite), CookieChange::Keep), "{method}");
    }
}
