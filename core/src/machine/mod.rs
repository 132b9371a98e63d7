//! The state machine behind a session: what its tickets open, and what its commit does.

pub(crate) mod admission;
pub(crate) mod commit;
mod change;
mod end;
mod exchange;
mod limit;
pub(crate) mod plan;
pub(crate) mod protocol;
mod rest;
