//! Giving the room of what has gone back to the disk.

use std::{
    path::{self, Path},
    time::SystemTime,
};

use redb::Database;

use crate::{
    clock::Clock,
    error::{OpenError, Trouble},
    open::{Opened, Opener},
    table::{State, Tables},
};

/// What [`compact`] did.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Compacted {
    /// Bytes of the file before.
    pub before_bytes: u64,
    /// Bytes of the file after.
    pub after_bytes: u64,
    /// Entries that had expired and were dropped.
    pub expired: u64,
    /// Entries that are left.
    pub entries: u64,
}

/// Drops what has expired from a file, and makes it as small as it can be.
///
/// It needs the file for itself, and blocks: a file of 100 MB takes some seconds, one of a gigabyte a minute. The file is
/// whole at any moment of it; where it was stopped, the rest can be done later. Time is the system's clock.
///
/// # Errors
///
/// [`OpenError`]; [`OpenError::InUse`] while a store has the file open. No file is made where there is none.
pub fn compact(path: impl AsRef<Path>) -> Result<Compacted, OpenError> {
    let path = path::absolute(&path).map_err(|error| OpenError::io(path.as_ref(), error))?;
    let opener = Opener::new(path, 256 * 1024 * 1024);
    let failed = |trouble: Trouble| OpenError::new(opener.path(), trouble);
    let bytes = || opener.file_bytes().map_err(|error| OpenError::io(opener.path(), error));

    let before_bytes = bytes()?;
    let Opened { mut database, state, .. } = opener.open().map_err(|trouble| OpenError::new(opener.path(), trouble))?;
    let (expired, entries) = drop_expired(&database, state).map_err(failed)?;
    database.compact().map_err(|error| failed(error.into()))?;
    drop(database);
    Ok(Compacted { before_bytes, after_bytes: bytes()?, expired, entries })
}

/// Returns how many were dropped, and how many are left.
fn drop_expired(database: &Database, mut state: State) -> Result<(u64, u64), Trouble> {
    const BATCH: u64 = 4096;
    let now = advance(&mut state.clock);
    let mut expired = 0;
    loop {
        let transaction = database.begin_write()?;
        let mut tables = Tables::open(&transaction)?;
        let count = tables.sweep(now, BATCH)?;
        expired += tables.expired;
        let entries = tables.len()?;
        drop(tables);
        state.write(&transaction)?;
        transaction.commit()?;
        if count < BATCH {
            return Ok((expired, entries));
        }
    }
}

fn advance(clock: &mut Clock) -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    clock.advance(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
