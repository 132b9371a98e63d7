//! Loads: those that wait share a transaction that reads.

use std::sync::Arc;

use cloakroom_core::{StoreKey, Stored};
use cloakroom_store::{Fault, StoreError};
use futures_channel::oneshot;
use redb::{Database, ReadableDatabase};

use crate::{
    error::Trouble,
    lane::{Lane, Work},
    store::Inner,
    table::{ENTRIES, Found, find},
    write::{Answer, Write, WriteOp},
};

/// A load that waits.
pub(crate) struct Load {
    key: StoreKey,
    reply: oneshot::Sender<Result<Found, StoreError>>,
}

impl Load {
    /// How many threads load at a time.
    pub(crate) const WORKERS: usize = 4;

    pub(crate) async fn submit(inner: &Arc<Inner>, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        let (reply, found) = oneshot::channel();
        Lane::submit(inner, Self { key: key.clone(), reply });
        match found.await.unwrap_or_else(|_| Err(StoreError::failed(Fault::Internal)))? {
            Found::Absent => Ok(None),
            // It was seen to be expired, and must stay so. By this clock it is absent even if that cannot be written.
            Found::Expired => match Write::submit(inner, WriteOp::Expire { key: key.clone() }).await {
                Ok(Answer::Conflict(stored)) => Ok(Some(stored)),
                _ => Ok(None),
            },
            Found::Live(stored) => Ok(Some(stored)),
        }
    }
}

impl Work for Load {
    const BATCH: usize = 32;

    fn lane(inner: &Inner) -> &Lane<Self> {
        &inner.loads
    }

    fn run(inner: &Inner, mut batch: Vec<Self>) {
        batch.retain(|load| !load.is_abandoned());
        match inner.file.read(&*inner.runtime, &inner.counters, |database| find_all(inner, database, &batch)) {
            Ok(all) => {
                for (load, found) in batch.into_iter().zip(all) {
                    let _ = load.reply.send(found.map_err(|trouble| trouble.failed()));
                }
            }
            Err(trouble) => {
                let error = trouble.failed();
                for load in batch {
                    let _ = load.reply.send(Err(error.clone()));
                }
            }
        }
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_canceled()
    }

    fn refuse(self, why: &'static str) {
        let error = StoreError::failed(Fault::Unavailable).with_source(why);
        let _ = self.reply.send(Err(error));
    }
}

/// Looks up a batch; an entry that is damaged concerns who wants it alone.
fn find_all(inner: &Inner, database: &Database, batch: &[Load]) -> Result<Vec<Result<Found, Trouble>>, Trouble> {
    let transaction = database.begin_read()?;
    let entries = transaction.open_table(ENTRIES)?;
    let now = inner.now();
    let find_one = |load: &Load| match find(&entries, &load.key, now) {
        Err(trouble @ Trouble::File(_)) => Err(trouble),
        found => Ok(found),
    };
    batch.iter().map(find_one).collect()
}
