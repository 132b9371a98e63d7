//! Instructions of a system, all threads of it.

use std::{
    fs, mem,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};

use crate::{
    figures::Figures,
    order::Order,
    programs::{Programs, System},
    runtimes::Counting,
};

/// What the counted programs call where a dump is to be made.
const MARK: &str = "--dump-before=bench_kit::measure::mark";

/// 32 MB, whatever the machine has: so that it can be repeated.
const LAST_CACHE: &str = "--LL=33554432,16,64";

pub(crate) fn measure(programs: &Programs, order: &mut Order, figures: &mut Figures) -> anyhow::Result<()> {
    let mut systems = programs.in_process();
    order.shuffle(&mut systems);
    let mut all = Figures::default();
    for system in &systems {
        eprintln!("instructions: {}", system.name);
        for counted in count(&system.program, &["instructions", &system.name], Caches::Left)? {
            let mut add = |metric, value| all.add(&counted.label, &system.name, metric, value, "1/request");
            add("instructions", counted.instructions);
            add("instructions of SHA-256", counted.of_sha256);
        }
    }
    figures.add_medians(all);
    Ok(())
}

/// Whether the processor's caches are simulated, which takes twice as long.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Caches {
    Left,
    Simulated,
}

/// What was counted, each time it was done.
pub(crate) struct Counted {
    pub(crate) label: String,
    pub(crate) instructions: f64,
    /// Those of the `sha2` crate's blocks, for which processors have instructions that valgrind has not.
    pub(crate) of_sha256: f64,
    /// Of the last cache, where caches are simulated.
    pub(crate) misses: Option<f64>,
}

/// Runs a program under callgrind; returns what it counted.
pub(crate) fn count(program: &Path, arguments: &[&str], caches: Caches) -> anyhow::Result<Vec<Counted>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("out");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet", "--compress-strings=no", MARK]);
    command.arg(format!("--callgrind-out-file={}", file.display()));
    if caches == Caches::Simulated {
        command.args(["--cache-sim=yes", LAST_CACHE]);
    }
    let output = command.arg(program).args(arguments).stderr(Stdio::piped()).output().context("valgrind")?;
    ensure!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    let labels = String::from_utf8(output.stdout)?;
    let mut counted = Vec::new();
    for (number, line) in labels.lines().enumerate() {
        let (label, times) = line.split_once('\t').with_context(|| format!("not a label: {line:?}"))?;
        let times: f64 = times.parse()?;
        if times > 0.0 {
            let dump = read(&file.with_extension((number + 1).to_string()))?;
            let totals = totals(&dump)?;
            let of_sha256 = of_sha256(&dump)? / times;
            let instructions = totals.first().context("a dump counts instructions")? / times;
            // Ir Dr Dw, those that miss the first cache, those that miss the last; without the zeros at the end.
            let misses = (caches == Caches::Simulated).then(|| totals.iter().skip(6).sum::<f64>() / times);
            counted.push(Counted { label: label.to_owned(), instructions, of_sha256, misses });
        }
    }
    Ok(counted)
}

/// Returns what counts the instructions of a program, until it ends.
pub(crate) fn counting(system: &System) -> anyhow::Result<Counting> {
    let folder = tempfile::tempdir()?;
    let [file, log] = ["out", "log"].map(|name| folder.path().join(name));
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet"]).arg(format!("--callgrind-out-file={}", file.display()));
    // It warns of system calls that it does not know, and the program goes on without.
    command.arg(format!("--log-file={}", log.display())).arg(&system.program);
    Ok(Counting {
        command,
        counted: Box::new(move || {
            let totals = totals(&read(&file)?)?;
            drop(folder);
            totals.first().copied().context("a dump counts instructions")
        }),
    })
}

fn read(dump: &Path) -> anyhow::Result<String> {
    fs::read_to_string(dump).with_context(|| format!("callgrind made no dump {}", dump.display()))
}

/// Returns what a dump counts, by its columns.
fn totals(dump: &str) -> anyhow::Result<Vec<f64>> {
    let line = dump.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    Ok(line.context("a dump says its totals")?.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
}

/// Returns how many instructions of a dump are of SHA-256's blocks.
fn of_sha256(dump: &str) -> anyhow::Result<f64> {
    let (mut is_meant, mut is_of_callee, mut sum) = (false, false, 0.0);
    for line in dump.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            is_meant = name.starts_with("sha2::sha256::");
        } else if line.starts_with("calls=") {
            is_of_callee = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            // A line of the source, and what it took; after a call, what the function took that was called.
            if !mem::take(&mut is_of_callee) && is_meant {
                sum += line.split_whitespace().nth(1).map_or(Ok(0.0), str::parse)?;
            }
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "events: Ir\n\nfl=a.rs\nfn=core::main\n1 5\ncfn=sha2::sha256::compress256\ncalls=2 7\n+3 90\n* 4\n\n\
                        fn=sha2::sha256::compress256\n7 60\nfi=b.rs\n+1 25\ncfn=memcpy\ncalls=1 1\n* 5\n\nfn=memcpy\n1 5\n\
                        totals: 99\n";

    #[test]
    fn what_sha_256_takes_is_told_apart_from_what_it_calls_and_who_calls_it() -> anyhow::Result<()> {
        assert_eq!((of_sha256(DUMP)?, totals(DUMP)?), (85.0, vec![99.0]));
        Ok(())
    }
}
