//! Cloakroom's sessions in an embedded file, on any runtime.
//!
//! [`RedbStore`] keeps them in one [redb](https://docs.rs/redb) file: a database in pure Rust, without a server.
//!
//! ```
//! use std::time::Duration;
//!
//! use cloakroom_core::{StoreKey, Value};
//! use cloakroom_redb::RedbStore;
//! use cloakroom_store::{Created, Store};
//! use cloakroom_tokio::Tokio;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("sessions.redb");
//! let key = StoreKey::new("s:example")?;
//! let store = RedbStore::open(&path, Tokio).await?;
//! let created = store.create(&key, &Value::from(b"{}".to_vec()), Duration::from_secs(60)).await?;
//! assert!(matches!(created, Created::Done(_)));
//! store.close().await;
//!
//! let store = RedbStore::open(&path, Tokio).await?;
//! assert!(store.load(&key).await?.is_some());
//! # Ok(()) }
//! ```
//!
//! # What it promises
//!
//! * **It keeps what it acknowledged.** Every write is on the disk before it is answered, and is there after a `kill -9`
//!   at any moment; after a power failure as far as the disk keeps what it says it synced.
//! * **It survives a restart**, with the times to live going on meanwhile, and no version ever coming back.
//! * **It is not shared between processes.** A second one is refused, with [`OpenError::InUse`].
//!
//! # Indexes
//!
//! The store is a [`Directory`](cloakroom_store::Directory): beside the sessions it holds which of them are whose, a row for
//! each member of an index and one for when it expires, 230 to 400 bytes of the file together. To enroll and to unenroll
//! are writes like the others, acknowledged when they are on the disk; one that changes nothing costs no transaction. A
//! listing is a read, by how many members the index has. Members whose time is over are not listed, and swept with the
//! entries. A file from before there were indexes gets the tables with its first write.
//!
//! # Limits
//!
//! * A key has at most 120 bytes, by its type; a value at most [`RedbStore::MAX_VALUE`], 64 MiB. Nothing bounds the number
//!   of entries but the disk.
//! * At most 16,384 writes wait for the file, with 256 MiB of values, and 16,384 loads and as many listings. What comes while so many wait, as
//!   when the disk stalls, does not happen and fails with [`Fault::Unavailable`](cloakroom_store::Fault::Unavailable);
//!   operations that were dropped do not count.
//! * Times to live count in whole milliseconds, rounded up.
//! * The file keeps its size when entries go, and uses the room again; [`compact`] gives it back to the disk.
//! * The file must be on a local disk whose file system has locks: network file systems may lack them. To make the file,
//!   it also needs renames that replace nothing, or hard links.
//!
//! # What it costs
//!
//! A write costs a transaction, of one or more syncs of the disk; writes that arrive while one is under way share the next
//! one, so the throughput grows with the concurrency. A touch is a write, and copies the value within the file. A load
//! reads at most as many pages of 4 KiB as the tree is high, from the cache if they are there, and copies the value once.
//! Each of them runs on a thread of [`Runtime::unblock`](cloakroom_runtime::Runtime::unblock).
//!
//! On a virtual machine with two cores: 0.4 ms for a write alone, 20,000 writes a second by 64 at a time, 20 µs for a
//! load alone, 200,000 loads a second by 64 at a time. A session of 324 bytes takes 600 to 1,100 bytes of the file.

#![forbid(unsafe_code)]

mod clock;
mod compact;
mod config;
mod error;
#[cfg(test)]
mod faults;
mod file;
mod lane;
mod list;
mod load;
mod members;
mod metrics;
mod open;
mod store;
mod sweep;
mod table;
mod walk;
mod write;

pub use self::{
    compact::{Compacted, compact},
    config::RedbConfig,
    error::OpenError,
    metrics::RedbMetrics,
    store::RedbStore,
    walk::RedbWalk,
};
