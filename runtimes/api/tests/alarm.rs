//! `Alarm`.

mod common;

use std::{
    future::{Future as _, poll_fn, ready},
    mem,
    panic::{self, AssertUnwindSafe},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

use cloakroom_runtime::{Alarm, Runtime, Sleep};

use self::common::{Threads, block_on};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(20);

/// An alarm on `Threads`, and how many timers it made.
fn counted() -> (Alarm, Arc<AtomicUsize>) {
    let timers = Arc::<AtomicUsize>::default();
    let counts = Arc::clone(&timers);
    let alarm = Alarm::new(Instant::now, move |duration| {
        counts.fetch_add(1, Ordering::SeqCst);
        Threads.sleep(duration)
    });
    (alarm, timers)
}

/// A waker that counts.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll(sleep: &mut Sleep, waker: &Waker) -> Poll<()> {
    Pin::new(sleep).poll(&mut Context::from_waker(waker))
}

fn begin(alarm: &Alarm, duration: Duration) -> Sleep {
    let mut sleep = alarm.sleep(duration);
    assert_eq!(poll(&mut sleep, Waker::noop()), Poll::Pending);
    sleep
}

#[test]
fn many_that_end_no_sooner_have_one_timer() {
    let (alarm, timers) = counted();
    let _first = begin(&alarm, LONG);
    for _ in 0..1000 {
        drop(begin(&alarm, LONG));
    }
    assert_eq!(timers.load(Ordering::SeqCst), 1);
    // One that ends sooner sets it anew, and so does its end.
    block_on(alarm.sleep(SHORT));
    assert!((2..=3).contains(&timers.load(Ordering::SeqCst)), "{timers:?}");
}

#[test]
fn the_timer_is_set_for_the_next_by_whoever_wakes_the_first() {
    let (alarm, timers) = counted();
    let first = Arc::<Woken>::default();
    let mut sleep = alarm.sleep(SHORT);
    assert_eq!(poll(&mut sleep, &first.clone().into()), Poll::Pending);
    let mut next = alarm.sleep(10 * SHORT);
    let woken = Arc::<Woken>::default();
    assert_eq!(poll(&mut next, &woken.clone().into()), Poll::Pending);
    // Neither is polled meanwhile: their tasks wait for a thread that is busy.
    while woken.0.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
    assert_eq!((first.0.load(Ordering::SeqCst), timers.load(Ordering::SeqCst)), (1, 2));
}

#[test]
fn one_that_is_dropped_lets_go_of_its_waker() {
    let (alarm, _) = counted();
    let woken = Arc::<Woken>::default();
    let mut sleep = alarm.sleep(LONG);
    assert_eq!(poll(&mut sleep, &woken.clone().into()), Poll::Pending);
    drop(sleep);
    assert_eq!(Arc::strong_count(&woken), 1);
}

#[test]
fn all_end_and_none_early() {
    let (alarm, _) = counted();
    let sleepers = [80, 20, 60, 40, 0].map(|millis| {
        let (alarm, duration) = (alarm.clone(), Duration::from_millis(millis));
        thread::spawn(move || {
            let begun = Instant::now();
            block_on(alarm.sleep(duration));
            assert!(begun.elapsed() >= duration, "{duration:?}");
        })
    });
    for sleeper in sleepers {
        sleeper.join().unwrap();
    }
}

#[test]
fn the_last_task_that_polls_is_the_one_that_is_woken() {
    let (alarm, _) = counted();
    let (former, latter) = (Arc::<Woken>::default(), Arc::<Woken>::default());
    let mut sleep = alarm.sleep(SHORT);
    assert_eq!(poll(&mut sleep, &former.clone().into()), Poll::Pending);
    assert_eq!(poll(&mut sleep, &latter.clone().into()), Poll::Pending);
    assert_eq!(Arc::strong_count(&former), 1, "the former waker is let go");
    block_on(alarm.sleep(2 * SHORT));
    assert_eq!((former.0.load(Ordering::SeqCst), latter.0.load(Ordering::SeqCst)), (0, 1));
    assert_eq!(poll(&mut sleep, Waker::noop()), Poll::Ready(()));
}

#[test]
fn a_waker_that_panics_keeps_nobody_asleep() {
    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic::resume_unwind(Box::new("on purpose"));
        }
    }

    let (alarm, _) = counted();
    let mut sleep = alarm.sleep(SHORT);
    assert_eq!(poll(&mut sleep, &Arc::new(Panics).into()), Poll::Pending);
    block_on(alarm.sleep(SHORT));
    block_on(alarm.sleep(SHORT));
}

#[test]
fn what_a_waker_owns_may_sleep_itself() {
    /// With the waker goes a sleep, as with the last waker of a task.
    struct Owns {
        _sleep: Mutex<Sleep>,
    }

    impl Wake for Owns {
        fn wake(self: Arc<Self>) {}
    }

    let (alarm, _) = counted();
    let owner = || Waker::from(Arc::new(Owns { _sleep: Mutex::new(begin(&alarm, LONG)) }));
    let mut replaced = alarm.sleep(LONG);
    let mut dropped = alarm.sleep(LONG);
    let mut woken = alarm.sleep(SHORT);
    for sleep in [&mut replaced, &mut dropped, &mut woken] {
        assert_eq!(poll(sleep, &owner()), Poll::Pending);
    }
    assert_eq!(poll(&mut replaced, Waker::noop()), Poll::Pending);
    drop(dropped);
    block_on(alarm.sleep(2 * SHORT));
}

#[test]
fn one_that_is_too_long_for_the_clock_never_ends() {
    let (alarm, timers) = counted();
    drop(begin(&alarm, Duration::MAX));
    assert_eq!(timers.load(Ordering::SeqCst), 0);
}

#[test]
fn a_timer_that_wakes_for_nothing_is_polled_again() {
    // Each lets others go first, at once and a little later, as the runtime of a task that has used up its turn does.
    for wait in [Duration::ZERO, SHORT / 4] {
        let timers = Arc::<AtomicUsize>::default();
        let counts = Arc::clone(&timers);
        let alarm = Alarm::new(Instant::now, move |duration| {
            counts.fetch_add(1, Ordering::SeqCst);
            let mut sleep = Threads.sleep(duration);
            let mut waits = true;
            Box::pin(poll_fn(move |context| {
                if !mem::take(&mut waits) {
                    return sleep.as_mut().poll(context);
                }
                let waker = context.waker().clone();
                if wait.is_zero() {
                    waker.wake();
                } else {
                    thread::spawn(move || {
                        thread::sleep(wait);
                        waker.wake();
                    });
                }
                Poll::Pending
            }))
        });
        block_on(alarm.sleep(SHORT));
        assert_eq!(timers.load(Ordering::SeqCst), 1, "{wait:?}");
    }
}

#[test]
fn a_timer_that_is_over_too_soon_is_set_again() {
    let timers = Arc::<AtomicUsize>::default();
    let counts = Arc::clone(&timers);
    let alarm = Alarm::new(Instant::now, move |duration| match counts.fetch_add(1, Ordering::SeqCst) {
        0 => Box::pin(ready(())),
        _ => Threads.sleep(duration),
    });
    block_on(alarm.sleep(SHORT));
    assert_eq!(timers.load(Ordering::SeqCst), 2);
}

#[test]
fn the_timer_goes_with_the_last_who_could_sleep() {
    let timer = Arc::new(());
    let kept = Arc::clone(&timer);
    let alarm = Alarm::new(Instant::now, move |duration| {
        let (kept, sleep) = (Arc::clone(&kept), Threads.sleep(duration));
        Box::pin(async move {
            sleep.await;
            drop(kept);
        })
    });
    let sleep = begin(&alarm, LONG);
    drop(alarm);
    assert_eq!(Arc::strong_count(&timer), 3, "it is set");
    drop(sleep);
    assert_eq!(Arc::strong_count(&timer), 1);
}

#[test]
fn a_timer_that_panics_does_so_where_each_sleeps() {
    let alarm = Alarm::new(Instant::now, |duration| match duration > SHORT {
        true => panic::resume_unwind(Box::new("on purpose")),
        false => Threads.sleep(duration),
    });
    let panics = |sleep: &mut Sleep| {
        panic::catch_unwind(AssertUnwindSafe(|| assert_eq!(poll(sleep, Waker::noop()), Poll::Pending))).is_err()
    };
    assert!(panics(&mut alarm.sleep(LONG)));
    // One that rings for another must find the next, and its own timer panics.
    let mut long = alarm.sleep(LONG);
    let woken = Arc::<Woken>::default();
    let mut short = begin(&alarm, SHORT);
    assert_eq!(poll(&mut long, &woken.clone().into()), Poll::Pending);
    while woken.0.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
    assert!(panics(&mut long));
    assert_eq!(poll(&mut short, Waker::noop()), Poll::Ready(()));
}
