//! Time passes where nothing else can happen, and only there.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    future::{pending, poll_fn},
    sync::{Arc, Mutex},
    task::Poll,
    time::{Duration, SystemTime},
};

use cloakroom_runtime::{Runtime, run};
use cloakroom_sim::Sim;
use futures_util::future::{Either, join_all, select};

use self::common::{give_way, panic_of};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(Sim::START)
}

#[test]
fn a_month_of_sleep_takes_no_time_and_keeps_its_order() {
    for seed in 0..20 {
        let sim = Sim::new(seed);
        let runtime = sim.runtime();
        let woken = Arc::new(Mutex::new(Vec::new()));
        let tasks = [30, 3, 17, 1, 29].map(|days| {
            let (task, woken) = (runtime.clone(), Arc::clone(&woken));
            run(&runtime, async move {
                task.sleep(DAY * days).await;
                assert_eq!(task.now(), start() + DAY * days);
                woken.lock().unwrap().push(days);
            })
        });
        assert!(sim.block_on(join_all(tasks)).iter().all(Result::is_ok));
        assert_eq!(*woken.lock().unwrap(), [1, 3, 17, 29, 30]);
        assert_eq!(sim.elapsed(), DAY * 30);
    }
}

#[test]
fn the_seed_breaks_ties() {
    let is_left_first = |seed| {
        let sim = Sim::new(seed);
        let runtime = sim.runtime();
        sim.block_on(async {
            // It is looked at after each that fires.
            let either = select(runtime.sleep(DAY), runtime.sleep(DAY)).await;
            matches!(either, Either::Left(_))
        })
    };
    let left = (0..100).filter(|seed| is_left_first(*seed)).count();
    assert!((30..=90).contains(&left), "{left}");
}

#[test]
fn work_takes_no_time() {
    let sim = Sim::new(1);
    let runtime = sim.runtime();
    sim.block_on(async {
        for _ in 0..100 {
            give_way(&runtime).await;
            run(&runtime, async {}).await.unwrap();
        }
    });
    assert_eq!(sim.elapsed(), Duration::ZERO);
    assert_eq!(runtime.now(), start());
}

#[test]
fn a_sleep_counts_from_its_first_poll_and_is_never_early() {
    let sim = Sim::new(1);
    let runtime = sim.runtime();
    let later = runtime.sleep(DAY);
    sim.block_on(runtime.sleep(DAY));
    sim.block_on(later);
    assert_eq!(sim.elapsed(), DAY * 2);
}

#[test]
fn a_sleep_beyond_the_horizon_never_ends() {
    let sim = Sim::new(1);
    let runtime = sim.runtime();
    sim.block_on(async {
        for never in [Duration::MAX, Sim::HORIZON + Duration::from_nanos(1)] {
            let either = select(runtime.sleep(never), runtime.sleep(DAY)).await;
            assert!(matches!(either, Either::Right(_)));
        }
    });
    for never in [Duration::MAX, Sim::HORIZON] {
        assert!(panic_of(|| sim.block_on(runtime.sleep(never))).contains("deadlock"));
    }
    sim.block_on(runtime.sleep(Sim::HORIZON - DAY * 2));
    assert_eq!(sim.elapsed(), Sim::HORIZON);
}

#[test]
fn a_sleep_that_is_dropped_sets_no_timer() {
    let sim = Sim::new(1);
    let mut sleep = sim.runtime().sleep(DAY);
    assert!(sim.block_on(poll_fn(|context| Poll::Ready(sleep.as_mut().poll(context).is_pending()))));
    drop(sleep);
    assert!(panic_of(|| sim.block_on(pending::<()>())).contains("deadlock"));
    assert_eq!(sim.elapsed(), Duration::ZERO);
}

#[test]
fn time_that_goes_by_at_once_makes_timers_due() {
    let sim = Sim::new(1);
    let runtime = sim.runtime();
    let mut sleep = runtime.sleep(DAY);
    assert!(sim.block_on(poll_fn(|context| Poll::Ready(sleep.as_mut().poll(context).is_pending()))));
    sim.advance(DAY * 3);
    assert_eq!(runtime.now(), start() + DAY * 3);
    sim.block_on(sleep);
    assert_eq!(sim.elapsed(), DAY * 3);
    sim.advance(Duration::MAX);
    assert_eq!(sim.elapsed(), Sim::HORIZON);
}

#[test]
fn setting_the_clock_moves_no_timer() {
    let sim = Sim::new(1);
    let runtime = sim.runtime();
    sim.block_on(async {
        let sleep = select(runtime.sleep(DAY), runtime.sleep(DAY * 9));
        for time in [start() + DAY * 100, start() - DAY * 100, SystemTime::UNIX_EPOCH] {
            sim.set_clock(time);
            assert_eq!(runtime.now(), time);
        }
        sleep.await;
    });
    assert_eq!(runtime.now(), SystemTime::UNIX_EPOCH + DAY);
    assert_eq!(sim.elapsed(), DAY);
}

#[test]
fn machines_may_have_clocks_that_disagree() {
    let sim = Sim::new(1);
    let (right, fast, slow) = (sim.runtime(), sim.runtime().ahead(DAY), sim.runtime().behind(DAY));
    sim.block_on(fast.sleep(DAY));
    assert_eq!((right.now(), fast.now(), slow.now()), (start() + DAY, start() + DAY * 2, start()));
    assert_eq!(fast.behind(DAY).now(), slow.now());
    sim.set_clock(SystemTime::UNIX_EPOCH);
    let _ = sim.runtime().behind(Duration::MAX).now();
    let _ = sim.runtime().ahead(Duration::MAX).now();
}
