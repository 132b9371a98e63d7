//! The visits program on smol.
//!
//! `cargo run -p cloakroom-smol --example visits_on_smol`, then open <http://127.0.0.1:8000>.
//! It is the same on every runtime, but for the lines that name one.
#![allow(clippy::print_stdout, reason = "it tells where it listens")]

use std::{env, error::Error};

use axum::{Router, routing::get};
use cloakroom_runtime::Runtime;
use cloakroom_smol::Smol;
use cloakroom_tower::{KeyId, Keyring, KeyringExt, MemoryStore, Session, SessionError, SessionLayer, Sessions};
use hyper::server::conn::http1;
use hyper_util::service::TowerToHyperService;
use smol::net::TcpListener;
use smol_hyper::rt::FuturesIo as Io;

fn main() -> Result<(), Box<dyn Error>> {
    smol::block_on(serve(Smol))
}

async fn serve(runtime: impl Runtime + Copy) -> Result<(), Box<dyn Error>> {
    // A ring for this run alone. A real server reads its own: `Keyring::from_env("SESSION_KEYS")?`.
    let ring = Keyring::generate(KeyId::new(1))?;
    let sessions = Sessions::new(ring, MemoryStore::new(runtime), runtime);
    let app = Router::new().route("/", get(visits)).layer(SessionLayer::new(sessions));

    let listener = TcpListener::bind(env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned())).await?;
    println!("http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(app.clone());
        let connection = http1::Builder::new().serve_connection(Io::new(stream), service);
        // What a client does wrong ends its connection alone.
        drop(runtime.spawn(Box::pin(async { drop(connection.await) })));
    }
}

async fn visits(session: Session) -> Result<String, SessionError> {
    let n = session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1).await?;
    Ok(format!("visit {n}\n"))
}
