//! Renew.

use super::{
    Edit, FINALITY, HONEST_COOKIES, HONEST_TICKETS, Mutation, NO_LOST_UPDATE, ONE_HOP, ONE_RECORD, PLAN, PROTOCOL,
    RENEWAL, dropping, requests, with,
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
            file: PROTOCOL,
            find: "                self.ask(
                    op,
                    State::Opening(Renewal { fresh,",
            replace: "                let owed = Some(CookieLine { line: fresh.line.clone(), removes: false });
                let shell = Shell { owed, ..self.shell };
                Self { shell, ..self }.ask(
                    op,
                    State::Opening(Renewal { fresh,",
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
            find: "(State::Opening(renewal), Outcome::Done(version)) => {
                commit.swing(",
            replace: "(State::Opening(renewal), Outcome::Done(version)) => {
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
            find: "(State::Opening(renewal), Outcome::Failed | Outcome::Unknown) => commit.fall_back(renewal),",
            replace: "(State::Opening(renewal), Outcome::Failed) => commit.fall_back(renewal),
            (State::Opening(renewal), Outcome::Unknown) => commit.swing(renewal),",
        },
        bounds: &[],
        plan: || requests(&[Renew], 1),
        breaks: HONEST_COOKIES,
    },
    Mutation {
        name: "new_is_not_brought_up_to_date",
        rule: "on conflict with a newer record Replace(new) with everything replayed, and again",
        edit: Edit {
            file: PROTOCOL,
            find: "                        renewal.fresh = fresh;
                        renewal.written_at = self.job.now;
                        self.refresh(renewal)",
            replace: "                        let _ = fresh;
                        self.swing(renewal)",
        },
        bounds: &[],
        plan: || requests(&[Change, Renew], 0),
        breaks: NO_LOST_UPDATE,
    },
    Mutation {
        name: "edits_are_not_replayed_on_new",
        rule: "on conflict with a newer record Replace(new) with everything replayed, the renewal's own edits too",
        edit: Edit {
            file: PROTOCOL,
            find: "if let Err(error) = self.job.replay(&mut live.record) {
                    return",
            replace: "if let Err(error) = self.job.count_replay() {
                    return",
        },
        bounds: &[],
        plan: || requests(&[Change, Rotate], 0),
        breaks: NO_LOST_UPDATE,
    },
    Mutation {
        name: "pointer_to_an_older_new",
        rule: "the pointer is never swung to a record that is not known to hold what was last written",
        edit: Edit {
            file: PROTOCOL,
            find: "Ok(()) if is_written => self.swing(renewal),",
            replace: "Ok(()) if is_written || !is_written => self.swing(renewal),",
        },
        bounds: &[],
        plan: || requests(&[Change, Renew], 1),
        breaks: NO_LOST_UPDATE,
    },
    Mutation {
        name: "publish_on_anothers_pointer",
        rule: "on another's pointer remove new, follow, publish nothing",
        edit: Edit {
            file: PROTOCOL,
            find: "Sight::Moved(moved, _) => self.abandon(renewal, Next::Follow(moved.to)),",
            replace: "Sight::Moved(..) => self.publish(renewal),",
        },
        bounds: &[],
        plan: || requests(&[Renew, Renew], 0),
        breaks: ONE_RECORD,
    },
    Mutation {
        name: "edits_do_not_follow_anothers_pointer",
        rule: "on another's pointer follow, commit the edits there",
        edit: Edit {
            file: PROTOCOL,
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
            file: PROTOCOL,
            find: "Sight::Ended(_) => self.abandon(renewal, Next::Lost(key)),",
            replace: "Sight::Ended(_) => self.publish(renewal),",
        },
        bounds: &[],
        plan: || requests(&[Destroy, Renew], 0),
        breaks: FINALITY,
    },
    Mutation {
        name: "publish_on_absent",
        rule: "on Absent Lost, and leave new to expire",
        edit: Edit {
            file: PROTOCOL,
            find: "Sight::Absent => self.lost(key),",
            replace: "Sight::Absent => self.publish(renewal),",
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
                commit.look(renewal.old.clone(), Why::Swing(renewal))",
            replace: "                commit.publish(renewal)",
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
            replace: "Why::Swing(renewal) => commit.abandon(renewal, Next::Lost(key)),",
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
