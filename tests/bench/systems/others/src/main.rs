//! poem and salvo, each with and without its sessions.

mod poem;
mod salvo;

use std::future::Future;

use anyhow::bail;
use bench_kit::{App, Command, count_instructions, measure_in_process};
use tokio::runtime::Builder;

fn main() -> anyhow::Result<()> {
    let command = Command::from_args()?;
    let system = match &command {
        Command::List => {
            poem::SYSTEMS.iter().chain(&salvo::SYSTEMS).for_each(|system| println!("{system}"));
            return Ok(());
        }
        Command::InProcess(system, _) | Command::Instructions(system) if system.ends_with("-redis") => {
            bail!("{system} is measured with its network: serve")
        }
        Command::InProcess(system, _) | Command::Instructions(system) | Command::Serve { system, .. } => system.clone(),
    };
    match (system.split('-').next(), command) {
        (Some("poem"), Command::Serve { threads, redis, .. }) => on_workers(threads, poem::serve(system, redis)),
        (Some("salvo"), Command::Serve { threads, .. }) => on_workers(threads, salvo::serve(system)),
        (Some("poem"), command) => on_this_thread(poem::measure(&system, &command)),
        (Some("salvo"), command) => on_this_thread(salvo::measure(&system, &command)),
        _ => bail!("there is no system {system}"),
    }
}

/// Runs a server on so many threads; the one that waits for it answers nothing.
fn on_workers(threads: usize, server: impl Future<Output = anyhow::Result<()>> + Send + 'static) -> anyhow::Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(async { tokio::spawn(server).await? })
}

fn on_this_thread(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Measures what is measured in process.
async fn run<A: App>(command: &Command, app: &A) {
    match command {
        Command::InProcess(system, patience) => measure_in_process(system, app, *patience).await,
        Command::Instructions(_) => count_instructions(app).await,
        Command::List | Command::Serve { .. } => {}
    }
}
