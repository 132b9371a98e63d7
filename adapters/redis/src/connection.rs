//! One connection to one server.

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use cloakroom_runtime::{BoxFuture, Pulse, Runtime, Task};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::future::{Either, select};
use redis::Value as Answer;

use crate::{
    driver::Driver,
    env::Env,
    failure::Failure,
    queue::Queue,
    resp::{Ask, Commands},
    server::Server,
};

/// A connection that many requests share. Dropping it closes it.
pub(crate) struct Connection {
    line: Line,
    driver: Mutex<Option<Task>>,
    patience: Duration,
}

/// What requests and the driver of a connection share.
struct Line {
    queue: Arc<Queue>,
    pulse: Arc<Pulse>,
    runtime: Arc<dyn Runtime>,
}

impl Connection {
    /// Opens a connection, logs in and asks the first question, which shows that somebody is there.
    pub(crate) async fn open(env: &Env, server: &Server, greeting: &Commands) -> Result<(Self, Answer), Failure> {
        let (line, driver) = dial(env, server).await?;
        let driver = Mutex::new(Some(env.runtime.spawn(driver)));
        let connection = Self { line, driver, patience: env.settings.deadline / 2 };
        let answers = connection.exec(&server.greeting(greeting).ask()).await;
        Ok((connection, server.greeted(answers)?))
    }

    /// Tells whether it has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.line.pulse.is_closed()
    }

    /// Ends it: whoever waits for an answer gets an error.
    pub(crate) fn close(&self) {
        self.line.pulse.close();
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(driver) = driver {
            driver.cancel();
        }
    }

    /// Writes commands in one go and returns as many answers, errors of the server among them. When it is dropped, the
    /// answers are read and thrown away, unless the server has been silent for so long that the connection is given up.
    pub(crate) async fn exec(&self, ask: &Ask<'_>) -> Result<Vec<Answer>, Failure> {
        let mut waiting = Waiting { connection: self, since: self.line.runtime.now(), is_answered: false };
        let answers = self.line.exec(ask).await;
        waiting.is_answered = true;
        answers
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

/// Asks one question over a connection of its own.
pub(crate) async fn ask(env: &Env, server: &Server, question: &Commands) -> Result<Answer, Failure> {
    let (line, driver) = dial(env, server).await?;
    let greeting = server.greeting(question);
    let greet = greeting.ask();
    let answers = match select(pin!(line.exec(&greet)), driver).await {
        Either::Left((answers, _)) => answers,
        // The answer may have come together with the end.
        Either::Right(((), answers)) => answers.await,
    };
    match server.greeted(answers)? {
        Answer::ServerError(error) => Err(Failure::refusal(&error).of_another()),
        answer => Ok(answer),
    }
}

async fn dial(env: &Env, server: &Server) -> Result<(Line, BoxFuture<'static, ()>), Failure> {
    let opened = env.runtime.connect(&server.endpoint).await;
    let stream = opened.map_err(|error| server.unreached(&error))?;
    let line = Line { queue: Arc::default(), pulse: Arc::default(), runtime: env.runtime.clone() };
    let driver: BoxFuture<'static, ()> = match &server.tls_name {
        None => Box::pin(line.driver(stream)),
        Some(name) => {
            let secured = env.tls().await?.connect(name.clone(), stream).await;
            let secured = secured.map_err(|error| server.unreached(&error))?;
            Box::pin(line.driver(secured))
        }
    };
    Ok((line, driver))
}

impl Line {
    fn driver<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> Driver<S> {
        Driver::new(stream, self.queue.clone(), self.pulse.clone(), self.runtime.clone())
    }

    async fn exec(&self, ask: &Ask<'_>) -> Result<Vec<Answer>, Failure> {
        match self.queue.push(ask) {
            Some(answers) => answers.await.unwrap_or_else(|_| Err(Failure::closed())),
            None => Err(Failure::closed().before_it_was_sent()),
        }
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
        let Connection { line: Line { pulse, runtime, .. }, patience, .. } = self.connection;
        if !self.is_answered && pulse.is_silent(*patience, Some(self.since), &**runtime) {
            self.connection.close();
        }
    }
}
