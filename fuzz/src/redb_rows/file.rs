//! The file as its layout says, written and read without the store.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use cloakroom_redb::RedbStore;
use cloakroom_sim::Sim;
use redb::{Database, Durability, TableDefinition};
use tempfile::TempDir;

use super::super::entry::key;

const ENTRIES: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("cloakroom.entries");
const EXPIRIES: TableDefinition<'static, &[u8], ()> = TableDefinition::new("cloakroom.expiries");
const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("cloakroom.meta");

/// A row of the entries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Row {
    Damaged,
    Whole { expires_at: u64, version: u64, value: Vec<u8> },
}

impl Row {
    /// 8 bytes of when it expires, 8 bytes of its version, little-endian, and the value.
    pub(super) fn of(bytes: &[u8]) -> Self {
        match bytes.as_chunks::<8>().0 {
            [expires_at, version, ..] => Self::Whole {
                expires_at: u64::from_le_bytes(*expires_at),
                version: u64::from_le_bytes(*version),
                value: bytes[16..].to_vec(),
            },
            _ => Self::Damaged,
        }
    }
}

/// Makes a file with these rows, in memory where that is to be had.
pub(super) fn write(
    entries: &BTreeMap<u64, Vec<u8>>,
    expiries: &[(u8, u64)],
    state: Option<&[u8]>,
) -> (TempDir, PathBuf) {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder");
    let path = folder.path().join("sessions.redb");
    fs::write(&path, empty()).expect("a file");
    let database = Database::open(&path).expect("a database");
    let mut transaction = database.begin_write().expect("a transaction");
    transaction.set_durability(Durability::Immediate).expect("a durability");
    {
        let mut table = transaction.open_table(ENTRIES).expect("a table");
        for (number, row) in entries {
            table.insert(key(*number).as_bytes(), &row[..]).expect("a row");
        }
        let mut table = transaction.open_table(EXPIRIES).expect("a table");
        for (number, expires_at) in expiries {
            let index = match number {
                // One that is too short for a time.
                255 => vec![*number; 5],
                _ => [&expires_at.to_be_bytes()[..], key(u64::from(number % 4)).as_bytes()].concat(),
            };
            table.insert(&index[..], ()).expect("a row");
        }
        if let Some(state) = state {
            transaction.open_table(META).expect("a table").insert("state", state).expect("a row");
        }
    }
    transaction.commit().expect("a commit");
    (folder, path)
}

/// A file as the store makes it.
fn empty() -> &'static [u8] {
    static EMPTY: OnceLock<Vec<u8>> = OnceLock::new();
    EMPTY.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sessions.redb");
        let sim = Sim::new(0);
        let store = sim.block_on(RedbStore::open(&path, sim.runtime())).expect("a new file");
        sim.block_on(store.close());
        fs::read(&path).expect("a file")
    })
}
