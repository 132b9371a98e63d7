//! The handle of a request's session.

mod accounts;
mod commit;
mod forms;
mod slot;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use cloakroom_core::{EditError, Handle, Json, Lifetime, Loaded, Session as Machine, UnixTime};
use futures_util::lock::Mutex;
use serde::{Serialize, de::DeserializeOwned};

use self::slot::{Shared, Slot, State};
pub use self::{
    commit::{Commit, Finish},
    forms::Flash,
};
use crate::{
    report::OpLog,
    session_error::SessionError,
    sessions::{Sessions, StoreFailure},
};

/// A request's session. Clones share it.
///
/// Nothing is loaded until the first access, and then once, however many ask at the same time. Methods are `async` only
/// because the first of them may load. Changes are stored when the glue commits, before the response's headers leave;
/// a clone that outlives that gets [`SessionError::Closed`], never a silent write.
///
/// What each method means is told at [`Loaded`], which it calls.
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
}

impl Session {
    pub(crate) fn new(sessions: Sessions, machine: Machine, failure: StoreFailure) -> Self {
        let slot = Slot {
            state: State::Open(machine),
            ops: OpLog::default(),
            store_error: None,
            end_refused: false,
            unreadable: false,
        };
        let serves_without = AtomicBool::new(failure == StoreFailure::ServeWithout);
        Self {
            shared: Arc::new(Shared {
                sessions,
                serves_without,
                closed: AtomicBool::new(false),
                slot: Mutex::new(slot),
            }),
        }
    }

    /// Sets what this request sees of a store that is down.
    pub fn on_store_failure(&self, failure: StoreFailure) {
        self.shared.serves_without.store(failure == StoreFailure::ServeWithout, Ordering::Relaxed);
    }

    /// Returns a value. See [`Loaded::get`].
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded, or the value is no `T`.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, SessionError> {
        self.read(|loaded| loaded.get(key)).await.map(Option::flatten)
    }

    /// Returns all values as one value of the application's. See [`Loaded::whole`].
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded, or the values are no `T`.
    pub async fn whole<T: Serialize + DeserializeOwned + Default>(&self) -> Result<T, SessionError> {
        self.read(Loaded::whole).await.map(Option::unwrap_or_default)
    }

    /// Tells whether nothing is stored for this session.
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded.
    pub async fn is_new(&self) -> Result<bool, SessionError> {
        self.read(|loaded| Ok(loaded.is_new())).await.map(|is_new| is_new.unwrap_or(true))
    }

    /// Returns when the session was made; `None` while it is new.
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded.
    pub async fn created(&self) -> Result<Option<UnixTime>, SessionError> {
        self.read(|loaded| Ok(loaded.created())).await.map(Option::flatten)
    }

    /// Returns the handle under which people see the session; `None` while it is new.
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded.
    pub async fn handle(&self) -> Result<Option<Handle>, SessionError> {
        self.read(|loaded| Ok(loaded.handle())).await.map(Option::flatten)
    }

    /// Reads with everything that [`Loaded`] has; `None` when the store is down and the request is served without.
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded, or `f` fails.
    pub async fn read<R>(&self, f: impl FnOnce(&Loaded) -> Result<R, EditError>) -> Result<Option<R>, SessionError> {
        let mut slot = self.shared.slot.lock().await;
        match self.readable(&mut slot).await {
            Ok(loaded) => Ok(Some(f(loaded)?)),
            Err(SessionError::Unavailable) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads and changes with everything that [`Loaded`] has.
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded, or `f` fails.
    pub async fn with<R, E>(&self, f: impl FnOnce(&mut Loaded) -> Result<R, E>) -> Result<R, SessionError>
    where
        SessionError: From<E>,
    {
        let mut slot = self.shared.slot.lock().await;
        let loaded = self.readable(&mut slot).await?;
        Ok(f(loaded)?)
    }

    /// Sets a value. See [`Loaded::insert`].
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded, or the value not be set.
    pub async fn insert<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), SessionError> {
        let value = Json::of(value).map_err(EditError::from)?;
        self.with(|loaded| loaded.insert_text(key, value)).await
    }

    /// Removes a value; returns whether there was one. See [`Loaded::remove`].
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded.
    pub async fn remove(&self, key: &str) -> Result<bool, SessionError> {
        self.with(|loaded| loaded.remove(key)).await
    }

    /// Removes all values; the session stays. See [`Loaded::clear`].
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded.
    pub async fn clear(&self) -> Result<(), SessionError> {
        self.with(Loaded::clear).await
    }

    /// Sets a value to what `f` makes of the one there, and again if others change it meanwhile. See
    /// [`Loaded::update`]: the value that is returned is this request's view.
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded, or the value there is no `T`.
    pub async fn update<T, F>(&self, key: &str, f: F) -> Result<T, SessionError>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T + Send + 'static,
    {
        self.with(|loaded| loaded.update(key, f)).await
    }

    /// Like [`Session::update`] with a function that may refuse. See [`Loaded::try_update`].
    ///
    /// # Errors
    ///
    /// What `f` refused with, or a [`SessionError`] made into that.
    pub async fn try_update<T, E, F>(&self, key: &str, f: F) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        E: From<SessionError>,
        F: FnMut(Option<T>) -> Result<T, E> + Send + 'static,
    {
        /// An error of the application's or of the session, whichever it was.
        enum Refused<E> {
            ByFunction(E),
            Edit(EditError),
        }
        impl<E> From<EditError> for Refused<E> {
            fn from(error: EditError) -> Self {
                Self::Edit(error)
            }
        }
        let mut f = f;
        let mut slot = self.shared.slot.lock().await;
        let loaded = self.readable(&mut slot).await?;
        let result = loaded.try_update(key, move |value| f(value).map_err(Refused::ByFunction));
        result.map_err(|refused| match refused {
            Refused::ByFunction(error) => error,
            Refused::Edit(error) => SessionError::Edit(error).into(),
        })
    }

    /// Updates and saves at once; returns the value that is stored, which no other request gets: for numbers that must
    /// be exact and seen once.
    ///
    /// Everything that the request changed before is saved with it.
    ///
    /// # Errors
    ///
    /// [`SessionError`]; with [`CommitError::OutcomeUnknown`](cloakroom_core::CommitError::OutcomeUnknown) the value may be used up without having been returned.
    pub async fn update_now<T, F>(&self, key: &str, mut f: F) -> Result<T, SessionError>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        F: FnMut(Option<T>) -> T + Send + 'static,
    {
        self.set_now(key, move |value| {
            let value = f(value);
            Json::of(&value).map(|json| (json, value))
        })
        .await
    }

    /// Sets the fields of `whole` that differ from what is there. See [`Loaded::set_whole`].
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded, or what is there is no `T`.
    pub async fn set_whole<T: Serialize + DeserializeOwned + Default>(&self, whole: &T) -> Result<(), SessionError> {
        self.with(|loaded| loaded.set_whole(whole)).await
    }

    /// Changes the fields that `f` changes, and again if others change them meanwhile. See [`Loaded::update_whole`].
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded, or what is there is no `T`.
    pub async fn update_whole<T, F>(&self, f: F) -> Result<(), SessionError>
    where
        T: Serialize + DeserializeOwned + Default,
        F: FnMut(&mut T) + Send + 'static,
    {
        self.with(|loaded| loaded.update_whole(f)).await
    }

    /// Sets or shortens the lifetime. See [`Loaded::set_lifetime`].
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded, or the lifetime is longer than allowed.
    pub async fn set_lifetime(&self, lifetime: Lifetime) -> Result<(), SessionError> {
        self.with(|loaded| loaded.set_lifetime(lifetime)).await
    }

    /// Gives the session a new id. See [`Loaded::rotate`].
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded.
    pub async fn rotate(&self) -> Result<(), SessionError> {
        self.with(|loaded| {
            loaded.rotate();
            Ok::<(), EditError>(())
        })
        .await
    }

    /// Ends the session. See [`Loaded::destroy`]. It works over a record that does not decode, too.
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded.
    pub async fn destroy(&self) -> Result<(), SessionError> {
        let mut slot = self.shared.slot.lock().await;
        // Over what cannot be read, too. An end that is refused is not forgotten, whatever the handler makes of it.
        slot.end_refused |= matches!(self.loaded(&mut slot).await, Err(SessionError::Unavailable));
        self.loaded(&mut slot).await?.destroy();
        Ok(())
    }

    /// Stores what the request asked for so far, for those who want to know before they answer. The cookie that comes of
    /// it is sent with the response.
    ///
    /// It goes on when the future is dropped. After an error the edits are dropped; an end that failed is tried again at
    /// the end of the request.
    ///
    /// # Errors
    ///
    /// [`SessionError`] says what is not stored.
    pub async fn save(&self) -> Result<(), SessionError> {
        let this = self.clone();
        self.run(async move { this.save_slot(&mut *this.shared.slot.lock().await).await }).await
    }

    /// Tells whether anybody asked for the session's data.
    pub fn is_accessed(&self) -> bool {
        self.shared.slot.try_lock().is_none_or(|slot| match &slot.state {
            State::Open(machine) => machine.is_accessed(),
            State::Closed | State::Failed(..) => true,
        })
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}
