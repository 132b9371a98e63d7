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
    nonce: Nonce,
    value: Value,
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
        current: Option<Nonce>,
        now: UnixTime,
        entropy: &mut dyn Entropy,
    ) -> RosterStep<u64> {
        let spared = match which {
            Which::All => None,
            Which::One(_) => return RosterStep::Done(Err(RosterError::NoIndex)),
            Which::Others => current.map(|lineage| key_of(&policy, lineage)),
        };
        let mut nonce = [0; Nonce::LEN];
        if entropy.fill(&mut nonce).is_err() {
            return RosterStep::Done(Err(RosterError::Entropy));
        }
        let nonce = Nonce::from_bytes(nonce);
        let user = policy.keys.index_key(principal);
        let ended = Entry::Ended(Ended { by: nonce, cause: EndCause::Destroy, at: now, next: spared });
        let Ok(value) = policy.codec.encode(&user, &ended).map(Value::from) else {
            return RosterStep::Done(Err(RosterError::Store));
        };
        Self { policy, user, nonce, value, rounds: 0, looks: true }.look()
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
        let (key, value, ttl) = (self.user.clone(), self.value.clone(), self.ttl());
        let op = match over {
            Some(version) => Op::Replace { key, version, value, ttl },
            None => Op::Create { key, value, ttl },
        };
        RosterIo::ask(op, self)
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
                Ok(_) => self.write(Some(stored.version)),
                Err(error) => RosterStep::Done(Err(RosterError::Undecodable(error))),
            },
            (false, Outcome::Done(_)) => RosterStep::Done(Ok(0)),
            (false, Outcome::Absent | Outcome::Conflict(_) | Outcome::Exists | Outcome::Unknown) => self.look(),
            _ => RosterStep::Done(Err(RosterError::Store)),
        }
    }
}
