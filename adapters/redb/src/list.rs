//! Listings: those that wait share a transaction that reads.

use std::sync::Arc;

use cloakroom_core::{Members, StoreKey};
use cloakroom_store::{Fault, StoreError};
use futures_channel::oneshot;
use redb::{Database, ReadableDatabase, TableError};

use crate::{
    error::Trouble,
    lane::{Lane, Work},
    members::{MEMBERS, members},
    store::Inner,
};

/// A listing that waits.
pub(crate) struct List {
    index: StoreKey,
    limit: usize,
    reply: oneshot::Sender<Result<Members, StoreError>>,
}

impl List {
    /// How many threads list at a time.
    pub(crate) const WORKERS: usize = 2;

    pub(crate) async fn submit(inner: &Arc<Inner>, index: &StoreKey, limit: usize) -> Result<Members, StoreError> {
        let (reply, members) = oneshot::channel();
        Lane::submit(inner, Self { index: index.clone(), limit, reply });
        members.await.unwrap_or_else(|_| Err(StoreError::failed(Fault::Internal)))
    }
}

impl Work for List {
    const BATCH: usize = 8;

    fn lane(inner: &Inner) -> &Lane<Self> {
        &inner.lists
    }

    fn run(inner: &Inner, mut batch: Vec<Self>) {
        batch.retain(|list| !list.is_abandoned());
        match inner.file.read(&*inner.runtime, &inner.counters, |database| list_all(inner, database, &batch)) {
            Ok(all) => {
                for (list, members) in batch.into_iter().zip(all) {
                    let _ = list.reply.send(members.map_err(|trouble| trouble.failed()));
                }
            }
            Err(trouble) => {
                let error = trouble.failed();
                for list in batch {
                    let _ = list.reply.send(Err(error.clone()));
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

/// Lists a batch; a row that is damaged concerns who wants it alone.
fn list_all(inner: &Inner, database: &Database, batch: &[List]) -> Result<Vec<Result<Members, Trouble>>, Trouble> {
    let rows = match database.begin_read()?.open_table(MEMBERS) {
        Ok(rows) => rows,
        // A file from before there were indexes, to which nothing was written since.
        Err(TableError::TableDoesNotExist(_)) => return Ok(batch.iter().map(|_| Ok(Members::default())).collect()),
        Err(error) => return Err(error.into()),
    };
    let now = inner.now();
    let list_one = |list: &List| match members(&rows, &list.index, list.limit, now) {
        Err(trouble @ Trouble::File(_)) => Err(trouble),
        listed => Ok(listed),
    };
    batch.iter().map(list_one).collect()
}
