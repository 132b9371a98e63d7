//! Who is signed in, and the sessions of that user.

use std::time::Duration;

use cloakroom_core::{EditError, Handle, Listed, Loaded, Login, Principal, RosterStep, Which};
use serde::{Serialize, de::DeserializeOwned};

use super::Session;
use crate::{session_error::SessionError, users::drive};

impl Session {
    /// Signs a user in: a new session, and the one that the visitor had ends. See [`Loaded::login`]. It happens with the
    /// commit; [`Session::save`] tells at once whether it did. Check the credentials first.
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded, or the user id or the lifetime does not fit.
    pub async fn login<U: Serialize + ?Sized>(&self, user: &U, login: Login) -> Result<(), SessionError> {
        // In a form that may cross an await, whatever the user id is.
        let user = Principal::of(user)?;
        let mut slot = self.shared.slot.lock().await;
        // Over what cannot be read, too.
        Ok(self.loaded(&mut slot).await?.login(user.as_json(), login)?)
    }

    /// Notes that the user has just proved again who they are ("sudo"). See [`Loaded::elevate`].
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded, or nobody is signed in.
    pub async fn elevate(&self) -> Result<(), SessionError> {
        self.with(Loaded::elevate).await
    }

    /// Ends the session: [`Session::destroy`] by the name that goes with [`Session::login`].
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded.
    pub async fn logout(&self) -> Result<(), SessionError> {
        self.destroy().await
    }

    /// Returns the id of the user who is signed in.
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded, or the id is no `U`.
    pub async fn principal<U: DeserializeOwned>(&self) -> Result<Option<U>, SessionError> {
        self.read(|loaded| loaded.principal()).await.map(Option::flatten)
    }

    /// Tells whether the user proved who they are within this time, for steps that ask for it again. See
    /// [`Loaded::authenticated_within`].
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded.
    pub async fn authenticated_within(&self, time: Duration) -> Result<bool, SessionError> {
        let now = self.shared.sessions.now();
        let is_within = self.read(|loaded| Ok(loaded.authenticated_within(time, now))).await?;
        Ok(is_within.unwrap_or(false))
    }

    /// Lists the sessions of the user who is signed in, newest first ("your devices").
    ///
    /// # Errors
    ///
    /// [`SessionError`] when nobody is signed in, or the store cannot list.
    pub async fn user_sessions(&self) -> Result<Vec<Listed>, SessionError> {
        let step = self
            .with(|loaded| {
                let user = signed_in(loaded)?;
                Ok::<_, EditError>(self.shared.sessions.engine().list_sessions(user, Some(loaded)))
            })
            .await?;
        Ok(drive(&self.shared.sessions, step).await?)
    }

    /// Ends one of the user's sessions, by the handle that [`Session::user_sessions`] lists. Its own ends as by
    /// [`Session::logout`].
    ///
    /// It goes on when the future is dropped.
    ///
    /// # Errors
    ///
    /// [`SessionError`] when nobody is signed in, no session of the user has the handle, or it could not be ended.
    pub async fn end_session(&self, handle: Handle) -> Result<(), SessionError> {
        let this = self.clone();
        self.run(async move {
            if this.handle().await? == Some(handle) {
                return this.logout_now().await;
            }
            let step = this.end_step(Which::One(handle)).await?;
            this.end_many(step).await
        })
        .await
    }

    /// Ends all other sessions of the user.
    ///
    /// It goes on when the future is dropped.
    ///
    /// # Errors
    ///
    /// [`SessionError`] when nobody is signed in, or not all could be ended: try it again.
    pub async fn end_other_sessions(&self) -> Result<(), SessionError> {
        let this = self.clone();
        self.run(async move {
            let step = this.end_step(Which::Others).await?;
            this.end_many(step).await
        })
        .await
    }

    /// Ends all sessions of the user, this one last ("log out everywhere"). Once it succeeded, no session that the user had
    /// when it began can be loaded.
    ///
    /// It goes on when the future is dropped.
    ///
    /// # Errors
    ///
    /// [`SessionError`] when nobody is signed in, or not all could be ended: try it again.
    pub async fn end_all_sessions(&self) -> Result<(), SessionError> {
        let this = self.clone();
        self.run(async move {
            let step = this.end_step(Which::Others).await?;
            this.end_many(step).await?;
            this.logout_now().await
        })
        .await
    }

    /// Does what a change of the password asks for: the session gets a new id, and all others of the user end (ASVS 5.0,
    /// 7.4.3). Call it when the new password is stored. Neither depends on the other: the others end also where this session
    /// cannot get a new id, and it gets one also where they cannot be ended.
    ///
    /// So it is where the store keeps no index of the user's sessions, and the others can never be ended: it fails with
    /// [`RosterError::NoIndex`](cloakroom_core::RosterError::NoIndex), and who has a copy of this session's old ticket is out all the same.
    /// [`Sessions::has_index`](crate::Sessions::has_index) tells before, for who would rather not change the password then.
    ///
    /// It goes on when the future is dropped.
    ///
    /// # Errors
    ///
    /// [`SessionError`] when nobody is signed in, this session could not get a new id, or not all others could be ended: try it
    /// again, unless there is no index.
    pub async fn credentials_changed(&self) -> Result<(), SessionError> {
        let this = self.clone();
        self.run(async move {
            // Whose sessions, is known before anything can go wrong: one that fails is no reason to leave out the other.
            let others = this.end_step(Which::Others).await?;
            let elevated = this.elevate_now().await;
            let ended = this.end_many(others).await;
            elevated.and(ended)
        })
        .await
    }

    async fn elevate_now(&self) -> Result<(), SessionError> {
        self.elevate().await?;
        self.save_slot(&mut *self.shared.slot.lock().await).await
    }

    async fn logout_now(&self) -> Result<(), SessionError> {
        self.logout().await?;
        self.save_slot(&mut *self.shared.slot.lock().await).await
    }

    async fn end_step(&self, which: Which) -> Result<RosterStep<u64>, SessionError> {
        self.with(|loaded| {
            let user = signed_in(loaded)?;
            Ok::<_, EditError>(self.shared.sessions.end_step(&user, which, Some(loaded)))
        })
        .await
    }

    async fn end_many(&self, step: RosterStep<u64>) -> Result<(), SessionError> {
        drive(&self.shared.sessions, step).await?;
        Ok(())
    }
}

fn signed_in(loaded: &Loaded) -> Result<Principal, EditError> {
    loaded.sign_in().map(|sign_in| sign_in.principal.clone()).ok_or(EditError::NotSignedIn)
}
