//! Secrets in every form in which they could be printed or stored, and the search for them.

use std::{collections::HashSet, fmt::Write as _};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};

/// How many characters of a text are a part that gives it away: 48 bits of base64.
const WINDOW: usize = 8;
/// How many bytes are such a part.
const BYTES: usize = 6;

/// The parts to look for, all of [`WINDOW`] characters or [`BYTES`] bytes. Lists of numbers are looked for without
/// whatever stands between the numbers.
#[derive(Default)]
pub(crate) struct Forms {
    texts: HashSet<Vec<u8>>,
    bytes: HashSet<Vec<u8>>,
    numbers: HashSet<Vec<u8>>,
}

impl Forms {
    /// Adds a secret that is a text: the text, and its bytes in every form.
    pub(crate) fn text(&mut self, what: &str, text: &str) {
        assert!(text.len() >= WINDOW, "{what} is too short to be told from others");
        self.texts.extend(text.as_bytes().windows(WINDOW).map(<[u8]>::to_vec));
        self.bytes(what, text.as_bytes());
    }

    /// Adds a secret that is bytes: as they are, as hex, as base64 wherever they begin, and as numbers.
    pub(crate) fn bytes(&mut self, what: &str, bytes: &[u8]) {
        assert!(bytes.len() >= WINDOW, "{what} is too short to be told from others");
        self.bytes.extend(bytes.windows(BYTES).map(<[u8]>::to_vec));
        let mut hex = String::new();
        for byte in bytes {
            let _ = write!(hex, "{byte:02x}");
        }
        for text in [hex.clone(), hex.to_uppercase()] {
            // Six bytes of hex, so that no number of eight digits is mistaken for them.
            self.numbers.extend(text.as_bytes().windows(2 * BYTES).map(<[u8]>::to_vec));
        }
        for skipped in 0..3 {
            let rest = &bytes[skipped..];
            for text in [BASE64_URL_SAFE_NO_PAD.encode(rest), BASE64_STANDARD_NO_PAD.encode(rest)] {
                // The last characters depend on what follows.
                let whole = rest.len() / 3 * 4;
                self.texts.extend(text.as_bytes()[..whole].windows(WINDOW).map(<[u8]>::to_vec));
            }
        }
        for window in bytes.windows(BYTES) {
            let decimal: Vec<_> = window.iter().map(u8::to_string).collect();
            let hexadecimal: Vec<_> = window.iter().map(|byte| format!("0x{byte:02x}")).collect();
            for numbers in [decimal, hexadecimal] {
                self.numbers.insert(numbers.join(",").into_bytes());
            }
        }
    }

    /// Returns a part of a secret that stands somewhere in the bytes, as text.
    pub(crate) fn find(&self, within: &[u8]) -> Option<String> {
        let show = |part: &[u8]| part.escape_ascii().to_string();
        let has = |set: &HashSet<Vec<u8>>, len: usize, within: &[u8]| {
            within.windows(len).find(|part| set.contains(*part)).map(show)
        };
        // `{:#?}` puts every number on a line of its own.
        let mut joined: Vec<u8> = within.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        joined.push(b',');
        has(&self.texts, WINDOW, within)
            .or_else(|| has(&self.bytes, BYTES, within))
            .or_else(|| has(&self.numbers, 2 * BYTES, &joined))
            .or_else(|| self.find_numbers(&joined).map(|part| show(&part)))
    }

    /// Looks for lists of numbers: at each number, the next [`BYTES`] of them.
    fn find_numbers(&self, joined: &[u8]) -> Option<Vec<u8>> {
        let is_number = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'x';
        let starts = (0..joined.len()).filter(|&at| is_number(&joined[at]) && (at == 0 || !is_number(&joined[at - 1])));
        for start in starts {
            let mut ends = (start..joined.len()).filter(|&at| !is_number(&joined[at]));
            if let Some(end) = ends.nth(BYTES - 1)
                && self.numbers.contains(&joined[start..end])
            {
                return Some(joined[start..end].to_vec());
            }
        }
        None
    }
}
