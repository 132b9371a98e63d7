//! The end of many sessions of a user. Each ends by the protocol's own flow, through pointers and elevations.

use core::mem;
use std::sync::Arc;

use crate::{
    engine::Policy,
    entropy::Entropy,
    id::StoreKey,
    limits::{DEFAULT_MAX_REQUEST, MAX_HOPS, MAX_ROUNDS},
    machine::{
        commit::{EndTarget, Job, Live, Sight},
        protocol::Commit,
    },
    op::{Op, Outcome},
    principal::Principal,
    record::{Ended, Nonce},
    roster::{RosterError, RosterIo, RosterMachine, RosterStep, Which},
    session::Shell,
    step::{CommitError, Io, Step},
    time::UnixTime,
    value::Stored,
};

/// An end of many that waits for an operation.
pub(crate) struct Ending {
    policy: Arc<Policy>,
    index: StoreKey,
    which: Which,
    /// The session that asks.
    current: Option<Nonce>,
    nonce: Nonce,
    /// What is still to be looked at, last first.
    rest: Vec<StoreKey>,
    rounds: u32,
    /// When the index was last asked for: what it listed may be as old.
    listed_at: UnixTime,
    /// This round had something to end.
    is_busy: bool,
    /// In this round something took so long that pointers and tombstones may have run out since it began.
    is_stale: bool,
    ended: u64,
    /// Why the first could not be ended of those that were not.
    failed: Option<RosterError>,
    state: State,
}

enum State {
    Ending(StoreKey, Io),
    Listing,
    /// The member of the index, where its pointers have led to, and how many those were.
    Loading(StoreKey, StoreKey, u32),
    Unenrolling,
}

impl Ending {
    pub(crate) fn start(
        policy: Arc<Policy>,
        principal: &Principal,
        which: Which,
        current: Option<Nonce>,
        now: UnixTime,
        entropy: &mut dyn Entropy,
    ) -> RosterStep<u64> {
        let mut nonce = [0; Nonce::LEN];
        if entropy.fill_nonce(&mut nonce).is_err() {
            return RosterStep::Done(Err(RosterError::Entropy));
        }
        Self::with_nonce(policy, principal, which, current, now, Nonce::from_bytes(nonce))
    }

    /// Ends them in the name of a commit.
    pub(crate) fn with_nonce(
        policy: Arc<Policy>,
        principal: &Principal,
        which: Which,
        current: Option<Nonce>,
        now: UnixTime,
        nonce: Nonce,
    ) -> RosterStep<u64> {
        Self {
            index: policy.keys.index_key(principal),
            policy,
            which,
            current,
            nonce,
            rest: Vec::new(),
            rounds: 0,
            listed_at: UnixTime::EPOCH,
            is_busy: false,
            is_stale: false,
            ended: 0,
            failed: None,
            state: State::Listing,
        }
        .list(now)
    }

    fn list(mut self, now: UnixTime) -> RosterStep<u64> {
        self.listed_at = now;
        self.is_busy = false;
        self.is_stale = false;
        self.rounds += 1;
        if self.rounds > MAX_ROUNDS {
            return RosterStep::Done(Err(RosterError::Contention));
        }
        let op = Op::List { index: self.index.clone() };
        self.ask(op, State::Listing)
    }

    fn ask(self, op: Op, state: State) -> RosterStep<u64> {
        RosterIo::ask(op, Self { state, ..self })
    }

    fn next(mut self, now: UnixTime) -> RosterStep<u64> {
        // Whatever this engine is set to: markers of others live no longer than theirs.
        let longest = self.policy.max_request.min(DEFAULT_MAX_REQUEST);
        self.is_stale |= now.since(self.listed_at) > longest;
        let again = self.is_stale || (self.is_busy && !matches!(self.which, Which::One(_)));
        match self.rest.pop() {
            Some(key) => self.load(key.clone(), key, 0),
            None => match self.failed {
                Some(error) => RosterStep::Done(Err(error)),
                None if again => self.list(now),
                None => RosterStep::Done(Ok(self.ended)),
            },
        }
    }

    /// Goes on with the others: one that cannot be ended is no reason to leave them.
    fn leave(mut self, error: RosterError, now: UnixTime) -> RosterStep<u64> {
        self.failed.get_or_insert(error);
        self.next(now)
    }

    fn load(self, member: StoreKey, key: StoreKey, hops: u32) -> RosterStep<u64> {
        self.ask(Op::Load { key: key.clone() }, State::Loading(member, key, hops))
    }

    fn listed(mut self, members: Vec<StoreKey>, now: UnixTime) -> RosterStep<u64> {
        self.rest = match self.which {
            Which::All | Which::Others => members,
            Which::One(handle) => members.into_iter().filter(|key| key.handle() == handle).collect(),
        };
        if self.rest.is_empty() && self.rounds == 1 && matches!(self.which, Which::One(_)) {
            return RosterStep::Done(Err(RosterError::UnknownHandle));
        }
        self.next(now)
    }

    fn loaded(
        self,
        member: StoreKey,
        key: StoreKey,
        hops: u32,
        found: Option<Stored>,
        now: UnixTime,
    ) -> RosterStep<u64> {
        let version = match Sight::of(&self.policy, &key, found) {
            Sight::Moved(_, _) if hops == MAX_HOPS => return self.leave(RosterError::Contention, now),
            Sight::Moved(moved, _) => return self.load(member, moved.to, hops + 1),
            Sight::Ended(Ended { next: Some(_), .. }) if hops == MAX_HOPS => {
                return self.leave(RosterError::Contention, now);
            }
            Sight::Ended(Ended { next: Some(next), .. }) => return self.load(member, next, hops + 1),
            Sight::Absent | Sight::Ended(_) => return self.unenroll(member),
            Sight::Record(Live { record, .. }) if self.spares(record.lineage) => return self.next(now),
            Sight::Record(live) => live.version,
            Sight::Undecodable(version, error) if error.may_be_ended() => version,
            Sight::Undecodable(_, error) => return self.leave(RosterError::Undecodable(error), now),
        };
        let job = Job::new(self.nonce, now, now);
        let commit = Commit::new(Shell::of_engine(Arc::clone(&self.policy)), job);
        let step = commit.end(EndTarget { key, version: Some(version), loaded_at: now });
        self.goes_on(member, step, now)
    }

    fn spares(&self, lineage: Nonce) -> bool {
        self.which == Which::Others && self.current == Some(lineage)
    }

    fn goes_on(mut self, member: StoreKey, step: Step, now: UnixTime) -> RosterStep<u64> {
        match step {
            Step::Io(io) => {
                let op = io.op().clone();
                self.ask(op, State::Ending(member, io))
            }
            Step::Done(done) => match done.result() {
                // What vanished is as dead as what was ended.
                Ok(()) | Err(CommitError::Vanished) => {
                    self.is_busy = true;
                    self.ended += 1;
                    self.unenroll(member)
                }
                Err(CommitError::TooLate) => {
                    self.is_stale = true;
                    self.next(now)
                }
                // A store that is down is down for all.
                Err(error @ (CommitError::OutcomeUnknown | CommitError::Store)) => {
                    RosterStep::Done(Err(RosterError::End(error)))
                }
                Err(error) => self.leave(RosterError::End(error), now),
            },
        }
    }

    fn unenroll(self, member: StoreKey) -> RosterStep<u64> {
        let op = Op::Unenroll { index: self.index.clone(), member };
        self.ask(op, State::Unenrolling)
    }
}

impl RosterMachine<u64> for Ending {
    fn resume(mut self: Box<Self>, outcome: Outcome, now: UnixTime) -> RosterStep<u64> {
        match (mem::replace(&mut self.state, State::Unenrolling), outcome) {
            (State::Ending(member, io), outcome) => {
                let step = io.resume(outcome, now);
                self.goes_on(member, step, now)
            }
            (State::Listing, Outcome::Listed(members)) => self.listed(members.keys, now),
            (State::Listing, Outcome::Unsupported) => RosterStep::Done(Err(RosterError::NoIndex)),
            (State::Loading(member, key, hops), Outcome::Found(stored)) => {
                self.loaded(member, key, hops, Some(stored), now)
            }
            (State::Loading(member, key, hops), Outcome::Absent) => self.loaded(member, key, hops, None, now),
            // A key that stays in the index is found out by who lists it.
            (State::Unenrolling, _) => self.next(now),
            _ => RosterStep::Done(Err(RosterError::Store)),
        }
    }
}
