//! What the clones of a handle share, and the load that fills it.

use std::{
    mem,
    sync::atomic::{AtomicBool, Ordering},
};

use cloakroom_core::{Access, LoadError, Loaded, Session as Machine};
use futures_util::lock::Mutex;

use super::Session;
use crate::{driver::load, error::StoreError, report::OpLog, session_error::SessionError, sessions::Sessions};

pub(super) struct Shared {
    pub(super) sessions: Sessions,
    pub(super) serves_without: AtomicBool,
    /// The request was settled without a clone that held the lock.
    pub(super) closed: AtomicBool,
    /// The unlock of this mutex allocates nothing, also the first one.
    pub(super) slot: Mutex<Slot>,
}

pub(super) struct Slot {
    pub(super) state: State,
    pub(super) ops: OpLog,
    pub(super) store_error: Option<StoreError>,
    /// An end was refused because the store is down.
    pub(super) end_refused: bool,
    /// A record that does not decode was asked for.
    pub(super) unreadable: bool,
}

#[allow(clippy::large_enum_variant, reason = "one allocation holds the handle and the machine")]
pub(super) enum State {
    /// Committed, or a commit is under way that broke down.
    Closed,
    /// A load failed: the request has no session, and is not made to wait for another failure.
    Failed(Machine, StoreError),
    Open(Machine),
}

impl Session {
    /// Loads what is not there yet, and insists that it can be read.
    pub(super) async fn readable<'s>(&self, slot: &'s mut Slot) -> Result<&'s mut Loaded, SessionError> {
        let Slot { state, ops, store_error, unreadable, .. } = slot;
        self.load(state, ops, store_error).await?;
        let loaded = self.opened(state)?;
        if loaded.is_readable() {
            return Ok(loaded);
        }
        *unreadable = true;
        Err(SessionError::Load(LoadError::Undecodable))
    }

    /// Loads what is not there yet, be it readable or not.
    pub(super) async fn loaded<'s>(&self, slot: &'s mut Slot) -> Result<&'s mut Loaded, SessionError> {
        let Slot { state, ops, store_error, .. } = slot;
        self.load(state, ops, store_error).await?;
        self.opened(state)
    }

    /// Returns what was loaded, unless the request was settled meanwhile.
    fn opened<'s>(&self, state: &'s mut State) -> Result<&'s mut Loaded, SessionError> {
        match state {
            State::Open(machine) if !self.shared.closed.load(Ordering::Relaxed) => match machine.access() {
                Access::Ready(loaded) => Ok(loaded),
                Access::Load(_) => Err(SessionError::Closed),
            },
            State::Closed | State::Failed(..) | State::Open(_) => Err(SessionError::Closed),
        }
    }

    async fn load(
        &self,
        state: &mut State,
        ops: &mut OpLog,
        store_error: &mut Option<StoreError>,
    ) -> Result<(), SessionError> {
        if self.shared.closed.load(Ordering::Relaxed) {
            return Err(SessionError::Closed);
        }
        let sessions = &self.shared.sessions;
        let failed = {
            let mut access = match state {
                State::Closed => return Err(SessionError::Closed),
                State::Failed(_, error) => return Err(self.failure(error.clone())),
                State::Open(machine) => machine.access(),
            };
            loop {
                let asked = match access {
                    Access::Ready(_) => return Ok(()),
                    Access::Load(asked) => asked,
                };
                let sent = sessions.now();
                match load(sessions, asked.key(), ops).await {
                    Ok(found) => match asked.supply(found, sent) {
                        Ok(next) => access = next,
                        // What does not decode is there all the same: to be destroyed.
                        Err(_) => return Ok(()),
                    },
                    Err(error) => break error,
                }
            }
        };
        *store_error = Some(failed.clone());
        if let State::Open(machine) = mem::replace(state, State::Closed) {
            *state = State::Failed(machine, failed.clone());
        }
        Err(self.failure(failed))
    }

    pub(super) fn failure(&self, error: StoreError) -> SessionError {
        match self.shared.serves_without.load(Ordering::Relaxed) {
            false => SessionError::Store(error),
            true => SessionError::Unavailable,
        }
    }
}
