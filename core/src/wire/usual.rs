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
        loop {
            // No record ends within eight bytes after a number; what does is for the other way.
            let (some, count) = digits(*self.0.get(len..)?.first_chunk()?);
            number = number.wrapping_mul(TENS[count]).wrapping_add(some);
            len += count;
            if count < TENS.len() - 1 {
                break;
            }
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

/// Ten to the power of each number of digits that are read at once.
const TENS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// Reads as many digits as there are first, up to eight; returns what they say and how many they are.
fn digits(bytes: [u8; 8]) -> (u64, usize) {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    // The first is in the lowest byte. What is more than nine reaches the highest bit of its byte.
    let digits = u64::from_le_bytes(bytes) ^ (ONES * u64::from(b'0'));
    let others = (digits | digits.wrapping_add(ONES * (0x7f - 9))) & (ONES * 0x80);
    let count = others.trailing_zeros() / 8;
    // Zeros before them, then neighbours are joined: to pairs, fours and all eight.
    let digits = digits.unbounded_shl(64 - 8 * count);
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    ((fours * 10_000 + (fours >> 32)) & 0xffff_ffff, count as usize)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::{digits, record};
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
    fn digits_are_read_as_one_by_one() {
        let one_by_one = |bytes: [u8; 8]| {
            let digits: Vec<_> = bytes.iter().map_while(|byte| char::from(*byte).to_digit(10)).collect();
            (digits.iter().fold(0, |number, digit| number * 10 + u64::from(*digit)), digits.len())
        };
        for text in [*b"00000000", *b"12345678", *b"90817263", *b"99999999"] {
            for (first, second) in (0..8).flat_map(|first| (first..8).map(move |second| (first, second))) {
                for byte in 0..=u8::MAX {
                    let mut bytes = text;
                    bytes[first] = byte;
                    // What comes after those that are none changes nothing, as large as it may be.
                    bytes[second] = byte ^ 0x80;
                    assert_eq!(digits(bytes), one_by_one(bytes), "{bytes:?}");
                    bytes[second] = byte;
                    assert_eq!(digits(bytes), one_by_one(bytes), "{bytes:?}");
                }
            }
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
