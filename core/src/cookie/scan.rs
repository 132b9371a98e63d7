//! The cookie scan: finds the values of one name in a request's `Cookie` lines.

use memchr::memchr;

use crate::limits::{MAX_COOKIE_HEADER_BYTES, MAX_COOKIE_PAIRS};

/// How a scan ended.
#[must_use = "a capped scan did not read everything"]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "a scan reads everything or it does not")]
pub enum Scan {
    /// There were more bytes or pairs than are read; what was found before stands.
    Capped,
    /// Everything was read.
    Complete,
}

/// Calls `found` with the value of every pair of the name, in order, over all lines.
///
/// Works on bytes: splits on `;` alone, trims spaces and tabs around name and value, and unquotes and decodes nothing
/// (RFC 6265bis, section 5.8.3; quotes are plain bytes there). A pair without `=` has no name and never matches; a name
/// matches exactly. Takes time linear in the header and allocates nothing.
///
/// ```
/// use cloakroom_core::cookie::{Scan, scan};
///
/// let mut values = Vec::new();
/// let lines = [&b"a=1; id=first;id2=x"[..], b" id = \"second\" ; id"];
/// assert_eq!(scan(lines, b"id", |value| values.push(value.to_vec())), Scan::Complete);
/// assert_eq!(values, [&b"first"[..], b"\"second\""]);
/// ```
pub fn scan<'h>(lines: impl IntoIterator<Item = &'h [u8]>, name: &[u8], mut found: impl FnMut(&'h [u8])) -> Scan {
    scan_pairs(lines, |pair| {
        if let Some(value) = value_of(pair, name) {
            found(value);
        }
    })
}

/// Calls `look` with every pair, in order, over all lines.
pub(crate) fn scan_pairs<'h>(lines: impl IntoIterator<Item = &'h [u8]>, mut look: impl FnMut(&'h [u8])) -> Scan {
    let mut bytes = MAX_COOKIE_HEADER_BYTES;
    let mut pairs = MAX_COOKIE_PAIRS;
    for line in lines {
        if line.len() > bytes {
            // A line is read whole or not at all, so that no value is ever cut.
            return Scan::Capped;
        }
        bytes -= line.len();
        let mut rest = Some(line);
        while let Some(line) = rest {
            if pairs == 0 {
                return Scan::Capped;
            }
            pairs -= 1;
            let end = memchr(b';', line);
            look(&line[..end.unwrap_or(line.len())]);
            rest = end.map(|end| &line[end + 1..]);
        }
    }
    Scan::Complete
}

/// The value of a pair, if it has the name.
pub(crate) fn value_of<'h>(pair: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    let pair = trim_start(pair);
    // Most names differ in the first byte. A pair without a name is nobody's.
    if name.is_empty() || pair.first() != name.first() {
        return None;
    }
    let rest = pair.strip_prefix(name)?;
    let value = trim_start(rest).strip_prefix(b"=")?;
    Some(trim_end(trim_start(value)))
}

/// What a pair's name has after this beginning, and its value, if the name begins so.
pub(crate) fn value_after<'h>(pair: &'h [u8], name: &[u8]) -> Option<(&'h [u8], &'h [u8])> {
    let rest = trim_start(pair).strip_prefix(name)?;
    let at = rest.iter().position(|&byte| byte == b'=')?;
    Some((trim_end(&rest[..at]), trim_end(trim_start(&rest[at + 1..]))))
}

fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}
