//! Admission.

use super::{ADMISSION, ADMITTED, COMMIT, Edit, FINALITY, HONEST_RESULTS, Mutation, PLAN, closing, requests, with};
use crate::explore::Kind::{Destroy, Expire, Read, Renew};

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
            file: COMMIT,
            find: "self.now.since(self.loaded_at) > policy.max_request",
            replace: "self.now.since(self.loaded_at) > policy.max_request.saturating_mul(99)",
        },
        bounds: &[],
        plan: || requests(&[Destroy, Expire, Read, Renew], 0),
        breaks: HONEST_RESULTS,
    },
];
