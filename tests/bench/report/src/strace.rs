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

fn total(summary: &Path) -> anyhow::Result<f64> {
    let text = fs::read_to_string(summary).with_context(|| format!("no summary {}", summary.display()))?;
    calls(&text)
}

/// Returns how many calls a summary has: the fourth of its last line, which begins with its share of the time.
fn calls(summary: &str) -> anyhow::Result<f64> {
    let line = summary.lines().rfind(|line| line.ends_with(" total")).context("a summary ends with its total")?;
    Ok(line.split_whitespace().nth(3).context("a total has calls")?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calls_of_a_summary_are_those_of_its_last_line() -> anyhow::Result<()> {
        let summary = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 98.99    0.016640          20       827       314 futex
  1.01    0.000170           8        20           read
------ ----------- ----------- --------- --------- ----------------
100.00    0.016810          19       847       314 total
";
        assert_eq!(calls(summary)?, 847.0);
        assert!(calls("100.00    0.016640          20       827       314 futex\n").is_err());
        Ok(())
    }
}
