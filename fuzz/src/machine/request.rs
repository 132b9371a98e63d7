//! A request as the reference sees it.

use std::collections::BTreeMap;

use cloakroom_core::{Done, Entropy, EntropyError, Io, Nonce, Session, SessionId, StoreKey, Stored, UnixTime, Version};

use super::{
    account::Entry,
    edit::{Edit, Map},
    store::{CommitNo, Content, Facts, Seen, Write},
};

/// A request and what it was told.
pub(super) struct Request {
    /// The keys of the valid tickets that it brought.
    pub(super) brought: Vec<StoreKey>,
    /// It brought more cookies than are read, or more tickets than are looked at.
    pub(super) floods: bool,
    pub(super) cross_site: bool,
    /// Which of two clients makes it.
    pub(super) client: u8,
    /// Its tickets are under a key that is on its way out.
    pub(super) outdated: bool,
    pub(super) phase: Phase,
    /// What was read for the load that waits, and when that was sent.
    pub(super) read: Option<(StoreKey, Option<Stored>, UnixTime)>,
    /// What it was shown under each key, in order: of two reads of one record, it may keep either.
    pub(super) seen: BTreeMap<StoreKey, Vec<Seen>>,
    /// It has its data, and `wish` tells what it asked for since.
    pub(super) is_ready: bool,
    pub(super) wish: Wish,
    /// An end was asked for and has not come.
    pub(super) destroys: bool,
    pub(super) accessed: bool,
    pub(super) loads: u32,
    pub(super) commit: Commit,
    /// The cookie that its commits owe so far.
    pub(super) cookie: Option<String>,
}

#[derive(Default)]
pub(super) enum Phase {
    /// On the way from one to the next.
    #[default]
    Between,
    Done(Done),
    Open(Session),
    Writing(Io, Write),
}

/// What a request asked for since it was opened.
#[derive(Clone, Default)]
pub(super) struct Wish {
    /// Where its session lives, and what it held.
    pub(super) base: Option<(StoreKey, Facts)>,
    pub(super) edits: Vec<Edit>,
    /// The base with the edits done.
    pub(super) view: Map,
    pub(super) rotates: bool,
    pub(super) destroys: bool,
    pub(super) lifetime: bool,
    pub(super) elevates: bool,
    pub(super) login: Option<Entry>,
    /// A token was made for a session that is not there yet.
    pub(super) promised: bool,
}

impl Wish {
    pub(super) fn held(&self) -> Map {
        self.base.as_ref().map(|(_, facts)| facts.data.clone()).unwrap_or_default()
    }

    /// There is something to write for the data or the lifetime.
    pub(super) fn changes(&self) -> bool {
        self.view != self.held() || (self.lifetime && self.base.is_some())
    }

    /// There is something that may be drawn for.
    pub(super) fn asks(&self) -> bool {
        self.stores() || self.rotates || self.promised
    }

    /// A success says that something was written.
    pub(super) fn stores(&self) -> bool {
        self.changes() || self.elevates || self.login.is_some()
    }
}

/// A commit under way.
#[derive(Default)]
pub(super) struct Commit {
    pub(super) no: CommitNo,
    pub(super) wish: Wish,
    pub(super) destroys: bool,
    pub(super) drawn: Drawn,
    pub(super) operations: u32,
    /// How many logins there had been when those of the user were counted.
    pub(super) counted_at: Option<u32>,
    /// The record that it made under a new id, and the versions of the old one from which it may be made.
    pub(super) fresh: Option<(StoreKey, Vec<Version>)>,
    /// The record under the new id is out in the world.
    pub(super) is_out: bool,
    /// Where it set its tombstone.
    pub(super) struck: Option<StoreKey>,
    /// An operation failed, lost its answer or ended in an impossible way.
    pub(super) faults: u32,
    pub(super) lost_answers: u32,
    pub(super) wrong_answers: u32,
    /// It was shown something other than it expected.
    pub(super) conflicts: u32,
}

/// Randomness that never repeats, and remembers what it gave.
#[derive(Default)]
pub(super) struct Drawn {
    pub(super) by: CommitNo,
    pub(super) fails: bool,
    pub(super) nonce: Option<Nonce>,
    pub(super) id: Option<SessionId>,
    pub(super) draws: u32,
}

impl Entropy for Drawn {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        self.draws += 1;
        if self.fails {
            return Err(EntropyError);
        }
        bytes.fill(0xa5);
        bytes[..4].copy_from_slice(&self.by.to_be_bytes());
        match <[u8; Nonce::LEN]>::try_from(&bytes[..]) {
            Ok(nonce) => assert!(self.nonce.replace(Nonce::from_bytes(nonce)).is_none(), "one nonce a commit"),
            Err(_) => assert!(self.id.replace(SessionId::from_bytes(bytes).expect("an id")).is_none(), "one id"),
        }
        Ok(())
    }
}

impl Request {
    pub(super) fn see(&mut self, key: &StoreKey, seen: &Seen) {
        self.seen.entry(key.clone()).or_default().push(seen.clone());
    }

    /// What it was shown under a key in a version.
    pub(super) fn saw(&self, key: &StoreKey, version: &Version) -> Option<&Seen> {
        self.seen.get(key)?.iter().rev().find(|seen| seen.version == *version)
    }

    /// It was shown a record that is bound to another client.
    pub(super) fn saw_of_another_client(&self) -> bool {
        self.seen.keys().flat_map(|key| self.records(key)).any(|(_, facts)| facts.client != self.client)
    }

    /// The records that it was shown under a key, newest first.
    pub(super) fn records(&self, key: &StoreKey) -> impl Iterator<Item = (&Version, &Facts)> {
        self.seen.get(key).into_iter().flatten().rev().filter_map(|seen| match &seen.content {
            Content::Record(facts) => Some((&seen.version, facts)),
            _ => None,
        })
    }
}
