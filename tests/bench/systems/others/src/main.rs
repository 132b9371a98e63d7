//! poem, salvo and tide, each with and without its sessions.

mod poem;
mod salvo;
mod tide;

use std::{future::Future, io::Write as _, net::SocketAddr, process, thread};

use bench_kit::{App, Command, count_instructions, measure_in_process, until_input_ends};

fn main() -> anyhow::Result<()> {
    match Command::from_args()? {
        Command::List => [&poem::SYSTEMS[..], &salvo::SYSTEMS, &tide::SYSTEMS]
            .concat()
            .iter()
            .for_each(|system| println!("{system}")),
        Command::InProcess(system, _) | Command::Instructions(system) if system.ends_with("-redis") => {
            anyhow::bail!("{system} is not measured in process")
        }
        command => match framework(&command) {
            "poem" => poem::run(command)?,
            "salvo" => salvo::run(command)?,
            "tide" => tide::run(command)?,
            _ => anyhow::bail!("there is no such system: {command:?}"),
        },
    }
    Ok(())
}

fn framework(command: &Command) -> &str {
    let (Command::InProcess(system, _) | Command::Instructions(system) | Command::Serve { system, .. }) = command
    else {
        return "";
    };
    system.split('-').next().unwrap_or_default()
}

/// Measures what can be measured in process.
async fn measure<A: App>(command: &Command, app: impl Future<Output = A>) {
    let app = app.await;
    match command {
        Command::InProcess(system, patience) => measure_in_process(system, &app, *patience).await,
        Command::Instructions(_) => count_instructions(&app).await,
        Command::List | Command::Serve { .. } => {}
    }
}

/// Says where a server listens; the process ends with the standard input.
fn announce(address: SocketAddr) -> anyhow::Result<()> {
    println!("http://{address}");
    std::io::stdout().flush()?;
    thread::spawn(|| {
        until_input_ends();
        process::exit(0);
    });
    Ok(())
}
