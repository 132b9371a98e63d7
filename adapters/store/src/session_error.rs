//! Why something asked of a session failed.

use std::{error::Error, fmt};

use cloakroom_core::{CommitError, EditError, LoadError, RosterError};

use crate::error::StoreError;

/// Why an access to a session, or its commit, failed.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum SessionError {
    /// The request's session was committed already; a leftover handle reads and writes nothing.
    Closed,
    /// The commit did not do all that was asked of it.
    Commit(CommitError),
    /// An edit or a read failed; the data is as before.
    Edit(EditError),
    /// The commit broke down: a function of an update panicked, a clone of the handle was kept in the middle of a load, or
    /// the runtime shut down.
    Interrupted,
    /// What was loaded could not be used.
    Load(LoadError),
    /// The user's sessions were not listed, or not all ended.
    Roster(RosterError),
    /// The store could not be asked.
    Store(StoreError),
    /// The store is down and the request is served without a session: nothing can be written.
    Unavailable,
}

impl From<CommitError> for SessionError {
    fn from(error: CommitError) -> Self {
        Self::Commit(error)
    }
}

impl From<EditError> for SessionError {
    fn from(error: EditError) -> Self {
        Self::Edit(error)
    }
}

impl From<RosterError> for SessionError {
    fn from(error: RosterError) -> Self {
        Self::Roster(error)
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the request's session was committed already"),
            Self::Commit(error) => error.fmt(f),
            Self::Edit(error) => error.fmt(f),
            Self::Interrupted => f.write_str("the commit of the session broke down"),
            Self::Load(error) => error.fmt(f),
            Self::Roster(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Unavailable => f.write_str("the store is down; the request is served without a session"),
        }
    }
}

impl Error for SessionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // Its words are said already.
            Self::Commit(error) => error.source(),
            Self::Edit(error) => error.source(),
            Self::Load(error) => error.source(),
            Self::Roster(error) => error.source(),
            Self::Store(error) => error.source(),
            Self::Closed | Self::Interrupted | Self::Unavailable => None,
        }
    }
}
