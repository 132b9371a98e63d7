//! Every interleaving of a few requests on one session, with a budget of faults, driven through the real machine.
//!
//! A [`World`] is a store, some requests somewhere in their programs, the tickets that clients were given and the facts
//! that were acknowledged to them. From each world every next thing that can happen is tried: a request starts with
//! any published ticket or does its next operation; within the budget of faults an operation fails, loses its answer,
//! its request is dropped, the whole process is gone, or the store drops an entry; a write whose answer was lost lands, at
//! any later time or never. After each, every rule in [`rules`] must hold.
//!
//! The machine cannot be cloned, so a request's state is the history of answers that it was given: it is opened again
//! and the history replayed ([`requests`]). Randomness is a function of the request. Time stands still until it passes
//! ([`Kind::Expire`]) to a moment at which something changes: an entry runs out, a pointer closes, a request has become
//! too old. What was on its way goes on being so, or its request goes on only then, as one whose handler is slow.
//!
//! What is left out because it is covered: an operation that surely did not happen and whose answer was lost is one
//! that lands never; one that happened and whose answer was lost is one that lands at once. The same holds for a request
//! that is dropped before or after its operation. A request starts with its first load, and its response is sent with its
//! last operation: the earliest moment is the strictest. What is dropped while it loads is a request that does not go on.

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
