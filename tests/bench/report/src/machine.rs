//! What was measured, and on what.

use std::{fs, process::Command};

use crate::{figures::Figures, order::Order};

/// Crates whose versions matter to who compares.
const CRATES: [&str; 23] = [
    "actix-session",
    "actix-web",
    "async-session",
    "async-std",
    "axum",
    "axum_session",
    "axum_session_redispool",
    "cloakroom-tower",
    "fred",
    "hyper",
    "pavex",
    "pavex_session",
    "pavex_session_redis",
    "poem",
    "redb",
    "redis",
    "salvo",
    "salvo-session",
    "smol",
    "tide",
    "tokio",
    "tower-sessions",
    "tower-sessions-redis-store",
];
/// What the programs are built of.
const LOCKS: [&str; 2] = [include_str!("../../Cargo.lock"), include_str!("../../systems/pavex/Cargo.lock")];
/// What else takes part, and how each tells its version.
const PROGRAMS: [(&str, &str); 7] = [
    ("git", "describe --always --dirty --abbrev=12"),
    ("redis-server", "--version"),
    ("rustc", "--version"),
    ("strace", "--version"),
    ("uname", "-srm"),
    ("valgrind", "--version"),
    ("wrk", "-v"),
];

/// Adds what the machine has, and a figure for each version, which stands in place of its metric.
pub(crate) fn describe(figures: &mut Figures, order: &Order) {
    figures.add("machine", "order", "seed", order.seed as f64, "seed");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    figures.add("machine", &processor(), "cores", cores as f64, "cores");
    for name in CRATES {
        let mut versions: Vec<&str> = LOCKS.into_iter().flat_map(|lock| versions(lock, name)).collect();
        versions.sort_unstable();
        versions.dedup();
        versions.into_iter().for_each(|version| figures.add("versions", name, version, 1.0, "version"));
    }
    for (program, asks) in PROGRAMS {
        let said = Command::new(program).args(asks.split(' ')).output().map(|output| output.stdout).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        figures.add("versions", program, said.lines().next().unwrap_or("unknown").trim(), 1.0, "version");
    }
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or("unknown processor", |(_, name)| name).to_owned()
}

/// Returns the versions of a crate that a lock file has.
fn versions<'a>(lock: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let line = format!("name = \"{name}\"\nversion = \"");
    let places: Vec<_> = lock.match_indices(&line).map(|(at, found)| at + found.len()).collect();
    places.into_iter().filter_map(|at| lock[at..].split('"').next())
}
