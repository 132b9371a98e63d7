//! How many sessions a user may have: a login counts them, itself included, before it is told to anybody.

use std::sync::Arc;

use crate::{
    id::Handle,
    login::Excess,
    machine::{
        commit::Exchange,
        protocol::{Commit, State},
    },
    roster::{Ending, Listed, Listing, RosterError, RosterStep, Which},
    step::{CommitError, Step},
};

impl Commit {
    pub(crate) fn count(self: Box<Self>, exchange: Box<Exchange>) -> Step {
        match &self.job.entry {
            Some(login) => {
                let user = login.sign_in.principal.clone();
                let step = Listing::start(Arc::clone(&self.shell.policy), user, login.replaced);
                self.counted(exchange, step)
            }
            None => self.swing(exchange),
        }
    }

    pub(crate) fn counted(self: Box<Self>, exchange: Box<Exchange>, step: RosterStep<Vec<Listed>>) -> Step {
        let mut listed = match step {
            RosterStep::Io(io) => {
                let op = io.op().clone();
                return self.ask(op, State::Counting(exchange, io));
            }
            RosterStep::Done(Ok(listed)) => listed,
            RosterStep::Done(Err(error)) => return self.give_up(error_of(error), exchange),
        };
        // The session that gives way does not count, wherever a renewal has taken it.
        listed.retain(|listed| !listed.current);
        let new = exchange.fresh.key.handle();
        // Newest first, in an order that all logins of the user see alike.
        let place = listed.iter().position(|listed| listed.handle == new);
        match (self.job.limit(), place) {
            // Somebody ended it meanwhile.
            (Some(_), None) => self.give_up(CommitError::Lost, exchange),
            (Some((most, Excess::Refuse)), _) if listed.len() > most => {
                self.give_up(CommitError::TooManySessions, exchange)
            }
            // Of logins at the same time only those give way that come after: never each to the other.
            (Some((most, Excess::EndOldest)), Some(place)) if place >= most => {
                self.give_up(CommitError::Contention, exchange)
            }
            (Some((most, Excess::EndOldest)), _) => {
                let excess = listed.split_off(listed.len().min(most));
                self.expel(exchange, excess.into_iter().map(|listed| listed.handle).collect())
            }
            _ => self.swing(exchange),
        }
    }

    fn expel(self: Box<Self>, exchange: Box<Exchange>, mut rest: Vec<Handle>) -> Step {
        let (Some(handle), Some(login)) = (rest.pop(), &self.job.entry) else { return self.swing(exchange) };
        let policy = Arc::clone(&self.shell.policy);
        let step = Ending::with_nonce(
            policy,
            &login.sign_in.principal,
            Which::One(handle),
            None,
            self.job.now,
            self.job.nonce,
        );
        self.expelled(exchange, step, rest)
    }

    pub(crate) fn expelled(self: Box<Self>, exchange: Box<Exchange>, step: RosterStep<u64>, rest: Vec<Handle>) -> Step {
        match step {
            RosterStep::Io(io) => {
                let op = io.op().clone();
                self.ask(op, State::Expelling(exchange, io, rest))
            }
            // It has ended meanwhile, or has a new id.
            RosterStep::Done(Ok(_) | Err(RosterError::UnknownHandle)) => self.expel(exchange, rest),
            RosterStep::Done(Err(error)) => self.give_up(error_of(error), exchange),
        }
    }
}

fn error_of(error: RosterError) -> CommitError {
    match error {
        RosterError::Contention => CommitError::Contention,
        RosterError::End(error) => error,
        RosterError::NoIndex => CommitError::NoIndex,
        RosterError::Undecodable(error) => CommitError::Undecodable(error),
        RosterError::UnexpectedOutcome => CommitError::UnexpectedOutcome,
        RosterError::Entropy | RosterError::Store | RosterError::UnknownHandle => CommitError::Store,
    }
}
