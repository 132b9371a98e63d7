//! Many sleeps over one timer.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use crate::BoxFuture;

/// Sleeps that share one timer, for implementers of [`Runtime::sleep`](crate::Runtime::sleep). Cheap to clone; clones share.
///
/// Nearly every sleep here is a deadline that is not reached. Runtimes' own timers cost system calls: a thread that waits
/// for events is told of each new one. With an alarm, one timer is there for the first sleep to end, and it is set anew when it
/// has rung or when a sleep that ends sooner begins; a sleep that is dropped leaves it as it is.
///
/// No task has the timer, which might wait for a thread that is busy: who sleeps first sets it, and who wakes it sets it for
/// the next.
///
/// ```
/// use std::{sync::LazyLock, time::{Duration, Instant}};
///
/// use cloakroom_runtime::{Alarm, BoxFuture};
///
/// # struct Timer;
/// # impl Timer { fn after(_: Duration) -> std::future::Ready<()> { std::future::ready(()) } }
/// static ALARM: LazyLock<Alarm> =
///     LazyLock::new(|| Alarm::new(Instant::now, |duration| Box::pin(Timer::after(duration))));
///
/// fn sleep(duration: Duration) -> BoxFuture<'static, ()> {
///     Box::pin(ALARM.sleep(duration))
/// }
/// # drop(sleep(Duration::ZERO));
/// ```
#[derive(Clone)]
pub struct Alarm(Arc<Inner>);

struct Inner {
    now: fn() -> Instant,
    timer: Box<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>,
    state: Mutex<State>,
}

struct State {
    /// By when they end, and in the order in which they began.
    sleepers: BTreeMap<Place, Waker>,
    begun: u64,
    timer: Timer,
}

type Place = (Instant, u64);

enum Timer {
    Unset,
    /// Somebody sets it, and looks again when done where something has happened meanwhile.
    Setting {
        again: bool,
    },
    /// Kept, it rings.
    Set {
        at: Instant,
        _timer: BoxFuture<'static, ()>,
    },
}

impl Alarm {
    /// Makes an alarm of a runtime's clock and of its own timer. Timers are made, polled and dropped where a sleep is polled
    /// and where a timer wakes, which may be outside the runtime.
    pub fn new(
        now: fn() -> Instant,
        timer: impl Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Self {
        let state = State { sleepers: BTreeMap::new(), begun: 0, timer: Timer::Unset };
        Self(Arc::new(Inner { now, timer: Box::new(timer), state: Mutex::new(state) }))
    }

    /// Waits, from the first poll on. One that is too long for the clock never ends. It panics where the timer does.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        Sleep { alarm: self.clone(), duration, place: None }
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").finish_non_exhaustive()
    }
}

impl Inner {
    /// Notes who sleeps, and sees to it that the timer rings in time.
    fn note(self: &Arc<Self>, end: Instant, place: &mut Option<Place>, waker: &Waker) {
        let mut state = self.state();
        let place = *place.get_or_insert_with(|| {
            state.begun += 1;
            (end, state.begun)
        });
        let _former = match state.sleepers.get_mut(&place) {
            Some(known) if known.will_wake(waker) => None,
            Some(known) => Some(mem::replace(known, waker.clone())),
            None => state.sleepers.insert(place, waker.clone()),
        };
        self.attend(state, false);
    }

    /// Wakes those whose time has come, where the timer has rung, and sets it for the first of the others.
    ///
    /// Nothing is woken or dropped while the lock is held: with the last waker of a task goes all that it owned, which may
    /// sleep as well; and a timer may wake whoever polls it.
    fn attend<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State>, mut has_rung: bool) {
        loop {
            if let Timer::Setting { again } = &mut state.timer {
                *again = true;
                return;
            }
            let mut ended = BTreeMap::new();
            let mut former = Timer::Unset;
            if has_rung {
                let later = state.sleepers.split_off(&((self.now)(), u64::MAX));
                ended = mem::replace(&mut state.sleepers, later);
                former = mem::replace(&mut state.timer, Timer::Unset);
            }
            let first = state.sleepers.first_key_value().map(|(&(end, _), _)| end);
            let Some(end) = first.filter(|end| !matches!(&state.timer, Timer::Set { at, .. } if at <= end)) else {
                drop(state);
                drop(former);
                return wake(ended.into_values());
            };
            let sooner = mem::replace(&mut state.timer, Timer::Setting { again: false });
            drop(state);
            drop((former, sooner));
            wake(ended.into_values());
            let setting = Setting(self);
            let mut timer = (self.timer)(end.saturating_duration_since((self.now)()));
            let is_set = timer.as_mut().poll(&mut Context::from_waker(&Arc::clone(self).into())).is_pending();
            mem::forget(setting);
            state = self.state();
            let again = matches!(state.timer, Timer::Setting { again: true });
            state.timer = if is_set { Timer::Set { at: end, _timer: timer } } else { Timer::Unset };
            if is_set && !again {
                return;
            }
            has_rung = true;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The timer rings.
impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        // A timer that panics does so again where the sleepers set it, and not in whoever drives the runtime.
        let _ = catch_unwind(AssertUnwindSafe(|| self.attend(self.state(), true)));
    }
}

/// Dropped while a timer that panics unwinds: the others are to set their own.
struct Setting<'a>(&'a Inner);

impl Drop for Setting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.timer = Timer::Unset;
        let sleepers: Vec<_> = state.sleepers.values().cloned().collect();
        drop(state);
        wake(sleepers);
    }
}

/// The future of [`Alarm::sleep`]. It may be polled on any thread.
#[must_use = "it begins when it is polled"]
pub struct Sleep {
    alarm: Alarm,
    duration: Duration,
    place: Option<Place>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { alarm: Alarm(alarm), duration, place } = &mut *self;
        let now = (alarm.now)();
        let end = match place {
            Some((end, _)) => *end,
            None => match now.checked_add(*duration) {
                Some(end) => end,
                None => return Poll::Pending,
            },
        };
        if end <= now {
            return Poll::Ready(());
        }
        alarm.note(end, place, context.waker());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            // Dropped when nothing is locked any more.
            let _waker = self.alarm.0.state().sleepers.remove(&place);
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").finish_non_exhaustive()
    }
}

/// Wakes each, also where another's waker panics.
fn wake(sleepers: impl IntoIterator<Item = Waker>) {
    for sleeper in sleepers {
        let _ = catch_unwind(AssertUnwindSafe(|| sleeper.wake()));
    }
}
