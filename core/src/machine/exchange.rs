//! Another id for a session: by a renewal, an elevation or a login.
//!
//! First the record is stored under its new id and put into the index of its user, then the old key gets what leads from
//! it, and only then is the ticket published. What others write under the old key meanwhile is done again under the new.

use crate::{
    data::Data,
    engine::Policy,
    event::Event,
    id::StoreKey,
    machine::{
        admission::Standing,
        commit::{Draft, Exchange, Fresh, Live, Next, Old, Reason, Sight, Why},
        protocol::{Commit, State},
    },
    op::Op,
    record::Record,
    step::{CommitError, End, Step},
    value::Stored,
};

impl Commit {
    /// Writes the record, edits done, under a new id; then the old key must lead to it.
    pub(crate) fn renew(self: Box<Self>, reason: Reason, live: Live) -> Step {
        let Live { key, version, mut record, .. } = live;
        self.job.inherit(&self.shell.policy, reason, key.clone(), &mut record);
        self.open(reason, record, Some(Old { key, version: Some(version) }))
    }

    /// Writes the record of a sign-in under a new id; then the session before it must end.
    pub(crate) fn login(self: Box<Self>, old: Option<Old>, data: Data) -> Step {
        let record = self.job.first_record(&self.shell.policy, data);
        self.open(Reason::Login, record, old)
    }

    fn open(self: Box<Self>, reason: Reason, record: Box<Record>, old: Option<Old>) -> Step {
        let written_at = self.job.now;
        match self.job.fresh(&self.shell.policy, record) {
            Ok(fresh) => {
                let Draft { value, ttl, .. } = &fresh.draft;
                let op = Op::Create { key: fresh.key.clone(), value: value.clone(), ttl: *ttl };
                self.ask(op, State::Opening(Box::new(Exchange { reason, fresh, version: None, old, written_at })))
            }
            Err(error) => self.cannot_exchange(error, old.map(|old| old.key)),
        }
    }

    /// Puts the new key into the user's index, before anybody can be told of it.
    pub(crate) fn enroll(self: Box<Self>, exchange: Box<Exchange>) -> Step {
        let record = &exchange.fresh.draft.record;
        let Some(index) = self.index_of(record) else { return self.swing(exchange) };
        // A node may let it live for longer than this one, and a record that is written again for as long as a request takes.
        let Policy { max_request, skew, .. } = *self.shell.policy;
        let ttl = record.deadline.since(self.job.now).saturating_add(max_request).saturating_add(skew);
        self.ask(Op::Enroll { index, member: exchange.fresh.key.clone(), ttl }, State::Enrolling(exchange))
    }

    fn index_of(&self, record: &Record) -> Option<StoreKey> {
        record.sign_in.as_ref().map(|sign_in| self.shell.policy.keys.index_key(&sign_in.principal))
    }

    pub(crate) fn swing(self: Box<Self>, exchange: Box<Exchange>) -> Step {
        let Some(old) = &exchange.old else { return self.publish(exchange) };
        let key = old.key.clone();
        let Some(version) = old.version.clone() else { return self.look(key, Why::Swing(exchange)) };
        if !self.shell.policy.codec.has_markers() {
            return self.ask(Op::Remove { key, version }, State::Swinging(exchange));
        }
        match self.job.trace(&self.shell.policy, &key, &exchange) {
            Ok((value, ttl)) => self.ask(Op::Replace { key, version, value, ttl }, State::Swinging(exchange)),
            Err(error) => self.give_up(error, exchange),
        }
    }

    pub(crate) fn saw_swing(mut self: Box<Self>, found: Option<Stored>, mut exchange: Box<Exchange>) -> Step {
        let Some(Old { key, version }) = exchange.old.take() else { return self.publish(exchange) };
        let sight = Sight::of(&self.shell.policy, &key, found);
        let back = |mut exchange: Box<Exchange>, version| {
            exchange.old = Some(Old { key: key.clone(), version });
            exchange
        };
        match (exchange.reason, sight) {
            (Reason::Renewal, Sight::Moved(moved, _)) if moved.to == exchange.fresh.key => {
                self.publish(back(exchange, version))
            }
            (Reason::Elevation | Reason::Login, Sight::Ended(ended)) if ended.by == self.job.nonce => {
                self.publish(back(exchange, version))
            }

            (Reason::Renewal, Sight::Moved(moved, _)) => self.abandon(exchange, Next::Follow(moved.to)),
            (Reason::Elevation | Reason::Login, Sight::Moved(moved, _)) => self.pursue(moved.to, exchange),

            (Reason::Elevation | Reason::Renewal, Sight::Ended(_)) => self.abandon(exchange, Next::Lost(key)),
            (Reason::Login, Sight::Ended(ended)) => match ended.next {
                Some(next) => self.pursue(next, exchange),
                None => self.alone(exchange, End::AlreadyEnded),
            },

            // What we left may have been there, and gone; without markers, this may be our own removal.
            (Reason::Elevation | Reason::Renewal, Sight::Absent) if self.job.unsettled.is_some() => {
                self.fail(CommitError::OutcomeUnknown, Some(key))
            }
            (Reason::Renewal, Sight::Absent) => self.lost(key),
            (Reason::Elevation, Sight::Absent) => self.abandon(exchange, Next::Lost(key)),
            // A pointer may have run out meanwhile, and the session live elsewhere.
            (Reason::Login, Sight::Absent) if self.is_late() => {
                self.give_up(CommitError::TooLate, back(exchange, version))
            }
            (Reason::Login, Sight::Absent) => self.alone(exchange, End::Vanished),

            (Reason::Login, Sight::Undecodable(version, error)) if error.may_be_ended() => {
                match self.job.count_replay() {
                    Ok(()) => self.swing(back(exchange, Some(version))),
                    Err(error) => self.give_up(error, back(exchange, None)),
                }
            }
            (_, Sight::Undecodable(_, error)) => self.give_up(CommitError::Undecodable(error), back(exchange, version)),

            (_, Sight::Record(live)) if Some(&live.version) == version.as_ref() => match self.job.count_replay() {
                Ok(()) => self.swing(back(exchange, version)),
                Err(error) => self.give_up(error, back(exchange, version)),
            },
            (Reason::Login, Sight::Record(live)) if self.job.carries_nothing() => match self.job.count_replay() {
                Ok(()) => self.swing(back(exchange, Some(live.version))),
                Err(error) => self.give_up(error, back(exchange, version)),
            },
            (reason, Sight::Record(live)) => {
                // What was to go over the version before can land no more.
                self.job.unsettled = None;
                let exchange = back(exchange, Some(live.version.clone()));
                match self.job.successor(&self.shell.policy, reason, live) {
                    Ok(record) => self.rewrite(record, exchange),
                    Err(error) => self.give_up(error, exchange),
                }
            }
        }
    }

    /// Follows to where the session went that is to give way.
    fn pursue(mut self: Box<Self>, key: StoreKey, mut exchange: Box<Exchange>) -> Step {
        self.job.unsettled = None;
        exchange.old = Some(Old { key: key.clone(), version: None });
        self.hop(key, Why::Swing(exchange))
    }

    /// The session that a login was to end is gone: nothing of it is carried over.
    fn alone(mut self: Box<Self>, exchange: Box<Exchange>, end: End) -> Step {
        self.job.unsettled = None;
        self.job.end = self.job.end.map(|_| end);
        if self.job.carries_nothing() {
            return self.publish(exchange);
        }
        let mut data = Data::new();
        if let Err(error) = self.job.edits.replay(&mut data) {
            return self.give_up(CommitError::Replay(error), exchange);
        }
        let record = self.job.first_record(&self.shell.policy, data);
        self.rewrite(record, exchange)
    }

    /// Makes the record under the new id another one.
    fn rewrite(self: Box<Self>, record: Box<Record>, mut exchange: Box<Exchange>) -> Step {
        match self.job.fresh(&self.shell.policy, record) {
            Ok(fresh) => {
                (exchange.fresh, exchange.written_at) = (fresh, self.job.now);
                self.refresh(exchange)
            }
            Err(error) => self.give_up(error, exchange),
        }
    }

    /// Writes the record under its new id again, over whatever try of ours is there.
    fn refresh(self: Box<Self>, exchange: Box<Exchange>) -> Step {
        let Some(version) = exchange.version.clone() else { return self.fall_back(exchange) };
        let Fresh { key, draft: Draft { value, ttl, .. }, .. } = &exchange.fresh;
        let op = Op::Replace { key: key.clone(), version, value: value.clone(), ttl: *ttl };
        self.ask(op, State::Refreshing(exchange))
    }

    /// The old key is never made to lead to a record that is not known to hold what was last written.
    pub(crate) fn saw_fresh(mut self: Box<Self>, found: Option<Stored>, mut exchange: Box<Exchange>) -> Step {
        let is_written = found.as_ref().is_some_and(|found| found.value == exchange.fresh.draft.value);
        match Sight::of(&self.shell.policy, &exchange.fresh.key, found) {
            Sight::Record(live) => {
                exchange.version = Some(live.version);
                match self.job.count_replay() {
                    Ok(()) if is_written => self.swing(exchange),
                    Ok(()) => self.refresh(exchange),
                    Err(error) => self.give_up(error, exchange),
                }
            }
            // Somebody ended all sessions of the user.
            Sight::Ended(_) => {
                let old = exchange.old_key();
                self.abandon(exchange, Next::Failed(CommitError::Lost, old))
            }
            Sight::Absent if exchange.reason == Reason::Login => self.give_up(CommitError::Lost, exchange),
            Sight::Absent | Sight::Moved(..) | Sight::Undecodable(..) => self.fall_back(exchange),
        }
    }

    /// Removes a record that was told to nobody: the old key surely does not lead to it, and never will.
    fn abandon(mut self: Box<Self>, exchange: Box<Exchange>, next: Next) -> Step {
        self.job.unsettled = None;
        self.remove(exchange, next)
    }

    /// Removes what nothing leads to, from its index too.
    pub(crate) fn remove(self: Box<Self>, exchange: Box<Exchange>, next: Next) -> Step {
        let Exchange { fresh: Fresh { key, draft, .. }, version, .. } = *exchange;
        let index = self.index_of(&draft.record);
        match version {
            Some(version) => {
                let member = key.clone();
                self.ask(Op::Remove { key, version }, State::Abandoning(member, index, Box::new(next)))
            }
            None => self.proceed(next),
        }
    }

    /// Takes a key out of an index, if there is one. A key that stays is found out by who lists it.
    pub(crate) fn unenroll(self: Box<Self>, member: StoreKey, index: Option<StoreKey>, next: Next) -> Step {
        match index {
            Some(index) => self.ask(Op::Unenroll { index, member }, State::Unenrolling(next)),
            None => self.proceed(next),
        }
    }

    pub(crate) fn fall_back(self: Box<Self>, exchange: Box<Exchange>) -> Step {
        self.give_up(CommitError::Store, exchange)
    }

    /// The exchange cannot be done. What nothing leads to is removed: before the swing, and where a login would leave a
    /// tombstone that leads nowhere.
    pub(crate) fn give_up(self: Box<Self>, error: CommitError, exchange: Box<Exchange>) -> Step {
        let old = exchange.old_key();
        match exchange.reason {
            Reason::Login => {
                let error = if self.job.unsettled.is_some() { CommitError::OutcomeUnknown } else { error };
                self.remove(exchange, Next::Failed(error, old))
            }
            Reason::Elevation | Reason::Renewal => self.cannot_exchange(error, old),
        }
    }

    /// Was the exchange not asked for, then the rest is done without it.
    pub(crate) fn cannot_exchange(self: Box<Self>, error: CommitError, old: Option<StoreKey>) -> Step {
        match old {
            Some(old) if self.job.auto && self.job.unsettled.is_none() => self.look(old, Why::Change(None)),
            old => self.fail(error, old),
        }
    }

    pub(crate) fn follow_edits(mut self: Box<Self>, key: StoreKey) -> Step {
        if self.job.changed {
            return self.hop(key, Why::Change(None));
        }
        self.job.standing.hops += 1;
        self.finish_again(key)
    }

    pub(crate) fn publish(mut self: Box<Self>, exchange: Box<Exchange>) -> Step {
        self.job.unsettled = None;
        let Exchange { reason, fresh, version, old, written_at } = *exchange;
        let Fresh { key, line, draft: Draft { record, value, .. } } = fresh;
        self.shell.owe(&key, line);
        match reason {
            Reason::Elevation | Reason::Login => {
                self.shell.verdict.events.push(if reason == Reason::Login { Event::SignedIn } else { Event::Elevated });
                self.job.standing = Standing::default();
            }
            Reason::Renewal => {
                self.shell.verdict.events.push(Event::Renewed);
                self.job.standing.hops += 1;
            }
        }
        let next = match version {
            Some(version) => Next::Settled(Live { key, version, value, record }, written_at),
            None => Next::Again(key),
        };
        match old {
            Some(old) => {
                self.job.end = self.job.end.map(|_| End::Ended);
                let index = self.job.index.take();
                self.unenroll(old.key, index, next)
            }
            None => self.proceed(next),
        }
    }
}
