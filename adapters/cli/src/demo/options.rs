//! The options of the demo.

use std::str::FromStr;

use anyhow::bail;
use clap::{Args, ValueEnum};
use humantime::Duration;
use tracing::level_filters::LevelFilter;

use crate::keys::KeySource;

/// The cookie's name where it has no `Secure`, which `__Host-` needs.
pub(crate) const INSECURE_COOKIE: &str = "id";

/// Serve a page, and the same for programs, that show what happens to a session.
///
/// Ends on SIGTERM and Ctrl-C, after it has answered what is under way; for at most 100 s; a second signal
/// ends it at once, with exit code 2.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    pub(super) listen: String,
    /// What runs it.
    #[arg(long, default_value = "tokio")]
    pub(super) runtime: RuntimeName,
    /// Where sessions are kept; there is `memory:`, which ends with the process.
    #[arg(long, value_name = "URL", default_value = "memory:")]
    pub(super) store: StoreUrl,
    /// How long a session lives without a request: 90s, 30m, 8h.
    #[arg(long, value_name = "TIME", default_value = "30m")]
    pub(super) idle: Duration,
    /// How long a session lives in all.
    #[arg(long, value_name = "TIME", default_value = "8h")]
    pub(super) absolute: Duration,
    /// The ring of keys: a file, or env:NAME; by default one is made for this run.
    #[arg(long, value_name = "FILE|env:NAME")]
    pub(super) keys: Option<KeySource>,
    /// Send the cookie without Secure, named `id`: for http on other hosts than localhost.
    ///
    /// Everybody on the network between can then read and plant it.
    #[arg(long)]
    pub(super) insecure_http: bool,
    /// What goes to standard error: off, error, warn, info or debug.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(super) log: LevelFilter,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum RuntimeName {
    Tokio,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum StoreUrl {
    Memory,
}

impl FromStr for StoreUrl {
    type Err = anyhow::Error;

    fn from_str(url: &str) -> anyhow::Result<Self> {
        match url {
            "memory:" => Ok(Self::Memory),
            _ => bail!("there is no such store; there is memory:"),
        }
    }
}
