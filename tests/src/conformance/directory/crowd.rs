//! Changes of an index by many at once, and changes that are dropped in the middle.

use std::{future::Future, time::Duration};

use cloakroom_core::StoreKey;

use super::TASKS;
use crate::conformance::{
    Held,
    bench::{Bench, LONG},
    cancel::Cut,
    ensure,
    handle::Handle,
};

/// Tasks enroll and unenroll side by side, each its own members.
pub(in crate::conformance) async fn loses_none_of_many_at_once(bench: Bench) -> Held {
    const RULE: &str = "what many do at once to an index is all done";
    const EACH: usize = 12;
    let (store, index) = (bench.store(), bench.key());
    let mut gone = Vec::new();
    for _ in 0..TASKS * EACH {
        let member = bench.key();
        store.enroll(&index, &member, LONG).await?;
        gone.push(member);
    }
    let change = |task: usize| {
        let (bench, store, index) = (bench.clone(), bench.store(), index.clone());
        let gone = gone[task * EACH..(task + 1) * EACH].to_vec();
        async move {
            let mut kept = Vec::new();
            for gone in gone {
                let member = bench.key();
                store.enroll(&index, &member, LONG).await?;
                store.unenroll(&index, &gone).await?;
                kept.push(member);
                let there = store.members(&index).await?;
                ensure(kept.iter().all(|kept| there.contains(kept)), "a member is there from its enrolment on")?;
                ensure(!there.contains(&gone), "a member is gone from its unenrolment on")?;
            }
            Ok(kept)
        }
    };
    let kept = bench.together(TASKS, change).await?.concat();
    store.lists(&index, &kept.iter().collect::<Vec<_>>(), RULE).await
}

pub(in crate::conformance) async fn leaves_a_dropped_enrolment_done_or_not(bench: Bench) -> Held {
    const RULE: &str = "an enrolment that is dropped happens as a whole or not at all";
    let brief = bench.brief() * 2;
    let enroll = move |bench: Bench, index: StoreKey, member: StoreKey, cut: Cut| async move {
        cut.off(&bench, bench.store().enroll(&index, &member, brief)).await.transpose().map(drop)
    };
    let rounds = rounds(&bench, enroll).await?;
    let store = bench.store();
    for round in &rounds {
        round.holds(&store, RULE).await?;
    }
    // Half an enrolment could be one without an end.
    bench.outlive(brief).await;
    for Round { index, kept, dropped } in &rounds {
        store.lists(index, &[kept], &format!("{RULE}, with its time")).await?;
        for member in dropped {
            store.enroll(index, member, LONG).await?;
        }
        let all: Vec<_> = dropped.iter().chain([kept]).collect();
        store.lists(index, &all, "what was dropped can be done again").await?;
    }
    Ok(())
}

pub(in crate::conformance) async fn leaves_a_dropped_unenrolment_done_or_not(bench: Bench) -> Held {
    const RULE: &str = "an unenrolment that is dropped happens as a whole or not at all";
    let unenroll = |bench: Bench, index: StoreKey, member: StoreKey, cut: Cut| async move {
        let store = bench.store();
        store.enroll(&index, &member, LONG).await?;
        cut.off(&bench, store.unenroll(&index, &member)).await.transpose().map(drop)
    };
    let rounds = rounds(&bench, unenroll).await?;
    let store = bench.store();
    for round in &rounds {
        round.holds(&store, RULE).await?;
        for member in &round.dropped {
            store.unenroll(&round.index, member).await?;
        }
        store.lists(&round.index, &[&round.kept], "what was dropped can be done again").await?;
    }
    Ok(())
}

/// What a task left in an index of its own.
struct Round {
    index: StoreKey,
    /// Which nothing that was dropped is about.
    kept: StoreKey,
    /// Members of which the last operation was dropped.
    dropped: Vec<StoreKey>,
}

impl Round {
    async fn holds(&self, store: &Handle, rule: &str) -> Held {
        let there = store.members(&self.index).await?;
        ensure(there.contains(&self.kept), &format!("{rule}, and touches no other"))?;
        ensure(there.iter().all(|there| *there == self.kept || self.dropped.contains(there)), rule)
    }
}

/// Has tasks drop operations, each at another moment.
async fn rounds<F>(
    bench: &Bench,
    operation: impl Fn(Bench, StoreKey, StoreKey, Cut) -> F + Clone + Send + Sync + 'static,
) -> Held<Vec<Round>>
where
    F: Future<Output = Held> + Send,
{
    const EACH: usize = 24;
    let task = |task: usize| {
        let (bench, operation) = (bench.clone(), operation.clone());
        async move {
            let mut round = Round { index: bench.key(), kept: bench.key(), dropped: Vec::new() };
            bench.store().enroll(&round.index, &round.kept, LONG).await?;
            for number in 0..EACH {
                let member = bench.key();
                operation(bench.clone(), round.index.clone(), member.clone(), Cut::of(task * EACH + number)).await?;
                round.dropped.push(member);
            }
            Ok(round)
        }
    };
    let rounds = bench.together(TASKS, task).await?;
    // Until nothing can be under way any more.
    bench.sleep(Duration::from_millis(100)).await;
    Ok(rounds)
}
