//! The operations that the machine asks for, and how they may end.

use core::time::Duration;

use crate::{
    id::StoreKey,
    value::{Stored, Value, Version},
};

/// A single atomic step of the store. There is no unconditional write.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "these eight are the protocol; a driver must know them all")]
pub enum Op {
    /// Store `value` only if nothing is under the key. Answers [`Outcome::Done`] or [`Outcome::Exists`].
    Create {
        /** Under which key. */
        key: StoreKey,
        /** What. */
        value: Value,
        /** For how long. */
        ttl: Duration,
    },
    /// Put a session's key into an index, to stay there for at least `ttl`; one that is there stays at least as long as
    /// before. Answers [`Outcome::Indexed`], or [`Outcome::Unsupported`] where the store keeps no index.
    Enroll {
        /** Into which index. */
        index: StoreKey,
        /** The session's key. */
        member: StoreKey,
        /** For how long. */
        ttl: Duration,
    },
    /// List the keys of an index. Answers [`Outcome::Listed`] or [`Outcome::Unsupported`].
    List {
        /** Which index. */
        index: StoreKey,
    },
    /// Look what is under the key. Answers [`Outcome::Found`] or [`Outcome::Absent`].
    Load {
        /** Under which key. */
        key: StoreKey,
    },
    /// Remove what is under the key only if it is unchanged. Answers [`Outcome::Removed`], [`Outcome::Conflict`]
    /// or [`Outcome::Absent`].
    Remove {
        /** Under which key. */
        key: StoreKey,
        /** As it was read. */
        version: Version,
    },
    /// Store `value` only if what is there is unchanged. Answers [`Outcome::Done`], [`Outcome::Conflict`] or
    /// [`Outcome::Absent`].
    Replace {
        /** Under which key. */
        key: StoreKey,
        /** As it was read. */
        version: Version,
        /** What. */
        value: Value,
        /** For how long. */
        ttl: Duration,
    },
    /// Keep what is there for `ttl` from now, only if it is unchanged; `value` is what was read, for stores that touch
    /// by rewriting. Answers [`Outcome::Done`], [`Outcome::Conflict`] or [`Outcome::Absent`].
    Touch {
        /** Under which key. */
        key: StoreKey,
        /** As it was read. */
        version: Version,
        /** As it was read. */
        value: Value,
        /** For how long. */
        ttl: Duration,
    },
    /// Take a session's key out of an index. Answers [`Outcome::Indexed`], also when it was not there, or
    /// [`Outcome::Unsupported`].
    Unenroll {
        /** Out of which index. */
        index: StoreKey,
        /** The session's key. */
        member: StoreKey,
    },
}

impl Op {
    /// Returns the key that the operation is about: a session's, or that of an index.
    pub fn key(&self) -> &StoreKey {
        match self {
            Self::Create { key, .. }
            | Self::Load { key }
            | Self::Remove { key, .. }
            | Self::Replace { key, .. }
            | Self::Touch { key, .. } => key,
            Self::Enroll { index, .. } | Self::List { index } | Self::Unenroll { index, .. } => index,
        }
    }

    /// Tells whether the operation can end so. Each can fail or leave its outcome unknown.
    pub(crate) fn admits(&self, outcome: &Outcome) -> bool {
        let of_index = matches!(self, Self::Enroll { .. } | Self::List { .. } | Self::Unenroll { .. });
        match outcome {
            Outcome::Failed | Outcome::Unknown => true,
            Outcome::Absent => !of_index && !matches!(self, Self::Create { .. }),
            Outcome::Conflict(_) => !of_index && !matches!(self, Self::Create { .. } | Self::Load { .. }),
            Outcome::Done(_) => !of_index && !matches!(self, Self::Load { .. } | Self::Remove { .. }),
            Outcome::Exists => matches!(self, Self::Create { .. }),
            Outcome::Found(_) => matches!(self, Self::Load { .. }),
            Outcome::Indexed => matches!(self, Self::Enroll { .. } | Self::Unenroll { .. }),
            Outcome::Listed(_) => matches!(self, Self::List { .. }),
            Outcome::Removed => matches!(self, Self::Remove { .. }),
            Outcome::Unsupported => of_index,
        }
    }

    /// Returns what kind of operation it is.
    pub fn kind(&self) -> OpKind {
        match self {
            Self::Create { .. } => OpKind::Create,
            Self::Enroll { .. } => OpKind::Enroll,
            Self::List { .. } => OpKind::List,
            Self::Load { .. } => OpKind::Load,
            Self::Remove { .. } => OpKind::Remove,
            Self::Replace { .. } => OpKind::Replace,
            Self::Touch { .. } => OpKind::Touch,
            Self::Unenroll { .. } => OpKind::Unenroll,
        }
    }
}

/// The eight kinds of operations, for logs and counters.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[allow(clippy::exhaustive_enums, reason = "these eight are the protocol")]
pub enum OpKind {
    /// [`Op::Create`]
    Create,
    /// [`Op::Enroll`]
    Enroll,
    /// [`Op::List`]
    List,
    /// [`Op::Load`]
    Load,
    /// [`Op::Remove`]
    Remove,
    /// [`Op::Replace`]
    Replace,
    /// [`Op::Touch`]
    Touch,
    /// [`Op::Unenroll`]
    Unenroll,
}

impl OpKind {
    /// Returns the name in lower case: `create`, `enroll`, `list`, `load`, `remove`, `replace`, `touch` or `unenroll`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Enroll => "enroll",
            Self::List => "list",
            Self::Load => "load",
            Self::Remove => "remove",
            Self::Replace => "replace",
            Self::Touch => "touch",
            Self::Unenroll => "unenroll",
        }
    }
}

/// How an operation ended.
///
/// An outcome that the operation cannot have is a fault of the driver or its store: the commit ends with
/// [`CommitError::UnexpectedOutcome`](crate::CommitError::UnexpectedOutcome).
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "these are the protocol; a driver must choose among them all")]
pub enum Outcome {
    /// Nothing was under the key.
    Absent,
    /// What is there is not what was read; with what is there, where the store can bring it.
    Conflict(Option<Stored>),
    /// It happened, and what is there has this version.
    Done(Version),
    /// Something is under the key of a [`Op::Create`] already.
    Exists,
    /// It did not happen and will not.
    Failed,
    /// What an [`Op::Load`] found.
    Found(Stored),
    /// An [`Op::Enroll`] or [`Op::Unenroll`] happened.
    Indexed,
    /// What an [`Op::List`] found.
    Listed(Members),
    /// An [`Op::Remove`] happened.
    Removed,
    /// It happened, did not happen, or will happen later: it timed out after it was sent.
    Unknown,
    /// The store keeps no index.
    Unsupported,
}

/// The keys of an index.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "stores build it")]
pub struct Members {
    /// At most [`MAX_LISTED`](crate::limits::MAX_LISTED) of them, in any order.
    pub keys: Vec<StoreKey>,
    /// How many there are.
    pub total: u64,
}
