//! Cloakroom, as its README says.

use axum::{Router, extract::Path, routing::get};
use bench_kit::{COUNT_KEY, READ_KEY, Shape};
use cloakroom_core::{KeyId, Keyring};
use cloakroom_redis::RedisStore;
use cloakroom_store::KeyringExt as _;
use cloakroom_tokio::Tokio;
use cloakroom_tower::{MemoryStore, Session, SessionError, SessionLayer, Sessions};

/// Below the edits that one commit keeps.
const EDITS: usize = 1_000;

pub fn in_memory() -> anyhow::Result<Router> {
    Ok(router(Sessions::new(Keyring::generate(KeyId::new(1))?, MemoryStore::new(Tokio), Tokio)))
}

pub async fn in_redis(url: &str) -> anyhow::Result<Router> {
    Ok(router(Sessions::new(Keyring::generate(KeyId::new(1))?, RedisStore::connect(url, Tokio).await?, Tokio)))
}

fn router(sessions: Sessions) -> Router {
    Router::new()
        .route("/untouched", get(|| async { "ok" }))
        .route("/read", get(read))
        .route("/change", get(change))
        .route("/rotate", get(rotate))
        .route("/fill/{shape}", get(fill))
        .layer(SessionLayer::new(sessions))
}

async fn read(session: Session) -> Result<String, SessionError> {
    let text = session.get::<String>(READ_KEY).await?;
    Ok(text.unwrap_or_default().len().to_string())
}

async fn change(session: Session) -> Result<String, SessionError> {
    let n = session.update(COUNT_KEY, |n: Option<u64>| n.unwrap_or(0) + 1).await?;
    Ok(n.to_string())
}

async fn rotate(session: Session) -> Result<&'static str, SessionError> {
    session.rotate().await?;
    Ok("ok")
}

async fn fill(Path(shape): Path<String>, session: Session) -> Result<&'static str, SessionError> {
    let pairs = shape.parse::<Shape>().map_or_else(|_| Vec::new(), Shape::pairs);
    for (n, (key, value)) in pairs.iter().enumerate() {
        session.insert(key, value).await?;
        if n % EDITS == EDITS - 1 {
            session.save().await?;
        }
    }
    Ok("ok")
}
