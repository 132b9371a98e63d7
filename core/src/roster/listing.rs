//! The listing of a user's sessions. What the index holds beyond them is taken out on the way.

use core::{cmp::Reverse, mem};
use std::sync::Arc;

use crate::{
    engine::Policy,
    id::StoreKey,
    machine::{
        admission::is_in_time,
        commit::{Live, Sight},
    },
    op::{Op, Outcome},
    principal::{Principal, SignIn},
    record::{Nonce, Record},
    roster::{Listed, RosterError, RosterIo, RosterMachine, RosterStep},
    time::UnixTime,
    value::Stored,
};

/// A listing that waits for an operation.
pub(crate) struct Listing {
    policy: Arc<Policy>,
    principal: Principal,
    index: StoreKey,
    /// The session that asks.
    current: Option<Nonce>,
    /// What is still to be looked at, last first.
    rest: Vec<StoreKey>,
    found: Vec<Found>,
    state: State,
}

enum State {
    /// Whether the record that was found last is what its predecessor points to.
    Checking,
    Listing,
    Loading(StoreKey),
    Unenrolling,
}

/// A live session of the user.
struct Found {
    key: StoreKey,
    predecessor: Option<StoreKey>,
    lineage: Nonce,
    way: Way,
    listed: Listed,
}

/// What shows that a record has a ticket, surest first: a renewal or an elevation may have made it and come to nothing.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Way {
    /// Its predecessor leads to it.
    Seen,
    /// It has no predecessor.
    Own,
    /// Its predecessor is gone.
    Gone,
}

impl Listing {
    pub(crate) fn start(policy: Arc<Policy>, principal: Principal, current: Option<Nonce>) -> RosterStep<Vec<Listed>> {
        let index = policy.keys.index_key(&principal);
        let op = Op::List { index: index.clone() };
        let (rest, found) = (Vec::new(), Vec::new());
        RosterIo::ask(op, Self { policy, principal, index, current, rest, found, state: State::Listing })
    }

    fn ask(self, op: Op, state: State) -> RosterStep<Vec<Listed>> {
        RosterIo::ask(op, Self { state, ..self })
    }

    fn next(mut self) -> RosterStep<Vec<Listed>> {
        match self.rest.pop() {
            Some(key) => self.ask(Op::Load { key: key.clone() }, State::Loading(key)),
            None => RosterStep::Done(Ok(self.finish())),
        }
    }

    fn loaded(mut self, key: StoreKey, found: Option<Stored>, now: UnixTime) -> RosterStep<Vec<Listed>> {
        let expires_in = found.as_ref().and_then(|stored| stored.expires_in);
        let Live { record, .. } = match Sight::of(&self.policy, &key, found) {
            Sight::Absent | Sight::Ended(_) | Sight::Moved(..) => {
                let op = Op::Unenroll { index: self.index.clone(), member: key };
                return self.ask(op, State::Unenrolling);
            }
            // Nothing can be said of it; to end it, its key is enough.
            Sight::Undecodable(..) => return self.next(),
            Sight::Record(live) => live,
        };
        let Record { sign_in: Some(sign_in), lineage, issued, predecessor, .. } = &*record else { return self.next() };
        let SignIn { principal, since, label, .. } = sign_in;
        let Some(ttl) = expires_in.filter(|ttl| is_in_time(&self.policy, &record, *ttl, now)) else {
            return self.next();
        };
        if *principal != self.principal {
            return self.next();
        }
        let unused = record.idle.min(self.policy.longest.idle()).saturating_sub(ttl);
        let seen = UnixTime::EPOCH.saturating_add(now.since(UnixTime::EPOCH).saturating_sub(unused)).max(*issued);
        let current = self.current == Some(*lineage);
        let listed = Listed { handle: key.handle(), created: *since, seen, label: label.clone(), current };
        let (lineage, predecessor) = (*lineage, predecessor.clone());
        self.found.push(Found { key, predecessor: predecessor.clone(), lineage, way: Way::Own, listed });
        match predecessor {
            Some(predecessor) => self.ask(Op::Load { key: predecessor }, State::Checking),
            None => self.next(),
        }
    }

    fn checked(mut self, found: Option<Stored>) -> RosterStep<Vec<Listed>> {
        if let Some(last) = self.found.pop()
            && let Some(predecessor) = &last.predecessor
        {
            let way = match Sight::of(&self.policy, predecessor, found) {
                Sight::Absent => Some(Way::Gone),
                Sight::Ended(ended) => (ended.next.as_ref() == Some(&last.key)).then_some(Way::Seen),
                Sight::Moved(moved, _) => (moved.to == last.key).then_some(Way::Seen),
                Sight::Record(_) | Sight::Undecodable(..) => None,
            };
            self.found.extend(way.map(|way| Found { way, ..last }));
        }
        self.next()
    }

    /// Newest first. A session stands there once, by the handle that is surest.
    fn finish(mut self) -> Vec<Listed> {
        let mut found = mem::take(&mut self.found);
        found.sort_by_key(|Found { listed, lineage, way, .. }| (Reverse(listed.created), *lineage.as_bytes(), *way));
        found.dedup_by_key(|found| found.lineage);
        found.into_iter().map(|found| found.listed).collect()
    }
}

impl RosterMachine<Vec<Listed>> for Listing {
    fn resume(mut self: Box<Self>, outcome: Outcome, now: UnixTime) -> RosterStep<Vec<Listed>> {
        match (mem::replace(&mut self.state, State::Unenrolling), outcome) {
            (State::Listing, Outcome::Listed(members)) => {
                self.rest = members.keys;
                self.next()
            }
            (State::Listing, Outcome::Unsupported) => RosterStep::Done(Err(RosterError::NoIndex)),
            (State::Loading(key), Outcome::Found(stored)) => self.loaded(key, Some(stored), now),
            (State::Loading(key), Outcome::Absent) => self.loaded(key, None, now),
            (State::Checking, Outcome::Found(stored)) => self.checked(Some(stored)),
            (State::Checking, Outcome::Absent) => self.checked(None),
            (State::Unenrolling, _) => self.next(),
            _ => RosterStep::Done(Err(RosterError::Store)),
        }
    }
}
