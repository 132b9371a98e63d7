//! Commits: those of a save, and the one that ends the request.

use std::{
    fmt,
    future::Future,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{Arc, Mutex as BlockingMutex, PoisonError, atomic::Ordering},
    task::{Context, Poll},
};

use cloakroom_core::{EditError, Io, Json, LoadError, Loaded, ReplayError, Step, Verdict};
use cloakroom_runtime::{BoxFuture, Runtime, run};
use futures_util::{
    FutureExt as _,
    future::{Either, select},
};
use serde::de::DeserializeOwned;

use super::{
    Session,
    slot::{Slot, State},
};
use crate::{
    driver::{drive, drive_at_once},
    error::StoreError,
    report::{OpLog, Report},
    session_error::SessionError,
    sessions::Sessions,
};

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
    /// Sets a value to what `f` makes of the one there, and saves at once. Returns what `f` made beside it.
    pub(super) async fn set_now<T, R>(
        &self,
        key: &str,
        mut f: impl FnMut(Option<T>) -> Result<(Json, R), ReplayError> + Send + 'static,
    ) -> Result<R, SessionError>
    where
        T: DeserializeOwned,
        R: Send + 'static,
    {
        // Every replay leaves its result here. The last one is the one that a successful commit stored.
        let last = Arc::new(BlockingMutex::new(None));
        let put = Arc::clone(&last);
        let f = move |text: Option<&str>| {
            let (json, result) = f(text.map(Json::read).transpose()?)?;
            *put.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            Ok(json)
        };
        let key = key.to_owned();
        // In one step: a clone must not come between the edit and its commit.
        self.save_after(move |loaded| loaded.update_text(&key, Box::new(f))).await?;
        let result = last.lock().unwrap_or_else(PoisonError::into_inner).take();
        result.ok_or(SessionError::Interrupted)
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
    pub(super) async fn run(
        &self,
        work: impl Future<Output = Result<(), SessionError>> + Send + 'static,
    ) -> Result<(), SessionError> {
        run(&**self.shared.sessions.runtime(), work).await.unwrap_or(Err(SessionError::Interrupted))
    }

    pub(super) async fn save_slot(&self, slot: &mut Slot) -> Result<(), SessionError> {
        if self.shared.closed.load(Ordering::Relaxed) {
            return Err(SessionError::Closed);
        }
        let machine = match mem::replace(&mut slot.state, State::Closed) {
            State::Open(machine) => machine,
            State::Closed => return Err(SessionError::Closed),
            State::Failed(machine, error) => {
                slot.state = State::Failed(machine, error.clone());
                return Err(self.failure(error));
            }
        };
        let sessions = &self.shared.sessions;
        let (now, mut entropy) = sessions.now_with_entropy();
        let done = match machine.commit(now, &mut entropy) {
            Step::Done(done) => Box::new(done),
            Step::Io(io) => drive(sessions, io, &mut slot.ops, &mut slot.store_error).await,
        };
        let result = done.result();
        slot.unreadable &= done.end().is_none() || result.is_err();
        slot.state = State::Open(done.reopen());
        Ok(result?)
    }

    /// Ends the request: stores what it asked for. For glue; the handle and its clones are closed by it. It is no
    /// method, so that a handler does not come upon it.
    ///
    /// A session that needs nothing of the store is settled here, and one whose store does all
    /// [at once](crate::Store::at_once), unless others wrote meanwhile. Otherwise what is returned does the rest; where it
    /// is dropped first, as when a client hangs up, what is left is spawned on the runtime, so that nothing is cut in half.
    pub fn commit(session: &Self, finish: Finish) -> Commit {
        let sessions = &session.shared.sessions;
        let Some(mut slot) = session.shared.slot.try_lock() else {
            let this = session.clone();
            // A clone is loading. Wait for it where a client that hangs up cuts nothing.
            return Commit::of(sessions, async move {
                let sessions = &this.shared.sessions;
                // Nor for ever: it may be one that nobody polls.
                let mut closing = {
                    let lock = pin!(this.shared.slot.lock());
                    match select(lock, sessions.runtime().sleep(sessions.deadline())).await {
                        Either::Left((mut slot, _)) => this.close(&mut slot, finish),
                        Either::Right(_) => {
                            // It finds so when it is polled again.
                            this.shared.closed.store(true, Ordering::Relaxed);
                            Commit::of_report(Report::interrupted())
                        }
                    }
                };
                match closing.take() {
                    Progress::Ready(report) => report.unwrap_or_else(Report::interrupted),
                    Progress::Working(work, _) => work.await,
                }
            });
        };
        if matches!(&slot.state, State::Open(machine) if !machine.is_accessed()) {
            slot.state = State::Closed;
            return Commit::of_report(Report::quiet());
        }
        session.close(&mut slot, finish)
    }

    /// Takes the machine out of the handle and lets it decide.
    fn close(&self, slot: &mut Slot, finish: Finish) -> Commit {
        let Slot { state, ops, store_error, end_refused, unreadable } = slot;
        let (machine, error) = match state {
            State::Closed => return Commit::of_report(Report::failed(SessionError::Closed)),
            State::Failed(machine, error) => (machine, Some(self.failure(error.clone()))),
            State::Open(machine) => (machine, None),
        };
        if finish == Finish::DropEdits {
            machine.drop_edits();
        }
        // What was served without a session is no failure of the request, but for an end.
        let error = error.filter(|error| *end_refused || !matches!(error, SessionError::Unavailable));
        let error = error.or(unreadable.then_some(SessionError::Load(LoadError::Undecodable)));
        let (ops, store_error, error) = (*ops, store_error.take(), error.map(Box::new));
        let sessions = &self.shared.sessions;
        // Where nobody asked for it there is no `Vary` to send: the clone that held the lock was only looking whether somebody did.
        if machine.is_accessed()
            && let Some(verdict) = machine.settled(sessions.now())
        {
            sessions.counters().count_events(verdict.events());
            *state = State::Closed;
            return Commit::of_report(Report { verdict: Some(verdict), error, ops, store_error });
        }
        let (now, mut entropy) = sessions.now_with_entropy();
        // It is one of the two: the third returned above.
        // Each by itself: what two arms share is moved once more.
        let step = match mem::replace(state, State::Closed) {
            State::Closed => return Commit::of_report(Report::failed(SessionError::Closed)),
            State::Failed(machine, _) => machine.commit(now, &mut entropy),
            State::Open(machine) => machine.commit(now, &mut entropy),
        };
        let mut seen = Seen { ops, store_error, error };
        let driven = match step.into_verdict() {
            Ok(verdict) => Ok(verdict),
            Err(io) => {
                let driving = || drive_at_once(sessions, io, &mut seen.ops, &mut seen.store_error);
                // A panic is the commit's alone, as it is where the commit is polled.
                match catch_unwind(AssertUnwindSafe(driving)) {
                    Ok(driven) => driven,
                    Err(_) => return Commit::of_report(Report::interrupted()),
                }
            }
        };
        match driven {
            Ok(verdict) => Commit::of_report(self.report(verdict, seen)),
            Err(io) => Commit::of(sessions, self.clone().drive(io, seen)),
        }
    }

    async fn drive(self, io: Io, mut seen: Seen) -> Report {
        let done = drive(&self.shared.sessions, io, &mut seen.ops, &mut seen.store_error).await;
        self.report(done.into_verdict(), seen)
    }

    fn report(&self, verdict: Verdict, seen: Seen) -> Report {
        let Seen { ops, store_error, error } = seen;
        // An end is what can be done about a record that does not decode.
        let error = error.filter(|error| !(verdict.end().is_some() && matches!(**error, SessionError::Load(_))));
        let error = error.or_else(|| verdict.result().err().map(|error| Box::new(SessionError::Commit(error))));
        self.shared.sessions.counters().count_events(verdict.events());
        Report { verdict: Some(verdict), error, ops, store_error }
    }
}

/// What the request saw before its commit.
struct Seen {
    ops: OpLog,
    store_error: Option<StoreError>,
    error: Option<Box<SessionError>>,
}

/// A commit on its way; resolves to its [`Report`]. Dropping it stops nothing of it: what is left is spawned then,
/// so that a runtime with a context of its own (tokio) must be there.
#[must_use = "await it before the response's headers leave"]
pub struct Commit(Progress);

#[allow(clippy::large_enum_variant, reason = "what is settled at once needs no allocation")]
enum Progress {
    Ready(Option<Report>),
    Working(BoxFuture<'static, Report>, Arc<dyn Runtime>),
}

impl Commit {
    fn of_report(report: Report) -> Self {
        Self(Progress::Ready(Some(report)))
    }

    /// Returns the report where all is settled already, for those who only look at it: it is long to move. There is none
    /// while the commit waits for the store, and once it was handed over.
    pub fn report(&self) -> Option<&Report> {
        match &self.0 {
            Progress::Ready(report) => report.as_ref(),
            Progress::Working(..) => None,
        }
    }

    /// Takes what is left of it, so that its end spawns nothing.
    fn take(&mut self) -> Progress {
        mem::replace(&mut self.0, Progress::Ready(None))
    }

    fn of(sessions: &Sessions, work: impl Future<Output = Report> + Send + 'static) -> Self {
        Self(Progress::Working(Box::pin(work), sessions.runtime().clone()))
    }
}

impl Future for Commit {
    type Output = Report;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Report> {
        let work = match &mut self.0 {
            Progress::Ready(report) => return Poll::Ready(report.take().unwrap_or_else(Report::interrupted)),
            Progress::Working(work, _) => work,
        };
        // A panic is the commit's alone, as it is in a task.
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)));
        if !matches!(polled, Ok(Poll::Pending)) {
            self.0 = Progress::Ready(None);
        }
        polled.unwrap_or_else(|_| Poll::Ready(Report::interrupted()))
    }
}

impl Drop for Commit {
    fn drop(&mut self) {
        // Most are settled, and a report is long to move.
        if matches!(self.0, Progress::Ready(_)) {
            return;
        }
        if let Progress::Working(work, runtime) = self.take() {
            // Where that panics, outside of a runtime that needs its context, it ends as if the process had.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(runtime.spawn(Box::pin(work.map(drop))))));
        }
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commit").finish_non_exhaustive()
    }
}
