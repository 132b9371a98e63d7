//! Times to live of members.

use std::time::Duration;

use crate::conformance::{
    Held,
    bench::{Bench, LONG},
    ensure,
};

pub(in crate::conformance) async fn lists_a_member_no_longer_than_asked(bench: Bench) -> Held {
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

pub(in crate::conformance) async fn lists_a_member_as_long_as_its_longest_enrolment(bench: Bench) -> Held {
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

pub(in crate::conformance) async fn outlives_all_but_its_longest_member(bench: Bench) -> Held {
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

pub(in crate::conformance) async fn takes_any_time_to_live(bench: Bench) -> Held {
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
    store
        .lists(&index, &kept.iter().collect::<Vec<_>>(), "a member is listed for its time, however long or short")
        .await
}
