//! Our cookie, put beside whatever a header holds.

use cloakroom_core::{
    CookiePolicy, Event, RequestInfo,
    cookie::{Scan, Scanner},
    limits::{MAX_COOKIE_HEADER_BYTES, MAX_COOKIE_PAIRS},
};

use crate::world::{World, token};

/// What was seen of one header.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) found: usize,
    pub(crate) beyond_the_caps: usize,
}

/// Puts a ticket at every place of a header, and as a line of its own before, between and after the others: each time
/// it opens its session, and its bytes come out as they went in, unless it lies beyond the caps.
pub(crate) fn check(about: &str, lines: &[Vec<u8>]) -> Seen {
    let mut world = World::new();
    let jar = world.sign_in();
    let mut seen = Seen::default();
    for at in 0..=lines.len() {
        let mut with = lines.to_vec();
        with.insert(at, jar.clone().into_bytes());
        place(about, &world, &jar, &with, (at, 0), &mut seen);
    }
    for (at, line) in lines.iter().enumerate() {
        let pairs: Vec<&[u8]> = line.split(|&byte| byte == b';').collect();
        for between in places(pairs.len()) {
            for blanks in ["", " ", " \t "] {
                let ours = format!("{blanks}{jar}{blanks}");
                let mut pairs = pairs.clone();
                pairs.insert(between, ours.as_bytes());
                let mut with = lines.to_vec();
                with[at] = pairs.join(&b';');
                place(about, &world, &jar, &with, (at, between), &mut seen);
            }
        }
    }
    seen
}

/// Every place before, between and after `len` pairs; of very many, those at both ends and around the cap.
fn places(len: usize) -> Vec<usize> {
    let is_near = |place: usize| place <= 2 || place + 2 >= len || place.abs_diff(MAX_COOKIE_PAIRS) <= 2;
    (0..=len).filter(|&place| len <= 200 || is_near(place)).collect()
}

fn place(about: &str, world: &World, jar: &str, lines: &[Vec<u8>], at: (usize, usize), seen: &mut Seen) {
    let pairs_of = |line: &Vec<u8>| line.iter().filter(|&&byte| byte == b';').count() + 1;
    let bytes: usize = lines[..=at.0].iter().map(Vec::len).sum();
    let pairs = lines[..at.0].iter().map(pairs_of).sum::<usize>() + at.1;
    let is_read = bytes <= MAX_COOKIE_HEADER_BYTES && pairs < MAX_COOKIE_PAIRS;

    let slices = || lines.iter().map(Vec::as_slice);
    let mut exact = 0;
    let scanner = Scanner::new(CookiePolicy::default().name());
    let end = scanner.scan(slices(), |value| exact += usize::from(value == token(jar).as_bytes()));
    assert_eq!(exact, usize::from(is_read), "{about}: at {at:?} of {}", show(lines));

    let mut world = world.clone();
    let mut session = world.engine.open(slices(), &RequestInfo::new());
    let loaded = world.access(&mut session).unwrap();
    let n = loaded.get::<i64>("n").unwrap();
    assert_eq!(n, is_read.then_some(0), "{about}: at {at:?} of {}", show(lines));
    let done = world.commit(session);
    if is_read {
        seen.found += 1;
    } else {
        assert_eq!(end, Scan::Capped, "{about}");
        assert!(done.events().iter().any(|event| event == Event::HeaderCapped), "{about}: {:?}", done.events());
        seen.beyond_the_caps += 1;
    }
}

/// A header for a message, cut to what a person reads.
pub(crate) fn show(lines: &[Vec<u8>]) -> String {
    let show = |line: &Vec<u8>| line.iter().take(200).copied().map(char::from).flat_map(char::escape_default).collect();
    lines.iter().take(5).map(show).collect::<Vec<String>>().join(" | ")
}
