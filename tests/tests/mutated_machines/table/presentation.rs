//! First presentation, and how long pointers live.

use super::{
    ADMISSION, CHANGE, COMMIT, END, Edit, FINALITY, HONEST_RESULTS, Mutation, NO_LOST_UPDATE, PRESENTATION, PROTOCOL,
    REST, TIMES_TO_LIVE, renewed, requests, with,
};
use crate::explore::{
    Kind::{Change, Destroy, Expire, Read, Renew},
    Setting,
};

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "pointer_is_born_closing",
        rule: "a pointer stays open until its successor's ticket is first presented",
        edit: Edit { file: COMMIT, find: "closes_at: None,", replace: "closes_at: Some(self.now.saturating_add(policy.grace))," },
        bounds: &[],
        plan: || requests(&[Renew], 0),
        breaks: PRESENTATION,
    },
    Mutation {
        name: "closed_by_the_renewing_request",
        rule: "a pointer stays open until its successor's ticket is first presented, and not only minted",
        edit: Edit {
            file: ADMISSION,
            find: ".filter(|_| self.presented.as_ref() == Some(&live.key))",
            replace: "",
        },
        bounds: &[],
        plan: || requests(&[Renew], 0),
        breaks: PRESENTATION,
    },
    Mutation {
        name: "closed_through_the_pointer",
        rule: "first presented is a ticket whose own key is the live record",
        edit: Edit {
            file: ADMISSION,
            find: ".filter(|_| self.presented.as_ref() == Some(&live.key))",
            replace: ".filter(|_| self.presented.as_ref().is_none_or(|key| *key == live.key))",
        },
        bounds: &[],
        plan: || with(renewed(), &[Read], 0),
        breaks: PRESENTATION,
    },
    Mutation {
        name: "closed_without_grace",
        rule: "closes_at = now + grace",
        edit: Edit { file: COMMIT, find: "Some(self.now.saturating_add(policy.grace));", replace: "Some(self.now);" },
        bounds: &[],
        plan: || with(renewed(), &[Read], 0),
        breaks: PRESENTATION,
    },
    Mutation {
        name: "closes_at_moves",
        rule: "a set closes_at never moves",
        edit: Edit {
            file: REST,
            find: "if moved.to == live.key && moved.closes_at.is_none() =>",
            replace: "if moved.to == live.key =>",
        },
        bounds: &[],
        plan: || with(renewed(), &[Read, Expire, Read], 1),
        breaks: PRESENTATION,
    },
    Mutation {
        name: "renewal_without_a_predecessor",
        rule: "Create(new, predecessor = old)",
        edit: Edit { file: COMMIT, find: ".then_some(old);", replace: ".then_some(old).filter(|_| false);" },
        bounds: &[],
        plan: || requests(&[Renew], 0),
        breaks: PRESENTATION,
    },
    Mutation {
        name: "forgotten_though_not_closed",
        rule: "only if closing the pointer did not fail, clear predecessor",
        edit: Edit {
            file: PROTOCOL,
            find: "(State::Presenting(live, _) | State::Closing(live), _) => commit.touch(live),",
            replace: "(State::Presenting(live, _), _) => commit.touch(live),
            (State::Closing(live), _) => commit.clear_predecessor(live),",
        },
        bounds: &[],
        plan: || with(renewed(), &[Read], 1),
        breaks: PRESENTATION,
    },
    Mutation {
        name: "cleared_over_others",
        rule: "clear predecessor by a Replace of the version read, never replayed",
        edit: Edit {
            file: PROTOCOL,
            find: "(State::Clearing(live), _) => commit.finish_again(live.key),",
            replace: "(State::Clearing(live), Outcome::Conflict(Some(found))) => {
                commit.clear_predecessor(Live { version: found.version, ..live })
            }
            (State::Clearing(live), _) => commit.finish_again(live.key),",
        },
        bounds: &[],
        plan: || with(renewed(), &[Change, Read], 0),
        breaks: NO_LOST_UPDATE,
    },
    Mutation {
        name: "pointer_runs_out",
        rule: "an open pointer lives for the rest of the absolute lifetime",
        edit: Edit {
            file: COMMIT,
            find: "self.marker(policy, from, Entry::Moved(moved), rest)",
            replace: "self.marker(policy, from, Entry::Moved(moved), rest.min(policy.grace))",
        },
        bounds: &[],
        plan: || requests(&[Renew], 0),
        breaks: TIMES_TO_LIVE,
    },
    Mutation {
        name: "grace_at_commit",
        rule: "grace is checked at admission, never at commit",
        edit: Edit {
            file: CHANGE,
            find: "            Sight::Moved(moved, _) => return self.hop(moved.to, Why::Change(None)),",
            replace: "            Sight::Moved(moved, _) if moved.closes_at.is_some_and(|at| at <= self.job.now) => return self.lost(key),
            Sight::Moved(moved, _) => return self.hop(moved.to, Why::Change(None)),",
        },
        bounds: &[],
        plan: || with(Setting { no_grace: true, ..Setting::default() }, &[Change, Read, Renew], 0),
        breaks: HONEST_RESULTS,
    },
    Mutation {
        name: "grace_at_an_end",
        rule: "grace is checked at admission, never at commit: an end follows a pointer that has closed",
        edit: Edit {
            file: END,
            find: "            Sight::Moved(moved, _) => return self.hop(moved.to, Why::End),",
            replace: "            Sight::Moved(moved, _) if moved.closes_at.is_some_and(|at| at <= self.job.now) => {
                return self.ended(End::AlreadyEnded);
            }
            Sight::Moved(moved, _) => return self.hop(moved.to, Why::End),",
        },
        bounds: &[],
        plan: || with(Setting { no_grace: true, ..Setting::default() }, &[Destroy, Read, Renew], 0),
        breaks: FINALITY,
    },
];
