//! A seeded runtime with a virtual clock, for deterministic tests of async code.
//!
//! [`Sim::block_on`] runs everything on the thread that calls it, one step after the other. Each step polls one task that
//! is ready, lets one timer fire that is due, or calls one function; a generator that starts from the seed picks which. When
//! nothing is left to do the clock jumps to the next timer, so a month of sleep takes no time. Connections go through a
//! network in memory that delays and splits what is sent, and that a test can stall and cut. The same seed gives the same
//! schedule, another seed another one:
//!
//! ```
//! use std::{sync::Arc, sync::atomic::{AtomicU32, Ordering}, time::Duration};
//! use cloakroom_runtime::{Runtime, run};
//! use cloakroom_sim::Sim;
//!
//! // Reads, waits, writes: two of them may lose an update.
//! async fn count(runtime: impl Runtime, counter: Arc<AtomicU32>) {
//!     let seen = counter.load(Ordering::SeqCst);
//!     runtime.sleep(Duration::from_secs(3600)).await;
//!     counter.store(seen + 1, Ordering::SeqCst);
//! }
//!
//! let sim = Sim::new(7);
//! let runtime = sim.runtime();
//! let counter = Arc::new(AtomicU32::new(0));
//! sim.block_on(async {
//!     let first = run(&runtime, count(runtime.clone(), Arc::clone(&counter)));
//!     let second = run(&runtime, count(runtime.clone(), Arc::clone(&counter)));
//!     first.await.unwrap();
//!     second.await.unwrap();
//! });
//! assert_eq!(counter.load(Ordering::SeqCst), 1);
//! assert_eq!(sim.elapsed(), Duration::from_secs(3600));
//! ```
//!
//! # What it finds
//!
//! * A **deadlock**: where no task is ready and no timer is set, `block_on` panics, and says how many tasks wait.
//! * A **livelock**: where `block_on` takes more steps than [`Sim::MAX_STEPS`], it panics. Tasks that wake up at intervals
//!   for ever hide a deadlock behind it.
//! * A **race**: run the test for many seeds. A panic of `block_on` names its seed.
//!
//! # What it is not
//!
//! * Functions that block run on the same thread, at a step of their own: one that waits for a future waits for ever.
//! * Other threads may wake its tasks, and no wake is lost; but `block_on` does not wait for them, and what they do is not
//!   in the seed's hand. Neither is what code does by the machine's own clock or randomness: the fairness of
//!   `async_lock::Mutex` after half a millisecond, the order of a `HashMap`.
//! * Everything but waiting takes no time at all: the clock moves when nothing else can.

#![forbid(unsafe_code)]

mod network;
mod random;
mod runtime;
mod scheduler;
mod sleep;
mod task;
mod trace;

use std::{
    fmt,
    future::Future,
    io,
    ops::Range,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use cloakroom_runtime::Endpoint;

use self::scheduler::{Shared, Turn};
pub use self::{
    network::{Link, SimListener, SimStream},
    runtime::SimRuntime,
    trace::Trace,
};

/// A world of its own: tasks, a clock and a network.
///
/// Dropping it drops the tasks, also those that no `block_on` has finished. What is spawned later is dropped unpolled, and
/// a sleep that is polled later never ends.
pub struct Sim {
    shared: Arc<Shared>,
    max_steps: u64,
}

impl Sim {
    /// How many steps one call of [`Sim::block_on`] may take unless told otherwise.
    pub const MAX_STEPS: u64 = 1_000_000;

    /// Where the wall clock starts, as seconds after the Unix epoch: 2033-05-18, 03:33:20 UTC.
    pub const START: u64 = 2_000_000_000;

    /// Where the clock ends, counted from its start: a thousand years. A sleep beyond it never ends.
    pub const HORIZON: Duration = Duration::from_secs(1000 * 365 * 24 * 3600);

    /// Makes a world that the seed decides.
    pub fn new(seed: u64) -> Self {
        Self { shared: Arc::new(Shared::new(seed)), max_steps: Self::MAX_STEPS }
    }

    /// Sets how many steps one call of [`Sim::block_on`] may take.
    #[must_use = "this returns the changed world"]
    pub fn with_max_steps(mut self, steps: u64) -> Self {
        self.max_steps = steps;
        self
    }

    /// Returns the runtime.
    pub fn runtime(&self) -> SimRuntime {
        SimRuntime::new(Arc::clone(&self.shared))
    }

    /// Runs a future, and every task beside it, until the future ends.
    ///
    /// The other tasks stay where they are; a later call goes on with them.
    ///
    /// # Panics
    ///
    /// With the future's own panic. When no task is ready and no timer is set; when there are too many steps; and inside
    /// another `block_on` of the same world.
    #[allow(clippy::panic, reason = "it fails a test")]
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let Some(main) = self.shared.begin() else { panic!("`block_on` of the same `Sim` is under way") };
        let mut future = pin!(future);
        for _ in 0..self.max_steps {
            match self.shared.next_turn() {
                Turn::Drop(job) => job.discard(),
                Turn::Fire(waker) => waker.wake(),
                Turn::Poll(task) => task.run(&self.shared),
                Turn::PollMain => {
                    if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(main.waker())) {
                        return value;
                    }
                }
                Turn::Stuck => panic!("deadlock: nothing is ready and no timer is set; {}", self.shared),
            }
        }
        panic!("no end after {} steps; {}", self.max_steps, self.shared)
    }

    /// Tells how far the clock has come since its start, without what it was set by.
    pub fn elapsed(&self) -> Duration {
        self.shared.elapsed()
    }

    /// Lets time go by at once, as where a machine was suspended: every timer of that time is due, none has fired.
    pub fn advance(&self, duration: Duration) {
        self.shared.advance(duration);
    }

    /// Sets the wall clock, as an operator or NTP does: no timer moves.
    pub fn set_clock(&self, time: SystemTime) {
        self.shared.set_clock(time);
    }

    /// Tells what was decided so far.
    pub fn trace(&self) -> Trace {
        self.shared.trace()
    }

    /// Starts to listen, in the network of this world. A host that is an IP address and that address are the same; a name
    /// stands for itself.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AddrInUse`] where something listens already.
    pub fn listen(&self, endpoint: &Endpoint) -> io::Result<SimListener> {
        SimListener::bind(&self.shared, endpoint)
    }

    /// Returns the connections that have an end left, the oldest first.
    pub fn links(&self) -> Vec<Link> {
        network::links(&self.shared)
    }

    /// Sets how long connecting and bytes take; by default less than 2 ms. What is on its way already is not affected, and
    /// nothing overtakes what was sent before it.
    pub fn set_delays(&self, delays: Range<Duration>) {
        self.shared.set_delays(delays);
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sim").field(&format_args!("{}", self.shared)).finish()
    }
}
