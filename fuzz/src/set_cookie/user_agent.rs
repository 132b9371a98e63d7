//! A user agent's cookies, written step by step from RFC 6265bis, section 5, and from nothing of ours.
//!
//! [`UserAgent::receive`] takes a `Set-Cookie` line as a response brings it, [`UserAgent::header`] returns the `Cookie` line
//! of a request. Beyond the RFC it knows `Partitioned` (CHIPS) and the prefixes `__Http-` and `__Host-Http-`. It has no list
//! of public suffixes, and takes every request for a same-site navigation by a user.

#[path = "cookie_date.rs"]
mod cookie_date;

use cookie_date::cookie_date;

/// Section 5.5: how long a cookie lives at most.
const LONGEST_SECONDS: i64 = 400 * 24 * 60 * 60;
/// Section 5.6: octets of name and value together, and of an attribute's value.
const LONGEST_PAIR: usize = 4096;
const LONGEST_ATTRIBUTE: usize = 1024;

/// A cookie as it is kept (section 5.7).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kept {
    pub name: Vec<u8>,
    pub value: Vec<u8>,
    /// Unix seconds; nothing for a session cookie.
    pub expires: Option<i64>,
    pub domain: String,
    pub host_only: bool,
    pub path: String,
    pub secure: bool,
    pub http_only: bool,
    pub same_site: Enforcement,
    pub partitioned: bool,
}

/// Section 5.6.7.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Enforcement {
    Default,
    Lax,
    None,
    Strict,
}

/// Why a line is ignored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ignored {
    ControlCharacter,
    Domain,
    Empty,
    Insecure,
    Prefix,
    TooLong,
}

/// A request's or response's place.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// In lower case.
    pub host: &'a str,
    pub path: &'a str,
    /// By a secure protocol, or to what counts as one.
    pub secure: bool,
    /// Unix seconds.
    pub now: i64,
}

/// What a line says (section 5.6).
#[derive(Debug, Default)]
pub struct Parsed {
    pub name: Vec<u8>,
    pub value: Vec<u8>,
    /// Names in lower case, values as they came, in order.
    pub attributes: Vec<(String, Vec<u8>)>,
}

impl Parsed {
    /// The last attribute of a name (section 5.7 takes it, wherever it asks for one).
    pub fn last(&self, name: &str) -> Option<&[u8]> {
        self.attributes.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }
}

/// Section 5.6: parses a `Set-Cookie` line.
pub fn parse(line: &[u8]) -> Result<Parsed, Ignored> {
    // Step 1.
    if line.iter().any(|byte| matches!(byte, 0x00..=0x08 | 0x0a..=0x1f | 0x7f)) {
        return Err(Ignored::ControlCharacter);
    }
    // Step 2.
    let (pair, unparsed) = match line.iter().position(|byte| *byte == b';') {
        Some(end) => line.split_at(end),
        None => (line, &[][..]),
    };
    // Steps 3 and 4.
    let (name, value) = split(pair).unwrap_or((b"", pair));
    let (name, value) = (trim(name).to_vec(), trim(value).to_vec());
    // Step 5.
    if name.len() + value.len() > LONGEST_PAIR {
        return Err(Ignored::TooLong);
    }
    // The attributes: each starts with the semicolon that ends what is before it.
    let mut attributes = Vec::new();
    for attribute in unparsed.split(|byte| *byte == b';').skip(1) {
        let (name, value) = split(attribute).unwrap_or((attribute, b""));
        let (name, value) = (trim(name), trim(value));
        // Step 6: it is ignored, the cookie is not.
        if value.len() <= LONGEST_ATTRIBUTE {
            attributes.push((String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()));
        }
    }
    Ok(Parsed { name, value, attributes })
}

/// The cookies of one user.
#[derive(Clone, Debug, Default)]
pub struct UserAgent {
    /// In the order in which they were made.
    pub kept: Vec<Kept>,
}

impl UserAgent {
    /// Section 5.7: keeps a cookie, or forgets one. Returns what is kept, or nothing when it has expired already.
    pub fn receive(&mut self, line: &[u8], from: Place<'_>) -> Result<Option<Kept>, Ignored> {
        let parsed = parse(line)?;
        // Steps 2 to 4; characters and length were looked at above.
        if parsed.name.is_empty() && parsed.value.is_empty() {
            return Err(Ignored::Empty);
        }
        let cookie = attributed(parsed, from)?;
        // Step 16: who is not secure leaves secure cookies alone.
        let shadows = |old: &Kept| {
            let domains = domain_matches(&old.domain, &cookie.domain) || domain_matches(&cookie.domain, &old.domain);
            old.secure && old.name == cookie.name && domains && path_matches(&cookie.path, &old.path)
        };
        if !cookie.secure && !from.secure && self.kept.iter().any(shadows) {
            return Err(Ignored::Insecure);
        }
        // Step 23: it takes the place of the one that it replaces.
        let is_same = |old: &Kept| {
            (&old.name, &old.domain, old.host_only, &old.path, old.partitioned)
                == (&cookie.name, &cookie.domain, cookie.host_only, &cookie.path, cookie.partitioned)
        };
        let lives = cookie.expires.is_none_or(|at| at > from.now);
        match (self.kept.iter().position(is_same), lives) {
            (Some(at), true) => self.kept[at] = cookie.clone(),
            (Some(at), false) => drop(self.kept.remove(at)),
            (None, true) => self.kept.push(cookie.clone()),
            (None, false) => {}
        }
        Ok(lives.then_some(cookie))
    }

    /// Section 5.8.3: the `Cookie` line of a request, if there is one.
    pub fn header(&self, to: Place<'_>) -> Option<Vec<u8>> {
        // Step 1.
        let is_sent = |cookie: &&Kept| {
            let is_host =
                if cookie.host_only { to.host == cookie.domain } else { domain_matches(to.host, &cookie.domain) };
            let lives = cookie.expires.is_none_or(|at| at > to.now);
            lives && is_host && path_matches(to.path, &cookie.path) && (to.secure || !cookie.secure)
        };
        let mut sent: Vec<&Kept> = self.kept.iter().filter(is_sent).collect();
        // Step 2: longer paths first; the sort is stable, so that the older of two comes first.
        sent.sort_by_key(|cookie| core::cmp::Reverse(cookie.path.len()));
        // Step 4.
        let pair = |cookie: &&Kept| match cookie.name.is_empty() {
            true => cookie.value.clone(),
            false => [&cookie.name[..], b"=", &cookie.value].concat(),
        };
        (!sent.is_empty()).then(|| sent.iter().map(pair).collect::<Vec<_>>().join(&b"; "[..]))
    }
}

/// Section 5.7, steps 6 to 22: what the attributes make of a cookie.
fn attributed(parsed: Parsed, from: Place<'_>) -> Result<Kept, Ignored> {
    // Step 6; a `Max-Age` outweighs every `Expires`.
    let expires = parsed.attributes.iter().rev().filter(|(name, _)| name == "expires");
    let ages = parsed.attributes.iter().rev().filter(|(name, _)| name == "max-age");
    let expires = ages
        .filter_map(|(_, value)| max_age(value, from.now))
        .next()
        .or_else(|| expires.filter_map(|(_, value)| expiry(value, from.now)).next());
    // Steps 7 to 10. Section 5.6.3: one leading dot does not count, and neither does case.
    let domain = parsed.last("domain").map(|value| value.strip_prefix(b".").unwrap_or(value).to_ascii_lowercase());
    let (domain, host_only) = match domain.filter(|domain| !domain.is_empty()) {
        None => (from.host.to_owned(), true),
        Some(domain) => {
            let domain = String::from_utf8(domain).ok().filter(|domain| domain.is_ascii()).ok_or(Ignored::Domain)?;
            if !domain_matches(from.host, &domain) {
                return Err(Ignored::Domain);
            }
            (domain, false)
        }
    };
    // Step 11. Section 5.6.4: what does not start with a slash is no path.
    let path = parsed.last("path").filter(|value| value.starts_with(b"/"));
    let path =
        path.map_or_else(|| default_path(from.path).to_owned(), |path| String::from_utf8_lossy(path).into_owned());
    // Steps 12 to 15.
    let (secure, http_only) = (parsed.last("secure").is_some(), parsed.last("httponly").is_some());
    if secure && !from.secure {
        return Err(Ignored::Insecure);
    }
    // Steps 17 to 19.
    let same_site = parsed.last("samesite").map_or(Enforcement::Default, enforcement);
    if same_site == Enforcement::None && !secure {
        return Err(Ignored::Insecure);
    }
    let partitioned = parsed.last("partitioned").is_some();
    if partitioned && !secure {
        return Err(Ignored::Insecure);
    }
    // Steps 20 to 22, and section 5.4.
    let is_host = host_only && path == "/" && parsed.last("path").is_some();
    let start = if parsed.name.is_empty() { &parsed.value } else { &parsed.name };
    let starts =
        |prefix: &str| start.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes()));
    let rules = [
        ("__Secure-", secure),
        ("__Host-", secure && is_host),
        ("__Http-", secure && http_only),
        ("__Host-Http-", secure && is_host && http_only),
    ];
    if rules.iter().any(|(prefix, holds)| starts(prefix) && (parsed.name.is_empty() || !holds)) {
        return Err(Ignored::Prefix);
    }
    let Parsed { name, value, .. } = parsed;
    Ok(Kept { name, value, expires, domain, host_only, path, secure, http_only, same_site, partitioned })
}

/// Section 5.6.2.
fn max_age(value: &[u8], now: i64) -> Option<i64> {
    let (digits, is_negative) = value.strip_prefix(b"-").map_or((value, false), |digits| (digits, true));
    if value.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds =
        digits.iter().fold(0_i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    Some(if is_negative || seconds == 0 { i64::MIN } else { now.saturating_add(seconds.min(LONGEST_SECONDS)) })
}

/// Section 5.6.1.
fn expiry(value: &[u8], now: i64) -> Option<i64> {
    Some(cookie_date(value)?.min(now.saturating_add(LONGEST_SECONDS)))
}

/// Section 5.6.7.
fn enforcement(value: &[u8]) -> Enforcement {
    match value.to_ascii_lowercase().as_slice() {
        b"lax" => Enforcement::Lax,
        b"none" => Enforcement::None,
        b"strict" => Enforcement::Strict,
        _ => Enforcement::Default,
    }
}

/// Section 5.1.3.
fn domain_matches(host: &str, domain: &str) -> bool {
    let is_name = !host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && !host.contains(':');
    host == domain || (is_name && host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')))
}

/// Section 5.1.4: where a cookie without a path belongs.
fn default_path(path: &str) -> &str {
    match path.rfind('/') {
        Some(end) if end > 0 && path.starts_with('/') => &path[..end],
        _ => "/",
    }
}

/// Section 5.1.4.
fn path_matches(path: &str, cookie: &str) -> bool {
    let rest = path.strip_prefix(cookie);
    rest.is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

fn split(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = pair.iter().position(|byte| *byte == b'=')?;
    Some((&pair[..at], &pair[at + 1..]))
}

/// Removes white space as the RFC means it: spaces and tabs.
fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}
