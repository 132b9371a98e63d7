//! Indexes: who is enrolled in which, and for how long.

use std::{future::Future, time::Duration};

use cloakroom_core::{Members, StoreKey, limits::MAX_STORE_KEY};
use cloakroom_store::Created;

use super::{
    Held,
    bench::{Bench, LONG},
    cancel::Cut,
    ensure,
    handle::Handle,
};

const TASKS: usize = 8;

pub(super) async fn finds_nothing_where_nothing_is(bench: Bench) -> Held {
    const RULE: &str = "an index that is not there is empty";
    let (store, index) = (bench.store(), bench.key());
    for limit in [0, 1, usize::MAX] {
        ensure(store.list(&index, limit).await? == Members::default(), RULE)?;
    }
    ensure(store.list(&index, 1).await? == Members::default(), "a listing makes no index")
}

pub(super) async fn lists_what_is_enrolled(bench: Bench) -> Held {
    const RULE: &str = "what is enrolled is listed, and nothing else";
    let (store, index) = (bench.store(), bench.key());
    let [first, second, third] = [bench.key(), bench.key(), bench.key()];
    store.enroll(&index, &first, LONG).await?;
    store.lists(&index, &[&first], RULE).await?;
    store.enroll(&index, &second, LONG).await?;
    store.lists(&index, &[&first, &second], RULE).await?;
    store.enroll(&index, &third, LONG).await?;
    store.lists(&index, &[&first, &second, &third], RULE).await?;
    store.lists(&index, &[&first, &second, &third], "a listing changes nothing").await
}

pub(super) async fn lists_once_what_is_enrolled_twice(bench: Bench) -> Held {
    const RULE: &str = "what is enrolled twice is there, once";
    let (store, index) = (bench.store(), bench.key());
    let [first, second] = [bench.key(), bench.key()];
    for ttl in [LONG, LONG, LONG * 2, LONG] {
        store.enroll(&index, &first, ttl).await?;
        store.lists(&index, &[&first], RULE).await?;
    }
    store.enroll(&index, &second, LONG).await?;
    store.enroll(&index, &first, LONG).await?;
    store.lists(&index, &[&first, &second], RULE).await?;
    store.unenroll(&index, &first).await?;
    store.lists(&index, &[&second], "what was enrolled twice is unenrolled at once").await
}

pub(super) async fn lists_no_more_what_is_unenrolled(bench: Bench) -> Held {
    const RULE: &str = "what is unenrolled is gone, and nothing else";
    let (store, index) = (bench.store(), bench.key());
    let [first, second, third] = [bench.key(), bench.key(), bench.key()];
    for member in [&first, &second, &third] {
        store.enroll(&index, member, LONG).await?;
    }
    store.unenroll(&index, &second).await?;
    store.lists(&index, &[&first, &third], RULE).await?;
    store.unenroll(&index, &first).await?;
    store.lists(&index, &[&third], RULE).await?;
    store.unenroll(&index, &third).await?;
    store.lists(&index, &[], RULE).await?;
    store.enroll(&index, &second, LONG).await?;
    store.lists(&index, &[&second], "what was unenrolled can be enrolled again").await
}

pub(super) async fn unenrolls_what_is_not_there(bench: Bench) -> Held {
    const RULE: &str = "to unenroll what is not there changes nothing";
    let (store, index) = (bench.store(), bench.key());
    let [member, other] = [bench.key(), bench.key()];
    store.unenroll(&index, &member).await?;
    store.lists(&index, &[], RULE).await?;
    store.enroll(&index, &other, LONG).await?;
    store.unenroll(&index, &member).await?;
    store.unenroll(&index, &index).await?;
    store.lists(&index, &[&other], RULE).await
}

pub(super) async fn lists_at_most_as_many_as_are_asked_for(bench: Bench) -> Held {
    const MEMBERS: usize = 7;
    let (store, index) = (bench.store(), bench.key());
    let mut enrolled = Vec::new();
    for _ in 0..MEMBERS {
        enrolled.push(bench.key());
    }
    for member in &enrolled {
        store.enroll(&index, member, LONG).await?;
    }
    for limit in [0, 1, 2, MEMBERS - 1, MEMBERS, MEMBERS + 1, 10_000, usize::MAX] {
        let Members { mut keys, total } = store.list(&index, limit).await?;
        let shown = format!("{} of {total} with a limit of {limit}", keys.len());
        ensure(keys.len() == limit.min(MEMBERS), &format!("a listing has as many as are asked for: {shown}"))?;
        ensure(total == MEMBERS as u64, &format!("a listing tells how many there are in all: {shown}"))?;
        ensure(keys.iter().all(|key| enrolled.contains(key)), "a part of a listing has members alone")?;
        keys.sort_unstable();
        keys.dedup();
        ensure(keys.len() == limit.min(MEMBERS), "a part of a listing has every member once")?;
    }
    Ok(())
}

pub(super) async fn lists_every_member_of_many(bench: Bench) -> Held {
    const RULE: &str = "every member of many is listed";
    let each = bench.many().min(1000) / TASKS;
    let (store, index) = (bench.store(), bench.key());
    let enroll = |_| {
        let (bench, store, index) = (bench.clone(), store.clone(), index.clone());
        async move {
            let mut enrolled = Vec::new();
            for _ in 0..each {
                let member = bench.key();
                store.enroll(&index, &member, LONG).await?;
                enrolled.push(member);
            }
            Ok(enrolled)
        }
    };
    let enrolled = bench.together(TASKS, enroll).await?.concat();
    store.lists(&index, &enrolled.iter().collect::<Vec<_>>(), RULE).await?;
    let part = store.list(&index, 10).await?;
    ensure((part.keys.len(), part.total) == (10, enrolled.len() as u64), "a part of many is as large as was asked")?;
    let (gone, kept) = enrolled.split_at(enrolled.len() / 5);
    for member in gone {
        store.unenroll(&index, member).await?;
    }
    store.lists(&index, &kept.iter().collect::<Vec<_>>(), RULE).await
}

pub(super) async fn keeps_indexes_apart(bench: Bench) -> Held {
    let ends = ["", "a", "aa", "ab", "A", "*", "?", "[a]", "{a}", "{a}b", "{}", "%", "_", ":", "-", "\\", "'", "\"", "~"];
    let indexes = ends.map(|end| bench.key_of(&format!("index{end}")));
    are_told_apart(&bench, &indexes).await
}

/// Has members of its own in each index; whatever is done to one leaves the others alone.
async fn are_told_apart(bench: &Bench, indexes: &[StoreKey]) -> Held {
    let store = bench.store();
    let everywhere = bench.key();
    let members: Vec<_> = indexes.iter().map(|_| bench.key()).collect();
    for (index, member) in indexes.iter().zip(&members) {
        store.enroll(index, member, LONG).await?;
        store.enroll(index, &everywhere, LONG).await?;
    }
    for (index, member) in indexes.iter().zip(&members) {
        let rule = format!("indexes are told apart; {}", index.as_str());
        store.lists(index, &[member, &everywhere], &rule).await?;
    }
    for (number, index) in indexes.iter().enumerate() {
        store.unenroll(index, &everywhere).await?;
        // What is in another index.
        store.unenroll(index, &members[(number + 1) % members.len()]).await?;
        for (other, (index, member)) in indexes.iter().zip(&members).enumerate() {
            let rule = format!("a change of an index is of no other; {}", index.as_str());
            match other <= number {
                true => store.lists(index, &[member], &rule).await?,
                false => store.lists(index, &[member, &everywhere], &rule).await?,
            }
        }
    }
    Ok(())
}

pub(super) async fn keeps_members_apart(bench: Bench) -> Held {
    const RULE: &str = "members are told apart";
    let (store, index) = (bench.store(), bench.key());
    // Where an index ends and a member begins is no matter of the characters.
    let longer = bench.valid(&format!("{}m", index.as_str()));
    let (in_longer, in_shorter) = (bench.valid("x"), bench.valid("mx"));
    store.enroll(&longer, &in_longer, LONG).await?;
    store.enroll(&index, &in_shorter, LONG).await?;
    store.lists(&longer, &[&in_longer], RULE).await?;
    store.unenroll(&longer, &in_longer).await?;
    store.lists(&index, &[&in_shorter], RULE).await?;
    store.unenroll(&index, &in_shorter).await?;

    let characters = ('!'..='~').flat_map(|character| [format!("{character}"), format!("member-{character}")]);
    let numbers = ["0", "00", "1", "1.0", "1e0", "-1", "+1", "inf", "nan"].map(str::to_owned);
    let mut members: Vec<_> = characters.chain(numbers).map(|member| bench.valid(&member)).collect();
    members.sort_unstable();
    members.dedup();
    for member in &members {
        store.enroll(&index, member, LONG).await?;
    }
    store.lists(&index, &members.iter().collect::<Vec<_>>(), RULE).await?;
    for (number, member) in members.iter().enumerate() {
        store.unenroll(&index, member).await?;
        let rule = format!("{RULE}; {}", member.as_str());
        store.lists(&index, &members[number + 1..].iter().collect::<Vec<_>>(), &rule).await?;
    }
    Ok(())
}

pub(super) async fn takes_keys_of_the_longest_length(bench: Bench) -> Held {
    const RULE: &str = "the longest keys are told apart";
    let store = bench.store();
    let longest = |last: char| {
        let characters: String = ('!'..='~').cycle().take(MAX_STORE_KEY - bench.prefix().len() - 1).collect();
        bench.key_of(&format!("{characters}{last}"))
    };
    let (first, second) = (longest('a'), longest('b'));
    store.enroll(&first, &first, LONG).await?;
    store.enroll(&first, &second, LONG).await?;
    store.enroll(&second, &first, LONG).await?;
    store.lists(&first, &[&first, &second], RULE).await?;
    store.lists(&second, &[&first], RULE).await?;
    store.unenroll(&first, &first).await?;
    store.lists(&first, &[&second], RULE).await?;
    store.lists(&second, &[&first], RULE).await
}

pub(super) async fn is_apart_from_sessions(bench: Bench) -> Held {
    const RULE: &str = "the key of an index is no key of a session";
    let store = bench.store();
    let (index, member, value) = (bench.key(), bench.key(), bench.value());
    store.enroll(&index, &member, LONG).await?;
    store.is_absent(&index, RULE).await?;
    store.is_absent(&member, "to enroll a key stores nothing under it").await?;
    let created = store.create(&index, &value, LONG).await?;
    let Created::Done(version) = created else { return Err(format!("{RULE}; a create found something")) };
    store.put(&member, &value).await?;
    store.lists(&index, &[&member], RULE).await?;
    store.unenroll(&index, &member).await?;
    store.holds(&index, &value, RULE).await?;
    store.holds(&member, &value, "to unenroll a key removes nothing under it").await?;
    store.enroll(&index, &index, LONG).await?;
    store.removed(&index, &version).await?;
    store.lists(&index, &[&index], RULE).await?;
    store.is_absent(&index, RULE).await
}

pub(super) async fn lists_a_member_no_longer_than_asked(bench: Bench) -> Held {
    const RULE: &str = "a member whose time is over is not listed";
    let store = bench.store();
    let (index, alone) = (bench.key(), bench.key());
    let [brief, long, also_brief] = [bench.key(), bench.key(), bench.key()];
    for (index, member, ttl) in [
        (&index, &brief, bench.brief()),
        (&index, &long, LONG),
        (&index, &also_brief, bench.brief()),
        (&alone, &brief, bench.brief()),
    ] {
        store.enroll(index, member, ttl).await?;
    }
    bench.outlive(bench.brief()).await;
    store.lists(&index, &[&long], RULE).await?;
    store.lists(&alone, &[], RULE).await?;
    let part = store.list(&index, 1).await?;
    ensure((part.keys, part.total) == (vec![long.clone()], 1), "what is over takes no place in a listing")?;
    // What is over is as if it had never been.
    store.unenroll(&index, &brief).await?;
    store.enroll(&index, &also_brief, LONG).await?;
    store.enroll(&alone, &brief, LONG).await?;
    store.lists(&index, &[&long, &also_brief], "what is over can be enrolled again").await?;
    store.lists(&alone, &[&brief], "what is over can be enrolled again").await
}

pub(super) async fn lists_a_member_as_long_as_its_longest_enrolment(bench: Bench) -> Held {
    let store = bench.store();
    let (index, also_index) = (bench.key(), bench.key());
    let [shortened, prolonged, over] = [bench.key(), bench.key(), bench.key()];
    let brief = bench.brief();
    store.enroll(&index, &shortened, LONG).await?;
    store.enroll(&index, &shortened, brief).await?;
    store.enroll(&index, &shortened, Duration::ZERO).await?;
    store.enroll(&also_index, &prolonged, brief).await?;
    store.enroll(&also_index, &prolonged, LONG).await?;
    store.enroll(&also_index, &over, brief / 2).await?;
    store.enroll(&also_index, &over, brief).await?;
    bench.outlive(brief).await;
    store.lists(&index, &[&shortened], "a shorter enrolment shortens nothing").await?;
    store.lists(&also_index, &[&prolonged], "a longer enrolment prolongs, and by no more than it asks").await
}

pub(super) async fn outlives_all_but_its_longest_member(bench: Bench) -> Held {
    const RULE: &str = "an index is there as long as its longest member";
    let store = bench.store();
    let [first, last, without, all_brief] = [bench.key(), bench.key(), bench.key(), bench.key()];
    let [brief, long, longer] = [bench.key(), bench.key(), bench.key()];
    // Whichever came first.
    store.enroll(&first, &long, LONG).await?;
    store.enroll(&first, &brief, bench.brief()).await?;
    store.enroll(&last, &brief, bench.brief()).await?;
    store.enroll(&last, &long, LONG).await?;
    // Also where the longest went.
    store.enroll(&without, &longer, LONG * 2).await?;
    store.enroll(&without, &long, LONG).await?;
    store.unenroll(&without, &longer).await?;
    store.enroll(&without, &brief, bench.brief()).await?;
    store.enroll(&all_brief, &brief, bench.brief() / 2).await?;
    store.enroll(&all_brief, &long, bench.brief()).await?;
    bench.outlive(bench.brief()).await;
    for index in [&first, &last, &without] {
        store.lists(index, &[&long], RULE).await?;
    }
    store.lists(&all_brief, &[], RULE).await
}

pub(super) async fn takes_any_time_to_live(bench: Bench) -> Held {
    let (store, index) = (bench.store(), bench.key());
    let day = Duration::from_secs(24 * 60 * 60);
    let mut kept = Vec::new();
    for ttl in [Duration::MAX, Duration::from_secs(u64::MAX), 400 * day, 100_000 * day, LONG] {
        let member = bench.key();
        store.enroll(&index, &member, ttl).await?;
        kept.push(member);
    }
    let over = [Duration::ZERO, Duration::from_nanos(1), Duration::from_micros(999)];
    for ttl in over {
        store.enroll(&index, &bench.key(), ttl).await?;
    }
    bench.outlive(over[2]).await;
    store.lists(&index, &kept.iter().collect::<Vec<_>>(), "a member is listed for its time, however long or short").await
}

/// Tasks enroll and unenroll side by side, each its own members.
pub(super) async fn loses_none_of_many_at_once(bench: Bench) -> Held {
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

pub(super) async fn leaves_a_dropped_enrolment_done_or_not(bench: Bench) -> Held {
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

pub(super) async fn leaves_a_dropped_unenrolment_done_or_not(bench: Bench) -> Held {
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

pub(super) async fn prints_no_index_and_no_member(bench: Bench) -> Held {
    let store = bench.store();
    let (index, member) = (bench.key(), bench.key());
    store.enroll(&index, &member, LONG).await?;
    let printed = format!("{store:?} {store:#?}");
    for key in [&index, &member] {
        // In whatever way bytes are printed.
        for secret in [key.as_str().to_owned(), format!("{:?}", key.as_bytes())] {
            ensure(!printed.contains(&secret), "a store's `Debug` prints no index and no member")?;
        }
    }
    Ok(())
}
