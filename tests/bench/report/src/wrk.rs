//! Load by wrk.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::{programs::output, server::Server};

/// What wrk saw.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Seen {
    pub(crate) requests: u64,
    /// How long it took, in microseconds.
    pub(crate) micros: u64,
    /// Latencies, in microseconds.
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    /// Answers with a status of 400 and more.
    pub(crate) refused: u64,
    /// How often a connection broke or timed out.
    pub(crate) broken: u64,
}

impl Seen {
    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / (self.micros as f64 / 1e6)
    }
}

/// Sends requests for a path by so many connections, each with the next of these `Cookie` headers.
pub(crate) fn load(
    server: &Server,
    path: &str,
    cookies: &[String],
    connections: usize,
    seconds: u64,
) -> anyhow::Result<Seen> {
    let folder = tempfile::tempdir()?;
    let [script, list] = ["wrk.lua", "cookies"].map(|name| folder.path().join(name));
    fs::write(&script, include_str!("wrk.lua"))?;
    fs::write(&list, cookies.iter().map(|header| format!("{header}\n")).collect::<String>())?;
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "-s"]).arg(&script);
    let Server { name, url, .. } = server;
    let said = output(command.args([url, "--", path]).arg::<&Path>(&list))?;
    let figures = said.lines().find_map(|line| line.strip_prefix("FIGURES ")).context("wrk tells what it saw")?;
    let seen: Seen = serde_json::from_str(figures)?;
    // Pavex' server drops who connects while 15 wait for each of its two threads; wrk connects again.
    let is_dropped = name.starts_with("pavex") && connections > 30 && seen.broken * 20 <= seen.requests;
    ensure!(seen.requests > 0 && (seen.broken == 0 || is_dropped), "{name}, {path}: {said}");
    Ok(seen)
}
