//! The mutations: each leaves out one rule of the protocol.
//!
//! The text to find stands at one place of the file, so that no edit is dead. The plan is a small one that shows what
//! the rule is there for.

mod accounts;
mod admission;
mod change;
mod end;
mod new;
mod presentation;
mod renew;

use crate::explore::{Kind, Plan, Setting};

/// A machine that leaves out a rule.
pub(crate) struct Mutation {
    pub(crate) name: &'static str,
    /// The rule, as the protocol has it.
    pub(crate) rule: &'static str,
    pub(crate) edit: Edit,
    /// Bounds made small, on the machine as it is too, so that a few requests reach them.
    pub(crate) bounds: &'static [Edit],
    pub(crate) plan: fn() -> Plan,
    /// What the explorer's rules must find.
    pub(crate) breaks: &'static str,
}

/// An edit of one of the core's files.
#[derive(Eq, PartialEq)]
pub(crate) struct Edit {
    /// Its path below `core/src`.
    pub(crate) file: &'static str,
    pub(crate) find: &'static str,
    pub(crate) replace: &'static str,
}

const ADMISSION: &str = "machine/admission.rs";
const CHANGE: &str = "machine/change.rs";
const COMMIT: &str = "machine/commit.rs";
const END: &str = "machine/end.rs";
const ENDING: &str = "roster/ending.rs";
const EXCHANGE: &str = "machine/exchange.rs";
const PLAN: &str = "machine/plan.rs";
const PROTOCOL: &str = "machine/protocol.rs";
const REST: &str = "machine/rest.rs";

const ONE_HOP: &[Edit] = &[Edit { file: "limits.rs", find: "MAX_HOPS: u32 = 8;", replace: "MAX_HOPS: u32 = 1;" }];
const ONE_NONCE: &[Edit] =
    &[Edit { file: "limits.rs", find: "NONCES_KEPT: usize = 8;", replace: "NONCES_KEPT: usize = 1;" }];

const ADMITTED: &str = "admission";
const CARRIED_OVER: &str = "I2 carried over";
const FINALITY: &str = "I1 finality";
const GIVEN_UP: &str = "I5 given up";
const IN_THE_INDEX: &str = "I6 in the index";
const NO_LOST_UPDATE: &str = "I2 no lost update";
const NONE_TWICE: &str = "I2 none twice";
const NOT_FROM_THE_ENDED: &str = "I5 not from the ended";
const ONE_RECORD: &str = "I3 one record";
const HONEST_COOKIES: &str = "I7 honest cookies";
const HONEST_TICKETS: &str = "I7 honest tickets";
const HONEST_RESULTS: &str = "honest results";
const NO_FIXATION: &str = "I5 no fixation";
const PRESENTATION: &str = "first presentation";
const RENEWAL: &str = "renewal";
const TIMES_TO_LIVE: &str = "times to live";
const TOUCH: &str = "touch";

/// Returns all mutations.
pub(crate) fn all() -> impl Iterator<Item = &'static Mutation> {
    [
        admission::MUTATIONS,
        new::MUTATIONS,
        change::MUTATIONS,
        renew::MUTATIONS,
        presentation::MUTATIONS,
        end::MUTATIONS,
        accounts::MUTATIONS,
    ]
    .into_iter()
    .flatten()
}

/// Plans some requests, of which some operations go wrong.
fn requests(kinds: &[Kind], faults: u8) -> Plan {
    Plan { max_worlds: 1_000_000, ..Plan::new(kinds, faults) }
}

/// The same with another setting.
fn with(setting: Setting, kinds: &[Kind], faults: u8) -> Plan {
    Plan { setting, ..requests(kinds, faults) }
}

/// The same with one thing that goes wrong: the store drops an entry, or an operation fails.
fn dropping(kinds: &[Kind]) -> Plan {
    Plan { evictions: 1, ..requests(kinds, 1) }
}

/// Pointers close as soon as their successor is presented; the session was renewed once before.
fn closing() -> Setting {
    Setting { no_grace: true, starts_renewed: true, ..Setting::default() }
}

/// The session was renewed once before.
fn renewed() -> Setting {
    Setting { starts_renewed: true, ..Setting::default() }
}

/// Plans some requests on a session in which somebody is signed in.
fn signed_in(kinds: &[Kind], faults: u8) -> Plan {
    with(Setting { signed_in: true, ..Setting::default() }, kinds, faults)
}

/// The codec can express neither pointers nor tombstones.
fn markerless() -> Setting {
    Setting { no_markers: true, ..Setting::default() }
}
