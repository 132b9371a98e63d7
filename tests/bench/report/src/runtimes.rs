//! Over loopback on each runtime: a bare handler, one with other work, ours in memory and in Redis, Redis by hand.

use std::process::Command;

use anyhow::ensure;

use crate::{
    callgrind,
    figures::Figures,
    load::{CONNECTIONS, Running, VISITS, bench},
    order::Order,
    programs::{Programs, System},
    server::Server,
    strace,
    wrk::load,
};

pub(crate) const RUNTIMES: [&str; 3] = ["tokio", "smol", "async-std"];
/// Work that has nothing to do with sessions.
const CONTROL: &str = "-work";
/// What is measured on each, and added to the first.
const KINDS: [&str; 5] = ["", "-cloakroom", "-cloakroom-redis", "-redis-by-hand", CONTROL];

/// How many connections load what a tool counts.
pub(crate) const COUNTED_BY: usize = 16;

pub(crate) fn measure(
    programs: &Programs,
    order: &mut Order,
    quick: bool,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let systems = programs.on_runtimes();
    loaded(&systems, order, quick, figures)?;
    if quick { Ok(()) } else { counted(&systems, figures) }
}

/// Loads all of a runtime one after the other, so that what one adds to the bare handler is of one moment.
fn loaded(systems: &[System], order: &mut Order, quick: bool, figures: &mut Figures) -> anyhow::Result<()> {
    let (visits, connections) = if quick { (&VISITS[..1], &[16][..]) } else { (&VISITS[..], &CONNECTIONS[..]) };
    let (rounds, seconds) = if quick { (3, 1) } else { (5, 2) };
    let running = Running::start(systems)?;
    let mut turns: Vec<_> = RUNTIMES
        .into_iter()
        .flat_map(|runtime| visits.iter().map(move |&visit| (runtime, visit)))
        .flat_map(|(runtime, visit)| connections.iter().map(move |&connections| (runtime, visit, connections)))
        .collect();
    let mut kinds = KINDS[..if quick { KINDS.len() - 1 } else { KINDS.len() }].to_vec();
    let mut all = Figures::default();
    for round in 1..=rounds {
        eprintln!("on each runtime, round {round} of {rounds}");
        order.shuffle(&mut turns);
        for &(runtime, visit, connections) in &turns {
            let mut seen = Figures::default();
            order.shuffle(&mut kinds);
            for kind in &kinds {
                running.load(&format!("{runtime}{kind}"), visit, connections, seconds, &mut seen)?;
            }
            let bench = bench(visit, connections);
            let taken = |system: &str| seen.find(&bench, system, "server processor time").unwrap_or(f64::NAN);
            for kind in kinds.iter().filter(|kind| !kind.is_empty()) {
                let system = format!("{runtime}{kind}");
                let adds = taken(&system) - taken(runtime);
                all.add(&bench, &system, "server processor time added", adds, "us/request");
            }
            all.append(seen);
        }
    }
    figures.add_medians(all);
    Ok(())
}

/// Counts instructions and system calls of what has no store to wait for: a tool that slows the server down changes how much
/// of a store's answers comes at once.
fn counted(systems: &[System], figures: &mut Figures) -> anyhow::Result<()> {
    type Tool = fn(&System) -> anyhow::Result<Counting>;
    let tools: [(_, Tool); 2] = [("instructions", callgrind::counting), ("system calls", strace::counting)];
    for visit in VISITS {
        let is_counted = |system: &&System| !system.name.contains("redis") && !system.name.ends_with(CONTROL);
        for system in systems.iter().filter(is_counted) {
            for (metric, tool) in tools {
                let bench = bench(visit, COUNTED_BY);
                eprintln!("{bench}, {metric}: {}", system.name);
                let idle = count(tool(system)?, system, visit, 0)?;
                let busy = count(tool(system)?, system, visit, 3)?;
                let each = (busy.counted - idle.counted) / busy.requests;
                figures.add(&bench, &system.name, metric, each, "1/request");
            }
        }
    }
    Ok(())
}

/// A command that counts what the program does that it runs, and how what it counted is read when that has ended.
pub(crate) struct Counting {
    pub(crate) command: Command,
    pub(crate) counted: Box<dyn FnOnce() -> anyhow::Result<f64>>,
}

struct Counted {
    counted: f64,
    requests: f64,
}

/// Counts what a server does from its start to its end, loaded for so many seconds in between.
fn count(tool: Counting, system: &System, visit: &str, seconds: u64) -> anyhow::Result<Counted> {
    const SESSIONS: usize = 20;
    let server = Server::start_by(tool.command, system, "-")?;
    let cookies = server.sessions(SESSIONS)?;
    let requests = match seconds {
        0 => 0,
        seconds => {
            let seen = load(&server, &format!("/{visit}"), &cookies, COUNTED_BY, seconds)?;
            ensure!(seen.refused == 0, "{} refused {} of {} requests", server.name, seen.refused, seen.requests);
            seen.requests
        }
    };
    server.stop()?;
    Ok(Counted { counted: (tool.counted)()?, requests: requests as f64 })
}
