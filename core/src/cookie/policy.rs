//! The attributes of our cookie, checked once, and the one function that writes its line.

use core::{error::Error, fmt, time::Duration};

use cookie::{
    Cookie,
    time::{Duration as Seconds, OffsetDateTime},
};

use super::name::CookieName;
use crate::limits::{MAX_COOKIE_AGE, MAX_COOKIE_ATTRIBUTE, MAX_COOKIE_PAIR};

/// The `SameSite` attribute (RFC 6265bis, section 5.6.7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "these are the values that user agents know")]
pub enum SameSite {
    /// Sent with same-site requests and with top-level navigations by safe methods.
    Lax,
    /// Sent with every request; needs `Secure`.
    None,
    /// Sent with same-site requests only.
    Strict,
}

/// How our cookie is named and which attributes it has.
///
/// The default is `__Host-id` with `Secure; HttpOnly; SameSite=Lax; Path=/` and no `Domain`: no other host and no
/// unencrypted page can plant it (ASVS 5.0, 3.3.1 to 3.3.4), and browsers take it on `http://localhost` too. Whatever
/// weakens that has a name that says so. [`Engine`](crate::Engine) checks it when it is built.
///
/// # Giving up `__Host-`
///
/// A cookie with a `Domain`, or with a name without the prefix, can be planted by every sibling subdomain and, without
/// `Secure`, by whoever sits on the network. They cannot forge a ticket, but they can plant a valid one of their own, so
/// that a visitor acts in the attacker's session, or many, so that the visitor's own is refused. When tickets of
/// different live sessions come together, or more than are looked at, the request has no session: reads are empty, and
/// every change and every end is an error until one of them expired or was cleared from the browser.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CookiePolicy {
    name: CookieName,
    domain: Option<String>,
    http_only: bool,
    partitioned: bool,
    path: String,
    same_site: SameSite,
    secure: bool,
}

impl CookiePolicy {
    /// The default name.
    pub const NAME: &'static str = "__Host-id";

    /// Makes the default policy under another name.
    pub fn named(name: CookieName) -> Self {
        Self {
            name,
            domain: None,
            http_only: true,
            partitioned: false,
            path: "/".to_owned(),
            same_site: SameSite::Lax,
            secure: true,
        }
    }

    /// Sends the cookie to all subdomains of `domain` too, which gives up `__Host-`: see above.
    #[must_use = "this returns the changed policy"]
    pub fn dangerous_domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sends the cookie over unencrypted connections too, where everybody on the network can read and plant it.
    #[must_use = "this returns the changed policy"]
    pub fn dangerous_insecure(mut self) -> Self {
        self.secure = false;
        self
    }

    /// Lets scripts of the page read the cookie, and with it any script that an attacker gets into the page.
    #[must_use = "this returns the changed policy"]
    pub fn dangerous_script_readable(mut self) -> Self {
        self.http_only = false;
        self
    }

    /// Keeps a jar per top-level site (CHIPS); needs `Secure`.
    #[must_use = "this returns the changed policy"]
    pub fn partitioned(mut self) -> Self {
        self.partitioned = true;
        self
    }

    /// Sends the cookie only below `path`. It is no protection between applications of one host.
    #[must_use = "this returns the changed policy"]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets the `SameSite` attribute; [`SameSite::None`] needs `Secure`.
    #[must_use = "this returns the changed policy"]
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Returns the name.
    pub fn name(&self) -> &CookieName {
        &self.name
    }

    /// Returns the `SameSite` attribute.
    pub(crate) fn same_site_setting(&self) -> SameSite {
        self.same_site
    }

    /// The same for a piece of a cookie that is split.
    pub(crate) fn piece(&self, index: usize) -> Result<Self, CookieError> {
        let name = CookieName::new(format!("{}-{index}", self.name))
            .map_err(|_| CookieError::TooLarge { len: self.name.as_str().len() })?;
        Ok(Self { name, ..self.clone() })
    }

    /// Checks that browsers will keep what this policy writes.
    ///
    /// # Errors
    ///
    /// [`CookieError`] names the rule that is broken.
    pub fn check(&self) -> Result<(), CookieError> {
        let is_host_only = self.domain.is_none() && self.path == "/";
        let host = self.name.has_prefix("__Host-");
        let http = self.name.has_prefix("__Http-") || self.name.has_prefix("__Host-Http-");
        if (host || http || self.name.has_prefix("__Secure-")) && !self.secure {
            return Err(CookieError::PrefixNeedsSecure);
        }
        if host && !is_host_only {
            return Err(CookieError::HostPrefix);
        }
        if http && !self.http_only {
            return Err(CookieError::HttpPrefix);
        }
        if self.same_site == SameSite::None && !self.secure {
            return Err(CookieError::SameSiteNoneNeedsSecure);
        }
        if self.partitioned && !self.secure {
            return Err(CookieError::PartitionedNeedsSecure);
        }
        let is_path = |path: &str| {
            path.starts_with('/')
                && path.len() <= MAX_COOKIE_ATTRIBUTE
                // Those of RFC 3986 but `;`: no request has a path with others, so that the cookie would never come back.
                && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,=:@".contains(&byte))
        };
        if !is_path(&self.path) {
            return Err(CookieError::InvalidPath);
        }
        if !self.domain.as_deref().is_none_or(is_domain) {
            return Err(CookieError::InvalidDomain);
        }
        Ok(())
    }

    /// Writes the line that sets the cookie; `max_age` makes it outlive the browser session.
    ///
    /// # Errors
    ///
    /// [`CookieError`] when a browser would drop or cut it, or when the value has characters that no cookie may have.
    pub fn set(&self, value: &str, max_age: Option<Duration>) -> Result<String, CookieError> {
        let is_octet = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\');
        if value.is_empty() || !value.bytes().all(is_octet) {
            return Err(CookieError::InvalidValue);
        }
        if max_age.is_some_and(|age| age > MAX_COOKIE_AGE) {
            return Err(CookieError::MaxAge);
        }
        // Whole seconds, never zero: that would remove the cookie.
        let seconds = max_age.map(|age| Seconds::seconds(i64::try_from(age.as_secs().max(1)).unwrap_or(i64::MAX)));
        self.line(value, seconds, false)
    }

    /// Writes the line that removes the cookie, with the attributes that set it.
    ///
    /// # Errors
    ///
    /// [`CookieError`] when a browser would drop it.
    pub fn removal(&self) -> Result<String, CookieError> {
        self.line("", Some(Seconds::ZERO), true)
    }

    fn line(&self, value: &str, max_age: Option<Seconds>, removes: bool) -> Result<String, CookieError> {
        self.check()?;
        let len = self.name.as_str().len() + value.len();
        if len > MAX_COOKIE_PAIR {
            return Err(CookieError::TooLarge { len });
        }
        let mut cookie = Cookie::new(self.name.as_str(), value);
        cookie.set_http_only(self.http_only);
        cookie.set_partitioned(self.partitioned);
        cookie.set_path(self.path.as_str());
        cookie.set_same_site(match self.same_site {
            SameSite::Lax => cookie::SameSite::Lax,
            SameSite::None => cookie::SameSite::None,
            SameSite::Strict => cookie::SameSite::Strict,
        });
        cookie.set_secure(self.secure);
        if let Some(domain) = &self.domain {
            cookie.set_domain(domain.as_str());
        }
        cookie.set_max_age(max_age);
        if removes {
            cookie.set_expires(OffsetDateTime::UNIX_EPOCH);
        }
        Ok(cookie.to_string())
    }
}

impl Default for CookiePolicy {
    fn default() -> Self {
        Self::named(CookieName::constant(Self::NAME))
    }
}

/// Letters, digits and hyphens in labels of 1 to 63, with no leading dot (RFC 1034, section 3.5).
fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    domain.len() <= 253 && domain.split('.').all(is_label)
}

/// Why a browser would drop or change a cookie.
#[non_exhaustive]
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum CookieError {
    /// `__Host-` needs `Path=/` and no `Domain`.
    HostPrefix,
    /// `__Http-` and `__Host-Http-` need `HttpOnly`.
    HttpPrefix,
    /// The domain is not a host name without a leading dot.
    InvalidDomain,
    /// The path does not start with `/`, is too long, or has characters that no path may have.
    InvalidPath,
    /// The value is empty or has characters that no cookie value may have.
    InvalidValue,
    /// `Max-Age` is more than the 400 days that browsers keep.
    MaxAge,
    /// `Partitioned` needs `Secure`.
    PartitionedNeedsSecure,
    /// `__Host-`, `__Secure-` and `__Http-` need `Secure`.
    PrefixNeedsSecure,
    /// `SameSite=None` needs `Secure`.
    SameSiteNoneNeedsSecure,
    /// Name and value are more than the 4096 bytes that browsers keep.
    TooLarge {
        /// The bytes of both.
        len: usize,
    },
}

impl fmt::Display for CookieError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HostPrefix => "a cookie named __Host- needs Path=/ and no Domain",
            Self::HttpPrefix => "a cookie named __Http- needs HttpOnly",
            Self::InvalidDomain => "the cookie's domain is not a host name without a leading dot",
            Self::InvalidPath => "the cookie's path does not start with /, is too long or has forbidden characters",
            Self::InvalidValue => "the cookie's value is empty or has forbidden characters",
            Self::MaxAge => "the cookie's Max-Age is more than the 400 days that browsers keep",
            Self::PartitionedNeedsSecure => "a partitioned cookie needs Secure",
            Self::PrefixNeedsSecure => "a cookie named __Host-, __Secure- or __Http- needs Secure",
            Self::SameSiteNoneNeedsSecure => "a cookie with SameSite=None needs Secure",
            Self::TooLarge { len } => {
                return write!(f, "the cookie's name and value have {len} bytes, browsers keep {MAX_COOKIE_PAIR}");
            }
        })
    }
}

impl Error for CookieError {}
