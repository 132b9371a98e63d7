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

use cloakroom_runtime::{Endpoint, run};
use cloakroom_store::Fault;
use futures_util::{
    FutureExt,
    future::{BoxFuture, Either, Shared, select},
};

use crate::{check, connection::Connection, dial::Dial, env::Env, failure::Failure};

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
    target: Arc<Target>,
    state: Mutex<State>,
    attempts: AtomicU64,
}

/// What the links of a pool lead to.
pub(crate) struct Target {
    dial: Dial,
    /// Where the last connection went. A master that moved takes all links along: the one left behind may still
    /// acknowledge what nobody will keep.
    last: Mutex<Option<Endpoint>>,
    /// Counts the moves. A connection from before the last is none.
    moves: AtomicU64,
}

impl Target {
    pub(crate) fn new(dial: Dial) -> Arc<Self> {
        Arc::new(Self { dial, last: Mutex::new(None), moves: AtomicU64::new(0) })
    }

    /// Gives up all connections from before.
    pub(crate) fn leave(&self) {
        self.moves.fetch_add(1, Ordering::AcqRel);
    }

    fn moves(&self) -> u64 {
        self.moves.load(Ordering::Acquire)
    }

    /// Notes where a connection went; returns the number of moves that it belongs to.
    fn arrive(&self, endpoint: Endpoint) -> u64 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.replace(endpoint.clone()).is_some_and(|last| last != endpoint) {
            self.leave();
        }
        self.moves()
    }
}

enum State {
    /// An attempt that all share who need it; its number, and when it began.
    Connecting(Attempt, u64, SystemTime),
    Closed,
    /// Attempts failed; until the time is there, asking again would help nobody.
    Failing {
        pause: Duration,
        until: SystemTime,
        last: Failure,
    },
    /// A connection, and after how many moves it was made.
    Open(Arc<Connection>, u64),
}

impl Link {
    pub(crate) fn new(env: Arc<Env>, target: Arc<Target>) -> Arc<Self> {
        Arc::new(Self { env, target, state: Mutex::new(State::Closed), attempts: AtomicU64::new(0) })
    }

    /// Returns the connection, or makes it.
    pub(crate) async fn connection(self: &Arc<Self>) -> Result<Arc<Connection>, Failure> {
        let attempt = {
            let mut state = self.state();
            match &*state {
                State::Connecting(attempt, _, since) if !self.is_overdue(*since) => attempt.clone(),
                State::Open(connection, moves) if !connection.is_closed() && *moves == self.target.moves() => {
                    return Ok(connection.clone());
                }
                State::Failing { pause, until, last } if is_within(*pause, *until, self.env.runtime.now()) => {
                    return Err(last.clone());
                }
                State::Closed | State::Connecting(..) | State::Failing { .. } | State::Open(..) => {
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
            _ => FIRST_PAUSE,
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

    async fn open_in_time(&self) -> Result<(Arc<Connection>, u64), Failure> {
        let limit = ATTEMPT.min(self.env.settings.deadline / 2);
        let opening = pin!(self.target.dial.open(&self.env));
        match select(opening, self.env.runtime.sleep(limit)).await {
            Either::Left((made, _)) => {
                made.map(|(connection, endpoint)| (Arc::new(connection), self.target.arrive(endpoint)))
            }
            Either::Right(_) => {
                let words = format!("no connection to {} was made in time", self.target.dial);
                Err(Failure::unsent(Fault::TimedOut, &words))
            }
        }
    }

    fn settle(
        &self,
        made: Result<(Arc<Connection>, u64), Failure>,
        pause: Duration,
        number: u64,
    ) -> Result<Arc<Connection>, Failure> {
        let (state, made) = match made {
            Ok((connection, moves)) => {
                self.check_once(&connection);
                (State::Open(connection.clone(), moves), Ok(connection))
            }
            Err(last) => {
                let until = self.env.runtime.now() + pause;
                (State::Failing { pause, until, last: last.clone() }, Err(last))
            }
        };
        let mut current = self.state();
        if matches!(*current, State::Connecting(_, current, _) if current == number) {
            *current = state;
        }
        made
    }

    /// Looks at the server's settings, the first time that one is there.
    fn check_once(&self, connection: &Arc<Connection>) {
        if self.env.is_checked.swap(true, Ordering::Relaxed) {
            return;
        }
        let (connection, env) = (connection.clone(), self.env.clone());
        drop(self.env.runtime.spawn(Box::pin(async move {
            let look = pin!(check::warn(&connection));
            if !matches!(select(look, env.runtime.sleep(env.settings.deadline)).await, Either::Left((true, _))) {
                // The next connection looks again.
                env.is_checked.store(false, Ordering::Relaxed);
            }
        })));
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
