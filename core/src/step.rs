//! The end of a request: operations to do, then the verdict with the cookie.

use core::{error::Error, fmt};

use crate::{
    cookie::CookieError,
    data::Data,
    edits::ReplayError,
    event::Events,
    machine::{commit::Live, protocol::Commit},
    op::{Op, Outcome},
    session::{Session, State},
    time::UnixTime,
    verdict::{CookieChange, Verdict},
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
    /// Keeps the verdict alone, of a request that does not go on.
    ///
    /// # Errors
    ///
    /// No failure: the operation that is still to be done, as it came.
    #[inline]
    pub fn into_verdict(self) -> Result<Verdict, Io> {
        match self {
            // Not by `Done::into_verdict`, for which the session would be moved.
            Self::Done(Done(Settled::Committed(commit, _))) => Ok(commit.shell.verdict),
            Self::Done(Done(Settled::AsItWas(session))) => Ok(session.shell.verdict),
            Self::Io(io) => Err(io),
        }
    }

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

/// A settled request: its [`Verdict`], and its session should it go on. Drop it, or keep the verdict alone, where it does not.
#[must_use = "send its `headers`, look at its `result`"]
pub struct Done(Settled);

#[allow(clippy::large_enum_variant, reason = "an untouched request must not allocate")]
enum Settled {
    /// It goes on as it is: nothing was asked of the store.
    AsItWas(Session),
    Committed(Box<Commit>, After),
}

/// Where a request's session goes on after a commit.
pub(crate) enum After {
    State(Box<State>),
    /// What was written is the new base; it is decoded only if the request goes on.
    Written(Live),
}

impl Done {
    /// Ends the commit of a session that goes on as it is.
    pub(crate) fn as_it_was(mut session: Session, result: Result<(), CommitError>, end: Option<End>) -> Self {
        session.shell.verdict.settle(result, end);
        Self(Settled::AsItWas(session))
    }

    pub(crate) fn committed(commit: Box<Commit>, after: After) -> Self {
        Self(Settled::Committed(commit, after))
    }

    /// Tells whether everything that the request asked for is stored.
    ///
    /// # Errors
    ///
    /// See [`Verdict::result`].
    pub fn result(&self) -> Result<(), CommitError> {
        self.verdict().result()
    }

    /// Returns what came of the end that the request asked for. See [`Verdict::end`].
    pub fn end(&self) -> Option<End> {
        self.verdict().end()
    }

    /// Returns what to do with the client's cookie. See [`Verdict::cookie`].
    pub fn cookie(&self) -> CookieChange<'_> {
        self.verdict().cookie()
    }

    /// Returns the headers to merge into the response. See [`Verdict::headers`].
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.verdict().headers()
    }

    /// Returns what was noticed in the whole request so far.
    pub fn events(&self) -> &Events {
        self.verdict().events()
    }

    /// Goes on with the request after a save. The cookie that is owed is kept, and later commits replace it; an end
    /// that failed is tried again by the next commit, other edits of a failed commit are dropped.
    pub fn reopen(self) -> Session {
        match self.0 {
            Settled::AsItWas(session) => session,
            Settled::Committed(commit, after) => commit.reopen(after),
        }
    }

    /// Keeps the verdict alone, of a request that does not go on.
    pub fn into_verdict(self) -> Verdict {
        match self.0 {
            Settled::AsItWas(session) => session.shell.verdict,
            Settled::Committed(commit, _) => commit.shell.verdict,
        }
    }

    fn verdict(&self) -> &Verdict {
        match &self.0 {
            Settled::AsItWas(session) => &session.shell.verdict,
            Settled::Committed(commit, _) => &commit.shell.verdict,
        }
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Done").field(self.verdict()).finish()
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
