//! Sessions that are held in several cookies.

use std::collections::BTreeMap;

use cloakroom_core::{CommitError, CookieHeld, CookiePolicy, Done, Event, Loaded};

use crate::common::{Seeded, SetCookie, World, add, has};

fn world(pieces: usize) -> World {
    World::with(|builder| builder.hold_in_cookie(CookieHeld::encrypted().pieces(pieces)))
}

/// A browser's jar: names and values.
#[derive(Clone, Default)]
struct Jar(BTreeMap<String, String>);

impl Jar {
    fn header(&self) -> String {
        self.0.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    fn take(&mut self, done: &Done) {
        for (_, line) in done.headers().filter(|(name, _)| *name == "set-cookie") {
            let cookie = SetCookie::parse(line);
            assert!(cookie.name.len() + cookie.value.len() <= 4096);
            if cookie.attribute("max-age") == Some("0") {
                self.0.remove(&cookie.name);
            } else {
                self.0.insert(cookie.name, cookie.value);
            }
        }
    }

    fn visit(&mut self, w: &mut World, edit: impl FnOnce(&mut Loaded)) -> Result<(), CommitError> {
        let done = w.request(&self.header(), edit);
        self.take(&done);
        done.result()
    }
}

/// What nothing compresses.
fn noise(len: usize, seed: u64) -> String {
    let mut random = Seeded(seed);
    (0..len).map(|_| char::from(b'a' + random.below(26) as u8)).collect()
}

fn put(value: &str) -> impl FnOnce(&mut Loaded) + '_ {
    move |loaded| loaded.insert("big", value).unwrap()
}

fn read(w: &World, jar: &Jar) -> Option<String> {
    w.with_peeked(&jar.header(), |loaded| loaded.get("big").unwrap())
}

#[test]
fn sixteen_kilobytes_come_back() {
    let mut w = world(15);
    let (mut jar, value) = (Jar::default(), noise(16 * 1024, 1));
    assert_eq!(jar.visit(&mut w, put(&value)), Ok(()));
    let names = ["__Host-id", "__Host-id-1", "__Host-id-2", "__Host-id-3", "__Host-id-4", "__Host-id-5"];
    assert_eq!(jar.names(), names);
    assert_eq!(read(&w, &jar), Some(value));
}

#[test]
fn every_size_up_to_the_limit_comes_back_and_more_is_an_error() {
    let mut w = world(3);
    let mut most = 0;
    for len in (100..9500).step_by(83) {
        let (mut jar, value) = (Jar::default(), noise(len, len as u64));
        match jar.visit(&mut w, put(&value)) {
            Ok(()) => {
                assert_eq!(read(&w, &jar), Some(value));
                most = len;
            }
            Err(CommitError::CookieTooLarge { limit, .. }) => assert!(limit > 12_000 && jar.0.is_empty(), "{len}"),
            Err(error) => panic!("{len}: {error}"),
        }
    }
    assert!((8500..9200).contains(&most), "{most}");
}

#[test]
fn every_size_about_the_first_split_comes_back() {
    let mut w = world(3);
    let mut counts = Vec::new();
    for len in 2600..2800 {
        let (mut jar, value) = (Jar::default(), noise(len, len as u64));
        assert_eq!(jar.visit(&mut w, put(&value)), Ok(()), "{len}");
        assert_eq!(read(&w, &jar), Some(value));
        counts.push(jar.0.len());
    }
    assert!(counts.is_sorted() && counts[0] == 1 && counts[199] == 2, "{counts:?}");
}

#[test]
fn pieces_that_are_no_longer_needed_are_removed() {
    let mut w = world(15);
    let mut jar = Jar::default();
    jar.visit(&mut w, put(&noise(12_000, 1))).unwrap();
    assert_eq!(jar.0.len(), 5);
    jar.visit(&mut w, put(&noise(4_000, 2))).unwrap();
    assert_eq!(jar.names(), ["__Host-id", "__Host-id-1"]);
    jar.visit(&mut w, put("small")).unwrap();
    assert_eq!(jar.names(), ["__Host-id"]);
    assert_eq!(read(&w, &jar).as_deref(), Some("small"));
}

#[test]
fn a_logout_removes_every_piece() {
    let mut w = world(15);
    let mut jar = Jar::default();
    jar.visit(&mut w, put(&noise(12_000, 1))).unwrap();
    jar.visit(&mut w, |loaded| loaded.destroy()).unwrap();
    assert_eq!(jar.names(), Vec::<&str>::new());
}

#[test]
fn without_one_of_its_pieces_nothing_opens() {
    let mut w = world(15);
    let mut jar = Jar::default();
    jar.visit(&mut w, put(&noise(12_000, 1))).unwrap();
    for name in jar.names() {
        let mut less = jar.clone();
        less.0.remove(name);
        let done = w.request(&less.header(), |loaded| assert!(loaded.is_new()));
        assert!(has(&done, Event::MalformedToken) || name == "__Host-id", "{name}");
    }
}

#[test]
fn pieces_of_two_writings_never_come_together() {
    let mut w = world(15);
    let mut before = Jar::default();
    before.visit(&mut w, put(&noise(12_000, 1))).unwrap();
    let mut after = before.clone();
    after.visit(&mut w, put(&noise(12_000, 2))).unwrap();
    let mut other = Jar::default();
    other.visit(&mut w, put(&noise(12_000, 3))).unwrap();
    for strange in [&before, &other] {
        for name in after.names() {
            let mut mixed = after.clone();
            mixed.0.insert(name.to_owned(), strange.0[name].clone());
            assert_eq!(read(&w, &mixed), None, "{name}");
        }
    }
}

#[test]
fn pieces_in_the_wrong_place_and_changed_heads_open_nothing() {
    let mut w = world(15);
    let mut jar = Jar::default();
    jar.visit(&mut w, put(&noise(12_000, 1))).unwrap();
    let mut swapped = jar.clone();
    let [one, two] = ["__Host-id-1", "__Host-id-2"].map(|name| jar.0[name].clone());
    swapped.0.insert("__Host-id-1".to_owned(), two);
    swapped.0.insert("__Host-id-2".to_owned(), one);
    assert_eq!(read(&w, &swapped), None);
    for name in jar.names() {
        for at in 0..12 {
            let mut changed = jar.clone();
            let mut value = jar.0[name].clone().into_bytes();
            value[at] = if value[at] == b'3' { b'4' } else { b'3' };
            changed.0.insert(name.to_owned(), String::from_utf8(value).unwrap());
            assert_eq!(read(&w, &changed), None, "{name} {at}");
        }
    }
}

#[test]
fn a_head_of_pieces_before_a_whole_text_opens_nothing() {
    let mut w = world(15);
    let mut jar = Jar::default();
    jar.visit(&mut w, put("small")).unwrap();
    let text = jar.0["__Host-id"].clone();
    let mark = &text[3..11];
    for head in [format!("~00{mark}"), format!("~10{mark}"), "~10AAAAAAAA".to_owned()] {
        assert!(!w.opens(&format!("__Host-id={head}{text}")), "{head}");
    }
}

#[test]
fn a_planted_piece_beside_the_right_one_changes_nothing() {
    let mut w = world(15);
    let mut jar = Jar::default();
    let value = noise(9_000, 1);
    jar.visit(&mut w, put(&value)).unwrap();
    let header = jar.header();
    for planted in ["__Host-id-1=x", "__Host-id-1=~41AAAAAAAAxxxx", "__Host-id-9=x", "__Host-id-=x", "__Host-id-01=x"] {
        for header in [format!("{planted}; {header}"), format!("{header}; {planted}")] {
            let found: Option<String> = w.with_peeked(&header, |loaded| loaded.get("big").unwrap());
            assert_eq!(found.as_ref(), Some(&value), "{planted}");
        }
    }
}

#[test]
fn a_flood_of_pieces_is_capped_and_opens_nothing() {
    let mut w = world(15);
    let mut jar = Jar::default();
    jar.visit(&mut w, put(&noise(9_000, 1))).unwrap();
    let flood = "__Host-id-1=x; ".repeat(5);
    let done = w.request(&format!("{flood}{}", jar.header()), |loaded| assert!(loaded.is_new()));
    assert!(has(&done, Event::HeaderCapped));
}

#[test]
fn pieces_are_not_read_where_sessions_are_not_split() {
    let mut split = world(15);
    let mut jar = Jar::default();
    jar.visit(&mut split, put(&noise(9_000, 1))).unwrap();
    assert_eq!(read(&world(1), &jar), None);
}

#[test]
fn each_piece_has_the_attributes_of_the_cookie() {
    let policy = CookiePolicy::default().partitioned();
    let mut w =
        World::with(|builder| builder.cookie(policy).hold_in_cookie(CookieHeld::dangerous_readable().pieces(4)));
    let done = w.request("", put(&noise(9_000, 1)));
    let lines: Vec<_> = done.headers().filter(|(name, _)| *name == "set-cookie").map(|(_, line)| line).collect();
    assert_eq!(lines.len(), 4);
    let attributes = |line: &str| line.split_once(';').unwrap().1.to_owned();
    assert!(lines.iter().all(|line| attributes(line) == attributes(lines[0])));
    let mut jar = Jar::default();
    jar.take(&done);
    assert_eq!(read(&w, &jar).map(|value| value.len()), Some(9_000));
}

#[test]
fn a_change_of_a_split_session_is_a_change_of_all_its_pieces() {
    let mut w = world(15);
    let mut jar = Jar::default();
    jar.visit(&mut w, put(&noise(9_000, 1))).unwrap();
    jar.visit(&mut w, add(1)).unwrap();
    assert_eq!(w.peek(&jar.header(), "n"), Some(1));
}
