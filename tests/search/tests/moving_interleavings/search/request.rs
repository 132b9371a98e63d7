//! The requests: the real machine over the real moving store, at any point of its history.

use std::{
    collections::HashMap,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use cloakroom_core::{Access, CommitError, End, Op, Outcome, RequestInfo, Step};
use cloakroom_store::{Created, MovingStore, Removed, Store, StoreError, Written};

use super::gate::{Answer, Ask, Drawn, Gate, Names, Script};

/// What a request does.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Kind {
    /// Adds one to a digit of its own.
    Add,
    /// Ends the session.
    End,
    /// Looks whether a session opens, and commits nothing: how the rules see it.
    Look,
    /// Moves the key as it is.
    Move,
    /// Looks at the session, which puts its end off.
    Read,
}

/// What the node does that a request is on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Phase {
    Moves,
    Prepares,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    pub(crate) phase: Phase,
    pub(crate) number: u8,
}

/// What a request was told at its end.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Told {
    /// Its change is stored.
    Added,
    /// The session has ended.
    Ended,
    /// It surely changed nothing.
    Failed,
    /// It does not know what it did.
    Unknown,
    /// It saw the number, or no session.
    Saw(Option<u64>),
    /// Nothing that says something.
    Nothing,
}

/// What a request does next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next {
    Asks(Ask),
    Over(Told),
}

struct Node {
    request: Request,
    start: u32,
    before: Option<(u32, Answer, u32)>,
    next: Next,
}

/// The histories that were met: a tree.
#[derive(Default)]
pub(crate) struct Nodes {
    starts: HashMap<(Request, u32), u32>,
    after: HashMap<(u32, Answer, u32), u32>,
    all: Vec<Node>,
}

impl Nodes {
    /// Returns where a request starts.
    pub(crate) fn start(&mut self, names: &Names, request: Request, now: u32) -> u32 {
        if let Some(known) = self.starts.get(&(request, now)) {
            return *known;
        }
        let number = self.add(names, request, now, None);
        self.starts.insert((request, now), number);
        number
    }

    /// Returns where an answer leads.
    pub(crate) fn after(&mut self, names: &Names, node: u32, answer: Answer, now: u32) -> u32 {
        let way = (node, answer, now);
        if let Some(known) = self.after.get(&way) {
            return *known;
        }
        let Node { request, start, .. } = self.all[node as usize];
        let number = self.add(names, request, start, Some(way));
        self.after.insert(way, number);
        number
    }

    pub(crate) fn next(&self, node: u32) -> Next {
        self.all[node as usize].next
    }

    fn add(&mut self, names: &Names, request: Request, start: u32, before: Option<(u32, Answer, u32)>) -> u32 {
        let mut answers = Vec::new();
        let mut at = before;
        while let Some((node, answer, now)) = at {
            answers.push((answer, now));
            at = self.all[node as usize].before;
        }
        answers.reverse();
        let (old, new, script) = names.gates();
        script.give(start, answers);
        let store = match request.phase {
            Phase::Moves => MovingStore::moving(old, new),
            Phase::Prepares => MovingStore::prepare(old, new),
        };
        let polled = pin!(act(request, names, &store, &script)).poll(&mut Context::from_waker(Waker::noop()));
        let next = match polled {
            Poll::Ready(told) => Next::Over(told),
            Poll::Pending => Next::Asks(script.talk().0.unwrap()),
        };
        self.all.push(Node { request, start, before, next });
        u32::try_from(self.all.len() - 1).unwrap()
    }
}

async fn act(request: Request, names: &Names, store: &MovingStore<Gate, Gate>, script: &Script) -> Told {
    let now = || names.moment(script.talk().1);
    if request.kind == Kind::Move {
        let _ = store.move_key(&names.key).await;
        return Told::Nothing;
    }
    let mut session = names.engine.open([names.cookie.as_bytes()], &RequestInfo::new());
    let mut access = session.access();
    let loaded = loop {
        match access {
            Access::Ready(loaded) => break loaded,
            Access::Load(load) => {
                assert_eq!(load.key(), &names.key);
                let sent = now();
                let Ok(found) = store.load(&names.key).await else { return Told::Failed };
                let Ok(next) = load.supply(found, sent) else { return Told::Failed };
                access = next;
            }
        }
    };
    let seen: Option<u64> = loaded.get("n").unwrap();
    match request.kind {
        Kind::Look => return Told::Saw(seen),
        Kind::Add | Kind::End if seen.is_none() => return Told::Nothing,
        Kind::Add => {
            let digit = 1 << (8 * request.number);
            loaded.update("n", move |n: Option<u64>| n.unwrap_or_default() + digit).unwrap();
        }
        Kind::End => loaded.destroy(),
        Kind::Move | Kind::Read => {}
    }
    let mut step = session.commit(now(), &mut Drawn(request.number));
    let done = loop {
        match step {
            Step::Done(done) => break done,
            Step::Io(io) => {
                let outcome = match perform(store, io.op()).await {
                    Ok(outcome) => outcome,
                    Err(error) if error.may_have_happened() => Outcome::Unknown,
                    Err(_) => Outcome::Failed,
                };
                step = io.resume(outcome, now());
            }
        }
    };
    match (request.kind, done.result(), done.end()) {
        (Kind::Read, ..) => Told::Saw(seen),
        (Kind::End, Ok(()), Some(End::Ended)) => Told::Ended,
        (Kind::Add, Ok(()), _) => Told::Added,
        (_, Err(CommitError::OutcomeUnknown), _) => Told::Unknown,
        (_, Err(CommitError::Store), _) => Told::Failed,
        _ => Told::Nothing,
    }
}

async fn perform(store: &MovingStore<Gate, Gate>, op: &Op) -> Result<Outcome, StoreError> {
    Ok(match op {
        Op::Create { key, value, ttl } => match store.create(key, value, *ttl).await? {
            Created::Done(version) => Outcome::Done(version),
            Created::Exists => Outcome::Exists,
        },
        Op::Load { key } => store.load(key).await?.map_or(Outcome::Absent, Outcome::Found),
        Op::Remove { key, version } => match store.remove(key, version).await? {
            Removed::Absent => Outcome::Absent,
            Removed::Conflict(found) => Outcome::Conflict(found),
            Removed::Done => Outcome::Removed,
        },
        Op::Replace { key, version, value, ttl } => written(store.replace(key, version, value, *ttl).await?),
        Op::Touch { key, version, value, ttl } => written(store.touch(key, version, value, *ttl).await?),
        Op::Enroll { .. } | Op::List { .. } | Op::Unenroll { .. } => Outcome::Unsupported,
    })
}

fn written(written: Written) -> Outcome {
    match written {
        Written::Absent => Outcome::Absent,
        Written::Conflict(found) => Outcome::Conflict(found),
        Written::Done(version) => Outcome::Done(version),
    }
}
