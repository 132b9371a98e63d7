//! Over loopback on each runtime: a bare handler, ours in memory and in Redis, Redis by hand.

use crate::{figures::Figures, load::rounds, order::Order, programs::Programs};

pub(crate) fn measure(
    programs: &Programs,
    order: &mut Order,
    quick: bool,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let cells: &[_] = if quick { &[("read", 16)] } else { &[("read", 16), ("change", 16)] };
    let (times, seconds) = if quick { (3, 1) } else { (7, 3) };
    rounds(&[(programs.on_runtimes(), cells.to_vec())], times, seconds, order, figures)
}
