//! The connections to one server.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use redis::Value as Answer;

use crate::{
    connection::Connection,
    dial::Dial,
    env::Env,
    failure::{Failure, code_of},
    link::{Link, Target},
    resp::Ask,
};

/// As many connections as are asked for, used in turn.
pub(crate) struct Pool {
    links: Vec<Arc<Link>>,
    next: AtomicUsize,
    replicas: u32,
    target: Arc<Target>,
}

/// How far a request came, for whoever stops to wait for it.
#[derive(Default)]
pub(crate) struct Progress {
    is_sent: AtomicBool,
}

impl Progress {
    /// Tells whether the server may be at it.
    pub(crate) fn is_sent(&self) -> bool {
        self.is_sent.load(Ordering::Relaxed)
    }

    /// Says that the request is on its way.
    pub(crate) fn sent(&self) {
        self.is_sent.store(true, Ordering::Relaxed);
    }

    /// Says that the server refused: it did nothing.
    pub(crate) fn refused(&self) {
        self.is_sent.store(false, Ordering::Relaxed);
    }
}

impl Pool {
    pub(crate) fn new(env: &Arc<Env>, dial: Dial) -> Self {
        let target = Target::new(dial);
        let links = (0..env.settings.connections).map(|_| Link::new(env.clone(), target.clone())).collect();
        Self { links, next: AtomicUsize::new(0), replicas: env.settings.replicas, target }
    }

    /// Sees that there is a connection, and returns it.
    pub(crate) async fn connect(&self) -> Result<Arc<Connection>, Failure> {
        self.link().connection().await
    }

    pub(crate) async fn exec(&self, ask: &Ask<'_>, progress: &Progress) -> Result<Vec<Answer>, Failure> {
        let connection = self.link().connection().await?;
        progress.sent();
        let answers = connection.exec(ask).await?;
        if answers.iter().any(is_no_master) {
            // Whoever comes next looks for the server that is one.
            self.target.leave();
        }
        if self.lacks_replicas(&answers) {
            // All that was sent behind it would wait as long, one after the other.
            connection.close();
        }
        Ok(answers)
    }

    fn lacks_replicas(&self, answers: &[Answer]) -> bool {
        self.replicas > 0 && matches!(answers.last(), Some(Answer::Int(count)) if *count < i64::from(self.replicas))
    }

    fn link(&self) -> &Arc<Link> {
        let place = self.next.fetch_add(1, Ordering::Relaxed) % self.links.len();
        // There is at least one.
        &self.links[place]
    }
}

/// What a server says that takes no writes, because another does.
fn is_no_master(answer: &Answer) -> bool {
    matches!(answer, Answer::ServerError(error) if matches!(code_of(error), "MASTERDOWN" | "READONLY" | "UNBLOCKED"))
}
