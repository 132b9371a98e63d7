//! `Pulse`.

use std::{
    future::pending,
    io,
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime},
};

use cloakroom_runtime::{BoxFuture, Endpoint, Pulse, Runtime, Stream, Task};

const PATIENCE: Duration = Duration::from_millis(500);

#[test]
fn a_server_that_was_never_asked_is_silent_only_to_who_waits() {
    let (pulse, clock) = (Pulse::default(), Clock::at(10_000));
    let since = clock.now();
    clock.set(10_499);
    assert!(!pulse.is_silent(PATIENCE, Some(since), &clock));
    clock.set(10_500);
    assert!(pulse.is_silent(PATIENCE, Some(since), &clock));
    assert!(!pulse.is_silent(PATIENCE, None, &clock), "nobody waits");
}

#[test]
fn a_server_is_silent_when_it_leaves_a_question_for_so_long() {
    let (pulse, clock) = (Pulse::default(), Clock::at(10_000));
    pulse.asked(&clock);
    clock.set(10_400);
    // Neither another question nor another request is an answer.
    pulse.asked(&clock);
    let since = Some(clock.now());
    clock.set(10_499);
    assert_eq!([None, since].map(|since| pulse.is_silent(PATIENCE, since, &clock)), [false; 2]);
    clock.set(10_500);
    assert_eq!([None, since].map(|since| pulse.is_silent(PATIENCE, since, &clock)), [true; 2]);
}

#[test]
fn a_server_that_was_heard_meanwhile_is_not_silent() {
    let (pulse, clock) = (Pulse::default(), Clock::at(10_000));
    let since = Some(clock.now());
    pulse.asked(&clock);
    clock.set(10_400);
    pulse.heard(&clock);
    clock.set(10_899);
    assert_eq!([None, since].map(|since| pulse.is_silent(PATIENCE, since, &clock)), [false; 2]);
    clock.set(10_900);
    assert!(pulse.is_silent(PATIENCE, since, &clock), "who still waits counts from the last word");
    let later = Some(clock.now());
    assert!(!pulse.is_silent(PATIENCE, later, &clock), "who came later counts from there");
    assert!(!pulse.is_silent(PATIENCE, None, &clock), "nothing is asked");

    pulse.asked(&clock);
    clock.set(11_399);
    assert!(!pulse.is_silent(PATIENCE, None, &clock), "a question after an answer is counted from its own write");
    clock.set(11_400);
    assert!(pulse.is_silent(PATIENCE, None, &clock));
}

#[test]
fn a_clock_that_was_set_back_makes_it_silent() {
    let (pulse, clock) = (Pulse::default(), Clock::at(10_000));
    let since = clock.now();
    clock.set(9_999);
    assert!(pulse.is_silent(PATIENCE, Some(since), &clock));
    assert!(!pulse.is_silent(PATIENCE, None, &clock), "nothing is asked");

    clock.set(10_000);
    pulse.asked(&clock);
    assert!(!pulse.is_silent(PATIENCE, None, &clock));
    clock.set(9_999);
    assert!(pulse.is_silent(PATIENCE, None, &clock));

    clock.set(10_000);
    pulse.heard(&clock);
    clock.set(9_999);
    assert!(pulse.is_silent(PATIENCE, Some(clock.now()), &clock), "it was heard in the future");
}

#[test]
fn a_question_at_the_epoch_or_before_is_a_question() {
    for millis in [0, -1_000] {
        let (pulse, clock) = (Pulse::default(), Clock::at(millis));
        pulse.asked(&clock);
        let since = Some(clock.now());
        for (millis, is_silent) in [(500, false), (501, true)] {
            clock.set(millis);
            assert_eq!(pulse.is_silent(PATIENCE, None, &clock), is_silent);
            assert_eq!(Pulse::default().is_silent(PATIENCE, since, &clock), is_silent);
        }
    }
}

#[test]
fn what_is_closed_stays_closed() {
    let (pulse, clock) = (Pulse::default(), Clock::at(10_000));
    assert!(!pulse.is_closed());
    pulse.close();
    assert!(pulse.is_closed());
    pulse.asked(&clock);
    pulse.heard(&clock);
    assert!(pulse.is_closed());
}

/// A clock that is set by hand, in milliseconds, and nothing else.
#[derive(Debug)]
struct Clock(AtomicI64);

impl Clock {
    fn at(millis: i64) -> Self {
        Self(millis.into())
    }

    fn set(&self, millis: i64) {
        self.0.store(millis, Ordering::Relaxed);
    }
}

impl Runtime for Clock {
    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(pending())
    }

    fn spawn(&self, _: BoxFuture<'static, ()>) -> Task {
        Task::new(|| ())
    }

    fn unblock(&self, _: Box<dyn FnOnce() + Send + 'static>) -> Task {
        Task::new(|| ())
    }

    fn connect(&self, _: &Endpoint) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        Box::pin(pending())
    }

    fn now(&self) -> SystemTime {
        let millis = self.0.load(Ordering::Relaxed);
        let distance = Duration::from_millis(millis.unsigned_abs());
        if millis < 0 { SystemTime::UNIX_EPOCH - distance } else { SystemTime::UNIX_EPOCH + distance }
    }
}
