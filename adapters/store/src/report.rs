//! What a commit tells the glue.

use std::fmt;

use cloakroom_core::{CookieChange, End, Events, OpKind, Verdict};

use crate::{error::StoreError, session_error::SessionError};

/// The verdict on a request's session: whether it succeeded, and the headers that the response needs.
#[must_use = "send its `headers`, look at its `result`"]
#[derive(Debug)]
pub struct Report {
    /// Of a commit that broke down, or of a request that was settled before, there is none.
    pub(crate) verdict: Option<Verdict>,
    pub(crate) error: Option<Box<SessionError>>,
    pub(crate) ops: OpLog,
    pub(crate) store_error: Option<StoreError>,
}

impl Report {
    /// Of a request that never asked for its session.
    pub(crate) fn quiet() -> Self {
        Self { verdict: Some(Verdict::default()), error: None, ops: OpLog::default(), store_error: None }
    }

    pub(crate) fn failed(error: SessionError) -> Self {
        Self { verdict: None, error: Some(Box::new(error)), ops: OpLog::default(), store_error: None }
    }

    pub(crate) fn interrupted() -> Self {
        Self::failed(SessionError::Interrupted)
    }

    /// Tells whether everything that the request asked of its session is stored, and everything that it read was there.
    ///
    /// # Errors
    ///
    /// [`SessionError`]: the response must not tell that the request succeeded.
    pub fn result(&self) -> Result<(), SessionError> {
        self.error.as_deref().cloned().map_or(Ok(()), Err)
    }

    /// Returns what came of the end that the request asked for, if it did. A commit that broke down is no end.
    pub fn end(&self) -> Option<End> {
        self.verdict.as_ref().and_then(Verdict::end)
    }

    /// Returns what to do with the client's cookie.
    pub fn cookie(&self) -> CookieChange<'_> {
        self.verdict.as_ref().map_or(CookieChange::Keep, Verdict::cookie)
    }

    /// Returns the headers to merge into the response, names in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        // A commit that broke down had something to commit.
        let is_broken = matches!(self.error.as_deref(), Some(SessionError::Interrupted));
        self.verdict.iter().flat_map(Verdict::headers).chain(is_broken.then_some(("vary", "Cookie")))
    }

    /// Returns what the engine noticed.
    pub fn events(&self) -> Option<&Events> {
        self.verdict.as_ref().map(Verdict::events)
    }

    /// Returns the operations that the request asked the store for, in order.
    pub fn ops(&self) -> &OpLog {
        &self.ops
    }

    /// Returns the last failure of the store, also one that the request got over.
    pub fn store_error(&self) -> Option<&StoreError> {
        self.store_error.as_ref()
    }
}

/// The kinds of a request's operations in order, in a fixed array.
#[derive(Clone, Copy)]
pub struct OpLog {
    kinds: [OpKind; Self::MAX],
    len: u32,
}

impl OpLog {
    /// Operations that are kept; further ones are only counted.
    pub const MAX: usize = 32;

    /// Returns the operations that were kept.
    pub fn iter(&self) -> impl Iterator<Item = OpKind> + '_ {
        self.kinds.iter().copied().take(self.len as usize)
    }

    /// Returns how many there were, also those that were not kept.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Tells whether there were none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn push(&mut self, kind: OpKind) {
        if let Some(slot) = self.kinds.get_mut(self.len as usize) {
            *slot = kind;
        }
        self.len = self.len.saturating_add(1);
    }
}

impl Default for OpLog {
    fn default() -> Self {
        Self { kinds: [OpKind::Load; Self::MAX], len: 0 }
    }
}

impl fmt::Debug for OpLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Names in order, separated by commas.
impl fmt::Display for OpLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, kind) in self.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            f.write_str(kind.name())?;
        }
        Ok(())
    }
}
