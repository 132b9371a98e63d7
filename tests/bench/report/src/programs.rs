//! The programs that are measured, and which systems each has.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

/// Where each program is.
#[derive(Debug)]
pub(crate) struct Programs {
    folders: Vec<PathBuf>,
    systems: Vec<System>,
}

/// A system, and the program that has it.
#[derive(Clone, Debug)]
pub(crate) struct System {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
}

/// Those that have systems as `bench-kit` says.
const WITH_SYSTEMS: [&str; 7] =
    ["bench-actix", "bench-axum", "bench-others", "bench-parts", "bench-pavex", "bench-runtimes", "bench-tide"];

impl Programs {
    pub(crate) fn find(folders: &[PathBuf]) -> anyhow::Result<Self> {
        let mut programs = Self { folders: folders.to_vec(), systems: Vec::new() };
        for name in WITH_SYSTEMS {
            let program = programs.path(name)?;
            let names = output(Command::new(&program).arg("list"))?;
            programs
                .systems
                .extend(names.lines().map(|name| System { name: name.to_owned(), program: program.clone() }));
        }
        Ok(programs)
    }

    /// Returns where a program is.
    pub(crate) fn path(&self, name: &str) -> anyhow::Result<PathBuf> {
        let there = self.folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
        there.with_context(|| format!("{name} is not built; tests/bench/run builds it"))
    }

    /// Returns the systems that are measured in process.
    pub(crate) fn in_process(&self) -> Vec<System> {
        let is_one = |system: &&System| !system.name.contains("redis") && !system.is_of("bench-runtimes");
        self.systems.iter().filter(is_one).cloned().collect()
    }

    /// Returns those whose sessions are in Redis, on one runtime each.
    pub(crate) fn with_redis(&self) -> Vec<System> {
        let is_one = |system: &&System| system.name.contains("redis") && !system.is_of("bench-runtimes");
        self.systems.iter().filter(is_one).cloned().collect()
    }

    /// Returns their frameworks, without sessions.
    pub(crate) fn bare(&self) -> Vec<System> {
        let is_one = |system: &&System| ["actix", "axum", "pavex", "poem"].contains(&&*system.name);
        self.systems.iter().filter(is_one).cloned().collect()
    }

    /// Returns the servers on each runtime.
    pub(crate) fn on_runtimes(&self) -> Vec<System> {
        self.systems.iter().filter(|system| system.is_of("bench-runtimes")).cloned().collect()
    }
}

impl System {
    fn is_of(&self, program: &str) -> bool {
        self.program.file_name().is_some_and(|name| name == Path::new(program))
    }
}

/// Runs a program that ends by itself, and returns what it printed.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {said}");
    Ok(String::from_utf8(output.stdout)?)
}
