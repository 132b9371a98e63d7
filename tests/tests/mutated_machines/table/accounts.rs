//! Logins, elevations, and the sessions of a user.

use super::{
    ADMISSION, CARRIED_OVER, CHANGE, COMMIT, END, ENDING, EXCHANGE, Edit, FINALITY, GIVEN_UP, HONEST_RESULTS,
    HONEST_TICKETS, IN_THE_INDEX, Mutation, NO_LOST_UPDATE, NOT_FROM_THE_ENDED, ONE_RECORD, PROTOCOL, requests,
    signed_in,
};
use crate::explore::Kind::{Change, Destroy, Elevate, EndAll, EndOthers, Expire, Login, LoginCarry, Renew};

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "published_before_the_old_one_ended",
        rule: "a login publishes its ticket once the session before it has ended",
        edit: Edit {
            file: EXCHANGE,
            find: "    pub(crate) fn swing(self: Box<Self>, exchange: Box<Exchange>) -> Step {
",
            replace: "    pub(crate) fn swing(self: Box<Self>, exchange: Box<Exchange>) -> Step {
        if exchange.reason == Reason::Login {
            return self.publish(exchange);
        }
",
        },
        bounds: &[],
        plan: || requests(&[Login], 0),
        breaks: FINALITY,
    },
    Mutation {
        name: "pointer_after_login",
        rule: "a login leaves a tombstone that leads nowhere, and no pointer",
        edit: Edit {
            file: COMMIT,
            find: "Reason::Login => self.ended(policy, old, EndCause::Login, None),",
            replace: "Reason::Login => self.pointer(policy, old, &exchange.fresh),",
        },
        bounds: &[],
        plan: || requests(&[Login], 0),
        breaks: FINALITY,
    },
    Mutation {
        name: "login_follows_no_pointer",
        rule: "a login ends the session before it where it lives, and follows pointers to it",
        edit: Edit {
            file: EXCHANGE,
            find: "(Reason::Elevation | Reason::Login, Sight::Moved(moved, _)) => self.pursue(moved.to, exchange),",
            replace: "(Reason::Elevation, Sight::Moved(moved, _)) => self.pursue(moved.to, exchange),
            (Reason::Login, Sight::Moved(..)) => self.publish(exchange),",
        },
        bounds: &[],
        plan: || requests(&[Login, Renew], 0),
        breaks: FINALITY,
    },
    Mutation {
        name: "login_follows_no_elevation",
        rule: "a login ends the session before it where it lives, and follows elevations to it",
        edit: Edit { file: EXCHANGE, find: "Some(next) => self.pursue(next, exchange),", replace: "Some(_) => self.alone(exchange, End::AlreadyEnded)," },
        bounds: &[],
        plan: || signed_in(&[Elevate, Login], 0),
        breaks: FINALITY,
    },
    Mutation {
        name: "unknown_is_signed_in",
        rule: "the end of the session before a login is settled by looking",
        edit: Edit {
            file: PROTOCOL,
            find: "                commit.job.unsettled = Some(0);
                let key = commit.op().key().clone();
                commit.look(key, Why::Swing(exchange))",
            replace: "                if exchange.reason == Reason::Login {
                    return commit.publish(exchange);
                }
                commit.job.unsettled = Some(0);
                let key = commit.op().key().clone();
                commit.look(key, Why::Swing(exchange))",
        },
        bounds: &[],
        plan: || requests(&[Login], 1),
        breaks: FINALITY,
    },
    Mutation {
        name: "carry_is_not_brought_up_to_date",
        rule: "what a login carries over is taken anew from what another request wrote meanwhile",
        edit: Edit {
            file: EXCHANGE,
            find: "(Reason::Login, Sight::Record(live)) if self.job.carries_nothing() => match",
            replace: "(Reason::Login, Sight::Record(live)) => match",
        },
        bounds: &[],
        plan: || requests(&[Change, LoginCarry], 0),
        breaks: CARRIED_OVER,
    },
    Mutation {
        name: "carried_from_an_ended_session",
        rule: "a login that finds the session before it ended by another request carries nothing over",
        edit: Edit {
            file: EXCHANGE,
            find: "        if self.job.carries_nothing() {
            return self.publish(exchange);
        }
",
            replace: "        if !self.job.nonce.as_bytes().is_empty() {
            return self.publish(exchange);
        }
",
        },
        bounds: &[],
        plan: || requests(&[Destroy, LoginCarry], 0),
        breaks: NOT_FROM_THE_ENDED,
    },
    Mutation {
        name: "lost_though_it_may_be_carried_over",
        rule: "a change in doubt that finds the tombstone of a login may have been carried over: OutcomeUnknown",
        edit: Edit {
            file: CHANGE,
            find: "Sight::Ended(ended) if self.job.unsettled.is_some() && ended.cause != EndCause::Destroy =>",
            replace: "Sight::Ended(ended) if self.job.unsettled.is_some() && ended.at > self.job.now =>",
        },
        bounds: &[],
        plan: || requests(&[Change, LoginCarry], 1),
        breaks: NO_LOST_UPDATE,
    },
    Mutation {
        name: "pointer_after_elevation",
        rule: "an elevation leaves a tombstone, and no pointer: the old ticket opens nothing from then on",
        edit: Edit {
            file: COMMIT,
            find: "Reason::Elevation => self.ended(policy, old, EndCause::Elevation, Some(exchange.fresh.key.clone())),",
            replace: "Reason::Elevation => self.pointer(policy, old, &exchange.fresh),",
        },
        bounds: &[],
        plan: || signed_in(&[Elevate], 0),
        breaks: GIVEN_UP,
    },
    Mutation {
        name: "elevation_leads_nowhere",
        rule: "the tombstone of an elevation names what it made, so that an end with the old ticket strikes that",
        edit: Edit {
            file: COMMIT,
            find: "self.ended(policy, old, EndCause::Elevation, Some(exchange.fresh.key.clone())),",
            replace: "self.ended(policy, old, EndCause::Elevation, None),",
        },
        bounds: &[],
        plan: || signed_in(&[Destroy, Elevate], 0),
        breaks: FINALITY,
    },
    Mutation {
        name: "elevation_follows_no_pointer",
        rule: "an elevation follows a renewal to where the session lives",
        edit: Edit {
            file: EXCHANGE,
            find: "(Reason::Elevation | Reason::Login, Sight::Moved(moved, _)) => self.pursue(moved.to, exchange),",
            replace: "(Reason::Elevation, Sight::Moved(..)) => self.abandon(exchange, Next::Lost(key)),
            (Reason::Login, Sight::Moved(moved, _)) => self.pursue(moved.to, exchange),",
        },
        bounds: &[],
        plan: || signed_in(&[Elevate, Renew], 0),
        breaks: HONEST_RESULTS,
    },
    Mutation {
        name: "elevation_published_beside_a_renewal",
        rule: "an elevation publishes nothing before it ended what the session has become",
        edit: Edit {
            file: EXCHANGE,
            find: "(Reason::Elevation | Reason::Login, Sight::Moved(moved, _)) => self.pursue(moved.to, exchange),",
            replace: "(Reason::Elevation, Sight::Moved(..)) => self.publish(exchange),
            (Reason::Login, Sight::Moved(moved, _)) => self.pursue(moved.to, exchange),",
        },
        bounds: &[],
        plan: || signed_in(&[Elevate, Renew], 0),
        breaks: ONE_RECORD,
    },
    Mutation {
        name: "end_follows_no_elevation",
        rule: "an end follows what an elevation made",
        edit: Edit {
            file: END,
            find: "            Sight::Ended(Ended { next: Some(next), .. }) => return self.hop(next, Why::End),
",
            replace: "",
        },
        bounds: &[],
        plan: || signed_in(&[Destroy, Elevate], 0),
        breaks: FINALITY,
    },
    Mutation {
        name: "given_up_ticket_ends_nothing",
        rule: "a ticket that an elevation gave up still ends what the elevation made",
        edit: Edit {
            file: ADMISSION,
            find: "Opened::Superseded(ended.next.map(|next| target(next, None)))",
            replace: "Opened::Superseded(ended.next.map(|next| target(next, None)).filter(|_| false))",
        },
        bounds: &[],
        plan: || signed_in(&[Destroy, Elevate], 0),
        breaks: FINALITY,
    },
    Mutation {
        name: "login_is_in_no_index",
        rule: "a login puts its key into the index of its user before anybody is told of it",
        edit: Edit {
            file: EXCHANGE,
            find: "let Some(index) = self.index_of(record) else {",
            replace: "let Some(index) = self.index_of(record).filter(|_| exchange.reason != Reason::Login) else {",
        },
        bounds: &[],
        plan: || requests(&[Login], 0),
        breaks: IN_THE_INDEX,
    },
    Mutation {
        name: "renewal_is_in_no_index",
        rule: "a renewal puts its key into the index of its user before the old key leads to it",
        edit: Edit {
            file: EXCHANGE,
            find: "let Some(index) = self.index_of(record) else {",
            replace: "let Some(index) = self.index_of(record).filter(|_| exchange.reason != Reason::Renewal) else {",
        },
        bounds: &[],
        plan: || signed_in(&[Renew], 0),
        breaks: IN_THE_INDEX,
    },
    Mutation {
        name: "taken_out_before_the_pointer_swings",
        rule: "the old key is taken out of the index only when it leads to the new one",
        edit: Edit {
            file: PROTOCOL,
            find: "            (State::Enrolling(exchange), Outcome::Indexed | Outcome::Unsupported) => commit.swing(exchange),",
            replace: "            (State::Enrolling(exchange), Outcome::Indexed) if matches!(commit.op, Some(Op::Enroll { .. })) => {
                match (commit.job.index.clone(), exchange.old_key()) {
                    (Some(index), Some(member)) => commit.ask(Op::Unenroll { index, member }, State::Enrolling(exchange)),
                    _ => commit.swing(exchange),
                }
            }
            (State::Enrolling(exchange), Outcome::Indexed | Outcome::Unsupported) => commit.swing(exchange),",
        },
        bounds: &[],
        plan: || signed_in(&[Renew], 0),
        breaks: IN_THE_INDEX,
    },
    Mutation {
        name: "failed_end_is_taken_out",
        rule: "a session is taken out of the index when it has ended, and not when that failed",
        edit: Edit {
            file: PROTOCOL,
            find: "(State::Ending(key), Outcome::Failed) => commit.fail_end(CommitError::Store, key),",
            replace: "(State::Ending(key), Outcome::Failed) if commit.job.index.is_some() => {
                let index = commit.job.index.take();
                commit.unenroll(key.clone(), index, Next::Failed(CommitError::Store, Some(key)))
            }
            (State::Ending(key), Outcome::Failed) => commit.fail_end(CommitError::Store, key),",
        },
        bounds: &[],
        plan: || signed_in(&[Destroy], 1),
        breaks: IN_THE_INDEX,
    },
    Mutation {
        name: "end_of_all_follows_no_pointer",
        rule: "an end of all sessions follows those that are renewed meanwhile",
        edit: Edit {
            file: ENDING,
            find: "Sight::Moved(moved, _) => return self.load(member, moved.to, hops + 1),",
            replace: "Sight::Moved(..) => return self.unenroll(member),",
        },
        bounds: &[],
        plan: || signed_in(&[EndAll, Renew], 0),
        breaks: FINALITY,
    },
    Mutation {
        name: "end_of_all_follows_no_elevation",
        rule: "an end of all sessions follows those that are elevated meanwhile",
        edit: Edit {
            file: ENDING,
            find: "Sight::Ended(Ended { next: Some(next), .. }) => return self.load(member, next, hops + 1),",
            replace: "Sight::Ended(Ended { next: Some(_), .. }) => return self.unenroll(member),",
        },
        bounds: &[],
        plan: || signed_in(&[Elevate, EndAll], 0),
        breaks: FINALITY,
    },
    Mutation {
        name: "stale_list_is_trusted",
        rule: "what was listed so long ago that tombstones may have run out is listed again",
        edit: Edit {
            file: ENDING,
            find: "        self.is_stale |= now.since(self.listed_at) > longest;
",
            replace: "",
        },
        bounds: &[],
        plan: || signed_in(&[Elevate, EndAll, Expire], 0),
        breaks: FINALITY,
    },
    Mutation {
        name: "end_of_many_goes_on_after_a_failure",
        rule: "an end of many is acknowledged when all have ended, and not when one could not be",
        edit: Edit {
            file: ENDING,
            find: "                Err(error @ (CommitError::OutcomeUnknown | CommitError::Store)) => {
                    RosterStep::Done(Err(RosterError::End(error)))
                }",
            replace: "                Err(CommitError::OutcomeUnknown | CommitError::Store) => self.next(now),",
        },
        bounds: &[],
        plan: || signed_in(&[EndAll], 1),
        breaks: FINALITY,
    },
    Mutation {
        name: "end_of_others_spares_nobody",
        rule: "an end of the other sessions spares the one that asks",
        edit: Edit {
            file: ENDING,
            find: "self.which == Which::Others && self.current == Some(lineage)",
            replace: "self.which == Which::Others && self.current != Some(lineage) && self.rounds == 0",
        },
        bounds: &[],
        plan: || signed_in(&[EndOthers], 0),
        breaks: HONEST_TICKETS,
    },
    Mutation {
        name: "end_of_others_spares_a_key_alone",
        rule: "an end of the other sessions spares all of its lineage, and not its key alone",
        edit: Edit {
            file: ENDING,
            find: "Sight::Record(Live { record, .. }) if self.spares(record.lineage) =>",
            replace: "Sight::Record(Live { record, .. }) if hops == 0 && self.spares(record.lineage) =>",
        },
        bounds: &[],
        plan: || signed_in(&[EndOthers, Renew], 0),
        breaks: HONEST_TICKETS,
    },
];
