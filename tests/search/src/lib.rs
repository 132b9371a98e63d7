//! Searches of what the crates of cloakroom do together: all ways of a few requests, and many seeded schedules. They take so
//! many steps that this package is optimized, other than the tests beside it; and so is `examples/instructions.rs`, whose
//! instructions are counted.

pub mod explore;
pub mod simulation;
