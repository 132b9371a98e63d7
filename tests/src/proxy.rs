//! A TCP proxy between a client and a real server that cuts, delays and stalls at every byte.
//!
//! A [`Proxy`] listens on a port of its own and connects to the server for each of its clients. What it does to a
//! connection is a [`Fault`], which strikes in one [`Direction`]:
//!
//! * **by plan**: a [`Plan`] names faults by the offset of a byte, counted from the connection's start in that direction.
//!   The fault strikes when that byte arrives: all bytes before it pass, it and what follows do not, or pass changed. So
//!   `ToClient, 0` lets the server have and do all that was asked, and keeps its first answer from the client; and a loop
//!   over offsets meets every state of a protocol. [`Proxy::plan`] is for all connections to come, [`Proxy::plan_next`]
//!   for the next one;
//! * **by command**: [`Proxy::strike`] counts from the bytes that have passed so far on each open connection;
//!   [`Proxy::reset`], [`Proxy::finish`], [`Proxy::hold`] and [`Proxy::blackhole`] take effect before they return, in both
//!   directions of all open connections; [`Proxy::refuse`] lets nobody in.
//!
//! [`Proxy::heal`] ends all of that: plans are forgotten, clients are let in, and what was held or delayed goes on at once,
//! with nothing lost. What was swallowed is lost; such a connection stays dead, which only its ends can notice.
//!
//! The proxy counts connections, bytes that passed and faults that struck, so that a test can show that it has hit. Every
//! end of a connection is passed on as it came: a FIN after all bytes before it, a reset at once.
//!
//! # Example
//!
//! ```no_run
//! use cloakroom_tests::{proxy::{Direction, Fault, Plan, Proxy}, servers::{Options, Redis}};
//!
//! let server = Redis::start(Options::new());
//! let proxy = Proxy::start(server.address());
//! for offset in 0..100 {
//!     proxy.plan_next(Plan::new().at(Direction::ToClient, offset, Fault::Reset));
//!     // Connect to `proxy.address()`, ask something, and see what the client makes of it.
//! }
//! assert_eq!(proxy.faults(), 100);
//! ```

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod connection;
mod flow;

use std::{
    collections::VecDeque,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, poll};

use self::connection::{Command, Link, Wakeup};
use crate::{demo::eventually, servers::free_port};

/// A way through a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "there are two")]
pub enum Direction {
    /// From the server.
    ToClient,
    /// From the client.
    ToServer,
}

/// What happens to a connection.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// All that comes from here on in this direction arrives so much later.
    Delay(Duration),
    /// Both ends get a FIN, after all bytes that were before; what they send afterwards is swallowed.
    Finish,
    /// Nothing passes in this direction until [`Proxy::heal`], which lets it go on with nothing lost: a network that is
    /// cut, or a server that is very slow. The connection stays open.
    Hold,
    /// From here on, at most so many bytes pass at a time in this direction, with a millisecond between.
    Pieces(usize),
    /// Both ends get a reset, after all bytes that were before.
    Reset,
    /// All that comes from here on in this direction is lost, its end too: a half-open connection.
    Swallow,
}

/// The faults of one connection.
#[derive(Clone, Debug, Default)]
#[must_use = "give it to a proxy"]
pub struct Plan(Vec<(Direction, u64, Fault)>);

impl Plan {
    /// A plan without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fault that strikes when the byte arrives that has so many before it in this direction.
    pub fn at(mut self, direction: Direction, offset: u64, fault: Fault) -> Self {
        self.0.push((direction, offset, fault));
        self
    }
}

/// A proxy on a free port of the loopback interface. Dropping it resets what is open.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts one in front of a server, which need not be there yet.
    pub fn start(server: SocketAddr) -> Self {
        let mut listener = None;
        let address = (0..10).find_map(|_| {
            let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
            listener = TcpListener::bind(address).ok();
            listener.is_some().then_some(address)
        });
        let address = address.expect("a port is free");
        let shared = Arc::new(Shared {
            server,
            wakeup: Wakeup::new(),
            state: Mutex::new(State { admission: Admission::Open, ..State::default() }),
            counters: Arc::default(),
        });
        let accepting = Arc::clone(&shared);
        let acceptor = Some(thread::spawn(move || accepting.accept(listener, address)));
        Self { address, shared, acceptor }
    }

    /// Returns the address to connect to in place of the server's.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the port to connect to.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Sets the faults of all connections to come that have no plan of their own.
    pub fn plan(&self, plan: Plan) {
        self.shared.lock().plan = plan;
    }

    /// Sets the faults of the next connection; called again, those of the one after it.
    pub fn plan_next(&self, plan: Plan) {
        self.shared.lock().next.push_back(plan);
    }

    /// Lets a fault strike on every open connection when so many further bytes have passed in this direction and
    /// another one arrives.
    pub fn strike(&self, direction: Direction, after: u64, fault: Fault) {
        self.tell(|| Command::Strike(direction, after, fault));
    }

    /// Resets all open connections, and loses what was under way.
    pub fn reset(&self) {
        self.tell(|| Command::Reset);
        eventually("resets", || self.open() == 0);
    }

    /// Sends a FIN to both ends of all open connections, after what had arrived.
    pub fn finish(&self) {
        self.tell(|| Command::Finish);
    }

    /// Holds all that is sent on all connections, also those to come, until [`heal`](Self::heal).
    pub fn hold(&self) {
        self.shared.lock().admission = Admission::Holding;
        self.tell(|| Command::Hold);
    }

    /// Swallows all that is sent on all connections, also those to come: these are let in, and nobody is behind them.
    pub fn blackhole(&self) {
        self.shared.lock().admission = Admission::Swallowing;
        self.tell(|| Command::Swallow);
    }

    /// Refuses connections, as a server does whose process is not there. Those that are open stay.
    pub fn refuse(&self) {
        self.shared.lock().admission = Admission::Closed;
        self.shared.wakeup.wake();
        eventually("a closed port", || !self.shared.lock().is_listening);
    }

    /// Ends all faults: see the [module's page](self).
    pub fn heal(&self) {
        {
            let mut state = self.shared.lock();
            state.admission = Admission::Open;
            state.plan = Plan::new();
            state.next.clear();
        }
        self.shared.wakeup.wake();
        eventually("an open port", || self.shared.lock().is_listening);
        self.tell(|| Command::Heal);
    }

    /// Returns how many connections there were.
    pub fn connections(&self) -> usize {
        self.shared.counters.connections.load(Ordering::SeqCst)
    }

    /// Returns how many connections are open. One that was cut is not.
    pub fn open(&self) -> usize {
        self.shared.counters.open.load(Ordering::SeqCst)
    }

    /// Returns how many bytes have passed in a direction, on all connections together.
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.shared.counters.bytes[direction as usize].load(Ordering::SeqCst)
    }

    /// Returns how many faults have struck by plan, or by [`strike`](Self::strike).
    pub fn faults(&self) -> usize {
        self.shared.counters.faults.load(Ordering::SeqCst)
    }

    /// Gives a command to all connections, and waits until each has taken it.
    fn tell(&self, command: impl Fn() -> Command) {
        let links = self.shared.links();
        let taken: Vec<_> = links.iter().map(|link| link.tell(command())).collect();
        for taken in taken {
            // One that has ended takes none.
            let _ = taken.recv();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.lock().admission = Admission::Over;
        self.shared.wakeup.wake();
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        self.tell(|| Command::Reset);
    }
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    wakeup: Wakeup,
    state: Mutex<State>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct State {
    admission: Admission,
    is_listening: bool,
    plan: Plan,
    next: VecDeque<Plan>,
    links: Vec<Link>,
}

/// What becomes of those who come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Admission {
    Closed,
    Holding,
    #[default]
    Open,
    Over,
    Swallowing,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicUsize,
    open: AtomicUsize,
    faults: AtomicUsize,
    bytes: [AtomicU64; 2],
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Returns the connections that are not over.
    fn links(&self) -> Vec<Link> {
        let mut state = self.lock();
        state.links.retain(Link::is_alive);
        state.links.clone()
    }

    /// Lets clients in until the proxy is dropped.
    fn accept(&self, mut listener: Option<TcpListener>, address: SocketAddr) {
        loop {
            let admission = self.lock().admission;
            match admission {
                Admission::Over => return,
                Admission::Closed => listener = None,
                Admission::Holding | Admission::Open | Admission::Swallowing => {
                    if listener.is_none() {
                        listener = TcpListener::bind(address).ok();
                    }
                }
            }
            self.lock().is_listening = listener.is_some();
            let Some(listener) = &listener else {
                // Its own port is soon free again, if it is not.
                self.wakeup.wait(if admission == Admission::Closed { None } else { Some(Duration::from_millis(10)) });
                continue;
            };
            listener.set_nonblocking(true).unwrap();
            let mut fds = [PollFd::new(listener, PollFlags::IN), PollFd::new(&self.wakeup, PollFlags::IN)];
            let _ = poll(&mut fds, None);
            self.wakeup.clear();
            while let Ok((client, _)) = listener.accept() {
                let mut state = self.lock();
                let plan = state.next.pop_front().unwrap_or_else(|| state.plan.clone());
                let first = match state.admission {
                    Admission::Holding => Some(Command::Hold),
                    Admission::Swallowing => Some(Command::Swallow),
                    Admission::Closed | Admission::Open | Admission::Over => None,
                };
                state.links.retain(Link::is_alive);
                state.links.push(Link::open(client, self.server, &plan, first, &self.counters));
            }
        }
    }
}
