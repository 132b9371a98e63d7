//! Admission.

use super::{ADMISSION, ADMITTED, Edit, FINALITY, HONEST_RESULTS, Mutation, PLAN, closing, requests, with};
use crate::explore::Kind::{Destroy, Expire, Read, Renew, Save};

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "closed_pointer_opens",
        rule: "a pointer that has closed: reuse, nothing opens",
        edit: Edit {
            file: ADMISSION,
            find: "Sight::Moved(moved, _) if moved.closes_at.is_some_and(|at| at <= now) => {",
            replace: "Sight::Moved(moved, _) if moved.closes_at.is_some_and(|at| at <= now && at > now) => {",
        },
        bounds: &[],
        plan: || with(closing(), &[Read], 0),
        breaks: ADMITTED,
    },
    Mutation {
        name: "open_pointer_is_closed",
        rule: "follow open pointers",
        edit: Edit {
            file: ADMISSION,
            find: "Sight::Moved(moved, _) if moved.closes_at.is_some_and(|at| at <= now) => {",
            replace: "Sight::Moved(moved, _) if moved.closes_at.is_none_or(|at| at <= now) => {",
        },
        bounds: &[],
        plan: || requests(&[Renew], 0),
        breaks: ADMITTED,
    },
    Mutation {
        name: "stale_ticket_has_nothing_to_end",
        rule: "NothingToEnd is an acknowledged end: a ticket whose successor may live gets an error",
        edit: Edit {
            file: PLAN,
            find: "        Opened::Stale if destroy => Some(CommitError::StaleTicket),
",
            replace: "",
        },
        bounds: &[],
        plan: || with(closing(), &[Destroy, Read], 0),
        breaks: FINALITY,
    },
    Mutation {
        name: "late_commit",
        rule: "a commit whose load is older than max_request is refused: pointers and tombstones may have run out",
        edit: Edit {
            file: "engine.rs",
            find: "now.since(loaded_at) > self.max_request",
            replace: "now.since(loaded_at) > self.max_request.saturating_mul(99)",
        },
        bounds: &[],
        plan: || requests(&[Destroy, Expire, Read, Renew], 0),
        breaks: HONEST_RESULTS,
    },
    Mutation {
        name: "lost_session_makes_another",
        rule: "writes of a request whose session ended meanwhile are `Lost` and never make a new session",
        edit: Edit {
            file: ADMISSION,
            find: "Opened::Absent if self.before.is_some() => Opened::Superseded(None),",
            replace: "",
        },
        bounds: &[],
        plan: || requests(&[Destroy, Save], 1),
        breaks: HONEST_RESULTS,
    },
];
