//! The elements of a header's lines, from the right.

use super::{AddressError, ForwardedHeader};
use crate::limits::{MAX_FORWARDED_BYTES, MAX_FORWARDED_ELEMENTS};

/// Yields the elements of all lines from the last to the first, spaces around them included, and reads nothing to the
/// left of what it yields.
///
/// What an element of our trusted proxies is depends on nothing to its left, where an attacker may have left a quote
/// open: a well-formed element is found by its own quotes, read backwards.
pub(super) struct Elements<'h, L> {
    lines: L,
    /// What is left of the line, and whether it goes on beyond the bytes that may be read.
    line: Option<(&'h [u8], bool)>,
    header: ForwardedHeader,
    bytes: usize,
    elements: usize,
}

impl<'h, L: DoubleEndedIterator<Item = &'h [u8]>> Elements<'h, L> {
    pub(super) fn new(header: ForwardedHeader, lines: L) -> Self {
        Self { lines, line: None, header, bytes: MAX_FORWARDED_BYTES, elements: MAX_FORWARDED_ELEMENTS }
    }

    /// Returns the next element to the left.
    ///
    /// # Errors
    ///
    /// [`AddressError::TooLong`] when it is longer than what may still be read.
    pub(super) fn next(&mut self) -> Result<Option<&'h [u8]>, AddressError> {
        let Some((line, is_cut)) = self.line.take().or_else(|| self.next_line()) else { return Ok(None) };
        if self.elements == 0 {
            return Err(AddressError::TooLong);
        }
        self.elements -= 1;
        let comma = match self.header {
            ForwardedHeader::Forwarded => last_comma(line),
            ForwardedHeader::XForwardedFor => line.iter().rposition(|&byte| byte == b','),
        };
        let Some(comma) = comma else {
            self.bytes -= line.len();
            return if is_cut { Err(AddressError::TooLong) } else { Ok(Some(line)) };
        };
        self.bytes -= line.len() - comma;
        self.line = Some((&line[..comma], is_cut));
        Ok(Some(&line[comma + 1..]))
    }

    /// Takes the next line, cut to what may still be read.
    fn next_line(&mut self) -> Option<(&'h [u8], bool)> {
        let line = self.lines.next_back()?;
        let start = line.len().saturating_sub(self.bytes);
        Some((&line[start..], start > 0))
    }
}

/// The place of the last comma that is in no quoted string (RFC 9110, section 5.6.4), where what follows it is
/// well-formed. What follows is not well-formed wherever this finds another one, or none.
fn last_comma(line: &[u8]) -> Option<usize> {
    let mut is_quoted = false;
    for (place, &byte) in line.iter().enumerate().rev() {
        match byte {
            b',' if !is_quoted => return Some(place),
            // A quote inside a string is escaped; before one that opens a string stands an equals sign.
            b'"' if is_quoted => is_quoted = line[..place].ends_with(b"\\"),
            b'"' => is_quoted = true,
            _ => {}
        }
    }
    None
}
