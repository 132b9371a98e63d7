//! The contract of `cloakroom_runtime::Runtime`, as far as a runtime with a clock and a network of its own can keep it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use cloakroom_runtime::contract::CASES;
use cloakroom_sim::Sim;

/// Its connections go to listeners of its own.
const OWN_NETWORK: &str = "its network is its own";
/// No time passes that another clock could see.
const OWN_CLOCK: &str = "its clock is its own";
/// A function that waits for what a future sends waits for itself.
const SAME_THREAD: &str = "functions run on the thread of the futures";

/// `network.rs`, `time.rs` and `schedule.rs` have what stands in for these.
const LEFT_OUT: [(&str, &str); 12] = [
    ("connect_carries_bytes_both_ways_over_tcp", OWN_NETWORK),
    ("connect_carries_bytes_both_ways_over_unix_sockets", OWN_NETWORK),
    ("connect_closes_what_it_opened_when_that_is_dropped", OWN_NETWORK),
    ("connect_gives_up_when_dropped", OWN_NETWORK),
    ("connect_looks_names_up_and_tries_every_address", OWN_NETWORK),
    ("connect_tells_the_peer_when_it_is_closed", OWN_NETWORK),
    ("connect_wakes_who_reads_and_who_writes", OWN_NETWORK),
    ("coarse_now_goes_on_with_the_wall_clock", OWN_CLOCK),
    ("now_goes_on_with_the_wall_clock", OWN_CLOCK),
    ("sleep_never_ends_early", OWN_CLOCK),
    ("unblock_forgets_when_cancelled_or_dropped", SAME_THREAD),
    ("unblock_holds_up_no_future", SAME_THREAD),
];

fn is_left_out(name: &str) -> bool {
    LEFT_OUT.iter().any(|(left_out, _)| *left_out == name)
}

#[test]
fn the_rest_of_the_contract_holds_for_every_seed() {
    let rest: Vec<_> = CASES.iter().filter(|case| !is_left_out(case.name())).collect();
    assert_eq!(rest.len() + LEFT_OUT.len(), CASES.len(), "a case that is left out is there");
    for seed in 0..50 {
        for case in &rest {
            let sim = Sim::new(seed);
            let runtime = sim.runtime();
            assert_eq!(sim.block_on(case.check(&runtime)), Ok(()), "{} with seed {seed}", case.name());
        }
    }
}

#[test]
fn nothing_is_left_out_that_holds() {
    for case in CASES.iter().filter(|case| is_left_out(case.name())) {
        let sim = Sim::new(1);
        let runtime = sim.runtime();
        assert!(sim.block_on(case.check_with_patience(&runtime, Duration::from_millis(50))).is_err(), "{case:?}");
    }
}
