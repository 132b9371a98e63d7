//! Walks over what the file holds: each page is a transaction that reads.

use std::{fmt, sync::Arc};

use cloakroom_core::StoreKey;
use cloakroom_runtime::run_blocking;
use cloakroom_store::{Fault, StoreError};
use redb::{Database, ReadableDatabase, TableError};

use crate::{
    error::Trouble,
    members::MEMBERS,
    store::Inner,
    table::{ENTRIES, Head},
};

/// Rows that one page reads at most, so that no thread is held for long.
const ROWS: usize = 4096;

/// A walk over the keys of a [`RedbStore`](crate::RedbStore): of its entries, or of its indexes. It writes nothing.
///
/// A key that is there from the first page to the last comes once; one that comes or goes meanwhile may be missed or not.
/// What has expired is left out, and so are indexes whose members have all expired.
pub struct RedbWalk {
    inner: Arc<Inner>,
    kind: Kind,
    prefix: Vec<u8>,
    /// The first row of the next page, if there is one.
    from: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Entries,
    Indexes,
}

/// Keys, and the row that the next page begins with.
type Page = (Vec<StoreKey>, Option<Vec<u8>>);

impl RedbWalk {
    pub(crate) fn entries(inner: Arc<Inner>, prefix: &str) -> Self {
        let prefix = prefix.as_bytes().to_vec();
        Self { inner, kind: Kind::Entries, from: Some(prefix.clone()), prefix }
    }

    pub(crate) fn indexes(inner: Arc<Inner>, prefix: &str) -> Self {
        // Rows begin with the length of the index's key.
        Self { inner, kind: Kind::Indexes, from: Some(Vec::new()), prefix: prefix.as_bytes().to_vec() }
    }

    /// Brings the next keys, in the order of the file; `None` at the end. A page may be empty.
    ///
    /// # Errors
    ///
    /// As a load. The walk stays where it is, and can be tried again.
    pub async fn next_page(&mut self) -> Result<Option<Vec<StoreKey>>, StoreError> {
        let Some(from) = self.from.clone() else { return Ok(None) };
        let (inner, kind, prefix) = (Arc::clone(&self.inner), self.kind, self.prefix.clone());
        let reading = run_blocking(&*self.inner.runtime, move || {
            let now = inner.now();
            inner.file.read(&*inner.runtime, &inner.counters, |database| match kind {
                Kind::Entries => entries(database, &prefix, &from, now),
                Kind::Indexes => indexes(database, &prefix, from.clone(), now),
            })
        });
        let page = reading.await.map_err(|_| StoreError::failed(Fault::Internal))?;
        let (keys, next) = page.map_err(|trouble| trouble.failed())?;
        self.from = next;
        Ok(Some(keys))
    }
}

impl fmt::Debug for RedbWalk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbWalk").field("kind", &self.kind).finish_non_exhaustive()
    }
}

fn entries(database: &Database, prefix: &[u8], from: &[u8], now: u64) -> Result<Page, Trouble> {
    let table = database.begin_read()?.open_table(ENTRIES)?;
    let mut keys = Vec::new();
    for (count, row) in table.range(from..)?.enumerate() {
        let (key, entry) = row?;
        if !key.value().starts_with(prefix) {
            break;
        }
        if count == ROWS {
            return Ok((keys, Some(key.value().to_vec())));
        }
        if !Head::parse(entry.value())?.0.is_expired(now) {
            keys.push(read_key(key.value())?);
        }
    }
    Ok((keys, None))
}

fn indexes(database: &Database, prefix: &[u8], mut from: Vec<u8>, now: u64) -> Result<Page, Trouble> {
    let table = match database.begin_read()?.open_table(MEMBERS) {
        Ok(table) => table,
        // A file from before there were indexes, to which nothing was written since.
        Err(TableError::TableDoesNotExist(_)) => return Ok((Vec::new(), None)),
        Err(error) => return Err(error.into()),
    };
    let mut keys = Vec::new();
    for _ in 0..ROWS {
        let Some(row) = table.range(&*from..)?.next() else { return Ok((keys, None)) };
        let (row, expires_at) = row?;
        let (len, rest) = row.value().split_first().ok_or(Trouble::Malformed)?;
        let index = rest.get(..usize::from(*len)).ok_or(Trouble::Malformed)?;
        let is_wanted = index.starts_with(prefix);
        from = if is_wanted && expires_at.value() <= now {
            [row.value(), &[0]].concat()
        } else {
            // Behind all other members: a key has no byte as high.
            [&[*len], index, &[u8::MAX]].concat()
        };
        if is_wanted && expires_at.value() > now {
            keys.push(read_key(index)?);
        }
    }
    Ok((keys, Some(from)))
}

fn read_key(bytes: &[u8]) -> Result<StoreKey, Trouble> {
    str::from_utf8(bytes).ok().and_then(|key| StoreKey::new(key).ok()).ok_or(Trouble::Malformed)
}
