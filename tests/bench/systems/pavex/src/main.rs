//! pavex_session by itself: what its components do for a request, called in the order in which the code that Pavex
//! generates would call them. There is no router, no server, and no middleware but its own.

mod pavex;

use bench_kit::{Command, count_instructions, measure_in_process};

use crate::pavex::{Pavex, SYSTEMS};

fn main() -> anyhow::Result<()> {
    let command = Command::from_args()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::List => SYSTEMS.iter().for_each(|system| println!("{system}")),
            Command::InProcess(system, patience) => {
                measure_in_process(&system, &Pavex::new(&system)?, patience).await;
            }
            Command::Instructions(system) => count_instructions(&Pavex::new(&system)?).await,
            Command::Serve { system, .. } => anyhow::bail!("{system} has no server: Pavex generates it"),
        }
        Ok(())
    })
}
