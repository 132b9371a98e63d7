//! What must hold of every operation, and of the whole at every step.

use cloakroom_core::{
    Access, Codec as _, CommitError, CookiePolicy, EndCause, Ended, Entry, Excess, JsonCodec, KeyScheme as _, Nonce,
    Op, Record, RequestInfo, Session, SessionId, SignedTokens, Step, StoreKey, TokenScheme as _, UnixTime, Value,
    Version,
};

use super::{
    super::ring,
    account::{Signed, USERS, User},
    edit::Map,
    request::{Drawn, Request},
    store::{Content, Facts, Write},
    world::{Lineage, World},
};

/// More pointers than any program can make.
const FAR: usize = 128;

impl World {
    /// I4, minted only: every key derives from an id that the engine drew.
    pub(super) fn asks_for(&self, key: &StoreKey) {
        assert!(self.minted.contains(key), "I4: a key that derives from no minted id");
    }

    /// Whether the machine may do this now. Returns what the value is that it writes.
    pub(super) fn may_do(&mut self, request: &mut Request, op: &Op) -> Option<Content> {
        let key = op.key();
        let user = request.commit.wish.user();
        if !matches!(op, Op::Enroll { .. } | Op::List { .. } | Op::Unenroll { .. }) {
            self.asks_for(key);
        }
        match op {
            Op::Load { .. } => return None,
            Op::Create { value, ttl, .. } => {
                let Entry::Record(record) = self.decode(key, value) else { panic!("a marker is created") };
                assert!(
                    *ttl <= record.deadline.since(self.now) && *ttl <= record.idle,
                    "no record outlives its limits"
                );
                self.sign_ins += u32::from(request.commit.wish.login.is_some());
                return Some(self.may_create(request, key, &record));
            }
            Op::Enroll { index, member, ttl } => {
                let fresh = request.commit.fresh.as_ref().map(|(key, _)| key);
                assert_eq!(fresh, Some(member), "what was made is enrolled");
                assert_eq!(Some(index), user.map(|user| self.index_of(user)).as_ref(), "in its user's index");
                let facts = self.store.slots.get(member).map(|slot| &slot.seen.content);
                if let Some(Content::Record(facts)) = facts {
                    assert!(*ttl >= facts.deadline.since(self.now), "it stands there for as long as it lives");
                }
                return None;
            }
            Op::List { index } => {
                assert_eq!(Some(index), user.map(|user| self.index_of(user)).as_ref(), "the user's are counted");
                request.commit.counted_at.get_or_insert(self.sign_ins);
                return None;
            }
            Op::Unenroll { index, member } => {
                let user = USERS.into_iter().find(|user| self.index_of(*user) == *index).expect("a user's index");
                self.may_unenroll(user, index, member);
                return None;
            }
            Op::Remove { version, .. } => {
                let fresh = request.commit.fresh.as_ref().map(|(key, _)| key);
                assert!(fresh == Some(key) && !request.commit.is_out, "only what was told to nobody is removed");
                assert!(request.saw(key, version).is_some(), "what was read is removed");
                return None;
            }
            Op::Touch { version, value, .. } => {
                let seen = request.saw(key, version).expect("what was read is touched");
                assert!(seen.value == *value, "a touch changes nothing");
                return Some(seen.content.clone());
            }
            Op::Replace { .. } => {}
        }
        let Op::Replace { value, ttl, version, .. } = op else { return None };
        let seen = request.saw(key, version).expect("a write names a version that was read").content.clone();
        let fresh = request.commit.fresh.clone();
        let entry = self.decode(key, value);
        match &entry {
            Entry::Record(record) => {
                assert!(
                    *ttl <= record.deadline.since(self.now) && *ttl <= record.idle,
                    "no record outlives its limits"
                );
            }
            Entry::Ended(_) | Entry::Moved(_) => {
                let least = self.setting.max_request() + self.setting.skew();
                assert!(*ttl >= least, "a marker outlives every request that was admitted before it");
            }
        }
        Some(match entry {
            Entry::Ended(ended) => {
                assert_eq!(Some(ended.by), request.commit.drawn.nonce, "a tombstone names its commit");
                assert!(matches!(seen, Content::Damaged | Content::Record(_)), "an end strikes what is live");
                self.may_strike(request, key, version, &seen, &ended);
                Content::Ended { next: ended.next }
            }
            Entry::Moved(moved) if moved.closes_at.is_none() => {
                let (to, from) = fresh.expect("a pointer leads to what the commit made");
                assert!(moved.to == to && request.commit.wish.base.as_ref().is_some_and(|(base, _)| base == key));
                assert!(from.contains(version), "I2: the new record was made from what the pointer replaces");
                let held = self.store.slots.get(&to).map(|slot| &slot.seen.content);
                let is_there =
                    matches!(held, Some(Content::Record(facts)) if facts.commits.contains(&request.commit.no));
                assert!(is_there || self.lineages[self.lineage_of[&to]].dropped, "a pointer leads to what is stored");
                Content::Moved { to, closes_at: None }
            }
            Entry::Moved(moved) => {
                let Content::Moved { to, closes_at: None } = seen else { panic!("only an open pointer is closed") };
                assert_eq!(
                    moved.closes_at,
                    Some(self.now.saturating_add(self.setting.grace())),
                    "it closes after the grace"
                );
                assert_eq!(moved.to, to, "a pointer that closes leads where it led");
                assert!(request.brought.contains(&to), "a pointer closes once its successor's ticket was presented");
                Content::Moved { to, closes_at: moved.closes_at }
            }
            Entry::Record(record) => {
                let Content::Record(under) = seen else { panic!("I1: a record replaces what is none") };
                let is_ours = newest(&record) == request.commit.drawn.nonce && newest(&record).is_some();
                match fresh {
                    Some((fresh, _)) if fresh == *key && !request.commit.is_out => {
                        self.may_create(request, key, &record)
                    }
                    _ if is_ours && !under.commits.contains(&request.commit.no) => {
                        Content::Record(edited(request, &under, &record, self.now))
                    }
                    _ => {
                        assert!(under.data == data(&record), "the rest that a used session gets changes no data");
                        self.may_clear(key, &under, &record);
                        Content::Record(Facts { predecessor: record.predecessor, ..under })
                    }
                }
            }
        })
    }

    /// An end of what a request was asked to end, of what it gives up, or of what a limit of sessions costs.
    fn may_strike(&self, request: &mut Request, key: &StoreKey, version: &Version, seen: &Content, ended: &Ended) {
        let wish = &request.commit.wish;
        let fresh = request.commit.fresh.as_ref();
        let is_source = || fresh.is_some_and(|(_, from)| from.contains(version));
        match (ended.cause, &wish.login) {
            (EndCause::Destroy, Some(entry)) => {
                assert!(matches!(entry.limit, Some((_, Excess::EndOldest))), "a login ends what it does not replace");
                if let Content::Record(facts) = seen {
                    let is_theirs = facts.signed.as_ref().is_some_and(|signed| signed.user == entry.user);
                    assert!(is_theirs, "a login ends another user's session");
                }
                return;
            }
            (EndCause::Destroy, None) => {
                assert!(request.commit.destroys, "a request ends a session though nobody asked for it");
            }
            (EndCause::Elevation, _) => {
                assert!(wish.elevates && is_source(), "I2: the new record was made from what the tombstone replaces");
                assert_eq!(ended.next.as_ref(), fresh.map(|(key, _)| key), "an end follows to what was made");
                return;
            }
            (EndCause::Login, entry) => {
                let entry = entry.as_ref().expect("nobody signs in");
                let is_whole = entry.carried.is_empty() || matches!(seen, Content::Damaged) || is_source();
                assert!(is_whole, "I2: what is carried over comes from what the tombstone replaces");
            }
        }
        assert!(ended.next.is_none(), "nothing follows an end");
        request.commit.struck = Some(key.clone());
    }

    /// The record of a sign-in: of a new session, with what is carried over.
    fn may_sign_in(&mut self, request: &mut Request, key: &StoreKey, record: &Record) -> Content {
        assert!(record.predecessor.is_none() && record.commits == 1, "a new session follows none");
        let commit = &request.commit;
        let entry = commit.wish.login.as_ref().expect("a login");
        let signed = Signed::of(record).expect("somebody is signed in");
        assert!((signed.user, &signed.label) == (entry.user, &entry.label), "who signs in");
        assert!(signed.since == signed.authenticated && signed.since <= record.created, "when they sign in");
        let made_of = |before: &Map| {
            let mut data = before.clone();
            let is_done = entry.before.iter().all(|edit| edit.apply(&mut data));
            data = entry.pick(&data);
            is_done && commit.wish.edits.iter().all(|edit| edit.apply(&mut data)) && data == self::data(record)
        };
        let seen = request.seen.keys().flat_map(|key| request.records(key));
        let from: Vec<Version> =
            seen.filter(|(_, facts)| made_of(&facts.data)).map(|(version, _)| version.clone()).collect();
        let mut alone = Map::new();
        let is_alone = commit.wish.edits.iter().all(|edit| edit.apply(&mut alone)) && alone == data(record);
        assert!(is_alone || (!entry.carried.is_empty() && !from.is_empty()), "nothing else is carried over");
        let base = commit.wish.base.as_ref();
        assert!(base.is_none_or(|(_, facts)| facts.lineage != record.lineage), "a sign-in is another session");
        let facts = Facts {
            data: data(record),
            commits: [commit.no].into(),
            created: record.created,
            deadline: record.deadline,
            predecessor: None,
            lineage: record.lineage,
            signed: Some(signed),
            client: request.client,
        };
        self.begin(key, Some(entry.user));
        request.commit.fresh = Some((key.clone(), from));
        Content::Record(facts)
    }

    /// Notes that a record under a new id begins a session.
    fn begin(&mut self, key: &StoreKey, user: Option<User>) {
        if !self.lineage_of.contains_key(key) {
            self.lineage_of.insert(key.clone(), self.lineages.len());
            self.lineages.push(Lineage { user, ..Lineage::default() });
        }
    }

    /// A record under a new id: of a new session, or the old one with the edits done.
    fn may_create(&mut self, request: &mut Request, key: &StoreKey, record: &Record) -> Content {
        let drawn = request.commit.drawn.id.as_ref().map(|id| self.keys.store_key(id));
        assert_eq!(drawn.as_ref(), Some(key), "a record is made under the id that was drawn for it");
        if request.commit.wish.login.is_some() {
            return self.may_sign_in(request, key, record);
        }
        let elevates = request.commit.wish.elevates;
        let (facts, from) = match &request.commit.wish.base {
            Some((base, _)) => {
                let old = record.predecessor.as_ref().expect("a renewal names its predecessor");
                let is_base = if elevates { self.lineage_of[old] == self.lineage_of[base] } else { old == base };
                assert!(is_base, "a renewal names its predecessor");
                let may_renew = elevates
                    || request.commit.wish.rotates
                    || request.brought.contains(old)
                    || request.cookie.is_some();
                assert!(may_renew, "what came through a pointer renews by itself");
                let counts = |facts: &Facts| facts.commits.len() as u64 + 1 == record.commits;
                let bases: Vec<_> = request.records(old).filter(|(_, facts)| counts(facts)).collect();
                let (_, under) = bases.first().expect("a renewal of what was read");
                let from = bases.iter().map(|(version, _)| (*version).clone()).collect();
                self.lineage_of.insert(key.clone(), self.lineage_of[old]);
                (edited(request, under, record, self.now), from)
            }
            None => {
                assert!(record.predecessor.is_none(), "a new session follows none");
                self.begin(key, None);
                let Record { created, deadline, lineage, .. } = *record;
                let under = Facts { created, deadline, lineage, client: request.client, ..Facts::default() };
                (edited(request, &under, record, self.now), Vec::new())
            }
        };
        request.commit.fresh = Some((key.clone(), from));
        Content::Record(facts)
    }

    /// What forgets its predecessor has seen to it that the way from there closes.
    fn may_clear(&self, key: &StoreKey, under: &Facts, record: &Record) {
        assert!(record.predecessor.is_none(), "there is nothing else to write");
        let old = under.predecessor.as_ref().and_then(|old| self.store.slots.get(old));
        let is_open =
            old.is_some_and(|slot| matches!(&slot.seen.content, Content::Moved { to, closes_at: None } if to == key));
        assert!(!is_open, "a pointer is forgotten while it is open");
    }

    pub(super) fn decode(&self, key: &StoreKey, value: &Value) -> Entry {
        let entry = match self.setting.is_sealed() {
            true => self.setting.codec().decode(key, value),
            false => JsonCodec.decode(key, value),
        };
        entry.expect("what is written decodes")
    }

    /// Notes what reached the store.
    pub(super) fn landed(&mut self, write: &Write) {
        let lineage = self.lineage_of[write.op.key()];
        match &write.content {
            Some(Content::Ended { next }) => {
                self.lineages[lineage].struck |= next.is_none();
                self.lineages[lineage].elevated |= next.is_some();
                self.landed.insert(write.by);
            }
            Some(Content::Moved { closes_at: Some(_), .. }) => self.lineages[lineage].closes = true,
            Some(Content::Record(facts)) if facts.commits.contains(&write.by) => {
                self.landed.insert(write.by);
            }
            _ => {}
        }
    }

    /// I1 to I3, for every ticket that was ever given out.
    pub(super) fn check(&self) {
        let mut live: Vec<Option<&StoreKey>> = vec![None; self.lineages.len()];
        for (ticket, _) in &self.published {
            let number = self.lineage_of[ticket];
            let Some((key, facts)) = self.leads(ticket) else { continue };
            let lineage = &self.lineages[number];
            assert!(!lineage.ended, "I1: a ticket leads to a record after its session's end was acknowledged");
            assert_eq!(self.lineage_of[key], number, "a ticket leads to another session");
            assert!(lineage.stored.is_subset(&facts.commits), "I2: an acknowledged commit is lost");
            assert!(facts.commits.is_disjoint(&self.refused), "I2: a refused commit is stored");
            assert!(live[number].replace(key).is_none_or(|other| other == key), "I3: one session has two records");
            let Some(signed) = facts.signed.as_ref().filter(|_| self.setting.has_index()) else { continue };
            let members = self.store.indexes.get(&self.index_of(signed.user));
            assert!(members.is_some_and(|members| members.contains_key(key)), "a session is missing in the index");
        }
    }

    /// The record that a ticket leads to, over any number of pointers, closed ones too.
    pub(super) fn leads<'a>(&'a self, ticket: &'a StoreKey) -> Option<(&'a StoreKey, &'a Facts)> {
        let mut key = ticket;
        for _ in 0..FAR {
            match &self.store.slots.get(key)?.seen.content {
                Content::Moved { to, .. } => key = to,
                Content::Record(facts) => return Some((key, facts)),
                Content::Damaged | Content::Ended { .. } => return None,
            }
        }
        panic!("pointers lead in a circle")
    }

    /// Tells whether a pointer on the way has closed.
    fn is_closed(&self, ticket: &StoreKey) -> bool {
        match self.store.slots.get(ticket).map(|slot| &slot.seen.content) {
            Some(Content::Moved { closes_at: Some(at), .. }) if *at <= self.now => true,
            Some(Content::Moved { to, .. }) => self.is_closed(to),
            _ => false,
        }
    }

    /// The engine opens with a ticket what the reference finds, or nothing; and nothing with the tickets of two sessions.
    pub(super) fn probe(&mut self) {
        USERS.into_iter().for_each(|user| self.listed(user));
        let listed = USERS.map(|user| self.list(user).unwrap_or_default());
        let mut live: Vec<(&(StoreKey, SessionId), u8)> = Vec::new();
        for ticket in &self.published {
            let client = self.leads(&ticket.0).map_or(0, |(_, facts)| facts.client);
            if self.setting.binds() {
                let mut session = self.opened(&[ticket], 1 - client);
                let Access::Ready(loaded) = session.access() else { panic!("it is loaded") };
                assert!(loaded.handle().is_none(), "a session opens for another client");
            }
            let mut session = self.opened(&[ticket], client);
            let Access::Ready(loaded) = session.access() else { panic!("it is loaded") };
            let Some(handle) = loaded.handle() else { continue };
            let (key, facts) = self.leads(&ticket.0).expect("what opens is there");
            assert!(key.handle() == handle && facts.deadline > self.now, "a live record opens, and no other");
            assert!(!self.is_closed(&ticket.0), "a pointer opens that has closed");
            let data = loaded.data().expect("it is live");
            assert!(data.iter().eq(facts.data.iter().map(|(k, v)| (&**k, &**v))), "what was stored is read");
            if let (true, Some(signed)) = (self.setting.has_index(), &facts.signed) {
                let is_listed = listed[signed.user as usize].iter().any(|listed| listed.handle == handle);
                assert!(is_listed, "a session opens that is not listed");
            }
            live.push((ticket, client));
        }
        let Some((first, client)) = live.first() else { return };
        let is_other = |(ticket, other): &&(&(StoreKey, SessionId), u8)| {
            self.lineage_of[&ticket.0] != self.lineage_of[&first.0] && (other == client || !self.setting.binds())
        };
        let Some((second, _)) = live.iter().find(is_other) else { return };
        let mut session = self.opened(&[first, second], *client);
        let Access::Ready(loaded) = session.access() else { panic!("it is loaded") };
        assert!(loaded.handle().is_none(), "one of two sessions opens");
        loaded.insert("k", &1).expect("a value");
        let Step::Done(done) = session.commit(self.now, &mut Drawn::default()) else { panic!("it is ambiguous") };
        assert_eq!(done.result(), Err(CommitError::Ambiguous));
    }

    /// A request with these tickets, loaded.
    fn opened(&self, tickets: &[&(StoreKey, SessionId)], client: u8) -> Session {
        let tokens = SignedTokens::new(&ring(2), "main", CookiePolicy::NAME);
        let pair = |(_, id): &&(StoreKey, SessionId)| {
            let mut pair = format!("{}=", CookiePolicy::NAME);
            tokens.mint(id, &mut pair);
            pair
        };
        let header = tickets.iter().map(pair).collect::<Vec<_>>().join(";");
        let mut session = {
            let client = [client];
            self.engine.open([header.as_bytes()], &RequestInfo::new().sec_fetch_mode(b"cors").binding(&client))
        };
        while let Access::Load(load) = session.access() {
            let found = self.store.load(load.key(), self.now);
            if load.supply(found, self.now).is_err() {
                assert!(self.damaged, "an intact record does not decode");
            }
        }
        session
    }
}

fn newest(record: &Record) -> Option<Nonce> {
    record.nonces.iter().last()
}

fn data(record: &Record) -> Map {
    record.data.iter().map(|(key, json)| (key.to_owned(), json.to_owned())).collect()
}

/// The facts of a record that this commit made of another: its edits done over it, once.
fn edited(request: &Request, under: &Facts, record: &Record, now: UnixTime) -> Facts {
    let mut facts = under.clone();
    assert!(facts.commits.insert(request.commit.no), "I2: the edits of a commit are done twice");
    for edit in &request.commit.wish.edits {
        assert!(edit.apply(&mut facts.data), "an edit that cannot be done again fails the commit");
    }
    assert_eq!(data(record), facts.data, "I2: the edits over what was read, and nothing else");
    if let (true, Some(signed)) = (request.commit.wish.elevates, &mut facts.signed) {
        signed.authenticated = now;
        let absolute = under.deadline.since(under.created);
        assert!(record.created == now && record.deadline <= now.saturating_add(absolute), "it lives as long again");
    } else {
        assert!(record.created == under.created && record.deadline <= under.deadline, "no deadline ever grows");
    }
    assert_eq!(Signed::of(record), facts.signed, "nobody is signed in by the way");
    assert_eq!(record.lineage, under.lineage, "a session stays what it is");
    assert_eq!(record.commits, facts.commits.len() as u64, "a record counts its commits");
    (facts.created, facts.deadline) = (record.created, record.deadline);
    facts.predecessor = record.predecessor.clone();
    facts
}
