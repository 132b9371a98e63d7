//! One connection to one server.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use cloakroom_runtime::{Runtime, Task};
use cloakroom_store::Fault;
use futures_channel::{mpsc, oneshot};

use crate::{
    driver::{Driver, Order, Owed, Waiter},
    env::Env,
    facts::Facts,
    failure::Failure,
    server::Server,
    wire::{Answer, Command},
};

/// The largest value that a memcached can be told to take (`-I`).
const MAX_VALUE: usize = 1 << 30;

/// A connection that many requests share. Dropping it closes it.
pub(crate) struct Connection {
    orders: mpsc::UnboundedSender<Order>,
    pulse: Arc<Pulse>,
    driver: Mutex<Option<Task>>,
    env: Arc<Env>,
    facts: Facts,
}

impl Connection {
    /// Opens a connection and asks the server who it is.
    pub(crate) async fn open(env: &Arc<Env>, server: &Server) -> Result<Self, Failure> {
        let opened = env.runtime.connect(&server.endpoint).await;
        let stream = opened.map_err(|error| {
            Failure::unsent(Fault::Unavailable, &format!("no connection to {}: {error}", server.name))
        })?;
        let pulse = Arc::new(Pulse::default());
        let (orders, queue) = mpsc::unbounded();
        let driver = Driver::new(stream, queue, MAX_VALUE, pulse.clone(), env.runtime.clone());
        let driver = Mutex::new(Some(env.runtime.spawn(Box::pin(driver))));
        let mut connection = Self { orders, pulse, driver, env: env.clone(), facts: Facts::default() };
        let answers = connection.exec(&Facts::QUESTIONS).await.map_err(Failure::of_another)?;
        connection.facts = Facts::read(answers, env.runtime.now()).map_err(Failure::of_another)?;
        Ok(connection)
    }

    /// Returns what the server said of itself.
    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Tells whether it has ended, or might as well have: whoever asked last has given up by now.
    pub(crate) fn is_closed(&self) -> bool {
        self.pulse.is_closed.load(Ordering::Acquire) || self.is_silent(self.env.settings.deadline, None)
    }

    /// Ends it: whoever waits for an answer gets an error.
    pub(crate) fn close(&self) {
        self.pulse.close();
        if let Some(driver) = self.driver.lock().unwrap_or_else(PoisonError::into_inner).take() {
            driver.cancel();
        }
    }

    /// Writes commands in one go and returns their answers. When it is dropped, the answers are read and thrown away,
    /// unless the server has been silent for so long that the connection is given up.
    pub(crate) async fn exec(&self, commands: &[Command<'_>]) -> Result<Vec<Answer>, Failure> {
        let (mut bytes, mut owed) = (Vec::with_capacity(256), Vec::with_capacity(commands.len()));
        for command in commands {
            let opaque = self.env.number();
            command.encode(opaque, &mut bytes);
            owed.push(Owed { opaque, are_many: command.has_many_answers() });
        }
        owed.reverse();
        let (sender, receiver) = oneshot::channel();
        let waiter = Waiter { owed, answers: Vec::with_capacity(commands.len()), sender };
        let gone = || Failure::broken("the connection was closed");
        if self.orders.unbounded_send(Order { bytes, waiter }).is_err() {
            return Err(Failure { is_sent: false, ..gone() });
        }
        let mut waiting = Waiting { connection: self, since: millis_of(self.env.runtime.now()), is_answered: false };
        let answers = receiver.await;
        waiting.is_answered = true;
        answers.unwrap_or_else(|_| Err(gone()))
    }

    /// Tells whether nothing was heard for so long although the server was asked; where it was not, since when to count.
    fn is_silent(&self, patience: Duration, since: Option<u64>) -> bool {
        let silent_since = match (self.pulse.asked.load(Ordering::Relaxed), since) {
            (0, None) => return false,
            (0, Some(since)) => self.pulse.heard.load(Ordering::Relaxed).max(since),
            (asked, _) => asked,
        };
        // A clock that was set back tells nothing; a connection more costs little.
        let silence = millis_of(self.env.runtime.now()).checked_sub(silent_since);
        silence.is_none_or(|silence| u128::from(silence) >= patience.as_millis())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

/// When the server was last heard, in milliseconds of the wall clock.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// The first write since then; zero for none.
    asked: AtomicU64,
    heard: AtomicU64,
    is_closed: AtomicBool,
}

impl Pulse {
    pub(crate) fn asked(&self, runtime: &dyn Runtime) {
        if self.asked.load(Ordering::Relaxed) == 0 {
            self.asked.store(millis_of(runtime.now()), Ordering::Relaxed);
        }
    }

    pub(crate) fn heard(&self, runtime: &dyn Runtime) {
        self.heard.store(millis_of(runtime.now()), Ordering::Relaxed);
        self.asked.store(0, Ordering::Relaxed);
    }

    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }
}

/// A request that waits for its answers. Given up, it judges the connection: one that has been silent for long, although it
/// was asked, would fail whoever comes next.
struct Waiting<'a> {
    connection: &'a Connection,
    since: u64,
    is_answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let connection = self.connection;
        if !self.is_answered && connection.is_silent(connection.env.settings.deadline / 2, Some(self.since)) {
            connection.close();
        }
    }
}

fn millis_of(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(1, |since| since.as_millis() as u64)
}
