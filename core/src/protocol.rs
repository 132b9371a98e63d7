//! The protocol: every transition of a session, from the first access to the end of the commit.
//!
//! # Admission
//!
//! Each ticket of the request is looked up, and pointers are followed while they are open:
//!
//! ```text
//!                 ┌────────────────── Moved, open ───────────────┐
//!                 ▼                                              │
//! ticket ──► Load(key) ──┬─ Record in time ──► live              │
//!                        ├─ Record expired, Absent, Ended ──► nothing opens
//!                        ├─ Ended by a login or an elevation just now ──► superseded
//!                        ├─ Moved ───────────────────────────────┤
//!                        │                                       └─ closed, or one too many ──► stale
//!                        └─ does not decode ──► undecodable
//! ```
//!
//! Exactly one live session opens; several are ambiguous.
//!
//! # Commit
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
//!                      └─ Absent ──► vanished
//!
//! Rest ──┬─ first presentation ──► Presenting (Load) ──► Closing (Replace) ──► Clearing (Replace) ──► done
//!        └─ touch due ──► Touching ──► done
//! ```
//!
//! Nothing is ever written without a condition, and a change never falls back to a creation. Once a write may still land
//! whose answer is missing, a commit that cannot settle it ends in doubt ([`CommitError::OutcomeUnknown`]); it never
//! claims that nothing happened.

use std::sync::Arc;

use crate::{
    codec::DecodeError,
    commit::{Draft, EndTarget, Fresh, Job, Live, Sight},
    data::Data,
    engine::Policy,
    entropy::{Entropy, EntropyError},
    event::{Event, Events},
    id::{SessionId, StoreKey},
    limits::{MAX_HOPS, MAX_OPERATIONS, NONCES_KEPT},
    loaded::Loaded,
    op::{Op, Outcome},
    record::{EndCause, Ended, Nonce, Record},
    session::{Candidates, Shell, State as SessionState, Ticket, Vec4},
    step::{After, CommitError, CookieLine, Done, End, Io, Step},
    time::UnixTime,
    value::{Stored, Version},
};

/// What the tickets of a request opened, in the order in which one outweighs another.
pub(crate) enum Opened {
    Absent,
    /// Nothing opens, but an end has something to strike: an expired record, or what an elevation made.
    Dead(EndTarget),
    /// The ticket was renewed away: what it stood for may live on, so that a write must not overwrite its cookie.
    Stale,
    Superseded,
    Undecodable {
        target: EndTarget,
        error: DecodeError,
    },
    Live(Box<Admitted>),
    Ambiguous,
}

impl Opened {
    fn rank(&self) -> u8 {
        match self {
            Self::Absent => 0,
            Self::Dead(_) => 1,
            Self::Stale => 2,
            Self::Superseded => 3,
            Self::Undecodable { .. } => 4,
            Self::Live(_) => 5,
            Self::Ambiguous => 6,
        }
    }
}

/// A live record and how it was found.
pub(crate) struct Admitted {
    pub(crate) live: Live,
    pub(crate) expires_in: core::time::Duration,
    pub(crate) hops: u32,
    pub(crate) loaded_at: UnixTime,
    pub(crate) outdated: bool,
    pub(crate) presented: Option<StoreKey>,
}

/// The look-up of a request's tickets, one load at a time.
pub(crate) struct Admission {
    tickets: Vec4<Ticket>,
    /// The ticket that is looked up.
    index: usize,
    /// Where: the ticket's own key, or what pointers led to.
    key: StoreKey,
    hops: u32,
    /// When the first load was sent.
    since: Option<UnixTime>,
    best: Opened,
    capped: bool,
}

/// What a load brought the admission to.
pub(crate) enum Arrival {
    Another,
    Opened(Opened),
}

impl Admission {
    /// Checks the tags. Without a valid ticket there is nothing to load.
    pub(crate) fn start(policy: &Policy, candidates: &Candidates, events: &mut Events) -> Result<Self, Opened> {
        let (tickets, capped) = candidates.verify(policy, events);
        match tickets.get(0) {
            Some(first) => Ok(Self::at(first.key.clone(), tickets, capped)),
            // What was not read may hold the visitor's ticket, which a new cookie would overwrite.
            None => Err(if capped { Opened::Ambiguous } else { Opened::Absent }),
        }
    }

    /// Looks up a key again, after a commit that failed.
    fn again(key: StoreKey) -> After {
        After::State(SessionState::Admitting(Self::at_one(key)))
    }

    fn at_one(key: StoreKey) -> Self {
        let mut tickets = Vec4::default();
        // An empty one has room.
        let _ = tickets.push(Ticket { key: key.clone(), outdated: false });
        Self::at(key, tickets, false)
    }

    fn at(key: StoreKey, tickets: Vec4<Ticket>, capped: bool) -> Self {
        Self { tickets, index: 0, key, hops: 0, since: None, best: Opened::Absent, capped }
    }

    /// Returns the key to load.
    pub(crate) fn key(&self) -> &StoreKey {
        &self.key
    }

    /// Takes what was found under the key.
    pub(crate) fn arrive(
        &mut self,
        policy: &Policy,
        found: Option<Stored>,
        now: UnixTime,
        events: &mut Events,
    ) -> Arrival {
        self.since.get_or_insert(now);
        let expires_in = found.as_ref().and_then(|stored| stored.expires_in);
        let opened = match Sight::of(policy, &self.key, found) {
            Sight::Moved(moved, _) if moved.closes_at.is_some_and(|at| at <= now) => {
                events.push(Event::ReusedRenewed);
                Opened::Stale
            }
            Sight::Moved(_, _) if self.hops == MAX_HOPS => {
                events.push(Event::TooManyHops);
                Opened::Stale
            }
            Sight::Moved(moved, _) => {
                self.hops += 1;
                self.key = moved.to;
                return Arrival::Another;
            }
            Sight::Absent => {
                events.push(Event::NotFound);
                Opened::Absent
            }
            Sight::Ended(ended) if is_superseded(policy, &ended, now) => {
                events.push(Event::Superseded);
                Opened::Superseded
            }
            Sight::Ended(ended) => {
                events.push(Event::ReusedEnded);
                ended.next.map_or(Opened::Absent, |next| Opened::Dead(EndTarget::Follow(next)))
            }
            Sight::Undecodable(version, error) => {
                events.push(Event::Undecodable);
                Opened::Undecodable { target: EndTarget::At(self.key.clone(), version), error }
            }
            Sight::Record(live) => match expires_in {
                Some(ttl) if is_in_time(policy, &live.record, ttl, now) => self.admit(live, ttl, now),
                _ => {
                    events.push(Event::Expired);
                    Opened::Dead(EndTarget::At(live.key, live.version))
                }
            },
        };
        self.weigh(opened);
        self.index += 1;
        self.hops = 0;
        let next = self.tickets.get(self.index).filter(|_| !matches!(self.best, Opened::Ambiguous));
        if let Some(ticket) = next {
            self.key = ticket.key.clone();
            return Arrival::Another;
        }
        let opened = core::mem::replace(&mut self.best, Opened::Absent);
        let opened = if self.capped && !matches!(opened, Opened::Live(_)) { Opened::Ambiguous } else { opened };
        if matches!(opened, Opened::Ambiguous) {
            events.push(Event::Ambiguous);
        }
        Arrival::Opened(opened)
    }

    fn admit(&self, live: Live, expires_in: core::time::Duration, now: UnixTime) -> Opened {
        Opened::Live(Box::new(Admitted {
            expires_in,
            hops: self.hops,
            loaded_at: self.since.unwrap_or(now),
            outdated: self.tickets.get(self.index).is_some_and(|ticket| ticket.outdated),
            presented: (self.hops == 0).then(|| live.key.clone()),
            live,
        }))
    }

    /// Keeps what outweighs the other. Two live sessions are one when they are one lineage: the same record, or a record
    /// and the successor that it was renewed to between the two loads.
    fn weigh(&mut self, opened: Opened) {
        let best = core::mem::replace(&mut self.best, Opened::Absent);
        self.best = match (best, opened) {
            (Opened::Live(a), Opened::Live(b)) if a.live.key == b.live.key => {
                Opened::Live(if b.hops == 0 { b } else { a })
            }
            (Opened::Live(a), Opened::Live(b)) if b.live.record.predecessor.as_ref() == Some(&a.live.key) => {
                Opened::Live(b)
            }
            (Opened::Live(a), Opened::Live(b)) if a.live.record.predecessor.as_ref() == Some(&b.live.key) => {
                Opened::Live(a)
            }
            // What does not decode may be a second live session.
            (Opened::Live(_) | Opened::Undecodable { .. }, Opened::Live(_) | Opened::Undecodable { .. }) => {
                Opened::Ambiguous
            }
            (a, b) if a.rank() >= b.rank() => a,
            (_, b) => b,
        };
    }
}

fn is_superseded(policy: &Policy, ended: &Ended, now: UnixTime) -> bool {
    ended.cause != EndCause::Destroy && now.since(ended.at) < policy.superseded
}

fn is_in_time(policy: &Policy, record: &Record, expires_in: core::time::Duration, now: UnixTime) -> bool {
    let longest = record.idle.saturating_add(policy.skew);
    !expires_in.is_zero() && expires_in <= longest && policy.longest.deadline(record) > now
}

/// Decides what a request's commit does.
pub(crate) fn start(mut shell: Shell, mut loaded: Loaded, now: UnixTime, entropy: &mut dyn Entropy) -> Step {
    let changed = loaded.is_changed();
    if let Opened::Live(admitted) = &loaded.opened
        && loaded.rotate
        && admitted.hops >= MAX_HOPS
    {
        // One more pointer would be one that is not followed: the ticket must go on working.
        shell.events.push(Event::TooManyHops);
        loaded.rotate = false;
    }
    let (destroy, rotate) = (loaded.destroy, loaded.rotate);
    let is_late = |admitted: &Admitted| now.since(admitted.loaded_at) > shell.policy.max_request;
    let refusal = match &loaded.opened {
        Opened::Ambiguous if changed || rotate || destroy => Some(CommitError::Ambiguous),
        Opened::Stale if destroy => Some(CommitError::StaleTicket),
        Opened::Stale | Opened::Superseded if changed => Some(CommitError::Lost),
        Opened::Undecodable { error, .. } if destroy && !error.may_be_ended() => Some(CommitError::Undecodable(*error)),
        Opened::Live(admitted) if (changed || rotate) && !destroy && is_late(admitted) => Some(CommitError::TooLate),
        Opened::Absent | Opened::Dead(_) if changed && !shell.may_create => Some(CommitError::CrossSite),
        _ => None,
    };
    if let Some(error) = refusal {
        let end = match error {
            CommitError::CrossSite => {
                shell.events.push(Event::CrossSite);
                End::NothingToEnd
            }
            CommitError::Lost => {
                shell.events.push(Event::Lost);
                End::NothingToEnd
            }
            _ => End::Failed,
        };
        loaded.drop_edits();
        let end = destroy.then_some(end);
        return Step::Done(Done::new(shell, Err(error), end, After::State(SessionState::Ready(loaded))));
    }
    let strikes = destroy && matches!(&loaded.opened, Opened::Live(_) | Opened::Dead(_) | Opened::Undecodable { .. });
    let auto = match &loaded.opened {
        Opened::Live(admitted) if !rotate && !destroy => is_renewal_due(&shell, admitted, now),
        _ => false,
    };
    let end = (destroy && !strikes).then_some(End::NothingToEnd);
    let is_live = matches!(loaded.opened, Opened::Live(_));
    if !changed && !strikes && !is_live {
        return Step::Done(Done::new(shell, Ok(()), end, After::State(SessionState::Ready(loaded))));
    }
    let renews = is_live && !destroy && (rotate || auto);
    let draws = |entropy: &mut dyn Entropy| -> Result<(Nonce, Option<SessionId>), EntropyError> {
        let mut nonce = [0; Nonce::LEN];
        if changed || strikes || renews {
            entropy.fill(&mut nonce)?;
        }
        let creates = renews || (changed && (destroy || !is_live));
        let id = if creates { Some(shell.policy.tokens.new_id(entropy)?) } else { None };
        Ok((Nonce::from_bytes(nonce), id))
    };
    let (nonce, id) = match draws(entropy) {
        Ok(drawn) => drawn,
        Err(EntropyError) => {
            loaded.drop_edits();
            let after = After::State(SessionState::Ready(loaded));
            return Step::Done(Done::new(shell, Err(CommitError::Entropy), destroy.then_some(End::Failed), after));
        }
    };
    let Loaded { opened, data, edits, lifetime, .. } = loaded;
    let mut job = Job {
        edits,
        lifetime,
        changed,
        auto,
        recreate: None,
        nonce,
        id,
        now,
        loaded_at: now,
        expires_in: core::time::Duration::ZERO,
        presented: None,
        wrote: false,
        replays: 0,
        operations: 0,
        hops: 0,
        unsettled: None,
        end,
        failure: None,
    };
    match opened {
        Opened::Live(admitted) if !destroy => {
            let Admitted { mut live, expires_in, loaded_at, presented, .. } = *admitted;
            live.record.data = data;
            job.expires_in = expires_in;
            job.loaded_at = loaded_at;
            job.presented = presented;
            let commit = Commit { shell, job };
            if renews {
                commit.renew(live)
            } else if changed {
                commit.change(live)
            } else {
                live.record.data.revert();
                commit.rest(live)
            }
        }
        Opened::Live(admitted) if strikes => {
            job.recreate = changed.then_some(data);
            Commit { shell, job }.strike(EndTarget::At(admitted.live.key, admitted.live.version))
        }
        Opened::Dead(target) | Opened::Undecodable { target, .. } if strikes => {
            job.recreate = changed.then_some(data);
            Commit { shell, job }.strike(target)
        }
        _ => Commit { shell, job }.create(data),
    }
}

fn is_renewal_due(shell: &Shell, admitted: &Admitted, now: UnixTime) -> bool {
    let policy = &shell.policy;
    let age = now.since(admitted.live.record.issued);
    let by_age = shell.may_renew && policy.renew_after.is_some_and(|after| age >= after);
    let is_late = now.since(admitted.loaded_at) > policy.max_request;
    admitted.hops == 0 && policy.codec.has_markers() && !is_late && (by_age || admitted.outdated)
}

/// A commit that waits for an operation.
pub(crate) struct Machine {
    commit: Commit,
    op: Op,
    state: State,
}

/// Which operation is under way, with what is needed to go on.
enum State {
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

/// What a look is for.
enum Why {
    /// A change, with the try whose answer is missing.
    Change(Option<Attempt>),
    End,
    Swing(Renewal),
}

/// What follows after the record of a renewal that lost was removed.
enum Next {
    Follow(StoreKey),
    Lost(StoreKey),
}

/// A change on its way over one version of a record.
struct Attempt {
    key: StoreKey,
    version: Version,
    draft: Draft,
}

/// A renewal on its way: the record under its new id, and the old one that must point to it.
struct Renewal {
    fresh: Fresh,
    version: Option<Version>,
    old: StoreKey,
    old_version: Version,
}

impl Machine {
    pub(crate) fn op(&self) -> &Op {
        &self.op
    }

    /// Takes the outcome of the operation.
    pub(crate) fn resume(self, outcome: Outcome, now: UnixTime) -> Step {
        let Self { mut commit, op: _, state } = self;
        commit.job.now = now;
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
            (State::Changing(attempt), Outcome::Absent) => commit.lost(attempt.key),
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
                commit.job.unsettled.get_or_insert(renewal.fresh.draft.record.commits - 1);
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
            (State::Ending(key), Outcome::Conflict(None) | Outcome::Unknown) => commit.look(key, Why::End),
            (State::Ending(key), Outcome::Absent) => commit.saw_end(key, None),
            (State::Ending(key), Outcome::Failed) => commit.fail_end(CommitError::Store, key),

            (State::Looking(key, why), Outcome::Found(found)) => commit.saw(key, Some(found), why),
            (State::Looking(key, why), Outcome::Absent) => commit.saw(key, None, why),
            (State::Looking(key, why), Outcome::Failed | Outcome::Unknown) => match why {
                Why::Change(_) => commit.fail(CommitError::Store, Some(key)),
                Why::End => commit.fail_end(CommitError::OutcomeUnknown, key),
                Why::Swing(_) => commit.fail(CommitError::Store, Some(key)),
            },

            (State::Presenting(live, key), Outcome::Found(found)) => commit.saw_predecessor(live, key, found),
            (State::Presenting(live, _), Outcome::Absent) => commit.clear_predecessor(live),
            (State::Closing(live), Outcome::Done(_)) => commit.clear_predecessor(live),
            (State::Clearing(live), Outcome::Done(version)) => {
                commit.job.wrote = true;
                commit.rested(Live { version, ..live })
            }
            // What failed here is done at the next presentation.
            (State::Presenting(live, _) | State::Closing(live), _) => commit.touch(live),
            (State::Clearing(live), _) => commit.finish(Ok(()), Admission::again(live.key)),
            (State::Touching(live), Outcome::Done(version)) => {
                commit.shell.events.push(Event::Touched);
                commit.job.wrote = true;
                commit.rested(Live { version, ..live })
            }
            (State::Touching(live), _) => commit.rested(live),

            (State::Ending(key) | State::Looking(key, Why::End), _) => {
                commit.fail_end(CommitError::UnexpectedOutcome, key)
            }
            (State::Looking(key, _), _) => commit.fail(CommitError::UnexpectedOutcome, Some(key)),
            (State::Changing(Attempt { key, .. }), _) => commit.fail(CommitError::UnexpectedOutcome, Some(key)),
            (
                State::Opening(Renewal { old, .. })
                | State::Swinging(Renewal { old, .. })
                | State::Refreshing(Renewal { old, .. })
                | State::Recalling(Renewal { old, .. }),
                _,
            ) => commit.fail(CommitError::UnexpectedOutcome, Some(old)),
            (State::Abandoning(_) | State::Creating(_), _) => commit.fail(CommitError::UnexpectedOutcome, None),
        }
    }
}

/// The commit's verbs: each asks for one operation, or finishes.
pub(crate) struct Commit {
    shell: Shell,
    job: Job,
}

impl Commit {
    // New

    fn create(self, data: Data) -> Step {
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
        self.job.wrote = true;
        self.rested(Live { key: fresh.key, version, value, record })
    }

    // Change

    /// Writes a record, edits done, over the version that was read.
    fn change(self, live: Live) -> Step {
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
        self.settled(Live { key, version, value, record })
    }

    fn saw_change(mut self, key: StoreKey, found: Option<Stored>, attempt: Option<Attempt>) -> Step {
        let mut live = match Sight::of(&self.shell.policy, &key, found) {
            Sight::Absent | Sight::Ended(_) => return self.lost(key),
            Sight::Moved(moved, _) => return self.hop(moved.to, Why::Change(None)),
            Sight::Undecodable(_, error) => return self.fail(CommitError::Undecodable(error), Some(key)),
            Sight::Record(live) => live,
        };
        if live.record.nonces.contains(self.job.nonce) {
            self.job.unsettled = None;
            return self.settled(live);
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
    fn renew(self, live: Live) -> Step {
        let Live { key, version, mut record, .. } = live;
        record.predecessor = Some(key.clone());
        match self.job.fresh(&self.shell.policy, record) {
            Ok(fresh) => {
                let Draft { value, ttl, .. } = &fresh.draft;
                let op = Op::Create { key: fresh.key.clone(), value: value.clone(), ttl: *ttl };
                self.ask(op, State::Opening(Renewal { fresh, version: None, old: key, old_version: version }))
            }
            Err(error) => self.fail(error, Some(key)),
        }
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
            // Without pointers, this may be our own removal.
            Sight::Absent if self.job.unsettled.is_some() && !self.shell.policy.codec.has_markers() => {
                self.fail(CommitError::OutcomeUnknown, None)
            }
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
                live.record.predecessor = Some(key.clone());
                match self.job.fresh(&self.shell.policy, live.record) {
                    Ok(fresh) => {
                        renewal.old_version = live.version;
                        renewal.fresh = fresh;
                        self.refresh(renewal)
                    }
                    Err(error) => self.fail(error, Some(key)),
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

    /// The renewal cannot be done. Was it not asked for, then the edits are done without it.
    fn fall_back(self, renewal: Renewal) -> Step {
        if self.job.auto && self.job.unsettled.is_none() {
            return self.follow_edits(renewal.old);
        }
        self.fail(CommitError::Store, Some(renewal.old))
    }

    fn follow_edits(self, key: StoreKey) -> Step {
        if self.job.changed {
            return self.hop(key, Why::Change(None));
        }
        self.finish(Ok(()), Admission::again(key))
    }

    fn publish(mut self, renewal: Renewal) -> Step {
        self.job.unsettled = None;
        self.shell.events.push(Event::Renewed);
        let Fresh { key, line, draft: Draft { record, value, .. } } = renewal.fresh;
        self.shell.owed = Some(CookieLine { line, removes: false });
        match renewal.version {
            Some(version) => self.settled(Live { key, version, value, record }),
            None => self.finish(Ok(()), Admission::again(key)),
        }
    }

    // End

    fn strike(self, target: EndTarget) -> Step {
        let (key, version) = match target {
            EndTarget::At(key, version) => (key, version),
            EndTarget::Follow(key) => return self.hop(key, Why::End),
        };
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
            Ok(()) => self.strike(EndTarget::At(key, version)),
            Err(error) => self.fail_end(error, key),
        }
    }

    fn ended(mut self, end: End) -> Step {
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
        self.job.end = Some(End::Failed);
        let mut loaded = Loaded::new(Arc::clone(&self.shell.policy), Opened::Dead(EndTarget::Follow(key)));
        loaded.destroy();
        self.finish(Err(error), After::State(SessionState::Ready(loaded)))
    }

    // Rest: best effort, after all that was asked for

    /// A change or a renewal is done.
    fn settled(mut self, live: Live) -> Step {
        self.job.wrote = true;
        self.rest(live)
    }

    fn rest(self, live: Live) -> Step {
        let is_late = self.job.now.since(self.job.loaded_at) > self.shell.policy.max_request;
        let is_first = self.job.presented.as_ref() == Some(&live.key);
        match &live.record.predecessor {
            _ if is_late => self.rested(live),
            Some(predecessor) if is_first => {
                let key = predecessor.clone();
                self.ask(Op::Load { key: key.clone() }, State::Presenting(live, key))
            }
            _ => self.touch(live),
        }
    }

    fn saw_predecessor(self, live: Live, key: StoreKey, found: Stored) -> Step {
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

    fn clear_predecessor(self, mut live: Live) -> Step {
        let Live { key, version, .. } = &live;
        let (key, version) = (key.clone(), version.clone());
        live.record.predecessor = None;
        match self.job.written(&self.shell.policy, &key, live.record) {
            Ok(Draft { record, value, ttl }) => {
                let op = Op::Replace { key: key.clone(), version: version.clone(), value: value.clone(), ttl };
                self.ask(op, State::Clearing(Live { key, version, value, record }))
            }
            Err(_) => self.finish(Ok(()), Admission::again(key)),
        }
    }

    /// Extends the time to live if that adds enough, and nothing else has written the record.
    fn touch(self, live: Live) -> Step {
        let Job { now, loaded_at, expires_in, wrote, .. } = self.job;
        let ttl = self.shell.policy.longest.ttl(&live.record, now);
        let adds = ttl.saturating_sub(expires_in.saturating_sub(now.since(loaded_at)));
        if wrote || adds <= live.record.idle / self.shell.policy.touch_part {
            return self.rested(live);
        }
        let op = Op::Touch { key: live.key.clone(), version: live.version.clone(), value: live.value.clone(), ttl };
        self.ask(op, State::Touching(live))
    }

    /// The request's session lives on.
    fn rested(self, live: Live) -> Step {
        let Job { now, loaded_at, expires_in, wrote, .. } = self.job;
        let (expires_in, loaded_at) = match wrote {
            false => (expires_in, loaded_at),
            true => (self.shell.policy.longest.ttl(&live.record, now), now),
        };
        let presented = self.job.presented.clone();
        let admitted = Admitted { live, expires_in, hops: 0, loaded_at, outdated: false, presented };
        self.finish(Ok(()), After::Written(Box::new(admitted)))
    }

    // Common to all

    fn ask(mut self, op: Op, state: State) -> Step {
        self.job.operations += 1;
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
            return self.finish(Ok(()), Admission::again(key));
        }
        self.fail(CommitError::Lost, Some(key))
    }

    /// Fails the commit; the session is looked up again if the request goes on.
    fn fail(mut self, error: CommitError, key: Option<StoreKey>) -> Step {
        let error = if self.job.unsettled.is_some() { CommitError::OutcomeUnknown } else { error };
        if error == CommitError::Lost {
            self.shell.events.push(Event::Lost);
        }
        let after = key.map_or_else(|| self.nothing(), Admission::again);
        let is_nobodys = self.job.auto && !self.job.changed;
        self.finish(if is_nobodys { Ok(()) } else { Err(error) }, after)
    }

    /// The request goes on without a session.
    fn nothing(&self) -> After {
        After::State(SessionState::Ready(Loaded::new(Arc::clone(&self.shell.policy), Opened::Absent)))
    }

    fn finish(mut self, result: Result<(), CommitError>, after: After) -> Step {
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

/// Makes what a commit wrote the base of what the request does next.
pub(crate) fn read_again(policy: &Arc<Policy>, mut admitted: Admitted) -> SessionState {
    let Live { key, version, value, .. } = &admitted.live;
    let stored = Stored { value: value.clone(), version: version.clone(), expires_in: None };
    let opened = match Sight::of(policy, key, Some(stored)) {
        Sight::Record(live) => {
            admitted.live = live;
            Opened::Live(Box::new(admitted))
        }
        // A codec that cannot read what it wrote: nothing but a look at the store helps.
        _ => return SessionState::Admitting(Admission::at_one(key.clone())),
    };
    SessionState::Ready(Loaded::new(Arc::clone(policy), opened))
}
