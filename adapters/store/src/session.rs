//! The handle of a request's session.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex as BlockingMutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use async_lock::Mutex;
use cloakroom_core::{
    Access, Done, EditError, Handle, Json, Lifetime, LoadError, Loaded, ReplayError, Session as Machine, Step, UnixTime,
};
use cloakroom_runtime::{BoxFuture, run};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    driver::{drive, load},
    entropy::OsEntropy,
    error::StoreError,
    report::{OpLog, Report},
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

struct Shared {
    sessions: Sessions,
    serves_without: AtomicBool,
    slot: Mutex<Slot>,
}

struct Slot {
    state: State,
    ops: OpLog,
    store_error: Option<StoreError>,
}

#[allow(clippy::large_enum_variant, reason = "one allocation holds the handle and the machine")]
enum State {
    /// Committed, or a commit is under way that broke down.
    Closed,
    /// A load failed: the request has no session, and is not made to wait for another failure.
    Failed(Machine, StoreError),
    Open(Machine),
}

/// What a commit does with the edits of the request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "edits are kept or dropped")]
pub enum Finish {
    /// Drops the edits, for a request that failed; an end is never dropped.
    DropEdits,
    /// Stores the edits.
    Keep,
}

impl Session {
    pub(crate) fn new(sessions: Sessions, machine: Machine, failure: StoreFailure) -> Self {
        let slot = Slot { state: State::Open(machine), ops: OpLog::default(), store_error: None };
        let serves_without = AtomicBool::new(failure == StoreFailure::ServeWithout);
        Self { shared: Arc::new(Shared { sessions, serves_without, slot: Mutex::new(slot) }) }
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
        match self.with(|loaded| f(loaded)).await {
            Err(SessionError::Unavailable) => Ok(None),
            result => result.map(Some),
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
        self.with(|loaded| loaded.insert(key, &value)).await
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
        // Every replay leaves its result here. The last one is the one that a successful commit stored.
        let last = Arc::new(BlockingMutex::new(None));
        let put = Arc::clone(&last);
        let f = move |text: Option<&str>| -> Result<Json, ReplayError> {
            let value = f(text.map(Json::read).transpose()?);
            let json = Json::of(&value)?;
            *put.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
            Ok(json)
        };
        let key = key.to_owned();
        // In one step: a clone must not come between the update and its commit.
        self.save_after(move |loaded| loaded.update_text(&key, Box::new(f))).await?;
        let value = last.lock().unwrap_or_else(PoisonError::into_inner).take();
        value.ok_or(SessionError::Interrupted)
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

    /// Edits and saves in one step.
    async fn save_after<F>(&self, edit: F) -> Result<(), SessionError>
    where
        F: FnOnce(&mut Loaded) -> Result<(), EditError> + Send + 'static,
    {
        let this = self.clone();
        let saving = async move {
            let mut slot = this.shared.slot.lock().await;
            edit(this.readable(&mut slot).await?)?;
            this.save_slot(&mut slot).await
        };
        self.run(saving).await
    }

    /// Does it where a client that hangs up cuts nothing.
    async fn run(
        &self,
        work: impl Future<Output = Result<(), SessionError>> + Send + 'static,
    ) -> Result<(), SessionError> {
        run(&**self.shared.sessions.runtime(), work).await.unwrap_or(Err(SessionError::Interrupted))
    }

    async fn save_slot(&self, slot: &mut Slot) -> Result<(), SessionError> {
        let machine = match mem::replace(&mut slot.state, State::Closed) {
            State::Open(machine) => machine,
            State::Closed => return Err(SessionError::Closed),
            State::Failed(machine, error) => {
                slot.state = State::Failed(machine, error.clone());
                return Err(self.failure(error));
            }
        };
        let sessions = &self.shared.sessions;
        let done = match machine.commit(sessions.now(), &mut OsEntropy) {
            Step::Done(done) => done,
            Step::Io(io) => drive(sessions, io, &mut slot.ops, &mut slot.store_error).await,
        };
        let result = done.result();
        slot.state = State::Open(done.reopen());
        Ok(result?)
    }

    /// Ends the request: stores what it asked for. For glue; the handle and its clones are closed by it. It is no
    /// method, so that a handler does not come upon it.
    ///
    /// A session that needs nothing of the store is settled at once. Otherwise the rest is spawned on the runtime, so that
    /// a client that hangs up does not cut it in half: the future that is returned only waits for it.
    pub fn commit(session: &Self, finish: Finish) -> Commit {
        let sessions = &session.shared.sessions;
        let this = session.clone();
        let Some(mut slot) = session.shared.slot.try_lock() else {
            // A clone is loading. Wait for it where a client that hangs up cuts nothing.
            return Commit::spawn(sessions, async move {
                let step = this.close(&mut *this.shared.slot.lock().await, finish);
                this.settle(step).await
            });
        };
        match session.close(&mut slot, finish) {
            Ok(Closing { step: Step::Done(done), ops, store_error, error }) => {
                Commit(Progress::Ready(Some(session.report(Some(done), ops, store_error, error))))
            }
            closing => Commit::spawn(sessions, async move { this.settle(closing).await }),
        }
    }

    /// Tells whether anybody asked for the session's data.
    pub fn is_accessed(&self) -> bool {
        self.shared.slot.try_lock().is_none_or(|slot| match &slot.state {
            State::Open(machine) => machine.is_accessed(),
            State::Closed | State::Failed(..) => true,
        })
    }

    /// Takes the machine out of the handle and lets it decide.
    fn close(&self, slot: &mut Slot, finish: Finish) -> Result<Closing, SessionError> {
        let (mut machine, error) = match mem::replace(&mut slot.state, State::Closed) {
            State::Closed => return Err(SessionError::Closed),
            State::Failed(machine, error) => (machine, Some(self.failure(error))),
            State::Open(machine) => (machine, None),
        };
        if finish == Finish::DropEdits {
            machine.drop_edits();
        }
        // Reads that were served without a session are no failure of the request.
        let error = error.filter(|error| !matches!(error, SessionError::Unavailable));
        let step = machine.commit(self.shared.sessions.now(), &mut OsEntropy);
        Ok(Closing { step, ops: slot.ops, store_error: slot.store_error.take(), error })
    }

    async fn settle(&self, closing: Result<Closing, SessionError>) -> Report {
        match closing {
            Ok(Closing { step, mut ops, mut store_error, error }) => {
                let done = match step {
                    Step::Done(done) => done,
                    Step::Io(io) => drive(&self.shared.sessions, io, &mut ops, &mut store_error).await,
                };
                self.report(Some(done), ops, store_error, error)
            }
            Err(error) => self.report(None, OpLog::default(), None, Some(error)),
        }
    }

    fn report(
        &self,
        done: Option<Done>,
        ops: OpLog,
        store_error: Option<StoreError>,
        error: Option<SessionError>,
    ) -> Report {
        let committed = done.as_ref().and_then(|done| done.result().err()).map(SessionError::Commit);
        if let Some(done) = &done {
            self.shared.sessions.counters().count_events(done.events());
        }
        Report { done, error: error.or(committed), ops, store_error }
    }

    /// Loads what is not there yet, and insists that it can be read.
    async fn readable<'s>(&self, slot: &'s mut Slot) -> Result<&'s mut Loaded, SessionError> {
        let loaded = self.loaded(slot).await?;
        if loaded.is_readable() { Ok(loaded) } else { Err(SessionError::Load(LoadError::Undecodable)) }
    }

    /// Loads what is not there yet, be it readable or not.
    async fn loaded<'s>(&self, slot: &'s mut Slot) -> Result<&'s mut Loaded, SessionError> {
        let Slot { state, ops, store_error } = slot;
        self.load(state, ops, store_error).await?;
        match state {
            State::Open(machine) => match machine.access() {
                Access::Ready(loaded) => Ok(loaded),
                Access::Load(_) => Err(SessionError::Closed),
            },
            State::Closed | State::Failed(..) => Err(SessionError::Closed),
        }
    }

    async fn load(
        &self,
        state: &mut State,
        ops: &mut OpLog,
        store_error: &mut Option<StoreError>,
    ) -> Result<(), SessionError> {
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

    fn failure(&self, error: StoreError) -> SessionError {
        match self.shared.serves_without.load(Ordering::Relaxed) {
            false => SessionError::Store(error),
            true => SessionError::Unavailable,
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

/// A commit that was decided, with what the request saw before.
struct Closing {
    step: Step,
    ops: OpLog,
    store_error: Option<StoreError>,
    error: Option<SessionError>,
}

/// A commit on its way; resolves to its [`Report`]. Dropping it stops nothing that was spawned.
#[must_use = "await it before the response's headers leave"]
pub struct Commit(Progress);

#[allow(clippy::large_enum_variant, reason = "what is ready must not allocate")]
enum Progress {
    Ready(Option<Report>),
    Spawned(BoxFuture<'static, Report>),
}

impl Commit {
    fn spawn(sessions: &Sessions, work: impl Future<Output = Report> + Send + 'static) -> Self {
        let work = run(&**sessions.runtime(), work);
        Self(Progress::Spawned(Box::pin(async move { work.await.unwrap_or_else(|_| interrupted()) })))
    }
}

impl Future for Commit {
    type Output = Report;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Report> {
        match &mut self.0 {
            Progress::Ready(report) => Poll::Ready(report.take().unwrap_or_else(interrupted)),
            Progress::Spawned(work) => work.as_mut().poll(cx),
        }
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commit").finish_non_exhaustive()
    }
}

fn interrupted() -> Report {
    Report { done: None, error: Some(SessionError::Interrupted), ops: OpLog::default(), store_error: None }
}
