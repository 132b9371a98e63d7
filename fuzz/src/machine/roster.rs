//! The sessions of a user, listed, and ended step by step beside the requests.

use std::collections::BTreeSet;

use cloakroom_core::{
    Access, EndCause, Ended, Entry, Handle, Listed, Op, Outcome, RosterError, RosterIo, RosterStep, StoreKey, Which,
};

use super::{
    account::{USERS, User, principal},
    program::{Call, Fate},
    request::Phase,
    store::{CommitNo, Content, Write},
    world::{World, impossible},
};

/// An end of many that is under way.
pub(super) struct Ending {
    io: RosterIo<u64>,
    user: User,
    which: Which,
    by: CommitNo,
    /// The sessions that are over once it succeeds.
    doomed: BTreeSet<usize>,
    faults: u32,
    wrong_answers: u32,
}

impl World {
    /// Somebody ends sessions, goes on with that, or lists them.
    pub(super) fn manage(&mut self, call: Call) {
        if let Some(ending) = self.ending.take() {
            return self.go_on(ending, call);
        }
        let user = USERS[usize::from(call.by & 1)];
        let with_handle = |lineage: &usize, handle: Handle| {
            self.lineage_of.iter().any(|(key, of)| of == lineage && key.handle() == handle)
        };
        let (mut which, mut spared) = (Which::All, None);
        match call.by >> 1 & 3 {
            0 => return self.listed(user),
            1 => {}
            2 => which = Which::Others,
            _ => {
                let count = self.published.len();
                let Some(at) = usize::from(call.by >> 3).checked_rem(count) else { return };
                which = Which::One(self.published[at].0.handle());
            }
        }
        let at = call.slot();
        let mut current = self.requests[at].take();
        let mut loaded = None;
        if let (Which::Others, Some(request)) = (which, &mut current)
            && let (true, Phase::Open(session)) = (request.is_ready, &mut request.phase)
            && let Access::Ready(ready) = session.access()
        {
            let base = request.wish.base.as_ref().filter(|_| request.wish.login.is_none());
            spared = base.filter(|(_, facts)| facts.signed.is_some()).map(|(key, _)| self.lineage_of[key]);
            loaded = Some(&*ready);
        }
        let is_told = |lineage: &usize| self.published.iter().any(|(key, _)| self.lineage_of[key] == *lineage);
        let doomed = (0..self.lineages.len()).filter(|lineage| {
            let is_meant = match which {
                Which::One(handle) => with_handle(lineage, handle),
                Which::All | Which::Others => Some(*lineage) != spared,
            };
            self.lineages[*lineage].user == Some(user) && is_meant && is_told(lineage)
        });
        let doomed = doomed.collect();
        self.commits += 1;
        let step = self.engine.end_sessions(&principal(user), which, loaded, self.now, &mut self.mask);
        self.requests[at] = current;
        let RosterStep::Io(io) = step else { panic!("it lists first") };
        let by = self.commits;
        self.ending = Some(Ending { io, user, which, by, doomed, faults: 0, wrong_answers: 0 });
    }

    fn go_on(&mut self, mut ending: Ending, call: Call) {
        let op = ending.io.op().clone();
        let content = self.may_end(ending.user, &op).then_some(Content::Ended { next: None });
        let write = Write { op, content, by: ending.by };
        let outcome = match call.fate() {
            Fate::Well => self.write(&write),
            fate => {
                ending.faults += 1;
                match fate {
                    Fate::Late => self.store.late.push(write),
                    Fate::Failed | Fate::Well => {}
                    Fate::Lost => drop(self.write(&write)),
                    Fate::Wrong => {
                        ending.wrong_answers += 1;
                        self.write(&write);
                        return self.went_on(ending, |op| impossible(op, call.by));
                    }
                }
                if fate == Fate::Failed { Outcome::Failed } else { Outcome::Unknown }
            }
        };
        self.went_on(ending, |_| outcome);
    }

    fn went_on(&mut self, mut ending: Ending, outcome: impl FnOnce(&Op) -> Outcome) {
        let outcome = outcome(ending.io.op());
        match ending.io.resume(outcome, self.now) {
            RosterStep::Io(io) => {
                ending.io = io;
                self.ending = Some(ending);
            }
            RosterStep::Done(Ok(_)) => {
                assert!(self.setting.has_index(), "sessions were ended that nobody can list");
                for lineage in ending.doomed {
                    let lineage = &mut self.lineages[lineage];
                    // What leads to one is followed, and was dropped here.
                    lineage.ended |= !(lineage.dropped && matches!(ending.which, Which::One(_)));
                }
            }
            RosterStep::Done(Err(error)) => {
                let has_cause = match error {
                    RosterError::NoIndex => !self.setting.has_index(),
                    RosterError::Store => ending.faults > 0,
                    RosterError::Undecodable(_) => self.damaged,
                    RosterError::UnexpectedOutcome => ending.wrong_answers > 0,
                    RosterError::UnknownHandle => matches!(ending.which, Which::One(_)),
                    RosterError::Contention | RosterError::End(_) => true,
                    _ => false,
                };
                assert!(has_cause, "{error:?} without a cause");
            }
        }
    }

    /// Whether it may be asked for in the end of a user's sessions. Returns whether it ends one.
    pub(super) fn may_end(&self, user: User, op: &Op) -> bool {
        match op {
            Op::List { index } => assert_eq!(*index, self.index_of(user), "another user's sessions are listed"),
            Op::Load { key } => assert!(self.minted.contains(key), "I4: a key that derives from no minted id"),
            Op::Unenroll { index, member } => self.may_unenroll(user, index, member),
            Op::Replace { key, version, value, ttl } => {
                let Entry::Ended(ended) = self.decode(key, value) else { panic!("an end is an end") };
                assert!(matches!(ended, Ended { cause: EndCause::Destroy, next: None, .. }), "the end is final");
                assert!(*ttl >= self.setting.max_request() + self.setting.skew(), "a marker outlives every request");
                if let Some(slot) = self.store.slots.get(key).filter(|slot| slot.seen.version == *version) {
                    let is_theirs = match &slot.seen.content {
                        Content::Damaged => true,
                        Content::Record(facts) => facts.signed.as_ref().is_some_and(|signed| signed.user == user),
                        Content::Ended { .. } | Content::Moved { .. } => false,
                    };
                    assert!(is_theirs, "an end strikes what is not the user's");
                }
                return true;
            }
            Op::Create { .. } | Op::Enroll { .. } | Op::Remove { .. } | Op::Touch { .. } => panic!("{op:?} to end"),
        }
        false
    }

    /// What a ticket leads to is never taken out.
    pub(super) fn may_unenroll(&self, user: User, index: &StoreKey, member: &StoreKey) {
        assert_eq!(*index, self.index_of(user), "a session is taken out of another user's index");
        let held = self.store.slots.get(member).map(|slot| &slot.seen.content);
        let is_told = self.published.iter().any(|(key, _)| key == member);
        assert!(!is_told || !matches!(held, Some(Content::Record(_))), "a live session is taken out of its index");
    }

    /// Lists the sessions of a user in a store that is well.
    pub(super) fn list(&mut self, user: User) -> Option<Vec<Listed>> {
        let step = self.engine.list_sessions(principal(user), None);
        let now = self.now;
        let mut ops = Vec::new();
        let listed = step.run(
            |op| {
                ops.push(op.clone());
                self.store.apply(&Write { op: op.clone(), content: None, by: 0 }, now)
            },
            || now,
        );
        assert!(ops.iter().all(|op| !self.may_end(user, op)), "a listing ends nothing");
        assert_eq!(listed.is_ok(), self.setting.has_index(), "{listed:?}");
        listed.ok()
    }

    /// What is listed is the user's, and there.
    pub(super) fn listed(&mut self, user: User) {
        for listed in self.list(user).unwrap_or_default() {
            let is_theirs = |content: &Content| {
                matches!(content, Content::Record(facts) if facts.signed.as_ref().is_some_and(|signed| {
                    signed.user == user
                        && signed.since == listed.created
                        && signed.label.as_deref() == listed.label.as_ref().map(|label| label.as_str())
                }))
            };
            let mut slots = self.store.slots.iter().filter(|(key, _)| key.handle() == listed.handle);
            assert!(slots.any(|(_, slot)| is_theirs(&slot.seen.content)), "what is listed is not the user's");
        }
    }
}
