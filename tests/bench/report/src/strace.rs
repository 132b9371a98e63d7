//! System calls of a server, all threads of it.

use std::{fs, path::Path, process::Command};

use anyhow::Context as _;

use crate::{programs::System, runtimes::Counting};

/// Returns what counts the system calls of a program.
pub(crate) fn counting(system: &System) -> anyhow::Result<Counting> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("out");
    let mut command = Command::new("strace");
    command.args(["--follow-forks", "--summary-only", "--quiet=all", "--output"]).arg(&file).arg(&system.program);
    Ok(Counting {
        command,
        counted: Box::new(move || {
            let calls = total(&file);
            drop(folder);
            calls
        }),
    })
}

/// Returns how many calls a summary has: the fourth of the last line, which begins with its share of the time.
fn total(summary: &Path) -> anyhow::Result<f64> {
    let text = fs::read_to_string(summary).with_context(|| format!("no summary {}", summary.display()))?;
    let line = text.lines().rfind(|line| line.ends_with(" total")).context("a summary ends with its total")?;
    Ok(line.split_whitespace().nth(3).context("a total has calls")?.parse()?)
}
