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
//! live, rotate ──┐
//! elevate ───────┼► Opening ──► Enrolling ──► Swinging ──┬─ Done ──► Unenrolling ──► done, cookie set
//! login ─────────┘  (Create)    (Counting,    ▲          ├─ Conflict, Unknown ──► Looking ─┬─ ours ──► Unenrolling ──► done, cookie set
//!                                Expelling)   │          │                                 ├─ Record ──► Refreshing, and again
//!                                             │          │                                 ├─ Moved ──► Abandoning ──► Changing; or follow
//!                                             │          │                                 └─ Ended ──► Abandoning ──► lost; or alone
//!                                             │          └─ Absent ──► lost; or alone
//!                                             └── Refreshing (Replace) ◄── Recalling
//!
//! destroy ──► Ending ──┬─ Done ──► Unenrolling ────────────────────────► cookie cleared, Creating if there is more
//!             ▲        ├─ Conflict, Unknown ──► Looking ─┬─ Record ──► again, Moved or Ended with `next` ──► follow
//!             └────────┼─────────────────────────────────┘
//!                      └─ Absent ──► vanished, or too late to tell
//!
//! Rest (`rest.rs`) ──┬─ first presentation ──► Presenting (Load) ──► Closing (Replace) ──► Clearing (Replace) ──► done
//!                    └─ touch due ──► Touching ──► done
//! ```
//!
//! What the old key gets (`exchange.rs`): at a renewal a pointer, at an elevation a tombstone that leads an end to the new
//! key, at a login one that leads nowhere. Where a renewal gives way to another, an elevation and a login follow the
//! pointer, and a login goes on alone where somebody else ended the session. Only sessions of users are enrolled.
//!
//! Nothing is ever written without a condition, and a change never falls back to a creation. Once a write may still land
//! whose answer is missing, a commit that cannot settle it ends in doubt ([`CommitError::OutcomeUnknown`]); it never
//! claims that nothing happened.

use std::sync::Arc;

use crate::{
    edits::Edits,
    event::Event,
    held::Answer,
    id::{Handle, StoreKey},
    limits::{MAX_HOPS, MAX_OPERATIONS},
    loaded::Loaded,
    machine::{
        admission::{Admission, Opened},
        commit::{Attempt, EndTarget, Exchange, Fresh, Job, Live, Next, Reason, Why},
    },
    op::{Op, Outcome},
    roster::{Listed, RosterIo},
    session::{Shell, State as SessionState},
    step::{After, CommitError, Done, End, Io, Step},
    time::UnixTime,
    value::Stored,
};

/// A commit on its way, in the one box in which it is handed on from step to step.
pub(crate) struct Commit {
    pub(crate) shell: Shell,
    pub(crate) job: Job,
    /// The operation that it waits for.
    op: Option<Op>,
    /// What the store is asked in its place, where sessions are held in cookies.
    asked: Option<Box<Op>>,
    state: State,
}

/// Which operation is under way, with what is needed to go on.
#[derive(Default)]
pub(crate) enum State {
    /// The key that is removed and its index.
    Abandoning(StoreKey, Option<StoreKey>, Box<Next>),
    Changing(Attempt),
    Clearing(Live),
    Closing(Live),
    /// How many sessions the user has who signs in.
    Counting(Box<Exchange>, RosterIo<Vec<Listed>>),
    Creating(Fresh),
    Ending(StoreKey),
    Enrolling(Box<Exchange>),
    /// The user's oldest sessions end, one of these handles after the other.
    Expelling(Box<Exchange>, RosterIo<u64>, Vec<Handle>),
    /// Nothing was asked for yet.
    #[default]
    Idle,
    Looking(StoreKey, Why),
    Opening(Box<Exchange>),
    Presenting(Live, StoreKey),
    Recalling(Box<Exchange>),
    Refreshing(Box<Exchange>),
    Swinging(Box<Exchange>),
    Touching(Live),
    Unenrolling(Next),
}

impl Commit {
    pub(crate) fn new(shell: Shell, job: Job) -> Box<Self> {
        Box::new(Self { shell, job, op: None, asked: None, state: State::Idle })
    }

    pub(crate) fn op(&self) -> &Op {
        // An `Io` is made where one was asked for.
        self.asked.as_deref().or(self.op.as_ref()).unwrap_or_else(|| unreachable!("a wait without an operation"))
    }

    /// Takes the outcome of the operation.
    pub(crate) fn resume(mut self: Box<Self>, outcome: Outcome, now: UnixTime) -> Step {
        // Within a commit time does not go back, whatever the clock does.
        self.job.now = self.job.now.max(now);
        if !self.op().admits(&outcome) {
            let state = core::mem::take(&mut self.state);
            return self.unexpected(state);
        }
        match self.asked.take() {
            Some(asked) => self.answer(Some((*asked, outcome))),
            None => self.settle(outcome),
        }
    }

    fn answer(mut self: Box<Self>, part: Option<(Op, Outcome)>) -> Step {
        let Self { shell, job, op, .. } = &mut *self;
        let answer = match (&mut shell.jar, op) {
            (Some(jar), Some(op)) => jar.answer(&shell.policy, op, part, job.id.as_ref(), job.now),
            _ => Answer::Is(Outcome::Failed),
        };
        match answer {
            Answer::Ask(op) => {
                self.asked = Some(op);
                Step::Io(Io { commit: self })
            }
            Answer::Is(outcome) => self.settle(outcome),
        }
    }

    fn settle(self: Box<Self>, outcome: Outcome) -> Step {
        let mut commit = self;
        let now = commit.job.now;
        match (core::mem::take(&mut commit.state), outcome) {
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

            (State::Opening(mut exchange), Outcome::Done(version)) => {
                exchange.version = Some(version);
                commit.enroll(exchange)
            }
            (State::Opening(exchange), Outcome::Exists) => commit.fail(CommitError::IdCollision, exchange.old_key()),
            (State::Opening(exchange), Outcome::Failed | Outcome::Unknown) => {
                commit.cannot_exchange(CommitError::Store, exchange.old_key())
            }

            (State::Enrolling(exchange), Outcome::Indexed) if commit.job.limit().is_some() => commit.count(exchange),
            (State::Enrolling(exchange), Outcome::Unsupported) if commit.job.limit().is_some() => {
                commit.give_up(CommitError::NoIndex, exchange)
            }
            (State::Counting(exchange, io), outcome) => {
                let step = io.resume(outcome, now);
                commit.counted(exchange, step)
            }
            (State::Expelling(exchange, io, rest), outcome) => {
                let step = io.resume(outcome, now);
                commit.expelled(exchange, step, rest)
            }
            // Without an index nobody can list or end the sessions of a user; they are sessions all the same.
            (State::Enrolling(exchange), Outcome::Indexed | Outcome::Unsupported) => commit.swing(exchange),
            (State::Enrolling(exchange), Outcome::Failed | Outcome::Unknown) => {
                let old = exchange.old_key();
                commit.remove(exchange, Next::Failed(CommitError::Store, old))
            }

            (State::Swinging(exchange), Outcome::Done(_) | Outcome::Removed) => commit.publish(exchange),
            (State::Swinging(exchange), Outcome::Conflict(Some(found))) => commit.saw_swing(Some(found), exchange),
            (State::Swinging(exchange), Outcome::Conflict(None)) => {
                let key = commit.op().key().clone();
                commit.look(key, Why::Swing(exchange))
            }
            (State::Swinging(exchange), Outcome::Unknown) => {
                commit.job.unsettled = Some(0);
                let key = commit.op().key().clone();
                commit.look(key, Why::Swing(exchange))
            }
            (State::Swinging(exchange), Outcome::Absent) => commit.saw_swing(None, exchange),
            (State::Swinging(exchange), Outcome::Failed) => commit.fall_back(exchange),

            (State::Refreshing(mut exchange), Outcome::Done(version)) => {
                exchange.version = Some(version);
                commit.swing(exchange)
            }
            (State::Refreshing(exchange), Outcome::Conflict(Some(found))) => commit.saw_fresh(Some(found), exchange),
            (State::Refreshing(exchange), Outcome::Conflict(None) | Outcome::Unknown) => {
                let key = exchange.fresh.key.clone();
                commit.ask(Op::Load { key }, State::Recalling(exchange))
            }
            (State::Refreshing(exchange) | State::Recalling(exchange), Outcome::Absent) => {
                commit.saw_fresh(None, exchange)
            }
            (State::Refreshing(exchange), Outcome::Failed)
            | (State::Recalling(exchange), Outcome::Failed | Outcome::Unknown) => commit.fall_back(exchange),
            (State::Recalling(exchange), Outcome::Found(found)) => commit.saw_fresh(Some(found), exchange),

            // The record that lost was told to nobody: whatever became of its removal, it expires.
            (
                State::Abandoning(member, index, next),
                Outcome::Absent | Outcome::Conflict(_) | Outcome::Failed | Outcome::Removed | Outcome::Unknown,
            ) => commit.unenroll(member, index, *next),
            (
                State::Unenrolling(next),
                Outcome::Failed | Outcome::Indexed | Outcome::Unknown | Outcome::Unsupported,
            ) => commit.proceed(next),

            (State::Ending(key), Outcome::Done(_) | Outcome::Removed) => {
                let index = commit.job.index.take();
                commit.unenroll(key, index, Next::Ended(End::Ended))
            }
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
                Why::Swing(exchange) if exchange.reason == Reason::Login => commit.fall_back(exchange),
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
                commit.shell.verdict.events.push(Event::Touched);
                commit.job.written_at = Some(commit.job.sent);
                commit.rested(Live { version, ..live })
            }
            (State::Touching(live), _) => commit.rested(live),

            (state, _) => commit.unexpected(state),
        }
    }
}

/// Its verbs: each asks for one operation, or finishes.
impl Commit {
    /// Goes on after something that nothing depends on.
    pub(crate) fn proceed(self: Box<Self>, next: Next) -> Step {
        match next {
            Next::Again(key) => self.finish_again(key),
            Next::Ended(end) => self.ended(end),
            Next::Failed(error, key) => self.cannot_exchange(error, key),
            Next::Follow(key) => self.follow_edits(key),
            Next::Lost(key) => self.lost(key),
            Next::Settled(live, written_at) => self.settled(live, written_at),
        }
    }

    pub(crate) fn ask(mut self: Box<Self>, op: Op, state: State) -> Step {
        // What a limit of sessions costs has bounds of its own, and what is done is not undone for the index.
        let is_counted =
            !matches!(state, State::Counting(..) | State::Enrolling(_) | State::Expelling(..) | State::Unenrolling(_));
        self.job.operations += u32::from(is_counted);
        self.job.sent = self.job.now;
        if is_counted && self.job.operations > MAX_OPERATIONS {
            return match state {
                State::Ending(key) | State::Looking(key, Why::End) => self.fail_end(CommitError::Contention, key),
                _ => self.fail(CommitError::Contention, Some(op.key().clone())),
            };
        }
        (self.op, self.asked, self.state) = (Some(op), None, state);
        if self.shell.jar.is_some() { self.answer(None) } else { Step::Io(Io { commit: self }) }
    }

    pub(crate) fn look(self: Box<Self>, key: StoreKey, why: Why) -> Step {
        self.ask(Op::Load { key: key.clone() }, State::Looking(key, why))
    }

    /// Follows a pointer: at commit also one that has closed, for the request was admitted before.
    pub(crate) fn hop(mut self: Box<Self>, key: StoreKey, why: Why) -> Step {
        self.job.hops += 1;
        self.job.standing.hops += 1;
        if self.job.hops <= MAX_HOPS + 1 {
            return self.look(key, why);
        }
        self.shell.verdict.events.push(Event::TooManyHops);
        match why {
            Why::End => self.fail_end(CommitError::Contention, key),
            Why::Change(_) => self.fail(CommitError::Contention, Some(key)),
            Why::Swing(exchange) => self.give_up(CommitError::Contention, exchange),
        }
    }

    fn saw(self: Box<Self>, key: StoreKey, found: Option<Stored>, why: Why) -> Step {
        match why {
            Why::Change(attempt) => self.saw_change(key, found, attempt),
            Why::End => self.saw_end(key, found),
            Why::Swing(exchange) => self.saw_swing(found, exchange),
        }
    }

    pub(crate) fn lost(mut self: Box<Self>, key: StoreKey) -> Step {
        self.job.unsettled = None;
        if self.job.auto && !self.job.changed {
            return self.finish_again(key);
        }
        self.fail(CommitError::Lost, Some(key))
    }

    /// Fails the commit; the session is looked up again if the request goes on.
    pub(crate) fn fail(mut self: Box<Self>, error: CommitError, key: Option<StoreKey>) -> Step {
        let error = if self.job.unsettled.is_some() { CommitError::OutcomeUnknown } else { error };
        if error == CommitError::Lost {
            self.shell.verdict.events.push(Event::Lost);
        }
        if let (Some(End::Failed), Some(key)) = (self.job.end, &key) {
            let key = key.clone();
            return self.fail_end(error, key);
        }
        let standing = self.job.standing.clone();
        let is_login = self.job.entry.is_some();
        let after = match (key, self.job.admitted.take()) {
            (Some(_), Some(admitted)) if is_login => Admission::again(admitted, standing),
            // A login follows elevations to end what they made: the request is not admitted to that.
            (Some(key), None) if is_login => {
                let target = EndTarget { key, version: None, loaded_at: self.job.loaded_at };
                let opened = Opened::Superseded(Some(Box::new(target)));
                After::State(Box::new(SessionState::Ready(Loaded::new(Arc::clone(&self.shell.policy), opened))))
            }
            (Some(key), _) => Admission::again(key, standing),
            (None, _) => self.nothing(),
        };
        let is_nobodys = self.job.auto && !self.job.changed;
        self.finish(if is_nobodys { Ok(()) } else { Err(error) }, after)
    }

    fn unexpected(self: Box<Self>, state: State) -> Step {
        let key = match state {
            State::Ending(key) | State::Looking(key, Why::End) => {
                return self.fail_end(CommitError::UnexpectedOutcome, key);
            }
            // All that was asked for is done.
            State::Clearing(live) => return self.finish_again(live.key),
            State::Closing(live) | State::Presenting(live, _) | State::Touching(live) => return self.rested(live),
            State::Changing(Attempt { key, .. }) | State::Looking(key, _) => Some(key),
            State::Counting(exchange, _)
            | State::Enrolling(exchange)
            | State::Expelling(exchange, ..)
            | State::Opening(exchange)
            | State::Recalling(exchange)
            | State::Refreshing(exchange)
            | State::Swinging(exchange) => exchange.old_key(),
            State::Unenrolling(next) => return self.proceed(next),
            State::Abandoning(..) | State::Creating(_) | State::Idle => None,
        };
        self.fail(CommitError::UnexpectedOutcome, key)
    }

    /// All is done that can be; the session is looked up again if the request goes on.
    pub(crate) fn finish_again(self: Box<Self>, key: StoreKey) -> Step {
        let standing = self.job.standing.clone();
        self.finish(Ok(()), Admission::again(key, standing))
    }

    /// The request goes on without a session.
    pub(crate) fn nothing(&self) -> After {
        After::State(Box::new(SessionState::Ready(Loaded::new(Arc::clone(&self.shell.policy), Opened::Absent))))
    }

    pub(crate) fn finish(mut self: Box<Self>, result: Result<(), CommitError>, after: After) -> Step {
        if self.job.replays > 0 {
            self.shell.verdict.events.push(Event::Conflict(self.job.replays));
        }
        let held = self.shell.write_held(self.job.now);
        let failure = self.job.failure.take().map_or(Ok(()), |error| Err(*error));
        self.shell.verdict.settle(failure.and(result).and(held), self.job.end);
        // What the application gave, and the id, are dropped now, and not with the verdict.
        self.job.edits = Edits::default();
        (self.job.entry, self.job.recreate, self.job.id) = (None, None, None);
        (self.op, self.asked) = (None, None);
        Step::Done(Done::committed(self, after))
    }
}
