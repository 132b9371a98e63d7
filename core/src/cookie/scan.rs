//! The cookie scan: finds the values of one name in a request's `Cookie` lines.

use core::fmt;

use memchr::{memchr, memchr_iter, memmem::Finder};

use super::CookieName;
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

/// Finds the values of one name. Prepared once, for it is searched for in every request.
///
/// Works on bytes: splits on `;` alone, trims spaces and tabs around name and value, and unquotes and decodes nothing
/// (RFC 6265bis, section 5.8.3; quotes are plain bytes there). A pair without `=` has no name and never matches; a name
/// matches exactly.
///
/// ```
/// use cloakroom_core::cookie::{CookieName, Scan, Scanner};
///
/// let scanner = Scanner::new(&CookieName::new("id")?);
/// let mut values = Vec::new();
/// let lines = [&b"a=1; id=first;id2=x"[..], b" id = \"second\" ; id"];
/// assert_eq!(scanner.scan(lines, |value| values.push(value.to_vec())), Scan::Complete);
/// assert_eq!(values, [&b"first"[..], b"\"second\""]);
/// # Ok::<(), cloakroom_core::InvalidCookieName>(())
/// ```
#[derive(Clone)]
pub struct Scanner {
    name: Finder<'static>,
}

impl Scanner {
    /// Prepares the search for a name.
    pub fn new(name: &CookieName) -> Self {
        Self { name: Finder::new(name.as_str()).into_owned() }
    }

    /// Calls `found` with the value of every pair of the name, in order, over all lines.
    ///
    /// Takes time linear in the header and allocates nothing.
    pub fn scan<'h>(&self, lines: impl IntoIterator<Item = &'h [u8]>, mut found: impl FnMut(&'h [u8])) -> Scan {
        within_limits(lines, |line| self.scan_line(line, &mut found))
    }

    fn scan_line<'h>(&self, line: &'h [u8], mut found: impl FnMut(&'h [u8])) {
        let mut from = 0;
        while let Some(at) = self.name.find(&line[from..]) {
            let (before, rest) = line.split_at(from + at);
            let rest = &rest[self.name.needle().len()..];
            let rest = &rest[..memchr(b';', rest).unwrap_or(rest.len())];
            if matches!(trim_end(before), [] | [.., b';'])
                && let Some(value) = trim_start(rest).strip_prefix(b"=")
            {
                found(trim_end(trim_start(value)));
            }
            // No other pair of ours begins within this one.
            from = before.len() + self.name.needle().len() + rest.len();
        }
    }
}

impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = String::from_utf8_lossy(self.name.needle());
        f.debug_struct("Scanner").field("name", &name).finish_non_exhaustive()
    }
}

/// Calls `read` with the lines as far as they are read: the last one may end after some of its pairs.
pub(crate) fn within_limits<'h>(lines: impl IntoIterator<Item = &'h [u8]>, mut read: impl FnMut(&'h [u8])) -> Scan {
    let mut bytes = MAX_COOKIE_HEADER_BYTES;
    let mut pairs = MAX_COOKIE_PAIRS;
    // A line that cannot have too many pairs: they are counted when another comes.
    let mut uncounted = None;
    for line in lines {
        pairs -= uncounted.take().map_or(0, |line| memchr_iter(b';', line).count() + 1);
        if line.len() > bytes || pairs == 0 {
            // No value is ever cut.
            return Scan::Capped;
        }
        bytes -= line.len();
        if line.len() < pairs {
            uncounted = Some(line);
        } else {
            match semicolon_after(line, pairs - 1) {
                Err(count) => pairs -= count + 1,
                Ok(end) => {
                    read(&line[..end]);
                    return Scan::Capped;
                }
            }
        }
        read(line);
    }
    Scan::Complete
}

/// Returns where the semicolon is that has so many before it, or how many there are.
fn semicolon_after(line: &[u8], before: usize) -> Result<usize, usize> {
    // To count many at once is cheap, to stop at one is not.
    const CHUNK: usize = 256;
    let mut seen = 0;
    for (index, chunk) in line.chunks(CHUNK).enumerate() {
        let count = memchr_iter(b';', chunk).count();
        if count > before - seen {
            let at = memchr_iter(b';', chunk).nth(before - seen);
            return Ok(index * CHUNK + at.unwrap_or(chunk.len()));
        }
        seen += count;
    }
    Err(seen)
}

pub(crate) fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

pub(crate) fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}
