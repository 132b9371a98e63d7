//! A session store in memory that holds bytes, as every store outside of the process has to.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError, generate_session_key};
use actix_web::cookie::time;

type State = HashMap<String, String>;

/// JSON by session key.
#[derive(Clone, Default)]
pub struct ByteStore(Arc<Mutex<HashMap<String, Record>>>);

struct Record {
    json: Vec<u8>,
    end: Instant,
}

impl ByteStore {
    fn put(&self, key: &str, state: &State, ttl: &time::Duration) -> anyhow::Result<()> {
        let record = Record { json: serde_json::to_vec(state)?, end: end_of(ttl)? };
        self.0.lock().expect("nobody panics in it").insert(key.to_owned(), record);
        Ok(())
    }
}

impl SessionStore for ByteStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<State>, LoadError> {
        match self.0.lock().expect("nobody panics in it").get(key.as_ref()) {
            Some(record) if Instant::now() < record.end => {
                serde_json::from_slice(&record.json).map(Some).map_err(|error| LoadError::Deserialization(error.into()))
            }
            _ => Ok(None),
        }
    }

    async fn save(&self, state: State, ttl: &time::Duration) -> Result<SessionKey, SaveError> {
        let key = generate_session_key();
        self.put(key.as_ref(), &state, ttl).map_err(SaveError::Serialization)?;
        Ok(key)
    }

    async fn update(&self, key: SessionKey, state: State, ttl: &time::Duration) -> Result<SessionKey, UpdateError> {
        self.put(key.as_ref(), &state, ttl).map_err(UpdateError::Serialization)?;
        Ok(key)
    }

    async fn update_ttl(&self, key: &SessionKey, ttl: &time::Duration) -> anyhow::Result<()> {
        let end = end_of(ttl)?;
        if let Some(record) = self.0.lock().expect("nobody panics in it").get_mut(key.as_ref()) {
            record.end = end;
        }
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> anyhow::Result<()> {
        self.0.lock().expect("nobody panics in it").remove(key.as_ref());
        Ok(())
    }
}

fn end_of(ttl: &time::Duration) -> anyhow::Result<Instant> {
    Ok(Instant::now() + Duration::try_from(*ttl)?)
}
