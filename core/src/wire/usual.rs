//! The usual record, read as it is written: most sessions of visitors are that, and nothing has to be looked for.

use core::time::Duration;

use crate::{
    data::{Data, Slots},
    lifetime::Lifetime,
    record::{Nonce, Record},
    time::UnixTime,
    value::Value,
    wire::{codec::MAX_COMMITS, text::Reader},
};

/// Reads a record that has its fields in the order in which they are written, no blanks, and none of those that are not
/// always there. `None` says nothing of any other.
pub(super) fn record(value: &Value) -> Option<Record> {
    let mut text = Text(value.as_bytes());
    text.take(b"{\"format\":1,\"kind\":\"record\",\"created\":")?;
    let created = UnixTime::from_millis(text.number()?);
    let mut record = Record::new(created, Lifetime::new(Duration::ZERO, Duration::ZERO));
    text.take(b",\"deadline\":")?;
    record.deadline = UnixTime::from_millis(text.number()?);
    text.take(b",\"idle\":")?;
    record.idle = Duration::from_millis(text.number()?);
    text.take(b",\"persistent\":")?;
    record.persistent = text.take(b"true").is_some();
    if !record.persistent {
        text.take(b"false")?;
    }
    text.take(b",\"issued\":")?;
    record.issued = UnixTime::from_millis(text.number()?);
    text.take(b",\"lineage\":")?;
    record.lineage = text.nonce()?;
    text.take(b",\"commits\":")?;
    record.commits = text.number().filter(|&commits| commits <= MAX_COMMITS)?;
    text.take(b",\"nonces\":[")?;
    if text.take(b"]").is_none() {
        loop {
            record.nonces.push_chars(text.nonce_chars()?)?;
            if text.take(b"]").is_some() {
                break;
            }
            text.take(b",")?;
        }
    }
    text.take(b",\"schema\":")?;
    record.schema = text.number()?.try_into().ok()?;
    text.take(b",\"data\":")?;
    let mut reader = Reader::at_place(value.as_bytes(), value.len() - text.0.len());
    // Blanks before it are for the other way.
    text.take(b"{")?;
    let slots = Slots::read(&mut reader, 0).ok()?;
    record.data = Data::of(value, slots).ok()?;
    if !reader.takes(b'}') {
        return None;
    }
    reader.end().ok()?;
    Some(record)
}

/// What is left.
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn take(&mut self, text: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    fn number(&mut self) -> Option<u64> {
        let (first, mut rest) = self.0.split_first()?;
        let digit = |byte: &u8| byte.checked_sub(b'0').filter(|digit| *digit < 10).map(u64::from);
        let mut number = digit(first)?;
        while let Some((byte, more)) = rest.split_first() {
            let Some(digit) = digit(byte) else { break };
            // No number of two digits begins with a zero.
            if number == 0 {
                return None;
            }
            number = number.checked_mul(10)?.checked_add(digit)?;
            rest = more;
        }
        self.0 = rest;
        Some(number)
    }

    fn nonce(&mut self) -> Option<Nonce> {
        self.nonce_chars().and_then(Nonce::from_chars)
    }

    fn nonce_chars(&mut self) -> Option<&'a [u8]> {
        self.take(b"\"")?;
        let (text, rest) = self.0.split_at_checked(Nonce::CHARS)?;
        self.0 = rest;
        self.take(b"\"")?;
        Some(text)
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
            assert_eq!(JsonCodec.encode(&key(), &Entry::Record(Box::new(record))).unwrap(), text);
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
                        let written = JsonCodec.encode(&key(), &Entry::Record(Box::new(found))).unwrap();
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
