//! A network in memory: who listens where, and what is connected.

mod link;
mod listener;
mod stream;

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use cloakroom_runtime::{Endpoint, Stream};

pub use self::{link::Link, listener::SimListener, stream::SimStream};
use self::{link::Wire, listener::Backlog};
use crate::{scheduler::Shared, sleep::Sleep};

/// What the network of a world is, beside what its listeners and streams own.
pub(crate) struct Network {
    delays: Range<Duration>,
    /// Looked up, never walked.
    listeners: HashMap<Endpoint, Weak<Mutex<Backlog>>>,
    wires: Vec<Weak<Mutex<Wire>>>,
}

impl Default for Network {
    fn default() -> Self {
        let delays = Duration::ZERO..Duration::from_millis(2);
        Self { delays, listeners: HashMap::new(), wires: Vec::new() }
    }
}

impl Shared {
    pub(crate) fn set_delays(&self, delays: Range<Duration>) {
        self.lock().network.delays = delays;
    }

    /// Draws how long something takes.
    fn draw_delay(&self) -> Duration {
        let mut state = self.lock();
        let delays = state.network.delays.clone();
        state.random.within(&delays)
    }
}

pub(crate) async fn connect(shared: Arc<Shared>, endpoint: Endpoint) -> io::Result<Box<dyn Stream>> {
    let refused = match &endpoint {
        Endpoint::Host(name, _) if name.is_empty() => io::ErrorKind::NotFound,
        Endpoint::Unix(_) => io::ErrorKind::NotFound,
        _ => io::ErrorKind::ConnectionRefused,
    };
    let endpoint = canonical(&endpoint);
    let delay = shared.draw_delay();
    Sleep::new(Arc::clone(&shared), delay).await;
    let backlog = shared.lock().network.listeners.get(&endpoint).and_then(Weak::upgrade);
    let Some(backlog) = backlog else { return Err(refused.into()) };
    listener::admitted(&backlog).await.map_err(|_| refused)?;
    let wire = Arc::new(Mutex::new(Wire::default()));
    let ends = [0, 1].map(|side| SimStream::new(Arc::clone(&shared), Arc::clone(&wire), side));
    let [near, far] = ends;
    {
        let wires = &mut shared.lock().network.wires;
        wires.retain(|wire| wire.strong_count() > 0);
        wires.push(Arc::downgrade(&wire));
    }
    listener::offer(&backlog, far);
    Ok(Box::new(near))
}

pub(crate) fn links(shared: &Shared) -> Vec<Link> {
    let wires = shared.lock().network.wires.clone();
    wires.into_iter().filter(|wire| wire.strong_count() > 0).map(Link::new).collect()
}

/// An address has one name.
fn canonical(endpoint: &Endpoint) -> Endpoint {
    match endpoint {
        Endpoint::Host(name, port) => match name.parse::<IpAddr>() {
            Ok(ip) => Endpoint::Tcp((ip, *port).into()),
            Err(_) => endpoint.clone(),
        },
        _ => endpoint.clone(),
    }
}

/// A panic under a lock leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
