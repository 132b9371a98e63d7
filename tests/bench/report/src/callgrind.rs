//! Instructions of each system, in process, all threads of it.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};

use crate::{figures::Figures, order::Order, programs::Programs};

/// What the counted programs call where a dump is to be made.
const MARK: &str = "--dump-before=bench_kit::measure::mark";

pub(crate) fn measure(programs: &Programs, order: &mut Order, figures: &mut Figures) -> anyhow::Result<()> {
    let mut systems = programs.in_process();
    order.shuffle(&mut systems);
    let mut all = Figures::default();
    for system in &systems {
        eprintln!("instructions: {}", system.name);
        for (bench, each) in count(&system.program, &["instructions", &system.name])? {
            all.add(&bench, &system.name, "instructions", each, "1/request");
        }
    }
    figures.add_medians(all);
    Ok(())
}

/// Runs a program under callgrind; returns what was counted, and the instructions of each time it was done.
pub(crate) fn count(program: &Path, arguments: &[&str]) -> anyhow::Result<Vec<(String, f64)>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("out");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet", MARK]).arg(format!("--callgrind-out-file={}", file.display()));
    let output = command.arg(program).args(arguments).stderr(Stdio::piped()).output().context("valgrind")?;
    ensure!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    let labels = String::from_utf8(output.stdout)?;
    let mut counted = Vec::new();
    for (number, line) in labels.lines().enumerate() {
        let (label, times) = line.split_once('\t').with_context(|| format!("not a label: {line:?}"))?;
        let times: f64 = times.parse()?;
        if times > 0.0 {
            let dump = file.with_extension((number + 1).to_string());
            counted.push((label.to_owned(), total(&dump)? / times));
        }
    }
    Ok(counted)
}

/// Returns how many instructions a dump counts.
fn total(dump: &Path) -> anyhow::Result<f64> {
    let text = fs::read_to_string(dump).with_context(|| format!("no dump {}: was {MARK} heeded?", dump.display()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    Ok(line.context("a dump says its totals")?.trim().parse()?)
}
