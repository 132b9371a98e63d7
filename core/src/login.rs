//! What an application says when it signs somebody in.

use core::fmt;

use crate::{
    data::Data,
    edits::Edits,
    json::Json,
    lifetime::Lifetime,
    limits::MAX_LISTED,
    principal::{Label, Principal},
};

/// How somebody is signed in: what is carried over, for how long, and how many sessions the user may have.
///
/// Nothing is carried over by default: what an anonymous visitor put into the session, or somebody else into the browser
/// that the visitor uses, does not become the user's.
#[derive(Clone, Default)]
#[must_use = "hand it to `Loaded::login`"]
pub struct Login {
    pub(crate) carried: Vec<String>,
    pub(crate) label: Option<Label>,
    pub(crate) lifetime: Option<Lifetime>,
    pub(crate) limit: Option<(usize, Excess)>,
}

impl Login {
    /// Makes one that carries nothing over, lasts as long as the engine's sessions do, and sets no limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Carries the value of a key over from the session that the visitor had, unless somebody else is signed in there.
    pub fn carry(mut self, key: impl Into<String>) -> Self {
        self.carried.push(key.into());
        self
    }

    /// Sets the text that tells the user's devices apart; see [`Label::new`].
    pub fn label(mut self, text: &str) -> Self {
        self.label = Label::new(text);
        self
    }

    /// Sets the lifetime ("remember me"); by default that of the engine's new sessions.
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Lets the user have at most so many sessions, 1 to [`MAX_LISTED`], this one included. It needs a store that keeps an
    /// index.
    pub fn at_most(mut self, sessions: usize, excess: Excess) -> Self {
        self.limit = Some((sessions.clamp(1, MAX_LISTED), excess));
        self
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("carried", &self.carried.len())
            .field("label", &self.label)
            .field("lifetime", &self.lifetime)
            .field("limit", &self.limit)
            .finish()
    }
}

/// What happens to a login that would give the user more sessions than allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "either the new session or an old one gives way")]
pub enum Excess {
    /// The oldest sessions are ended.
    EndOldest,
    /// The login is refused with [`CommitError::TooManySessions`](crate::CommitError::TooManySessions).
    Refuse,
}

/// A login that a request asked for.
pub(crate) struct LoginMark {
    pub(crate) principal: Principal,
    pub(crate) label: Option<Label>,
    pub(crate) limit: Option<(usize, Excess)>,
    pub(crate) carry: Carry,
    /// What the request saw before.
    pub(crate) view: Data,
}

/// What a login takes over from the session before it.
#[derive(Default)]
pub(crate) struct Carry {
    pub(crate) keys: Vec<String>,
    /// The edits of the request before its login.
    pub(crate) edits: Edits,
}

impl Carry {
    /// Returns the values of the keys.
    pub(crate) fn pick(&self, from: &Data) -> Data {
        let mut picked = Data::new();
        for key in &self.keys {
            // Every text of a value is JSON.
            if let Some(Ok(value)) = from.raw(key).map(Json::parse) {
                picked.set(key, value);
            }
        }
        picked
    }
}

impl fmt::Debug for LoginMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginMark").field("carry", &self.carry.keys.len()).finish_non_exhaustive()
    }
}
