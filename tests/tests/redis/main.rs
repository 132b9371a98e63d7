//! What the Redis store holds on real servers.

#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

/// Names a module's tests.
macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        pub(crate) const TESTS: &[(&str, fn())] = &[$((stringify!($name), $name)),+];
    };
}

mod breaks;
mod cluster;
mod common;
mod connections;
mod full;
mod indexes;
mod kills;
mod logins;
mod refusals;
mod round_trips;
mod runtimes;
mod sentinel;
mod stalls;
mod walks;
mod warnings;

use std::process::ExitCode;

use cloakroom_tests::servers::Require;
use libtest_mimic::{Arguments, Completion};

fn main() -> ExitCode {
    if runtimes::is_application() {
        return ExitCode::SUCCESS;
    }
    let redis = Require::check("redis");
    let modules = [
        ("breaks", breaks::TESTS),
        ("cluster", cluster::TESTS),
        ("connections", connections::TESTS),
        ("full", full::TESTS),
        ("indexes", indexes::TESTS),
        ("kills", kills::TESTS),
        ("logins", logins::TESTS),
        ("refusals", refusals::TESTS),
        ("round_trips", round_trips::TESTS),
        ("runtimes", runtimes::TESTS),
        ("sentinel", sentinel::TESTS),
        ("stalls", stalls::TESTS),
        ("walks", walks::TESTS),
        ("warnings", warnings::TESTS),
    ];
    let mut trials = Vec::new();
    for (module, tests) in modules {
        trials.extend(tests.iter().map(|&(name, test)| {
            redis.trial(format!("{module}::{name}"), move || {
                test();
                Ok(Completion::Completed)
            })
        }));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
