//! What service and client agree on: paths, headers and their values.

use std::{fmt::Write as _, time::Duration};

use cloakroom_core::StoreKey;
use cloakroom_store::Fault;

/// The folder of the sessions: `{base}/sessions/{key}`.
pub const SESSIONS: &str = "sessions";
/// The folder of the indexes: `{base}/indexes/{index}/members/{member}`.
pub const INDEXES: &str = "indexes";
/// The folder of an index's members.
pub const MEMBERS: &str = "members";

/// How an operation ended, in one word. An answer without it is none of the service's.
pub const OUTCOME: &str = "cloakroom-outcome";
/// The time to live in milliseconds, or [`FOREVER`].
pub const TTL: &str = "cloakroom-ttl";
/// Whose fault a failure was.
pub const FAULT: &str = "cloakroom-fault";

/// The time to live of what never expires.
pub const FOREVER: &str = "none";
/// The longest time to live, in milliseconds: 285,000 years, which every language's numbers hold.
pub const MAX_TTL: u64 = (1 << 53) - 1;
/// The most bytes between the quotes of an `ETag`.
pub const MAX_ETAG: usize = 128;

/// Writes a time to live: in whole milliseconds, rounded up so that nothing expires early, and above zero.
pub fn millis(ttl: Duration) -> u64 {
    let millis = u64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    millis.clamp(1, MAX_TTL)
}

/// Reads a time to live: digits that begin with no zero, up to [`MAX_TTL`].
pub fn parse_millis(text: &str) -> Option<Duration> {
    let is_plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    let millis = text.parse().ok().filter(|&millis| is_plain && (1..=MAX_TTL).contains(&millis))?;
    Some(Duration::from_millis(millis))
}

/// Takes what is between the quotes of a strong `ETag`.
pub fn unquote(etag: &str) -> Option<&str> {
    let inner = etag.strip_prefix('"')?.strip_suffix('"')?;
    is_etag(inner.as_bytes()).then_some(inner)
}

/// Tells whether bytes may stand between the quotes of an `ETag`.
pub fn is_etag(bytes: &[u8]) -> bool {
    (1..=MAX_ETAG).contains(&bytes.len()) && bytes.iter().all(|&byte| byte.is_ascii_graphic() && byte != b'"')
}

/// Writes a key as a segment of a path: all but letters, digits, `-`, `_` and `~` percent-encoded. Dots too: segments of
/// nothing else mean other folders.
pub fn encode_key(key: &StoreKey) -> String {
    let mut segment = String::with_capacity(key.as_bytes().len());
    for &byte in key.as_bytes() {
        match byte {
            b'-' | b'_' | b'~' => segment.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => segment.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => drop(write!(segment, "%{byte:02X}")),
        }
    }
    segment
}

/// Reads a key from a segment of a path.
pub fn decode_key(segment: &str) -> Option<StoreKey> {
    let mut key = String::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            byte => byte,
        };
        // What is beyond ASCII becomes a character that no key has.
        key.push(char::from(byte));
    }
    StoreKey::new(&key).ok()
}

fn hex(digit: u8) -> Option<u8> {
    // A digit is less than 16.
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// Returns the word for a fault.
pub fn fault_word(fault: Fault) -> &'static str {
    match fault {
        Fault::Full => "full",
        Fault::Internal => "internal",
        Fault::Refused => "refused",
        Fault::TimedOut => "timed-out",
        _ => "unavailable",
    }
}

/// Reads the word for a fault.
pub fn parse_fault(word: &str) -> Option<Fault> {
    [Fault::Full, Fault::Internal, Fault::Refused, Fault::TimedOut, Fault::Unavailable]
        .into_iter()
        .find(|&fault| fault_word(fault) == word)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use cloakroom_core::StoreKey;

    use super::{MAX_TTL, decode_key, encode_key, millis, parse_millis, unquote};

    #[test]
    fn a_key_of_any_characters_is_a_segment_and_comes_back() {
        let every: String = (b'!'..=b'~').map(char::from).collect();
        for text in [every.as_str(), ".", "..", "/", "%", "%2F", "a/../b", "?x#y", "health", "+", "~-_"] {
            let key = StoreKey::new(text).unwrap();
            let segment = encode_key(&key);
            assert!(!segment.contains(['/', '?', '#', '.', '"', ' ']), "{segment}");
            assert_eq!(decode_key(&segment), Some(key), "{segment}");
        }
    }

    #[test]
    fn what_is_no_key_is_none() {
        for segment in ["", "%", "%2", "%zz", "%+1", "a b", "%20", "%00", "%C3%A4", "ä", &"a".repeat(121)] {
            assert_eq!(decode_key(segment), None, "{segment}");
        }
    }

    #[test]
    fn a_time_to_live_is_rounded_up_and_bounded() {
        assert_eq!(millis(Duration::ZERO), 1);
        assert_eq!(millis(Duration::from_micros(1001)), 2);
        assert_eq!(millis(Duration::MAX), MAX_TTL);
        assert_eq!(parse_millis("9007199254740991"), Some(Duration::from_millis(MAX_TTL)));
        for text in ["", "0", "01", "+1", "-1", "1.0", " 1", "1e3", "9007199254740992", "99999999999999999999", "none"]
        {
            assert_eq!(parse_millis(text), None, "{text}");
        }
    }

    #[test]
    fn an_etag_is_strong_quoted_and_short() {
        assert_eq!(unquote("\"a~!\""), Some("a~!"));
        for text in ["", "\"", "\"\"", "a", "W/\"a\"", "\"a\"b\"", "\"a\", \"b\"", "\"a b\"", "*"] {
            assert_eq!(unquote(text), None, "{text}");
        }
        assert_eq!(unquote(&format!("\"{}\"", "a".repeat(129))), None);
    }
}
