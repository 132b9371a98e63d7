//! Every interleaving of a few requests on one session, with a budget of faults, driven through the real machine.
//!
//! A [`World`] is a store, some requests somewhere in their programs, the tickets that clients were given and the facts
//! that were acknowledged to them. From each world every next thing that can happen is tried: a request starts with
//! any published ticket or does its next operation; within the budget of faults an operation fails, loses its answer,
//! or its request is dropped; a write whose answer was lost lands, at any later time or never; within another budget the
//! store drops what it holds. After each, every rule in [`rules`] must hold.
//!
//! The machine cannot be cloned, so a request's state is the history of answers that it was given: it is opened again
//! and the history replayed ([`requests`]). Time stands still, and randomness is a function of the request.
//!
//! What is left out because it is covered: an operation that surely did not happen and whose answer was lost is one
//! that lands never; one that happened and whose answer was lost is one that lands at once. The same holds for a request
//! that is dropped before or after its operation. A request starts with its first load, and its response is sent with its
//! last operation: the earliest moment is the strictest.

#![allow(clippy::expect_used, clippy::panic, reason = "a library of tests")]

pub mod names;
pub mod requests;
pub mod rules;
pub mod search;
pub mod story;
pub mod world;

pub use self::{
    names::Setting,
    requests::Kind,
    search::{Exploration, Plan, explore},
    world::World,
};
