//! Does the operations that the machine asks for, each under the deadline.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use cloakroom_core::{Done, Io, Op, OpKind, Outcome, Step, StoreKey, Stored, limits};
use futures_util::future::{Either, select};

use crate::{
    error::{Fault, StoreError},
    report::OpLog,
    sessions::Sessions,
    store::{Created, Removed, Written},
};

/// Loads what is under a key.
pub(crate) async fn load(sessions: &Sessions, key: &StoreKey, ops: &mut OpLog) -> Result<Option<Stored>, StoreError> {
    ops.push(OpKind::Load);
    sessions.counters().count_operation(OpKind::Load);
    let found = within_deadline(sessions, sessions.store().load(key), StoreError::failed).await;
    found.inspect_err(|_| sessions.counters().count_store_failure())
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
        ops.push(kind);
        sessions.counters().count_operation(kind);
        let (outcome, error) = answer(sessions, io.op()).await;
        if error.is_some() {
            *store_error = error;
        }
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

/// Does an operation, and tells how it ended; with the store's own error where it failed.
pub(crate) async fn answer(sessions: &Sessions, op: &Op) -> (Outcome, Option<StoreError>) {
    match within_deadline(sessions, perform(sessions, op), StoreError::unknown).await {
        Ok(outcome) => (outcome, None),
        Err(error) => {
            sessions.counters().count_store_failure();
            (if error.may_have_happened() { Outcome::Unknown } else { Outcome::Failed }, Some(error))
        }
    }
}

async fn perform(sessions: &Sessions, op: &Op) -> Result<Outcome, StoreError> {
    let store = sessions.store();
    Ok(match op {
        Op::Create { key, value, ttl } => match store.create(key, value, *ttl).await? {
            Created::Done(version) => Outcome::Done(version),
            Created::Exists => Outcome::Exists,
        },
        Op::Enroll { index, member, ttl } => match store.directory() {
            Some(directory) => directory.enroll(index, member, *ttl).await.map(|()| Outcome::Indexed)?,
            None => Outcome::Unsupported,
        },
        Op::List { index } => match store.directory() {
            Some(directory) => Outcome::Listed(directory.list(index, limits::MAX_LISTED).await?),
            None => Outcome::Unsupported,
        },
        Op::Load { key } => store.load(key).await?.map_or(Outcome::Absent, Outcome::Found),
        Op::Remove { key, version } => match store.remove(key, version).await? {
            Removed::Absent => Outcome::Absent,
            Removed::Conflict(found) => Outcome::Conflict(found),
            Removed::Done => Outcome::Removed,
        },
        Op::Replace { key, version, value, ttl } => written(store.replace(key, version, value, *ttl).await?),
        Op::Touch { key, version, value, ttl } => written(store.touch(key, version, value, *ttl).await?),
        Op::Unenroll { index, member } => match store.directory() {
            Some(directory) => directory.unenroll(index, member).await.map(|()| Outcome::Indexed)?,
            None => Outcome::Unsupported,
        },
    })
}

fn written(written: Written) -> Outcome {
    match written {
        Written::Absent => Outcome::Absent,
        Written::Conflict(found) => Outcome::Conflict(found),
        Written::Done(version) => Outcome::Done(version),
    }
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
