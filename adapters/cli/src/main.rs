//! Cloakroom's tool: makes keys, says what a token is worth, and serves a demo.

#![forbid(unsafe_code)]

mod demo;
mod inspect;
mod keygen;
mod keys;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Web sessions for Rust servers: keys, tokens and a demo.
#[derive(Debug, Parser)]
#[command(name = "cloakroom", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Options),
    Inspect(inspect::Options),
    Keygen(keygen::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Demo(options) => demo::run(options).map(|()| ExitCode::SUCCESS),
        Command::Inspect(options) => inspect::run(options),
        Command::Keygen(options) => keygen::run(options).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        // 1 is the answer of `inspect` to a token that is refused.
        ExitCode::from(2)
    })
}
