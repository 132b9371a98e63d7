//! All that there is: the store, the requests and what the clients were told; and the calls that change it.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use cloakroom_core::{
    Access, CookiePolicy, Engine, HashedKeys, KeyScheme as _, Op, Outcome, RequestInfo, SessionId, SignedTokens, Step,
    StoreKey, Stored, TokenScheme as _, UnixTime, Value, Version, limits::MAX_OPERATIONS,
};

use super::{
    super::ring,
    account::{Mask, User, principal},
    edit::{Change, Map},
    program::{Call, Fate, Setting},
    request::{Commit, Drawn, Phase, Request, Wish},
    roster::Ending,
    store::{CommitNo, Content, Store, Write},
};

/// Sessions that follow from each other by renewal.
#[derive(Default)]
pub(super) struct Lineage {
    /// Its end was acknowledged.
    pub(super) ended: bool,
    /// A tombstone was set in it.
    pub(super) struck: bool,
    /// One that leads an end on.
    pub(super) elevated: bool,
    /// Whose it is.
    pub(super) user: Option<User>,
    /// Something of it was dropped or damaged, or expired.
    pub(super) dropped: bool,
    /// A pointer of it closes.
    pub(super) closes: bool,
    /// The commits whose edits it must hold.
    pub(super) stored: BTreeSet<CommitNo>,
}

pub(super) struct World {
    pub(super) setting: Setting,
    pub(super) engine: Engine,
    pub(super) keys: HashedKeys,
    pub(super) now: UnixTime,
    pub(super) waited: bool,
    pub(super) damaged: bool,
    pub(super) store: Store,
    pub(super) requests: [Option<Request>; 4],
    pub(super) ending: Option<Ending>,
    pub(super) mask: Mask,
    /// Records that logins made, and tickets that they gave out.
    pub(super) sign_ins: u32,
    pub(super) commits: CommitNo,
    pub(super) minted: BTreeSet<StoreKey>,
    pub(super) lineages: Vec<Lineage>,
    pub(super) lineage_of: BTreeMap<StoreKey, usize>,
    /// The ids of the tickets that clients were given.
    pub(super) published: Vec<(StoreKey, SessionId)>,
    /// Commits that were said not to be stored.
    pub(super) refused: BTreeSet<CommitNo>,
    /// Commits of which a record or a tombstone reached the store.
    pub(super) landed: BTreeSet<CommitNo>,
}

impl World {
    pub(super) fn new(setting: Setting) -> Self {
        Self {
            engine: setting.engine(),
            keys: HashedKeys::new("main", HashedKeys::PREFIX).expect("a prefix"),
            now: UnixTime::from_millis(1_700_000_000_000),
            waited: false,
            damaged: false,
            store: Store::new(setting),
            requests: Default::default(),
            ending: None,
            mask: Mask::default(),
            sign_ins: 0,
            commits: 0,
            minted: BTreeSet::new(),
            lineages: Vec::new(),
            lineage_of: BTreeMap::new(),
            published: Vec::new(),
            refused: BTreeSet::new(),
            landed: BTreeSet::new(),
            setting,
        }
    }

    /// A request comes with none, one or several of the tickets that were ever given out, and with junk.
    pub(super) fn open(&self, call: Call) -> Request {
        let count = self.published.len();
        let mut brought: Vec<usize> = (usize::from(call.by) % (count + 1)).checked_sub(1).into_iter().collect();
        if call.fate & 1 != 0 && count > 0 {
            brought.push(usize::from(call.by >> 4) % count);
        }
        if call.fate & 8 != 0 {
            brought.extend(0..count);
        }
        let tokens = SignedTokens::new(&ring(1 + u8::from(call.fate & 64 != 0)), "main", CookiePolicy::NAME);
        let pair = |at: &usize| {
            let mut pair = format!("{}=", CookiePolicy::NAME);
            tokens.mint(&self.published[*at].1, &mut pair);
            pair
        };
        let mut pairs: Vec<String> = brought.iter().map(pair).collect();
        if call.fate & 2 != 0 {
            pairs.insert(0, format!("{}=AQ{}", CookiePolicy::NAME, "A".repeat(SignedTokens::LEN - 2)));
        }
        if call.fate & 4 != 0 {
            pairs.push(format!("{}=junk", CookiePolicy::NAME));
        }
        if call.fate & 128 != 0 {
            pairs.insert(usize::from(call.by & 1) % (pairs.len() + 1), "a=b;".repeat(1100));
        }
        let (method, site) = if call.fate & 16 == 0 { ("GET", "same-origin") } else { ("POST", "cross-site") };
        let mode: &[u8] = if call.fate & 32 == 0 { b"navigate" } else { b"cors" };
        let client = [call.client()];
        let request = RequestInfo::new().method(method).sec_fetch_site(site.as_bytes()).sec_fetch_mode(mode);
        let request = request.binding(&client);
        let header = pairs.join("; ");
        let lines = (!header.is_empty()).then_some(header.as_bytes());
        let session = self.engine.open(lines, &request);
        let brought: BTreeSet<StoreKey> = brought.into_iter().map(|at| self.published[at].0.clone()).collect();
        Request {
            floods: call.fate & 128 != 0 || brought.len() > 4,
            brought: brought.into_iter().collect(),
            cross_site: call.fate & 16 != 0,
            client: call.client(),
            outdated: call.fate & 64 != 0,
            phase: Phase::Open(session),
            read: None,
            seen: BTreeMap::new(),
            is_ready: false,
            wish: Wish::default(),
            destroys: false,
            accessed: false,
            loads: 0,
            commit: Commit::default(),
            cookie: None,
        }
    }

    /// A request does its next step, or goes on after a save.
    pub(super) fn proceed(&mut self, slot: Option<Request>, call: Call) -> Option<Request> {
        let mut request = slot?;
        match core::mem::take(&mut request.phase) {
            Phase::Between => {}
            Phase::Done(done) => request.phase = Phase::Open(done.reopen()),
            Phase::Open(session) => {
                request.phase = Phase::Open(session);
                request = self.load(request, call);
            }
            Phase::Writing(io, write) => {
                let outcome = self.operate(&mut request, write, call);
                self.stepped(&mut request, io.resume(outcome, self.now));
            }
        }
        Some(request)
    }

    /// One half of a load: reads, or hands over what was read.
    fn load(&self, mut request: Request, call: Call) -> Request {
        let Phase::Open(session) = &mut request.phase else { return request };
        request.accessed = true;
        if let Access::Load(load) = session.access() {
            match request.read.take() {
                None => {
                    let key = load.key().clone();
                    self.asks_for(&key);
                    if call.fate() == Fate::Well {
                        let found = self.store.load(&key, self.now);
                        if let Some(slot) = self.store.slots.get(&key) {
                            request.see(&key, &slot.seen);
                        }
                        request.read = Some((key, found, self.now));
                    }
                }
                Some((key, found, sent)) => {
                    assert_eq!(&key, load.key(), "a load that was dropped is asked for again");
                    request.loads += 1;
                    // What it leads to is seen at the next access.
                    let _ = load.supply(found, sent);
                }
            }
        }
        self.adopt(&mut request);
        self.admitted(&request);
        request
    }

    /// Notes what a request has in hand as soon as it has it.
    fn adopt(&self, request: &mut Request) {
        let Phase::Open(session) = &mut request.phase else { return };
        if request.is_ready || !session.is_accessed() {
            return;
        }
        let Access::Ready(loaded) = session.access() else { return };
        let handle = loaded.handle();
        let key = handle.and_then(|handle| request.seen.keys().find(|key| key.handle() == handle).cloned());
        assert_eq!(handle.is_some(), key.is_some(), "only what was loaded is live");
        let data: Option<Map> = loaded.data().ok().map(|data| data.iter().map(|(k, v)| (k.into(), v.into())).collect());
        let held = |key: &StoreKey| {
            let facts = request.records(key).map(|(_, facts)| facts).find(|facts| data.as_ref() == Some(&facts.data));
            facts.expect("what was stored is read").clone()
        };
        let base = key.map(|key| (key.clone(), held(&key)));
        let wish = Wish { base, ..Wish::default() };
        request.wish = Wish { view: wish.held(), ..wish };
        request.is_ready = true;
        assert!(data.is_none_or(|data| data == request.wish.view), "a new session is empty");
    }

    fn ready(&mut self, slot: Option<Request>, call: Call) -> Request {
        let well = call.going_well();
        let mut request = slot.unwrap_or_else(|| self.open(well));
        if !matches!(request.phase, Phase::Open(_)) {
            request = self.finish(request);
            if let Phase::Done(done) = core::mem::take(&mut request.phase) {
                request.phase = Phase::Open(done.reopen());
            }
        }
        for _ in 0..256 {
            if request.is_ready {
                break;
            }
            request = self.load(request, well);
        }
        request
    }

    /// A request reads its data and asks for a change.
    pub(super) fn edit(&mut self, slot: Option<Request>, call: Call) -> Request {
        let mut request = self.ready(slot, call);
        let Phase::Open(session) = &mut request.phase else { return request };
        let wish = &mut request.wish;
        let change = Change::of(call);
        if matches!(change, Change::DropEdits) {
            session.drop_edits();
            *wish = Wish { base: wish.base.take(), destroys: wish.destroys, ..Wish::default() };
            wish.view = wish.held();
        }
        let Access::Ready(loaded) = session.access() else { return request };
        let is_readable = loaded.is_readable();
        match change {
            Change::Account(account) => account.make(loaded, wish, &mut self.mask),
            Change::Destroy => {
                loaded.destroy();
                *wish = Wish { destroys: true, ..Wish::default() };
                request.destroys = true;
            }
            Change::DropEdits => {}
            Change::Edit(edit) => {
                let made = edit.make(loaded);
                let fits = is_readable && edit.apply(&mut wish.view);
                assert_eq!(made.is_ok(), fits, "{edit:?} is done where it can be: {made:?}");
                if fits {
                    edit.keep(&mut wish.edits);
                }
            }
            Change::Lifetime(lifetime) => wish.lifetime |= loaded.set_lifetime(lifetime).is_ok(),
            Change::Rotate => {
                loaded.rotate();
                wish.rotates = wish.login.is_none() && !wish.elevates;
            }
        }
        if let Ok(data) = loaded.data() {
            assert!(data.iter().eq(wish.view.iter().map(|(k, v)| (&**k, &**v))), "a request sees what it wrote");
        }
        request
    }

    /// A request ends, or saves.
    pub(super) fn commit(&mut self, slot: Option<Request>, call: Call) -> Request {
        let mut request = slot.unwrap_or_else(|| self.open(call.going_well()));
        self.adopt(&mut request);
        let session = match core::mem::take(&mut request.phase) {
            Phase::Open(session) => session,
            phase => return Request { phase, ..request },
        };
        self.commits += 1;
        request.commit = Commit {
            no: self.commits,
            wish: core::mem::take(&mut request.wish),
            destroys: request.destroys,
            drawn: Drawn { by: self.commits, fails: call.fate >= 250, ..Drawn::default() },
            ..Commit::default()
        };
        request.is_ready = false;
        request.read = None;
        let is_accessed = session.is_accessed();
        let step = session.commit(self.now, &mut request.commit.drawn);
        if let Some(id) = &request.commit.drawn.id {
            self.minted.insert(self.keys.store_key(id));
        }
        assert!(is_accessed || matches!(step, Step::Done(_)), "an untouched request asks the store for nothing");
        self.stepped(&mut request, step);
        request
    }

    fn stepped(&mut self, request: &mut Request, step: Step) {
        request.phase = match step {
            Step::Io(io) => {
                // What an index costs has bounds of its own.
                let is_of_index = matches!(io.op(), Op::Enroll { .. } | Op::List { .. } | Op::Unenroll { .. });
                request.commit.operations += u32::from(!is_of_index);
                let limited = request.commit.wish.login.as_ref().is_some_and(|entry| entry.limit.is_some());
                let most = if limited { MAX_OPERATIONS * MAX_OPERATIONS } else { MAX_OPERATIONS };
                assert!(request.commit.operations <= most, "more operations than a commit may have");
                let content = self.may_do(request, io.op());
                let write = Write { op: io.op().clone(), content, by: request.commit.no };
                Phase::Writing(io, write)
            }
            Step::Done(done) => {
                self.judge(request, &done);
                Phase::Done(done)
            }
        };
    }

    /// A request goes on to the end of its commit, in a store that is well.
    pub(super) fn finish(&mut self, request: Request) -> Request {
        let well = Call::well();
        let mut request =
            if matches!(request.phase, Phase::Open(_)) { self.commit(Some(request), well) } else { request };
        while matches!(request.phase, Phase::Writing(..)) {
            request = self.proceed(Some(request), well).expect("a request");
        }
        request
    }

    /// Does an operation, well or not, and returns what the machine is told.
    fn operate(&mut self, request: &mut Request, write: Write, call: Call) -> Outcome {
        let fate = call.fate();
        match fate {
            Fate::Well => {}
            Fate::Wrong => request.commit.wrong_answers += 1,
            Fate::Failed => request.commit.faults += 1,
            Fate::Late | Fate::Lost => request.commit.lost_answers += 1,
        }
        match fate {
            Fate::Failed => Outcome::Failed,
            Fate::Late => {
                self.store.late.push(write);
                Outcome::Unknown
            }
            Fate::Lost => {
                self.write(&write);
                Outcome::Unknown
            }
            Fate::Well => {
                let outcome = self.write(&write);
                request.shown(&write, &outcome, &self.store);
                outcome
            }
            Fate::Wrong => {
                self.write(&write);
                impossible(&write.op, call.by)
            }
        }
    }

    pub(super) fn write(&mut self, write: &Write) -> Outcome {
        let outcome = self.store.apply(write, self.now);
        if matches!(outcome, Outcome::Done(_)) {
            self.landed(write);
        }
        outcome
    }

    pub(super) fn wait(&mut self, call: Call) {
        self.waited = true;
        let by = Duration::from_millis(u64::from(call.fate) << (call.by % 20));
        self.now = self.now.saturating_add(by);
        let now = self.now;
        let expired: Vec<StoreKey> =
            self.store.slots.iter().filter(|(_, slot)| slot.expires_at <= now).map(|(key, _)| key.clone()).collect();
        expired.iter().for_each(|key| self.drop_entry(key));
        self.store.indexes.values_mut().for_each(|members| members.retain(|_, until| *until > now));
    }

    pub(super) fn land(&mut self, call: Call) {
        if let Some(last) = self.store.late.len().checked_sub(1) {
            let write = self.store.late.remove(usize::from(call.by) % (last + 1));
            self.write(&write);
        }
    }

    pub(super) fn land_first(&mut self) -> bool {
        let is_late = !self.store.late.is_empty();
        if is_late {
            self.land(Call::well());
        }
        is_late
    }

    pub(super) fn evict(&mut self, call: Call) {
        if let Some(key) = self.entry(call) {
            self.drop_entry(&key);
        }
    }

    /// Only records: a pointer that was damaged could hide what an end must strike.
    pub(super) fn damage(&mut self, call: Call) {
        let Some(key) = self.entry(call) else { return };
        if matches!(self.store.slots[&key].seen.content, Content::Record(_)) {
            self.damaged = true;
            self.lineages[self.lineage_of[&key]].dropped = true;
            let junk: &[u8] = if call.fate & 1 == 0 { b"junk" } else { br#"{"format":99,"kind":"record"}"# };
            self.store.damage(&key, junk);
        }
    }

    fn entry(&self, call: Call) -> Option<StoreKey> {
        let count = self.store.slots.len();
        self.store.slots.keys().nth(usize::from(call.by).checked_rem(count)?).cloned()
    }

    pub(super) fn index_of(&self, user: User) -> StoreKey {
        self.keys.index_key(&principal(user))
    }

    fn drop_entry(&mut self, key: &StoreKey) {
        self.store.slots.remove(key);
        self.lineages[self.lineage_of[key]].dropped = true;
    }
}

impl Request {
    /// Notes what the machine is shown.
    fn shown(&mut self, write: &Write, outcome: &Outcome, store: &Store) {
        let key = write.op.key();
        match outcome {
            Outcome::Conflict(Some(_)) | Outcome::Done(_) | Outcome::Found(_) => {
                self.see(key, &store.slots[key].seen);
            }
            _ => {}
        }
        if matches!(outcome, Outcome::Absent | Outcome::Conflict(_)) {
            self.commit.conflicts += 1;
        }
    }
}

/// An outcome that the operation cannot have.
pub(super) fn impossible(op: &Op, by: u8) -> Outcome {
    let version = Version::from_u64(u64::from(by));
    let stored = Stored { value: Value::from(&b"{}"[..]), version: version.clone(), expires_in: None };
    let outcomes = match op {
        Op::Create { .. } => [Outcome::Absent, Outcome::Conflict(Some(stored)), Outcome::Removed],
        Op::Enroll { .. } | Op::List { .. } | Op::Unenroll { .. } => {
            [Outcome::Removed, Outcome::Exists, Outcome::Found(stored)]
        }
        Op::Load { .. } => [Outcome::Exists, Outcome::Done(version), Outcome::Conflict(None)],
        Op::Remove { .. } => [Outcome::Done(version), Outcome::Exists, Outcome::Found(stored)],
        Op::Replace { .. } | Op::Touch { .. } => [Outcome::Removed, Outcome::Exists, Outcome::Found(stored)],
    };
    outcomes[usize::from(by) % 3].clone()
}
