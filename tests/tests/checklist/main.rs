//! Past failures of other session and cookie libraries, each with the tests that would have caught it here: a row of
//! [`ROWS`] for each, in the order of the list that they are taken from.
//!
//! `CHECKLIST=FILE` names that list, where it is there to be compared with.

#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "tests")]

mod cookies;
mod costs;
mod ends;
mod forms;
mod ids;
mod logged;
mod panics;
mod printed;
mod printed_accounts;
mod rows;
mod sources;
mod stores;
#[path = "../../../fuzz/src/set_cookie/user_agent.rs"]
#[allow(dead_code, unreachable_pub, reason = "a part of it is used here")]
mod user_agent;
mod web;
mod world;

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Mutex, PoisonError},
};

use cloakroom_tests::servers::Require;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use self::rows::ROWS;

/// A past failure, the rule that follows from it, and what shows that it holds.
struct Row {
    /// Where it was, as the list has it.
    advisory: &'static str,
    rule: &'static str,
    tests: &'static [Test],
    /// What cannot be shown before something else is there, and what that is.
    open: &'static [&'static str],
}

struct Test {
    name: &'static str,
    run: fn(),
    /// A program without which it is visibly ignored.
    needs: Option<&'static str>,
}

/// The tests that passed, by row and place.
static PASSED: Mutex<BTreeSet<(usize, usize)>> = Mutex::new(BTreeSet::new());

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = vec![list_trial()];
    for (at, row) in ROWS.iter().enumerate() {
        let number = at + 1;
        for (place, test) in row.tests.iter().enumerate() {
            let name = format!("{number:02} {}: {}", row.advisory, test.name);
            let run = test.run;
            let check = move || {
                run();
                PASSED.lock().unwrap_or_else(PoisonError::into_inner).insert((at, place));
                Ok(Completion::Completed)
            };
            let require = test.needs.map_or(Require::Available, Require::check);
            trials.push(require.trial(name, check));
        }
        for open in row.open {
            let name = format!("{number:02} {}: {}", row.advisory, row.rule);
            let trial = Trial::test(name, || Err(Failed::from("it is open")));
            trials.push(trial.with_kind(format!("open: {open}")).with_ignored_flag(true));
        }
    }
    trials.push(Trial::test("every row says what it shows, or what it waits for", || {
        let says_nothing = |row: &&Row| row.rule.is_empty() || row.tests.len() + row.open.len() == 0;
        match ROWS.iter().find(says_nothing) {
            Some(row) => Err(Failed::from(format!("{} shows nothing", row.advisory))),
            None => Ok(()),
        }
    }));
    let conclusion = libtest_mimic::run(&arguments, trials);
    let passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    let is_shown = |(at, row): &(usize, &Row)| (0..row.tests.len()).all(|place| passed.contains(&(*at, place)));
    let shown = ROWS.iter().enumerate().filter(is_shown).count();
    let open = ROWS.iter().filter(|row| !row.open.is_empty()).count();
    println!("checklist: {shown} of {} rows shown, {open} open", ROWS.len());
    conclusion.exit_code()
}

/// The list and the table have the same rows, where the list is there.
fn list_trial() -> Trial {
    let named = env::var_os("CHECKLIST").map(PathBuf::from);
    let is_named = named.is_some();
    let file = named.unwrap_or_else(|| {
        [env!("CARGO_MANIFEST_DIR"), "..", "..", "shared", "SECURITY_CHECKLIST.md"].iter().collect()
    });
    let is_ignored = !is_named && !file.is_file();
    let trial = Trial::test("the table has the rows of the list, in its order", move || {
        assert_rows(&file);
        Ok(())
    });
    let kind = if is_ignored { "there is no list to compare with" } else { "" };
    trial.with_kind(kind).with_ignored_flag(is_ignored)
}

/// Compares with the first table of a Markdown file.
fn assert_rows(file: &Path) {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let table = text.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let listed: Vec<_> = table.skip(2).map(|line| line.split('|').map(str::trim).nth(1).unwrap()).collect();
    let told: Vec<_> = ROWS.iter().map(|row| row.advisory).collect();
    assert!(!listed.is_empty());
    assert_eq!(told, listed, "left: the table here; right: {}", file.display());
}
