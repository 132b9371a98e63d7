//! What an application may ask of its cookie.

use core::time::Duration;

use arbitrary::Arbitrary;
use cloakroom_core::{CookieName, CookiePolicy, SameSite};

use super::user_agent::{Enforcement, Kept, Place};

const PREFIXES: [&str; 8] = ["", "__Host-", "__Secure-", "__Http-", "__Host-Http-", "__hOST-", "__secure-", "_"];
const SAME_SITE: [(SameSite, Enforcement); 3] =
    [(SameSite::Lax, Enforcement::Lax), (SameSite::None, Enforcement::None), (SameSite::Strict, Enforcement::Strict)];
const NOW: i64 = 1_700_000_000;

#[derive(Arbitrary)]
pub(super) struct Wish<'a> {
    flags: u8,
    kinds: u8,
    age: u32,
    name: &'a str,
    path: &'a str,
    domain: &'a str,
    value: &'a str,
}

impl Wish<'_> {
    fn has(&self, bit: u8) -> bool {
        self.flags & bit != 0
    }

    pub(super) fn policy(&self) -> Option<CookiePolicy> {
        let prefix = PREFIXES[usize::from(self.kinds % 8)];
        let policy = CookiePolicy::named(CookieName::new(format!("{prefix}{}", self.name)).ok()?);
        let mut policy = policy.same_site(SAME_SITE[usize::from(self.kinds >> 4) % 3].0).path(self.path());
        policy = if self.has(2) { policy.dangerous_domain(self.domain) } else { policy };
        policy = if self.has(4) { policy.dangerous_insecure() } else { policy };
        policy = if self.has(8) { policy.dangerous_script_readable() } else { policy };
        Some(if self.has(16) { policy.partitioned() } else { policy })
    }

    /// Also a long one, so that the bounds are within reach.
    pub(super) fn value(&self) -> String {
        self.value.repeat(if self.has(32) { 64 } else { 1 })
    }

    pub(super) fn max_age(&self) -> Option<Duration> {
        self.has(64).then(|| Duration::from_millis(u64::from(self.age) << (self.kinds % 8)))
    }

    fn path(&self) -> &str {
        if self.has(1) { self.path } else { "/" }
    }

    pub(super) fn host(&self) -> String {
        if self.has(2) { self.domain.to_ascii_lowercase() } else { "app.example.org".to_owned() }
    }

    /// Where the application is.
    pub(super) fn place<'a>(&'a self, host: &'a str) -> Place<'a> {
        Place { host, path: self.path(), secure: !self.has(4), now: NOW }
    }

    /// What a user agent must make of it.
    pub(super) fn meant(&self, name: &CookieName) -> Kept {
        Kept {
            name: name.as_str().into(),
            value: self.value().into_bytes(),
            expires: self.max_age().map(|age| NOW + age.as_secs().max(1) as i64),
            domain: self.host(),
            host_only: !self.has(2),
            path: self.path().to_owned(),
            secure: !self.has(4),
            http_only: !self.has(8),
            same_site: SAME_SITE[usize::from(self.kinds >> 4) % 3].1,
            partitioned: self.has(16),
        }
    }
}
