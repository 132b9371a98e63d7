//! The corpus of `Cookie` headers against our reading.

use std::collections::{BTreeMap, BTreeSet};

use cloakroom_core::{
    CookieName, CookiePolicy, Engine, Event, RequestInfo,
    cookie::{Scan, Scanner},
    limits::{MAX_COOKIE_HEADER_BYTES, MAX_COOKIE_PAIRS},
};
use serde_json::Value;

use crate::{
    beside::{self, show},
    world::{World, has, ring},
};

/// A reason to read otherwise than the neutral reading, and the names of records where we do.
struct Difference {
    reason: &'static str,
    names: &'static [(&'static str, &'static str)],
}

/// The neutral reading drops a pair with a control character in it, as user agents do when they are asked to store one
/// (RFC 6265bis, section 5.6); of what a server does with one, the standard says nothing. Each of these is checked to
/// open nothing and to be counted.
const DIFFERENCES: &[Difference] = &[Difference {
    reason: "a value with a control character is kept as it came: no token has one, so it opens nothing, and dropping \
             it would keep it from being counted as malformed",
    names: &[
        ("aiohttp-029", "name"),
        ("cve-015", "a"),
        ("cve-016", "a"),
        ("cve-017", "a"),
        ("jetty-019", "A"),
        ("jetty-020", "A"),
        ("plug-014", "key"),
        ("plug-016", "key"),
        ("plug-018", "key"),
        ("plug-020", "key"),
        ("tomcat-084", "foo"),
        ("tomcat-085", "foo"),
        ("tomcat-086", "foo"),
    ],
}];

pub(crate) fn we_read_what_the_neutral_reading_has(records: &[Value]) {
    let mut compared = 0;
    let mut differing = BTreeSet::new();
    for record in records {
        let id = record["id"].as_str().unwrap();
        let lines = lines_of(record);
        if record["ref_lenient"].is_null() {
            compared += check_counts(id, record, &lines);
            continue;
        }
        let neutral = pairs_of(&record["ref_lenient"]);
        for name in names_of(record) {
            let (ours, end) = read(&lines, &name);
            assert_eq!(end, Scan::Complete, "{id}: it is within the caps");
            let theirs: Vec<_> = neutral.iter().filter(|pair| pair.0 == name.as_bytes()).map(|pair| &pair.1).collect();
            compared += 1;
            if ours.iter().ne(theirs.iter().copied()) {
                check_difference(id, &name, &lines, &ours, &theirs);
                differing.insert((id.to_owned(), name));
            }
        }
    }
    let told = DIFFERENCES.iter().flat_map(|difference| difference.names);
    let told: BTreeSet<_> = told.map(|&(id, name)| (id.to_owned(), name.to_owned())).collect();
    let of_records: BTreeSet<_> = records.iter().map(|record| record["id"].as_str().unwrap()).collect();
    assert!(of_records.len() == records.len(), "an id names two records");
    assert_eq!(differing, told, "left: what differs; right: what the table says, {}", DIFFERENCES[0].reason);
    println!(
        "corpora: {} records, {compared} names compared, {} deliberate differences",
        records.len(),
        differing.len()
    );
}

/// Holds the reason of the table's entries against what happens: only values with control characters are more than the
/// neutral reading has, and as cookies of ours they open nothing and are counted.
fn check_difference(id: &str, name: &str, lines: &[Vec<u8>], ours: &[Vec<u8>], theirs: &[&Vec<u8>]) {
    let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    let (with, without): (Vec<_>, Vec<_>) = ours.iter().partition(|value| value.iter().any(is_control));
    assert!(!with.is_empty() && without == theirs, "{id}: {name} is {ours:?} of {}", show(lines));
    let policy = CookiePolicy::named(CookieName::new(name).unwrap());
    let mut world = World::of(Engine::builder(ring()).cookie(policy).build().unwrap());
    let mut session = world.engine.open(lines.iter().map(Vec::as_slice), &RequestInfo::new());
    assert!(world.access(&mut session).unwrap().is_new(), "{id}");
    let done = world.commit(session);
    assert!(has(&done, Event::MalformedToken) && world.store.log.is_empty(), "{id}");
}

/// Of very long headers the corpus has lengths and counts alone. Returns how many names were compared.
fn check_counts(id: &str, record: &Value, lines: &[Vec<u8>]) -> usize {
    let bytes: usize = lines.iter().map(Vec::len).sum();
    let pairs: usize = lines.iter().map(|line| line.split(|&byte| byte == b';').count()).sum();
    let is_capped = bytes > MAX_COOKIE_HEADER_BYTES || pairs > MAX_COOKIE_PAIRS;
    let mut count = 0;
    let mut lengths = BTreeMap::new();
    let names: BTreeSet<_> = lines.iter().flat_map(|line| plain_names(line)).collect();
    for name in &names {
        let (values, end) = read(lines, name);
        assert_eq!(end == Scan::Capped, is_capped, "{id}");
        count += values.len();
        lengths.insert(name.as_str(), values.iter().map(Vec::len).collect::<Vec<_>>());
    }
    let expected = usize::try_from(record["ref_lenient_count"].as_u64().unwrap()).unwrap();
    match is_capped {
        false => assert_eq!(count, expected, "{id}"),
        true => assert!(count <= expected.min(MAX_COOKIE_PAIRS), "{id}: {count} pairs"),
    }
    for pair in record["expected_lengths"].as_array().into_iter().flatten() {
        let (name, len) = (pair[0].as_str().unwrap(), pair[1].as_u64().unwrap());
        assert_eq!(lengths.get(name), Some(&vec![usize::try_from(len).unwrap()]), "{id}");
    }
    names.len()
}

pub(crate) fn ours_is_found_beside_every_header(records: &[Value]) {
    let (mut found, mut beyond) = (0, 0);
    for record in records {
        let seen = beside::check(record["id"].as_str().unwrap(), &lines_of(record));
        found += seen.found;
        beyond += seen.beyond_the_caps;
    }
    assert!(found > 10 * records.len(), "{found} places are too few");
    println!(
        "corpora: our cookie at {found} places of {} headers found, at {beyond} beyond the caps refused",
        records.len()
    );
}

/// Returns the values of a name, in order.
pub(crate) fn read(lines: &[Vec<u8>], name: &str) -> (Vec<Vec<u8>>, Scan) {
    let mut values = Vec::new();
    let scanner = Scanner::new(&CookieName::new(name).unwrap());
    let end = scanner.scan(lines.iter().map(Vec::as_slice), |value| values.push(value.to_vec()));
    (values, end)
}

/// Every name that some reading of the record has and that can be ours.
fn names_of(record: &Value) -> BTreeSet<String> {
    let observed = record["observed"].as_array().into_iter().flatten().map(|observed| &observed["pairs"]);
    let readings = ["expected", "ref_lenient", "ref_strict"].map(|reading| &record[reading]);
    let pairs = observed.chain(readings).flat_map(|pairs| pairs.as_array().into_iter().flatten());
    let names = pairs.filter_map(|pair| pair[0].as_str());
    names.filter(|name| CookieName::new(*name).is_ok()).map(str::to_owned).collect()
}

/// What stands before the first `=` of each pair and can be a name of ours.
fn plain_names(line: &[u8]) -> Vec<String> {
    let text: String = line.iter().copied().map(char::from).collect();
    let names = text.split(';').filter_map(|pair| pair.split_once('=')).map(|(name, _)| name.trim_matches([' ', '\t']));
    names.filter(|name| CookieName::new(*name).is_ok()).map(str::to_owned).collect()
}

fn lines_of(record: &Value) -> Vec<Vec<u8>> {
    let lines = |field: &str| record[field].as_array().cloned();
    if let Some(lines) = lines("header_lines") {
        return lines.iter().map(bytes_of).collect();
    }
    let line = |parts: &Value| {
        let part = |part: &Value| match part["lit"].is_string() {
            true => bytes_of(&part["lit"]),
            false => bytes_of(&part["repeat"]).repeat(usize::try_from(part["n"].as_u64().unwrap()).unwrap()),
        };
        parts.as_array().unwrap().iter().flat_map(part).collect()
    };
    lines("header_gen").unwrap().iter().map(line).collect()
}

/// A text of which each character is an octet.
fn bytes_of(text: &Value) -> Vec<u8> {
    text.as_str().unwrap().chars().map(|octet| u8::try_from(octet).unwrap()).collect()
}

fn pairs_of(pairs: &Value) -> Vec<(Vec<u8>, Vec<u8>)> {
    pairs.as_array().unwrap().iter().map(|pair| (bytes_of(&pair[0]), bytes_of(&pair[1]))).collect()
}
