//! The rules that the core holds, a file each.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod change;
mod change_unknown;
mod common;
mod cookie_reading;
mod cookie_writing;
mod costs;
mod creation;
mod crosssite;
mod damaged_markers;
mod duplicates;
mod edits;
mod edits_replay;
mod end;
mod errors;
mod forwarded;
mod forwarded_networks;
mod forwarded_spoofing;
mod keyring;
mod late;
mod lifetime;
mod lifetime_bounds;
mod markerless;
mod outcomes;
mod presentation;
mod quiet;
mod record;
mod record_bounds;
mod redaction;
mod renew;
mod renew_due;
mod renew_unknown;
mod save;
mod save_pointers;
mod sealed;
mod seams;
mod superseded;
mod token;
mod value;
mod whole;
