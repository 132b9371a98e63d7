//! `Alarm`.

mod common;

use std::{
    future::poll_fn,
    panic,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

use cloakroom_runtime::{Alarm, BoxFuture, Runtime, Sleep};

use self::common::{Threads, block_on};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(20);

/// Makes an alarm of the test's own on `Threads`; counts its timers, its tasks and their polls.
macro_rules! alarm {
    () => {{
        static TIMERS: AtomicUsize = AtomicUsize::new(0);
        static SPAWNED: AtomicUsize = AtomicUsize::new(0);
        static POLLS: AtomicUsize = AtomicUsize::new(0);
        let alarm = Alarm::new(
            Instant::now,
            |duration| {
                TIMERS.fetch_add(1, Ordering::SeqCst);
                Threads.sleep(duration)
            },
            |mut ringer| {
                SPAWNED.fetch_add(1, Ordering::SeqCst);
                drop(Threads.spawn(Box::pin(poll_fn(move |context| {
                    POLLS.fetch_add(1, Ordering::SeqCst);
                    ringer.as_mut().poll(context)
                }))));
            },
        );
        Counted { alarm, timers: &TIMERS, spawned: &SPAWNED, polls: &POLLS }
    }};
}

struct Counted {
    alarm: Alarm,
    timers: &'static AtomicUsize,
    spawned: &'static AtomicUsize,
    polls: &'static AtomicUsize,
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
    let Counted { alarm, timers, spawned, polls } = alarm!();
    let _first = begin(&alarm, LONG);
    while timers.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
    for _ in 0..20 {
        drop(begin(&alarm, LONG));
        thread::sleep(Duration::from_millis(1));
    }
    // One that ends sooner sets the timer anew, and so does its end.
    block_on(alarm.sleep(SHORT));
    assert_eq!(spawned.load(Ordering::SeqCst), 1);
    assert!(timers.load(Ordering::SeqCst) <= 3, "{timers:?}");
    assert!(polls.load(Ordering::SeqCst) < 10, "{polls:?}: what ends later is no reason to wake the task");
}

#[test]
fn one_that_is_dropped_lets_go_of_its_waker() {
    let Counted { alarm, .. } = alarm!();
    let woken = Arc::<Woken>::default();
    let mut sleep = alarm.sleep(LONG);
    assert_eq!(poll(&mut sleep, &woken.clone().into()), Poll::Pending);
    drop(sleep);
    assert_eq!(Arc::strong_count(&woken), 1);
}

#[test]
fn all_end_and_none_early() {
    let Counted { alarm, .. } = alarm!();
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
fn where_nobody_sleeps_the_task_ends_and_the_next_has_another() {
    let Counted { alarm, spawned, .. } = alarm!();
    block_on(alarm.sleep(SHORT));
    assert_eq!(spawned.load(Ordering::SeqCst), 1);
    let ended = |count| {
        (0..500).any(|_| {
            block_on(alarm.sleep(SHORT));
            spawned.load(Ordering::SeqCst) > count
        })
    };
    assert!(ended(1), "the task goes on though nobody sleeps");
}

#[test]
fn the_last_task_that_polls_is_the_one_that_is_woken() {
    let Counted { alarm, .. } = alarm!();
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

    let Counted { alarm, .. } = alarm!();
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

    let Counted { alarm, .. } = alarm!();
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
    let Counted { alarm, timers, .. } = alarm!();
    drop(begin(&alarm, Duration::MAX));
    assert_eq!(timers.load(Ordering::SeqCst), 0);
}

#[test]
fn where_the_task_was_dropped_each_has_a_timer_of_its_own() {
    static TIMERS: AtomicUsize = AtomicUsize::new(0);
    static TASK: Mutex<Option<BoxFuture<'static, ()>>> = Mutex::new(None);
    let alarm = Alarm::new(
        Instant::now,
        |duration| {
            TIMERS.fetch_add(1, Ordering::SeqCst);
            Threads.sleep(duration)
        },
        |task| *TASK.lock().unwrap() = Some(task),
    );
    let woken = Arc::<Woken>::default();
    let mut sleep = alarm.sleep(SHORT);
    assert_eq!(poll(&mut sleep, &woken.clone().into()), Poll::Pending);
    drop(TASK.lock().unwrap().take());
    assert_eq!(woken.0.load(Ordering::SeqCst), 1, "it has to look for another timer");
    let begun = Instant::now();
    block_on(sleep);
    block_on(alarm.sleep(SHORT));
    assert_eq!(TIMERS.load(Ordering::SeqCst), 2);
    assert!(begun.elapsed() >= SHORT);
    assert!(TASK.lock().unwrap().is_none(), "a runtime that drops tasks is not asked again");
}
