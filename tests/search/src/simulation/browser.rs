//! A browser: what it keeps of a `Set-Cookie` line, and what it sends.

use super::rules::Broken;

/// The one cookie that it has of the site.
#[derive(Debug, Default)]
pub(super) struct Jar {
    kept: Option<Kept>,
}

#[derive(Debug)]
struct Kept {
    ticket: usize,
    /// Absent for a cookie that ends with the browser.
    expires: Option<i64>,
}

/// A `Set-Cookie` line of ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Line {
    pub(super) value: String,
    pub(super) max_age: Option<i64>,
}

impl Line {
    /// Reads a line as RFC 6265bis, section 5.6, and insists on what a `__Host-` cookie needs.
    pub(super) fn read(line: &str) -> Result<Self, Broken> {
        let broken = |how: &str| Broken { rule: "cookie's attributes", how: format!("{how}: {line}") };
        let mut parts = line.split(';').map(str::trim);
        let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).ok_or_else(|| broken("no pair"))?;
        let attributes: Vec<(&str, &str)> = parts.map(|part| part.split_once('=').unwrap_or((part, ""))).collect();
        let has = |name: &str, value: &str| {
            let mut there = attributes.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
            there.any(|(_, known)| known.eq_ignore_ascii_case(value))
        };
        let is_host = has("Secure", "") && has("Path", "/") && !attributes.iter().any(|(name, _)| *name == "Domain");
        if name != "__Host-id" || !is_host {
            return Err(broken("browsers drop it"));
        }
        if !has("HttpOnly", "") || !has("SameSite", "Lax") {
            return Err(broken("it is not kept from scripts or other sites"));
        }
        let max_age = attributes.iter().find(|(name, _)| *name == "Max-Age").map(|(_, value)| value.parse());
        let max_age = max_age.transpose().map_err(|_| broken("its age is no number"))?;
        Ok(Self { value: value.to_owned(), max_age })
    }

    pub(super) fn removes(&self) -> bool {
        self.max_age.is_some_and(|seconds| seconds <= 0)
    }
}

impl Jar {
    /// Keeps a ticket, for so many seconds.
    pub(super) fn keep(&mut self, ticket: usize, max_age: Option<i64>, now: i64) {
        self.kept = Some(Kept { ticket, expires: max_age.map(|seconds| now + 1000 * seconds) });
    }

    pub(super) fn remove(&mut self) {
        self.kept = None;
    }

    /// Ends the browser, and with it the cookies that were to end with it.
    pub(super) fn restart(&mut self) {
        self.kept = self.kept.take().filter(|kept| kept.expires.is_some());
    }

    /// Drops what has expired; tells whether something had.
    pub(super) fn expire(&mut self, now: i64) -> bool {
        let before = self.kept.is_some();
        self.kept = self.kept.take().filter(|kept| kept.expires.is_none_or(|at| now < at));
        before && self.kept.is_none()
    }

    /// Returns the ticket that it sends.
    pub(super) fn ticket(&self) -> Option<usize> {
        self.kept.as_ref().map(|kept| kept.ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_browsers_drop_or_that_tell_too_much_are_noticed() {
        let read = |line: &str| Line::read(line).map(|line| line.max_age).map_err(|broken| broken.rule);
        let whole = "__Host-id=x; HttpOnly; SameSite=Lax; Secure; Path=/";
        assert_eq!(read(whole), Ok(None));
        assert_eq!(read(&format!("{whole}; Max-Age=60")), Ok(Some(60)));
        for missing in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/"] {
            assert_eq!(read(&whole.replace(&format!("; {missing}"), "")), Err("cookie's attributes"), "{missing}");
        }
        assert!(read(&format!("{whole}; Domain=example.org")).is_err());
        assert!(read(&whole.replace("__Host-id", "id")).is_err());
        assert!(Line::read(&format!("{whole}; Max-Age=0")).is_ok_and(|line| line.removes()));
    }

    #[test]
    fn a_jar_keeps_cookies_for_as_long_as_it_was_told() {
        let mut jar = Jar::default();
        jar.keep(7, Some(10), 1000);
        jar.restart();
        assert!(!jar.expire(10_999));
        assert_eq!(jar.ticket(), Some(7));
        assert!(jar.expire(11_000));
        jar.keep(8, None, 0);
        jar.restart();
        assert_eq!(jar.ticket(), None);
    }
}
