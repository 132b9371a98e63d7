//! The goals, as ratios within one run.

use crate::{
    figures::Figures,
    load::{CONNECTIONS, VISITS, bench},
    runtimes::{COUNTED_BY, RUNTIMES},
};

/// The start of the names of the benches in process.
const FEW: &str = "6 foreign cookies";
const LAYER: &str = "axum-layer";
const OURS: &str = "cloakroom";
const SIGNED: &str = "tower-sessions-signed";
const BYTES: &str = "tower-sessions-bytes-signed";

/// A ratio of times is a tie so near to its limit: another run may say otherwise.
const NEAR: f64 = 0.1;

/// A goal, and what this run has of it.
struct Goal {
    name: String,
    is: f64,
    at_most: f64,
}

/// Prints each goal with what this run has; returns whether there are any, and all are met. What was not measured is met by no
/// run that `is_whole`.
pub(crate) fn print(figures: &Figures, is_whole: bool) -> bool {
    println!("\n## goals\n");
    let mut are_met = true;
    let (mut counts, mut ties) = ([0; 3], 0);
    for Goal { name, is, at_most } in all(figures) {
        // What was not measured is not a number, and compares with nothing.
        let is_met = is <= at_most;
        are_met &= is_met || is.is_nan() && !is_whole;
        let (state, says) = match () {
            () if is_met => (0, "met   "),
            () if is.is_nan() => (1, "absent"),
            () => (2, "MISSED"),
        };
        counts[state] += 1;
        let is_of_time = name.contains("time") || name.contains("requests of");
        ties += usize::from(is_of_time && (is / at_most - 1.0).abs() < NEAR);
        let is = if is.is_nan() { "-".to_owned() } else { format!("{is:.3}") };
        println!("{says} {is} of at most {at_most:.2}: {name}");
    }
    let [met, absent, missed] = counts;
    let near = NEAR * 100.0;
    println!(
        "\n{met} goals are met, {missed} missed, {absent} absent; {ties} ratios of times are within {near:.0} % of their limit"
    );
    if met + missed == 0 {
        println!("nothing that was measured has a goal");
        return false;
    }
    are_met
}

fn all(figures: &Figures) -> Vec<Goal> {
    let mut goals = Vec::new();
    in_process(figures, &mut goals);
    core(figures, &mut goals);
    large(figures, &mut goals);
    redis(figures, &mut goals);
    memory(figures, &mut goals);
    runtimes(figures, &mut goals);
    goals
}

fn value(figures: &Figures, bench: &str, system: &str, metric: &str) -> f64 {
    figures.find(bench, system, metric).unwrap_or(f64::NAN)
}

/// What sessions add to the same framework without.
fn added(figures: &Figures, bench: &str, system: &str, floor: &str, metric: &str) -> f64 {
    value(figures, bench, system, metric) - value(figures, bench, floor, metric)
}

fn in_process(figures: &Figures, goals: &mut Vec<Goal>) {
    let untouched = format!("untouched, {FEW}, 200");
    goals.push(Goal {
        name: "untouched: allocations over a layer that does nothing".to_owned(),
        is: added(figures, &untouched, OURS, LAYER, "allocations"),
        at_most: 3.0,
    });
    let ratio = |bench: &str, metric: &str| {
        added(figures, bench, OURS, LAYER, metric) / added(figures, bench, SIGNED, LAYER, metric)
    };
    goals.push(Goal {
        name: format!("untouched: instructions over a layer that does nothing, by what {SIGNED} adds"),
        is: ratio(&untouched, "instructions"),
        at_most: 0.1,
    });
    for visit in ["read", "change"] {
        for metric in ["time", "allocations", "instructions"] {
            goals.push(Goal {
                name: format!("{visit}, 200 bytes: {metric} added, by what {SIGNED} adds"),
                is: ratio(&format!("{visit}, {FEW}, 200"), metric),
                at_most: 0.5,
            });
        }
    }
}

fn core(figures: &Figures, goals: &mut Vec<Goal>) {
    for foreign in [6, 40] {
        let opened = format!("open, {foreign} foreign cookies");
        let scanned = format!("scan, {foreign} foreign cookies");
        let mut push = |name: &str, is, at_most| goals.push(Goal { name: format!("{opened}: {name}"), is, at_most });
        push("allocations to the store key", value(figures, &opened, "core", "allocations"), 0.0);
        for metric in ["instructions", "time"] {
            let ratio = |bench, one, other| value(figures, bench, one, metric) / value(figures, bench, other, metric);
            push(&format!("{metric} to the store key, by the parts'"), ratio(&opened, "core", "parts"), 1.25);
            push(&format!("{metric} of a forged one, by a valid one's"), ratio(&opened, "core, forged", "core"), 1.0);
            push(&format!("{metric} of the scan, by the naive search's"), ratio(&scanned, "scan", "naive scan"), 1.1);
        }
    }
}

fn large(figures: &Figures, goals: &mut Vec<Goal>) {
    // Each with its own framework's floor.
    for (peer, floor) in [(BYTES, LAYER), ("actix-session", "actix")] {
        for shape in ["64x1k", "1x64k", "1300x40"] {
            let bench = format!("read, {FEW}, {shape}");
            for metric in ["time", "allocations", "instructions"] {
                goals.push(Goal {
                    name: format!("read of one key of {shape}: {metric} added, by what {peer} adds"),
                    is: added(figures, &bench, OURS, LAYER, metric) / added(figures, &bench, peer, floor, metric),
                    at_most: 0.5,
                });
            }
        }
    }
}

fn redis(figures: &Figures, goals: &mut Vec<Goal>) {
    const OURS: &str = "cloakroom-redis";
    const HAND: &str = "redis-by-hand";
    const PEERS: [&str; 7] = [
        "actix-session-redis",
        "axum_session-redis",
        "axum_session-key-redis",
        "pavex_session-redis",
        "poem-session-redis",
        "tower-sessions-redis",
        "tower-sessions-signed-redis",
    ];
    for (visit, at_most) in [("read", 1.1), ("change", 1.15)] {
        for connections in CONNECTIONS {
            let bench = bench(visit, connections);
            let of = |system, metric| value(figures, &bench, system, metric);
            let mut push =
                |name: String, is, at_most| goals.push(Goal { name: format!("{bench}: {name}"), is, at_most });
            let processor = |system| of(OURS, "processor time") / of(system, "processor time");
            push("processor time, by that of a handler by hand".to_owned(), processor(HAND), at_most);
            for peer in PEERS {
                push(format!("processor time, by that of {peer}"), processor(peer), 1.0);
                let requests = of(peer, "requests") / of(OURS, "requests");
                push(format!("requests of {peer} per second, by ours"), requests, 1.0);
            }
        }
    }
}

fn memory(figures: &Figures, goals: &mut Vec<Goal>) {
    const PAYLOAD: f64 = 300.0;
    const MILLION: &str = "1000000 sessions";
    goals.push(Goal {
        name: "a million sessions in memory: bytes of each, by 1.3 times its record and 150".to_owned(),
        is: (value(figures, MILLION, "memory", "bytes beside 300") + PAYLOAD) / (1.3 * PAYLOAD + 150.0),
        at_most: 1.0,
    });
    for operation in ["load", "create", "replace", "touch", "remove"] {
        let of = |bench| value(figures, bench, "memory", &format!("instructions of {operation}"));
        goals.push(Goal {
            name: format!("{operation} in memory: instructions at a million sessions, by those at a thousand"),
            is: of(MILLION) / of("1000 sessions"),
            at_most: 1.3,
        });
    }
}

fn runtimes(figures: &Figures, goals: &mut Vec<Goal>) {
    let mut push = |bench: &str, kind: &str, what: &str, adds: [f64; RUNTIMES.len()]| {
        for (runtime, is) in RUNTIMES.into_iter().zip(by_least(adds)) {
            goals.push(Goal {
                name: format!(
                    "{bench}, {runtime}{kind}: {what} added to its bare handler, by that of the best runtime"
                ),
                is,
                at_most: 1.15,
            });
        }
    };
    for visit in VISITS {
        for connections in CONNECTIONS {
            let bench = bench(visit, connections);
            for kind in ["-cloakroom", "-cloakroom-redis"] {
                let adds = RUNTIMES
                    .map(|runtime| value(figures, &bench, &format!("{runtime}{kind}"), "server processor time added"));
                push(&bench, kind, "processor time", adds);
            }
        }
        let bench = bench(visit, COUNTED_BY);
        let adds =
            RUNTIMES.map(|runtime| added(figures, &bench, &format!("{runtime}-cloakroom"), runtime, "instructions"));
        push(&bench, "-cloakroom", "instructions", adds);
    }
}

/// Divides by the least; where that is nothing, or less by what differs from run to run, all others are beyond any ratio.
fn by_least<const N: usize>(values: [f64; N]) -> [f64; N] {
    let least = values.into_iter().reduce(f64::min).unwrap_or(f64::NAN);
    values.map(|value| match () {
        () if value.is_nan() => f64::NAN,
        () if value <= least => 1.0,
        () if least <= 0.0 => f64::INFINITY,
        () => value / least,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: &str = "read over loopback, 16 connections";

    /// What each runtime adds in memory.
    fn adds(values: [f64; 3]) -> Figures {
        let mut figures = Figures::default();
        for (runtime, value) in RUNTIMES.into_iter().zip(values) {
            figures.add(READ, &format!("{runtime}-cloakroom"), "server processor time added", value, "us/request");
        }
        figures
    }

    #[test]
    fn a_goal_is_a_ratio_of_one_run() {
        let goals = all(&adds([2.5, 2.0, 3.0]));
        let of: Vec<_> = goals.iter().filter(|goal| goal.name.starts_with(READ) && !goal.is.is_nan()).collect();
        assert_eq!(of.iter().map(|goal| goal.is).collect::<Vec<_>>(), [1.25, 1.0, 1.5]);
        assert!(of[0].name.contains("tokio-cloakroom: processor time"), "{}", of[0].name);
    }

    #[test]
    fn beside_what_adds_nothing_all_others_are_beyond_any_ratio() {
        let inf = f64::INFINITY;
        assert_eq!(by_least([2.0, -0.5, 0.0]), [inf, 1.0, inf]);
        assert_eq!(by_least([0.0, 3.0, 0.0]), [1.0, inf, 1.0]);
        let [a, b, c] = by_least([f64::NAN, 2.0, 3.0]);
        assert!(a.is_nan() && b == 1.0 && c == 1.5);
    }

    #[test]
    fn what_was_not_measured_is_missed_by_a_whole_run_alone() {
        let met = adds([2.0, 2.1, 2.3]);
        assert!(print(&met, false));
        assert!(!print(&met, true));
        assert!(!print(&adds([2.0, 2.1, 2.4]), false));
        assert!(!print(&Figures::default(), false));
    }
}
