//! The table: of each bench, what was measured of each system.

use std::collections::BTreeSet;

use bench_kit::Figure;

use crate::figures::{Figures, is_spread};

/// Prints a table in Markdown for each bench.
pub(crate) fn print(figures: &Figures) {
    for bench in figures.benches() {
        let is_shown = |figure: &&Figure| figure.bench == bench && !is_spread(&figure.metric);
        let of_bench: Vec<_> = figures.iter().filter(is_shown).collect();
        let mut seen = BTreeSet::new();
        if bench == "versions" {
            println!("\n## {bench}\n");
            of_bench.iter().for_each(|figure| println!("* {} {}", figure.system, figure.metric));
            continue;
        }
        let columns: Vec<_> = of_bench.iter().filter(|figure| seen.insert((&figure.metric, &figure.unit))).collect();
        let mut seen = BTreeSet::new();
        let mut rows: Vec<_> = of_bench.iter().filter(|figure| seen.insert(&figure.system)).collect();
        // Not by the turns that they took.
        rows.sort_by_key(|row| &row.system);
        let width = rows.iter().map(|row| row.system.len()).max().unwrap_or(0);
        println!("\n## {bench}\n");
        let heads: Vec<_> = columns.iter().map(|column| format!("{} ({})", column.metric, column.unit)).collect();
        println!("| {:width$} | {} |", "", heads.join(" | "));
        println!(
            "|{}|{}|",
            "-".repeat(width + 2),
            heads.iter().map(|head| "-".repeat(head.len() + 1) + ":").collect::<Vec<_>>().join("|")
        );
        for row in rows {
            let cells = columns.iter().zip(&heads).map(|(column, head)| {
                let value = figures.find(bench, &row.system, &column.metric);
                format!("{:>width$}", value.map(shown).unwrap_or_default(), width = head.len())
            });
            println!("| {:width$} | {} |", row.system, cells.collect::<Vec<_>>().join(" | "));
        }
    }
}

/// Three digits, and no more than there are.
pub(crate) fn shown(value: f64) -> String {
    match value.abs() {
        small if small < 10.0 => format!("{value:.2}"),
        small if small < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
