//! Many sleeps over one timer.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use crate::BoxFuture;

/// Sleeps that share one timer, for implementers of [`Runtime::sleep`](crate::Runtime::sleep). Cheap to clone; clones share.
///
/// Nearly every sleep here is a deadline that is not reached. Runtimes' own timers cost system calls: a thread that waits
/// for events is told of each new one. With an alarm, one timer is there for the first sleep to end, and it is set anew when it
/// has rung or when a sleep that ends sooner begins; a sleep that is dropped leaves it as it is.
///
/// A task has the timer. It is spawned when the first sleep begins, and ends when the timer rings and nobody sleeps.
///
/// ```
/// use std::{sync::LazyLock, time::{Duration, Instant}};
///
/// use cloakroom_runtime::{Alarm, BoxFuture};
///
/// # struct Timer;
/// # impl Timer { fn after(_: Duration) -> std::future::Ready<()> { std::future::ready(()) } }
/// # fn spawn_and_detach(_: BoxFuture<'static, ()>) {}
/// static ALARM: LazyLock<Alarm> =
///     LazyLock::new(|| Alarm::new(Instant::now, |duration| Box::pin(Timer::after(duration)), spawn_and_detach));
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
    timer: fn(Duration) -> BoxFuture<'static, ()>,
    spawn: fn(BoxFuture<'static, ()>),
    state: Mutex<State>,
}

struct State {
    /// By when they end, and in the order in which they began.
    sleepers: BTreeMap<Place, Waker>,
    begun: u64,
    ringing: Ringing,
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
    /// It was dropped, as when a runtime shuts down. There will be no other.
    Never,
}

impl Alarm {
    /// Makes an alarm of a runtime's clock, of its own timer, and of how it spawns a future. The last two are called where a
    /// sleep is polled or dropped.
    pub fn new(
        now: fn() -> Instant,
        timer: fn(Duration) -> BoxFuture<'static, ()>,
        spawn: fn(BoxFuture<'static, ()>),
    ) -> Self {
        let state = State { sleepers: BTreeMap::new(), begun: 0, ringing: Ringing::Not };
        Self(Arc::new(Inner { now, timer, spawn, state: Mutex::new(state) }))
    }

    /// Waits, from the first poll on. One that is too long for the clock never ends. Where the runtime has dropped the task
    /// that has the timer, each sleep has a timer of its own.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        Sleep { alarm: self.clone(), progress: Progress::New(duration) }
    }

    fn now(&self) -> Instant {
        (self.0.now)()
    }

    /// Notes who sleeps, and sees to it that the timer rings in time; `None` where it never will.
    fn note(&self, end: Instant, place: Option<Place>, waker: &Waker) -> Option<Place> {
        let mut state = self.state();
        if matches!(state.ringing, Ringing::Never) {
            return None;
        }
        let place = place.unwrap_or_else(|| {
            state.begun += 1;
            (end, state.begun)
        });
        let former = match state.sleepers.get_mut(&place) {
            Some(known) if known.will_wake(waker) => return Some(place),
            Some(known) => Some(mem::replace(known, waker.clone())),
            None => state.sleepers.insert(place, waker.clone()),
        };
        let ringing = match &state.ringing {
            Ringing::At(at, _) if end < *at => Some(mem::replace(&mut state.ringing, Ringing::Soon)),
            Ringing::Not => Some(mem::replace(&mut state.ringing, Ringing::Soon)),
            Ringing::At(..) | Ringing::Never | Ringing::Soon => None,
        };
        // With the last waker of a task goes all that it owned, which may sleep as well.
        drop(state);
        drop(former);
        match ringing {
            Some(Ringing::At(_, ringer)) => ringer.wake(),
            Some(_) => (self.0.spawn)(Box::pin(Ringer { alarm: self.clone(), timer: None, has_ended: false })),
            None => {}
        }
        Some(place)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").finish_non_exhaustive()
    }
}

/// The future of [`Alarm::sleep`]. It may be polled on any thread.
#[must_use = "it begins when it is polled"]
pub struct Sleep {
    alarm: Alarm,
    progress: Progress,
}

enum Progress {
    New(Duration),
    Noted(Place),
    Alone(BoxFuture<'static, ()>),
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let now = self.alarm.now();
        let (end, place) = match &mut self.progress {
            Progress::New(duration) => match now.checked_add(*duration) {
                Some(end) => (end, None),
                None => return Poll::Pending,
            },
            Progress::Noted(place) => (place.0, Some(*place)),
            Progress::Alone(timer) => return timer.as_mut().poll(context),
        };
        if end <= now {
            return Poll::Ready(());
        }
        if let Some(place) = self.alarm.note(end, place, context.waker()) {
            self.progress = Progress::Noted(place);
            return Poll::Pending;
        }
        let mut timer = (self.alarm.0.timer)(end - now);
        let poll = timer.as_mut().poll(context);
        self.progress = Progress::Alone(timer);
        poll
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Progress::Noted(place) = self.progress {
            // Not dropped while all is locked.
            let _waker = self.alarm.state().sleepers.remove(&place);
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").finish_non_exhaustive()
    }
}

/// The task that has the timer.
struct Ringer {
    alarm: Alarm,
    timer: Option<(Instant, BoxFuture<'static, ()>)>,
    has_ended: bool,
}

impl Ringer {
    /// Wakes those whose time has come; returns when the next one's does.
    fn ring(&self, context: &Context<'_>) -> Option<Instant> {
        let mut state = self.alarm.state();
        let later = state.sleepers.split_off(&(self.alarm.now(), u64::MAX));
        let ended = mem::replace(&mut state.sleepers, later);
        let next = state.sleepers.first_key_value().map(|(&(end, _), _)| end);
        let ringing = next.map_or(Ringing::Not, |end| Ringing::At(end, context.waker().clone()));
        let _former = mem::replace(&mut state.ringing, ringing);
        drop(state);
        wake(ended);
        next
    }
}

impl Future for Ringer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        while let Some(end) = self.ring(context) {
            if self.timer.as_ref().is_none_or(|(at, _)| *at != end) {
                let left = end.saturating_duration_since(self.alarm.now());
                self.timer = Some((end, (self.alarm.0.timer)(left)));
            }
            if let Some((_, timer)) = &mut self.timer
                && timer.as_mut().poll(context).is_pending()
            {
                return Poll::Pending;
            }
            self.timer = None;
        }
        self.has_ended = true;
        Poll::Ready(())
    }
}

impl Drop for Ringer {
    fn drop(&mut self) {
        if !self.has_ended {
            let mut state = self.alarm.state();
            let _former = mem::replace(&mut state.ringing, Ringing::Never);
            let sleepers = mem::take(&mut state.sleepers);
            drop(state);
            wake(sleepers);
        }
    }
}

/// Wakes each, also where another's waker panics.
fn wake(sleepers: BTreeMap<Place, Waker>) {
    for sleeper in sleepers.into_values() {
        let _ = catch_unwind(AssertUnwindSafe(|| sleeper.wake()));
    }
}
