//! The state machine behind a session: what its tickets open, and what its commit does.

pub(crate) mod admission;
mod change;
pub(crate) mod commit;
mod end;
mod exchange;
mod limit;
pub(crate) mod plan;
pub(crate) mod protocol;
mod rest;
