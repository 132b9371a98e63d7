//! The conformance library catches stores made wrong on purpose: each rule at least one.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test")]

#[macro_use]
mod wrong;
mod crowds_and_cuts;
mod indexes;
mod operations;
mod right;
mod times;
mod values_and_keys;

use cloakroom_tests::conformance::CASES;

use self::wrong::case_of;

#[test]
fn case_names_are_unique() {
    let mut names: Vec<_> = CASES.iter().map(|case| case.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CASES.len());
}

#[test]
fn every_case_is_seen_to_fail() {
    let caught =
        [crowds_and_cuts::NAMES, indexes::NAMES, operations::NAMES, times::NAMES, values_and_keys::NAMES].concat();
    for case in CASES {
        assert!(caught.iter().any(|name| case_of(name).name() == case.name()), "nothing wrong is caught by {case:?}");
    }
}
