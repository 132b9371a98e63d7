//! Instructions of a system, all threads of it.

use std::{
    fs,
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
            all.add(&counted.label, &system.name, "instructions", counted.instructions, "1/request");
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
    /// Of the last cache, where caches are simulated.
    pub(crate) misses: Option<f64>,
}

/// Runs a program under callgrind; returns what it counted.
pub(crate) fn count(program: &Path, arguments: &[&str], caches: Caches) -> anyhow::Result<Vec<Counted>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("out");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet", MARK]).arg(format!("--callgrind-out-file={}", file.display()));
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
            let totals = totals(&file.with_extension((number + 1).to_string()))?;
            let instructions = totals.first().context("a dump counts instructions")? / times;
            // Ir Dr Dw, those that miss the first cache, those that miss the last; without the zeros at the end.
            let misses = (caches == Caches::Simulated).then(|| totals.iter().skip(6).sum::<f64>() / times);
            counted.push(Counted { label: label.to_owned(), instructions, misses });
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
            let totals = totals(&file)?;
            drop(folder);
            totals.first().copied().context("a dump counts instructions")
        }),
    })
}

/// Returns what a dump counts, by its columns.
fn totals(dump: &Path) -> anyhow::Result<Vec<f64>> {
    let text = fs::read_to_string(dump).with_context(|| format!("callgrind made no dump {}", dump.display()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    Ok(line.context("a dump says its totals")?.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
}
