//! A request that never touches its session costs nothing.

use allocation_counter::measure;
use cloakroom_core::{CommitError, CookieChange, End, Event, Lifetime, Loaded, Login, RequestInfo, Step, Verdict};

use crate::common::{HOUR, MINUTE, NoEntropy, World, add};

/// What may stand in a request's `Cookie` lines.
fn cases(w: &mut World) -> Vec<(&'static str, Vec<String>)> {
    let valid = w.sign_in();
    let other = w.sign_in();
    let forged = format!("__Host-id={}", "A".repeat(44));
    let many: Vec<String> = (0..20).map(|n| format!("__Host-id={}{n:02}", "A".repeat(42))).collect();
    vec![
        ("no line", vec![]),
        ("an empty line", vec![String::new()]),
        ("a valid token", vec![valid.clone()]),
        ("two valid tokens", vec![valid.clone(), other]),
        ("a valid token in company", vec!["theme=dark; a=b".to_owned(), format!("x=1; {valid}; y=\"2\"")]),
        ("a forged token", vec![forged]),
        ("more forged tokens than are checked", vec![many.join("; ")]),
        ("a malformed token", vec!["__Host-id=nothing".to_owned()]),
        ("an empty value", vec!["__Host-id=".to_owned()]),
        ("a huge malformed token", vec![format!("__Host-id={}", "x".repeat(10_000))]),
        ("more pairs than are read", vec!["a=1;".repeat(5000)]),
        ("more bytes than are read", vec!["a".repeat(100_000), valid]),
        ("others' cookies", vec!["__Host-id2=x; _Host-id=y; id=z".to_owned()]),
    ]
}

#[test]
fn an_untouched_request_allocates_nothing_and_draws_no_entropy() {
    let mut w = World::new();
    for (what, lines) in cases(&mut w) {
        let lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
        let now = w.now();
        for request in [RequestInfo::new(), RequestInfo::new().method("POST").sec_fetch_site(b"cross-site")] {
            let mut is_quiet = false;
            let allocations = measure(|| {
                let session = w.engine.open(lines.iter().copied(), &request);
                if let Step::Done(done) = session.commit(now, &mut NoEntropy) {
                    is_quiet = done.result().is_ok()
                        && done.cookie() == CookieChange::Keep
                        && done.headers().count() == 0
                        && done.events().iter().count() == 0
                        && done.end().is_none();
                }
            });
            assert!(is_quiet, "{what}");
            assert_eq!(allocations.count_total, 0, "{what}");
        }
    }
}

#[test]
fn the_measure_sees_allocations() {
    assert_ne!(measure(|| drop(std::hint::black_box(Box::new(1)))).count_total, 0);
}

#[test]
fn an_untouched_request_stays_so_however_old_its_session_is() {
    let mut w = World::with(|builder| builder.renew_after(MINUTE));
    let jar = w.sign_in();
    for _ in 0..12 {
        w.pass(HOUR);
        let session = w.open(&jar);
        let done = w.commit(session);
        assert_eq!((done.headers().count(), done.events().iter().count()), (0, 0));
    }
    assert_eq!(w.ops(), "");
}

#[test]
fn refused_tokens_cost_no_operation_also_when_the_session_is_accessed() {
    let mut w = World::new();
    for (what, lines) in cases(&mut w) {
        if what.contains("valid") || what.contains("bytes") || what.contains("pairs") {
            continue;
        }
        let mut session = w.engine.open(lines.iter().map(String::as_bytes), &RequestInfo::new());
        assert!(w.access(&mut session).unwrap().is_new(), "{what}");
        let Step::Done(done) = session.commit(w.now(), &mut NoEntropy) else { panic!("{what}") };
        assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep), "{what}");
        assert_eq!(done.headers().collect::<Vec<_>>(), [("vary", "Cookie")], "{what}");
        assert_eq!(w.ops(), "", "{what}");
    }
}

#[test]
fn an_access_whose_load_is_dropped_leaves_the_session_unloaded() {
    let mut w = World::new();
    let jar = w.sign_in();
    let mut session = w.open(&jar);
    for _ in 0..3 {
        drop(session.access());
    }
    assert!(session.is_accessed());
    let Step::Done(done) = session.commit(w.now(), &mut NoEntropy) else { panic!("nothing to do") };
    assert_eq!((done.result(), done.cookie()), (Ok(()), CookieChange::Keep));
    let mut session = done.reopen();
    assert!(!w.access(&mut session).unwrap().is_new(), "and a later access asks again");
    assert_eq!(w.ops(), "load");
}

#[test]
fn a_response_that_sets_or_used_a_cookie_says_so_to_caches() {
    let mut w = World::new();
    let mut jar = String::new();
    let names = |done: &cloakroom_core::Done| done.headers().map(|(name, _)| name).collect::<Vec<_>>().join(",");
    let done = w.visit(&mut jar, |loaded| loaded.insert("n", &1).unwrap());
    assert_eq!(names(&done), "set-cookie,cache-control,vary");
    assert!(done.headers().any(|header| header == ("cache-control", "no-store")));
    assert_eq!(names(&w.visit(&mut jar, |_| ())), "vary");
    let done = w.visit(&mut jar, Loaded::destroy);
    assert_eq!(names(&done), "set-cookie,cache-control,vary");
}

#[test]
fn a_session_knows_whether_somebody_asked_for_it() {
    let mut w = World::new();
    let jar = w.sign_in();
    let mut session = w.open(&jar);
    assert!(!session.is_accessed());
    let _ = session.access();
    assert!(session.is_accessed());
}

#[test]
fn a_session_that_was_only_read_needs_nothing() {
    let mut w = World::new();
    let jar = w.session_of("ada");
    let mut needs_nothing = |cookie: &str, edit: fn(&mut Loaded)| w.slow(cookie, edit).settled(w.now()).is_some();
    for cookie in ["", "__Host-id=nothing", &jar] {
        assert!(needs_nothing(cookie, |_| ()), "{cookie}");
        assert!(needs_nothing(cookie, |loaded| assert_eq!(loaded.get::<i64>("m"), Ok(None))), "{cookie}");
        assert!(!needs_nothing(cookie, |loaded| loaded.insert("n", &7).unwrap()), "{cookie}");
        assert!(!needs_nothing(cookie, |loaded| loaded.login("bob", Login::new()).unwrap()), "{cookie}");
        assert!(!needs_nothing(cookie, Loaded::destroy), "{cookie}");
    }
    assert!(!needs_nothing(&jar, Loaded::rotate));
    assert!(!needs_nothing(&jar, |loaded| loaded.elevate().unwrap()));
    assert!(!needs_nothing(&jar, |loaded| loaded.set_lifetime(Lifetime::new(MINUTE, HOUR)).unwrap()));
    w.pass(20 * MINUTE);
    assert!(w.slow(&jar, |_| ()).settled(w.now()).is_none(), "a touch is due");
}

#[test]
fn a_session_that_owes_a_cookie_needs_a_commit() {
    let mut w = World::new();
    let session = w.slow("", add(1));
    let session = w.commit(session).reopen();
    assert!(session.settled(w.now()).is_none());
}

#[test]
fn a_verdict_tells_what_the_request_came_to() {
    type Told = (Result<(), CommitError>, Option<End>, &'static str, Vec<String>, Vec<&'static str>);
    type Case = (fn(&mut Loaded), &'static str, &'static [&'static str]);
    fn line((name, value): (&str, &str)) -> String {
        format!("{name}: {value}")
    }
    fn told(verdict: &Verdict) -> Told {
        let events = verdict.events().iter().map(Event::name).collect();
        (verdict.result(), verdict.end(), verdict.cookie().name(), verdict.headers().map(line).collect(), events)
    }
    let cases: [Case; 5] = [
        (|_| (), "keep", &[]),
        (|loaded| add(1)(loaded), "keep", &[]),
        (Loaded::rotate, "set", &["renewed"]),
        (Loaded::destroy, "clear", &["ended"]),
        (|loaded| loaded.elevate().unwrap(), "set", &["elevated"]),
    ];
    for (edit, cookie, events) in cases {
        let request = || {
            let mut w = World::new();
            let jar = w.session_of("ada");
            let session = w.slow(&jar, edit);
            let step = w.start(session);
            (w, step)
        };
        // Step by step, without a `Done`.
        let (mut w, mut step) = request();
        let alone = loop {
            match step.into_verdict() {
                Ok(verdict) => break told(&verdict),
                Err(io) => step = w.resume(Step::Io(io)),
            }
        };
        assert_eq!((alone.0, alone.2, &alone.4[..]), (Ok(()), cookie, events));
        assert_eq!(alone.1.is_some(), cookie == "clear");
        assert_eq!(alone.3.last().map(String::as_str), Some("vary: Cookie"));
        assert_eq!(alone.3.len(), if cookie == "keep" { 1 } else { 3 });

        let (mut w, step) = request();
        let done = w.finish(step);
        let headers: Vec<_> = done.headers().map(line).collect();
        let noticed: Vec<_> = done.events().iter().map(Event::name).collect();
        assert_eq!((done.result(), done.end(), done.cookie().name(), headers, noticed), alone);
        assert_eq!(told(&done.into_verdict()), alone);

        // Where the request goes on, what it owes stands, and what came of the first commit was told.
        let (mut w, step) = request();
        let done = w.finish(step);
        let last = w.commit(done.reopen()).into_verdict();
        assert_eq!(told(&last), (Ok(()), None, alone.2, alone.3, alone.4));
    }
    assert_eq!(told(&Verdict::default()), (Ok(()), None, "keep", vec![], vec![]));
}
