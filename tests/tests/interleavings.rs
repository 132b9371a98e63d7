//! The protocol holds under every interleaving of a few requests with a few faults.
//!
//! `CLOAKROOM_FAULTS=2 cargo test --release -p cloakroom-tests --test interleavings -- --nocapture` searches deeper: at
//! least that many operations go wrong in every search.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a test")]

use cloakroom_tests::explore::{Kind, Plan, Setting, explore, world::StoreKind};

/// The kinds that the others are made of.
const PLAIN: [Kind; 4] = [Kind::Change, Kind::Destroy, Kind::Read, Kind::Rotate];

const USUAL: Setting = Setting {
    store: StoreKind { silent_conflicts: false, byte_versions: false },
    no_grace: false,
    renews: false,
    starts_renewed: false,
    two_tickets: false,
    no_markers: false,
};
const SILENT: StoreKind = StoreKind { silent_conflicts: true, byte_versions: false };
const BYTES: StoreKind = StoreKind { silent_conflicts: false, byte_versions: true };

/// Searches every choice of `count` requests out of `kinds`, and fails with the stories of what broke.
fn holds(kinds: &[Kind], count: u32, plan: &Plan) {
    let asked = std::env::var("CLOAKROOM_FAULTS").ok().map_or(0, |text| text.parse().expect("a number"));
    let plan = Plan { faults: plan.faults.max(asked), ..plan.clone() };
    let mut choices: Vec<Vec<Kind>> = vec![Vec::new()];
    for _ in 0..count {
        let longer = |choice: &Vec<Kind>| {
            let from = choice.last().copied();
            let kinds = kinds.iter().filter(move |kind| from.is_none_or(|last| last <= **kind));
            kinds.map(|kind| [choice.as_slice(), &[*kind]].concat()).collect::<Vec<_>>()
        };
        choices = choices.iter().flat_map(longer).collect();
    }
    let (mut worlds, mut moves, mut histories, mut seconds) = (0, 0, 0, 0.0);
    let mut stories = String::new();
    for kinds in &choices {
        let found = explore(&Plan { kinds: kinds.clone(), ..plan.clone() });
        assert!(found.complete, "{kinds:?}: more than {} worlds", plan.max_worlds);
        worlds += found.worlds;
        moves += found.moves;
        histories += found.histories;
        seconds += found.took.as_secs_f64();
        for (rule, story) in found.broken {
            stories.push_str(&format!("{kinds:?} break {rule}:\n{story}\n"));
        }
    }
    let (sets, faults, evictions, setting) = (choices.len(), plan.faults, plan.evictions, plan.setting);
    println!("{sets} choices of {count}, {faults} faults, {evictions} evictions, {setting}");
    println!("    {worlds} worlds, {moves} moves, {histories} histories replayed, {seconds:.1} s");
    // A search that meets little would prove little.
    assert!(worlds > 20 * sets, "{worlds} worlds are too few");
    assert!(stories.is_empty(), "{stories}");
}

fn plan(faults: u8, setting: Setting) -> Plan {
    Plan { setting, ..Plan::new(&[], faults) }
}

#[test]
fn any_two_requests_and_two_faults_keep_every_rule() {
    holds(&Kind::ALL, 2, &plan(2, USUAL));
}

#[test]
fn any_three_requests_keep_every_rule() {
    holds(&Kind::ALL, 3, &plan(0, USUAL));
}

#[test]
fn stores_that_cannot_bring_what_is_there_keep_every_rule() {
    holds(&Kind::ALL, 2, &plan(1, Setting { store: SILENT, ..USUAL }));
    holds(&PLAIN, 3, &plan(0, Setting { store: SILENT, ..USUAL }));
}

#[test]
fn stores_that_compare_bytes_keep_every_rule() {
    holds(&Kind::ALL, 2, &plan(1, Setting { store: BYTES, ..USUAL }));
    holds(&PLAIN, 3, &plan(0, Setting { store: BYTES, ..USUAL }));
}

#[test]
fn renewals_that_nobody_asked_for_keep_every_rule() {
    holds(&Kind::ALL, 2, &plan(1, Setting { renews: true, ..USUAL }));
    holds(&PLAIN, 3, &plan(0, Setting { renews: true, ..USUAL }));
}

#[test]
fn the_first_presentation_keeps_every_rule() {
    holds(&PLAIN, 2, &plan(1, Setting { starts_renewed: true, ..USUAL }));
    holds(&Kind::ALL, 2, &plan(1, Setting { starts_renewed: true, no_grace: true, ..USUAL }));
    holds(&PLAIN, 3, &plan(0, Setting { starts_renewed: true, ..USUAL }));
}

#[test]
fn two_tickets_of_one_session_are_one_session() {
    holds(&Kind::ALL, 2, &plan(1, Setting { starts_renewed: true, renews: true, two_tickets: true, ..USUAL }));
}

#[test]
fn a_codec_without_pointers_and_tombstones_keeps_every_rule() {
    holds(&Kind::ALL, 2, &plan(1, Setting { no_markers: true, ..USUAL }));
    holds(&PLAIN, 3, &plan(0, Setting { no_markers: true, ..USUAL }));
}

#[test]
fn a_store_that_drops_an_entry_breaks_no_acknowledged_end_and_doubles_no_edit() {
    holds(&Kind::ALL, 2, &Plan { evictions: 1, ..plan(1, USUAL) });
}
