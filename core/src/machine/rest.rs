//! What a used session gets when all that was asked for is done: best effort, and never an error.

use core::time::Duration;

use crate::{
    engine::Policy,
    id::StoreKey,
    machine::{
        admission::{Admitted, read_again},
        commit::{Draft, Job, Live, Sight},
        protocol::{Commit, State},
    },
    op::Op,
    record::Record,
    session::Session,
    step::{After, Step},
    time::UnixTime,
    value::Stored,
};

impl Commit {
    /// A change or a renewal is done.
    pub(crate) fn settled(mut self: Box<Self>, live: Live, written_at: UnixTime) -> Step {
        self.job.written_at = Some(written_at);
        self.rest(live)
    }

    pub(crate) fn rest(self: Box<Self>, live: Live) -> Step {
        match self.job.standing.first_of(&live) {
            _ if self.is_late() => self.rested(live),
            Some(predecessor) => {
                let key = predecessor.clone();
                self.ask(Op::Load { key: key.clone() }, State::Presenting(live, key))
            }
            None => self.touch(live),
        }
    }

    pub(crate) fn saw_predecessor(self: Box<Self>, live: Live, key: StoreKey, found: Stored) -> Step {
        let (moved, version) = match Sight::of(&self.shell.policy, &key, Some(found)) {
            Sight::Moved(moved, version) if moved.to == live.key && moved.closes_at.is_none() => (moved, version),
            Sight::Moved(moved, _) if moved.to == live.key => return self.clear_predecessor(live),
            Sight::Absent | Sight::Ended(_) => return self.clear_predecessor(live),
            Sight::Moved(..) | Sight::Record(_) | Sight::Undecodable(..) => return self.touch(live),
        };
        match self.job.closing(&self.shell.policy, &key, moved) {
            Ok((value, ttl)) => self.ask(Op::Replace { key, version, value, ttl }, State::Closing(live)),
            Err(_) => self.touch(live),
        }
    }

    pub(crate) fn clear_predecessor(self: Box<Self>, mut live: Live) -> Step {
        let Live { key, version, .. } = &live;
        let (key, version) = (key.clone(), version.clone());
        live.record.predecessor = None;
        match self.job.written(&self.shell.policy, &key, live.record) {
            Ok(Draft { record, value, ttl }) => {
                let op = Op::Replace { key: key.clone(), version: version.clone(), value: value.clone(), ttl };
                self.ask(op, State::Clearing(Live { key, version, value, record }))
            }
            Err(_) => self.finish_again(key),
        }
    }

    /// Tells whether pointers and tombstones may have run out since the load.
    pub(crate) fn is_late(&self) -> bool {
        self.shell.policy.is_late(self.job.loaded_at, self.job.now)
    }

    /// Extends the time to live if that adds enough, and nothing else has written the record.
    pub(crate) fn touch(self: Box<Self>, live: Live) -> Step {
        let Job { now, loaded_at, expires_in, written_at, .. } = self.job;
        let due = touch_of(&self.shell.policy, &live.record, now, loaded_at, expires_in);
        let Some(ttl) = due.filter(|_| written_at.is_none()) else { return self.rested(live) };
        let op = Op::Touch { key: live.key.clone(), version: live.version.clone(), value: live.value.clone(), ttl };
        self.ask(op, State::Touching(live))
    }

    /// The request's session lives on.
    pub(crate) fn rested(self: Box<Self>, live: Live) -> Step {
        self.finish(Ok(()), After::Written(live))
    }

    /// Makes the session of a request that goes on.
    pub(crate) fn reopen(self, after: After) -> Session {
        let Self { shell, job, .. } = self;
        let live = match after {
            After::State(state) => return Session::from_parts(shell, *state),
            After::Written(live) => live,
        };
        let Job { written_at, loaded_at, expires_in, standing, .. } = job;
        let (expires_in, loaded_at) = match written_at {
            None => (expires_in, loaded_at),
            Some(at) => (shell.policy.longest.ttl(&live.record, at), at),
        };
        let epoch = shell.jar.as_ref().and_then(|jar| jar.epoch_of(live.record.lineage)?);
        let state =
            read_again(&shell.policy, Admitted { live, expires_in, loaded_at, outdated: false, standing, epoch });
        Session::from_parts(shell, state)
    }
}

/// Returns the time to live that a touch gives, if it adds enough.
pub(crate) fn touch_of(
    policy: &Policy,
    record: &Record,
    now: UnixTime,
    loaded_at: UnixTime,
    expires_in: Duration,
) -> Option<Duration> {
    let ttl = policy.longest.ttl(record, now);
    let idle = record.idle.min(policy.longest.idle());
    let adds = ttl.saturating_sub(expires_in.saturating_sub(now.since(loaded_at)));
    (adds > idle / policy.touch_part).then_some(ttl)
}
