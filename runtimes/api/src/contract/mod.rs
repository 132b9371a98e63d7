//! The rules of [`Runtime`] as cases that anybody who writes a runtime can run.
//!
//! Each case is a function that takes the runtime and returns the rule that it saw broken. It is polled inside the
//! runtime's context, by the runtime's own `block_on`; [`CASES`] lists them all, and [`check`] runs the list.
//!
//! A case never fails because the machine is slow: no case asserts an upper bound but [`PATIENCE`], after which what has
//! not happened is taken never to happen. Cases open sockets on the loopback interface and Unix sockets in the
//! temporary folder. A runtime whose clock, network or threads are its own and not the system's leaves out the cases that
//! look at the system's.
//!
//! # Example
//!
//! ```
//! # use cloakroom_runtime::{Runtime, contract};
//! fn the_contract_holds(runtime: &dyn Runtime, block_on: impl Fn(contract::Checked<'_>) -> Result<(), String>) {
//!     for case in contract::CASES {
//!         assert_eq!(block_on(case.check(runtime)), Ok(()), "{}", case.name());
//!     }
//! }
//! ```

mod coarse_now;
mod connect;
mod now;
mod sleep;
mod spawn;
mod unblock;

use std::{
    fmt,
    future::{Future, poll_fn},
    panic,
    pin::{Pin, pin},
    sync::mpsc::{self, RecvTimeoutError},
    task::Poll,
    thread,
    time::Duration,
};

use futures_channel::oneshot;

use crate::{BoxFuture, Runtime};

/// How long a case waits until it takes something for never happening.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What [`Case::check`] returns: `Err` names the rule that is broken.
pub type Checked<'a> = BoxFuture<'a, Result<(), String>>;

/// One rule of the contract, or a few that only show together.
#[derive(Clone, Copy)]
pub struct Case {
    name: &'static str,
    check: for<'a> fn(Bench<'a>) -> Checked<'a>,
}

impl Case {
    /// Returns the name: that of the method, then the rule.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Checks a runtime. To be polled inside it.
    ///
    /// # Errors
    ///
    /// The rule that is broken, in words.
    pub fn check<'a>(&self, runtime: &'a dyn Runtime) -> Checked<'a> {
        self.check_with_patience(runtime, PATIENCE)
    }

    /// Checks a runtime, and waits longer or shorter than [`PATIENCE`] for what does not happen.
    ///
    /// # Errors
    ///
    /// The rule that is broken, in words.
    pub fn check_with_patience<'a>(&self, runtime: &'a dyn Runtime, patience: Duration) -> Checked<'a> {
        (self.check)(Bench { runtime, patience })
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}

macro_rules! cases {
    ($($method:ident::$rule:ident),* $(,)?) => {
        &[$(Case {
            name: concat!(stringify!($method), "_", stringify!($rule)),
            check: |bench| Box::pin($method::$rule(bench)),
        }),*]
    };
}

/// All cases.
pub const CASES: &[Case] = cases![
    coarse_now::goes_on_with_the_wall_clock,
    connect::carries_bytes_both_ways_over_tcp,
    connect::carries_bytes_both_ways_over_unix_sockets,
    connect::closes_what_it_opened_when_that_is_dropped,
    connect::gives_up_when_dropped,
    connect::looks_names_up_and_tries_every_address,
    connect::tells_the_peer_when_it_is_closed,
    connect::tells_what_went_wrong,
    connect::wakes_who_reads_and_who_writes,
    now::goes_on_with_the_wall_clock,
    sleep::ends_once_however_often_it_is_polled,
    sleep::holds_up_nothing_else,
    sleep::leaves_nothing_behind_when_dropped,
    sleep::never_ends_early,
    sleep::returns_at_once,
    spawn::cancelling_drops_the_future,
    spawn::cancelling_what_has_ended_does_nothing,
    spawn::dropping_the_task_detaches,
    spawn::keeps_a_panic_from_all_others,
    spawn::lets_futures_wait_for_each_other,
    spawn::returns_before_it_polls,
    spawn::starts_without_being_awaited,
    unblock::forgets_when_cancelled_or_dropped,
    unblock::holds_up_no_future,
    unblock::keeps_a_panic_on_its_thread,
    unblock::returns_at_once,
];

/// Checks a runtime by all cases, one after the other. To be polled inside it.
///
/// # Errors
///
/// The first rule that is broken, with the name of its case.
pub async fn check(runtime: &dyn Runtime) -> Result<(), String> {
    for case in CASES {
        case.check(runtime).await.map_err(|broken| format!("{}: {broken}", case.name))?;
    }
    Ok(())
}

/// What a case works with.
#[derive(Clone, Copy)]
struct Bench<'a> {
    runtime: &'a dyn Runtime,
    patience: Duration,
}

impl Bench<'_> {
    /// So long that nothing lasts as long by chance.
    const fn long(self) -> Duration {
        self.patience.saturating_mul(2)
    }

    /// Waits for what a rule promises.
    async fn within<T>(self, rule: &str, promised: impl Future<Output = T>) -> Result<T, String> {
        let (expire, mut expired) = oneshot::channel::<()>();
        let (done, is_done) = mpsc::channel::<()>();
        // Not by the runtime's own clock, which is on trial.
        thread::spawn(move || {
            if is_done.recv_timeout(self.patience) == Err(RecvTimeoutError::Timeout) {
                let _ = expire.send(());
            }
        });
        let mut promised = pin!(promised);
        let outcome = poll_fn(|context| match promised.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending => Pin::new(&mut expired).poll(context).map(|_| Err(rule.to_owned())),
        })
        .await;
        drop(done);
        outcome
    }

    /// Waits for a sender to send.
    async fn told<T>(self, rule: &str, receiver: oneshot::Receiver<T>) -> Result<T, String> {
        self.within(rule, receiver).await?.map_err(|_| rule.to_owned())
    }

    /// Waits for a sender to be dropped, whether it sent or not.
    async fn dropped<T>(self, rule: &str, receiver: oneshot::Receiver<T>) -> Result<(), String> {
        self.within(rule, receiver).await.map(drop)
    }
}

fn ensure(holds: bool, rule: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(rule.to_owned()) }
}

/// Panics without the message that the panic hook prints.
fn panic_quietly() {
    panic::resume_unwind(Box::new("a panic that the contract's cases make on purpose"));
}
