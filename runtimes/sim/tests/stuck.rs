//! A deadlock and a livelock are told, with the seed.

mod common;

use std::{future::pending, time::Duration};

use cloakroom_runtime::{Runtime, run};
use cloakroom_sim::Sim;

use self::common::{give_way, panic_of};

#[test]
fn a_deadlock_is_told_with_the_number_of_tasks() {
    let sim = Sim::new(3);
    let runtime = sim.runtime();
    let word = panic_of(|| {
        sim.block_on(async {
            let (first, second) = (async_lock::Mutex::new(()), async_lock::Mutex::new(()));
            runtime.sleep(Duration::from_secs(5)).await;
            drop(run(&runtime, pending::<()>()));
            let _both = (first.lock().await, second.lock().await, first.lock().await);
        });
    });
    let expected = "deadlock: nothing is ready and no timer is set; seed 3, step 4, 5s on the clock, 2 tasks, \
        0 of them ready";
    assert_eq!(word, expected);
}

#[test]
fn a_livelock_is_told_by_its_steps() {
    let sim = Sim::new(4).with_max_steps(1000);
    let runtime = sim.runtime();
    let word = panic_of(|| {
        sim.block_on(async {
            loop {
                give_way(&runtime).await;
            }
        });
    });
    assert!(word.starts_with("no end after 1000 steps; seed 4, step 1000, 0ns on the clock, 1 task, "), "{word}");
    // The bound is that of one call.
    sim.block_on(give_way(&runtime));
}

#[test]
fn what_wakes_up_at_intervals_does_not_hang_a_test() {
    let sim = Sim::new(5).with_max_steps(1000);
    let runtime = sim.runtime();
    let task = runtime.clone();
    drop(runtime.spawn(Box::pin(async move {
        loop {
            task.sleep(Duration::from_secs(60)).await;
        }
    })));
    let word = panic_of(|| sim.block_on(pending::<()>()));
    assert!(word.starts_with("no end after 1000 steps; seed 5") && word.contains("2 tasks"), "{word}");
}
