//! What the crates of cloakroom must show together: libraries of checks, and the tests that run them.

pub mod conformance;
pub mod demo;
pub mod proxy;
pub mod servers;
pub mod witness;

/// The README's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
