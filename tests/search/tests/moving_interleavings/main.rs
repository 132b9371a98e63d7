//! Two requests and a move on one session, on nodes that prepare and that move: every interleaving of the real
//! `MovingStore`'s steps, with the real machine above it; see [`search`].

#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test")]

mod copy;
mod search;
mod table;

use std::thread;

use self::{
    copy::Copy,
    search::{CLAIMS, Explored, Kind, Phase, Plan, Setting, TOMBSTONES, explore},
    table::MUTATIONS,
};

const ALL: [Kind; 4] = [Kind::Add, Kind::End, Kind::Move, Kind::Read];

/// All pairs, on nodes of which one moves at least.
fn pairs() -> Vec<Vec<(Kind, Phase)>> {
    let mut pairs = Vec::new();
    for (at, first) in ALL.into_iter().enumerate() {
        for second in &ALL[at..] {
            pairs.push(vec![(first, Phase::Moves), (*second, Phase::Moves)]);
        }
        for second in [Kind::Add, Kind::End, Kind::Read] {
            pairs.push(vec![(first, Phase::Moves), (second, Phase::Prepares)]);
        }
    }
    pairs
}

fn hold(plans: Vec<Plan>) {
    let searched = plans.len();
    let queue = std::sync::Mutex::new(plans);
    let worlds = thread::scope(|scope| {
        let work = || {
            let mut worlds = 0;
            loop {
                let Some(plan) = queue.lock().unwrap().pop() else { return worlds };
                let Explored { worlds: count, broken, .. } = explore(&plan);
                if let Some((rule, story)) = broken {
                    panic!("{plan:?} breaks: {rule}\n{story}");
                }
                worlds += count;
            }
        };
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum::<usize>()
    });
    println!("moving: {worlds} worlds of {searched} searches");
}

fn plans(requests: Vec<Vec<(Kind, Phase)>>, faults: u8, pass: Option<u32>, setting: Setting) -> Vec<Plan> {
    let (passes, pass) = (pass.is_some().into(), pass.unwrap_or_default());
    requests.into_iter().map(|requests| Plan { requests, faults, passes, pass, setting }).collect()
}

#[test]
fn two_requests_with_a_fault() {
    hold(plans(pairs(), 1, None, Setting::default()));
}

#[test]
fn two_requests_while_time_passes() {
    hold(plans(pairs(), 0, Some(TOMBSTONES), Setting::default()));
    hold(plans(pairs(), 0, Some(CLAIMS), Setting::default()));
}

#[test]
fn two_requests_with_a_fault_where_versions_are_the_bytes() {
    hold(plans(pairs(), 1, None, Setting { byte_versions: true, ..Setting::default() }));
}

#[test]
fn two_requests_with_a_fault_where_conflicts_bring_nothing() {
    hold(plans(pairs(), 1, None, Setting { silent_conflicts: true, ..Setting::default() }));
}

#[test]
fn two_requests_with_a_fault_where_sessions_end_by_removal() {
    hold(plans(pairs(), 1, None, Setting { no_markers: true, ..Setting::default() }));
}

#[test]
fn two_requests_with_a_fault_where_looks_put_off_the_end() {
    hold(plans(pairs(), 1, None, Setting { touches: true, ..Setting::default() }));
}

#[test]
fn what_leaves_out_a_rule_breaks_what_it_is_there_for() {
    // As it is, it breaks nothing.
    hold(MUTATIONS.iter().map(|mutation| (mutation.plan)()).collect());
    let (copy, mut missed) = (Copy::make(), Vec::new());
    for mutation in MUTATIONS {
        match copy.search(mutation) {
            Ok(said) if said.contains(&format!(": broken: {}\n", mutation.breaks)) => println!("{said}"),
            Ok(said) | Err(said) => missed.push(format!("{}: {said}", mutation.name)),
        }
    }
    assert!(missed.is_empty(), "not as expected:\n{}", missed.join("\n"));
}
