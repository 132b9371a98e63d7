//! Where to go on after a login, safely.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// A path and query of this site, at most [`ReturnTo::MAX_LEN`] bytes: never a way to another site ("open redirect",
/// ASVS 5.0, 3.7.2).
///
/// It starts with one slash that neither a slash nor a backslash follows, and has visible ASCII characters only, without
/// backslashes, so that no browser takes it for more than a path.
///
/// ```
/// use cloakroom_tower::ReturnTo;
///
/// assert_eq!(ReturnTo::parse("/posts?page=2").unwrap().as_str(), "/posts?page=2");
/// assert!(ReturnTo::parse("//evil.example").is_none());
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReturnTo(Box<str>);

impl ReturnTo {
    /// The most bytes.
    pub const MAX_LEN: usize = 2048;
    /// The parameter of the login page's query that has it.
    pub const PARAMETER: &'static str = "return_to";

    /// Takes a path and query; `None` for anything that may lead elsewhere.
    pub fn parse(text: &str) -> Option<Self> {
        let is_path = text.starts_with('/') && !text.starts_with("//");
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        (is_path && is_plain && text.len() <= Self::MAX_LEN).then(|| Self(text.into()))
    }

    /// Returns the path and query.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Writes it as `return_to=..`, for the query of the login page.
    pub fn query(&self) -> String {
        const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
        format!("{}={}", Self::PARAMETER, utf8_percent_encode(&self.0, ESCAPED))
    }
}
