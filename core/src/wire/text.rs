//! JSON text, read in one pass and in place: what is well-formed is told from what is not, and nothing is built of it.
//!
//! It takes what `serde_json` takes (RFC 8259), any depth of nesting included.

use core::ops::Range;
use std::borrow::Cow;

/// The text is not well-formed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NotJson;

/// A text between quotes, as it stands there.
#[derive(Clone, Copy)]
pub(crate) struct Quoted<'a> {
    raw: &'a [u8],
    pub(crate) start: usize,
    pub(crate) has_escapes: bool,
}

impl<'a> Quoted<'a> {
    pub(crate) fn len(&self) -> usize {
        self.raw.len()
    }

    /// Returns the bytes of what it says. They are UTF-8 if all of the text is.
    pub(crate) fn bytes(&self) -> Result<Cow<'a, [u8]>, NotJson> {
        if self.has_escapes {
            return self.read().map(|text| Cow::Owned(text.into_owned().into_bytes()));
        }
        Ok(Cow::Borrowed(self.raw))
    }

    /// Returns what it says.
    pub(crate) fn read(&self) -> Result<Cow<'a, str>, NotJson> {
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

/// The bytes of a text that are looked at together: of a long one, and where its end is near.
const BLOCK: usize = 128;
const CHUNK: usize = 32;

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

    pub(crate) fn at(&self) -> usize {
        self.at
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
            if self.takes(b'}') {
                return Ok(());
            }
            self.expect(b',')?;
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
            if self.takes(b']') {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    /// Reads a value of any kind, and returns where it stands.
    pub(crate) fn value(&mut self) -> Result<Range<usize>, NotJson> {
        let mut byte = self.next().ok_or(NotJson)?;
        let start = self.at;
        // No recursion: who wrote the text says how deep it goes.
        loop {
            match byte {
                b'"' => {
                    self.text()?;
                }
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
                let Some(&is_object) = self.open.last() else { return Ok(start..self.at) };
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
        if self.bytes.get(self.at) != Some(&b'"') {
            return Err(NotJson);
        }
        let start = self.at + 1;
        let mut at = start;
        let mut has_escapes = false;
        loop {
            at += plain(self.bytes.get(at..).unwrap_or_default());
            match self.bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    has_escapes = true;
                    at += self.escape(at)?;
                }
                None | Some(..0x20) => return Err(NotJson),
                Some(0x80..) => {
                    self.is_ascii = false;
                    at += self.bytes[at..].iter().take_while(|byte| !byte.is_ascii()).count();
                }
                Some(_) => at += 1,
            }
        }
        self.at = at + 1;
        Ok(Quoted { raw: self.between(start..at), start, has_escapes })
    }

    /// Goes to the next value of an object or a list, and returns its first byte.
    fn member(&mut self, is_object: bool) -> Result<u8, NotJson> {
        if is_object {
            self.next();
            self.text()?;
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
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
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

/// How many bytes a text goes on in ASCII without its end, an escape or a control character. Up to seven before the end of
/// all bytes are left to the caller.
fn plain(bytes: &[u8]) -> usize {
    let mut at = 0;
    // Most texts are short.
    for _ in 0..CHUNK / 8 {
        let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else { return at };
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at += BLOCK * rest.as_chunks::<BLOCK>().0.iter().take_while(|block| is_plain(block)).count();
    let rest = bytes.get(at..).unwrap_or_default();
    at + CHUNK * rest.as_chunks::<CHUNK>().0.iter().take_while(|chunk| is_plain(chunk)).count()
}

/// Tells whether there is no quote, no backslash, no control character and nothing but ASCII.
fn is_plain<const N: usize>(bytes: &[u8; N]) -> bool {
    // No branches, so that processors look at many bytes at once. With this bit flipped the quote comes right after the
    // control characters, and negative are those that are not ASCII.
    let is_special = |byte: u8| ((byte ^ 2).cast_signed() < 0x21) | (byte == b'\\');
    !bytes.iter().fold(false, |any, &byte| any | is_special(byte))
}

/// Sets the highest bit of the first byte that is a quote, a backslash, a control character or not ASCII, and of none before.
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | equal(b'"') | equal(b'\\') | word) & (ONES * 0x80)
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

/// Appends a number.
pub(crate) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        // The remainder is a digit.
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
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
        "\"a text that is longer than a chunk of thirty-two bytes, and then some more of it\"",
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
        for len in [16, 31, 32, 33, 64, 100, 160, 161, 300] {
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
        for number in [0, 7, 10, 99, 100, u64::MAX] {
            let mut out = Vec::new();
            push_number(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}
