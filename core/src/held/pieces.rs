//! A text that is too long for one cookie, over several.
//!
//! Each piece starts with `~`, how many there are and which it is (a hexadecimal digit each), and eight characters that all
//! pieces of one text share: those of its nonce or its tag. So pieces of two writings never come together, and what is
//! joined opens only whole.

use memchr::memchr_iter;

use crate::{
    cookie::{Scan, trim_end, trim_start, within_limits},
    session::RawToken,
};

/// What stands before the text in each piece.
pub(super) const HEAD: usize = 3 + MARK.end - MARK.start;
/// The characters of the text that tell it from others: those that follow format and key id.
const MARK: core::ops::Range<usize> = 3..11;

/// Cuts a text into pieces.
pub(super) fn split(text: &str, chunk: usize) -> Vec<String> {
    let count = text.len().div_ceil(chunk);
    let mark = &text[MARK];
    let chunks = (0..count).map(|index| &text[index * chunk..text.len().min((index + 1) * chunk)]);
    chunks.enumerate().map(|(index, chunk)| format!("~{count:x}{index:x}{mark}{chunk}")).collect()
}

/// The pieces of a request but the first, as they came.
#[derive(Default)]
pub(crate) struct Pieces(Vec<(usize, RawToken)>);

impl Pieces {
    /// Pieces of one index that are looked at: more than one come where somebody planted another.
    const SAME: usize = 4;

    /// Keeps a piece; `false` where there are too many.
    pub(crate) fn add(&mut self, index: usize, value: &[u8]) -> bool {
        let has_room = self.0.iter().filter(|(known, _)| *known == index).count() < Self::SAME;
        if has_room {
            self.0.push((index, RawToken::new(value)));
        }
        has_room
    }

    /// Which pieces came, a bit each.
    pub(crate) fn present(&self) -> u16 {
        self.0.iter().fold(1, |present, (index, _)| present | 1 << index)
    }

    /// Joins the pieces of the text of which this is the first. `None` where one is missing.
    pub(super) fn join(&self, first: &[u8]) -> Option<Vec<u8>> {
        let head = Head::of(first)?;
        if head.index != 0 || head.count < 2 {
            return None;
        }
        let mut text = head.chunk.to_vec();
        for index in 1..head.count {
            let mut same = self.0.iter().filter(|(known, _)| *known == index);
            let chunk = same.find_map(|(_, piece)| {
                let piece = Head::of(piece.as_bytes())?;
                ((piece.count, piece.index, piece.mark) == (head.count, index, head.mark)).then_some(piece.chunk)
            })?;
            text.extend_from_slice(chunk);
        }
        (text.get(MARK) == Some(head.mark)).then_some(text)
    }
}

/// A piece, taken apart.
struct Head<'v> {
    count: usize,
    index: usize,
    mark: &'v [u8],
    chunk: &'v [u8],
}

impl<'v> Head<'v> {
    fn of(value: &'v [u8]) -> Option<Self> {
        let [b'~', count, index, rest @ ..] = value else { return None };
        let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as usize);
        let (mark, chunk) = rest.split_at_checked(MARK.end - MARK.start)?;
        Some(Self { count: digit(count)?, index: digit(index)?, mark, chunk })
    }
}

/// Calls `found` with every value of a name, and of the names of its pieces with which they are, in order, over all lines.
pub(crate) fn scan_pieces<'h>(
    lines: impl IntoIterator<Item = &'h [u8]>,
    name: &[u8],
    most: usize,
    mut found: impl FnMut(Option<usize>, &'h [u8]),
) -> Scan {
    scan_pairs(lines, |pair| match value_after(pair, name) {
        Some((b"", value)) => found(None, value),
        Some((rest, value)) => {
            if let Some(index) = piece_of(rest, most) {
                found(Some(index), value);
            }
        }
        None => {}
    })
}

/// Calls `look` with every pair, in order, over all lines.
fn scan_pairs<'h>(lines: impl IntoIterator<Item = &'h [u8]>, mut look: impl FnMut(&'h [u8])) -> Scan {
    within_limits(lines, |line| {
        let mut start = 0;
        for end in memchr_iter(b';', line) {
            look(&line[start..end]);
            start = end + 1;
        }
        look(&line[start..]);
    })
}

/// What a pair's name has after this beginning, and its value, if the name begins so.
fn value_after<'h>(pair: &'h [u8], name: &[u8]) -> Option<(&'h [u8], &'h [u8])> {
    let rest = trim_start(pair).strip_prefix(name)?;
    let at = rest.iter().position(|&byte| byte == b'=')?;
    Some((trim_end(&rest[..at]), trim_end(trim_start(&rest[at + 1..]))))
}

/// Which piece a pair's name says it is, where the name is that of the cookie with a number after it.
fn piece_of(rest: &[u8], most: usize) -> Option<usize> {
    let (sign, digits) = rest.split_first()?;
    let text = str::from_utf8(digits).ok().filter(|text| *sign == b'-' && !text.starts_with(['0', '+']))?;
    text.parse().ok().filter(|&index| index < most)
}
