//! Cloakroom's tool: makes keys, says what a token is worth, lists, ends and moves sessions, compacts files of them, serves
//! stores over HTTP, and a demo.

#![forbid(unsafe_code)]

mod compact;
mod demo;
mod holder;
mod inspect;
mod keygen;
mod keys;
mod open_store;
mod serve;
mod sessions;
mod signals;
mod store_url;

use std::process::ExitCode;

use clap::{
    Parser, Subcommand,
    error::{ContextKind, ContextValue},
};

/// Web sessions for Rust servers: keys, tokens, sessions in their stores, a session service, and a demo.
#[derive(Debug, Parser)]
#[command(name = "cloakroom", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Compact(compact::Options),
    Demo(demo::Options),
    Inspect(inspect::Options),
    Keygen(keygen::Options),
    Migrate(sessions::migrate::Options),
    Serve(serve::Options),
    Sessions(sessions::Options),
}

fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| discreet(error).exit());
    let result = match cli.command {
        Command::Compact(options) => compact::run(options).map(|()| ExitCode::SUCCESS),
        Command::Demo(options) => demo::run(options).map(|()| ExitCode::SUCCESS),
        Command::Inspect(options) => inspect::run(options),
        Command::Keygen(options) => keygen::run(options).map(|()| ExitCode::SUCCESS),
        Command::Migrate(options) => sessions::migrate::run(options),
        Command::Serve(options) => serve::run(options).map(|()| ExitCode::SUCCESS),
        Command::Sessions(options) => sessions::run(options),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        // 1 is the answer of `inspect` to a token that is refused, and of `sessions revoke` to a handle that it does not know,
        // and of `migrate` where something is left.
        ExitCode::from(2)
    })
}

/// Takes out of an error what it quotes of the command line and may hold a password: a URL in the wrong place.
fn discreet(mut error: clap::Error) -> clap::Error {
    const HIDDEN: &str = "(a URL)";
    let quotes: Vec<ContextKind> = error.context().filter(|(_, value)| has_url(value)).map(|(kind, _)| kind).collect();
    for kind in quotes {
        error.insert(kind, ContextValue::String(HIDDEN.to_owned()));
    }
    error
}

fn has_url(value: &ContextValue) -> bool {
    let is_url = |text: &String| text.contains("://") || text.contains('@');
    match value {
        ContextValue::String(text) => is_url(text),
        ContextValue::Strings(texts) => texts.iter().any(is_url),
        _ => false,
    }
}
