//! actix-web, with and without actix-session.

mod actix;
mod store;

use bench_kit::{Command, count_instructions, measure_in_process};

use crate::actix::{Actix, SYSTEMS};

fn main() -> anyhow::Result<()> {
    let command = Command::from_args()?;
    actix_web::rt::System::new().block_on(async {
        match command {
            Command::List => SYSTEMS.iter().for_each(|system| println!("{system}")),
            Command::InProcess(system, patience) => match &*system {
                "actix" => measure_in_process(&system, &Actix(actix::bare().await), patience).await,
                "actix-session" => measure_in_process(&system, &Actix(actix::session().await), patience).await,
                other => anyhow::bail!("{other} is not measured in process"),
            },
            Command::Instructions(system) => match &*system {
                "actix" => count_instructions(&Actix(actix::bare().await)).await,
                "actix-session" => count_instructions(&Actix(actix::session().await)).await,
                other => anyhow::bail!("{other} is not measured in process"),
            },
            Command::Serve { system, threads, redis } => actix::serve(&system, threads, &redis).await?,
        }
        Ok(())
    })
}
