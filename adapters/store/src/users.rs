//! The sessions of any user, for administrators.

use std::fmt;

use cloakroom_core::{EditError, Listed, Loaded, Principal, RosterError, RosterStep, Which};
use serde::Serialize;

use crate::{driver::answer, sessions::Sessions};

impl Sessions {
    /// Names a user, to list or end their sessions.
    ///
    /// # Errors
    ///
    /// [`EditError`] when the user id does not fit.
    pub fn of_user<U: Serialize + ?Sized>(&self, user: &U) -> Result<UserSessions, EditError> {
        Ok(UserSessions { sessions: self.clone(), user: Principal::of(user)? })
    }

    pub(crate) fn end_step(&self, user: &Principal, which: Which, current: Option<&Loaded>) -> RosterStep<u64> {
        let (now, mut entropy) = self.now_with_entropy();
        self.engine().end_sessions(user, which, current, now, &mut entropy)
    }
}

/// The sessions of one user.
#[derive(Clone)]
pub struct UserSessions {
    sessions: Sessions,
    user: Principal,
}

impl UserSessions {
    /// Lists them, newest first.
    ///
    /// # Errors
    ///
    /// [`RosterError`] when the store cannot do it.
    pub async fn list(&self) -> Result<Vec<Listed>, RosterError> {
        drive(&self.sessions, self.sessions.engine().list_sessions(self.user.clone(), None)).await
    }

    /// Ends them, or one of them, and tells how many there were. Dropping the future leaves the rest as it is.
    ///
    /// # Errors
    ///
    /// [`RosterError`] when not all could be ended: try it again.
    pub async fn end(&self, which: Which) -> Result<u64, RosterError> {
        drive(&self.sessions, self.sessions.end_step(&self.user, which, None)).await
    }
}

impl fmt::Debug for UserSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserSessions").finish_non_exhaustive()
    }
}

/// Drives a listing or an end of many to its end.
pub(crate) async fn drive<T>(sessions: &Sessions, mut step: RosterStep<T>) -> Result<T, RosterError> {
    loop {
        match step {
            RosterStep::Done(result) => return result,
            RosterStep::Io(io) => {
                sessions.counters().count_operation(io.op().kind());
                let outcome = answer(sessions, io.op(), &mut None).await;
                step = io.resume(outcome, sessions.now());
            }
        }
    }
}
