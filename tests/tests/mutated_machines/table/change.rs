//! Change.

use super::{
    CHANGE, COMMIT, Edit, FINALITY, HONEST_RESULTS, Mutation, NO_LOST_UPDATE, NONE_TWICE, ONE_NONCE, PROTOCOL, TOUCH,
    dropping, markerless, requests, with,
};
use crate::explore::Kind::{Change, Destroy, Read, Renew};

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "replace_over_others",
        rule: "on conflict, replay the edits over what is there",
        edit: Edit {
            file: CHANGE,
            find: "        if let Some(base) = self.job.unsettled {
            let attempt = attempt.filter(",
            replace: "        if self.job.unsettled.is_none()
            && let Some(attempt) = attempt
        {
            return self.replace(Attempt { key, version: live.version, ..attempt });
        }
        if let Some(base) = self.job.unsettled {
            let attempt = None::<Attempt>.filter(",
        },
        bounds: &[],
        plan: || requests(&[Change, Change], 0),
        breaks: NO_LOST_UPDATE,
    },
    Mutation {
        name: "create_after_absent",
        rule: "never fall back to Create: on Absent, Lost",
        edit: Edit {
            file: PROTOCOL,
            find: "(State::Changing(attempt), Outcome::Absent) => commit.saw_change(attempt.key, None, None),",
            replace: "(State::Changing(attempt), Outcome::Absent) => {
                let (value, ttl) = (attempt.draft.value.clone(), attempt.draft.ttl);
                let op = Op::Create { key: attempt.key.clone(), value, ttl };
                commit.ask(op, State::Changing(attempt))
            }",
        },
        bounds: &[],
        plan: || dropping(&[Change, Destroy]),
        breaks: FINALITY,
    },
    Mutation {
        name: "follow_no_pointer",
        rule: "on conflict, follow pointers to what is live",
        edit: Edit {
            file: CHANGE,
            find: "Sight::Moved(moved, _) => return self.hop(moved.to, Why::Change(None)),",
            replace: "Sight::Moved(..) => return self.lost(key),",
        },
        bounds: &[],
        plan: || requests(&[Change, Renew], 0),
        breaks: HONEST_RESULTS,
    },
    Mutation {
        name: "unknown_is_done",
        rule: "on Unknown, load: it may not have happened",
        edit: Edit {
            file: PROTOCOL,
            find: "                commit.job.unsettled.get_or_insert(attempt.draft.record.commits - 1);
                commit.look(attempt.key.clone(), Why::Change(Some(attempt)))",
            replace: "                let version = attempt.version.clone();
                commit.changed(attempt, version)",
        },
        bounds: &[],
        plan: || requests(&[Change], 1),
        breaks: NO_LOST_UPDATE,
    },
    Mutation {
        name: "unknown_is_failed",
        rule: "on Unknown, load: it may have happened, or will happen later",
        edit: Edit {
            file: PROTOCOL,
            find: "                commit.job.unsettled.get_or_insert(attempt.draft.record.commits - 1);
                commit.look(attempt.key.clone(), Why::Change(Some(attempt)))",
            replace: "                commit.fail(CommitError::Store, Some(attempt.key))",
        },
        bounds: &[],
        plan: || requests(&[Change], 1),
        breaks: NO_LOST_UPDATE,
    },
    Mutation {
        name: "doubt_is_denied",
        rule: "what cannot be settled is OutcomeUnknown, never a plain failure",
        edit: Edit {
            file: PROTOCOL,
            find: "    pub(crate) fn fail(mut self: Box<Self>, error: CommitError, key: Option<StoreKey>) -> Step {
        let error = if self.job.unsettled.is_some() { CommitError::OutcomeUnknown } else { error };
",
            replace: "    pub(crate) fn fail(mut self: Box<Self>, error: CommitError, key: Option<StoreKey>) -> Step {
",
        },
        bounds: &[],
        plan: || requests(&[Change], 2),
        breaks: NO_LOST_UPDATE,
    },
    Mutation {
        name: "absent_settles_doubt",
        rule: "on Unknown and then Absent, what was written may have gone on under another key",
        edit: Edit {
            file: CHANGE,
            find: "            Sight::Absent if self.job.unsettled.is_some() => return self.fail(CommitError::OutcomeUnknown, Some(key)),
",
            replace: "",
        },
        bounds: &[],
        plan: || with(markerless(), &[Change, Renew], 1),
        breaks: NO_LOST_UPDATE,
    },
    Mutation {
        name: "lost_is_acknowledged",
        rule: "on a tombstone or Absent: Lost",
        edit: Edit {
            file: PROTOCOL,
            find: "self.fail(CommitError::Lost, Some(key))",
            replace: "self.finish_again(key)",
        },
        bounds: &[],
        plan: || with(markerless(), &[Change, Renew], 0),
        breaks: NO_LOST_UPDATE,
    },
    Mutation {
        name: "no_nonce",
        rule: "ours is among the nonces of the last commits: done. An update is never applied twice",
        edit: Edit { file: CHANGE, find: "if live.record.nonces.contains(self.job.nonce) {", replace: "if false {" },
        bounds: &[],
        plan: || requests(&[Change, Change], 1),
        breaks: NONE_TWICE,
    },
    Mutation {
        name: "no_counter",
        rule: "the counter has moved on by as many as are kept and ours is not among them: OutcomeUnknown",
        edit: Edit {
            file: CHANGE,
            find: "let kept = live.record.commits <= base.saturating_add(NONCES_KEPT as u64);",
            replace: "let kept = base < u64::MAX;",
        },
        bounds: ONE_NONCE,
        plan: || requests(&[Change, Change], 1),
        breaks: NONE_TWICE,
    },
    Mutation {
        name: "renewal_drops_nonces",
        rule: "the record carries the nonces of its last commits, also across renewals",
        edit: Edit {
            file: COMMIT,
            find: "        record.predecessor = policy.has_pointers().then_some(old);
",
            replace: "        record.predecessor = policy.has_pointers().then_some(old);
        record.nonces = Default::default();
",
        },
        bounds: &[],
        plan: || requests(&[Change, Renew], 1),
        breaks: NONE_TWICE,
    },
    Mutation {
        name: "renewal_resets_the_counter",
        rule: "the record carries its commit counter, also across renewals",
        edit: Edit {
            file: COMMIT,
            find: "        record.predecessor = policy.has_pointers().then_some(old);
",
            replace: "        record.predecessor = policy.has_pointers().then_some(old);
        record.commits = 0;
",
        },
        bounds: ONE_NONCE,
        plan: || requests(&[Change, Renew], 1),
        breaks: NONE_TWICE,
    },
    Mutation {
        name: "doubt_ends_early",
        rule: "Unknown may also happen later: as long as the version is the same, the write may still land",
        edit: Edit {
            file: CHANGE,
            find: "attempt.filter(|attempt| attempt.key == key && attempt.version == live.version);",
            replace: "attempt.filter(|_| false);",
        },
        bounds: &[],
        plan: || requests(&[Change, Change], 2),
        breaks: NO_LOST_UPDATE,
    },
    Mutation {
        name: "failed_load_is_absent",
        rule: "a store that is down is never an empty session",
        edit: Edit {
            file: PROTOCOL,
            find: "Why::Change(_) => commit.fail(CommitError::Store, Some(key)),",
            replace: "why @ Why::Change(_) => commit.saw(key, None, why),",
        },
        bounds: &[],
        plan: || requests(&[Change, Renew], 1),
        breaks: HONEST_RESULTS,
    },
    Mutation {
        name: "touch_over_others",
        rule: "Touch: only if unchanged, and a conflict is ignored",
        edit: Edit {
            file: PROTOCOL,
            find: "            (State::Touching(live), _) => commit.rested(live),",
            replace: "            (State::Touching(live), Outcome::Conflict(Some(found))) => {
                commit.touch(Live { version: found.version, ..live })
            }
            (State::Touching(live), _) => commit.rested(live),",
        },
        bounds: &[],
        plan: || requests(&[Change, Read], 0),
        breaks: TOUCH,
    },
];
