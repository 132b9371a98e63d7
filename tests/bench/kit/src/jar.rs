//! The cookies of one client.

use std::collections::BTreeMap;

/// What a client holds: names and values, as the last response left them.
#[derive(Clone, Debug, Default)]
pub struct Jar {
    cookies: BTreeMap<String, String>,
}

impl Jar {
    /// Takes what a response sets; an empty value, or `Max-Age=0`, removes.
    pub fn take(&mut self, set_cookies: &[String]) {
        for line in set_cookies {
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let Some((name, value)) = pair.split_once('=') else { continue };
            let is_removal = value.is_empty() || attributes.to_ascii_lowercase().contains("max-age=0");
            if is_removal {
                self.cookies.remove(name.trim());
            } else {
                self.cookies.insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
    }

    /// Returns a jar whose values are not what the server made: one character in the middle of each is another.
    ///
    /// # Panics
    ///
    /// Where there is no cookie: there would be nothing to forge.
    pub fn forged(&self) -> Self {
        assert!(!self.cookies.is_empty(), "the system has set no cookie");
        let forge = |value: &String| {
            let at = value.len() / 3;
            let mut bytes = value.clone().into_bytes();
            // Hexadecimal stays hexadecimal.
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
            String::from_utf8(bytes).expect("a cookie's value is ASCII")
        };
        Self { cookies: self.cookies.iter().map(|(name, value)| (name.clone(), forge(value))).collect() }
    }

    /// Returns the value of a `Cookie` header with our cookies in the middle of `foreign` ones.
    pub fn header(&self, foreign: usize) -> Option<String> {
        let others = |range: std::ops::Range<usize>| {
            range.map(|n| (format!("_other_{n}"), "GA1.2.1234567890.1700000000".to_owned()))
        };
        let pairs = others(0..foreign / 2).chain(self.cookies.clone()).chain(others(foreign / 2..foreign));
        let header: Vec<_> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
        (!header.is_empty()).then(|| header.join("; "))
    }
}
