//! The usual record, read as it is written: most sessions of visitors are that, and nothing has to be looked for.

use core::time::Duration;

use crate::{
    data::{Data, Slots},
    record::{Nonce, Nonces, Record, Unknown},
    time::UnixTime,
    value::Value,
    wire::{codec::MAX_COMMITS, text::Reader},
};

/// Reads a record that has its fields in the order in which they are written, no blanks, and none of those that are not
/// always there. `None` says nothing of any other.
pub(super) fn record(value: &Value) -> Option<Box<Record>> {
    let mut text = Text(value.as_bytes());
    text.take(b"{\"format\":1,\"kind\":\"record\",\"created\":")?;
    let created = UnixTime::from_millis(text.number()?);
    text.take(b",\"deadline\":")?;
    let deadline = UnixTime::from_millis(text.number()?);
    text.take(b",\"idle\":")?;
    let idle = Duration::from_millis(text.number()?);
    text.take(b",\"persistent\":")?;
    let persistent = text.take(b"true").is_some();
    if !persistent {
        text.take(b"false")?;
    }
    text.take(b",\"issued\":")?;
    let issued = UnixTime::from_millis(text.number()?);
    text.take(b",\"lineage\":")?;
    let (lineage, end) = text.nonce()?;
    let lineage = Nonce::from_chars(lineage).filter(|_| end == b',')?;
    text.take(b"\"commits\":")?;
    let commits = text.number().filter(|&commits| commits <= MAX_COMMITS)?;
    text.take(b",\"nonces\":[")?;
    let mut nonces = Nonces::default();
    if text.take(b"]").is_none() {
        loop {
            let (nonce, end) = text.nonce()?;
            nonces.push_chars(nonce)?;
            match end {
                b',' => {}
                b']' => break,
                _ => return None,
            }
        }
    }
    text.take(b",\"schema\":")?;
    let schema = text.number()?.try_into().ok()?;
    text.take(b",\"data\":")?;
    let mut reader = Reader::at_place(value.as_bytes(), value.len() - text.0.len());
    // Blanks before it are for the other way.
    text.take(b"{")?;
    let slots = Slots::read(&mut reader, 0).ok()?;
    if !reader.takes(b'}') {
        return None;
    }
    reader.end().ok()?;
    let data = Data::of(value, slots).ok()?;
    Some(Box::new(Record {
        created,
        deadline,
        idle,
        persistent,
        issued,
        lineage,
        binding: None,
        sign_in: None,
        commits,
        nonces,
        predecessor: None,
        schema,
        data,
        unknown: Unknown::default(),
    }))
}

/// What is left.
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn take(&mut self, text: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    fn number(&mut self) -> Option<u64> {
        let (mut number, mut len) = (0_u64, 0);
        for digit in self.0.iter().map(|byte| byte.wrapping_sub(b'0')).take_while(|digit| *digit < 10) {
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
            len += 1;
        }
        // No number of two digits begins with a zero; one of nineteen is no more than there can be.
        let is_number = len == 1 || (1..20).contains(&len) && self.0.first() != Some(&b'0');
        self.0 = self.0.get(len..)?;
        is_number.then_some(number)
    }

    /// Reads the text of a nonce, unchecked, and what comes after it.
    fn nonce(&mut self) -> Option<(&'a [u8; Nonce::CHARS], u8)> {
        let (text, rest) = self.0.split_first_chunk::<{ Nonce::CHARS + 3 }>()?;
        let [b'"', nonce @ .., b'"', end] = text else { return None };
        self.0 = rest;
        Some((nonce, *end))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::record;
    use crate::{
        Codec, Entry, JsonCodec, StoreKey, Value,
        data::Data,
        json::Json,
        lifetime::Lifetime,
        record::{Nonce, Record},
        time::UnixTime,
    };

    fn text(commits: u64) -> Vec<u8> {
        let mut record = Record::new(UnixTime::from_millis(1_700_000_000_000), Lifetime::default());
        record.data = Data::new();
        record.data.set("name", Json::of("Ada").unwrap());
        record.data.set("\u{e9}", Json::parse("{\"a\":[1,2]}").unwrap());
        for n in 0..commits {
            record.commits += 1;
            record.nonces.push(Nonce::from_bytes(n.to_be_bytes()));
        }
        JsonCodec.encode(&key(), &Entry::Record(Box::new(record))).unwrap()
    }

    fn key() -> StoreKey {
        StoreKey::new("a").unwrap()
    }

    #[test]
    fn it_reads_what_is_written() {
        for commits in [0, 1, 2, 20] {
            let text = text(commits);
            let record = record(&Value::from(text.clone())).unwrap();
            assert_eq!(JsonCodec.encode(&key(), &Entry::Record(record)).unwrap(), text);
        }
    }

    #[test]
    fn a_number_that_is_too_large_is_for_the_other_way() {
        let text = String::from_utf8(text(1)).unwrap();
        for (number, is_read) in [
            ("9999999999999999999", true),
            ("10000000000000000000", false),
            ("18446744073709551615", false),
            ("18446744073709551616", false),
            ("", false),
        ] {
            let other = text.replace("\"created\":1700000000000", &format!("\"created\":{number}"));
            let found = record(&Value::from(other.as_bytes()));
            assert_eq!(found.is_some(), is_read, "{number}");
            let found = JsonCodec.decode(&key(), &Value::from(other.as_bytes()));
            let millis = match found {
                Ok(Entry::Record(record)) => Some(record.created.as_millis()),
                _ => None,
            };
            assert_eq!(millis, number.parse().ok(), "{number}");
        }
    }

    #[test]
    fn what_it_reads_is_what_the_other_way_reads() {
        let mut read = [0; 2];
        for commits in [0, 1, 2] {
            let text = text(commits);
            for at in 0..text.len() {
                for byte in *b"0179 ,\"]}[{:.e-tA\\\x00\xff" {
                    for broken in [
                        [&text[..at], &[byte], &text[at + 1..]].concat(),
                        [&text[..at], &[byte], &text[at..]].concat(),
                        [&text[..at], &text[at + 1..]].concat(),
                    ] {
                        let found = record(&Value::from(broken.clone()));
                        read[usize::from(found.is_some())] += 1;
                        let Some(found) = found else { continue };
                        let written = JsonCodec.encode(&key(), &Entry::Record(found)).unwrap();
                        // A blank before it sends it the other way.
                        let spaced = Value::from([b" ", &*broken].concat());
                        let Entry::Record(other) = JsonCodec.decode(&key(), &spaced).unwrap() else {
                            unreachable!("it is a record")
                        };
                        assert_eq!(JsonCodec.encode(&key(), &Entry::Record(other)).unwrap(), written);
                    }
                }
            }
        }
        assert!(read.iter().all(|count| *count > 500), "{read:?}");
    }
}
