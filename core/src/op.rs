//! The operations that the machine asks for, and how they may end.

use core::time::Duration;

use crate::{
    id::StoreKey,
    value::{Stored, Value, Version},
};

/// A single atomic step of the store. There is no unconditional write.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "these five are the protocol; a driver must know them all")]
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
}

impl Op {
    /// Returns the key that the operation is about.
    pub fn key(&self) -> &StoreKey {
        match self {
            Self::Create { key, .. }
            | Self::Load { key }
            | Self::Remove { key, .. }
            | Self::Replace { key, .. }
            | Self::Touch { key, .. } => key,
        }
    }

    /// Tells whether the operation can end so. Each can fail or leave its outcome unknown.
    pub(crate) fn admits(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Failed | Outcome::Unknown => true,
            Outcome::Absent => !matches!(self, Self::Create { .. }),
            Outcome::Conflict(_) => !matches!(self, Self::Create { .. } | Self::Load { .. }),
            Outcome::Done(_) => !matches!(self, Self::Load { .. } | Self::Remove { .. }),
            Outcome::Exists => matches!(self, Self::Create { .. }),
            Outcome::Found(_) => matches!(self, Self::Load { .. }),
            Outcome::Removed => matches!(self, Self::Remove { .. }),
        }
    }

    /// Returns what kind of operation it is.
    pub fn kind(&self) -> OpKind {
        match self {
            Self::Create { .. } => OpKind::Create,
            Self::Load { .. } => OpKind::Load,
            Self::Remove { .. } => OpKind::Remove,
            Self::Replace { .. } => OpKind::Replace,
            Self::Touch { .. } => OpKind::Touch,
        }
    }
}

/// The five kinds of operations, for logs and counters.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[allow(clippy::exhaustive_enums, reason = "these five are the protocol")]
pub enum OpKind {
    /// [`Op::Create`]
    Create,
    /// [`Op::Load`]
    Load,
    /// [`Op::Remove`]
    Remove,
    /// [`Op::Replace`]
    Replace,
    /// [`Op::Touch`]
    Touch,
}

impl OpKind {
    /// Returns the name in lower case: `create`, `load`, `remove`, `replace` or `touch`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Load => "load",
            Self::Remove => "remove",
            Self::Replace => "replace",
            Self::Touch => "touch",
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
    /// An [`Op::Remove`] happened.
    Removed,
    /// It happened, did not happen, or will happen later: it timed out after it was sent.
    Unknown,
}
