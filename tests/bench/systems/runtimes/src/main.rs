//! A bare hyper server on each runtime: without sessions, with other work in their place, with ours in memory and in Redis, and
//! with Redis by hand.
//!
//! The names are `tokio`, `smol` and `async-std` with what is behind the dash of [`KINDS`]. How many threads smol and
//! async-std have is said by `SMOL_THREADS` and `ASYNC_STD_THREAD_COUNT` alone: whoever starts this sets both.

mod answers;

use std::sync::Arc;

use anyhow::{Context as _, bail};
use bench_by_hand::ByHand;
use bench_kit::{Command, announce};
use cloakroom_async_std::AsyncStd;
use cloakroom_redis::RedisStore;
use cloakroom_runtime::Runtime;
use cloakroom_smol::Smol;
use cloakroom_tokio::Tokio;
use cloakroom_tower::{KeyId, Keyring, KeyringExt as _, MemoryStore, SessionLayer, Sessions};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use smol_hyper::rt::FuturesIo;
use tower::{Layer as _, service_fn};

use self::answers::{Service, by_hand, plain, with_session, with_work};

const RUNTIMES: [&str; 3] = ["tokio", "smol", "async-std"];
const KINDS: [&str; 5] = ["", "-work", "-cloakroom", "-cloakroom-redis", "-redis-by-hand"];

fn main() -> anyhow::Result<()> {
    match Command::from_args()? {
        Command::List => {
            RUNTIMES
                .iter()
                .flat_map(|runtime| KINDS.map(|kind| format!("{runtime}{kind}")))
                .for_each(|name| println!("{name}"));
            Ok(())
        }
        Command::Serve { system, threads, redis } => serve(&system, threads, &redis),
        Command::InProcess(..) | Command::Instructions(_) => bail!("a runtime is measured with its network: serve"),
    }
}

fn serve(system: &str, threads: usize, redis: &str) -> anyhow::Result<()> {
    let split = RUNTIMES.iter().find_map(|&runtime| Some((runtime, system.strip_prefix(runtime)?)));
    let (runtime, kind) = split.with_context(|| format!("there is no system {system:?}"))?;
    match runtime {
        "tokio" => {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
            runtime.block_on(async {
                // Not on the thread of the main future, which is none of the workers.
                tokio::spawn(on_tokio(service(kind, redis, Arc::new(Tokio), true).await?)).await?
            })
        }
        "smol" => smol::block_on(async {
            let service = service(kind, redis, Arc::new(Smol), false).await?;
            smol::spawn(on_smol(service)).await
        }),
        _ => async_std::task::block_on(async {
            let service = service(kind, redis, Arc::new(AsyncStd), false).await?;
            async_std::task::spawn(on_async_std(service)).await
        }),
    }
}

/// Makes what answers requests.
async fn service(kind: &str, redis: &str, runtime: Arc<dyn Runtime>, is_on_tokio: bool) -> anyhow::Result<Service> {
    let ring = Keyring::generate(KeyId::new(1))?;
    Ok(match kind {
        "" => Service::new(service_fn(plain)),
        "-work" => Service::new(service_fn(with_work)),
        "-cloakroom" => {
            let sessions = Sessions::new(ring, MemoryStore::new(Arc::clone(&runtime)), runtime);
            Service::new(SessionLayer::new(sessions).layer(service_fn(with_session)))
        }
        "-cloakroom-redis" => {
            let store = RedisStore::connect(redis, Arc::clone(&runtime)).await?;
            let sessions = Sessions::new(ring, store, runtime);
            Service::new(SessionLayer::new(sessions).layer(service_fn(with_session)))
        }
        "-redis-by-hand" => {
            let hand = if is_on_tokio { ByHand::on_tokio(redis).await } else { ByHand::on(redis, &runtime).await }?;
            Service::new(service_fn(move |request| by_hand(hand.clone(), request)))
        }
        _ => bail!("there is no system that ends on {kind:?}"),
    })
}

async fn on_tokio(service: Service) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn on_smol(service: Service) -> anyhow::Result<()> {
    let listener = smol::net::TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(service.clone());
        smol::spawn(http1::Builder::new().serve_connection(FuturesIo::new(stream), service)).detach();
    }
}

async fn on_async_std(service: Service) -> anyhow::Result<()> {
    let listener = async_std::net::TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(service.clone());
        async_std::task::spawn(http1::Builder::new().serve_connection(FuturesIo::new(stream), service));
    }
}
