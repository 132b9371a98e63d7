//! Operations that are dropped in the middle.
//!
//! One that is dropped happened, did not, or will happen later: as a whole, and on the condition that it had.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use cloakroom_core::{StoreKey, Value, Version};
use cloakroom_store::{Created, Removed, Written};
use futures_util::future::{Either, select};

use super::{
    Held,
    bench::{Bench, LONG},
    ensure,
    handle::{Handle, Lease, done},
};

const TASKS: usize = 4;
const ROUNDS: usize = 24;

pub(super) async fn leaves_a_create_done_or_not(bench: Bench) -> Held {
    const RULE: &str = "a create that is dropped happens as a whole or not at all";
    let round = |bench: Bench, cut: Cut| async move {
        let store = bench.store();
        let (key, value, other) = (bench.key(), bench.value(), bench.value());
        let lease = Lease::start(LONG);
        cut.off(&bench, store.create(&key, &value, LONG)).await.transpose()?;
        if let Some(found) = store.load(&key).await? {
            ensure(found.value == value, RULE)?;
            store.is_kept(lease, &found).map_err(|broken| format!("{RULE}; {broken}"))?;
            let version = store.replaced(&key, &found.version, &other, LONG).await?;
            return Ok(Left { key, value: other, version });
        }
        // It may still be under way, but then it is still conditional.
        match store.create(&key, &other, LONG).await? {
            Created::Done(version) => Ok(Left { key, value: other, version }),
            Created::Exists => {
                let version = store.holds(&key, &value, RULE).await?.version;
                Ok(Left { key, value, version })
            }
        }
    };
    let left = rounds(&bench, round).await?;
    stay(&bench, left, RULE).await
}

pub(super) async fn leaves_a_replace_done_or_not(bench: Bench) -> Held {
    const RULE: &str = "a replace that is dropped happens as a whole or not at all";
    let round = |bench: Bench, cut: Cut| async move {
        let store = bench.store();
        let (key, first, second, third) = (bench.key(), bench.value(), bench.value(), bench.value());
        let version = store.put(&key, &first).await?;
        let lease = Lease::start(LONG * 2);
        cut.off(&bench, store.replace(&key, &version, &second, LONG * 2)).await.transpose()?;
        let found = store.found(&key, RULE).await?;
        let is_done = found.value == second;
        ensure(is_done || found.value == first, RULE)?;
        let lease = if is_done { lease } else { Lease { ttl: LONG, ..lease } };
        store.is_kept(lease, &found).map_err(|broken| format!("{RULE}; {broken}"))?;
        ensure(is_done || found.version == version, &format!("{RULE}: value and version belong together"))?;
        replaced_in_the_end(&store, key, found.version, (second, third), RULE).await
    };
    let left = rounds(&bench, round).await?;
    stay(&bench, left, RULE).await
}

pub(super) async fn leaves_a_touch_done_or_not(bench: Bench) -> Held {
    const RULE: &str = "a touch that is dropped happens as a whole or not at all";
    let round = |bench: Bench, cut: Cut| async move {
        let store = bench.store();
        let (key, value, other) = (bench.key(), bench.value(), bench.value());
        let lease = Lease::start(LONG);
        let version = store.put(&key, &value).await?;
        cut.off(&bench, store.touch(&key, &version, &value, LONG * 2)).await.transpose()?;
        let found = store.holds(&key, &value, RULE).await?;
        let is_either =
            store.is_kept(lease, &found).or_else(|_| store.is_kept(Lease { ttl: LONG * 2, ..lease }, &found));
        is_either.map_err(|broken| format!("{RULE}; {broken}"))?;
        replaced_in_the_end(&store, key, found.version, (value, other), RULE).await
    };
    let left = rounds(&bench, round).await?;
    stay(&bench, left, RULE).await
}

pub(super) async fn leaves_a_remove_done_or_not(bench: Bench) -> Held {
    const RULE: &str = "a remove that is dropped happens or not, and never to what is written later";
    let round = |bench: Bench, cut: Cut| async move {
        let store = bench.store();
        let (key, first, second) = (bench.key(), bench.value(), bench.value());
        let lease = Lease::start(LONG);
        let version = store.put(&key, &first).await?;
        cut.off(&bench, store.remove(&key, &version)).await.transpose()?;
        if let Some(found) = store.load(&key).await? {
            ensure(found.value == first, RULE)?;
            store.is_kept(lease, &found).map_err(|broken| format!("{RULE}; {broken}"))?;
            match store.replace(&key, &version, &second, LONG).await? {
                Written::Done(version) => return Ok(Left { key, value: second, version }),
                Written::Absent => {}
                Written::Conflict(_) => return Err(format!("{RULE}; it changed the version")),
            }
        }
        let version = store.put(&key, &second).await?;
        Ok(Left { key, value: second, version })
    };
    let left = rounds(&bench, round).await?;
    stay(&bench, left, RULE).await
}

/// Tasks drop operations on keys whose values never change, and each looks at once whether it gets its own answers.
pub(super) async fn shifts_no_answer(bench: Bench) -> Held {
    const RULE: &str = "an operation that is dropped leaves its answer to no other";
    let store = bench.store();
    let mut entries = Vec::new();
    for _ in 0..16 {
        let (key, stale_value, value) = (bench.key(), bench.value(), bench.value());
        let stale = store.put(&key, &stale_value).await?;
        let version = store.replaced(&key, &stale, &value, LONG).await?;
        entries.push(Fixed { key, value, version, stale });
    }
    let storm = |task: usize| {
        let (bench, store, entries) = (bench.clone(), bench.store(), entries.clone());
        async move {
            for round in 0..2 * ROUNDS {
                let cut = Cut::of(task * 2 * ROUNDS + round);
                let entry = &entries[(task * 5 + round) % entries.len()];
                let next = &entries[(task * 5 + round + 7) % entries.len()];
                entry.begin_and_drop(&bench, &store, cut, round).await?;
                next.answers(&store, &bench, RULE).await?;
            }
            Ok(())
        }
    };
    bench.together(2 * TASKS, storm).await?;
    for entry in &entries {
        entry.answers(&store, &bench, RULE).await?;
        store.removed(&entry.key, &entry.version).await.map_err(|broken| format!("{RULE}; {broken}"))?;
    }
    Ok(())
}

/// An entry that nothing in its case changes.
#[derive(Clone, Debug)]
struct Fixed {
    key: StoreKey,
    value: Value,
    version: Version,
    stale: Version,
}

impl Fixed {
    async fn begin_and_drop(&self, bench: &Bench, store: &Handle, cut: Cut, round: usize) -> Held {
        let (other, absent) = (bench.value(), bench.key());
        match round % 6 {
            0 => drop(cut.off(bench, store.load(&self.key)).await.transpose()?),
            1 => drop(cut.off(bench, store.load(&absent)).await.transpose()?),
            2 => drop(cut.off(bench, store.create(&self.key, &other, LONG)).await.transpose()?),
            3 => drop(cut.off(bench, store.replace(&self.key, &self.stale, &other, LONG)).await.transpose()?),
            4 => drop(cut.off(bench, store.touch(&self.key, &self.stale, &other, LONG)).await.transpose()?),
            _ => drop(cut.off(bench, store.remove(&self.key, &self.stale)).await.transpose()?),
        }
        Ok(())
    }

    async fn answers(&self, store: &Handle, bench: &Bench, rule: &str) -> Held {
        store.holds(&self.key, &self.value, rule).await?;
        ensure(store.create(&self.key, &bench.value(), LONG).await? == Created::Exists, rule)?;
        match store.remove(&self.key, &self.stale).await? {
            Removed::Conflict(found) => ensure(found.is_none_or(|found| found.value == self.value), rule)?,
            other => return Err(format!("{rule}; a remove of a stale version was {other:?}")),
        }
        store.is_absent(&bench.key(), rule).await
    }
}

/// What a round left, which nothing may change.
struct Left {
    key: StoreKey,
    value: Value,
    version: Version,
}

/// Runs rounds in several tasks, each round with another moment to drop.
async fn rounds<F>(bench: &Bench, round: impl Fn(Bench, Cut) -> F + Clone + Send + Sync + 'static) -> Held<Vec<Left>>
where
    F: Future<Output = Held<Left>> + Send,
{
    let task = |task: usize| {
        let (bench, round) = (bench.clone(), round.clone());
        async move {
            let mut left = Vec::new();
            for number in 0..ROUNDS {
                left.push(round(bench.clone(), Cut::of(task * ROUNDS + number)).await?);
            }
            Ok(left)
        }
    };
    Ok(bench.together(TASKS, task).await?.into_iter().flatten().collect())
}

/// Writes over what a dropped write left, which may still be under way: `maybe` is what it writes.
async fn replaced_in_the_end(
    store: &Handle,
    key: StoreKey,
    version: Version,
    (maybe, last): (Value, Value),
    rule: &str,
) -> Held<Left> {
    let version = match store.replace(&key, &version, &last, LONG).await? {
        Written::Done(version) => version,
        Written::Absent => return Err(format!("{rule}; nothing is there")),
        Written::Conflict(_) => {
            // It happened between the load and here, which it can only once.
            let found = store.holds(&key, &maybe, rule).await?;
            done(store.replace(&key, &found.version, &last, LONG).await?, rule)?
        }
    };
    Ok(Left { key, value: last, version })
}

/// Checks that what was written after the dropped operations stays.
async fn stay(bench: &Bench, left: Vec<Left>, rule: &str) -> Held {
    // Until nothing can be under way any more.
    bench.sleep(Duration::from_millis(100)).await;
    let store = bench.store();
    for Left { key, value, version } in left {
        store.holds(&key, &value, &format!("{rule}, and never later over another write")).await?;
        store.removed(&key, &version).await.map_err(|broken| format!("{rule}, and never later; {broken}"))?;
    }
    Ok(())
}

/// When an operation is dropped.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cut {
    /// When it has been pending so often.
    Pending(usize),
    /// After so long, if it is not done.
    Late(Duration),
    /// Before it is polled.
    Unpolled,
}

impl Cut {
    /// Returns one of all moments in turn.
    pub(super) fn of(number: usize) -> Self {
        match number % 12 {
            0 => Self::Unpolled,
            pending @ 1..=6 => Self::Pending(pending - 1),
            late => Self::Late(Duration::from_micros(30 * 3_u64.pow(late as u32 - 7))),
        }
    }

    /// Polls an operation until its moment, and drops it.
    pub(super) async fn off<T>(self, bench: &Bench, operation: impl Future<Output = T>) -> Option<T> {
        let mut operation = pin!(operation);
        match self {
            Self::Unpolled => None,
            Self::Pending(mut times) => {
                poll_fn(|context| match operation.as_mut().poll(context) {
                    Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                    Poll::Pending if times == 0 => Poll::Ready(None),
                    Poll::Pending => {
                        times -= 1;
                        Poll::Pending
                    }
                })
                .await
            }
            Self::Late(after) => match select(operation, pin!(bench.sleep(after))).await {
                Either::Left((outcome, _)) => Some(outcome),
                Either::Right(_) => None,
            },
        }
    }
}
