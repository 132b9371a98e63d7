//! Many sleeps over one timer.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use crate::BoxFuture;

/// Sleeps that share one timer, for implementers of [`Runtime::sleep`](crate::Runtime::sleep).
///
/// Nearly every sleep here is a deadline that is not reached. Where a timer costs system calls, as in async-io, which
/// smol and async-std have theirs from, two for each operation of a store are a good part of what a request costs. With an
/// alarm, one timer is there for the first sleep to end, and it is set anew when it has rung or when a sleep that ends
/// sooner begins; a sleep that is dropped leaves it as it is.
///
/// It stands in a `static`, which works where all tasks have one executor that never shuts down, and the clock of [`Instant`].
/// A task of that executor has the timer.
///
/// ```
/// use std::time::Duration;
///
/// use cloakroom_runtime::{Alarm, BoxFuture};
///
/// # struct Timer;
/// # impl Timer { fn after(_: Duration) -> std::future::Ready<()> { std::future::ready(()) } }
/// # fn spawn_and_detach(_: BoxFuture<'static, ()>) {}
/// static ALARM: Alarm = Alarm::new(|duration| Box::pin(Timer::after(duration)), spawn_and_detach);
///
/// fn sleep(duration: Duration) -> BoxFuture<'static, ()> {
///     ALARM.sleep(duration)
/// }
/// # drop(sleep(Duration::ZERO));
/// ```
pub struct Alarm {
    timer: fn(Duration) -> BoxFuture<'static, ()>,
    spawn: fn(BoxFuture<'static, ()>),
    state: Mutex<State>,
}

struct State {
    /// By when they end, and in the order in which they began.
    sleepers: BTreeMap<Place, Waker>,
    begun: u64,
    ringer: Ringing,
}

type Place = (Instant, u64);

/// What becomes of the task that has the timer.
enum Ringing {
    /// There is none.
    Not,
    /// It is about to look for the first to end.
    Soon,
    /// It waits for this moment, or to be woken.
    At(Instant, Waker),
}

impl Alarm {
    /// Makes an alarm of the runtime's own timer and of how it spawns a future. Its sleeps may be polled anywhere.
    pub const fn new(timer: fn(Duration) -> BoxFuture<'static, ()>, spawn: fn(BoxFuture<'static, ()>)) -> Self {
        let state = State { sleepers: BTreeMap::new(), begun: 0, ringer: Ringing::Not };
        Self { timer, spawn, state: Mutex::new(state) }
    }

    /// Waits, from the first poll on. One that is too long for the clock never ends.
    pub fn sleep(&'static self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(Sleep { alarm: self, duration, place: None })
    }

    /// Notes who sleeps, and sees to it that the timer rings in time.
    fn note(&'static self, end: Instant, place: &mut Option<Place>, waker: &Waker) {
        let mut state = self.state();
        let place = *place.get_or_insert_with(|| {
            state.begun += 1;
            (end, state.begun)
        });
        let former = match state.sleepers.get_mut(&place) {
            Some(known) if known.will_wake(waker) => return,
            Some(known) => Some(mem::replace(known, waker.clone())),
            None => state.sleepers.insert(place, waker.clone()),
        };
        let ringer = match &state.ringer {
            Ringing::At(at, _) if *at <= end => None,
            Ringing::Soon => None,
            Ringing::At(..) | Ringing::Not => Some(mem::replace(&mut state.ringer, Ringing::Soon)),
        };
        // With the last waker of a task goes all that it owned, which may sleep as well.
        drop(state);
        drop(former);
        match ringer {
            Some(Ringing::At(_, ringer)) => ringer.wake(),
            Some(_) => (self.spawn)(Box::pin(Ringer { alarm: self, timer: None })),
            None => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").finish_non_exhaustive()
    }
}

struct Sleep {
    alarm: &'static Alarm,
    duration: Duration,
    place: Option<Place>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let end = match self.place {
            Some((end, _)) => end,
            None => match now.checked_add(self.duration) {
                Some(end) => end,
                None => return Poll::Pending,
            },
        };
        if end <= now {
            return Poll::Ready(());
        }
        self.alarm.note(end, &mut self.place, context.waker());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            // Not dropped while all is locked.
            let _waker = self.alarm.state().sleepers.remove(&place);
        }
    }
}

/// The task that has the timer. It ends when the timer rings and nobody sleeps.
struct Ringer {
    alarm: &'static Alarm,
    timer: Option<(Instant, BoxFuture<'static, ()>)>,
}

impl Ringer {
    /// Wakes those whose time has come; returns when the next one's does.
    fn ring(&self, context: &Context<'_>) -> Option<Instant> {
        let mut state = self.alarm.state();
        let later = state.sleepers.split_off(&(Instant::now(), u64::MAX));
        let ended = mem::replace(&mut state.sleepers, later);
        let next = state.sleepers.first_key_value().map(|(&(end, _), _)| end);
        let ringer = next.map_or(Ringing::Not, |end| Ringing::At(end, context.waker().clone()));
        let _former = mem::replace(&mut state.ringer, ringer);
        drop(state);
        for sleeper in ended.into_values() {
            // One that panics must not be the last that is woken.
            let _ = catch_unwind(AssertUnwindSafe(|| sleeper.wake()));
        }
        next
    }
}

impl Future for Ringer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        while let Some(end) = self.ring(context) {
            if self.timer.as_ref().is_none_or(|(at, _)| *at != end) {
                self.timer = Some((end, (self.alarm.timer)(end.saturating_duration_since(Instant::now()))));
            }
            if let Some((_, timer)) = &mut self.timer
                && timer.as_mut().poll(context).is_pending()
            {
                return Poll::Pending;
            }
            self.timer = None;
        }
        Poll::Ready(())
    }
}
