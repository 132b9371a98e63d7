//! Sessions that live in the cookie: the client keeps the record, and the store only what was ended.
//!
//! The protocol is the same. What its operations mean differs (`jar.rs`, `answer.rs`): a record is put into the request's
//! jar, and the cookie that holds it is written at the end; a tombstone goes to the store, under a key that a session
//! shares with what it was elevated to.
//!
//! ```text
//! the machine asks               the store is asked
//! Load(id) ────────────────────► Load(lineage): no tombstone, or one that leads to this id ──► what the cookie holds
//!                                                another tombstone ──► that
//!           at admission, of a user: Load(user): an end of all since the login ──► nothing
//! Create(id, record) ──────────► at a login: Load(user), to note the last end of all
//! Replace(id, record) ─────────► nothing
//! Touch(id) ───────────────────► Load(lineage), so that no cookie of an ended session comes over its successor's
//! Replace(id, tombstone) ──────► Create(lineage, tombstone), or Replace over one that leads to this id
//! Enroll, Unenroll, List ──────► nothing: the store has no session to list
//! ```

mod answer;
mod jar;
mod pieces;
mod sealing;

use core::time::Duration;

use crate::{
    cookie::CookiePolicy,
    data::Data,
    engine::ConfigError,
    keyring::Keyring,
    limits::{MAX_COOKIE_PAIR, MAX_COOKIE_PIECES},
    step::{Biggest, CommitError},
    verdict::CookieLine,
};

pub(crate) use self::{
    answer::Answer,
    jar::{Asked, Jar, key_of},
    pieces::{Pieces, scan_pieces},
};
use self::{
    pieces::{HEAD, split},
    sealing::{Inside, Sealing},
};

/// How sessions are held in the cookie; see [`EngineBuilder::hold_in_cookie`](crate::EngineBuilder::hold_in_cookie).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CookieHeld {
    pieces: usize,
    is_readable: bool,
}

impl CookieHeld {
    /// Encrypts and authenticates with AES-256-GCM-SIV (RFC 8452), under a key that is derived for the engine and the
    /// cookie's name. Key id, format, engine and name are bound. One cookie: about 2,700 bytes of data.
    pub fn encrypted() -> Self {
        Self { pieces: 1, is_readable: false }
    }

    /// Signs with HMAC-SHA-256, and encrypts nothing: the client, and whoever sees its cookie, reads all of the session.
    pub fn dangerous_readable() -> Self {
        Self { pieces: 1, is_readable: true }
    }

    /// Splits what does not fit one cookie over up to this many, 1 to 15; by default 1. They are named like the first, with
    /// `-1`, `-2` and so on, which must be nobody else's, and open only all together. Every request carries them all: servers and proxies refuse headers
    /// beyond 8 to 64 KiB.
    #[must_use = "this returns the changed setting"]
    pub fn pieces(mut self, most: usize) -> Self {
        self.pieces = most;
        self
    }
}

impl Default for CookieHeld {
    fn default() -> Self {
        Self::encrypted()
    }
}

/// The setting as it is used.
#[derive(Debug)]
pub(crate) struct Holder {
    sealing: Sealing,
    /// How each piece is written, with the line that removes it.
    cookies: Vec<(CookiePolicy, String)>,
    /// Bytes of text in each of several pieces.
    chunk: usize,
}

impl Holder {
    pub(crate) fn new(
        held: CookieHeld,
        ring: &Keyring,
        engine: &str,
        cookie: &CookiePolicy,
    ) -> Result<Self, ConfigError> {
        if !(1..=MAX_COOKIE_PIECES).contains(&held.pieces) {
            return Err(ConfigError::CookiePieces);
        }
        let mut cookies = vec![(cookie.clone(), cookie.removal()?)];
        for index in 1..held.pieces {
            let piece = cookie.piece(index)?;
            let removal = piece.removal()?;
            cookies.push((piece, removal));
        }
        let longest = cookies.iter().map(|(piece, _)| piece.name().as_str().len()).max().unwrap_or_default();
        // A name that leaves no room is refused when its removal is written.
        let chunk = MAX_COOKIE_PAIR.saturating_sub(longest + HEAD);
        Ok(Self { sealing: Sealing::new(held.is_readable, ring, engine, cookie.name().as_str()), cookies, chunk })
    }

    /// How many cookies a session may be split over.
    pub(crate) fn pieces(&self) -> usize {
        self.cookies.len()
    }

    /// Tells whether a record of so many bytes fits.
    pub(crate) fn check(&self, record: usize, data: &Data) -> Result<(), CommitError> {
        let text = Sealing::text_len(record);
        let whole = MAX_COOKIE_PAIR - self.cookies[0].0.name().as_str().len();
        let limit = if self.pieces() > 1 { whole.max(self.chunk * self.cookies.len()) } else { whole };
        if text <= limit {
            return Ok(());
        }
        Err(CommitError::CookieTooLarge { size: text, limit, biggest: Biggest::of(data) })
    }

    /// Writes the lines that set what is held, and remove the pieces that the client has beside it.
    fn lines(&self, inside: &Inside, max_age: Option<Duration>, present: u16) -> Result<CookieLine, CommitError> {
        let text = self.sealing.seal(inside).ok_or(CommitError::Encode)?;
        let whole = MAX_COOKIE_PAIR - self.cookies[0].0.name().as_str().len();
        let values = if text.len() <= whole { vec![text] } else { split(&text, self.chunk) };
        let mut lines = Vec::with_capacity(values.len());
        for (value, (cookie, _)) in values.iter().zip(&self.cookies) {
            lines.push(cookie.set(value, max_age).map_err(CommitError::Cookie)?);
        }
        lines.extend(self.removals(values.len(), present));
        let line = lines.remove(0);
        Ok(CookieLine { line, more: lines, removes: false })
    }

    /// The lines that remove the pieces from one on that the client has.
    pub(crate) fn removals(&self, from: usize, present: u16) -> impl Iterator<Item = String> + '_ {
        let pieces = self.cookies.iter().enumerate().skip(from);
        pieces.filter(move |(index, _)| present & (1 << index) != 0).map(|(_, (_, removal))| removal.clone())
    }
}
