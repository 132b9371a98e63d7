//! By how many sessions there are.

use std::process::Command;

use crate::{
    callgrind::{Caches, Counted, count},
    figures::Figures,
    programs::{Programs, output},
};

pub(crate) fn measure(programs: &Programs, quick: bool, figures: &mut Figures) -> anyhow::Result<()> {
    let program = programs.path("bench-scale")?;
    let stores = ["memory", "redb", "redis", "redis-durable"];
    for store in &stores[..if quick { 3 } else { 4 }] {
        let sizes: &[&str] = match (quick, *store) {
            (true, "memory") => &["1000", "1000000"],
            (true, _) => &["1000", "20000"],
            (false, "redis-durable") => &["1000", "10000", "100000"],
            (false, _) => &["1000", "10000", "100000", "1000000"],
        };
        eprintln!("scale: {store}");
        figures.add_lines(&output(Command::new(&program).args(["census", store]).args(sizes))?)?;
    }
    for store in &stores[..3] {
        let sizes: &[&str] = if quick { &["1", "100"] } else { &["1", "100", "10000"] };
        eprintln!("end of all sessions: {store}");
        figures.add_lines(&output(Command::new(&program).args(["ends", store]).args(sizes))?)?;
    }
    // To fill a million under valgrind takes half a minute.
    let sizes: &[&str] = if quick { &["1000"] } else { &["1000", "1000000"] };
    for sessions in sizes {
        eprintln!("instructions of operations in memory: {sessions} sessions");
        let caches = if quick { Caches::Left } else { Caches::Simulated };
        for Counted { label, instructions, misses, .. } in count(&program, &["instructions", sessions], caches)? {
            let mut add = |what: &str, value| {
                figures.add(&format!("{sessions} sessions"), "memory", &format!("{what} of {label}"), value, "1");
            };
            add("instructions", instructions);
            if let Some(misses) = misses {
                add("cache misses", misses);
            }
        }
    }
    Ok(())
}
