//! One connection to one server.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use cloakroom_runtime::{Pulse, Runtime as _, Task};
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
        let Env { runtime, settings, .. } = &*self.env;
        self.pulse.is_closed() || self.pulse.is_silent(settings.deadline, None, &**runtime)
    }

    /// Ends it: whoever waits for an answer gets an error.
    pub(crate) fn close(&self) {
        self.pulse.close();
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(driver) = driver {
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
        let mut waiting = Waiting { connection: self, since: self.env.runtime.now(), is_answered: false };
        let answers = receiver.await;
        waiting.is_answered = true;
        answers.unwrap_or_else(|_| Err(gone()))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

/// A request that waits for its answers. Given up, it judges the connection: one that has been silent for long, although it
/// was asked, would fail whoever comes next.
struct Waiting<'a> {
    connection: &'a Connection,
    since: SystemTime,
    is_answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Connection { pulse, env, .. } = self.connection;
        if !self.is_answered && pulse.is_silent(env.settings.deadline / 2, Some(self.since), &*env.runtime) {
            self.connection.close();
        }
    }
}
