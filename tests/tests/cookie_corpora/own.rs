//! The cases of our own.

use std::{collections::BTreeSet, time::Duration};

use cloakroom_core::{
    CookieName, CookiePolicy, Event, RequestInfo,
    cookie::Scan,
    limits::{MAX_COOKIE_HEADER_BYTES, MAX_COOKIE_PAIRS, MAX_TAGS_CHECKED},
};

use crate::{
    beside::{self, show},
    cookies,
    read::read,
    set_cookies,
    world::{World, has},
    write::SetCookie,
};

macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        pub(crate) const TESTS: &[(&str, fn())] = &[$((concat!("own::", stringify!($name)), $name)),+];
    };
}
tests![
    we_read_what_the_table_says,
    we_write_what_the_table_says,
    what_we_write_for_a_removal_differs_from_the_set_cookie_in_value_and_time_alone,
    ours_is_found_beside_every_case,
    ours_is_found_up_to_the_last_byte_and_pair_of_the_caps,
    more_tokens_than_are_checked_open_nothing,
];

fn lines_of(case: &cookies::Case) -> Vec<Vec<u8>> {
    case.lines.iter().map(|line| line.to_vec()).collect()
}

fn we_read_what_the_table_says() {
    let mut about = BTreeSet::new();
    for case in cookies::CASES {
        assert!(about.insert(case.about), "{} is there twice", case.about);
        let lines = lines_of(case);
        for (name, values) in case.reads {
            assert!(CookieName::new(*name).is_ok(), "{}: {name} cannot be ours", case.about);
            let (found, end) = read(&lines, name);
            assert_eq!(found, *values, "{}: {name} in {}", case.about, show(&lines));
            assert_eq!(end, Scan::Complete, "{}", case.about);
        }
    }
    assert!(cookies::CASES.len() >= 80);
    println!("corpora: {} headers and {} cookies of our own", cookies::CASES.len(), set_cookies::CASES.len());
}

fn we_write_what_the_table_says() {
    for case in set_cookies::CASES {
        let about = case.about;
        let policy = (case.policy)(CookiePolicy::named(CookieName::new(case.name).unwrap()));
        let line = policy.check().and_then(|()| policy.set(case.value, case.max_age));
        match (line, case.writes) {
            (Err(error), Err(rule)) => assert_eq!(error, rule, "{about}"),
            (Ok(line), Ok(attributes)) => {
                let cookie = SetCookie::parse(&line).kept(&line);
                assert_eq!((cookie.name.as_str(), cookie.value.as_str()), (case.name, case.value), "{about}");
                let mut written = cookie.attributes();
                written.sort_unstable();
                let long = format!("path={}", "/".repeat(1024));
                let told = attributes.iter().map(|told| if *told == "path=/{1024}" { &long } else { *told });
                assert_eq!(written, told.collect::<Vec<_>>(), "{about}");
            }
            (line, _) => panic!("{about}: {line:?}"),
        }
    }
}

fn what_we_write_for_a_removal_differs_from_the_set_cookie_in_value_and_time_alone() {
    for case in set_cookies::CASES {
        let policy = (case.policy)(CookiePolicy::named(CookieName::new(case.name).unwrap()));
        if policy.check().is_err() {
            continue;
        }
        let set = SetCookie::parse(&policy.set("x", None).unwrap());
        let mut removal = SetCookie::parse(&policy.removal().unwrap());
        assert_eq!((removal.name.as_str(), removal.value.as_str()), (case.name, ""), "{}", case.about);
        assert_eq!(removal.take("max-age").as_deref(), Some("0"), "{}", case.about);
        assert_eq!(removal.take("expires").as_deref(), Some("Thu, 01 Jan 1970 00:00:00 GMT"), "{}", case.about);
        assert_eq!(removal.attributes(), set.attributes(), "{}", case.about);
    }
}

fn ours_is_found_beside_every_case() {
    let mut found = 0;
    for case in cookies::CASES {
        let lines = lines_of(case);
        // A well-formed token of another's making stands among the cases.
        found += beside::check(case.about, &lines).found;
    }
    assert!(found > 10 * cookies::CASES.len(), "{found}");
}

fn ours_is_found_up_to_the_last_byte_and_pair_of_the_caps() {
    let mut world = World::new();
    let jar = world.sign_in();
    let bytes_left = MAX_COOKIE_HEADER_BYTES - jar.len();
    for (line, is_read) in [
        (format!("{}; {jar}", "x".repeat(bytes_left - 2)), true),
        (format!("{}; {jar}", "x".repeat(bytes_left - 1)), false),
        (format!("{jar}; {}", "x".repeat(bytes_left - 1)), false),
        (format!("{}{jar}", ";".repeat(MAX_COOKIE_PAIRS - 1)), true),
        (format!("{}{jar}", ";".repeat(MAX_COOKIE_PAIRS)), false),
        (format!("{jar}{}", ";".repeat(MAX_COOKIE_PAIRS)), true),
    ] {
        assert_eq!(world.opens(&line), is_read, "{}", show(&[line.into_bytes()]));
    }
    let full = vec![b'x'; MAX_COOKIE_HEADER_BYTES];
    let two_lines = |first: &[u8], second: &[u8]| {
        let session = world.engine.open([first, second], &RequestInfo::new());
        let mut world = world.clone();
        let mut session = session;
        !world.access(&mut session).unwrap().is_new()
    };
    assert!(two_lines(jar.as_bytes(), &full), "what was found before the cap stands");
    assert!(!two_lines(&full, jar.as_bytes()), "what lies beyond is not read");
    assert!(two_lines(&full[..bytes_left], jar.as_bytes()), "up to the last byte");
}

fn more_tokens_than_are_checked_open_nothing() {
    let mut world = World::new();
    let jar = world.sign_in();
    world.pass(Duration::from_secs(1));
    let forged = |n: usize| -> String { (0..n).map(|n| format!("__Host-id=A{n:043}; ")).collect() };
    for (n, opens) in [(0, true), (1, true), (MAX_TAGS_CHECKED - 1, true), (MAX_TAGS_CHECKED, false), (1000, false)] {
        let line = format!("{}{jar}", forged(n));
        assert_eq!(world.opens(&line), opens, "after {n}");
        let done = world.request(&line, |_| ());
        assert_eq!(has(&done, Event::HeaderCapped), !opens, "after {n}: {:?}", done.events());
    }
    // What is malformed costs nothing, however much there is.
    assert!(world.opens(&format!("{}{jar}", "__Host-id=x; ".repeat(1000))));
}
