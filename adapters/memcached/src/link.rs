//! Keeps a connection, and makes another when it is gone.

use std::{
    mem,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use cloakroom_runtime::run;
use cloakroom_store::Fault;
use futures_util::{
    FutureExt,
    future::{BoxFuture, Either, Shared, select},
};

use crate::{connection::Connection, env::Env, facts::Facts, failure::Failure, server::Server};

/// How long no new attempt is made after the first that fails; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const LAST_PAUSE: Duration = Duration::from_millis(500);
/// How long an attempt may take. With the pause before it, a server that is back is found within two seconds.
const ATTEMPT: Duration = Duration::from_secs(1);

type Attempt = Shared<BoxFuture<'static, Result<Arc<Connection>, Failure>>>;

/// A place for one connection, which is made when somebody needs it: nothing happens while nobody asks.
pub(crate) struct Link {
    env: Arc<Env>,
    server: Server,
    state: Mutex<State>,
    attempts: AtomicU64,
}

enum State {
    Closed,
    /// An attempt that all share who need it; its number, and when it began.
    Connecting(Attempt, u64, SystemTime),
    /// Attempts failed; until the time is there, asking again would help nobody.
    Failing {
        pause: Duration,
        until: SystemTime,
        last: Failure,
    },
    Open(Arc<Connection>),
}

impl Link {
    pub(crate) fn new(env: Arc<Env>, server: Server) -> Arc<Self> {
        Arc::new(Self { env, server, state: Mutex::new(State::Closed), attempts: AtomicU64::new(0) })
    }

    /// Returns the connection, or makes it.
    pub(crate) async fn connection(self: &Arc<Self>) -> Result<Arc<Connection>, Failure> {
        let attempt = {
            let mut state = self.state();
            match &*state {
                State::Connecting(attempt, _, since) if !self.is_overdue(*since) => attempt.clone(),
                State::Open(connection) if !connection.is_closed() => return Ok(connection.clone()),
                State::Failing { pause, until, last } if is_within(*pause, *until, self.env.runtime.now()) => {
                    return Err(last.clone());
                }
                State::Closed | State::Connecting(..) | State::Failing { .. } | State::Open(_) => {
                    let number = self.attempts.fetch_add(1, Ordering::Relaxed);
                    let attempt = self.attempt(&mut state, number);
                    *state = State::Connecting(attempt.clone(), number, self.env.runtime.now());
                    attempt
                }
            }
        };
        attempt.await
    }

    /// Starts an attempt of its own, which goes on when nobody waits any more.
    fn attempt(self: &Arc<Self>, state: &mut State, number: u64) -> Attempt {
        let pause = match mem::replace(state, State::Closed) {
            State::Failing { pause, .. } => (pause * 2).min(LAST_PAUSE),
            State::Open(connection) => {
                // It may be silent rather than closed: whoever waits there hears so.
                connection.close();
                FIRST_PAUSE
            }
            State::Closed | State::Connecting(..) => FIRST_PAUSE,
        };
        let link = self.clone();
        let made = run(&*self.env.runtime, async move {
            let made = link.open_in_time().await;
            link.settle(made, pause, number)
        });
        // The link keeps the attempt.
        let link = Arc::downgrade(self);
        async move {
            made.await.unwrap_or_else(|interrupted| {
                let failure = Failure::unsent(Fault::Internal, &interrupted.to_string());
                match link.upgrade() {
                    Some(link) => link.settle(Err(failure), pause, number),
                    None => Err(failure),
                }
            })
        }
        .boxed()
        .shared()
    }

    async fn open_in_time(&self) -> Result<Arc<Connection>, Failure> {
        let limit = ATTEMPT.min(self.env.settings.deadline / 2);
        let opening = pin!(Connection::open(&self.env, &self.server));
        match select(opening, self.env.runtime.sleep(limit)).await {
            Either::Left((made, _)) => made.map(Arc::new),
            Either::Right(_) => Err(Failure::unsent(
                Fault::TimedOut,
                &format!("no connection to {} was made in time", self.server.name),
            )),
        }
    }

    fn settle(
        &self,
        made: Result<Arc<Connection>, Failure>,
        pause: Duration,
        number: u64,
    ) -> Result<Arc<Connection>, Failure> {
        let state = match &made {
            Ok(connection) => {
                self.tell_once(connection.facts());
                State::Open(connection.clone())
            }
            Err(last) => State::Failing { pause, until: self.env.runtime.now() + pause, last: last.clone() },
        };
        let mut current = self.state();
        if matches!(*current, State::Connecting(_, current, _) if current == number) {
            *current = state;
        }
        made
    }

    /// Warns of what memcached does not promise.
    fn tell_once(&self, facts: &Facts) {
        if !self.env.is_told_of_memory.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "memcached keeps sessions in memory alone: they end when it restarts, and nobody can list them"
            );
        }
        if facts.evicts && !self.env.is_told_of_evictions.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                server = self.server.name,
                "memcached drops sessions when it is full, those that were used least lately; start it with -M to have \
                 new ones refused instead"
            );
        }
    }

    /// Tells of an attempt that should have ended: whoever runs the runtime on which it began has stopped to do so.
    fn is_overdue(&self, since: SystemTime) -> bool {
        self.env.runtime.now().duration_since(since).is_ok_and(|lasted| lasted > 2 * ATTEMPT)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells whether a pause lasts. A clock that was set back does not make it longer.
fn is_within(pause: Duration, until: SystemTime, now: SystemTime) -> bool {
    until.duration_since(now).is_ok_and(|left| !left.is_zero() && left <= pause)
}
