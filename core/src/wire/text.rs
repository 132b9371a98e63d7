//! JSON text, read in one pass and in place: what is well-formed is told from what is not, and nothing is built of it.
//!
//! It takes what `serde_json` takes (RFC 8259), any depth of nesting included.

use core::ops::Range;
use std::borrow::Cow;

use memchr::memchr2;

/// The text is not well-formed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NotJson;

/// A text between quotes, as it stands there.
#[derive(Clone, Copy)]
pub(crate) struct Quoted<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) start: usize,
    pub(crate) has_escapes: bool,
}

impl<'a> Quoted<'a> {
    /// Returns the bytes of what it says. They are UTF-8 if all of the text is.
    pub(crate) fn bytes(self) -> Result<Cow<'a, [u8]>, NotJson> {
        if self.has_escapes {
            return self.read().map(|text| Cow::Owned(text.into_owned().into_bytes()));
        }
        Ok(Cow::Borrowed(self.raw))
    }

    /// Returns what it says.
    pub(crate) fn read(self) -> Result<Cow<'a, str>, NotJson> {
        if self.has_escapes {
            let quoted = [b"\"", self.raw, b"\""].concat();
            return serde_json::from_slice(&quoted).map(Cow::Owned).map_err(|_| NotJson);
        }
        str::from_utf8(self.raw).map(Cow::Borrowed).map_err(|_| NotJson)
    }
}

/// Reads a text from its beginning to its end.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    is_ascii: bool,
    /// Whether each value that is open is an object.
    open: Vec<bool>,
}

/// How many bytes of a text are looked at by words, before it is a long one.
const SHORT: usize = 48;

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self::at_place(bytes, 0)
    }

    /// Starts where what stands before was read already, and is ASCII.
    pub(crate) fn at_place(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, is_ascii: true, open: Vec::new() }
    }

    /// Tells whether nothing but blanks is left, and all of it was UTF-8.
    pub(crate) fn end(mut self) -> Result<(), NotJson> {
        if self.next().is_some() || !(self.is_ascii || str::from_utf8(self.bytes).is_ok()) {
            return Err(NotJson);
        }
        Ok(())
    }

    /// Returns the place where the next byte is that is not blank, and the byte.
    pub(crate) fn next(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                byte => return byte.copied(),
            }
        }
    }

    /// Returns how long the text is; no place is beyond that.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Returns what stands at a place of the text.
    pub(crate) fn between(&self, place: Range<usize>) -> &'a [u8] {
        self.bytes.get(place).unwrap_or_default()
    }

    /// Reads an object; `field` reads the value of each name.
    pub(crate) fn object<E: From<NotJson>>(
        &mut self,
        mut field: impl FnMut(&mut Self, Quoted<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'{')?;
        if self.takes(b'}') {
            return Ok(());
        }
        loop {
            self.next();
            let name = self.text()?;
            self.expect(b':')?;
            field(self, name)?;
            if self.ends(b'}')? {
                return Ok(());
            }
        }
    }

    /// Reads a list; `element` reads each.
    pub(crate) fn list<E: From<NotJson>>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'[')?;
        if self.takes(b']') {
            return Ok(());
        }
        loop {
            element(self)?;
            if self.ends(b']')? {
                return Ok(());
            }
        }
    }

    /// Reads a value of any kind, and returns where it stands.
    pub(crate) fn value(&mut self) -> Result<Range<usize>, NotJson> {
        let byte = self.next().ok_or(NotJson)?;
        let start = self.at;
        match byte {
            // Most are.
            b'"' => self.pass_text().map(drop)?,
            _ => self.pass_value(byte)?,
        }
        Ok(start..self.at)
    }

    /// Goes over a value that begins with a byte.
    #[inline(never)]
    fn pass_value(&mut self, mut byte: u8) -> Result<(), NotJson> {
        // No recursion: who wrote the text says how deep it goes.
        loop {
            match byte {
                b'"' => self.pass_text().map(drop)?,
                b'{' | b'[' => {
                    let is_object = byte == b'{';
                    self.at += 1;
                    if !self.takes(if is_object { b'}' } else { b']' }) {
                        self.open.push(is_object);
                        byte = self.member(is_object)?;
                        continue;
                    }
                }
                b'-' | b'0'..=b'9' => self.number()?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                b't' => self.word(b"true")?,
                _ => return Err(NotJson),
            }
            loop {
                let Some(&is_object) = self.open.last() else { return Ok(()) };
                match self.next() {
                    Some(b',') => {
                        self.at += 1;
                        byte = self.member(is_object)?;
                        break;
                    }
                    Some(b'}') if is_object => self.at += 1,
                    Some(b']') if !is_object => self.at += 1,
                    _ => return Err(NotJson),
                }
                self.open.pop();
            }
        }
    }

    /// Reads a text.
    pub(crate) fn text(&mut self) -> Result<Quoted<'a>, NotJson> {
        let start = self.at + 1;
        let has_escapes = self.pass_text()?;
        let raw = self.bytes.get(start..self.at - 1).ok_or(NotJson)?;
        Ok(Quoted { raw, start, has_escapes })
    }

    /// Goes over a text, and tells whether it has escapes.
    fn pass_text(&mut self) -> Result<bool, NotJson> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return Err(NotJson);
        }
        self.at += 1;
        self.at += plain_of_short(self.rest());
        if self.bytes.get(self.at) == Some(&b'"') {
            self.at += 1;
            return Ok(false);
        }
        self.pass_long_text()
    }

    /// The same from the middle of one that is long, or has more than ASCII without escapes.
    #[inline(never)]
    fn pass_long_text(&mut self) -> Result<bool, NotJson> {
        let mut has_escapes = false;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    has_escapes = true;
                    self.at += self.escape(self.at)?;
                    self.at += plain_of_short(self.rest());
                }
                _ => self.pass_long_part()?,
            }
        }
        self.at += 1;
        Ok(has_escapes)
    }

    /// Goes on to the next quote or backslash.
    fn pass_long_part(&mut self) -> Result<(), NotJson> {
        let rest = self.rest();
        let part = rest.get(..memchr2(b'"', b'\\', rest).ok_or(NotJson)?).unwrap_or_default();
        if !is_plain(part) {
            if part.iter().fold(u8::MAX, |least, byte| least.min(*byte)) < b' ' {
                return Err(NotJson);
            }
            self.is_ascii = false;
        }
        self.at += part.len();
        Ok(())
    }

    /// Goes to the next value of an object or a list, and returns its first byte.
    fn member(&mut self, is_object: bool) -> Result<u8, NotJson> {
        if is_object {
            self.next();
            self.pass_text()?;
            self.expect(b':')?;
        }
        self.next().ok_or(NotJson)
    }

    /// Goes over a byte, if it is the next that is not blank.
    pub(crate) fn takes(&mut self, byte: u8) -> bool {
        let takes = self.next() == Some(byte);
        self.at += usize::from(takes);
        takes
    }

    /// Goes over what comes after a member, and tells whether it is the end and no comma.
    fn ends(&mut self, end: u8) -> Result<bool, NotJson> {
        let byte = self.next().filter(|byte| *byte == b',' || *byte == end).ok_or(NotJson)?;
        self.at += 1;
        Ok(byte == end)
    }

    fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.takes(byte) { Ok(()) } else { Err(NotJson) }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), NotJson> {
        let end = self.at + word.len();
        if self.bytes.get(self.at..end) != Some(word) {
            return Err(NotJson);
        }
        self.at = end;
        Ok(())
    }

    fn number(&mut self) -> Result<(), NotJson> {
        self.at += usize::from(self.is_at(b"-"));
        if self.is_at(b"0") {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.is_at(b".") {
            self.at += 1;
            self.digits()?;
        }
        if self.is_at(b"eE") {
            self.at += 1;
            self.at += usize::from(self.is_at(b"+-"));
            self.digits()?;
        }
        Ok(())
    }

    fn is_at(&self, any: &[u8]) -> bool {
        self.bytes.get(self.at).is_some_and(|byte| any.contains(byte))
    }

    fn digits(&mut self) -> Result<(), NotJson> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err(NotJson) } else { Ok(()) }
    }

    /// Returns how long the escape is that begins at a place.
    fn escape(&self, at: usize) -> Result<usize, NotJson> {
        match self.bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
            Some(b'u') => match self.bytes.get(at + 2..at + 6) {
                Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(6),
                _ => Err(NotJson),
            },
            _ => Err(NotJson),
        }
    }
}

/// Tells whether there is nothing but ASCII, and no control character.
fn is_plain(text: &[u8]) -> bool {
    // No branches within, so that processors look at many bytes at once. With this bit flipped what is not ASCII comes before the
    // control characters, so that one comparison finds both.
    let are_plain = |bytes: &[u8]| bytes.iter().fold(u8::MAX, |least, byte| least.min(byte ^ 0x80)) >= b' ' ^ 0x80;
    match text.last_chunk::<32>() {
        // Some of the last chunk twice, rather than one by one.
        Some(last) => are_plain(text.as_chunks::<32>().0.as_flattened()) && are_plain(last),
        None => are_plain(text),
    }
}

/// How many bytes a text goes on in ASCII without its end, an escape or a control character. It looks at whole words alone, and at
/// [`SHORT`] bytes at most.
fn plain_of_short(bytes: &[u8]) -> usize {
    let mut at = 0;
    for word in bytes.as_chunks().0.iter().take(SHORT / 8) {
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at
}

/// Sets the highest bit of the first byte that is a quote, a backslash, a control character or not ASCII, and of none before.
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    // What is below the limit borrows its highest bit. With the second bit flipped the quote comes right after the control
    // characters.
    let below = |flipped: u8, limit: u64| (word ^ (ONES * u64::from(flipped))).wrapping_sub(ONES * limit);
    (below(2, 0x21) | below(b'\\', 1) | word) & (ONES * 0x80)
}

/// Appends a text, which is UTF-8, between quotes.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let is_plain = |byte: &u8| *byte >= 0x20 && !matches!(byte, b'"' | b'\\');
    match text.iter().all(is_plain) {
        true => out.extend_from_slice(text),
        false => push_escaped(out, text),
    }
    out.push(b'"');
}

fn push_escaped(out: &mut Vec<u8>, text: &[u8]) {
    for &byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x8 => out.extend_from_slice(b"\\b"),
            0xc => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            ..0x20 => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte / 16)]);
                out.push(HEX[usize::from(byte % 16)]);
            }
            // Every byte of a longer character is one of these.
            _ => out.push(byte),
        }
    }
}

/// The numbers below a hundred, each of two digits.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < pairs.len() {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// Appends a number.
pub(crate) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    const LONGEST: usize = 20;
    let digits = number.checked_ilog10().map_or(1, |log| log as usize + 1);
    let start = out.len();
    // Written where they stay: what is put together in pieces is long to copy.
    out.extend_from_slice(&[b'0'; LONGEST]);
    out.truncate(start + digits);
    let mut pairs = out[start..].rchunks_exact_mut(2);
    for pair in &mut pairs {
        pair.copy_from_slice(&PAIRS[(number % 100) as usize]);
        number /= 100;
    }
    if let [first] = pairs.into_remainder() {
        *first = b'0' + number as u8;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    /// What serde_json takes as a value, and where it finds it.
    fn oracle(bytes: &[u8]) -> Option<String> {
        serde_json::from_slice::<&RawValue>(bytes).ok().map(|raw| raw.get().to_owned())
    }

    fn read(bytes: &[u8]) -> Option<String> {
        let mut reader = Reader::new(bytes);
        let place = reader.value().ok()?;
        reader.end().ok()?;
        Some(str::from_utf8(&bytes[place]).unwrap().to_owned())
    }

    const TEXTS: [&str; 30] = [
        r#"{"a":1,"b":[true,false,null],"c":{"d":{}}}"#,
        r#" [ ] "#,
        r#"[1,-0,0.5,-12.25e+10,3E-2,1e5]"#,
        r#"[[[["deep"]]],{"x":[{"y":"z"}]}]"#,
        r#""\u0061\ud800\n\"\\\/""#,
        "\"a text that is longer than those that are looked at by words, and then some more of it\"",
        "\"a text that is long, with \u{e9}\u{1f600} beyond ASCII, and an escape \\t in the middle of it\"",
        "\"a text that is long and has a control character \u{1} in the middle of it all\"",
        "\t{ \"a\" :\n1 , \"b\" : [ 2 , 3 ] }\r\n",
        "01",
        "1.",
        ".5",
        "-",
        "+1",
        "1e",
        "1e+",
        "--1",
        "tru",
        "truex",
        "nul",
        "[1,]",
        "[,1]",
        "{\"a\"}",
        "{\"a\":1,}",
        "{a:1}",
        "[1 2]",
        "[1]]",
        "{\"a\":1]",
        "",
        "\"open",
    ];

    #[test]
    fn it_takes_what_serde_json_takes() {
        let mut both = [0; 2];
        for text in TEXTS {
            let bytes = text.as_bytes();
            assert_eq!(read(bytes), oracle(bytes), "{text:?}");
            // Every place broken in many ways.
            for at in 0..bytes.len() {
                for byte in *b"\"\\{}[]:,0-e.u x\x00\x1f\x7f\x80\xc3\xff" {
                    let mut broken = bytes.to_vec();
                    broken[at] = byte;
                    assert_eq!(read(&broken), oracle(&broken), "{broken:?}");
                    both[usize::from(read(&broken).is_some())] += 1;
                    broken.insert(at, bytes[at]);
                    assert_eq!(read(&broken), oracle(&broken), "{broken:?}");
                    broken.truncate(at);
                    assert_eq!(read(&broken), oracle(&broken), "{broken:?}");
                }
            }
        }
        assert!(both.iter().all(|count| *count > 1_000), "{both:?}");
    }

    #[test]
    fn a_special_byte_is_seen_at_every_place_of_a_long_text() {
        for len in [16, 31, 32, 33, 47, 48, 49, 79, 80, 81, 112, 160, 300] {
            for at in 0..len {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'x'; len + 2];
                    (text[0], text[len + 1], text[at + 1]) = (b'"', b'"', byte);
                    assert_eq!(read(&text), oracle(&text), "{byte:#x} at {at} of {len}");
                }
            }
        }
    }

    #[test]
    fn depth_is_no_matter() {
        let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
        assert_eq!(read(deep.as_bytes()), Some(deep.clone()));
        assert_eq!(read(&deep.as_bytes()[1..]), None);
    }

    #[test]
    fn what_is_written_is_what_serde_json_writes() {
        let every: String = (0..0x2_000).filter_map(char::from_u32).collect();
        for text in [every.as_str(), "", "plain", "\u{7f}\u{2028}\u{1f600}"] {
            let mut out = Vec::new();
            push_text(&mut out, text.as_bytes());
            assert_eq!(out, serde_json::to_vec(text).unwrap());
        }
        // Every four digits at every place of four.
        let fours = (0..10_000_u64).flat_map(|n| {
            let eight = n * 10_000 + (9_999 - n);
            [n, eight, eight * 100_000_000 + eight, n * 1_000_000_000_000_000 + eight]
        });
        let edges = (1..20).flat_map(|digits| [10_u64.pow(digits) - 1, 10_u64.pow(digits)]);
        for number in fours.chain(edges).chain([u64::MAX]) {
            let mut out = Vec::new();
            push_number(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}
