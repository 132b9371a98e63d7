//! Pavex, with and without pavex_session: what its components do for a request, called in the order in which the code that
//! Pavex generates would call them; over loopback, by its server. There is no router, and no middleware but its own.

mod pavex;

use bench_kit::{Command, count_instructions, measure_in_process};

use crate::pavex::{Pavex, SYSTEMS};

fn main() -> anyhow::Result<()> {
    let command = Command::from_args()?;
    // The server has threads of its own, and leaves the connection to Redis to this one.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::List => SYSTEMS.iter().for_each(|system| println!("{system}")),
            Command::InProcess(system, patience) => {
                measure_in_process(&system, &Pavex::new(&system, "-").await?, patience).await;
            }
            Command::Instructions(system) => count_instructions(&Pavex::new(&system, "-").await?).await,
            Command::Serve { system, threads, redis } => Pavex::new(&system, &redis).await?.serve(threads).await?,
        }
        Ok(())
    })
}
