//! What `cloakroom serve` holds, as a process of its own.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

/// Names a module's tests.
macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        pub(crate) const TESTS: &[(&str, fn())] = &[$((stringify!($name), $name)),+];
    };
}

mod access;
mod demo;
mod document;
mod failures;
mod limits;
mod outcomes;
mod process;
mod python;

use std::process::ExitCode;

use cloakroom_tests::servers::Require;
use libtest_mimic::{Arguments, Completion};

fn main() -> ExitCode {
    let modules = [
        ("access", access::TESTS, Require::Available),
        ("demo", demo::TESTS, Require::Available),
        ("document", document::TESTS, Require::Available),
        ("document", document::CHECKED, document::schemathesis()),
        ("failures", failures::TESTS, Require::check("redis")),
        ("limits", limits::TESTS, Require::Available),
        ("outcomes", outcomes::TESTS, Require::Available),
        ("process", process::TESTS, Require::Available),
        ("python", python::TESTS, Require::check("python3")),
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
