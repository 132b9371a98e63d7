//! Many sleeps over one timer.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
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
    /// What timers wake.
    ring: Waker,
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
    /// Somebody sets or polls it, and looks again when done; as if it had rung where it did meanwhile.
    Setting {
        again: bool,
    },
    Set {
        at: Instant,
        timer: BoxFuture<'static, ()>,
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
        Self(Arc::new_cyclic(|alarm| {
            let ring = Arc::new(Ring(Weak::clone(alarm))).into();
            Inner { ring, now, timer: Box::new(timer), state: Mutex::new(state) }
        }))
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
    fn note(&self, end: Instant, place: &mut Option<Place>, waker: &Waker) {
        if let Some(place) = place {
            let state = self.state();
            if state.sleepers.get(place).is_some_and(|known| known.will_wake(waker)) {
                return self.attend(state, false);
            }
        }
        let waker = waker.clone();
        let mut state = self.state();
        let place = *place.get_or_insert_with(|| {
            state.begun += 1;
            (end, state.begun)
        });
        let _former = state.sleepers.insert(place, waker);
        self.attend(state, false);
    }

    /// Wakes those whose time has come, where the timer has rung, and sets it for the first of the others.
    ///
    /// Nothing is woken, polled or dropped while the lock is held: with the last waker of a task goes all that it owned,
    /// which may sleep as well; and a timer may wake whoever polls it.
    fn attend<'a>(&'a self, mut state: MutexGuard<'a, State>, mut has_rung: bool) {
        loop {
            if let Timer::Setting { again } = &mut state.timer {
                *again |= has_rung;
                return;
            }
            let mut ended = BTreeMap::new();
            if has_rung {
                let later = state.sleepers.split_off(&((self.now)(), u64::MAX));
                ended = mem::replace(&mut state.sleepers, later);
            }
            let first = state.sleepers.first_key_value().map(|(&(end, _), _)| end);
            let is_late = |end| !matches!(&state.timer, Timer::Set { at, .. } if *at <= end);
            if !has_rung && !first.is_some_and(is_late) {
                return;
            }
            let former = mem::replace(&mut state.timer, Timer::Setting { again: false });
            drop(state);
            let setting = Setting(self);
            wake(ended.into_values());
            let now = (self.now)();
            let mut timer = match (former, first) {
                // It rang for nothing, as one does that lets others go first.
                (Timer::Set { at, timer }, Some(end)) if now < at && at <= end => Some((at, timer)),
                (former, Some(end)) => {
                    drop(former);
                    Some((end, (self.timer)(end.saturating_duration_since(now))))
                }
                (_, None) => None,
            };
            let is_over = |(_, timer): &mut (Instant, BoxFuture<'static, ()>)| {
                timer.as_mut().poll(&mut Context::from_waker(&self.ring)).is_ready()
            };
            let over = timer.take_if(is_over);
            has_rung = over.is_some();
            drop(over);
            mem::forget(setting);
            state = self.state();
            has_rung |= matches!(state.timer, Timer::Setting { again: true });
            state.timer = timer.map_or(Timer::Unset, |(at, timer)| Timer::Set { at, timer });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the timer wakes. It does not keep the alarm: the timer goes with the last who could sleep.
struct Ring(Weak<Inner>);

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        if let Some(alarm) = self.0.upgrade() {
            // A timer that panics does so again where the sleepers set it, and not in whoever drives the runtime.
            let _ = catch_unwind(AssertUnwindSafe(|| alarm.attend(alarm.state(), true)));
        }
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
