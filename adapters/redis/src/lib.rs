//! Cloakroom's sessions in Redis: standalone, Sentinel and Cluster, on any runtime.
//!
//! ```no_run
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! use cloakroom_core::Keyring;
//! use cloakroom_redis::RedisStore;
//! use cloakroom_smol::Smol;
//! use cloakroom_store::{KeyringExt, Sessions};
//!
//! let store = RedisStore::connect("redis://127.0.0.1:6379", Smol).await?;
//! let sessions = Sessions::new(Keyring::from_env("SESSION_KEYS")?, store, Smol);
//! # Ok(()) }
//! ```
//!
//! [`RedisConfig`] has the settings: TLS, users, a key prefix, deadlines, more connections, replicas to wait for. It works with
//! Redis from 6.2 on and with Valkey.
//!
//! # What is stored
//!
//! A string for each session, under the key prefix and the store key; its bytes are the record as the codec wrote it, so
//! other languages read it, and its time to live is the server's own (`PX`). The version of a value is the value: a
//! conditional write hands over what was read, and a script compares on the server. Records carry a commit counter, so
//! equal bytes are the same state.
//!
//! Beside them, a sorted set for each user who has sessions in an index, under the key prefix, the key of the index
//! (`cloakroom:user:..`) and the word ` members`; as no key of a session has a space, the two never meet. It holds the keys
//! of the user's sessions by when each may go, in ms of the server's own clock, and expires with the last of them. Members
//! whose time is over are not listed; listings and enrolments remove them. Up to 128 members take 50 bytes each, more 135. An
//! enrolment is a write as any other: a failover that loses writes can forget it, and with it that session is missed when
//! all of a user's are listed or ended, until it is enrolled again; [`replicas`](RedisConfig::replicas) is against that.
//!
//! # Round trips
//!
//! One for each operation: `GET` and `PTTL` in one write, `SET NX PX`, and `EVALSHA` for replace, touch and remove, where a
//! conflict brings what is there; `EVALSHA` to enroll and to list, `ZREM` to unenroll. A server that does not know the
//! script, because it was started again or told to `SCRIPT FLUSH`, gets it with one round trip more, once. A connection
//! costs one, and the first of a store one more for the look at the server's settings. Nothing is sent while nobody asks.
//!
//! # What the server must do
//!
//! That an end is final and no update is lost holds as long as the server keeps what it acknowledged:
//!
//! | server | holds |
//! |---|---|
//! | standalone, `noeviction`, `appendonly yes`, `appendfsync always` | also across a crash of the machine |
//! | the same with `appendfsync everysec` (Redis' default) | across a crash of Redis; one of the machine loses up to a second |
//! | without a log on disk | until the server stops: then sessions are gone, and none comes back |
//! | snapshots alone (`save`) | until the server crashes: **sessions ended since the last snapshot come back** |
//! | with another policy than `noeviction` | until the server is full: then it drops sessions, and with one what leads from an older ticket to it, so that an end by that ticket misses it; and with an index, so that an end of all of a user's sessions misses those |
//! | Sentinel or Cluster, [`replicas`](RedisConfig::replicas) set to as many as there are | also across a failover |
//! | Sentinel or Cluster without | until a failover, which loses what was not replicated, ends too |
//!
//! A master that is cut off from its replicas goes on answering reads for up to `repl-ping-replica-period` (10 s), whatever is
//! waited for. The store warns, once, of a server that evicts, or keeps no log on disk.
//!
//! On a server that is full (`maxmemory`), new sessions and enrolments are refused, reads and listings go on, and ends too:
//! a value that is no longer than the one before it always fits.
//!
//! # Faults
//!
//! Every operation has a deadline, connecting included. A connection that is lost, or silent for half the deadline although
//! it was asked, is closed, and the next operation makes another; after an attempt that failed, operations fail at once for
//! 50 ms, then for longer, up to half a second. A request that was cancelled never shifts the answers to others. Errors
//! are [`failed`](cloakroom_store::StoreError::failed) where the server was never asked or refused in words of Redis' own, else
//! [`unknown`](cloakroom_store::StoreError::unknown); they carry the server's words, without what those quote of keys and values.
//! An idle connection that died without a word costs the next request its deadline; `tcp-keepalive` on the server is
//! against that.
//!
//! # Rights
//!
//! A user needs `~PREFIX* -@all +get +pttl +set +pexpire +del +evalsha +eval`; for indexes `+time +zadd +zcount +zrange
//! +zrangebyscore +zrem +zremrangebyscore +pexpireat`; with a database other than 0 `+select`, with replicas to wait for
//! `+wait`, to walk over the keys `+scan`, under Sentinel `+role`, in a cluster `+cluster|slots +asking`, and for the look at the server's settings `+info
//! +config|get`.
//!
//! # Runtimes
//!
//! The connection is the runtime's own, and so is the way over it: commands of many requests in one write, answers in
//! order, RESP2. URLs, answers and connections that an application hands over are those of the [`redis`] crate. No runtime is
//! started or guessed: on smol and async-std no tokio runtime runs.

#![forbid(unsafe_code)]

mod agree;
mod check;
mod cluster;
mod config;
mod connection;
mod dial;
mod driver;
mod env;
mod failure;
mod link;
mod login;
mod pool;
mod queue;
mod resp;
mod route;
mod server;
mod slot;
mod store;
mod url;
mod walk;
mod wire;

pub use futures_rustls::rustls;
pub use redis;

pub use self::{
    config::{ConnectError, RedisConfig, RedisConfigError},
    store::RedisStore,
    walk::RedisWalk,
};
