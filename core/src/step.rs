//! The end of a request: operations to do, then the verdict with the cookie.

use core::{error::Error, fmt};

use crate::{
    cookie::CookieError,
    data::Data,
    edits::ReplayError,
    event::Events,
    machine::{
        admission::{Admitted, read_again},
        protocol::Commit,
    },
    op::{Op, Outcome},
    session::{Session, Shell, State},
    time::UnixTime,
    wire::codec::DecodeError,
};

/// What comes next after [`Session::commit`] or [`Io::resume`].
#[must_use = "match on it: an `Io` must be done and resumed, a `Done` holds the cookie"]
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "a driver must handle both")]
#[allow(clippy::large_enum_variant, reason = "an untouched request must not allocate")]
pub enum Step {
    /// The request's session is settled.
    Done(Done),
    /// The store must do something.
    Io(Io),
}

impl Step {
    /// Does all operations with `perform` until the session is settled; for drivers that block.
    ///
    /// `now` is asked before each step, so that time spent in the store counts.
    pub fn run(self, mut perform: impl FnMut(&Op) -> Outcome, mut now: impl FnMut() -> UnixTime) -> Done {
        let mut step = self;
        loop {
            match step {
                Self::Done(done) => return done,
                Self::Io(io) => {
                    let outcome = perform(io.op());
                    step = io.resume(outcome, now());
                }
            }
        }
    }
}

/// One operation that the store must do before the commit goes on. Dropping it drops the request: what was written
/// stays, nothing more is, and no cookie is sent.
#[must_use = "do `op` and call `resume` with its outcome"]
pub struct Io {
    pub(crate) commit: Box<Commit>,
}

impl Io {
    /// Returns the operation to do.
    pub fn op(&self) -> &Op {
        self.commit.op()
    }

    /// Hands over how the operation ended. An outcome that the operation cannot have fails the commit.
    pub fn resume(self, outcome: Outcome, now: UnixTime) -> Step {
        self.commit.resume(outcome, now)
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").field("op", &self.op().kind()).finish_non_exhaustive()
    }
}

/// A settled request: its result, and the only place where its cookie can be had.
#[must_use = "send its `headers`, look at its `result`"]
pub struct Done {
    shell: Shell,
    result: Result<(), CommitError>,
    end: Option<End>,
    after: After,
}

/// Where a request's session goes on after a save.
#[allow(clippy::large_enum_variant, reason = "an untouched request must not allocate")]
pub(crate) enum After {
    State(State),
    /// What was written is the new base; it is decoded only if the request goes on.
    Written(Admitted),
}

impl Done {
    pub(crate) fn new(shell: Shell, result: Result<(), CommitError>, end: Option<End>, after: After) -> Self {
        Self { shell, result, end, after }
    }

    /// Tells whether everything that the request asked for is stored.
    ///
    /// # Errors
    ///
    /// [`CommitError`]: the application must not tell its client that the request succeeded.
    pub fn result(&self) -> Result<(), CommitError> {
        self.result
    }

    /// Returns what came of the end that the request asked for, if it did.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Returns what to do with the client's cookie. It stands on failure too: an earlier save of this request may owe
    /// one. A session that is held in several cookies has further lines: [`Done::headers`] has them all.
    pub fn cookie(&self) -> CookieChange<'_> {
        match &self.shell.owed {
            None => CookieChange::Keep,
            Some(CookieLine { line, removes: true, .. }) => CookieChange::Clear(line),
            Some(CookieLine { line, removes: false, .. }) => CookieChange::Set(line),
        }
    }

    /// Returns the headers to merge into the response, names in lower case: `set-cookie` and, with it, `cache-control:
    /// no-store`; and `vary: Cookie` when the session was accessed.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let line = self.shell.owed.as_ref().map(|cookie| cookie.line.as_str());
        let more = self.shell.owed.iter().flat_map(|cookie| &cookie.more);
        let cookie = line.into_iter().chain(more.map(String::as_str)).map(|line| ("set-cookie", line));
        let cache = line.map(|_| ("cache-control", "no-store"));
        let vary = (self.shell.accessed || line.is_some()).then_some(("vary", "Cookie"));
        cookie.chain(cache).chain(vary)
    }

    /// Returns what was noticed in the whole request so far.
    pub fn events(&self) -> &Events {
        &self.shell.events
    }

    /// Goes on with the request after a save. The cookie that is owed is kept, and later commits replace it; an end
    /// that failed is tried again by the next commit, other edits of a failed commit are dropped.
    pub fn reopen(self) -> Session {
        let state = match self.after {
            After::State(state) => state,
            After::Written(admitted) => read_again(&self.shell.policy, admitted),
        };
        Session::from_parts(self.shell, state)
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cookie = match self.cookie() {
            CookieChange::Clear(_) => "clear",
            CookieChange::Keep => "keep",
            CookieChange::Set(_) => "set",
        };
        f.debug_struct("Done")
            .field("result", &self.result)
            .field("end", &self.end)
            .field("cookie", &cookie)
            .field("events", &self.shell.events)
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

/// The keys of a session's data that take the most room, with the bytes of key and value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Biggest([BigKey; Self::LEN]);

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct BigKey {
    /// The beginning of the key, up to whole characters.
    name: [u8; Self::SHOWN],
    len: u8,
    is_cut: bool,
    size: u32,
}

impl BigKey {
    const SHOWN: usize = 18;

    fn name(&self) -> &str {
        str::from_utf8(&self.name[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl Biggest {
    const LEN: usize = 3;

    pub(crate) fn of(data: &Data) -> Self {
        let mut keys = [BigKey::default(); Self::LEN];
        let mut sizes: Vec<_> = data.iter().map(|(key, value)| (key.len() + value.len(), key)).collect();
        sizes.sort_by_key(|&(size, _)| core::cmp::Reverse(size));
        for (big, (size, key)) in keys.iter_mut().zip(sizes) {
            let shown = &key[..key.floor_char_boundary(BigKey::SHOWN)];
            big.name[..shown.len()].copy_from_slice(shown.as_bytes());
            // At most SHOWN.
            big.len = shown.len() as u8;
            big.is_cut = shown.len() < key.len();
            big.size = u32::try_from(size).unwrap_or(u32::MAX);
        }
        Self(keys)
    }

    /// Returns the beginnings of the keys, biggest first, with the bytes of key and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        self.0.iter().filter(|key| key.size > 0).map(|key| (key.name(), key.size))
    }
}

impl fmt::Display for Biggest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0[0].size == 0 {
            return f.write_str("none");
        }
        for (index, key) in self.0.iter().filter(|key| key.size > 0).enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            let dots = if key.is_cut { ".." } else { "" };
            write!(f, "{comma}{:?}{dots} ({} bytes)", key.name(), key.size)?;
        }
        Ok(())
    }
}

/// What came of an end that a request asked for.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// Another request had ended it; nothing opens any more, but the client may hold a newer ticket.
    AlreadyEnded,
    /// It is ended: no ticket of it ever opens anything again.
    Ended,
    /// It is not known to be ended, or known not to be.
    Failed,
    /// The request's ticket opened nothing, or there was none.
    NothingToEnd,
    /// The record had vanished after it was loaded: this ticket opens nothing, but no end is on record.
    Vanished,
}

/// Why a commit did not do all that was asked of it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CommitError {
    /// Tickets of several live sessions came together, or more than are read: the request has no session.
    Ambiguous,
    /// Others changed the session again and again; nothing was written. Try the request again.
    Contention,
    /// The cookie cannot be written.
    Cookie(CookieError),
    /// The session does not fit the cookies that it is held in; nothing was written.
    CookieTooLarge {
        /** The characters of the cookies' values, at most. */
        size: usize,
        /** Those that there is room for. */
        limit: usize,
        /** What takes the most room. */
        biggest: Biggest,
    },
    /// A cross-site request came without our cookie, which browsers withhold then: a new one would overwrite it.
    CrossSite,
    /// The codec cannot express the record.
    Encode,
    /// The source of randomness failed; nothing was written.
    Entropy,
    /// The store has something under an id that was just drawn: the randomness is broken.
    IdCollision,
    /// The session ended meanwhile, or had been given up before; the edits are gone and must not be tried again on it.
    Lost,
    /// A login was to look how many sessions the user has, and the store keeps no index.
    NoIndex,
    /// The store did not answer and could not be asked afterwards: the edits are stored, or not.
    OutcomeUnknown,
    /// The record would be larger than allowed; nothing was written.
    RecordTooLarge {
        /** Its bytes. */
        size: usize,
        /** Those that are allowed. */
        limit: usize,
    },
    /// An edit could not be done over what others wrote; nothing was written.
    Replay(ReplayError),
    /// The ticket was renewed away long ago. What it stood for may live on under its successor, and was not ended.
    StaleTicket,
    /// The store could not do it; nothing of it can be reached, now or later.
    Store,
    /// More time passed since the load than a request may take: nothing was written, or an end did not find what may have
    /// run out. Every further try of the request comes to the same.
    TooLate,
    /// The user has as many sessions as allowed, and the login was to be refused then.
    TooManySessions,
    /// The stored record does not decode.
    Undecodable(DecodeError),
    /// The driver handed over an outcome that the operation cannot have.
    UnexpectedOutcome,
    /// The record was gone when it was to be ended; see [`End::Vanished`].
    Vanished,
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ambiguous => "tickets of several sessions came together",
            Self::Contention => "too many others changed the session at the same time; try again",
            Self::Cookie(error) => return error.fmt(f),
            Self::CookieTooLarge { size, limit, biggest } => {
                return write!(
                    f,
                    "the session needs {size} characters in its cookie, {limit} fit; the biggest keys: {biggest}"
                );
            }
            Self::CrossSite => "a cross-site request without the session's cookie makes no session",
            Self::Encode => "the codec cannot express the record",
            Self::Entropy => "the source of randomness failed",
            Self::IdCollision => "an id that was just drawn is in use: the randomness is broken",
            Self::Lost => "the session was lost: it ended while the request was under way",
            Self::NoIndex => "the store keeps no index of users' sessions",
            Self::OutcomeUnknown => "the store did not say whether the changes were stored",
            Self::RecordTooLarge { size, limit } => {
                return write!(f, "the session's record has {size} bytes, {limit} are allowed");
            }
            Self::Replay(error) => return error.fmt(f),
            Self::StaleTicket => "the ticket was renewed long ago; nothing was ended",
            Self::Store => "the store could not do it",
            Self::TooLate => "the request took longer than is allowed between load and commit",
            Self::TooManySessions => "the user has as many sessions as allowed",
            Self::Undecodable(error) => return error.fmt(f),
            Self::UnexpectedOutcome => "the store's driver handed over an impossible outcome",
            Self::Vanished => "the session had vanished when it was to be ended",
        })
    }
}

impl Error for CommitError {}
