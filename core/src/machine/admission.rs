//! The admission of a request: what its tickets open.
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
//! Exactly one live session opens; several are ambiguous. A request that had a session, and looks again after a commit that
//! failed, is superseded where nothing opens.

use core::{ops::ControlFlow, time::Duration};
use std::{collections::VecDeque, sync::Arc};

use crate::{
    binding::{Binder, Client},
    engine::Policy,
    event::{Event, Events},
    held::Jar,
    id::StoreKey,
    limits::MAX_HOPS,
    loaded::Loaded,
    machine::commit::{EndTarget, Live, Sight},
    principal::SignIn,
    record::{EndCause, Ended, Nonce, Record},
    session::{Candidates, State, Ticket, Tickets},
    step::After,
    time::UnixTime,
    value::Stored,
    wire::codec::DecodeError,
};

/// What the tickets of a request opened, in the order in which one outweighs another. Each holds one box at most, so that it is
/// handed on in registers.
pub(crate) enum Opened {
    Absent,
    /// Nothing opens, but an end has something to strike: an expired record, or what an elevation made.
    Dead(Box<EndTarget>),
    /// The ticket was renewed away: what it stood for may live on, so that a write must not overwrite its cookie.
    Stale,
    /// Given up a moment ago, by a login, or by an elevation that made what stands here, or lost within the request; only
    /// an end follows that.
    Superseded(Option<Box<EndTarget>>),
    Undecodable(Box<Undecodable>),
    Live(Box<Admitted>),
    Ambiguous,
}

impl Opened {
    /// When it was loaded, where a commit may write over it.
    pub(crate) fn loaded_at(&self) -> Option<UnixTime> {
        match self {
            Self::Live(admitted) => Some(admitted.loaded_at),
            Self::Dead(target) | Self::Superseded(Some(target)) => Some(target.loaded_at),
            Self::Undecodable(found) => Some(found.target.loaded_at),
            Self::Absent | Self::Ambiguous | Self::Stale | Self::Superseded(None) => None,
        }
    }

    /// Who is signed in.
    pub(crate) fn sign_in(&self) -> Option<&SignIn> {
        match self {
            Self::Live(admitted) => admitted.live.record.sign_in.as_ref(),
            _ => None,
        }
    }

    /// What the session that lives here and its successors have in common.
    pub(crate) fn lineage(&self) -> Option<Nonce> {
        match self {
            Self::Live(admitted) => Some(admitted.live.record.lineage),
            _ => None,
        }
    }

    /// Where an end strikes.
    pub(crate) fn end_target(self) -> Option<Box<EndTarget>> {
        match self {
            Self::Live(admitted) => {
                let Admitted { live: Live { key, version, .. }, loaded_at, .. } = *admitted;
                Some(Box::new(EndTarget { key, version: Some(version), loaded_at }))
            }
            Self::Dead(target) | Self::Superseded(Some(target)) => Some(target),
            Self::Undecodable(found) => Some(Box::new(found.target)),
            Self::Absent | Self::Ambiguous | Self::Stale | Self::Superseded(None) => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Absent => 0,
            Self::Dead(_) => DEAD,
            Self::Stale => 2,
            Self::Superseded(_) => 3,
            Self::Undecodable(_) => 4,
            Self::Live(_) => 5,
            Self::Ambiguous => 6,
        }
    }
}

/// Of what opens nothing, but has something to strike.
const DEAD: u8 = 1;

/// A record that does not decode, and why.
pub(crate) struct Undecodable {
    target: EndTarget,
    pub(crate) error: DecodeError,
}

/// A live record and how it was found.
pub(crate) struct Admitted {
    pub(crate) live: Live,
    pub(crate) expires_in: Duration,
    pub(crate) loaded_at: UnixTime,
    pub(crate) outdated: bool,
    pub(crate) standing: Standing,
    /// The last end of all of the user's sessions that it knows of, where it is held in the cookie.
    pub(crate) epoch: Option<Nonce>,
}

/// How a request stands to the ticket that it presented. What it does after a save stands no better.
#[derive(Clone, Default)]
pub(crate) struct Standing {
    /// Pointers between the ticket's own key and where the session lives.
    pub(crate) hops: u32,
    /// The ticket's own key, where the session was found under it.
    pub(crate) presented: Option<StoreKey>,
}

impl Standing {
    /// Returns the key that the session had before, if this is the first time that its new ticket is presented.
    pub(crate) fn first_of<'a>(&self, live: &'a Live) -> Option<&'a StoreKey> {
        live.record.predecessor.as_ref().filter(|_| self.presented.as_ref() == Some(&live.key))
    }
}

/// The look-up of a request's tickets, one load at a time.
pub(crate) struct Admission {
    /// The ticket that is looked up, under its own key or where pointers led to.
    ticket: Ticket,
    hops: u32,
    /// Those that are looked up after it.
    others: VecDeque<Ticket>,
    /// When the first load was sent.
    since: Option<UnixTime>,
    best: Opened,
    /// How the request stood before, where it looks again.
    before: Option<Box<Standing>>,
    /// What ends because its ticket came from another client.
    mismatched: Option<Box<EndTarget>>,
}

/// What a load brought the admission to.
pub(crate) enum Arrival {
    Another,
    Opened(Opened),
}

impl Admission {
    /// Checks the tags. Without a valid ticket there is nothing to load; and where one that was not looked at may be the
    /// visitor's, nothing is opened or overwritten.
    pub(crate) fn start(
        policy: &Policy,
        candidates: &Candidates,
        events: &mut Events,
        jar: &mut Option<Box<Jar>>,
    ) -> ControlFlow<Opened, Self> {
        let mut tickets = Tickets::default();
        if candidates.verify(policy, &mut tickets, events, jar) {
            events.push(Event::Ambiguous);
            return ControlFlow::Break(Opened::Ambiguous);
        }
        match tickets.first {
            Some(first) => ControlFlow::Continue(Self::of(first, tickets.more)),
            None => ControlFlow::Break(Opened::Absent),
        }
    }

    /// Looks up a key again, after a commit that failed.
    pub(crate) fn again(key: StoreKey, before: Standing) -> After {
        After::State(Box::new(State::Admitting(Self::at_one(key, before))))
    }

    fn at_one(key: StoreKey, before: Standing) -> Self {
        Self { before: Some(Box::new(before)), ..Self::of(Ticket { key, outdated: false }, VecDeque::new()) }
    }

    fn of(ticket: Ticket, others: VecDeque<Ticket>) -> Self {
        Self { ticket, hops: 0, others, since: None, best: Opened::Absent, before: None, mismatched: None }
    }

    /// Returns the key to load.
    pub(crate) fn key(&self) -> &StoreKey {
        &self.ticket.key
    }

    /// Takes what was found under the key.
    pub(crate) fn arrive(
        &mut self,
        policy: &Policy,
        found: Option<Stored>,
        now: UnixTime,
        client: Option<Client>,
        events: &mut Events,
    ) -> Arrival {
        let loaded_at = *self.since.get_or_insert(now);
        let target = |key, version| Box::new(EndTarget { key, version, loaded_at });
        let expires_in = found.as_ref().and_then(|stored| stored.expires_in);
        let opened = match Sight::of(policy, &self.ticket.key, found) {
            Sight::Moved(moved, _) if moved.closes_at.is_some_and(|at| at <= now) => {
                events.push(Event::ReusedRenewed);
                Opened::Stale
            }
            Sight::Moved(_, _) if self.hops == MAX_HOPS => {
                events.push(Event::TooManyHops);
                Opened::Stale
            }
            Sight::Moved(moved, _) => {
                // What another ticket opened a moment ago has moved meanwhile: this is the way to it.
                if matches!(&self.best, Opened::Live(best) if best.live.key == self.ticket.key) {
                    self.best = Opened::Absent;
                }
                self.hops += 1;
                self.ticket.key = moved.to;
                return Arrival::Another;
            }
            Sight::Absent => {
                events.push(Event::NotFound);
                Opened::Absent
            }
            Sight::Ended(ended) if is_superseded(policy, &ended, now) => {
                events.push(Event::Superseded);
                Opened::Superseded(ended.next.map(|next| target(next, None)))
            }
            Sight::Ended(ended) => {
                events.push(Event::ReusedEnded);
                ended.next.map_or(Opened::Absent, |next| Opened::Dead(target(next, None)))
            }
            Sight::Undecodable(version, error) => {
                events.push(Event::Undecodable);
                let target = EndTarget { key: self.ticket.key.clone(), version: Some(version), loaded_at };
                Opened::Undecodable(Box::new(Undecodable { target, error }))
            }
            Sight::Record(live) => match expires_in {
                Some(ttl) if is_in_time(policy, &live.record, ttl, now) => {
                    if is_bound_to_another(policy, &live.record, client) {
                        events.push(Event::BindingMismatch);
                        let target = target(live.key, Some(live.version));
                        if policy.binder.as_ref().is_some_and(Binder::destroys) && self.mismatched.is_none() {
                            self.mismatched = Some(target);
                            Opened::Absent
                        } else {
                            Opened::Dead(target)
                        }
                    } else {
                        self.admit(live, ttl, loaded_at)
                    }
                }
                _ => {
                    events.push(Event::Expired);
                    Opened::Dead(target(live.key, Some(live.version)))
                }
            },
        };
        self.weigh(opened);
        if !matches!(self.best, Opened::Ambiguous)
            && let Some(next) = self.others.pop_front()
        {
            self.ticket = next;
            self.hops = 0;
            return Arrival::Another;
        }
        let mut opened = core::mem::replace(&mut self.best, Opened::Absent);
        // Where another ticket opens a session, that is the request's, and the other one is left alone.
        if opened.rank() > DEAD {
            self.mismatched = None;
        }
        if let Some(target) = &self.mismatched {
            opened = Opened::Dead(target.clone());
        }
        if matches!(opened, Opened::Ambiguous) {
            events.push(Event::Ambiguous);
        }
        Arrival::Opened(match opened {
            // The request had a session, and lost it: what it goes on to write must not make another.
            Opened::Absent if self.before.is_some() => Opened::Superseded(None),
            Opened::Dead(target) if self.before.is_some() => Opened::Superseded(Some(target)),
            opened => opened,
        })
    }

    /// Tells whether what is dead ends with this request, though nobody asked for it.
    pub(crate) fn destroys(&self) -> bool {
        self.mismatched.is_some()
    }

    fn admit(&self, live: Live, expires_in: Duration, loaded_at: UnixTime) -> Opened {
        let standing = match &self.before {
            None => Standing { hops: self.hops, presented: (self.hops == 0).then(|| live.key.clone()) },
            Some(before) => Standing { hops: before.hops.saturating_add(self.hops), ..(**before).clone() },
        };
        Opened::Live(Box::new(Admitted {
            expires_in,
            loaded_at,
            outdated: self.ticket.outdated,
            standing,
            live,
            epoch: None,
        }))
    }

    /// Keeps what outweighs the other. Two live sessions are one when they are one lineage: the same record, or a record
    /// and the successor that it was renewed to between the two loads.
    fn weigh(&mut self, opened: Opened) {
        let best = core::mem::replace(&mut self.best, Opened::Absent);
        self.best = match (best, opened) {
            (Opened::Live(a), Opened::Live(b)) if a.live.key == b.live.key => {
                Opened::Live(if b.standing.hops == 0 { b } else { a })
            }
            (Opened::Live(a), Opened::Live(b)) if b.live.record.predecessor.as_ref() == Some(&a.live.key) => {
                Opened::Live(b)
            }
            (Opened::Live(a), Opened::Live(b)) if a.live.record.predecessor.as_ref() == Some(&b.live.key) => {
                Opened::Live(a)
            }
            // What does not decode may be a second live session.
            (Opened::Live(_) | Opened::Undecodable(_), Opened::Live(_) | Opened::Undecodable(_)) => Opened::Ambiguous,
            (a, b) if a.rank() >= b.rank() => a,
            (_, b) => b,
        };
    }
}

pub(crate) fn is_superseded(policy: &Policy, ended: &Ended, now: UnixTime) -> bool {
    ended.cause != EndCause::Destroy && now.since(ended.at) < policy.superseded
}

fn is_bound_to_another(policy: &Policy, record: &Record, client: Option<Client>) -> bool {
    match (&policy.binder, &record.binding, client) {
        (Some(binder), Some(bound), Some(client)) => !binder.matches(bound, client),
        _ => false,
    }
}

pub(crate) fn is_in_time(policy: &Policy, record: &Record, expires_in: Duration, now: UnixTime) -> bool {
    let longest = record.idle.saturating_add(policy.skew);
    !expires_in.is_zero() && expires_in <= longest && policy.longest.deadline(record) > now
}

/// Makes what a commit wrote the base of what the request does next.
pub(crate) fn read_again(policy: &Arc<Policy>, mut admitted: Admitted) -> State {
    let Live { key, version, value, .. } = &admitted.live;
    let stored = Stored { value: value.clone(), version: version.clone(), expires_in: None };
    let opened = match Sight::of(policy, key, Some(stored)) {
        Sight::Record(live) => {
            admitted.live = live;
            Opened::Live(Box::new(admitted))
        }
        // A codec that cannot read what it wrote: nothing but a look at the store helps.
        _ => return State::Admitting(Admission::at_one(key.clone(), admitted.standing)),
    };
    State::Ready(Loaded::new(Arc::clone(policy), opened))
}
