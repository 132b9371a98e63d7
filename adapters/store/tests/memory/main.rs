//! The memory store, a file for each rule.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
mod concurrency;
mod expiry;
mod full;
mod indexes;
mod operations;
mod sweeping;
