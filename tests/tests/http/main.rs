//! What the HTTP store holds with real services.

#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

/// Names a module's tests.
macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        pub(crate) const TESTS: &[(&str, fn())] = &[$((stringify!($name), $name)),+];
    };
}

mod breaks;
mod common;
mod connections;
mod kills;
mod secrecy;
mod stalls;
mod tls;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Trial};

fn main() -> ExitCode {
    let modules = [
        ("breaks", breaks::TESTS),
        ("connections", connections::TESTS),
        ("kills", kills::TESTS),
        ("secrecy", secrecy::TESTS),
        ("stalls", stalls::TESTS),
        ("tls", tls::TESTS),
    ];
    let mut trials = Vec::new();
    for (module, tests) in modules {
        trials.extend(tests.iter().map(|&(name, test)| {
            Trial::ignorable_test(format!("{module}::{name}"), move || {
                test();
                Ok(Completion::Completed)
            })
        }));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
