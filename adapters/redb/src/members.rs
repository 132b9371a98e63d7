//! The tables of indexes, and the steps on them.
//!
//! * `members`: 1 byte of the length of the index's key, that key, and the member's; then 8 bytes of when the member
//!   expires, little-endian.
//! * `member_expiries`: 8 bytes of when a member expires, big-endian so that they sort by it, and its key in `members`;
//!   nothing else.
//!
//! An index is where its rows are, and takes no room without any.

use cloakroom_core::{Members, StoreKey};
use redb::{ReadOnlyTable, ReadableTable, ReadableTableMetadata, Table, TableDefinition, WriteTransaction};

use crate::{error::Trouble, table::IndexKey};

pub(crate) const MEMBERS: TableDefinition<'static, &[u8], u64> = TableDefinition::new("cloakroom.members");
pub(crate) const MEMBER_EXPIRIES: TableDefinition<'static, &[u8], ()> =
    TableDefinition::new("cloakroom.member_expiries");

/// Lists the members of an index that have not expired.
pub(crate) fn members(
    rows: &ReadOnlyTable<&'static [u8], u64>,
    index: &StoreKey,
    limit: usize,
    now: u64,
) -> Result<Members, Trouble> {
    let mut members = Members::default();
    let start = start(index);
    for row in rows.range(&*start..)? {
        let (row, expires_at) = row?;
        let Some(member) = row.value().strip_prefix(&*start) else { break };
        if expires_at.value() <= now {
            continue;
        }
        members.total += 1;
        if members.keys.len() < limit {
            let member = str::from_utf8(member).ok().and_then(|member| StoreKey::new(member).ok());
            members.keys.push(member.ok_or(Trouble::Malformed)?);
        }
    }
    Ok(members)
}

/// The tables of a transaction that writes.
pub(crate) struct MemberTables<'t> {
    rows: Table<'t, &'static [u8], u64>,
    expiries: Table<'t, &'static [u8], ()>,
}

impl<'t> MemberTables<'t> {
    pub(crate) fn open(transaction: &'t WriteTransaction) -> Result<Self, Trouble> {
        Ok(Self { rows: transaction.open_table(MEMBERS)?, expiries: transaction.open_table(MEMBER_EXPIRIES)? })
    }

    pub(crate) fn len(&self) -> Result<u64, Trouble> {
        Ok(self.rows.len()?)
    }

    /// Has a member stay until then at least. Tells whether that changed anything.
    pub(crate) fn enroll(&mut self, index: &StoreKey, member: &StoreKey, expires_at: u64) -> Result<bool, Trouble> {
        let row = row(index, member);
        let old = self.rows.get(&*row)?.map(|old| old.value());
        if old.is_some_and(|old| old >= expires_at) {
            return Ok(false);
        }
        if let Some(old) = old {
            self.expiries.remove(IndexKey::new(old, &row).as_bytes())?;
        }
        self.rows.insert(&*row, expires_at)?;
        self.expiries.insert(IndexKey::new(expires_at, &row).as_bytes(), ())?;
        Ok(true)
    }

    /// Takes a member out. Tells whether it was there.
    pub(crate) fn unenroll(&mut self, index: &StoreKey, member: &StoreKey) -> Result<bool, Trouble> {
        let row = row(index, member);
        let Some(old) = self.rows.remove(&*row)?.map(|old| old.value()) else { return Ok(false) };
        self.expiries.remove(IndexKey::new(old, &row).as_bytes())?;
        Ok(true)
    }

    /// Drops at most so many members that have expired, and returns how many it dropped.
    pub(crate) fn sweep(&mut self, now: u64, at_most: u64) -> Result<u64, Trouble> {
        let mut count = 0;
        while count < at_most {
            let Some(first) = self.expiries.first()?.map(|(place, _)| IndexKey::copy(place.value())) else { break };
            let (expires_at, row) = first.parse()?;
            if expires_at > now {
                break;
            }
            // Never by this table alone.
            if self.rows.get(row)?.is_some_and(|there| there.value() == expires_at) {
                self.rows.remove(row)?;
            }
            self.expiries.remove(first.as_bytes())?;
            count += 1;
        }
        Ok(count)
    }
}

/// The index, with its length before it so that none begins with another, and the member.
fn row(index: &StoreKey, member: &StoreKey) -> Vec<u8> {
    [&*start(index), member.as_bytes()].concat()
}

fn start(index: &StoreKey) -> Vec<u8> {
    // A key has at most 120 bytes.
    [&[index.as_bytes().len() as u8], index.as_bytes()].concat()
}
