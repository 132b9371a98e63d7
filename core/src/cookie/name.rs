//! The name of a cookie.

use core::{error::Error, fmt, str::FromStr};

use crate::limits::MAX_COOKIE_ATTRIBUTE;

/// A cookie's name: a token (RFC 9110, section 5.6.2), and never empty.
#[derive(Clone, Eq, PartialEq)]
pub struct CookieName(String);

impl CookieName {
    /// Takes a name.
    ///
    /// # Errors
    ///
    /// [`InvalidCookieName`] unless it has 1 to 1024 characters, all of them letters, digits or ``!#$%&'*+-.^_`|~``.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidCookieName> {
        let name = name.into();
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || name.len() > MAX_COOKIE_ATTRIBUTE || !name.bytes().all(is_token) {
            return Err(InvalidCookieName);
        }
        Ok(Self(name))
    }

    /// Takes a constant that is a token.
    pub(super) fn constant(name: &'static str) -> Self {
        Self(name.to_owned())
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether the name starts with a prefix that user agents look at; they compare it without regard to case.
    pub(super) fn has_prefix(&self, prefix: &str) -> bool {
        self.0.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    }
}

impl FromStr for CookieName {
    type Err = InvalidCookieName;

    fn from_str(name: &str) -> Result<Self, InvalidCookieName> {
        Self::new(name)
    }
}

impl fmt::Debug for CookieName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for CookieName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no cookie name.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct InvalidCookieName;

impl fmt::Display for InvalidCookieName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cookie name has 1 to 1024 characters: letters, digits and !#$%&'*+-.^_`|~")
    }
}

impl Error for InvalidCookieName {}
