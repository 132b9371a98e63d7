//! Runs every measure in turn, the order shuffled in each round, and tells what came of it.
//!
//! `tests/bench/run` builds what is measured and starts this.

mod callgrind;
mod crowd;
mod figures;
mod goals;
mod in_process;
mod load;
mod machine;
mod order;
mod plots;
mod programs;
mod runtimes;
mod scale;
mod server;
mod strace;
mod table;
mod wrk;

use std::{fs, path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};

use self::{figures::Figures, order::Order, programs::Programs};

/// Measures Cloakroom and its peers in one run.
#[derive(Debug, Parser)]
struct Options {
    /// Fewer rounds and sizes: under five minutes after the build
    #[arg(long)]
    quick: bool,
    /// Print each goal with its ratio of this run, and fail when one is missed
    #[arg(long)]
    check: bool,
    /// What to measure, all of it by default
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Look at the figures of an earlier run, and measure nothing
    #[arg(long)]
    of: Option<PathBuf>,
    /// Where the figures and plots go
    #[arg(long)]
    out: PathBuf,
    /// Folders of the programs that are measured
    #[arg(long, required = true)]
    programs: Vec<PathBuf>,
    /// Where the order comes from; drawn, and printed, if it is not given
    #[arg(long)]
    seed: Option<u64>,
    /// Look at the options alone
    #[arg(long, hide = true)]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Part {
    /// Time and allocations, in process
    InProcess,
    /// Instructions, in process
    Instructions,
    /// Over loopback with real Redis
    Load,
    /// Over loopback on each runtime
    Runtimes,
    /// Many clients on one session, and on many
    Crowd,
    /// By how many sessions there are
    Scale,
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    if options.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    fs::create_dir_all(&options.out)?;
    let figures = match &options.of {
        Some(earlier) => Figures::read(earlier)?,
        None => {
            let figures = measure(&options)?;
            figures.write(&options.out.join("figures.json"))?;
            figures
        }
    };
    table::print(&figures);
    plots::draw_all(&figures, &options.out)?;
    println!("\nfigures and plots: {}", options.out.display());
    let are_met = goals::print(&figures, !options.quick && options.only.is_empty());
    Ok(if options.check && !are_met { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn measure(options: &Options) -> anyhow::Result<Figures> {
    let is_asked = |part| options.only.is_empty() || options.only.contains(&part);
    let programs = Programs::find(&options.programs)?;
    let mut order = Order::new(options.seed);
    let mut figures = Figures::default();
    machine::describe(&mut figures, &order);
    if is_asked(Part::InProcess) {
        in_process::measure(&programs, &mut order, options.quick, &mut figures)?;
    }
    if is_asked(Part::Instructions) {
        callgrind::measure(&programs, &mut order, &mut figures)?;
    }
    if is_asked(Part::Load) {
        load::measure(&programs, &mut order, options.quick, &mut figures)?;
    }
    if is_asked(Part::Runtimes) {
        runtimes::measure(&programs, &mut order, options.quick, &mut figures)?;
    }
    if is_asked(Part::Crowd) {
        crowd::measure(&programs, &mut order, options.quick, &mut figures)?;
    }
    if is_asked(Part::Scale) {
        scale::measure(&programs, options.quick, &mut figures)?;
    }
    Ok(figures)
}
