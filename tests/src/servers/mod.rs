//! Real servers for tests: each on free ports of the loopback interface, in a folder of its own that goes with it.
//!
//! Everything here panics where it does not get what it wants, as tests do. A server never outlives the process that
//! started it, however that ends. Whether there may be one at all says [`Require::check`].

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod certificates;
mod cluster;
mod memcached;
mod process;
mod redis;
mod require;
mod resp;
mod sentinel;
mod service;

pub(crate) use self::process::free_port;
pub use self::{
    certificates::Certificates,
    cluster::{Cluster, ClusterOptions, slot_of},
    memcached::{Memcached, MemcachedOptions},
    redis::{Options, Redis},
    require::Require,
    resp::{Connection, Reply},
    sentinel::{Sentinel, SentinelOptions},
    service::{Said, Service, ServiceOptions},
};
