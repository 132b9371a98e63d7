//! What a settled request tells its application and its client.

use core::fmt;

use crate::{
    event::Events,
    step::{CommitError, End},
};

/// The verdict on a request's session: whether everything is stored that was asked for, and the only place where its
/// cookie can be had. The default is that of a request that never asked for its session.
#[must_use = "send its `headers`, look at its `result`"]
#[derive(Default)]
pub struct Verdict {
    pub(crate) accessed: bool,
    pub(crate) end: Option<End>,
    /// As the end, of the last commit. Rare, and long.
    pub(crate) error: Option<Box<CommitError>>,
    pub(crate) events: Events,
    /// The cookie that the request owes the client, be it from an earlier save.
    pub(crate) owed: Option<CookieLine>,
}

impl Verdict {
    /// Tells whether everything that the request asked for is stored.
    ///
    /// # Errors
    ///
    /// [`CommitError`]: the application must not tell its client that the request succeeded.
    pub fn result(&self) -> Result<(), CommitError> {
        self.error.as_deref().map_or(Ok(()), |error| Err(*error))
    }

    /// Returns what came of the end that the request asked for, if it did.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Returns what to do with the client's cookie. It stands on failure too: an earlier save of this request may owe
    /// one. A session that is held in several cookies has further lines: [`Verdict::headers`] has them all.
    pub fn cookie(&self) -> CookieChange<'_> {
        match &self.owed {
            None => CookieChange::Keep,
            Some(CookieLine { line, removes: true, .. }) => CookieChange::Clear(line),
            Some(CookieLine { line, removes: false, .. }) => CookieChange::Set(line),
        }
    }

    /// Returns the headers to merge into the response, names in lower case: `set-cookie` and, with it, `cache-control:
    /// no-store`; and `vary: Cookie` when the session was accessed.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let line = self.owed.as_ref().map(|cookie| cookie.line.as_str());
        let more = self.owed.iter().flat_map(|cookie| &cookie.more);
        let cookie = line.into_iter().chain(more.map(String::as_str)).map(|line| ("set-cookie", line));
        let cache = line.map(|_| ("cache-control", "no-store"));
        let vary = (self.accessed || line.is_some()).then_some(("vary", "Cookie"));
        cookie.chain(cache).chain(vary)
    }

    /// Returns what was noticed in the whole request so far.
    pub fn events(&self) -> &Events {
        &self.events
    }

    pub(crate) fn settle(&mut self, result: Result<(), CommitError>, end: Option<End>) {
        self.error = result.err().map(Box::new);
        self.end = end;
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verdict")
            .field("result", &self.result())
            .field("end", &self.end)
            .field("cookie", &self.cookie())
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

/// A `Set-Cookie` line that is owed to the client.
pub(crate) struct CookieLine {
    pub(crate) line: String,
    /// Those of the other pieces, where a session is held in several cookies.
    pub(crate) more: Vec<String>,
    pub(crate) removes: bool,
}

/// What to do with the client's cookie. The texts are values of a `Set-Cookie` header, and secret.
#[derive(Clone, Copy, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "a cookie is kept, set or cleared")]
pub enum CookieChange<'a> {
    /// Send this line, which removes the cookie: the session that it opened was ended by this request.
    Clear(&'a str),
    /// Send nothing.
    Keep,
    /// Send this line, which sets a ticket for a record that is stored.
    Set(&'a str),
}

impl CookieChange<'_> {
    /// Returns `clear`, `keep` or `set`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clear(_) => "clear",
            Self::Keep => "keep",
            Self::Set(_) => "set",
        }
    }
}

impl fmt::Debug for CookieChange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
