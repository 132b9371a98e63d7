use cloakroom_core::{
    cookie::{CookieName, Scan, Scanner},
    limits::{MAX_COOKIE_HEADER_BYTES, MAX_COOKIE_PAIRS},
};
use cookie::Cookie;

/// The scan finds what a naive reading finds, and what the `cookie` crate finds where they must agree.
///
/// A first byte above 192 repeats the rest, up to 64 times, so that the bounds are within reach; a line feed, which no
/// header holds, parts the lines.
pub fn cookie_header(data: &[u8]) {
    let Some((&times, rest)) = data.split_first() else { return };
    let times = usize::from(times.saturating_sub(191)).max(1);
    let lines = rest.split(|&byte| byte == b'\n').collect::<Vec<_>>().repeat(times);
    for name in ["id", "__Host-id"] {
        let (values, end) = scanned(&lines, name);
        assert_eq!((values.clone(), end), naive(&lines, name), "{name}: not what a naive scan finds");
        if end == Scan::Complete {
            agrees_with_cookie(&lines, name, &values);
        }
        foreign_junk_disturbs_nothing(&lines, name, &values, end);
    }
}

fn scanned(lines: &[&[u8]], name: &str) -> (Vec<Vec<u8>>, Scan) {
    let mut values = Vec::new();
    let scanner = Scanner::new(&CookieName::new(name).expect("it is a name"));
    let end = scanner.scan(lines.iter().copied(), |value| values.push(value.to_vec()));
    (values, end)
}

/// Reads the header as Latin-1 text, in passes over all of it.
fn naive(lines: &[&[u8]], name: &str) -> (Vec<Vec<u8>>, Scan) {
    let latin1 = |bytes: &[u8]| bytes.iter().map(|&byte| char::from(byte)).collect::<String>();
    let blank = [' ', '\t'];
    let ends = lines.iter().scan(0, |end, line| {
        *end += line.len();
        Some(*end)
    });
    let read = ends.take_while(|&end| end <= MAX_COOKIE_HEADER_BYTES).count();
    let text: Vec<String> = lines[..read].iter().map(|line| latin1(line)).collect();
    let pairs: Vec<&str> = text.iter().flat_map(|line| line.split(';')).collect();
    let values = pairs.iter().take(MAX_COOKIE_PAIRS).filter_map(|pair| pair.split_once('='));
    let ours = values.filter(|(known, _)| known.trim_matches(blank) == name).map(|(_, it)| it.trim_matches(blank));
    let bytes = ours.map(|value| value.chars().map(|c| c as u8).collect()).collect();
    let is_complete = read == lines.len() && pairs.len() <= MAX_COOKIE_PAIRS;
    (bytes, if is_complete { Scan::Complete } else { Scan::Capped })
}

/// They must agree on text without white space other than spaces and tabs: `cookie` reads UTF-8 alone, and trims whatever
/// Unicode calls white space.
fn agrees_with_cookie(lines: &[&[u8]], name: &str, values: &[Vec<u8>]) {
    let texts: Result<Vec<&str>, _> = lines.iter().map(|line| str::from_utf8(line)).collect();
    let Ok(texts) = texts else { return };
    if texts.iter().any(|text| text.contains(|c: char| c.is_whitespace() && c != ' ' && c != '\t')) {
        return;
    }
    let parsed = texts.iter().flat_map(|text| Cookie::split_parse(*text)).flatten();
    let theirs: Vec<Vec<u8>> = parsed.filter(|cookie| cookie.name() == name).map(|c| c.value().into()).collect();
    assert_eq!(values, theirs, "{name}: not what the cookie crate finds");
}

/// Whatever else the header holds, our pair in a line of its own is found where it stands, at either end.
fn foreign_junk_disturbs_nothing(lines: &[&[u8]], name: &str, values: &[Vec<u8>], end: Scan) {
    let ours = format!("{name}=ours");
    let first: Vec<&[u8]> = core::iter::once(ours.as_bytes()).chain(lines.iter().copied()).collect();
    let (found, _) = scanned(&first, name);
    assert_eq!(found.first().map(Vec::as_slice), Some(&b"ours"[..]), "{name}: our first pair was not found");
    let last: Vec<&[u8]> = lines.iter().copied().chain(core::iter::once(ours.as_bytes())).collect();
    let (found, whole) = scanned(&last, name);
    if end == Scan::Complete && whole == Scan::Complete {
        assert_eq!(found, [values, &[b"ours".to_vec()]].concat(), "{name}: our last pair was not found");
    }
}
