//! The end of a user's sessions that are held in cookies: one tombstone for the user, which every login before it is older
//! than.

use core::time::Duration;
use std::sync::Arc;

use crate::{
    engine::Policy,
    entropy::Entropy,
    held::key_of,
    id::StoreKey,
    limits::MAX_ROUNDS,
    loaded::Loaded,
    op::{Op, Outcome},
    principal::Principal,
    record::{EndCause, Ended, Entry, Nonce},
    roster::{RosterError, RosterIo, RosterMachine, RosterStep, Which},
    time::UnixTime,
    value::{Value, Version},
};

/// An end of all that waits for an operation.
pub(crate) struct Revoking {
    policy: Arc<Policy>,
    user: StoreKey,
    /// That of the last try to write.
    nonce: Nonce,
    at: UnixTime,
    /// The session that asks, where it is to live on, and the last end of all that it knows of.
    spared: Option<(StoreKey, Option<Nonce>)>,
    rounds: u32,
    /// What is under way: a look, or a write.
    looks: bool,
}

impl Revoking {
    /// Ends all but the session that asks, or all.
    pub(crate) fn start(
        policy: Arc<Policy>,
        principal: &Principal,
        which: Which,
        current: Option<&Loaded>,
        now: UnixTime,
        entropy: &mut dyn Entropy,
    ) -> RosterStep<u64> {
        let spared = match which {
            Which::All => None,
            Which::One(_) => return RosterStep::Done(Err(RosterError::NoIndex)),
            Which::Others => {
                current.and_then(Loaded::admitted_user).map(|(lineage, epoch)| (key_of(&policy, lineage), epoch))
            }
        };
        let mut nonce = [0; Nonce::LEN];
        if entropy.fill_nonce(&mut nonce).is_err() {
            return RosterStep::Done(Err(RosterError::Entropy));
        }
        let nonce = Nonce::from_bytes(nonce);
        let user = policy.keys.index_key(principal);
        Self { policy, user, nonce, at: now, spared, rounds: 0, looks: true }.look()
    }

    fn look(mut self) -> RosterStep<u64> {
        self.rounds += 1;
        if self.rounds > MAX_ROUNDS {
            return RosterStep::Done(Err(RosterError::Contention));
        }
        self.looks = true;
        RosterIo::ask(Op::Load { key: self.user.clone() }, self)
    }

    fn write(mut self, over: Option<Version>) -> RosterStep<u64> {
        self.looks = false;
        // Another than before: a login may have noted what an earlier try left, and others may have ended that since.
        let mut by = *self.nonce.as_bytes();
        by[0] = by[0].wrapping_add(1);
        self.nonce = Nonce::from_bytes(by);
        let next = self.spared.as_ref().map(|(lineage, _)| lineage.clone());
        let ended = Ended { by: self.nonce, cause: EndCause::Destroy, at: self.at, next };
        let Ok(value) = self.policy.codec.encode(&self.user, &Entry::Ended(ended)).map(Value::from) else {
            return RosterStep::Done(Err(RosterError::Store));
        };
        let (key, ttl) = (self.user.clone(), self.ttl());
        let op = match over {
            Some(version) => Op::Replace { key, version, value, ttl },
            None => Op::Create { key, value, ttl },
        };
        RosterIo::ask(op, self)
    }

    /// Who asks may have ended meanwhile with all others: nobody is brought back.
    fn over(mut self, there: &Ended, version: Version) -> RosterStep<u64> {
        self.spared =
            self.spared.filter(|(lineage, epoch)| *epoch == Some(there.by) || there.next.as_ref() == Some(lineage));
        self.write(Some(version))
    }

    /// As long as a cookie may live that is older, or that a request under way makes of one.
    fn ttl(&self) -> Duration {
        let Policy { longest, max_request, skew, .. } = *self.policy;
        longest.absolute().saturating_add(max_request).saturating_add(skew)
    }
}

impl RosterMachine<u64> for Revoking {
    fn resume(self: Box<Self>, outcome: Outcome, _now: UnixTime) -> RosterStep<u64> {
        match (self.looks, outcome) {
            (true, Outcome::Absent) => self.write(None),
            (true, Outcome::Found(stored)) => match self.policy.codec.decode(&self.user, &stored.value) {
                Ok(Entry::Ended(ended)) if ended.by == self.nonce => RosterStep::Done(Ok(0)),
                Ok(Entry::Ended(ended)) => self.over(&ended, stored.version),
                Ok(_) => RosterStep::Done(Err(RosterError::Store)),
                Err(error) => RosterStep::Done(Err(RosterError::Undecodable(error))),
            },
            (false, Outcome::Done(_)) => RosterStep::Done(Ok(0)),
            (false, Outcome::Absent | Outcome::Conflict(_) | Outcome::Exists | Outcome::Unknown) => self.look(),
            _ => RosterStep::Done(Err(RosterError::Store)),
        }
    }
}
