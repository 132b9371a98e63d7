//! Time and allocations of each system, in process.

use std::process::Command;

use crate::{
    figures::Figures,
    order::Order,
    programs::{Programs, output},
};

pub(crate) fn measure(
    programs: &Programs,
    order: &mut Order,
    quick: bool,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let (rounds, millis) = if quick { (2, "10") } else { (7, "100") };
    let mut systems = programs.in_process();
    let mut all = Figures::default();
    for round in 1..=rounds {
        order.shuffle(&mut systems);
        for system in &systems {
            eprintln!("in process, round {round} of {rounds}: {}", system.name);
            all.add_lines(&output(Command::new(&system.program).args(["in-process", &system.name, millis]))?)?;
        }
    }
    figures.add_lowest_times(all);
    Ok(())
}
