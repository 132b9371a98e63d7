//! `cloakroom sessions`: what a store holds, for its administrators.

mod list;
pub(crate) mod migrate;
mod progress;
mod revoke;
mod stats;
mod sweep;
mod target;
mod user;
mod walk;

use std::{
    io::{self, Write as _},
    pin::pin,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use futures_util::future::{Either, select};
use serde::Serialize;
use tokio::runtime::Builder;

use self::target::{StoreArgs, Target};
use crate::signals::Signals;

/// List, end, count and sweep the sessions of a store.
///
/// Records in the native format need no keys; those that are sealed take the ring of the application.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Options),
    Revoke(revoke::Options),
    Stats(stats::Options),
    Sweep(sweep::Options),
}

/// How long the store may take to close.
const CLOSING: Duration = Duration::from_secs(5);
const STOPPED: &str = "stopped; what was done until then is done";

pub(crate) fn run(Options { command }: Options) -> anyhow::Result<ExitCode> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let done = runtime.block_on(start(&command));
    // A name that is still looked up would hold up the end.
    runtime.shutdown_background();
    done
}

async fn start(command: &Command) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::catch()?;
    let target = match select(pin!(Target::open(command.store())), pin!(signals.next())).await {
        Either::Left((target, _)) => target?,
        Either::Right(_) => bail!(STOPPED),
    };
    let done = match select(pin!(command.run(&target)), pin!(signals.next())).await {
        Either::Left((done, _)) => done,
        Either::Right(_) => Err(anyhow::anyhow!(STOPPED)),
    };
    select(pin!(target.store.close()), target.runtime.sleep(CLOSING)).await;
    done
}

impl Command {
    fn store(&self) -> &StoreArgs {
        match self {
            Self::List(options) => &options.store,
            Self::Revoke(options) => &options.store,
            Self::Stats(options) => &options.store,
            Self::Sweep(options) => &options.store,
        }
    }

    async fn run(&self, target: &Target) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(options) => list::run(options, target).await,
            Self::Revoke(options) => revoke::run(options, target).await,
            Self::Stats(options) => stats::run(options, target).await,
            Self::Sweep(options) => sweep::run(options, target).await,
        }
    }
}

/// Writes what a command found or did, for programs or for people.
fn print(target: &Target, json: &impl Serialize, text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match target.json {
        false => out.write_all(text.as_bytes()),
        true => writeln!(out, "{}", serde_json::to_string(json)?),
    }
    .and_then(|()| out.flush())
    .context("cannot write the answer")
}

/// A number with its word: `1 session`, `2 sessions`.
fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
