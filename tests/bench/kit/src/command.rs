//! The command line of a program that measures.

use std::{
    env,
    io::{Read as _, Write as _},
    net::SocketAddr,
    process, thread,
    time::Duration,
};

use anyhow::{Context as _, bail};

/// What a program is asked to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command {
    /// Print the names of its systems.
    List,
    /// Measure a system in process: time, for so long each scenario, and allocations.
    InProcess(String, Duration),
    /// Run a system in process under callgrind.
    Instructions(String),
    /// Serve a system over loopback.
    Serve {
        /// Its name.
        system: String,
        /// How many threads answer.
        threads: usize,
        /// `redis://127.0.0.1:PORT`, or `-` for a system without Redis.
        redis: String,
    },
}

impl Command {
    /// Reads the arguments of the process.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn from_args() -> anyhow::Result<Self> {
        let arguments: Vec<String> = env::args().skip(1).collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        Ok(match arguments[..] {
            ["list"] => Self::List,
            ["in-process", system, millis] => {
                Self::InProcess(system.to_owned(), Duration::from_millis(millis.parse().context("milliseconds")?))
            }
            ["instructions", system] => Self::Instructions(system.to_owned()),
            ["serve", system, threads, redis] => Self::Serve {
                system: system.to_owned(),
                threads: threads.parse().context("how many threads")?,
                redis: redis.to_owned(),
            },
            _ => bail!("list | in-process SYSTEM MILLIS | instructions SYSTEM | serve SYSTEM THREADS REDIS"),
        })
    }
}

/// Says where a server listens. The process ends with its standard input from then on.
///
/// # Errors
///
/// Where nobody hears it.
pub fn announce(address: SocketAddr) -> anyhow::Result<()> {
    println!("http://{address}");
    std::io::stdout().flush()?;
    thread::spawn(|| {
        until_input_ends();
        process::exit(0);
    });
    Ok(())
}

/// Returns when the standard input ends: whoever started the server is gone, or done with it. It blocks.
pub fn until_input_ends() {
    let mut ignored = Vec::new();
    // An input that cannot be read has ended.
    let _ = std::io::stdin().read_to_end(&mut ignored);
}
