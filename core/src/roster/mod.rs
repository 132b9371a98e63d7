//! All sessions of one user: listed, and ended together or one by one.
//!
//! Both are machines like the commit's: each asks for one operation, and is resumed with its outcome. They need a store
//! that keeps an index ([`Op::List`]).
//!
//! ```text
//! list ──► Listing ──► for each: Loading ──┬─ Record ──► [Checking its predecessor] ──► listed
//!                                          └─ Moved, Ended, Absent ──► Unenrolling
//!
//! end ──► Listing ──► for each: Loading ──┬─ Record ──► Ending (the protocol's) ──► Unenrolling
//!            ▲                            ├─ Moved ──► Loading, and on
//!            │                            └─ Ended, Absent ──► Unenrolling
//!            └── again, until there was nothing left to end
//!
//! end, where sessions are held in cookies ──► Loading the user's tombstone ──► Create, or Replace ──► done
//! ```

mod ending;
mod listing;
mod revoking;

use core::{error::Error, fmt};

use crate::{
    id::Handle,
    op::{Op, Outcome},
    principal::Label,
    step::CommitError,
    time::UnixTime,
    wire::codec::DecodeError,
};

pub(crate) use self::{ending::Ending, listing::Listing, revoking::Revoking};

/// One of a user's sessions, as the user sees it.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// What to end it by.
    pub handle: Handle,
    /// When it was signed in.
    pub created: UnixTime,
    /// When it was last used, to the precision of the touch. Where its time to live is cut by the absolute deadline, the
    /// earliest time that this may have been.
    pub seen: UnixTime,
    /// What the application named it at the login.
    pub label: Option<Label>,
    /// It is the one that asks.
    pub current: bool,
}

/// Which of a user's sessions are ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "these are the three that users know")]
pub enum Which {
    /// All of them.
    All,
    /// The one of this handle.
    One(Handle),
    /// All but the one that asks; without one, all.
    Others,
}

/// Why a user's sessions were not listed, or not all ended.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RosterError {
    /// New sessions came as fast as they were ended. Try it again.
    Contention,
    /// One of them could not be ended.
    End(CommitError),
    /// The source of randomness failed.
    Entropy,
    /// The store keeps no index.
    NoIndex,
    /// The store could not do it.
    Store,
    /// What is stored does not decode, and may lead to a live session.
    Undecodable(DecodeError),
    /// The driver handed over an outcome that the operation cannot have.
    UnexpectedOutcome,
    /// No session has the handle; it may have ended or have a new one.
    UnknownHandle,
}

impl fmt::Display for RosterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Contention => "new sessions came as fast as they were ended; try again",
            Self::End(error) => return write!(f, "a session could not be ended: {error}"),
            Self::Entropy => "the source of randomness failed",
            Self::NoIndex => "the store keeps no index of users' sessions",
            Self::Store => "the store could not list or load the user's sessions",
            Self::Undecodable(error) => return error.fmt(f),
            Self::UnexpectedOutcome => "the store's driver handed over an impossible outcome",
            Self::UnknownHandle => "the user has no session of this handle",
        })
    }
}

impl Error for RosterError {}

/// What comes next: an operation, or the result.
#[must_use = "match on it: an `Io` must be done and resumed"]
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "a driver must handle both")]
pub enum RosterStep<T> {
    /// It is over.
    Done(Result<T, RosterError>),
    /// The store must do something.
    Io(RosterIo<T>),
}

impl<T> RosterStep<T> {
    /// Does all operations with `perform`; for drivers that block.
    ///
    /// # Errors
    ///
    /// [`RosterError`] says what is not known or not done.
    pub fn run(
        self,
        mut perform: impl FnMut(&Op) -> Outcome,
        mut now: impl FnMut() -> UnixTime,
    ) -> Result<T, RosterError> {
        let mut step = self;
        loop {
            match step {
                Self::Done(result) => return result,
                Self::Io(io) => {
                    let outcome = perform(io.op());
                    step = io.resume(outcome, now());
                }
            }
        }
    }
}

/// One operation that the store must do. Dropping it leaves the rest undone.
#[must_use = "do `op` and call `resume` with its outcome"]
pub struct RosterIo<T> {
    op: Box<Op>,
    machine: Box<dyn RosterMachine<T>>,
}

impl<T> RosterIo<T> {
    fn ask(op: Op, machine: impl RosterMachine<T> + 'static) -> RosterStep<T> {
        RosterStep::Io(Self { op: Box::new(op), machine: Box::new(machine) })
    }

    /// Returns the operation to do.
    pub fn op(&self) -> &Op {
        &self.op
    }

    /// Hands over how the operation ended.
    pub fn resume(self, outcome: Outcome, now: UnixTime) -> RosterStep<T> {
        if !self.op.admits(&outcome) {
            return RosterStep::Done(Err(RosterError::UnexpectedOutcome));
        }
        self.machine.resume(outcome, now)
    }
}

impl<T> fmt::Debug for RosterIo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RosterIo").field("op", &self.op.kind()).finish_non_exhaustive()
    }
}

/// A machine that waits for an operation.
trait RosterMachine<T>: Send {
    fn resume(self: Box<Self>, outcome: Outcome, now: UnixTime) -> RosterStep<T>;
}
