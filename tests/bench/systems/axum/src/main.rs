//! axum with Cloakroom, with its peers there, with none of them, and with what is done by hand.

mod axum_sessions;
mod by_hand;
mod bytes_store;
mod cloakroom;
mod floor;
mod routed;
mod tower_sessions;

use std::{io::Write as _, time::Duration};

use anyhow::{Context as _, bail, ensure};
use axum::{Router, serve::ListenerExt as _};
use bench_kit::{Command, count_instructions, measure_in_process, until_input_ends};
use tokio::{net::TcpListener, runtime};

use crate::routed::Routed;

/// Those that are measured in process, and served.
const IN_PROCESS: [&str; 8] = [
    "axum",
    "axum-layer",
    "cloakroom",
    "tower-sessions",
    "tower-sessions-signed",
    "tower-sessions-bytes-signed",
    "axum_session",
    "axum_session-key",
];
/// Those that are served alone, with Redis.
const WITH_REDIS: [&str; 6] = [
    "cloakroom-redis",
    "tower-sessions-redis",
    "tower-sessions-signed-redis",
    "axum_session-redis",
    "axum_session-key-redis",
    "redis-by-hand",
];

fn main() -> anyhow::Result<()> {
    match Command::from_args()? {
        Command::List => IN_PROCESS.iter().chain(&WITH_REDIS).for_each(|system| println!("{system}")),
        Command::InProcess(system, patience) => alone(&system, async |app| {
            measure_in_process(&system, &app, patience).await;
        })?,
        Command::Instructions(system) => alone(&system, async |app| count_instructions(&app).await)?,
        Command::Serve { system, threads, redis } => serve(&system, threads, &redis)?,
    }
    Ok(())
}

/// Runs a system on one thread.
fn alone(system: &str, work: impl AsyncFnOnce(Routed)) -> anyhow::Result<()> {
    ensure!(IN_PROCESS.contains(&system), "{system} is measured by serving it alone, with Redis");
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        work(Routed::new(router(system, "-").await?)).await;
        Ok(())
    })
}

fn serve(system: &str, threads: usize, redis: &str) -> anyhow::Result<()> {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    let listener = runtime.block_on(async {
        let router = router(system, redis).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("http://{}", listener.local_addr()?);
        anyhow::Ok((listener, router))
    });
    let (listener, router) = listener?;
    // A connection that cannot be told so is slower, no more.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    runtime.spawn(axum::serve(listener, router).into_future());
    std::io::stdout().flush()?;
    until_input_ends();
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

/// Makes the router of a system; `redis` is the URL of a server, or `-`.
async fn router(system: &str, redis: &str) -> anyhow::Result<Router> {
    ensure!(!WITH_REDIS.contains(&system) || redis != "-", "{system} needs Redis");
    Ok(match system {
        "axum" => floor::router(),
        "axum-layer" => floor::router().layer(floor::Nothing),
        "cloakroom" => cloakroom::in_memory()?,
        "cloakroom-redis" => cloakroom::in_redis(redis).await?,
        "tower-sessions" => tower_sessions::plain(),
        "tower-sessions-signed" => tower_sessions::signed(),
        "tower-sessions-bytes-signed" => tower_sessions::bytes_signed(),
        "tower-sessions-redis" => tower_sessions::in_redis(redis, false).await.context("tower-sessions")?,
        "tower-sessions-signed-redis" => tower_sessions::in_redis(redis, true).await.context("tower-sessions")?,
        "axum_session" => axum_sessions::in_memory(false).await?,
        "axum_session-key" => axum_sessions::in_memory(true).await?,
        "axum_session-redis" => axum_sessions::in_redis(redis, false).await?,
        "axum_session-key-redis" => axum_sessions::in_redis(redis, true).await?,
        "redis-by-hand" => by_hand::router(redis).await?,
        _ => bail!("there is no system {system:?}"),
    })
}
