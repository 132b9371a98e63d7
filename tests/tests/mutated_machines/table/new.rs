//! New, and what is made after an end.

use super::{
    ADMISSION, CHANGE, END, Edit, HONEST_COOKIES, Mutation, NO_FIXATION, NO_LOST_UPDATE, PROTOCOL, closing, requests,
    with,
};
use crate::explore::Kind::{Begin, Change, Destroy, Read, Restart};

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "cookie_before_store",
        rule: "the cookie exists only in Done: nobody can send one for a record that is not stored",
        edit: Edit {
            file: CHANGE,
            find: "                self.ask(op, State::Creating(fresh))",
            replace: "                let owed = Some(crate::verdict::CookieLine { line: fresh.line.clone(), more: Vec::new(), removes: false });
                let mut commit = self;
                commit.shell.verdict.owed = owed;
                commit.ask(op, State::Creating(fresh))",
        },
        bounds: &[],
        plan: || requests(&[Begin], 1),
        breaks: HONEST_COOKIES,
    },
    Mutation {
        name: "cookie_on_unknown",
        rule: "New: on Unknown or Failed no cookie",
        edit: Edit {
            file: PROTOCOL,
            find: "(State::Creating(_), Outcome::Failed | Outcome::Unknown) => commit.fail(CommitError::Store, None),",
            replace: "(State::Creating(_), Outcome::Failed) => commit.fail(CommitError::Store, None),
            (State::Creating(fresh), Outcome::Unknown) => commit.created(fresh, crate::value::Version::from_u64(0)),",
        },
        bounds: &[],
        plan: || requests(&[Begin], 1),
        breaks: HONEST_COOKIES,
    },
    Mutation {
        name: "no_ticket_where_one_came",
        rule: "what is acknowledged can be reached: a new session sets its ticket, whatever ticket came",
        edit: Edit {
            file: CHANGE,
            find: "        self.shell.owe(&fresh.key, fresh.line);
        let Draft",
            replace: "        if !self.shell.verdict.events.iter().any(|event| event == Event::ReusedEnded) {
            self.shell.owe(&fresh.key, fresh.line);
        }
        let Draft",
        },
        bounds: &[],
        plan: || requests(&[Change, Destroy], 0),
        breaks: HONEST_COOKIES,
    },
    Mutation {
        name: "restart_though_the_end_failed",
        rule: "edits after a destroy make a session only once the old one ended",
        edit: Edit {
            file: END,
            find: "        self.job.end = Some(End::Failed);
",
            replace: "        self.job.end = Some(End::Failed);
        if let Some(data) = self.job.recreate.take() {
            self.job.failure = Some(Box::new(error));
            return self.create(*data);
        }
",
        },
        bounds: &[],
        plan: || requests(&[Restart], 1),
        breaks: NO_LOST_UPDATE,
    },
    Mutation {
        name: "restart_carries_data",
        rule: "edits after a destroy make a session of their own, to which nothing is carried over",
        edit: Edit {
            file: "loaded.rs",
            find: "        self.edits.clear();
        self.data = Data::new();
",
            replace: "",
        },
        bounds: &[],
        plan: || requests(&[Restart], 0),
        breaks: NO_FIXATION,
    },
    Mutation {
        name: "stale_ticket_makes_a_session",
        rule: "a pointer that has closed: nothing opens, and no write overwrites its successor's cookie",
        edit: Edit {
            file: ADMISSION,
            find: "                events.push(Event::ReusedRenewed);
                Opened::Stale",
            replace: "                events.push(Event::ReusedRenewed);
                Opened::Absent",
        },
        bounds: &[],
        plan: || with(closing(), &[Change, Read], 0),
        breaks: HONEST_COOKIES,
    },
];
