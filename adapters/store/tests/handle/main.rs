//! The handle of a request and its commit, a file for each rule.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod accounts;
mod at_once;
mod commit;
mod common;
mod cookie_held;
mod counters;
mod failures;
mod forms;
mod keyring;
mod loading;
mod runtimes;
mod secrecy;
mod turns;
mod update_now;
mod write_faults;
