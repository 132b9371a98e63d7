//! What comes in `Cookie` lines and goes out in `Set-Cookie` lines.

use std::collections::BTreeMap;

use axum::http::header;
use cloakroom_core::{
    CookieName, CookiePolicy, Loaded, RequestInfo,
    cookie::Scanner,
    limits::{DEFAULT_GRACE, DEFAULT_IDLE, MAX_COOKIE_PAIRS},
};

use crate::{
    user_agent::{self, Place, UserAgent},
    web::{self, Site},
    world::{MINUTE, SECOND, World, ticket, token},
};

/// An attacker's own valid ticket, sent under names that other parsers make ours of, opens nothing, and keeps the
/// visitor's from nothing.
pub(crate) fn a_name_comes_out_as_it_went_in_and_a_nameless_pair_never_matches() {
    let mut world = World::new();
    let (attackers, visitors) = (world.sign_in(), world.sign_in());
    world.act(&visitors, |loaded| loaded.insert("n", &5).unwrap());
    let before = world.store.log.len();
    let planted = token(&attackers);
    let names = [
        // Decoded.
        "%5F%5FHost-id",
        "__%48ost-id",
        "__Host%2Did",
        "__Host%2did",
        "__Host-%69d",
        "__Host-id%00",
        "__Host-id%20",
        "%20__Host-id",
        "+__Host-id",
        "__Host-id+",
        "\\137\\137Host-id",
        "__Host-id%3D",
        "__Host&#45;id",
        // Mangled.
        "..Host-id",
        "._Host-id",
        "__Host_id",
        "__Host.id",
        "__Host id",
        "__Host-id[]",
        "__Host-id[0]",
        "[__Host-id",
        "__Host-id.",
        "__Host-id,",
        "__Host-id:",
        "\"__Host-id\"",
        "'__Host-id'",
        "__Host-id\"",
        "$__Host-id",
        // In other letters.
        "__host-id",
        "__HOST-ID",
        "__Host-ID",
        "__Host-ıd",
        "＿＿Host-id",
        "__Ηost-id",
        "__Host‐id",
        "__Host-id\u{200b}",
        // Control characters and others beside it.
        "\0__Host-id",
        "__Host-id\0",
        "\r__Host-id",
        "__Host-id\n",
        "\x0b__Host-id",
        "__Host-id\x0c",
        "\x7f__Host-id",
        "\u{a0}__Host-id",
        "\u{feff}__Host-id",
        "__Host-id\u{85}",
        // Missing.
        "",
        " ",
        "=__Host-id",
        "= __Host-id",
        "==__Host-id",
        "=",
        "id",
        "Host-id",
        "_Host-id",
        "Host-__Host-id",
        "__Host-",
    ];
    for name in names {
        let forged = format!("{name}={planted}");
        for line in [forged.clone(), format!("a=b; {forged}; c=d"), format!("{forged};{forged}")] {
            let done = world.request(&line, |loaded| assert!(loaded.is_new(), "{line:?} opens"));
            assert_eq!(done.events().iter().count(), 0, "{line:?} is taken for ours");
        }
        assert_eq!(world.store.log.len(), before, "{name:?} makes a store operation");
        for line in [format!("{forged}; {visitors}"), format!("{visitors}; {forged}")] {
            assert_eq!(world.peek(&line, |loaded| loaded.get("n")), Ok(Some(5)), "{line:?}");
        }
    }
    for nameless in ["__Host-id", planted, &format!("={attackers}"), &format!(" = {attackers}")] {
        world.act(nameless, |loaded| assert!(loaded.is_new(), "{nameless:?} opens"));
    }
    assert_eq!(world.store.log.len(), before);
}

pub(crate) fn only_a_semicolon_separates_and_quotes_are_plain_bytes() {
    let mut world = World::new();
    let (attackers, visitors) = (world.sign_in(), world.sign_in());
    let before = world.store.log.len();
    for separator in [
        ",",
        ", ",
        " ",
        "\t",
        "&",
        "\n",
        "\r\n",
        "\r",
        "|",
        "\0",
        "\x0b",
        "\x0c",
        "%3B",
        "\\;"[..1].as_ref(),
        "\u{37e}",
        "；",
        "\u{2028}",
    ] {
        for start in ["a=b", "a=\"b", "a=\"b\"", "a=\"b\\\""] {
            let line = format!("{start}{separator}{attackers}");
            world.act(&line, |loaded| assert!(loaded.is_new(), "{separator:?} separates"));
        }
    }
    assert_eq!(world.store.log.len(), before);
    let scanner = Scanner::new(&"lang".parse().unwrap());
    // Quotes that an attacker opens hide nothing of the visitor's, and take nothing of it into a value.
    for (first, last) in [
        ("lang=\"x", "y\""),
        ("lang=\"", "\""),
        ("lang=\"x\\\"", "\\\"y\""),
        ("lang='x", "y'"),
        ("lang=\"x\\", "\""),
        ("lang=(x", "y)"),
        ("$Version=\"1\"; lang=\"x", "y\"; $Path=\"/\""),
    ] {
        let line = format!("{first}; {visitors}; {last}");
        assert!(world.opens(&line), "{line:?} hides ours");
        let mut langs = Vec::new();
        let _ = scanner.scan([line.as_bytes()], |value| langs.push(value));
        let expected = first.rsplit_once("lang=").unwrap().1;
        assert_eq!(langs, [expected.as_bytes()], "{line:?}");
    }
    // In quotes a token is none of ours: they are a part of the value.
    assert!(!world.opens(&format!("__Host-id=\"{}\"", token(&visitors))));
}

/// What user agents make of a line: name, value, and the attributes by their names.
fn parse(line: &str) -> (String, String, BTreeMap<String, String>) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let parsed = user_agent::parse(line.as_bytes()).unwrap();
    let len = parsed.attributes.len();
    let attributes: BTreeMap<_, _> = parsed.attributes.into_iter().map(|(name, value)| (name, text(value))).collect();
    assert_eq!(attributes.len(), len, "an attribute twice: {line:?}");
    (text(parsed.name), text(parsed.value), attributes)
}

pub(crate) fn a_written_line_parses_back_to_the_same_or_is_an_error() {
    let hostile = [
        "a;b",
        "a; Secure",
        "a; Domain=evil.example",
        "/; Path=/evil",
        "x=y; Max-Age=0",
        "a\r\nSet-Cookie: b=c",
        "a\nb",
        "a\0b",
        "<script>alert(1)</script>; a",
        "userName=<script>alert('XSS3')</script>; Max-Age=2592000; a",
        "a=b",
        "a b",
        "\"a\"",
        "a,b",
        "a\\b",
        "é",
        "日本",
        "\u{2028}",
        "a\u{7f}",
        "%0d%0a",
        " a",
        "a ",
        "\ta",
        "",
        "/",
        "/ ",
        "/\t",
        "//",
        "a..b",
        ".a",
        "a.",
        "-a",
    ];
    let every: Vec<String> = (0u8..=255)
        .map(char::from)
        .flat_map(|c| {
            [format!("{c}"), format!("{c}a"), format!("a{c}b"), format!("ab{c}"), format!("/{c}b"), format!("/a{c}")]
        })
        .chain(hostile.map(str::to_owned))
        .collect();
    let (mut written, mut refused) = (0, 0);
    for (place, text) in (0..4).flat_map(|place| every.iter().map(move |text| (place, text.as_str()))) {
        let (name, value, domain, path) = match place {
            0 => (text, "v", "a.example", "/p"),
            1 => ("n", text, "a.example", "/p"),
            2 => ("n", "v", text, "/p"),
            _ => ("n", "v", "a.example", text),
        };
        let line = CookieName::new(name).ok().and_then(|name| {
            let policy = CookiePolicy::named(name).dangerous_domain(domain).path(path);
            policy.check().and_then(|()| policy.set(value, None)).ok()
        });
        let Some(line) = line else {
            refused += 1;
            continue;
        };
        written += 1;
        let told = [("domain", domain), ("httponly", ""), ("path", path), ("samesite", "Lax"), ("secure", "")];
        let told = told.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
        assert_eq!(parse(&line), (name.to_owned(), value.to_owned(), told), "{line:?}");
        let place = Place { host: &domain.to_ascii_lowercase(), path: "/", secure: true, now: 0 };
        let kept = UserAgent::default().receive(line.as_bytes(), place).unwrap().unwrap();
        assert_eq!((&kept.name[..], &kept.value[..]), (name.as_bytes(), value.as_bytes()), "{line:?}");
        assert_eq!((kept.path.as_str(), kept.secure, kept.http_only), (path, true, true), "{line:?}");
    }
    assert!(written > 300 && refused > 3000, "{written} written, {refused} refused");
}

pub(crate) fn unbounded_tiny_cookies_meet_a_cap_and_allocate_nothing() {
    let mut world = World::new();
    let jar = world.sign_in();
    let million = |pair: &str| pair.repeat(1_000_000).into_bytes();
    let lines = |line: &[u8], n: usize| vec![line.to_vec(); n];
    let headers: Vec<Vec<Vec<u8>>> = vec![
        vec![million("a=;")],
        vec![million(";")],
        vec![million("=;")],
        vec![million("__Host-id=;")],
        vec![million(&format!("{jar};"))],
        vec![b"a=;".repeat(20_000)],
        vec![b"__Host-id=x;".repeat(5_000)],
        vec![format!("{jar};").into_bytes().repeat(1_000)],
        lines(b"a=", 100_000),
        lines(b"", 100_000),
        lines(b"__Host-id=x", 100_000),
        lines(jar.as_bytes(), 100_000),
    ];
    let scanner = Scanner::new(CookiePolicy::default().name());
    for header in &headers {
        let shown = String::from_utf8_lossy(&header[0][..header[0].len().min(20)]).into_owned();
        let slices: Vec<&[u8]> = header.iter().map(Vec::as_slice).collect();
        let info = RequestInfo::new();
        let measured = allocation_counter::measure(|| drop(world.engine.open(slices.iter().copied(), &info)));
        assert_eq!(measured.count_total, 0, "{} lines of {shown}", header.len());
        let mut found = 0;
        let _ = scanner.scan(slices.iter().copied(), |_| found += 1);
        assert!(found <= MAX_COOKIE_PAIRS, "{found} values of {shown}");
    }
}

/// A cache on the way that keeps a response with a ticket in it hands the ticket to others.
pub(crate) fn a_set_cookie_implies_no_store_and_vary() {
    web::run(async {
        let site = Site::new();
        let jar = site.sign_in().await;
        let (mut set, mut plain) = (0, 0);
        let check = |path: &str, answer: &web::Answer| {
            let (cache, vary) = (answer.header(&header::CACHE_CONTROL), answer.header(&header::VARY));
            let members =
                |list: &str| list.split(',').map(|member| member.trim().to_ascii_lowercase()).collect::<Vec<_>>();
            let varies = members(&vary).contains(&"cookie".to_owned());
            if answer.set_cookies().is_empty() {
                return (0, u32::from(varies));
            }
            assert_eq!(members(&cache), ["no-store"], "{path}: {answer:?}");
            assert!(varies, "{path}: {answer:?}");
            (1, 0)
        };
        for path in ["/write", "/write-cached", "/read-cached", "/save-then-fail", "/end-and-write", "/add"] {
            let answer = site.get(path, "").await;
            let (a, b) = check(path, &answer);
            (set, plain) = (set + a, plain + b);
        }
        for path in ["/read-cached", "/rotate", "/end-and-write", "/write-cached", "/end-cached", "/end"] {
            let jar = site.sign_in().await;
            let answer = site.get(path, &jar).await;
            let (a, b) = check(path, &answer);
            (set, plain) = (set + a, plain + b);
        }
        assert!(set >= 9 && plain >= 2, "{set} with a cookie, {plain} with Vary alone");
        // One that depends on the session says so, though it sets nothing.
        let read = site.get("/read-cached", &jar).await;
        assert_eq!((read.set_cookies().len(), read.header(&header::VARY).as_str()), (0, "Accept-Encoding, Cookie"));
        // One that does not is left as the handler made it.
        let untouched = site.get("/untouched-cached", &jar).await;
        assert_eq!(untouched.header(&header::CACHE_CONTROL), "public, max-age=3600");
        assert_eq!(untouched.header(&header::VARY), "Accept-Encoding");
        // A refusal goes out in place of a response that may be cached: it must not be, though it sets nothing.
        site.store.fail(&[cloakroom_core::OpKind::Replace]);
        let refused = site.get("/end-cached", &jar).await;
        assert_eq!((refused.status, refused.set_cookies().len()), (503, 0));
        assert_eq!(refused.header(&header::CACHE_CONTROL), "no-store", "{refused:?}");
    });
}

pub(crate) fn an_untouched_request_never_sends_a_cookie() {
    let mut world = World::new();
    let old = world.sign_in();
    let check = |world: &mut World, what: &str, jars: &[&String]| {
        for jar in jars {
            let before = world.store.log.len();
            let session = world.open(jar);
            let done = world.commit(session);
            assert_eq!(done.headers().count(), 0, "untouched, {what}");
            assert_eq!(world.store.log.len(), before, "untouched, {what}");
            // One that only looks sends none either: it may hold an old ticket where the browser has a new one.
            let done = world.request(jar, |loaded| assert!(loaded.get::<i64>("n").is_ok()));
            assert!(done.headers().all(|(name, _)| name != "set-cookie"), "read, {what}");
        }
    };
    check(&mut world, "signed in", &[&old]);
    let new = ticket(&world.request(&old, Loaded::rotate)).unwrap();
    check(&mut world, "rotated, before the new ticket came", &[&old]);
    check(&mut world, "rotated", &[&new, &old]);
    world.pass(SECOND);
    check(&mut world, "within the grace", &[&old, &new, &format!("{old}; {new}")]);
    world.pass(DEFAULT_GRACE + SECOND);
    check(&mut world, "after the grace", &[&old, &new]);
    world.pass(7 * MINUTE);
    check(&mut world, "when a touch is due", &[&new, &old]);
    world.act(&new, Loaded::destroy);
    check(&mut world, "ended", &[&old, &new]);
    world.pass(DEFAULT_IDLE + DEFAULT_IDLE);
    check(&mut world, "expired", &[&old, &new]);
    check(&mut world, "without or with bad cookies", &[&String::new(), &"__Host-id=x".to_owned()]);
}

pub(crate) fn an_untouched_response_sends_no_cookie_after_a_rotation() {
    web::run(async {
        let site = Site::new();
        let old = site.sign_in().await;
        let new = site.get("/rotate", &old).await.expect_ticket();
        for jar in [&old, &new, &old, &new] {
            for path in ["/untouched", "/read", "/untouched-cached"] {
                assert_eq!(site.get(path, jar).await.set_cookies(), Vec::<String>::new(), "{path}");
            }
        }
    });
}
