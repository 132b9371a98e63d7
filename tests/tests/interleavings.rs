//! The protocol holds under every interleaving of a few requests with a few faults, each search exhausted.
//!
//! `CLOAKROOM_FAULTS=2 cargo test -p cloakroom-tests --test interleavings -- --nocapture` searches deeper: at least that
//! many things go wrong in every search, one less with users.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a test")]

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use cloakroom_search::explore::{Exploration, Kind, Plan, Setting, explore, world::StoreKind};

/// What any session does, and the time that passes meanwhile.
const COMMON: [Kind; 6] = [Kind::Change, Kind::Destroy, Kind::Expire, Kind::Read, Kind::Rotate, Kind::Save];
/// What users do, beside what any session does.
const ACCOUNTS: [Kind; 10] = [
    Kind::Change,
    Kind::Destroy,
    Kind::Elevate,
    Kind::EndAll,
    Kind::EndOthers,
    Kind::Expire,
    Kind::Login,
    Kind::LoginCarry,
    Kind::Read,
    Kind::Rotate,
];
/// The kinds that the others are made of.
const PLAIN: [Kind; 5] = [Kind::Change, Kind::Destroy, Kind::Expire, Kind::Read, Kind::Rotate];

const USUAL: Setting = Setting {
    store: StoreKind { silent_conflicts: false, byte_versions: false },
    no_grace: false,
    renews: false,
    starts_renewed: false,
    two_tickets: false,
    signed_in: false,
    no_markers: false,
};
const SIGNED_IN: Setting = Setting { signed_in: true, ..USUAL };
const SILENT: StoreKind = StoreKind { silent_conflicts: true, byte_versions: false };
const BYTES: StoreKind = StoreKind { silent_conflicts: false, byte_versions: true };

/// Searches every choice of `count` requests out of `kinds`, and fails with the stories of what broke.
fn holds(kinds: &[Kind], count: u32, faults: u8, setting: Setting) {
    let asked: u8 = std::env::var("CLOAKROOM_FAULTS").ok().map_or(0, |text| text.parse().expect("a number"));
    // Logins and ends of many take more operations than the rest, and there are more kinds.
    let has_users = kinds.iter().any(|kind| Kind::ACCOUNTS.contains(kind));
    let faults = faults.max(asked.saturating_sub(has_users.into()));
    let plan = Plan { evictions: faults, setting, ..Plan::new(&[], faults) };
    let choices = choices(kinds, count);
    let (mut worlds, mut moves, mut histories, mut largest, mut bytes) = (0, 0, 0, 0, 0);
    let mut stories = String::new();
    for (kinds, found) in choices.iter().zip(each(&choices, &plan)) {
        assert!(found.complete, "{kinds:?}: more than {} worlds", plan.max_worlds);
        worlds += found.worlds;
        moves += found.moves;
        histories += found.histories;
        largest = largest.max(found.worlds);
        bytes = bytes.max(found.bytes);
        for (rule, story) in found.broken {
            stories.push_str(&format!("{kinds:?} break {rule}:\n{story}\n"));
        }
    }
    println!(
        "model: {worlds} worlds exhausted, {moves} moves, {histories} histories replayed: {} choices of {count} of \
         {kinds:?}, {faults} faults, {setting}; largest {largest} worlds, {} MiB",
        choices.len(),
        bytes >> 20,
    );
    // A search that meets little would prove little.
    assert!(worlds > 10 * choices.len(), "{worlds} worlds are too few");
    assert!(stories.is_empty(), "{stories}");
}

/// Every choice of `count` kinds, in order and with repetition.
fn choices(kinds: &[Kind], count: u32) -> Vec<Vec<Kind>> {
    (0..count).fold(vec![Vec::new()], |choices, _| {
        let longer = |choice: &Vec<Kind>| {
            let from = choice.last().copied();
            let kinds = kinds.iter().filter(move |kind| from.is_none_or(|last| last <= **kind));
            kinds.map(|kind| [choice.as_slice(), &[*kind]].concat()).collect::<Vec<_>>()
        };
        choices.iter().flat_map(longer).collect()
    })
}

/// Searches the choices, as many at a time as there are cores.
fn each(choices: &[Vec<Kind>], plan: &Plan) -> Vec<Exploration> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((at, kinds)) = choices.iter().enumerate().nth(next.fetch_add(1, Ordering::Relaxed)) {
                    let exploration = explore(&Plan { kinds: kinds.clone(), ..plan.clone() });
                    found.lock().expect("no search panics").push((at, exploration));
                }
            });
        }
    });
    let mut found = found.into_inner().expect("no search panics");
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, exploration)| exploration).collect()
}

#[test]
fn any_three_requests_and_a_fault_keep_every_rule() {
    holds(&COMMON, 3, 1, USUAL);
}

#[test]
fn any_two_requests_and_two_faults_keep_every_rule() {
    holds(&Kind::ALL, 2, 2, USUAL);
}

#[test]
fn any_three_requests_of_every_kind_keep_every_rule() {
    holds(&Kind::ALL, 3, 0, USUAL);
}

#[test]
fn stores_that_cannot_bring_what_is_there_keep_every_rule() {
    holds(&Kind::ALL, 2, 1, Setting { store: SILENT, ..USUAL });
    holds(&PLAIN, 3, 0, Setting { store: SILENT, ..USUAL });
}

#[test]
fn stores_that_compare_bytes_keep_every_rule() {
    holds(&Kind::ALL, 2, 1, Setting { store: BYTES, ..USUAL });
    holds(&PLAIN, 3, 0, Setting { store: BYTES, ..USUAL });
}

#[test]
fn renewals_that_nobody_asked_for_keep_every_rule() {
    holds(&Kind::ALL, 2, 1, Setting { renews: true, ..USUAL });
    holds(&PLAIN, 3, 0, Setting { renews: true, ..USUAL });
}

#[test]
fn the_first_presentation_keeps_every_rule() {
    holds(&Kind::ALL, 2, 1, Setting { starts_renewed: true, ..USUAL });
    holds(&Kind::ALL, 2, 1, Setting { starts_renewed: true, no_grace: true, ..USUAL });
    holds(&PLAIN, 3, 0, Setting { starts_renewed: true, ..USUAL });
}

#[test]
fn two_tickets_of_one_session_are_one_session() {
    holds(&Kind::ALL, 2, 1, Setting { starts_renewed: true, renews: true, two_tickets: true, ..USUAL });
}

#[test]
fn a_codec_without_pointers_and_tombstones_keeps_every_rule() {
    holds(&Kind::ALL, 2, 1, Setting { no_markers: true, ..USUAL });
    holds(&PLAIN, 3, 0, Setting { no_markers: true, ..USUAL });
}

#[test]
fn logins_and_ends_of_all_sessions_keep_every_rule() {
    holds(&ACCOUNTS, 2, 2, SIGNED_IN);
    holds(&ACCOUNTS, 2, 1, USUAL);
    holds(&ACCOUNTS, 3, 0, SIGNED_IN);
    holds(&ACCOUNTS, 3, 0, USUAL);
}

#[test]
fn any_three_of_login_elevation_end_and_end_of_all_and_a_fault_keep_every_rule() {
    holds(&[Kind::Destroy, Kind::Elevate, Kind::EndAll, Kind::Login, Kind::Rotate], 3, 1, SIGNED_IN);
}

#[test]
fn logins_and_ends_of_all_sessions_keep_every_rule_over_other_stores() {
    holds(&ACCOUNTS, 2, 1, Setting { store: SILENT, ..SIGNED_IN });
    holds(&ACCOUNTS, 2, 1, Setting { store: BYTES, ..SIGNED_IN });
    holds(&ACCOUNTS, 2, 1, Setting { renews: true, ..SIGNED_IN });
    holds(&ACCOUNTS, 2, 1, Setting { starts_renewed: true, ..SIGNED_IN });
    holds(&ACCOUNTS, 2, 1, Setting { no_markers: true, ..SIGNED_IN });
}
