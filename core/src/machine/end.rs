//! The end of a session: a tombstone where it lives.

use std::sync::Arc;

use crate::{
    event::Event,
    id::StoreKey,
    loaded::Loaded,
    machine::{
        admission::{Opened, is_superseded},
        commit::{EndTarget, Sight, Why},
        protocol::{Commit, State},
    },
    op::Op,
    record::Ended,
    session::State as SessionState,
    step::{After, CommitError, End, Step},
    value::{Stored, Version},
};

impl Commit {
    pub(crate) fn end(self: Box<Self>, target: EndTarget) -> Step {
        match target.version {
            Some(version) => self.strike(target.key, version),
            None => self.hop(target.key, Why::End),
        }
    }

    fn strike(self: Box<Self>, key: StoreKey, version: Version) -> Step {
        if !self.shell.policy.codec.has_markers() {
            return self.ask(Op::Remove { key: key.clone(), version }, State::Ending(key));
        }
        match self.job.tombstone(&self.shell.policy, &key) {
            Ok((value, ttl)) => self.ask(Op::Replace { key: key.clone(), version, value, ttl }, State::Ending(key)),
            Err(error) => self.fail_end(error, key),
        }
    }

    pub(crate) fn saw_end(mut self: Box<Self>, key: StoreKey, found: Option<Stored>) -> Step {
        let (version, error) = match Sight::of(&self.shell.policy, &key, found) {
            // A pointer or a tombstone may have run out meanwhile.
            Sight::Absent if self.is_late() => return self.fail_end(CommitError::TooLate, key),
            Sight::Absent => return self.ended(End::Vanished),
            Sight::Ended(Ended { next: Some(next), .. }) => return self.hop(next, Why::End),
            Sight::Ended(ended) if ended.by == self.job.nonce => return self.ended(End::Ended),
            Sight::Ended(ended) => {
                if is_superseded(&self.shell.policy, &ended, self.job.now) && self.job.recreate.take().is_some() {
                    self.shell.verdict.events.push(Event::Lost);
                    self.job.failure = Some(Box::new(CommitError::Lost));
                }
                return self.ended(End::AlreadyEnded);
            }
            Sight::Moved(moved, _) => return self.hop(moved.to, Why::End),
            Sight::Record(live) => (live.version, None),
            Sight::Undecodable(version, error) => (version, Some(error)),
        };
        if let Some(error) = error.filter(|error| !error.may_be_ended()) {
            return self.fail_end(CommitError::Undecodable(error), key);
        }
        match self.job.count_replay() {
            Ok(()) => self.strike(key, version),
            Err(error) => self.fail_end(error, key),
        }
    }

    pub(crate) fn ended(mut self: Box<Self>, end: End) -> Step {
        self.job.unsettled = None;
        self.job.end = Some(end);
        let event = match end {
            End::Ended => Some(Event::Ended),
            End::Vanished => Some(Event::Vanished),
            _ => None,
        };
        if let Some(event) = event {
            self.shell.verdict.events.push(event);
            self.shell.owe_removal();
        }
        if end == End::Vanished {
            self.job.failure = Some(Box::new(CommitError::Vanished));
        }
        match self.job.recreate.take() {
            Some(data) => self.create(*data),
            None => {
                let after = self.nothing();
                self.finish(Ok(()), after)
            }
        }
    }

    /// The end is tried again by the next commit of this request.
    pub(crate) fn fail_end(mut self: Box<Self>, error: CommitError, key: StoreKey) -> Step {
        let error = if self.job.unsettled.is_some() { CommitError::OutcomeUnknown } else { error };
        self.job.end = Some(End::Failed);
        let target = EndTarget { key, version: None, loaded_at: self.job.loaded_at };
        let mut loaded = Loaded::new(Arc::clone(&self.shell.policy), Opened::Dead(Box::new(target)));
        loaded.destroy();
        self.finish(Err(error), After::State(Box::new(SessionState::Ready(loaded))))
    }
}
