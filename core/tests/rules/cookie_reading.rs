//! Reading cookies: bytes only, `;` alone separates, names match exactly, and foreign junk never disturbs ours.

use cloakroom_core::{
    Event, RequestInfo,
    cookie::{CookieName, Scan, Scanner},
    limits,
};

use crate::common::{Seeded, World, has};

fn scanner(name: &str) -> Scanner {
    Scanner::new(&CookieName::new(name).unwrap())
}

fn values<'h>(lines: &[&'h [u8]], name: &str) -> Vec<&'h [u8]> {
    let mut values = Vec::new();
    let end = scanner(name).scan(lines.iter().copied(), |value| values.push(value));
    assert_eq!(end, Scan::Complete);
    values
}

#[track_caller]
fn assert_values(line: &str, expected: &[&str]) {
    let expected: Vec<&[u8]> = expected.iter().map(|value| value.as_bytes()).collect();
    assert_eq!(values(&[line.as_bytes()], "id"), expected, "{line:?}");
}

#[test]
fn values_come_in_order_over_all_lines_with_duplicates() {
    let lines: [&[u8]; 4] = [b"id=1; x=y; id=2", b"", b"id=2", b"a=b;id=3;"];
    assert_eq!(values(&lines, "id"), [b"1", b"2", b"2", b"3"]);
}

#[test]
fn only_semicolons_separate() {
    assert_values("a=b, id=x", &[]);
    assert_values("a=b&id=x", &[]);
    assert_values("a=b\nid=x", &[]);
    assert_values("a=b\r\nid=x", &[]);
    assert_values("a=\"b; id=x; c\"", &["x"]);
    assert_values("id=x, y=z", &["x, y=z"]);
    assert_values(";;; ;id=x;;", &["x"]);
    assert_values(";", &[]);
    assert_values("", &[]);
}

#[test]
fn spaces_and_tabs_are_trimmed_and_nothing_else() {
    assert_values(" \t id \t = \t x \t ", &["x"]);
    assert_values("id=x y", &["x y"]);
    assert_values("id=\r\nx", &["\r\nx"]);
    assert_values("id=x\u{b}", &["x\u{b}"]);
    assert_values("\u{a0}id=x", &[]);
    assert_values("\rid=x", &[]);
    assert_values("id\u{c}=x", &[]);
    assert_values("i d=x", &[]);
}

#[test]
fn nothing_is_unquoted_or_decoded() {
    assert_values("id=\"x\"", &["\"x\""]);
    assert_values("id=\"x", &["\"x"]);
    assert_values("\"id\"=x", &[]);
    assert_values("%69d=x", &[]);
    assert_values("id=%41%3b", &["%41%3b"]);
    assert_values("id=a\\\"b", &["a\\\"b"]);
    assert_values("$Version=1; $id=x", &[]);
}

#[test]
fn the_first_equals_sign_splits() {
    assert_values("id=a=b==", &["a=b=="]);
    assert_values("id==", &["="]);
    assert_values("id=", &[""]);
    assert_values("id= ", &[""]);
}

#[test]
fn nameless_pairs_never_match() {
    assert_values("id", &[]);
    assert_values(" id ", &[]);
    assert_values("=id", &[]);
    assert_values("=id=x", &[]);
    assert_values("= id=x", &[]);
    assert_values("==id=x", &[]);
    assert_values("x; =; ==", &[]);
}

#[test]
fn a_name_matches_exactly() {
    for other in ["ID", "Id", "id2", "2id", "xid", "_id", "id.", "i", "d", "id[]", "id_", "-id", "__Host-id", "id\0"] {
        assert_values(&format!("{other}=x"), &[]);
        assert_values(&format!("{other}=x; id=y"), &["y"]);
        assert_values(&format!("{other}=id=x; id=y; {other}=id"), &["y"]);
    }
    assert!(values(&[b"__host-id=x; __HOST-ID=y; __Host-id =z"], "__Host-id") == [b"z"]);
    assert!(values(&[b".__Host-id=x; __Host-id.=y;__Host%2Did=z; __Host_id=z; __Host id=z"], "__Host-id").is_empty());
}

#[test]
fn bytes_that_are_no_text_are_bytes() {
    let all: Vec<u8> = (0..=255).filter(|byte| *byte != b';').collect();
    let line = [b"x=", &all[..], b"; id=\xff\x00\xfe; ", &all, b"=y"].concat();
    assert_eq!(values(&[&line], "id"), [b"\xff\x00\xfe"]);
}

#[test]
fn more_than_is_read_is_said_and_what_was_found_stands() {
    let run = |lines: &[&[u8]]| {
        let mut found = 0;
        let end = scanner("id").scan(lines.iter().copied(), |_| found += 1);
        (end, found)
    };
    let pairs = |n: usize| "id=1;".repeat(n).trim_end_matches(';').to_owned();
    let max = limits::MAX_COOKIE_PAIRS;
    assert_eq!(run(&[pairs(max).as_bytes()]), (Scan::Complete, max));
    assert_eq!(run(&[pairs(max + 1).as_bytes()]), (Scan::Capped, max));
    let half = pairs(max / 2);
    assert_eq!(run(&[half.as_bytes(), half.as_bytes(), b"id=1"]), (Scan::Capped, max));
    let (most, few) = (pairs(max - 4), pairs(6));
    assert_eq!(run(&[most.as_bytes(), few.as_bytes()]), (Scan::Capped, max));
    // Short lines, which cannot have too many pairs until few are left.
    let mut short = vec![&b"id=1;id=1"[..]; max / 2];
    assert_eq!(run(&short), (Scan::Complete, max));
    short.push(b"");
    assert_eq!(run(&short), (Scan::Capped, max));
    short[7] = b"id=1";
    assert_eq!(run(&short), (Scan::Complete, max - 1));
    short.push(b"id=1");
    assert_eq!(run(&short), (Scan::Capped, max - 1));
    let long = [b"id=", &vec![b'x'; limits::MAX_COOKIE_HEADER_BYTES - 3][..]].concat();
    assert_eq!(run(&[&long]), (Scan::Complete, 1));
    assert_eq!(run(&[&long, b"id=1"]), (Scan::Capped, 1));
    assert_eq!(run(&[b"id=1", &long]), (Scan::Capped, 1), "no value is ever cut");
}

/// The rules again, as plainly as can be.
fn naive(lines: &[Vec<u8>], name: &[u8]) -> Vec<Vec<u8>> {
    let is_blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let trim = |bytes: &[u8]| -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        while bytes.first().is_some_and(is_blank) {
            bytes.remove(0);
        }
        while bytes.last().is_some_and(is_blank) {
            bytes.pop();
        }
        bytes
    };
    let mut found = Vec::new();
    for line in lines {
        let mut pairs = vec![Vec::new()];
        for &byte in line {
            if byte == b';' {
                pairs.push(Vec::new());
            } else {
                pairs.last_mut().unwrap().push(byte);
            }
        }
        for pair in pairs {
            if let Some(place) = pair.iter().position(|byte| *byte == b'=')
                && trim(&pair[..place]) == name
            {
                found.push(trim(&pair[place + 1..]));
            }
        }
    }
    found
}

/// What headers are made of, beside the name.
const PIECES: [&[u8]; 24] = [
    b"id", b"id", b"id=", b"=", b"=", b";", b";", b"; ", b" ", b"\t", b"\"", b"x", b"ID", b"i", b"d", b",", b"\\",
    b"\xff", b"\0", b"\r", b"\n", b"%3b", b"=id", b"__Host-",
];

#[test]
fn the_scan_agrees_with_a_naive_reading_of_generated_headers() {
    let mut random = Seeded(11);
    // Some that overlap themselves, and one that is longer than what is looked at together.
    for name in ["id", "d", "dd", "xdx", "__Host-id", "a-name-that-has-more-than-thirty-two-characters"] {
        let mut hits = 0;
        for count in (0..20_000).map(|n| if n % 4 > 0 { 14 } else { 120 }) {
            let mut piece = || match random.below(28) {
                at if at < PIECES.len() => PIECES[at],
                _ => name.as_bytes(),
            };
            let mut line = |count| (0..count).flat_map(|_| piece().to_vec()).collect();
            let lines: Vec<Vec<u8>> = [count, count / 3, count / 7].map(&mut line).into();
            let slices: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
            let expected = naive(&lines, name.as_bytes());
            assert_eq!(values(&slices, name), expected, "{name}: {lines:?}");
            hits += expected.len();
        }
        assert!(hits > 2_000, "{name}: {hits}");
    }
}

#[test]
fn ours_is_found_beside_any_foreign_junk() {
    let mut w = World::new();
    let jar = w.sign_in();
    let mut random = Seeded(12);
    for _ in 0..3000 {
        let mut junk = || -> Vec<u8> {
            let mut bytes: Vec<u8> = (0..random.below(60)).map(|_| random.next() as u8).collect();
            bytes.extend(PIECES[random.below(PIECES.len())]);
            bytes
        };
        let line = [&junk()[..], b";", jar.as_bytes(), b"\t;", &junk()].concat();
        let (before, after) = (junk(), junk());
        let mut session = w.engine.open([&before[..], &line, &after], &RequestInfo::new());
        assert_eq!(w.access(&mut session).unwrap().get("n"), Ok(Some(0)), "{:?}", String::from_utf8_lossy(&line));
    }
}

#[test]
fn a_token_in_quotes_or_decoded_is_not_ours() {
    let mut w = World::new();
    let jar = w.sign_in();
    let token = jar.split_once('=').unwrap().1;
    for cookie in [format!("__Host-id=\"{token}\""), format!("__Host-id=%{:02x}{}", token.as_bytes()[0], &token[1..])] {
        let done = w.request(&cookie, |loaded| assert!(loaded.is_new()));
        assert!(has(&done, Event::MalformedToken));
    }
    for cookie in [format!("__Host-id2={token}"), format!("={jar}"), token.to_owned(), format!("__host-id={token}")] {
        let done = w.request(&cookie, |loaded| assert!(loaded.is_new()));
        assert_eq!(done.events().iter().count(), 0, "{cookie}");
    }
    assert_eq!(w.ops(), "");
}
