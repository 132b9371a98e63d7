//! What the memcached store holds on real servers, and on a scripted one where bytes are the subject.

#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

/// Names a module's tests.
macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        pub(crate) const TESTS: &[(&str, fn())] = &[$((stringify!($name), $name)),+];
    };
}

mod breaks;
mod common;
mod faults;
mod limits;
mod operations;
mod script;
mod several;
mod tool;
mod trace;
mod warnings;

use std::process::ExitCode;

use cloakroom_tests::servers::Require;
use libtest_mimic::{Arguments, Completion};

fn main() -> ExitCode {
    let memcached = Require::check("memcached");
    let modules = [
        ("breaks", breaks::TESTS, &memcached),
        ("faults", faults::TESTS, &memcached),
        ("limits", limits::TESTS, &memcached),
        ("operations", operations::TESTS, &memcached),
        ("several", several::TESTS, &memcached),
        ("tool", tool::TESTS, &memcached),
        // Its servers are scripts.
        ("trace", trace::TESTS, &Require::Available),
        ("warnings", warnings::TESTS, &memcached),
    ];
    let mut trials = Vec::new();
    for (module, tests, require) in modules {
        trials.extend(tests.iter().map(|&(name, test)| {
            require.trial(format!("{module}::{name}"), move || {
                test();
                Ok(Completion::Completed)
            })
        }));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
