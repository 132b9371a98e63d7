//! The connections to one server.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use crate::{connection::Connection, env::Env, failure::Failure, link::Link, server::Server};

/// As many connections as are asked for, used in turn.
pub(crate) struct Pool {
    links: Vec<Arc<Link>>,
    next: AtomicUsize,
}

impl Pool {
    pub(crate) fn new(env: &Arc<Env>, server: &Server) -> Self {
        let links = (0..env.settings.connections).map(|_| Link::new(env.clone(), server.clone())).collect();
        Self { links, next: AtomicUsize::new(0) }
    }

    /// Returns a connection, or makes it.
    pub(crate) async fn connection(&self) -> Result<Arc<Connection>, Failure> {
        let place = self.next.fetch_add(1, Ordering::Relaxed) % self.links.len();
        // There is at least one.
        self.links[place].connection().await
    }
}

/// How far an operation came, for whoever stops to wait for it.
#[derive(Default)]
pub(crate) struct Progress(Mutex<Option<Arc<Connection>>>);

impl Progress {
    /// Says that the request is on its way, over this connection.
    pub(crate) fn sent(&self, connection: &Arc<Connection>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection.clone());
    }

    /// Gives up: a connection that owes an answer is closed. Tells whether the server may be at it.
    pub(crate) fn give_up(&self) -> bool {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            None => false,
            Some(connection) => {
                connection.close();
                true
            }
        }
    }
}
