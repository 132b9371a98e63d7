//! What goes wrong with the file: when it is opened, and later.

use std::{
    error::Error,
    fmt,
    io::{self, ErrorKind},
    path::PathBuf,
    sync::Arc,
};

use cloakroom_store::{Fault, StoreError};
use redb::DatabaseError;

/// Why a file could not be opened; it is left as it was.
#[non_exhaustive]
#[derive(Clone)]
pub enum OpenError {
    /// The file is a database that cannot be repaired.
    Damaged(PathBuf),
    /// Another process has the file open, or another store of this one.
    InUse(PathBuf),
    /// The runtime shut down before the file was open.
    Interrupted(PathBuf),
    /// The operating system's error.
    Io(PathBuf, Arc<io::Error>),
    /// The file is in a format that a later version of this crate made.
    NewerFormat(PathBuf),
    /// The file is something else than a store of sessions.
    NotAStore(PathBuf),
}

impl OpenError {
    pub(crate) fn io(path: impl Into<PathBuf>, error: io::Error) -> Self {
        Self::Io(path.into(), Arc::new(error))
    }

    pub(crate) fn new(path: impl Into<PathBuf>, error: impl Into<OpenTrouble>) -> Self {
        let path = path.into();
        match error.into() {
            OpenTrouble::InUse => Self::InUse(path),
            OpenTrouble::NewerFormat => Self::NewerFormat(path),
            OpenTrouble::NotAStore => Self::NotAStore(path),
            OpenTrouble::Damaged => Self::Damaged(path),
            OpenTrouble::Io(error) => Self::io(path, error),
        }
    }
}

/// In the words of `Display`, since a `main` that returns it prints this.
impl fmt::Debug for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(path) => {
                write!(f, "{} is damaged: restore it, or move it away to begin anew", path.display())
            }
            Self::InUse(path) => write!(
                f,
                "{} is open already, in another process or by another store of this one: stop that, or choose another file",
                path.display()
            ),
            Self::Interrupted(path) => write!(f, "the runtime shut down before {} was open", path.display()),
            Self::Io(path, error) => {
                write!(f, "cannot open {}: {error}", path.display())?;
                if error.kind() == ErrorKind::NotFound { f.write_str("; does its folder exist?") } else { Ok(()) }
            }
            Self::NewerFormat(path) => {
                write!(f, "{} was made by a later version of this program: use that, or another file", path.display())
            }
            Self::NotAStore(path) => write!(f, "{} is not a store of sessions: choose another file", path.display()),
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // Its words are said already.
            Self::Io(_, error) => error.source(),
            _ => None,
        }
    }
}

/// [`OpenError`] without the path.
#[derive(Debug)]
pub(crate) enum OpenTrouble {
    Damaged,
    InUse,
    Io(io::Error),
    NewerFormat,
    NotAStore,
}

impl From<io::Error> for OpenTrouble {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // The database's words for what does not begin as one does.
            ErrorKind::InvalidData => Self::NotAStore,
            ErrorKind::UnexpectedEof => Self::Damaged,
            _ => Self::Io(error),
        }
    }
}

impl From<redb::Error> for OpenTrouble {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::Io(error) => error.into(),
            redb::Error::UpgradeRequired(_) => Self::NotAStore,
            _ => Self::Damaged,
        }
    }
}

impl From<Trouble> for OpenTrouble {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::File(error) => error.into(),
            Trouble::Closed | Trouble::Malformed => Self::Damaged,
            Trouble::Barred(fault) => Self::Io(io::Error::other(StoreError::failed(fault))),
        }
    }
}

/// Why a transaction did not succeed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It was not tried: the file failed not long ago, by this fault.
    Barred(Fault),
    /// The store was closed.
    Closed,
    /// The file failed.
    File(redb::Error),
    /// The file has what this crate never writes.
    Malformed,
}

impl Trouble {
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Barred(fault) => *fault,
            Self::Closed => Fault::Unavailable,
            Self::File(redb::Error::Io(error)) if is_full(error.kind()) => Fault::Full,
            Self::File(redb::Error::Corrupted(_)) | Self::Malformed => Fault::Internal,
            Self::File(_) => Fault::Unavailable,
        }
    }

    /// Makes the answer for an operation that did not happen.
    pub(crate) fn failed(&self) -> StoreError {
        self.explain(StoreError::failed(self.fault()))
    }

    /// Makes the answer for an operation that may have happened.
    pub(crate) fn unknown(&self) -> StoreError {
        self.explain(StoreError::unknown(self.fault()))
    }

    /// Adds words that are the operating system's, or fixed: the database's own could quote what is in the file.
    fn explain(&self, error: StoreError) -> StoreError {
        error.with_source(match self {
            Self::Barred(_) => "the file failed not long ago; it will be tried again".into(),
            Self::Closed => "the store was closed".into(),
            Self::File(redb::Error::Io(error)) => match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code).to_string(),
                None => error.kind().to_string(),
            },
            Self::File(redb::Error::Corrupted(_)) | Self::Malformed => "the file is damaged".into(),
            Self::File(_) => "the file failed".into(),
        })
    }
}

fn is_full(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::FileTooLarge | ErrorKind::QuotaExceeded | ErrorKind::StorageFull)
}

macro_rules! from_redb {
    ($($error:ty),*) => {
        $(impl From<$error> for Trouble {
            fn from(error: $error) -> Self {
                Self::File(error.into())
            }
        })*
    };
}

from_redb!(
    DatabaseError,
    redb::CommitError,
    redb::CompactionError,
    redb::StorageError,
    redb::TableError,
    redb::TransactionError
);
