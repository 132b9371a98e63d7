//! What we write as `Set-Cookie`: one case for each attribute and each rule of RFC 6265bis, sections 4.1 and 5.6 to 5.7.

use std::time::Duration;

use cloakroom_core::{CookieError, CookiePolicy, SameSite};

/// A cookie and what we write for it.
pub(crate) struct Case {
    /// What it is about.
    pub(crate) about: &'static str,
    pub(crate) name: &'static str,
    pub(crate) policy: fn(CookiePolicy) -> CookiePolicy,
    pub(crate) value: &'static str,
    pub(crate) max_age: Option<Duration>,
    /// The attributes in alphabetical order, or the rule that is broken.
    pub(crate) writes: Result<&'static [&'static str], CookieError>,
}

const fn days(days: u64) -> Option<Duration> {
    Some(Duration::from_secs(days * 24 * 60 * 60))
}

macro_rules! cases {
    ($($about:literal: $name:literal, $policy:expr, $value:literal, $max_age:expr => $writes:expr;)+) => {
        &[$(Case { about: $about, name: $name, policy: $policy, value: $value, max_age: $max_age, writes: $writes }),+]
    };
}

const DEFAULT: Result<&[&str], CookieError> = Ok(&["httponly", "path=/", "samesite=Lax", "secure"]);

pub(crate) const CASES: &[Case] = cases![
    // The attributes.
    "the default": "__Host-id", |p| p, "x", None => DEFAULT;
    "for some days": "__Host-id", |p| p, "x", days(30)
        => Ok(&["httponly", "max-age=2592000", "path=/", "samesite=Lax", "secure"]);
    "for a part of a second": "__Host-id", |p| p, "x", Some(Duration::from_millis(1))
        => Ok(&["httponly", "max-age=1", "path=/", "samesite=Lax", "secure"]);
    "for a time that has run out": "__Host-id", |p| p, "x", Some(Duration::ZERO)
        => Ok(&["httponly", "max-age=1", "path=/", "samesite=Lax", "secure"]);
    "for as long as browsers keep": "__Host-id", |p| p, "x", days(400)
        => Ok(&["httponly", "max-age=34560000", "path=/", "samesite=Lax", "secure"]);
    "strictly same-site": "__Host-id", |p| p.same_site(SameSite::Strict), "x", None
        => Ok(&["httponly", "path=/", "samesite=Strict", "secure"]);
    "cross-site": "__Host-id", |p| p.same_site(SameSite::None), "x", None
        => Ok(&["httponly", "path=/", "samesite=None", "secure"]);
    "partitioned": "__Host-id", CookiePolicy::partitioned, "x", None
        => Ok(&["httponly", "partitioned", "path=/", "samesite=Lax", "secure"]);
    "readable by scripts": "__Host-id", CookiePolicy::dangerous_script_readable, "x", None
        => Ok(&["path=/", "samesite=Lax", "secure"]);
    "without Secure": "id", CookiePolicy::dangerous_insecure, "x", None => Ok(&["httponly", "path=/", "samesite=Lax"]);
    "for a domain": "id", |p| p.dangerous_domain("a.example"), "x", None
        => Ok(&["domain=a.example", "httponly", "path=/", "samesite=Lax", "secure"]);
    "for a host without a dot": "id", |p| p.dangerous_domain("localhost"), "x", None
        => Ok(&["domain=localhost", "httponly", "path=/", "samesite=Lax", "secure"]);
    "for an international domain, encoded": "id", |p| p.dangerous_domain("xn--bcher-kva.example"), "x", None
        => Ok(&["domain=xn--bcher-kva.example", "httponly", "path=/", "samesite=Lax", "secure"]);
    "below a path": "id", |p| p.path("/shop"), "x", None => Ok(&["httponly", "path=/shop", "samesite=Lax", "secure"]);
    "below a path with every character of one": "id", |p| p.path("/aZ09-._~%20!$&'()*+,=:@/"), "x", None
        => Ok(&["httponly", "path=/aZ09-._~%20!$&'()*+,=:@/", "samesite=Lax", "secure"]);

    // Prefixes, in whatever letters.
    "__Host- without Secure": "__Host-id", CookiePolicy::dangerous_insecure, "x", None
        => Err(CookieError::PrefixNeedsSecure);
    "__host- without Secure": "__host-id", CookiePolicy::dangerous_insecure, "x", None
        => Err(CookieError::PrefixNeedsSecure);
    "__Host- with a domain": "__Host-id", |p| p.dangerous_domain("a.example"), "x", None => Err(CookieError::HostPrefix);
    "__HOST- with a domain": "__HOST-id", |p| p.dangerous_domain("a.example"), "x", None => Err(CookieError::HostPrefix);
    "__Host- below a path": "__Host-id", |p| p.path("/shop"), "x", None => Err(CookieError::HostPrefix);
    "__Host- alone for a name": "__Host-", CookiePolicy::dangerous_insecure, "x", None
        => Err(CookieError::PrefixNeedsSecure);
    "__Secure- without Secure": "__Secure-id", CookiePolicy::dangerous_insecure, "x", None
        => Err(CookieError::PrefixNeedsSecure);
    "__sEcUrE- without Secure": "__sEcUrE-id", CookiePolicy::dangerous_insecure, "x", None
        => Err(CookieError::PrefixNeedsSecure);
    "__Secure- with a domain below a path": "__Secure-id", |p| p.dangerous_domain("a.example").path("/shop"), "x", None
        => Ok(&["domain=a.example", "httponly", "path=/shop", "samesite=Lax", "secure"]);
    "__Http- readable by scripts": "__Http-id", CookiePolicy::dangerous_script_readable, "x", None
        => Err(CookieError::HttpPrefix);
    "__Host-Http- readable by scripts": "__Host-Http-id", CookiePolicy::dangerous_script_readable, "x", None
        => Err(CookieError::HttpPrefix);
    "a prefix that is not quite one": "__Hostid", |p| p.dangerous_insecure().path("/shop"), "x", None
        => Ok(&["httponly", "path=/shop", "samesite=Lax"]);

    // What needs Secure.
    "cross-site without Secure": "id", |p| p.same_site(SameSite::None).dangerous_insecure(), "x", None
        => Err(CookieError::SameSiteNoneNeedsSecure);
    "partitioned without Secure": "id", |p| p.partitioned().dangerous_insecure(), "x", None
        => Err(CookieError::PartitionedNeedsSecure);

    // Values.
    "every character of a value": "__Host-id", |p| p, "!#$%&'()*+-./09:<=>?@AZ[]^_`az{|}~", None => DEFAULT;
    "an empty value, which only a removal has": "__Host-id", |p| p, "", None => Err(CookieError::InvalidValue);
    "a semicolon": "__Host-id", |p| p, "a;b", None => Err(CookieError::InvalidValue);
    "a comma": "__Host-id", |p| p, "a,b", None => Err(CookieError::InvalidValue);
    "a blank": "__Host-id", |p| p, "a b", None => Err(CookieError::InvalidValue);
    "a tab": "__Host-id", |p| p, "a\tb", None => Err(CookieError::InvalidValue);
    "quotes": "__Host-id", |p| p, "\"a\"", None => Err(CookieError::InvalidValue);
    "a backslash": "__Host-id", |p| p, "a\\b", None => Err(CookieError::InvalidValue);
    "a line end": "__Host-id", |p| p, "a\r\nSet-Cookie: b=c", None => Err(CookieError::InvalidValue);
    "NUL": "__Host-id", |p| p, "a\0b", None => Err(CookieError::InvalidValue);
    "DEL": "__Host-id", |p| p, "a\x7fb", None => Err(CookieError::InvalidValue);
    "what is no ASCII": "__Host-id", |p| p, "ä", None => Err(CookieError::InvalidValue);

    // Domains and paths.
    "a domain with a leading dot": "id", |p| p.dangerous_domain(".a.example"), "x", None
        => Err(CookieError::InvalidDomain);
    "an empty domain": "id", |p| p.dangerous_domain(""), "x", None => Err(CookieError::InvalidDomain);
    "a domain with an attribute behind it": "id", |p| p.dangerous_domain("a.example; Path=/x"), "x", None
        => Err(CookieError::InvalidDomain);
    "a domain with an empty label": "id", |p| p.dangerous_domain("a..example"), "x", None
        => Err(CookieError::InvalidDomain);
    "a domain with a hyphen at a label's end": "id", |p| p.dangerous_domain("a-.example"), "x", None
        => Err(CookieError::InvalidDomain);
    "a domain that is no ASCII": "id", |p| p.dangerous_domain("bücher.example"), "x", None
        => Err(CookieError::InvalidDomain);
    "a domain with a port": "id", |p| p.dangerous_domain("a.example:8080"), "x", None
        => Err(CookieError::InvalidDomain);
    "an IPv6 address": "id", |p| p.dangerous_domain("[::1]"), "x", None => Err(CookieError::InvalidDomain);
    "an empty path": "id", |p| p.path(""), "x", None => Err(CookieError::InvalidPath);
    "a path without a slash": "id", |p| p.path("shop"), "x", None => Err(CookieError::InvalidPath);
    "a path with an attribute behind it": "id", |p| p.path("/; Domain=example"), "x", None
        => Err(CookieError::InvalidPath);
    "a path with a line end": "id", |p| p.path("/\r\n"), "x", None => Err(CookieError::InvalidPath);
    "a path with a blank": "id", |p| p.path("/a b"), "x", None => Err(CookieError::InvalidPath);
    "a path with quotes": "id", |p| p.path("/\"a\""), "x", None => Err(CookieError::InvalidPath);
    "a path with a query": "id", |p| p.path("/a?b"), "x", None => Err(CookieError::InvalidPath);
    "a path with a blank at its end, which is trimmed": "id", |p| p.path("/shop "), "x", None
        => Err(CookieError::InvalidPath);
    "a path that is no ASCII": "id", |p| p.path("/ä"), "x", None => Err(CookieError::InvalidPath);
    "a path as long as browsers keep": "id", |p| p.path("/".repeat(1024)), "x", None
        => Ok(&["httponly", "path=/{1024}", "samesite=Lax", "secure"]);
    "a path longer than that": "id", |p| p.path("/".repeat(1025)), "x", None => Err(CookieError::InvalidPath);

    // Times.
    "longer than browsers keep": "__Host-id", |p| p, "x", Some(Duration::from_millis(34_560_000_001))
        => Err(CookieError::MaxAge);
    "for ever": "__Host-id", |p| p, "x", Some(Duration::MAX) => Err(CookieError::MaxAge);
];
