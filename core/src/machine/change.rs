//! New sessions, and changes of those that are there.

use crate::{
    data::Data,
    event::Event,
    id::StoreKey,
    limits::NONCES_KEPT,
    machine::{
        commit::{Attempt, Draft, Fresh, Live, Sight, Why},
        protocol::{Commit, State},
    },
    op::Op,
    record::EndCause,
    step::{CommitError, Step},
    value::{Stored, Version},
};

impl Commit {
    pub(crate) fn create(self: Box<Self>, data: Data) -> Step {
        let record = self.job.first_record(&self.shell.policy, data);
        match self.job.fresh(&self.shell.policy, record) {
            Ok(fresh) => {
                let Draft { value, ttl, .. } = &fresh.draft;
                let op = Op::Create { key: fresh.key.clone(), value: value.clone(), ttl: *ttl };
                self.ask(op, State::Creating(fresh))
            }
            Err(error) => self.fail(error, None),
        }
    }

    pub(crate) fn created(mut self: Box<Self>, fresh: Fresh, version: Version) -> Step {
        self.shell.verdict.events.push(Event::Created);
        self.shell.owe(&fresh.key, fresh.line);
        let Draft { record, value, .. } = fresh.draft;
        self.job.written_at = Some(self.job.sent);
        self.rested(Live { key: fresh.key, version, value, record })
    }

    /// Writes a record, edits done, over the version that was read.
    pub(crate) fn change(self: Box<Self>, live: Live) -> Step {
        match self.job.draft(&self.shell.policy, &live.key, live.record) {
            Ok(draft) => self.replace(Attempt { key: live.key, version: live.version, draft }),
            Err(error) => self.fail(error, Some(live.key)),
        }
    }

    fn replace(self: Box<Self>, attempt: Attempt) -> Step {
        let Attempt { key, version, draft: Draft { value, ttl, .. } } = &attempt;
        let op = Op::Replace { key: key.clone(), version: version.clone(), value: value.clone(), ttl: *ttl };
        self.ask(op, State::Changing(attempt))
    }

    pub(crate) fn changed(mut self: Box<Self>, attempt: Attempt, version: Version) -> Step {
        self.job.unsettled = None;
        let Attempt { key, draft: Draft { record, value, .. }, .. } = attempt;
        let sent = self.job.sent;
        self.settled(Live { key, version, value, record }, sent)
    }

    pub(crate) fn saw_change(
        mut self: Box<Self>,
        key: StoreKey,
        found: Option<Stored>,
        attempt: Option<Attempt>,
    ) -> Step {
        let mut live = match Sight::of(&self.shell.policy, &key, found) {
            // What was written may have gone on under another key before this one was removed.
            Sight::Absent if self.job.unsettled.is_some() => return self.fail(CommitError::OutcomeUnknown, Some(key)),
            // And a login or an elevation may have carried it over.
            Sight::Ended(ended) if self.job.unsettled.is_some() && ended.cause != EndCause::Destroy => {
                return self.fail(CommitError::OutcomeUnknown, Some(key));
            }
            Sight::Absent | Sight::Ended(_) => return self.lost(key),
            Sight::Moved(moved, _) => return self.hop(moved.to, Why::Change(None)),
            Sight::Undecodable(_, error) => return self.fail(CommitError::Undecodable(error), Some(key)),
            Sight::Record(live) => live,
        };
        if !self.job.changed {
            return self.rest(live);
        }
        if live.record.nonces.contains(self.job.nonce) {
            self.job.unsettled = None;
            let sent = self.job.sent;
            return self.settled(live, sent);
        }
        if let Some(base) = self.job.unsettled {
            let attempt = attempt.filter(|attempt| attempt.key == key && attempt.version == live.version);
            if let Some(attempt) = attempt {
                // Nothing happened yet, and both may still land: the same bytes, so that it matters not which does.
                return match self.job.count_replay() {
                    Ok(()) => self.replace(attempt),
                    Err(error) => self.fail(error, Some(key)),
                };
            }
            let kept = live.record.commits <= base.saturating_add(NONCES_KEPT as u64);
            if !kept || !self.shell.policy.codec.has_markers() {
                return self.fail(CommitError::OutcomeUnknown, Some(key));
            }
            self.job.unsettled = None;
        }
        match self.job.replay(&mut live.record) {
            Ok(()) => self.change(live),
            Err(error) => self.fail(error, Some(key)),
        }
    }
}
