//! The visits program on axum and tokio.
//!
//! `cargo run -p cloakroom-tower --example visits`, then open <http://127.0.0.1:8000>.
#![allow(clippy::print_stdout, reason = "it tells where it listens")]

use axum::{Router, routing::get};
use cloakroom_tokio::Tokio;
use cloakroom_tower::{KeyId, Keyring, KeyringExt, MemoryStore, Session, SessionError, SessionLayer, Sessions};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A ring for this run alone. A real server reads its own: `Keyring::from_env("SESSION_KEYS")?`.
    let ring = Keyring::generate(KeyId::new(1))?;
    let sessions = Sessions::new(ring, MemoryStore::new(Tokio), Tokio);
    let app = Router::new().route("/", get(visits)).layer(SessionLayer::new(sessions));

    let listener = TcpListener::bind(std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned())).await?;
    println!("http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

async fn visits(session: Session) -> Result<String, SessionError> {
    let n = session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1).await?;
    Ok(format!("visit {n}\n"))
}
