//! What is JSON in a stored entry is what `serde_json` takes for it.

use core::ops::Range;

use std::collections::BTreeMap;

use cloakroom_core::{Codec, Data, DecodeError, Entry, JsonCodec, Lifetime, Record, StoreKey, Value};
use serde_json::value::RawValue;

use crate::common::World;

fn key() -> StoreKey {
    StoreKey::new("key").unwrap()
}

fn decode(text: &[u8]) -> Result<Entry, DecodeError> {
    JsonCodec.decode(&key(), &Value::from(text.to_vec()))
}

/// A record with these bytes for its data.
fn with_data(data: &[u8]) -> Vec<u8> {
    let entry = Entry::Record(Box::new(Record::new(World::new().now(), Lifetime::default())));
    let text = JsonCodec.encode(&key(), &entry).unwrap();
    [text.strip_suffix(b"{}}").unwrap(), data, b"}"].concat()
}

#[test]
fn data_are_read_as_serde_json_reads_them() {
    let long = format!("\"{}\"", "\u{e9}x".repeat(300_000));
    let values: [&[u8]; 30] = [
        b"1e999",
        b"-0",
        b"-0.0e-0",
        b"01",
        b"-01",
        b"1.",
        b".5",
        b"+1",
        b"0x1",
        b"NaN",
        b"Infinity",
        b"1 1",
        br#""\u0000\ud83d\ude00""#,
        br#""\ud800""#,
        br#""\x41""#,
        br#""\u00g0""#,
        b"\"\t\"",
        b"\"\x00\"",
        b"\"\x7f\"",
        b"\"\xff\"",
        b"\"\xc0\x80\"",
        b"\"\xed\xa0\x80\"",
        b"\"\xf4\x90\x80\x80\"",
        b"\"\xe2\x82\"",
        b"\xef\xbb\xbf1",
        b"\xa01",
        b"[1,]",
        b"{\"a\":1,\"a\":2}",
        b"1/**/",
        long.as_bytes(),
    ];
    let mut both = [0; 2];
    for value in values {
        // A blank sends a record past the short way for what was written as it is.
        for before in [&b""[..], b" "] {
            let data = [b"{\"a\":0,\"k\":", value, b"}"].concat();
            let expected: Option<BTreeMap<String, Box<RawValue>>> = serde_json::from_slice(&data).ok();
            let text = [before, &with_data(&data)].concat();
            let shown = String::from_utf8_lossy(&value[..value.len().min(20)]);
            match (decode(&text), expected) {
                (Ok(Entry::Record(record)), Some(expected)) => {
                    let expected = expected.iter().map(|(name, value)| (name.as_str(), value.get()));
                    assert!(record.data.iter().eq(expected), "{shown}");
                    both[0] += 1;
                }
                (Err(DecodeError::Malformed), None) => both[1] += 1,
                (found, _) => panic!("{shown}: {}", found.is_ok()),
            }
        }
    }
    assert!(both.iter().all(|count| *count >= 14), "{both:?}");
}

#[test]
fn a_field_of_the_wrong_kind_does_not_decode() {
    let text = String::from_utf8(with_data(b"{}")).unwrap();
    let numbers = ["-0", "-1", "1.0", "1e3", "18446744073709551616", "99999999999999999999", "null", "\"1\"", "[1]"];
    for (field, wrong) in [
        ("created", &numbers[..]),
        ("deadline", &numbers),
        ("idle", &numbers),
        ("issued", &numbers),
        ("schema", &["4294967296", "null", "-1"]),
        ("persistent", &["null", "0", "\"false\"", "\"true\"", "[]"]),
        ("lineage", &["null", "0", "\"AAAAAAAAAA\"", "\"AAAAAAAAAAB\""]),
        ("nonces", &["null", "{}", "[0]", "[\"AAAAAAAAAAB\"]"]),
    ] {
        let start = text.find(&format!("\"{field}\":")).unwrap() + field.len() + 3;
        let end = start + text[start..].find(",\"").unwrap();
        for wrong in wrong {
            let broken = format!("{}{wrong}{}", &text[..start], &text[end..]);
            assert_eq!(decode(broken.as_bytes()).unwrap_err(), DecodeError::Malformed, "{broken}");
        }
    }
}

#[test]
fn a_key_that_is_no_text_or_stands_twice_in_any_spelling_is_no_data() {
    for data in [
        r#"{"\ud800":1}"#,
        r#"{"a":1,"\udc00\ud800":1}"#,
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"\u0061":1}"#,
        r#"{"\u0061":1,"b":1,"a":1}"#,
        r#"{"\u00e9":1,"é":1}"#,
        r#"{"\/":1,"/":1}"#,
        r#"{"":1,"":1}"#,
    ] {
        assert_eq!(decode(&with_data(data.as_bytes())).unwrap_err(), DecodeError::Malformed, "{data}");
    }
}

#[test]
fn a_marker_is_not_unreadable_for_what_only_a_records_data_may_not_be() {
    for data in [r#"{"\ud800":1}"#, r#"{"a":1,"a":1}"#, "[]", "null"] {
        let marker = |head: &str| format!(r#"{{{head},"to":"key","data":{data}}}"#);
        let Ok(Entry::Moved(moved)) = decode(marker(r#""format":1,"kind":"moved""#).as_bytes()) else {
            panic!("it is a pointer: {data}")
        };
        assert!(moved.unknown.iter().map(|(name, value)| (name, value.as_str())).eq([("data", data)]));
        let newer = decode(marker(r#""format":2,"kind":"moved""#).as_bytes());
        assert_eq!(newer.unwrap_err(), DecodeError::UnsupportedMarker, "it may hide a live session: {data}");
    }
}

#[test]
fn data_are_taken_from_their_place_and_from_nowhere_else() {
    let bytes = Value::from(br#"xx {"b":"\u0041","a":[1]} yy"#.to_vec());
    let data = Data::from_json(&bytes, 2..26).unwrap();
    assert!(data.iter().eq([("a", "[1]"), ("b", r#""\u0041""#)]));
    for place in [0..26, 2..24, 2..27, 2..28, Range { start: 20, end: 2 }, 2..99, usize::MAX..usize::MAX, 28..28] {
        assert!(Data::from_json(&bytes, place.clone()).is_err(), "{place:?}");
    }
}
