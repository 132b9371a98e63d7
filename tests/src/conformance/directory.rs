//! Indexes: who is enrolled in which, and for how long.

mod crowd;
mod times;

use cloakroom_core::{Members, StoreKey, limits::MAX_STORE_KEY};
use cloakroom_store::Created;

use super::{
    Held,
    bench::{Bench, LONG},
    ensure,
};

pub(super) use self::{
    crowd::{
        leaves_a_dropped_enrolment_done_or_not, leaves_a_dropped_unenrolment_done_or_not, loses_none_of_many_at_once,
    },
    times::{
        lists_a_member_as_long_as_its_longest_enrolment, lists_a_member_no_longer_than_asked,
        outlives_all_but_its_longest_member, takes_any_time_to_live,
    },
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
    let ends =
        ["", "a", "aa", "ab", "A", "*", "?", "[a]", "{a}", "{a}b", "{}", "%", "_", ":", "-", "\\", "'", "\"", "~"];
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
