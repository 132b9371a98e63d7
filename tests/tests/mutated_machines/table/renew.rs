//! Renew.

use super::{
    COMMIT, EXCHANGE, Edit, FINALITY, HONEST_COOKIES, HONEST_TICKETS, Mutation, NO_LOST_UPDATE, ONE_HOP, ONE_RECORD,
    PLAN, PROTOCOL, RENEWAL, dropping, requests, with,
};
use crate::explore::{
    Kind::{Change, Destroy, Read, Renew, Rotate},
    Setting,
};

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "cookie_before_renewal",
        rule: "the ticket is published only at the end, and not with the Create",
        edit: Edit {
            file: EXCHANGE,
            find: "                self.ask(op, State::Opening(",
            replace: "                let owed = Some(crate::verdict::CookieLine { line: fresh.line.clone(), more: Vec::new(), removes: false });
                let mut commit = self;
                commit.shell.verdict.owed = owed;
                commit.ask(op, State::Opening(",
        },
        bounds: &[],
        plan: || requests(&[Renew], 1),
        breaks: HONEST_COOKIES,
    },
    Mutation {
        name: "publish_before_the_pointer_swings",
        rule: "the ticket is published only at the end, when the old key points to it",
        edit: Edit {
            file: PROTOCOL,
            find: "(State::Opening(mut exchange), Outcome::Done(version)) => {
                exchange.version = Some(version);
                commit.enroll(",
            replace: "(State::Opening(mut exchange), Outcome::Done(version)) => {
                exchange.version = Some(version);
                commit.publish(",
        },
        bounds: &[],
        plan: || requests(&[Renew], 0),
        breaks: ONE_RECORD,
    },
    Mutation {
        name: "pointer_before_the_record",
        rule: "Create(new), then Replace(old): no pointer to what is not known to be stored",
        edit: Edit {
            file: PROTOCOL,
            find: "(State::Opening(exchange), Outcome::Failed | Outcome::Unknown) => {",
            replace: "(State::Opening(exchange), Outcome::Unknown) => commit.swing(exchange),
            (State::Opening(exchange), Outcome::Failed) => {",
        },
        bounds: &[],
        plan: || requests(&[Renew], 1),
        breaks: HONEST_COOKIES,
    },
    Mutation {
        name: "new_is_not_brought_up_to_date",
        rule: "on conflict with a newer record Replace(new) with everything replayed, and again",
        edit: Edit {
            file: EXCHANGE,
            find: "Ok(record) => self.rewrite(record, exchange),",
            replace: "Ok(_) => self.swing(exchange),",
        },
        bounds: &[],
        plan: || requests(&[Change, Renew], 0),
        breaks: NO_LOST_UPDATE,
    },
    Mutation {
        name: "edits_are_not_replayed_on_new",
        rule: "on conflict with a newer record Replace(new) with everything replayed, the renewal's own edits too",
        edit: Edit {
            file: COMMIT,
            find: "        self.replay(&mut record)?;
",
            replace: "        self.count_replay()?;
",
        },
        bounds: &[],
        plan: || requests(&[Change, Rotate], 0),
        breaks: NO_LOST_UPDATE,
    },
    Mutation {
        name: "pointer_to_an_older_new",
        rule: "the pointer is never swung to a record that is not known to hold what was last written",
        edit: Edit {
            file: EXCHANGE,
            find: "Ok(()) if is_written => self.swing(exchange),",
            replace: "Ok(()) if is_written || !is_written => self.swing(exchange),",
        },
        bounds: &[],
        plan: || requests(&[Change, Renew], 1),
        breaks: NO_LOST_UPDATE,
    },
    Mutation {
        name: "publish_on_anothers_pointer",
        rule: "on another's pointer remove new, follow, publish nothing",
        edit: Edit {
            file: EXCHANGE,
            find: "(Reason::Renewal, Sight::Moved(moved, _)) => self.abandon(exchange, Next::Follow(moved.to)),",
            replace: "(Reason::Renewal, Sight::Moved(..)) => self.publish(exchange),",
        },
        bounds: &[],
        plan: || requests(&[Renew, Renew], 0),
        breaks: ONE_RECORD,
    },
    Mutation {
        name: "edits_do_not_follow_anothers_pointer",
        rule: "on another's pointer follow, commit the edits there",
        edit: Edit {
            file: EXCHANGE,
            find: "        if self.job.changed {
            return self.hop(key, Why::Change(None));
        }
",
            replace: "",
        },
        bounds: &[],
        plan: || requests(&[Renew, Rotate], 0),
        breaks: NO_LOST_UPDATE,
    },
    Mutation {
        name: "publish_on_a_tombstone",
        rule: "on a tombstone remove new, Lost",
        edit: Edit {
            file: EXCHANGE,
            find: "(Reason::Elevation | Reason::Renewal, Sight::Ended(_)) => self.abandon(exchange, Next::Lost(key)),",
            replace: "(Reason::Elevation | Reason::Renewal, Sight::Ended(_)) => self.publish(exchange),",
        },
        bounds: &[],
        plan: || requests(&[Destroy, Renew], 0),
        breaks: FINALITY,
    },
    Mutation {
        name: "publish_on_absent",
        rule: "on Absent Lost, and leave new to expire",
        edit: Edit {
            file: EXCHANGE,
            find: "(Reason::Renewal, Sight::Absent) => self.lost(key),",
            replace: "(Reason::Renewal, Sight::Absent) => self.publish(exchange),",
        },
        bounds: &[],
        plan: || dropping(&[Destroy, Renew]),
        breaks: FINALITY,
    },
    Mutation {
        name: "publish_on_unknown",
        rule: "on Unknown look: the pointer may not be there",
        edit: Edit {
            file: PROTOCOL,
            find: "                commit.job.unsettled = Some(0);
                let key = commit.op().key().clone();
                commit.look(key, Why::Swing(exchange))",
            replace: "                commit.publish(exchange)",
        },
        bounds: &[],
        plan: || requests(&[Renew], 1),
        breaks: ONE_RECORD,
    },
    Mutation {
        name: "remove_new_in_doubt",
        rule: "on Unknown look, and if that fails leave new alone",
        edit: Edit {
            file: PROTOCOL,
            find: "Why::Swing(_) => commit.fail(CommitError::Store, Some(key)),",
            replace: "Why::Swing(exchange) => {
                    commit.job.unsettled = None;
                    commit.remove(exchange, Next::Lost(key))
                }",
        },
        bounds: &[],
        plan: || with(Setting { renews: true, ..Setting::default() }, &[Read], 2),
        breaks: HONEST_TICKETS,
    },
    Mutation {
        name: "renew_through_a_pointer",
        rule: "a request that came through a pointer does not renew by itself",
        edit: Edit { file: PLAN, find: "        && admitted.standing.hops == 0\n", replace: "" },
        bounds: &[],
        plan: || with(Setting { renews: true, ..Setting::default() }, &[Change, Read], 0),
        breaks: RENEWAL,
    },
    Mutation {
        name: "renew_beyond_the_last_hop",
        rule: "pointers are followed, at most 8: no request makes one more of its ticket's",
        edit: Edit { file: PLAN, find: "loaded.rotate = false;", replace: "loaded.rotate = true;" },
        bounds: ONE_HOP,
        plan: || with(Setting { starts_renewed: true, ..Setting::default() }, &[Renew], 0),
        breaks: RENEWAL,
    },
];
