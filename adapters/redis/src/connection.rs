//! One connection to one server.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use cloakroom_runtime::{Runtime, Stream, Task};
use cloakroom_store::Fault;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::future::{BoxFuture, Either, select};
use redis::{
    AsyncConnectionConfig, Pipeline, RedisError, RedisResult, Value as Answer,
    aio::{ConnectionLike, MultiplexedConnection},
};
use tokio_util::compat::FuturesAsyncReadCompatExt;

use crate::{env::Env, failure::Failure, server::Server};

/// A connection that many requests share. Dropping it closes it.
pub(crate) struct Connection {
    commands: MultiplexedConnection,
    pulse: Arc<Pulse>,
    driver: Mutex<Option<Task>>,
    runtime: Arc<dyn Runtime>,
    patience: Duration,
}

impl Connection {
    /// Opens a connection and asks its first question, which shows that somebody is there.
    pub(crate) async fn open(env: &Env, server: &Server, greeting: &Pipeline) -> Result<(Self, Answer), Failure> {
        let pulse = Arc::new(Pulse::default());
        let (commands, driver) = dial(env, server, &pulse).await?;
        let close = Close(pulse.clone());
        let task = env.runtime.spawn(Box::pin(async move {
            let _close = close;
            driver.await;
        }));
        let connection = Self {
            commands,
            pulse,
            driver: Mutex::new(Some(task)),
            runtime: env.runtime.clone(),
            patience: env.settings.deadline / 2,
        };
        let mut answers = connection.exec(greeting).await.map_err(|broken| Failure::opening(&broken))?;
        Ok((connection, answers.pop().unwrap_or(Answer::Nil)))
    }

    /// Tells whether it has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.pulse.is_closed.load(Ordering::Acquire)
    }

    /// Ends it: whoever waits for an answer gets an error.
    pub(crate) fn close(&self) {
        self.pulse.is_closed.store(true, Ordering::Release);
        if let Some(driver) = self.driver.lock().unwrap_or_else(PoisonError::into_inner).take() {
            driver.cancel();
        }
    }

    /// Writes commands in one go and returns as many answers, errors of the server among them. When it is dropped, the
    /// answers are read and thrown away, unless the server has been silent for so long that the connection is given up.
    pub(crate) async fn exec(&self, commands: &Pipeline) -> RedisResult<Vec<Answer>> {
        let mut waiting = Waiting { connection: self, since: self.now(), is_answered: false };
        let answers = self.commands.clone().send_packed_commands(commands, 0, commands.len()).await;
        waiting.is_answered = true;
        if answers.as_ref().is_err_and(RedisError::is_unrecoverable_error) {
            self.close();
        }
        answers
    }

    fn now(&self) -> u64 {
        millis_of(self.runtime.now())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

/// Asks one question over a connection of its own.
pub(crate) async fn ask(env: &Env, server: &Server, question: &Pipeline) -> Result<Answer, Failure> {
    let (mut commands, driver) = dial(env, server, &Arc::default()).await?;
    let question = commands.req_packed_commands(question, 0, question.len());
    let mut answers = match select(question, driver).await {
        Either::Left((answers, _)) => answers,
        // The answer may have come together with the end.
        Either::Right(((), question)) => question.await,
    }
    .map_err(|error| Failure::opening(&error))?;
    match answers.pop() {
        Some(Answer::ServerError(error)) => Err(Failure::refusal(&error)),
        Some(answer) => Ok(answer),
        None => Err(Failure::unsent(Fault::Internal, "the server gave no answer")),
    }
}

async fn dial(
    env: &Env,
    server: &Server,
    pulse: &Arc<Pulse>,
) -> Result<(MultiplexedConnection, BoxFuture<'static, ()>), Failure> {
    let opened = env.runtime.connect(&server.endpoint).await;
    let stream = opened.map_err(|error| Failure::unsent(Fault::Unavailable, &error.to_string()))?;
    let heard = Heard { stream, pulse: pulse.clone(), runtime: env.runtime.clone() };
    match &server.tls_name {
        None => shake_hands(server, heard).await,
        Some(name) => {
            let secured = env.tls().await?.connect(name.clone(), heard).await;
            let stream = secured.map_err(|error| Failure::unsent(Fault::Unavailable, &format!("TLS: {error}")))?;
            shake_hands(server, stream).await
        }
    }
}

/// Logs in; returns what drives the connection, too.
async fn shake_hands(
    server: &Server,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<(MultiplexedConnection, BoxFuture<'static, ()>), Failure> {
    // Its own time limits know tokio alone.
    let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
    let made = MultiplexedConnection::new_with_config(&server.login, stream.compat(), config).await;
    let (commands, driver) = made.map_err(|error| Failure::opening(&error))?;
    Ok((commands, Box::pin(driver)))
}

/// When the server was last heard, in milliseconds of the wall clock.
#[derive(Debug, Default)]
struct Pulse {
    /// The first write since then; zero for none.
    asked: AtomicU64,
    heard: AtomicU64,
    is_closed: AtomicBool,
}

/// A stream that notes when something comes and goes. It sees the answers of requests that were dropped, too.
struct Heard {
    stream: Box<dyn Stream>,
    pulse: Arc<Pulse>,
    runtime: Arc<dyn Runtime>,
}

impl AsyncRead for Heard {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Poll::Ready(Ok(1..)) = read {
            self.pulse.heard.store(millis_of(self.runtime.now()), Ordering::Relaxed);
            self.pulse.asked.store(0, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for Heard {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(1..)) = written
            && self.pulse.asked.load(Ordering::Relaxed) == 0
        {
            self.pulse.asked.store(millis_of(self.runtime.now()), Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(context)
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
        if self.is_answered {
            return;
        }
        let pulse = &self.connection.pulse;
        let silent_since = match pulse.asked.load(Ordering::Relaxed) {
            0 => pulse.heard.load(Ordering::Relaxed).max(self.since),
            asked => asked,
        };
        // A clock that was set back tells nothing; a connection more costs little.
        let silence = self.connection.now().checked_sub(silent_since);
        if silence.is_none_or(|silence| u128::from(silence) >= self.connection.patience.as_millis()) {
            self.connection.close();
        }
    }
}

/// Says that a connection has ended when its driver ends, however that comes.
struct Close(Arc<Pulse>);

impl Drop for Close {
    fn drop(&mut self) {
        self.0.is_closed.store(true, Ordering::Release);
    }
}

fn millis_of(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(1, |since| since.as_millis() as u64)
}
