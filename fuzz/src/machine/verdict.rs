//! What a request is told, and what follows from it.

use std::collections::BTreeSet;

use cloakroom_core::{
    CommitError, CookieChange, CookiePolicy, Done, End, Excess, KeyScheme as _, SignedTokens, TokenScheme as _,
    limits::{MAX_HOPS, MAX_TICKETS},
};

use super::{
    super::ring,
    edit::Edit,
    request::{Commit, Request},
    store::Content,
    world::{Lineage, World},
};

impl World {
    /// What holds while and after a request's tickets are looked up.
    pub(super) fn admitted(&self, request: &Request) {
        let most = (request.brought.len().clamp(1, MAX_TICKETS) as u32) * (MAX_HOPS + 2);
        assert!(request.loads <= most, "more loads than tickets and pointers allow");
        if let (true, Some((key, _))) = (request.is_ready, &request.wish.base) {
            assert!(self.lineages_of(request).contains(&self.lineage_of[key]), "what opened was brought");
        }
    }

    /// The lineages of what a request brought or made.
    fn lineages_of(&self, request: &Request) -> Vec<usize> {
        let keys = request.brought.iter().chain(request.seen.keys());
        keys.map(|key| self.lineage_of[key]).collect()
    }

    /// Takes what a commit came to.
    pub(super) fn judge(&mut self, request: &mut Request, done: &Done) {
        request.loads = 0;
        if !request.accessed {
            let is_quiet = done.result().is_ok() && done.end().is_none() && done.headers().next().is_none();
            assert!(is_quiet && request.commit.drawn.draws == 0, "an untouched request costs nothing");
            return;
        }
        let wish = &request.commit.wish;
        let asks = wish.asks() || request.commit.destroys;
        let may_draw = asks || self.setting.renews() || request.outdated;
        assert!(may_draw || request.commit.drawn.draws == 0, "randomness is drawn for nothing");
        self.ended(request, done);
        self.cookie(request, done);
        self.edits(request, done);
        self.cause(request, done);
        request.destroys = matches!(done.end(), Some(End::Failed | End::NothingToEnd));
    }

    /// I1: what an end is worth.
    fn ended(&mut self, request: &Request, done: &Done) {
        let Some(end) = done.end() else {
            return assert!(!request.commit.wish.destroys, "an end was asked for, and nothing said of it");
        };
        assert!(request.commit.destroys, "an end is told of that nobody asked for");
        let lineages = self.lineages_of(request);
        let is_sure = lineages.iter().all(|at| !self.lineages[*at].dropped);
        match end {
            End::Ended => {
                let key = request.commit.struck.as_ref().expect("an end is a tombstone");
                assert!(
                    self.landed.contains(&request.commit.no),
                    "an end is acknowledged that did not reach the store"
                );
                let lineage = self.lineage_of[key];
                self.lineages[lineage].ended = true;
            }
            End::AlreadyEnded => assert!(lineages.iter().any(|at| self.lineages[*at].struck), "nobody ended it"),
            End::Failed => assert!(done.result().is_err(), "an end that failed is a success"),
            End::Vanished => {
                let is_login = request.commit.wish.login.is_some();
                assert!(is_login || done.result().is_err(), "an end that is none is a success");
                assert!(lineages.iter().any(|at| self.lineages[*at].dropped), "a record vanished that nobody dropped");
            }
            _ => {}
        }
        let is_one = lineages.windows(2).all(|pair| pair[0] == pair[1]);
        let is_told = match end {
            End::AlreadyEnded => true,
            End::NothingToEnd => done.result().is_ok() && !request.brought.is_empty(),
            _ => false,
        };
        if let (true, true, true, Some(at)) = (is_sure, is_one, is_told, lineages.first()) {
            self.lineages[*at].ended = true;
        }
    }

    /// I7: a ticket is set for a record that reached the store, and removed by who ended its session.
    fn cookie(&mut self, request: &mut Request, done: &Done) {
        let ends = matches!(done.end(), Some(End::Ended | End::Vanished));
        let line = match done.cookie() {
            CookieChange::Keep => None,
            CookieChange::Clear(line) | CookieChange::Set(line) => Some(line.to_owned()),
        };
        let is_new = line != request.cookie;
        match done.cookie() {
            CookieChange::Keep => assert!(!ends && !is_new, "I7: a cookie that is owed is kept"),
            CookieChange::Clear(_) => assert!(ends || !is_new, "I7: a cookie is removed by who ended nothing"),
            CookieChange::Set(_) if !is_new => assert!(!ends, "I7: the ticket of an ended session is set"),
            CookieChange::Set(line) => self.publish(request, line),
        }
        let names: Vec<&str> = done.headers().map(|(name, _)| name).collect();
        let expected: &[&str] = if line.is_some() { &["set-cookie", "cache-control", "vary"] } else { &["vary"] };
        assert_eq!(names, expected, "the headers that go with the cookie");
        request.cookie = line;
    }

    fn publish(&mut self, request: &Request, line: &str) {
        let pair = line.split(';').next().unwrap_or_default();
        let (name, token) = pair.split_once('=').expect("a pair");
        assert_eq!(name, CookiePolicy::NAME);
        let tokens = SignedTokens::new(&ring(1), "main", CookiePolicy::NAME);
        let id = tokens.verify(token.as_bytes()).expect("a ticket of ours").id;
        let key = self.keys.store_key(&id);
        assert_eq!(request.commit.fresh.as_ref().map(|(key, _)| key), Some(&key), "I7: the ticket of what was made");
        let is_there = self.store.slots.contains_key(&key);
        assert!(self.landed.contains(&request.commit.no), "I7: a ticket for what never reached the store");
        assert!(is_there || self.lineages[self.lineage_of[&key]].dropped, "I7: a ticket for nothing");
        if let Some((old, _)) = &request.commit.wish.base {
            let led = self.store.slots.get(old).map(|slot| &slot.seen.content);
            let is_given_up = match request.commit.wish.login.is_some() || request.commit.wish.elevates {
                true => self.leads(old).is_none(),
                false => matches!(led, Some(Content::Moved { to, .. }) if *to == key),
            };
            assert!(
                is_given_up || self.lineages[self.lineage_of[old]].dropped,
                "I7: published before the old one leads here"
            );
        }
        self.sign_ins += u32::from(request.commit.wish.login.is_some());
        self.published.push((key, id));
    }

    /// I2: what was said of the edits.
    fn edits(&mut self, request: &Request, done: &Done) {
        let commit = &request.commit;
        match done.result() {
            Ok(()) if commit.wish.stores() => {
                assert!(self.landed.contains(&commit.no), "I2: edits are acknowledged that did not reach the store");
                let made = commit
                    .fresh
                    .as_ref()
                    .map(|(key, _)| key)
                    .filter(|_| commit.wish.base.is_none() || commit.wish.login.is_some());
                let key = made.or_else(|| commit.wish.base.as_ref().map(|(key, _)| key)).expect("a session");
                let is_new = made.is_some_and(|made| self.published.last().is_none_or(|(last, _)| last != made));
                assert!(!is_new, "I2: edits are acknowledged in a session that nobody has a ticket of");
                let lineage = self.lineage_of[key];
                self.lineages[lineage].stored.insert(commit.no);
                self.signed_in(commit);
            }
            Ok(()) => {}
            Err(CommitError::OutcomeUnknown | CommitError::UnexpectedOutcome | CommitError::Vanished) => {}
            Err(_) => {
                self.refused.insert(commit.no);
            }
        }
    }

    /// I5: a login ends the session before it, and the user has no more sessions than allowed.
    fn signed_in(&mut self, commit: &Commit) {
        let Some(entry) = &commit.wish.login else { return };
        if let Some((old, _)) = &commit.wish.base {
            let lineage = self.lineage_of[old];
            self.lineages[lineage].ended |= !self.lineages[lineage].dropped;
        }
        // Its own ticket came since, and nobody else's.
        if let (Some((most, _)), Some(before)) = (entry.limit, commit.counted_at)
            && self.sign_ins == before + 1
        {
            let live = self.published.iter().filter_map(|(ticket, _)| self.leads(ticket));
            let theirs = live.filter(|(_, facts)| {
                facts.deadline > self.now && facts.signed.as_ref().is_some_and(|signed| signed.user == entry.user)
            });
            let sessions: BTreeSet<usize> = theirs.map(|(key, _)| self.lineage_of[key]).collect();
            assert!(sessions.len() <= most, "a user has more sessions than a login allows");
        }
    }

    /// What a request is told has its cause in the world.
    fn cause(&self, request: &Request, done: &Done) {
        let Err(error) = done.result() else { return };
        let commit = &request.commit;
        let lineages = self.lineages_of(request);
        let any = |what: fn(&Lineage) -> bool| lineages.iter().any(|at| what(&self.lineages[*at]));
        let limit = commit.wish.login.as_ref().and_then(|entry| entry.limit);
        let has_cause = match error {
            CommitError::Ambiguous => {
                let is_one = lineages.windows(2).all(|pair| pair[0] == pair[1]);
                !is_one || request.floods || self.damaged
            }
            CommitError::Contention => commit.conflicts + commit.lost_answers > MAX_HOPS || limit.is_some(),
            CommitError::CrossSite => request.cross_site && request.brought.is_empty(),
            CommitError::Entropy => commit.drawn.fails,
            CommitError::Lost => {
                let is_bound = || self.setting.binds() && request.saw_of_another_client();
                any(|l| l.struck || l.dropped || l.closes || l.elevated) || self.waited || is_bound()
            }
            CommitError::NoIndex => limit.is_some() && !self.setting.has_index(),
            CommitError::OutcomeUnknown => commit.lost_answers > 0,
            CommitError::RecordTooLarge { size, limit } => self.setting.small_records() && size > limit,
            CommitError::Replay(_) => {
                let before = commit.wish.login.iter().flat_map(|entry| &entry.before);
                commit.wish.edits.iter().chain(before).any(|edit| matches!(edit, Edit::Add(_) | Edit::AddToFew(_)))
            }
            CommitError::StaleTicket => any(|l| l.closes) || self.published.len() > MAX_HOPS as usize,
            CommitError::Store => commit.faults + commit.lost_answers > 0,
            CommitError::TooLate => self.waited,
            CommitError::TooManySessions => matches!(limit, Some((_, Excess::Refuse))),
            CommitError::Undecodable(_) => self.damaged,
            CommitError::UnexpectedOutcome => commit.wrong_answers > 0,
            CommitError::Vanished => any(|l| l.dropped),
            _ => false,
        };
        assert!(has_cause, "{error:?} without a cause");
    }
}
