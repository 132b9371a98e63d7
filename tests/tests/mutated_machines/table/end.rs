//! End.

use super::{
    COMMIT, END, Edit, FINALITY, HONEST_COOKIES, HONEST_RESULTS, Mutation, PLAN, PROTOCOL, TIMES_TO_LIVE, closing,
    dropping, requests, with,
};
use crate::explore::Kind::{Change, Destroy, Read, Renew};

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "end_follows_no_pointer",
        rule: "Replace what is live by a tombstone, following pointers",
        edit: Edit {
            file: END,
            find: "Sight::Moved(moved, _) => return self.hop(moved.to, Why::End),",
            replace: "Sight::Moved(..) => return self.ended(End::AlreadyEnded),",
        },
        bounds: &[],
        plan: || requests(&[Destroy, Renew], 0),
        breaks: FINALITY,
    },
    Mutation {
        name: "end_by_remove",
        rule: "Replace what is live by a tombstone: a record that is only removed leaves no word that it ended",
        edit: Edit {
            file: END,
            find: "            return self.ask(Op::Remove { key: key.clone(), version }, State::Ending(key));
        }
",
            replace: "        }
        if !self.job.nonce.as_bytes().is_empty() {
            return self.ask(Op::Remove { key: key.clone(), version }, State::Ending(key));
        }
",
        },
        bounds: &[],
        plan: || requests(&[Destroy], 0),
        breaks: HONEST_COOKIES,
    },
    Mutation {
        name: "unknown_is_ended",
        rule: "End: Unknown is settled by looking",
        edit: Edit {
            file: PROTOCOL,
            find: "                commit.job.unsettled = Some(0);
                commit.look(key, Why::End)",
            replace: "                let _ = key;
                commit.ended(End::AlreadyEnded)",
        },
        bounds: &[],
        plan: || requests(&[Destroy], 1),
        breaks: FINALITY,
    },
    Mutation {
        name: "failed_is_ended",
        rule: "an end is acknowledged when it is done, not when it was asked for",
        edit: Edit {
            file: PROTOCOL,
            find: "(State::Ending(key), Outcome::Failed) => commit.fail_end(CommitError::Store, key),",
            replace: "(State::Ending(_), Outcome::Failed) => commit.ended(End::AlreadyEnded),",
        },
        bounds: &[],
        plan: || requests(&[Destroy], 1),
        breaks: FINALITY,
    },
    Mutation {
        name: "failed_look_is_ended",
        rule: "End: Unknown is settled by looking, and not when that fails",
        edit: Edit {
            file: PROTOCOL,
            find: "                Why::End => commit.fail_end(CommitError::Store, key),
",
            replace: "                Why::End => commit.ended(End::AlreadyEnded),
",
        },
        bounds: &[],
        plan: || requests(&[Destroy], 2),
        breaks: FINALITY,
    },
    Mutation {
        name: "failed_look_is_vanished",
        rule: "a store that is down is never an empty session: the cookie stays",
        edit: Edit {
            file: PROTOCOL,
            find: "                Why::End => commit.fail_end(CommitError::Store, key),
",
            replace: "                Why::End => commit.ended(End::Vanished),
",
        },
        bounds: &[],
        plan: || requests(&[Destroy], 2),
        breaks: HONEST_RESULTS,
    },
    Mutation {
        name: "conflict_is_ended",
        rule: "End: on conflict it is done again, over what is there",
        edit: Edit {
            file: PROTOCOL,
            find: "(State::Ending(key), Outcome::Conflict(Some(found))) => commit.saw_end(key, Some(found)),",
            replace: "(State::Ending(_), Outcome::Conflict(Some(_))) => commit.ended(End::AlreadyEnded),",
        },
        bounds: &[],
        plan: || requests(&[Change, Destroy], 0),
        breaks: FINALITY,
    },
    Mutation {
        name: "vanished_is_ended",
        rule: "a record that vanished after it was loaded is Vanished, not an acknowledged end",
        edit: Edit {
            file: END,
            find: "Sight::Absent => return self.ended(End::Vanished),",
            replace: "Sight::Absent => return self.ended(End::Ended),",
        },
        bounds: &[],
        plan: || dropping(&[Destroy, Renew]),
        breaks: FINALITY,
    },
    Mutation {
        name: "anothers_tombstone_is_ours",
        rule: "a removal cookie is sent only by the request whose own end succeeded",
        edit: Edit {
            file: END,
            find: "Sight::Ended(ended) if ended.by == self.job.nonce => return",
            replace: "Sight::Ended(ended) if ended.next.is_none() => return",
        },
        bounds: &[],
        plan: || requests(&[Destroy, Destroy], 0),
        breaks: HONEST_COOKIES,
    },
    Mutation {
        name: "already_ended_removes_the_cookie",
        rule: "a removal cookie is sent only by the request whose own end succeeded: already ended sends none",
        edit: Edit {
            file: END,
            find: "            End::Vanished => Some(Event::Vanished),
",
            replace: "            End::AlreadyEnded | End::Vanished => Some(Event::Vanished),
",
        },
        bounds: &[],
        plan: || requests(&[Destroy, Destroy], 0),
        breaks: HONEST_COOKIES,
    },
    Mutation {
        name: "nothing_to_end_removes_the_cookie",
        rule: "a ticket that opened nothing: NothingToEnd, and no removal cookie",
        edit: Edit {
            file: PLAN,
            find: "        let end = loaded.destroy.then_some(End::NothingToEnd);
        return",
            replace: "        let end = loaded.destroy.then_some(End::NothingToEnd);
        let line = crate::verdict::CookieLine { line: shell.policy.removal.clone(), more: Vec::new(), removes: true };
        shell.verdict.owed = end.map(|_| line);
        return",
        },
        bounds: &[],
        plan: || requests(&[Destroy, Destroy], 0),
        breaks: HONEST_COOKIES,
    },
    Mutation {
        name: "lost_removes_the_cookie",
        rule: "lost sends no removal cookie: the cookie jar may hold a newer ticket of the same name",
        edit: Edit {
            file: PROTOCOL,
            find: "            self.shell.verdict.events.push(Event::Lost);
        }
        if let",
            replace: "            let line = self.shell.policy.removal.clone();
            self.shell.verdict.owed = Some(crate::verdict::CookieLine { line, more: Vec::new(), removes: true });
        }
        if let",
        },
        bounds: &[],
        plan: || requests(&[Change, Destroy], 0),
        breaks: HONEST_COOKIES,
    },
    Mutation {
        name: "failed_end_removes_the_cookie",
        rule: "a failed end sends no removal cookie: the session lives, and its user must be able to end it",
        edit: Edit {
            file: END,
            find: "        self.job.end = Some(End::Failed);
",
            replace: "        self.job.end = Some(End::Failed);
        self.shell.verdict.owed = Some(crate::verdict::CookieLine { line: self.shell.policy.removal.clone(), more: Vec::new(), removes: true });
",
        },
        bounds: &[],
        plan: || requests(&[Destroy], 1),
        breaks: HONEST_COOKIES,
    },
    Mutation {
        name: "refused_end_removes_the_cookie",
        rule: "refused sends no removal cookie: the ticket was renewed away, and its successor may be in the jar",
        edit: Edit {
            file: PLAN,
            find: "    loaded.drop_edits();
    loaded.destroy.then_some(end)
",
            replace: "    loaded.drop_edits();
    let end = loaded.destroy.then_some(end);
    let line = crate::verdict::CookieLine { line: shell.policy.removal.clone(), more: Vec::new(), removes: true };
    shell.verdict.owed = end.map(|_| line);
    end
",
        },
        bounds: &[],
        plan: || with(closing(), &[Destroy, Read], 0),
        breaks: HONEST_COOKIES,
    },
    Mutation {
        name: "tombstone_runs_out",
        rule: "tombstones outlive every admitted request: their TTL is at least max_request plus skew",
        edit: Edit {
            file: COMMIT,
            find: "at_least.max(policy.max_request).saturating_add(policy.skew)",
            replace: "at_least.max(policy.superseded)",
        },
        bounds: &[],
        plan: || requests(&[Destroy], 0),
        breaks: TIMES_TO_LIVE,
    },
];
