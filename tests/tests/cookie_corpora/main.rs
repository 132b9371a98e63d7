//! What we read and write of cookies: cases of our own, and corpora of public test suites, where a folder with them is.
//!
//! `COOKIE_CASES=DIR cargo test -p cloakroom-tests --test cookie_corpora` names the folder.

#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "tests")]

mod beside;
#[path = "../../cases/cookies.rs"]
mod cookies;
mod own;
mod read;
#[path = "../../cases/set_cookies.rs"]
mod set_cookies;
#[path = "../../../fuzz/src/set_cookie/user_agent.rs"]
#[allow(dead_code, unreachable_pub, reason = "a part of it is used here")]
mod user_agent;
#[path = "../checklist/world.rs"]
mod world;
mod write;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

/// Tests that need the folder: the name, the file that it reads, and what it does with the records.
const OF_FOLDER: [OfFolder; 3] = [
    ("corpus::we_read_what_the_neutral_reading_has", "cookie_cases.json", read::we_read_what_the_neutral_reading_has),
    ("corpus::ours_is_found_beside_every_header", "cookie_cases.json", read::ours_is_found_beside_every_header),
    (
        "corpus::we_write_what_is_expected_or_refuse",
        "set_cookie_cases.json",
        write::we_write_what_is_expected_or_refuse,
    ),
];

type OfFolder = (&'static str, &'static str, fn(&[Value]));

fn main() -> ExitCode {
    let named = env::var_os("COOKIE_CASES").map(PathBuf::from);
    // A folder that is named must be there.
    let is_asked = named.is_some();
    let folder = named.unwrap_or_else(|| [env!("CARGO_MANIFEST_DIR"), "..", "..", "shared", "data"].iter().collect());
    let mut trials: Vec<_> = own::TESTS.iter().map(|&(name, test)| trial(name, test)).collect();
    for (name, file, test) in OF_FOLDER {
        let path = folder.join(file);
        let is_ignored = !is_asked && !path.is_file();
        let trial = trial(name, move || test(&records(&path))).with_ignored_flag(is_ignored);
        trials.push(if is_ignored { trial.with_kind("there is no folder of cases") } else { trial });
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok::<(), Failed>(())
    })
}

fn records(path: &Path) -> Vec<Value> {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap()
}
