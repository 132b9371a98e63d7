//! The protocol of a commit: every transition, from what the request asked for to the verdict.
//!
//! Every arrow is one operation; `Conflict` brings or loads what is there, `Unknown` loads it.
//!
//! ```text
//! nothing live, edits ──► Creating ─────────────────────────────────────► done, cookie set
//!
//! live, edits ──► Changing ──┬─ Done ───────────────────────► Rest
//!                 ▲          ├─ Conflict, Unknown ──► Looking ─┬─ ours is in it ──► Rest
//!                 └──────────┼───────── replay ────────────────┼─ Record
//!                            └─ Absent ──► lost ◄──────────────┼─ Ended, Absent
//!                                          follow ◄────────────┴─ Moved
//!
//! live, rotate ──► Opening ──► Swinging ──┬─ Done ──────────────────────► done, cookie set
//!                  (Create)    ▲          ├─ Conflict, Unknown ──► Looking ─┬─ Moved here ──► done, cookie set
//!                              │          │                                 ├─ Record ──► Refreshing, and again
//!                              │          └─ Absent ──► lost                ├─ Moved elsewhere ──► Abandoning ──► Changing
//!                              └── Refreshing (Replace) ◄── Recalling       └─ Ended ──► Abandoning ──► lost
//!
//! destroy ──► Ending ──┬─ Done ─────────────────────────────────────────► cookie cleared, Creating if there is more
//!             ▲        ├─ Conflict, Unknown ──► Looking ─┬─ Record ──► again, Moved or Ended with `next` ──► follow
//!             └────────┼─────────────────────────────────┘
//!                      └─ Absent ──► vanished, or too late to tell
//!
//! Rest (`rest.rs`) ──┬─ first presentation ──► Presenting (Load) ──► Closing (Replace) ──► Clearing (Replace) ──► done
//!                    └─ touch due ──► Touching ──► done
//! ```
//!
//! Nothing is ever written without a condition, and a change never falls back to a creation. Once a write may still land
//! whose answer is missing, a commit that cannot settle it ends in doubt ([`CommitError::OutcomeUnknown`]); it never
//! claims that nothing happened.

use std::sync::Arc;

use crate::{
    data::Data,
    event::Event,
    id::StoreKey,
    limits::{MAX_HOPS, MAX_OPERATIONS, NONCES_KEPT},
    loaded::Loaded,
    machine::{
        admission::{Admission, Opened, is_superseded},
        commit::{Attempt, Draft, EndTarget, Fresh, Job, Live, Next, Renewal, Sight, Why},
    },
    op::{Op, Outcome},
    record::Ended,
    session::{Shell, State as SessionState},
    step::{After, CommitError, CookieLine, Done, End, Io, Step},
    time::UnixTime,
    value::{Stored, Version},
};

/// A commit that waits for an operation.
pub(crate) struct Machine {
    commit: Commit,
    op: Op,
    state: State,
}

/// Which operation is under way, with what is needed to go on.
pub(crate) enum State {
    Abandoning(Next),
    Changing(Attempt),
    Clearing(Live),
    Closing(Live),
    Creating(Fresh),
    Ending(StoreKey),
    Looking(StoreKey, Why),
    Opening(Renewal),
    Presenting(Live, StoreKey),
    Recalling(Renewal),
    Refreshing(Renewal),
    Swinging(Renewal),
    Touching(Live),
}

impl Machine {
    pub(crate) fn op(&self) -> &Op {
        &self.op
    }

    /// Takes the outcome of the operation.
    pub(crate) fn resume(self, outcome: Outcome, now: UnixTime) -> Step {
        let Self { mut commit, op, state } = self;
        commit.job.now = now;
        if !op.admits(&outcome) {
            return commit.unexpected(state);
        }
        match (state, outcome) {
            (State::Creating(fresh), Outcome::Done(version)) => commit.created(fresh, version),
            (State::Creating(_), Outcome::Exists) => commit.fail(CommitError::IdCollision, None),
            // Under an id that nobody was told, what may have been written is out of reach and expires.
            (State::Creating(_), Outcome::Failed | Outcome::Unknown) => commit.fail(CommitError::Store, None),

            (State::Changing(attempt), Outcome::Done(version)) => commit.changed(attempt, version),
            (State::Changing(attempt), Outcome::Conflict(Some(found))) => {
                commit.saw_change(attempt.key.clone(), Some(found), Some(attempt))
            }
            (State::Changing(attempt), Outcome::Conflict(None)) => {
                commit.look(attempt.key.clone(), Why::Change(Some(attempt)))
            }
            (State::Changing(attempt), Outcome::Unknown) => {
                commit.job.unsettled.get_or_insert(attempt.draft.record.commits - 1);
                commit.look(attempt.key.clone(), Why::Change(Some(attempt)))
            }
            (State::Changing(attempt), Outcome::Absent) => commit.saw_change(attempt.key, None, None),
            (State::Changing(attempt), Outcome::Failed) => commit.fail(CommitError::Store, Some(attempt.key)),

            (State::Opening(renewal), Outcome::Done(version)) => {
                commit.swing(Renewal { version: Some(version), ..renewal })
            }
            (State::Opening(renewal), Outcome::Exists) => commit.fail(CommitError::IdCollision, Some(renewal.old)),
            (State::Opening(renewal), Outcome::Failed | Outcome::Unknown) => commit.fall_back(renewal),

            (State::Swinging(renewal), Outcome::Done(_) | Outcome::Removed) => commit.publish(renewal),
            (State::Swinging(renewal), Outcome::Conflict(Some(found))) => commit.saw_swing(Some(found), renewal),
            (State::Swinging(renewal), Outcome::Conflict(None)) => {
                commit.look(renewal.old.clone(), Why::Swing(renewal))
            }
            (State::Swinging(renewal), Outcome::Unknown) => {
                commit.job.unsettled = Some(0);
                commit.look(renewal.old.clone(), Why::Swing(renewal))
            }
            (State::Swinging(renewal), Outcome::Absent) => commit.saw_swing(None, renewal),
            (State::Swinging(renewal), Outcome::Failed) => commit.fall_back(renewal),

            (State::Refreshing(renewal), Outcome::Done(version)) => {
                commit.swing(Renewal { version: Some(version), ..renewal })
            }
            (State::Refreshing(renewal), Outcome::Conflict(Some(found))) => commit.saw_fresh(Some(found), renewal),
            (State::Refreshing(renewal), Outcome::Conflict(None) | Outcome::Unknown) => {
                let key = renewal.fresh.key.clone();
                commit.ask(Op::Load { key }, State::Recalling(renewal))
            }
            (State::Refreshing(renewal) | State::Recalling(renewal), Outcome::Absent | Outcome::Failed)
            | (State::Recalling(renewal), Outcome::Unknown) => commit.fall_back(renewal),
            (State::Recalling(renewal), Outcome::Found(found)) => commit.saw_fresh(Some(found), renewal),

            // The record that lost was told to nobody: whatever became of its removal, it expires.
            (
                State::Abandoning(next),
                Outcome::Absent | Outcome::Conflict(_) | Outcome::Failed | Outcome::Removed | Outcome::Unknown,
            ) => match next {
                Next::Follow(key) => commit.follow_edits(key),
                Next::Lost(key) => commit.lost(key),
            },

            (State::Ending(_), Outcome::Done(_) | Outcome::Removed) => commit.ended(End::Ended),
            (State::Ending(key), Outcome::Conflict(Some(found))) => commit.saw_end(key, Some(found)),
            (State::Ending(key), Outcome::Conflict(None)) => commit.look(key, Why::End),
            (State::Ending(key), Outcome::Unknown) => {
                commit.job.unsettled = Some(0);
                commit.look(key, Why::End)
            }
            (State::Ending(key), Outcome::Absent) => commit.saw_end(key, None),
            (State::Ending(key), Outcome::Failed) => commit.fail_end(CommitError::Store, key),

            (State::Looking(key, why), Outcome::Found(found)) => commit.saw(key, Some(found), why),
            (State::Looking(key, why), Outcome::Absent) => commit.saw(key, None, why),
            (State::Looking(key, why), Outcome::Failed | Outcome::Unknown) => match why {
                Why::Change(_) => commit.fail(CommitError::Store, Some(key)),
                Why::End => commit.fail_end(CommitError::Store, key),
                Why::Swing(_) => commit.fail(CommitError::Store, Some(key)),
            },

            (State::Presenting(live, key), Outcome::Found(found)) => commit.saw_predecessor(live, key, found),
            (State::Presenting(live, _), Outcome::Absent) => commit.clear_predecessor(live),
            (State::Closing(live), Outcome::Done(_)) => commit.clear_predecessor(live),
            (State::Clearing(live), Outcome::Done(version)) => {
                commit.job.written_at = Some(commit.job.sent);
                commit.rested(Live { version, ..live })
            }
            // What failed here is done at the next presentation.
            (State::Presenting(live, _) | State::Closing(live), _) => commit.touch(live),
            (State::Clearing(live), _) => commit.finish_again(live.key),
            (State::Touching(live), Outcome::Done(version)) => {
                commit.shell.events.push(Event::Touched);
                commit.job.written_at = Some(commit.job.sent);
                commit.rested(Live { version, ..live })
            }
            (State::Touching(live), _) => commit.rested(live),

            (state, _) => commit.unexpected(state),
        }
    }
}

/// The commit's verbs: each asks for one operation, or finishes.
pub(crate) struct Commit {
    pub(crate) shell: Shell,
    pub(crate) job: Job,
}

impl Commit {
    // New

    pub(crate) fn create(self, data: Data) -> Step {
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

    fn created(mut self, fresh: Fresh, version: Version) -> Step {
        self.shell.events.push(Event::Created);
        self.shell.owed = Some(CookieLine { line: fresh.line, removes: false });
        let Draft { record, value, .. } = fresh.draft;
        self.job.written_at = Some(self.job.sent);
        self.rested(Live { key: fresh.key, version, value, record })
    }

    // Change

    /// Writes a record, edits done, over the version that was read.
    pub(crate) fn change(self, live: Live) -> Step {
        match self.job.draft(&self.shell.policy, &live.key, live.record) {
            Ok(draft) => self.replace(Attempt { key: live.key, version: live.version, draft }),
            Err(error) => self.fail(error, Some(live.key)),
        }
    }

    fn replace(self, attempt: Attempt) -> Step {
        let Attempt { key, version, draft: Draft { value, ttl, .. } } = &attempt;
        let op = Op::Replace { key: key.clone(), version: version.clone(), value: value.clone(), ttl: *ttl };
        self.ask(op, State::Changing(attempt))
    }

    fn changed(mut self, attempt: Attempt, version: Version) -> Step {
        self.job.unsettled = None;
        let Attempt { key, draft: Draft { record, value, .. }, .. } = attempt;
        let sent = self.job.sent;
        self.settled(Live { key, version, value, record }, sent)
    }

    fn saw_change(mut self, key: StoreKey, found: Option<Stored>, attempt: Option<Attempt>) -> Step {
        let mut live = match Sight::of(&self.shell.policy, &key, found) {
            // What was written may have gone on under another key before this one was removed.
            Sight::Absent if self.job.unsettled.is_some() => return self.fail(CommitError::OutcomeUnknown, Some(key)),
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

    // Renew

    /// Writes the record, edits done, under a new id; then the old key must point to it.
    pub(crate) fn renew(self, live: Live) -> Step {
        let Live { key, version, mut record, .. } = live;
        let written_at = self.job.now;
        record.predecessor = self.predecessor(&key);
        match self.job.fresh(&self.shell.policy, record) {
            Ok(fresh) => {
                let Draft { value, ttl, .. } = &fresh.draft;
                let op = Op::Create { key: fresh.key.clone(), value: value.clone(), ttl: *ttl };
                self.ask(
                    op,
                    State::Opening(Renewal { fresh, version: None, old: key, old_version: version, written_at }),
                )
            }
            Err(error) => self.cannot_renew(error, key),
        }
    }

    /// What the first presentation must close; without pointers there is nothing.
    fn predecessor(&self, old: &StoreKey) -> Option<StoreKey> {
        self.shell.policy.codec.has_markers().then(|| old.clone())
    }

    fn swing(self, renewal: Renewal) -> Step {
        let Renewal { fresh, old, old_version, .. } = &renewal;
        let (key, version) = (old.clone(), old_version.clone());
        if !self.shell.policy.codec.has_markers() {
            return self.ask(Op::Remove { key, version }, State::Swinging(renewal));
        }
        match self.job.pointer(&self.shell.policy, old, fresh) {
            Ok((value, ttl)) => self.ask(Op::Replace { key, version, value, ttl }, State::Swinging(renewal)),
            Err(error) => self.fail(error, Some(key)),
        }
    }

    fn saw_swing(mut self, found: Option<Stored>, mut renewal: Renewal) -> Step {
        let key = renewal.old.clone();
        match Sight::of(&self.shell.policy, &key, found) {
            Sight::Moved(moved, _) if moved.to == renewal.fresh.key => self.publish(renewal),
            Sight::Moved(moved, _) => self.abandon(renewal, Next::Follow(moved.to)),
            Sight::Ended(_) => self.abandon(renewal, Next::Lost(key)),
            // The pointer may have been there, and gone; without pointers, this may be our own removal.
            Sight::Absent if self.job.unsettled.is_some() => self.fail(CommitError::OutcomeUnknown, Some(key)),
            Sight::Absent => self.lost(key),
            Sight::Undecodable(_, error) => self.fail(CommitError::Undecodable(error), Some(key)),
            Sight::Record(live) if live.version == renewal.old_version => match self.job.count_replay() {
                Ok(()) => self.swing(renewal),
                Err(error) => self.fail(error, Some(key)),
            },
            Sight::Record(mut live) => {
                // A pointer over the version before can land no more.
                self.job.unsettled = None;
                if let Err(error) = self.job.replay(&mut live.record) {
                    return self.fail(error, Some(key));
                }
                live.record.predecessor = self.predecessor(&key);
                match self.job.fresh(&self.shell.policy, live.record) {
                    Ok(fresh) => {
                        renewal.old_version = live.version;
                        renewal.fresh = fresh;
                        renewal.written_at = self.job.now;
                        self.refresh(renewal)
                    }
                    Err(error) => self.cannot_renew(error, key),
                }
            }
        }
    }

    /// Writes the record under its new id again, over whatever try of ours is there.
    fn refresh(self, renewal: Renewal) -> Step {
        let Some(version) = renewal.version.clone() else { return self.fall_back(renewal) };
        let Fresh { key, draft: Draft { value, ttl, .. }, .. } = &renewal.fresh;
        let op = Op::Replace { key: key.clone(), version, value: value.clone(), ttl: *ttl };
        self.ask(op, State::Refreshing(renewal))
    }

    /// The pointer is never swung to a record that is not known to hold what was last written.
    fn saw_fresh(mut self, found: Option<Stored>, mut renewal: Renewal) -> Step {
        let is_written = found.as_ref().is_some_and(|found| found.value == renewal.fresh.draft.value);
        match Sight::of(&self.shell.policy, &renewal.fresh.key, found) {
            Sight::Record(live) => {
                renewal.version = Some(live.version);
                match self.job.count_replay() {
                    Ok(()) if is_written => self.swing(renewal),
                    Ok(()) => self.refresh(renewal),
                    Err(error) => self.fail(error, Some(renewal.old)),
                }
            }
            _ => self.fall_back(renewal),
        }
    }

    /// Removes a record that was told to nobody: the old key surely does not point to it, and never will.
    fn abandon(mut self, renewal: Renewal, next: Next) -> Step {
        self.job.unsettled = None;
        match renewal.version {
            Some(version) => self.ask(Op::Remove { key: renewal.fresh.key, version }, State::Abandoning(next)),
            None => self.fail(CommitError::Store, Some(renewal.old)),
        }
    }

    fn fall_back(self, renewal: Renewal) -> Step {
        self.cannot_renew(CommitError::Store, renewal.old)
    }

    /// The renewal cannot be done. Was it not asked for, then the rest is done without it.
    fn cannot_renew(self, error: CommitError, old: StoreKey) -> Step {
        if self.job.auto && self.job.unsettled.is_none() {
            return self.look(old, Why::Change(None));
        }
        self.fail(error, Some(old))
    }

    fn follow_edits(mut self, key: StoreKey) -> Step {
        if self.job.changed {
            return self.hop(key, Why::Change(None));
        }
        self.job.standing.hops += 1;
        self.finish_again(key)
    }

    fn publish(mut self, renewal: Renewal) -> Step {
        self.job.unsettled = None;
        self.shell.events.push(Event::Renewed);
        let Fresh { key, line, draft: Draft { record, value, .. } } = renewal.fresh;
        self.shell.owed = Some(CookieLine { line, removes: false });
        self.job.standing.hops += 1;
        match renewal.version {
            Some(version) => self.settled(Live { key, version, value, record }, renewal.written_at),
            None => self.finish_again(key),
        }
    }

    // End

    pub(crate) fn end(self, target: EndTarget) -> Step {
        match target.version {
            Some(version) => self.strike(target.key, version),
            None => self.hop(target.key, Why::End),
        }
    }

    fn strike(self, key: StoreKey, version: Version) -> Step {
        if !self.shell.policy.codec.has_markers() {
            return self.ask(Op::Remove { key: key.clone(), version }, State::Ending(key));
        }
        match self.job.tombstone(&self.shell.policy, &key) {
            Ok((value, ttl)) => self.ask(Op::Replace { key: key.clone(), version, value, ttl }, State::Ending(key)),
            Err(error) => self.fail_end(error, key),
        }
    }

    fn saw_end(mut self, key: StoreKey, found: Option<Stored>) -> Step {
        let (version, error) = match Sight::of(&self.shell.policy, &key, found) {
            // A pointer or a tombstone may have run out meanwhile.
            Sight::Absent if self.is_late() => return self.fail_end(CommitError::TooLate, key),
            Sight::Absent => return self.ended(End::Vanished),
            Sight::Ended(Ended { next: Some(next), .. }) => return self.hop(next, Why::End),
            Sight::Ended(ended) if ended.by == self.job.nonce => return self.ended(End::Ended),
            Sight::Ended(ended) => {
                if is_superseded(&self.shell.policy, &ended, self.job.now) && self.job.recreate.take().is_some() {
                    self.shell.events.push(Event::Lost);
                    self.job.failure = Some(CommitError::Lost);
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

    fn ended(mut self, end: End) -> Step {
        self.job.unsettled = None;
        self.job.end = Some(end);
        let event = match end {
            End::Ended => Some(Event::Ended),
            End::Vanished => Some(Event::Vanished),
            _ => None,
        };
        if let Some(event) = event {
            self.shell.events.push(event);
            self.shell.owed = Some(CookieLine { line: self.shell.policy.removal.clone(), removes: true });
        }
        if end == End::Vanished {
            self.job.failure = Some(CommitError::Vanished);
        }
        match self.job.recreate.take() {
            Some(data) => self.create(data),
            None => {
                let after = self.nothing();
                self.finish(Ok(()), after)
            }
        }
    }

    /// The end is tried again by the next commit of this request.
    fn fail_end(mut self, error: CommitError, key: StoreKey) -> Step {
        let error = if self.job.unsettled.is_some() { CommitError::OutcomeUnknown } else { error };
        self.job.end = Some(End::Failed);
        let target = EndTarget { key, version: None, loaded_at: self.job.loaded_at };
        let mut loaded = Loaded::new(Arc::clone(&self.shell.policy), Opened::Dead(target));
        loaded.destroy();
        self.finish(Err(error), After::State(SessionState::Ready(loaded)))
    }

    // Common to all

    pub(crate) fn ask(mut self, op: Op, state: State) -> Step {
        self.job.operations += 1;
        self.job.sent = self.job.now;
        if self.job.operations > MAX_OPERATIONS {
            return match state {
                State::Ending(key) | State::Looking(key, Why::End) => self.fail_end(CommitError::Contention, key),
                _ => self.fail(CommitError::Contention, Some(op.key().clone())),
            };
        }
        Step::Io(Io { machine: Box::new(Machine { commit: self, op, state }) })
    }

    fn look(self, key: StoreKey, why: Why) -> Step {
        self.ask(Op::Load { key: key.clone() }, State::Looking(key, why))
    }

    /// Follows a pointer: at commit also one that has closed, for the request was admitted before.
    fn hop(mut self, key: StoreKey, why: Why) -> Step {
        self.job.hops += 1;
        self.job.standing.hops += 1;
        if self.job.hops <= MAX_HOPS + 1 {
            return self.look(key, why);
        }
        self.shell.events.push(Event::TooManyHops);
        match why {
            Why::End => self.fail_end(CommitError::Contention, key),
            Why::Change(_) | Why::Swing(_) => self.fail(CommitError::Contention, Some(key)),
        }
    }

    fn saw(self, key: StoreKey, found: Option<Stored>, why: Why) -> Step {
        match why {
            Why::Change(attempt) => self.saw_change(key, found, attempt),
            Why::End => self.saw_end(key, found),
            Why::Swing(renewal) => self.saw_swing(found, renewal),
        }
    }

    fn lost(mut self, key: StoreKey) -> Step {
        self.job.unsettled = None;
        if self.job.auto && !self.job.changed {
            return self.finish_again(key);
        }
        self.fail(CommitError::Lost, Some(key))
    }

    /// Fails the commit; the session is looked up again if the request goes on.
    fn fail(mut self, error: CommitError, key: Option<StoreKey>) -> Step {
        let error = if self.job.unsettled.is_some() { CommitError::OutcomeUnknown } else { error };
        if error == CommitError::Lost {
            self.shell.events.push(Event::Lost);
        }
        let standing = self.job.standing.clone();
        let after = key.map_or_else(|| self.nothing(), |key| Admission::again(key, standing));
        let is_nobodys = self.job.auto && !self.job.changed;
        self.finish(if is_nobodys { Ok(()) } else { Err(error) }, after)
    }

    fn unexpected(self, state: State) -> Step {
        let key = match state {
            State::Ending(key) | State::Looking(key, Why::End) => {
                return self.fail_end(CommitError::UnexpectedOutcome, key);
            }
            // All that was asked for is done.
            State::Clearing(live) => return self.finish_again(live.key),
            State::Closing(live) | State::Presenting(live, _) | State::Touching(live) => return self.rested(live),
            State::Changing(Attempt { key, .. }) | State::Looking(key, _) => Some(key),
            State::Opening(renewal)
            | State::Recalling(renewal)
            | State::Refreshing(renewal)
            | State::Swinging(renewal) => Some(renewal.old),
            State::Abandoning(_) | State::Creating(_) => None,
        };
        self.fail(CommitError::UnexpectedOutcome, key)
    }

    /// All is done that can be; the session is looked up again if the request goes on.
    pub(crate) fn finish_again(self, key: StoreKey) -> Step {
        let standing = self.job.standing.clone();
        self.finish(Ok(()), Admission::again(key, standing))
    }

    /// The request goes on without a session.
    fn nothing(&self) -> After {
        After::State(SessionState::Ready(Loaded::new(Arc::clone(&self.shell.policy), Opened::Absent)))
    }

    pub(crate) fn finish(mut self, result: Result<(), CommitError>, after: After) -> Step {
        if self.job.replays > 0 {
            self.shell.events.push(Event::Conflict(self.job.replays));
        }
        let result = match self.job.failure {
            Some(error) => Err(error),
            None => result,
        };
        Step::Done(Done::new(self.shell, result, self.job.end, after))
    }
}
