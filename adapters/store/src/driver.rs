//! Does the operations that the machine asks for, each under the deadline.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use cloakroom_core::{Done, Io, Op, OpKind, Outcome, Step, StoreKey, Stored, Verdict, limits};
use futures_util::future::{Either, select};

use crate::{
    error::{Fault, StoreError},
    report::OpLog,
    sessions::Sessions,
};

/// Loads what is under a key.
pub(crate) async fn load(sessions: &Sessions, key: &StoreKey, ops: &mut OpLog) -> Result<Option<Stored>, StoreError> {
    count(sessions, OpKind::Load, ops);
    let store = sessions.store();
    // By itself, so that the future has no room for it.
    let done = store.at_once(&Op::Load { key: key.clone() });
    let found = match done {
        None => within_deadline(sessions, store.load(key), StoreError::failed).await,
        Some(Ok(Outcome::Absent)) => Ok(None),
        Some(Ok(Outcome::Found(found))) => Ok(Some(found)),
        Some(Ok(_)) => Err(StoreError::failed(Fault::Internal)),
        Some(Err(error)) => Err(error),
    };
    found.inspect_err(|_| sessions.counters().count_store_failure())
}

/// Drives a commit for as long as the store does what it asks for at once. What waits is left for [`drive`], and so is a
/// conflict, which takes turns.
pub(crate) fn drive_at_once(
    sessions: &Sessions,
    mut io: Io,
    ops: &mut OpLog,
    store_error: &mut Option<StoreError>,
) -> Result<Verdict, Io> {
    loop {
        let kind = io.op().kind();
        let outcome = match sessions.store().at_once(io.op()) {
            // It is asked for again, and found so.
            None | Some(Ok(Outcome::Conflict(_))) => return Err(io),
            Some(result) => ended(sessions, result, store_error),
        };
        count(sessions, kind, ops);
        match io.resume(outcome, sessions.now()).into_verdict() {
            Ok(verdict) => return Ok(verdict),
            Err(next) => io = next,
        }
    }
}

/// Drives a commit to its end.
pub(crate) async fn drive(
    sessions: &Sessions,
    mut io: Io,
    ops: &mut OpLog,
    store_error: &mut Option<StoreError>,
) -> Box<Done> {
    let mut turn = None;
    loop {
        let kind = io.op().kind();
        count(sessions, kind, ops);
        let outcome = answer(sessions, io.op(), store_error).await;
        if matches!(outcome, Outcome::Conflict(_)) && turn.is_none() {
            let waiting = pin!(sessions.turns().take(io.op().key()));
            // Who waits for longer goes on without.
            if let Either::Left((taken, _)) = select(waiting, sessions.runtime().sleep(sessions.deadline())).await {
                turn = Some(taken);
            }
        }
        match io.resume(outcome, sessions.now()) {
            Step::Done(done) => return Box::new(done),
            Step::Io(next) => io = next,
        }
    }
}

fn count(sessions: &Sessions, kind: OpKind, ops: &mut OpLog) {
    ops.push(kind);
    sessions.counters().count_operation(kind);
}

/// Does an operation, and tells how it ended; leaves the store's own error where it failed.
pub(crate) async fn answer(sessions: &Sessions, op: &Op, store_error: &mut Option<StoreError>) -> Outcome {
    let result = match sessions.store().at_once(op) {
        None => within_deadline(sessions, perform(sessions, op), StoreError::unknown).await,
        Some(result) => result,
    };
    ended(sessions, result, store_error)
}

fn ended(sessions: &Sessions, result: Result<Outcome, StoreError>, store_error: &mut Option<StoreError>) -> Outcome {
    let error = match result {
        // A store says so by an error.
        Ok(Outcome::Failed) => StoreError::failed(Fault::Internal),
        Ok(Outcome::Unknown) => StoreError::unknown(Fault::Internal),
        Ok(outcome) => return outcome,
        Err(error) => error,
    };
    sessions.counters().count_store_failure();
    let outcome = if error.may_have_happened() { Outcome::Unknown } else { Outcome::Failed };
    *store_error = Some(error);
    outcome
}

async fn perform(sessions: &Sessions, op: &Op) -> Result<Outcome, StoreError> {
    let store = sessions.store();
    Ok(match op {
        Op::Create { key, value, ttl } => store.create(key, value, *ttl).await?.into(),
        Op::Enroll { index, member, ttl } => match store.directory() {
            Some(directory) => directory.enroll(index, member, *ttl).await.map(|()| Outcome::Indexed)?,
            None => Outcome::Unsupported,
        },
        Op::List { index } => match store.directory() {
            Some(directory) => Outcome::Listed(directory.list(index, limits::MAX_LISTED).await?),
            None => Outcome::Unsupported,
        },
        Op::Load { key } => store.load(key).await?.map_or(Outcome::Absent, Outcome::Found),
        Op::Remove { key, version } => store.remove(key, version).await?.into(),
        Op::Replace { key, version, value, ttl } => store.replace(key, version, value, *ttl).await?.into(),
        Op::Touch { key, version, value, ttl } => store.touch(key, version, value, *ttl).await?.into(),
        Op::Unenroll { index, member } => match store.directory() {
            Some(directory) => directory.unenroll(index, member).await.map(|()| Outcome::Indexed)?,
            None => Outcome::Unsupported,
        },
    })
}

async fn within_deadline<T>(
    sessions: &Sessions,
    operation: impl Future<Output = Result<T, StoreError>>,
    late: fn(Fault) -> StoreError,
) -> Result<T, StoreError> {
    let mut operation = pin!(operation);
    let mut timer = None;
    poll_fn(|context| {
        if let Poll::Ready(result) = operation.as_mut().poll(context) {
            return Poll::Ready(result);
        }
        // A store that answers at once needs none.
        let timer = timer.get_or_insert_with(|| sessions.runtime().sleep(sessions.deadline()));
        timer.as_mut().poll(context).map(|()| Err(late(Fault::TimedOut)))
    })
    .await
}
