mod file;
mod operation;

use core::time::Duration;
use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Unstructured};
use cloakroom_core::Stored;
use cloakroom_redb::RedbStore;
use cloakroom_sim::Sim;
use cloakroom_store::Store as _;

use self::{
    file::{Row, write},
    operation::act,
};
use super::entry::key;

#[derive(Arbitrary)]
struct Program {
    /// By the numbers of their keys.
    entries: Vec<(u8, Vec<u8>)>,
    /// What the index says of when entries expire.
    expiries: Vec<(u8, u64)>,
    state: Option<Vec<u8>>,
    ops: [u8; 6],
}

/// Whatever stands in the tables, an entry that is whole is what its row says, until its time; one that is damaged is an
/// error of its own; and what is written over them is there.
pub fn redb_rows(data: &[u8]) {
    let Ok(Program { entries, expiries, state, ops }) = Program::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    let rows: BTreeMap<u64, Vec<u8>> = entries.into_iter().map(|(number, row)| (u64::from(number % 4), row)).collect();
    let (_folder, path) = write(&rows, &expiries, state.as_deref());
    let mut rows: BTreeMap<u64, Row> = rows.into_iter().map(|(number, row)| (number, Row::of(&row))).collect();
    let sim = Sim::new(0);
    let opened = sim.block_on(RedbStore::open(&path, sim.runtime()));
    assert!(opened.is_ok() || state.is_some(), "rows that are damaged close no store: {opened:?}");
    let Ok(store) = opened else { return };
    for op in ops {
        let number = u64::from(op % 4);
        let now = Sim::START * 1000 + sim.elapsed().as_millis() as u64;
        let found = sim.block_on(store.load(&key(number)));
        match (&found, rows.get(&number)) {
            (Ok(None), None) => {}
            (Ok(None), Some(Row::Whole { expires_at, .. })) => {
                assert!(*expires_at <= now || state.is_some(), "an entry lives until its time");
                rows.remove(&number);
            }
            (Ok(Some(found)), Some(Row::Whole { expires_at, version, value })) => {
                let Stored { value: found, version: of, .. } = found;
                assert!(found.as_bytes() == value && of.as_u64() == Some(*version), "an entry is what its row says");
                assert!(*expires_at > now || state.is_some(), "an entry lives until its time");
            }
            (Err(_), Some(Row::Damaged)) => {}
            _ => panic!("{found:?} is not what the row says"),
        }
        let ttl = Duration::from_secs(u64::from(op));
        if let Ok(Some(done)) = sim.block_on(act(&store, op, rows.get(&number), ttl)) {
            rows.remove(&number);
            rows.extend(done.map(|(version, value)| {
                let expires_at = now + ttl.as_millis() as u64;
                (number, Row::Whole { expires_at, version, value })
            }));
        }
    }
}
