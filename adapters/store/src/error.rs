//! What goes wrong in a store, and whether the operation may have happened.

use std::{error::Error, fmt, sync::Arc};

use cloakroom_core::StoreKey;

use crate::words;

/// Why an operation of a store failed.
///
/// It never carries a key, a value or an id; the source has the store's own words.
#[derive(Clone, Debug)]
pub struct StoreError {
    fault: Fault,
    may_have_happened: bool,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// An operation that did not happen and will not.
    pub fn failed(fault: Fault) -> Self {
        Self { fault, may_have_happened: false, source: None }
    }

    /// An operation that happened, did not, or will happen later.
    pub fn unknown(fault: Fault) -> Self {
        Self { fault, may_have_happened: true, source: None }
    }

    /// Adds the store's own words. They must not name a key, a value or an id; for those of a server see
    /// [`StoreError::with_server_words`].
    #[must_use = "this returns the changed error"]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// Adds what a server said, in place of the store's own words: 200 bytes of it, without what it quotes and without keys.
    ///
    /// `..` stands in place of those keys that were `asked` for, and of each run of 20 and more letters, digits and `_-:+/=`,
    /// and of 8 at the end, where a server may have cut a key off, unless it reads as a name of a host or an option. Of keys
    /// under a [`KeyScheme`](cloakroom_core::KeyScheme) of one's own that nobody asked for, those in which other characters
    /// stand may be left in part.
    #[must_use = "this returns the changed error"]
    pub fn with_server_words(self, words: &str, asked: &[&StoreKey]) -> Self {
        self.with_source(words::of_server(words, asked))
    }

    /// Returns whose fault it was.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// The same, of a step of an operation that surely did not happen.
    pub(crate) fn of_what_did_not_happen(self) -> Self {
        Self { may_have_happened: false, ..self }
    }

    /// The same, of the last step of an operation that may have happened.
    pub(crate) fn of_what_may_have_happened(self) -> Self {
        Self { may_have_happened: true, ..self }
    }

    /// Tells whether the operation may have happened, or may happen later.
    pub fn may_have_happened(&self) -> bool {
        self.may_have_happened
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.fault {
            Fault::Full => "the store is full",
            Fault::Internal => "the store answered what it must not",
            Fault::Refused => "the store refused the operation",
            Fault::TimedOut => "the store did not answer in time",
            Fault::Unavailable => "the store cannot be reached",
        })?;
        f.write_str(if self.may_have_happened { "; the operation may have happened" } else { "" })
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// Whose fault it was.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The store has no room.
    Full,
    /// The store or its client broke its own rules.
    Internal,
    /// The store is there and will not: rights, configuration, a wrong type under the key.
    Refused,
    /// The store did not answer within the deadline.
    TimedOut,
    /// The store cannot be reached.
    Unavailable,
}
