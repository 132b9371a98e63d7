//! Cloakroom's sessions in memcached: one server or several, on any runtime.
//!
//! ```no_run
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! use cloakroom_core::Keyring;
//! use cloakroom_memcached::MemcachedStore;
//! use cloakroom_smol::Smol;
//! use cloakroom_store::{KeyringExt, Sessions};
//!
//! let store = MemcachedStore::connect("memcached://10.0.0.1,10.0.0.2", Smol).await?;
//! let sessions = Sessions::new(Keyring::from_env("SESSION_KEYS")?, store, Smol);
//! # Ok(()) }
//! ```
//!
//! [`MemcachedConfig`] has the settings: several servers, their weights, a key prefix, deadlines, more connections.
//!
//! # What memcached cannot promise
//!
//! It keeps what it is given in memory, for as long as that lasts. A session may vanish before its time, and with it what
//! makes logout final and updates sure:
//!
//! | what happens | what follows |
//! |---|---|
//! | nothing that was acknowledged is dropped | logout is final, no update is lost, by comparing CAS numbers on the server |
//! | the server is full and evicts (its default) | sessions used least lately are gone, those that lead from an older ticket to its successor too, so that an end by the older ticket misses it |
//! | the server is full and does not (`-M`) | new sessions are refused; **a change that finds no room is refused, and the server drops the session that it was for** |
//! | the server restarts, or somebody flushes it | its sessions are gone, and none comes back |
//! | a server is taken out of the list, or added | the keys that move to another server are gone |
//! | a server comes back into the list as it was | **the sessions that it had come back with it, ended ones too**: flush or restart it before |
//!
//! What is gone is an absent session: nothing of it can be loaded, and nothing written to it makes it again. A
//! server that is down is no absent session but an error; its keys go to no other server. The store warns of all this once,
//! by a `tracing` event, and by another of a server that evicts. Where sessions must outlive a restart, take another store.
//!
//! There are **no indexes**: memcached has no step that adds to one and none that lists keys. A user's sessions cannot be
//! listed, nor ended together, and [`Store::directory`](cloakroom_store::Store::directory) is `None`. Logins work; a login with a
//! limit of sessions per user is refused by [`CommitError::NoIndex`](cloakroom_core::CommitError::NoIndex), and
//! [`credentials_changed`](cloakroom_store::Session::credentials_changed) gives the session a new id and fails for the others.
//!
//! Whoever reaches a server can read and change every session in it: it has no users and no TLS here. Keep it to a network
//! of its own or to a Unix socket, and seal records where others share it (`cloakroom_core::SealedCodec`).
//!
//! # What is stored
//!
//! A value for each session, under the key prefix and the store key; its bytes are the record as the codec wrote it, so other
//! languages read it. Its version is the server's CAS number. Client flags are 0.
//!
//! Its time to live is the server's own, which counts whole seconds by a clock that ticks once a second: a session lives
//! **up to two seconds longer** than it was told, and no shorter, but for a tick that the server itself skips. The
//! absolute deadline is in the record and exact. Beyond 30 days memcached takes a point in time, which is told by the
//! server's own clock, and none after January 2038.
//!
//! The largest item is what the server was started with (`-I`, by default 1 MiB), less 59 bytes and the key. A value that
//! is larger is refused before it is sent, by an error that names both sizes: to a value that is too large, memcached answers
//! by dropping what was there. A proxy may not say how much that is; then it is the server that refuses, and the session
//! is gone.
//!
//! # Which server has a key
//!
//! The ring is libmemcached's `KETAMA_WEIGHTED`, which is `ketama_weighted` in pylibmc and `OPT_LIBKETAMA_COMPATIBLE` in PHP: for
//! each server 40 hashes, times its weight, of four points each, the MD5 of `HOST-N` where the port is 11211, of `HOST:PORT-N`
//! where it is another and of `PATH:0-N` for a Unix socket; a key, its prefix included, belongs to the first point at or after
//! the first four bytes of its MD5. Hosts are hashed as they are written in the URL, those of IP version 6 without
//! brackets. The order of the list is of no account.
//!
//! # Round trips
//!
//! One for each operation: `mg`, `ms` and `md` of the meta protocol. With a write goes an `mg` behind it in the same packet, so
//! that a conflict brings what is there; values beyond 16 KiB are not read back, and such a conflict takes a load. A touch is a
//! write of the same value: memcached's own touch does not compare. A connection costs one more, in which the server says its
//! item size, its clock, and whether it compares at all. Nothing is sent while nobody asks.
//!
//! It works with memcached from 1.6.18 on.
//!
//! # Faults
//!
//! Every operation has a deadline, connecting included. A connection on which an operation ran out of time is closed, and so
//! is one whose answers are none, or belong to other questions: each question has a number, which the answer repeats. The
//! next operation makes another; after an attempt that failed, operations fail at once for 50 ms, then for longer, up to half a
//! second. A request that was cancelled never shifts the answers to others. Errors are
//! [`failed`](cloakroom_store::StoreError::failed) where the server was never asked or refused in memcached's own words, else
//! [`unknown`](cloakroom_store::StoreError::unknown).
//!
//! # Runtimes
//!
//! The connection is the runtime's own, the protocol that of [`wire`]. No runtime is started or guessed.

#![forbid(unsafe_code)]

mod config;
mod connection;
mod driver;
mod env;
mod facts;
mod failure;
mod link;
mod pool;
mod ring;
mod server;
mod step;
mod store;
mod url;
pub mod wire;

pub use self::{
    config::{ConnectError, MemcachedConfig, MemcachedConfigError},
    store::MemcachedStore,
};
