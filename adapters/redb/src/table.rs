//! What the file holds, and the steps on it.
//!
//! * `entries`: the key; then 8 bytes of when it expires, 8 bytes of its version, and the value.
//! * `expiries`: 8 bytes of when an entry expires, big-endian so that they sort by it, and its key; nothing else.
//! * `meta`: `format`, 8 bytes; `state`, 8 bytes of the last version and what is known of the time.
//!
//! The tables of indexes are those of [`crate::members`].
//!
//! Numbers are little-endian but for that one; times are milliseconds of [`Clock`].

use std::time::Duration;

use cloakroom_core::{StoreKey, Stored, Value, Version};
use redb::{ReadOnlyTable, ReadableTable, ReadableTableMetadata, Table, TableDefinition, WriteTransaction};

use crate::{clock::Clock, error::Trouble, members::MemberTables};

pub(crate) const ENTRIES: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("cloakroom.entries");
pub(crate) const EXPIRIES: TableDefinition<'static, &[u8], ()> = TableDefinition::new("cloakroom.expiries");
pub(crate) const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("cloakroom.meta");

/// The number of this layout.
pub(crate) const FORMAT: u64 = 1;
pub(crate) const FORMAT_ROW: &str = "format";
const STATE_ROW: &str = "state";

/// Bytes of an entry before its value.
const HEAD: usize = 16;

/// What outlives the process beside the entries.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct State {
    /// One counter for all keys, so that no version comes back after a removal.
    pub(crate) last_version: u64,
    pub(crate) clock: Clock,
}

impl State {
    pub(crate) fn read(meta: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Self, Trouble> {
        let Some(row) = meta.get(STATE_ROW)? else { return Ok(Self::default()) };
        let (last_version, clock) = row.value().split_first_chunk().ok_or(Trouble::Malformed)?;
        let clock = clock.try_into().map_err(|_| Trouble::Malformed)?;
        Ok(Self { last_version: u64::from_le_bytes(*last_version), clock: Clock::from_bytes(clock) })
    }

    pub(crate) fn write(&self, transaction: &WriteTransaction) -> Result<(), Trouble> {
        let mut row = [0; 8 + Clock::BYTES];
        row[..8].copy_from_slice(&self.last_version.to_le_bytes());
        row[8..].copy_from_slice(&self.clock.to_bytes());
        transaction.open_table(META)?.insert(STATE_ROW, &row[..])?;
        Ok(())
    }
}

/// When an entry expires, and its version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    expires_at: u64,
    version: u64,
}

impl Head {
    pub(crate) fn new(expires_at: u64, version: u64) -> Self {
        Self { expires_at, version }
    }

    pub(crate) fn parse(entry: &[u8]) -> Result<(Self, &[u8]), Trouble> {
        let (expires_at, rest) = entry.split_first_chunk().ok_or(Trouble::Malformed)?;
        let (version, value) = rest.split_first_chunk().ok_or(Trouble::Malformed)?;
        Ok((Self::new(u64::from_le_bytes(*expires_at), u64::from_le_bytes(*version)), value))
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn is_expired(&self, now: u64) -> bool {
        self.expires_at <= now
    }

    pub(crate) fn stored(&self, value: &[u8], now: u64) -> Stored {
        Stored {
            value: Value::from(value.to_vec()),
            version: Version::from_u64(self.version),
            expires_in: Some(Duration::from_millis(self.expires_at.saturating_sub(now))),
        }
    }
}

/// What a load finds under a key.
pub(crate) enum Found {
    Absent,
    Expired,
    Live(Stored),
}

pub(crate) fn find(
    entries: &ReadOnlyTable<&'static [u8], &'static [u8]>,
    key: &StoreKey,
    now: u64,
) -> Result<Found, Trouble> {
    let Some(entry) = entries.get(key.as_bytes())? else { return Ok(Found::Absent) };
    let (head, value) = Head::parse(entry.value())?;
    Ok(if head.is_expired(now) { Found::Expired } else { Found::Live(head.stored(value, now)) })
}

/// The tables of a transaction that writes.
pub(crate) struct Tables<'t> {
    entries: Table<'t, &'static [u8], &'static [u8]>,
    expiries: Table<'t, &'static [u8], ()>,
    pub(crate) members: MemberTables<'t>,
    /// Entries that had expired and were dropped.
    pub(crate) expired: u64,
}

impl<'t> Tables<'t> {
    pub(crate) fn open(transaction: &'t WriteTransaction) -> Result<Self, Trouble> {
        Ok(Self {
            entries: transaction.open_table(ENTRIES)?,
            expiries: transaction.open_table(EXPIRIES)?,
            members: MemberTables::open(transaction)?,
            expired: 0,
        })
    }

    pub(crate) fn len(&self) -> Result<u64, Trouble> {
        Ok(self.entries.len()?)
    }

    /// Finds what is alive under a key. What has expired there is dropped.
    pub(crate) fn live(&mut self, key: &StoreKey, now: u64) -> Result<Option<Head>, Trouble> {
        let Some(head) = self.head(key.as_bytes())? else { return Ok(None) };
        if !head.is_expired(now) {
            return Ok(Some(head));
        }
        self.remove(key, head)?;
        self.expired += 1;
        Ok(None)
    }

    /// Brings what is under a key that has something.
    pub(crate) fn stored(&self, key: &StoreKey, now: u64) -> Result<Option<Stored>, Trouble> {
        let Some(entry) = self.entries.get(key.as_bytes())? else { return Ok(None) };
        let (head, value) = Head::parse(entry.value())?;
        Ok(Some(head.stored(value, now)))
    }

    /// Puts an entry under a key, in the place of the old one.
    pub(crate) fn put(&mut self, key: &StoreKey, old: Option<Head>, new: Head, value: &[u8]) -> Result<(), Trouble> {
        let mut place = self.entries.insert_reserve(key.as_bytes(), HEAD + value.len())?;
        let bytes = place.as_mut();
        bytes[..8].copy_from_slice(&new.expires_at.to_le_bytes());
        bytes[8..HEAD].copy_from_slice(&new.version.to_le_bytes());
        bytes[HEAD..].copy_from_slice(value);
        drop(place);
        if let Some(old) = old {
            self.expiries.remove(IndexKey::new(old.expires_at, key.as_bytes()).as_bytes())?;
        }
        self.expiries.insert(IndexKey::new(new.expires_at, key.as_bytes()).as_bytes(), ())?;
        Ok(())
    }

    /// Puts an entry with its old value under a key, in the place of the old one.
    pub(crate) fn prolong(&mut self, key: &StoreKey, old: Head, new: Head) -> Result<(), Trouble> {
        let Some(entry) = self.entries.get(key.as_bytes())? else { return Err(Trouble::Malformed) };
        let value = Head::parse(entry.value())?.1.to_vec();
        drop(entry);
        self.put(key, Some(old), new, &value)
    }

    pub(crate) fn remove(&mut self, key: &StoreKey, head: Head) -> Result<(), Trouble> {
        self.entries.remove(key.as_bytes())?;
        self.expiries.remove(IndexKey::new(head.expires_at, key.as_bytes()).as_bytes())?;
        Ok(())
    }

    /// Drops at most so many entries and members that have expired, and returns how many it dropped.
    pub(crate) fn sweep(&mut self, now: u64, at_most: u64) -> Result<u64, Trouble> {
        let mut count = 0;
        while count < at_most {
            let Some(first) = self.expiries.first()?.map(|(index, _)| IndexKey::copy(index.value())) else { break };
            let (expires_at, key) = first.parse()?;
            if expires_at > now {
                break;
            }
            // Never by the index alone.
            if self.head(key)?.is_some_and(|head| head.expires_at == expires_at) {
                self.entries.remove(key)?;
                self.expired += 1;
            }
            self.expiries.remove(first.as_bytes())?;
            count += 1;
        }
        Ok(count + self.members.sweep(now, at_most - count)?)
    }

    fn head(&self, key: &[u8]) -> Result<Option<Head>, Trouble> {
        let Some(entry) = self.entries.get(key)? else { return Ok(None) };
        Ok(Some(Head::parse(entry.value())?.0))
    }
}

/// A key of a table of expiries.
pub(crate) struct IndexKey(Vec<u8>);

impl IndexKey {
    pub(crate) fn new(expires_at: u64, key: &[u8]) -> Self {
        Self([&expires_at.to_be_bytes(), key].concat())
    }

    pub(crate) fn copy(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn parse(&self) -> Result<(u64, &[u8]), Trouble> {
        let (expires_at, key) = self.0.split_first_chunk().ok_or(Trouble::Malformed)?;
        Ok((u64::from_be_bytes(*expires_at), key))
    }
}
