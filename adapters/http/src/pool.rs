//! The connections to the service: each for one request at a time, and kept for the next.

use std::{
    pin::pin,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_lock::Semaphore;
use cloakroom_core::OpKind;
use cloakroom_store::Fault;
use futures_util::future::{Either, select};

use crate::{
    connection::{Connection, Reply},
    env::Env,
    failure::Failure,
    request::Request,
};

/// How long no new attempt to connect is made after the first that fails; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const LAST_PAUSE: Duration = Duration::from_millis(500);
/// How long an attempt may take.
const ATTEMPT: Duration = Duration::from_secs(1);

pub(crate) struct Pool {
    slots: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last that was used is the next.
    idle: Vec<Idle>,
    failing: Option<Failing>,
    /// Counts how often all that were open were given up.
    era: u64,
}

struct Idle {
    connection: Connection,
    since: SystemTime,
}

/// Attempts failed; until the time is there, asking again would help nobody.
#[derive(Clone)]
struct Failing {
    pause: Duration,
    until: SystemTime,
    last: Failure,
}

/// How far a request came, for whoever stops to wait for it.
#[derive(Default)]
pub(crate) struct Progress {
    is_sent: AtomicBool,
}

impl Progress {
    /// Tells whether the service may be at it.
    fn is_sent(&self) -> bool {
        self.is_sent.load(Ordering::Relaxed)
    }

    /// Says that the request is on its way.
    pub(crate) fn sent(&self) {
        self.is_sent.store(true, Ordering::Relaxed);
    }

    /// Says that it did not leave after all.
    fn unsent(&self) {
        self.is_sent.store(false, Ordering::Relaxed);
    }
}

impl Pool {
    pub(crate) fn new(env: &Env) -> Self {
        Self { slots: Semaphore::new(env.settings.connections), state: Mutex::default() }
    }

    /// Sends a request and reads the answer, within the deadline. What was not sent is sent over another connection; what
    /// was, only if it reads, and once.
    pub(crate) async fn exchange(&self, env: &Env, request: &Request) -> Result<Reply, Failure> {
        let progress = Progress::default();
        let tries = async {
            let _slot = self.slots.acquire().await;
            match self.attempt(env, request, &progress).await {
                Err(failure) if failure.is_sent && matches!(request.op, OpKind::List | OpKind::Load) => {
                    // A connection that broke says nothing of the next.
                    progress.unsent();
                    self.attempt(env, request, &progress).await
                }
                other => other,
            }
        };
        match select(pin!(tries), env.runtime.sleep(env.settings.deadline)).await {
            Either::Left((result, _)) => result,
            Either::Right(_) => Err(match progress.is_sent() {
                false => Failure::unsent(Fault::TimedOut, "no connection was there in time"),
                true => Failure::sent(Fault::TimedOut, "no answer came in time"),
            }),
        }
    }

    async fn attempt(&self, env: &Env, request: &Request, progress: &Progress) -> Result<Reply, Failure> {
        loop {
            let (connection, era, is_kept) = match self.take(env) {
                (Some(connection), era) => (connection, era, true),
                (None, era) => (self.dial(env).await?, era, false),
            };
            let mut lease = Lease { pool: self, env, era, since: env.runtime.now(), connection: Some(connection) };
            // It is there until the lease ends.
            let Some(connection) = &mut lease.connection else { continue };
            match connection.exchange(request, progress).await {
                Ok(reply) => {
                    lease.keep();
                    return Ok(reply);
                }
                // It ended while nobody used it, as others that are kept may have. There are only so many.
                Err(failure) if !failure.is_sent && is_kept => progress.unsent(),
                Err(failure) => {
                    lease.end();
                    return Err(failure);
                }
            }
        }
    }

    /// Takes a connection that was used before.
    fn take(&self, env: &Env) -> (Option<Connection>, u64) {
        let now = env.runtime.now();
        let mut dead = Vec::new();
        let mut state = self.state();
        while let Some(Idle { connection, since }) = state.idle.pop() {
            // A clock that was set back tells nothing; a connection more costs little.
            let is_young = now.duration_since(since).is_ok_and(|idle| idle < env.settings.idle);
            if is_young && !connection.is_closed() {
                return (Some(connection), state.era);
            }
            dead.push(connection);
        }
        let era = state.era;
        // Closing them may run code of the runtime's.
        drop(state);
        drop(dead);
        (None, era)
    }

    async fn dial(&self, env: &Env) -> Result<Connection, Failure> {
        let failing = self.state().failing.clone();
        if let Some(failing) = &failing
            && is_within(failing.pause, failing.until, env.runtime.now())
        {
            return Err(failing.last.clone());
        }
        let limit = ATTEMPT.min(env.settings.deadline / 2);
        let made = match select(pin!(Connection::open(env)), env.runtime.sleep(limit)).await {
            Either::Left((made, _)) => made,
            Either::Right(_) => {
                let words = format!("no connection to {} was made in time", env.settings.place);
                Err(Failure::unsent(Fault::TimedOut, &words))
            }
        };
        self.state().failing = made.as_ref().err().map(|last| {
            let pause = failing.map_or(FIRST_PAUSE, |failing| (failing.pause * 2).min(LAST_PAUSE));
            Failing { pause, until: env.runtime.now() + pause, last: last.clone() }
        });
        made
    }

    /// Closes what is kept: where one connection died without a word, the others may have as well.
    fn give_up(&self) {
        let mut state = self.state();
        state.era += 1;
        let dead = std::mem::take(&mut state.idle);
        drop(state);
        drop(dead);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use. Dropped before its answer is there, it is closed: nobody else may get that.
struct Lease<'a> {
    pool: &'a Pool,
    env: &'a Env,
    era: u64,
    since: SystemTime,
    connection: Option<Connection>,
}

impl Lease<'_> {
    /// Keeps it for the next request.
    fn keep(mut self) {
        let Some(connection) = self.connection.take().filter(|connection| !connection.is_closed()) else { return };
        let mut state = self.pool.state();
        if state.era == self.era {
            state.idle.push(Idle { connection, since: self.env.runtime.now() });
        }
    }

    /// Closes it, and those that were open with it: the service may have gone.
    fn end(mut self) {
        drop(self.connection.take());
        self.pool.give_up();
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if self.connection.take().is_none() {
            return;
        }
        // Given up by somebody who waited for long; a clock that was set back tells nothing.
        let silence = self.env.runtime.now().duration_since(self.since);
        if silence.is_ok_and(|silence| silence >= self.env.settings.deadline / 2) {
            self.pool.give_up();
        }
    }
}

/// Tells whether a pause lasts. A clock that was set back does not make it longer.
fn is_within(pause: Duration, until: SystemTime, now: SystemTime) -> bool {
    until.duration_since(now).is_ok_and(|left| !left.is_zero() && left <= pause)
}
