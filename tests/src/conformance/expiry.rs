//! Times to live, in real time where it has to pass.

use std::time::{Duration, Instant};

use cloakroom_core::{StoreKey, Stored, Value, Version, limits::MAX_COOKIE_AGE};
use cloakroom_store::{Created, Removed, Written};

use super::{
    Held,
    bench::{Bench, LONG},
    ensure,
    handle::{Handle, Lease, done},
};

const ABSENT: &str = "what has expired is absent";

pub(super) async fn takes_times_to_the_second(bench: Bench) -> Held {
    let store = bench.store();
    for seconds in [1, 2, 7, 59, 61, 3_599, 3_601, 86_401, 30 * 86_400 + 1] {
        each_write_keeps(&bench, &store, Duration::from_secs(seconds)).await?;
    }
    for millis in [1_500, 2_999, 60_001] {
        each_write_keeps(&bench, &store, Duration::from_millis(millis)).await?;
    }
    Ok(())
}

pub(super) async fn takes_a_time_of_400_days(bench: Bench) -> Held {
    each_write_keeps(&bench, &bench.store(), MAX_COOKIE_AGE).await
}

pub(super) async fn takes_the_longest_time(bench: Bench) -> Held {
    let store = bench.store();
    let is_long = |found: Stored| {
        // `None` would count as expired.
        let is_long = found.expires_in.is_some_and(|left| left >= MAX_COOKIE_AGE);
        ensure(is_long, &format!("the longest time to live is no shorter than 400 days; {:?}", found.expires_in))
    };
    for ttl in [Duration::MAX, Duration::from_millis(u64::MAX), Duration::from_secs(u64::from(u32::MAX) + 1)] {
        let (key, value, other) = (bench.key(), bench.value(), bench.value());
        let version = store.created(&key, &value, ttl).await?;
        is_long(store.holds(&key, &value, "what lives longest is there").await?)?;
        let version = store.replaced(&key, &version, &other, ttl).await?;
        is_long(store.holds(&key, &other, "what lives longest is there").await?)?;
        let version = store.touched(&key, &version, &other, ttl).await?;
        is_long(store.holds(&key, &other, "what lives longest is there").await?)?;
        store.removed(&key, &version).await?;
    }
    Ok(())
}

/// Shorter than any store counts: it may be rounded up, but is neither refused nor taken for no end at all.
pub(super) async fn takes_a_time_of_nothing(bench: Bench) -> Held {
    let store = bench.store();
    let mut keys = Vec::new();
    for ttl in [Duration::ZERO, Duration::from_nanos(1), Duration::from_micros(999)] {
        let (created, replaced, touched, value) = (bench.key(), bench.key(), bench.key(), bench.value());
        store.created(&created, &value, ttl).await?;
        let version = store.put(&replaced, &value).await?;
        store.replaced(&replaced, &version, &bench.value(), ttl).await?;
        let version = store.put(&touched, &value).await?;
        store.touched(&touched, &version, &value, ttl).await?;
        keys.extend([created, replaced, touched]);
    }
    bench.outlive(Duration::ZERO).await;
    for key in &keys {
        store.is_absent(key, "what has next to no time to live is absent soon").await?;
    }
    Ok(())
}

pub(super) async fn counts_down(bench: Bench) -> Held {
    const PASSES: Duration = Duration::from_millis(2_200);
    let store = bench.store();
    let keys = [bench.key(), bench.key(), bench.key()];
    let value = bench.value();
    let lease = Lease::start(LONG);
    for key in &keys {
        store.created(key, &value, LONG).await?;
    }
    let version = store.found(&keys[1], "what was created is there").await?.version;
    store.replaced(&keys[1], &version, &value, LONG).await?;
    let version = store.found(&keys[2], "what was created is there").await?.version;
    store.touched(&keys[2], &version, &value, LONG).await?;
    let written = Instant::now();
    bench.sleep(PASSES).await;
    for key in &keys {
        let at_most = LONG - written.elapsed() + Duration::from_secs(1);
        let found = store.holds(key, &value, "what has not expired is there").await?;
        store.is_kept(lease, &found)?;
        let left = found.expires_in.unwrap_or_default();
        ensure(left <= at_most, &format!("the time left gets less as time passes; {left:?} is more than {at_most:?}"))?;
    }
    Ok(())
}

pub(super) async fn ends_what_was_created(bench: Bench) -> Held {
    let store = bench.store();
    let keys = [bench.key(), bench.key()];
    let brief = bench.brief();
    store.created(&keys[0], &bench.value(), brief).await?;
    store.created(&keys[1], &bench.value(), brief * 2).await?;
    bench.outlive(brief).await;
    store.is_absent(&keys[0], ABSENT).await?;
    bench.outlive(brief).await;
    store.is_absent(&keys[1], ABSENT).await
}

pub(super) async fn ends_what_was_replaced_or_touched(bench: Bench) -> Held {
    let store = bench.store();
    let (replaced, touched, value) = (bench.key(), bench.key(), bench.value());
    let brief = bench.brief();
    let version = store.put(&replaced, &value).await?;
    store.replaced(&replaced, &version, &bench.value(), brief).await?;
    let version = store.put(&touched, &value).await?;
    store.touched(&touched, &version, &value, brief).await?;
    bench.outlive(brief).await;
    store.is_absent(&replaced, "a replace may shorten the time to live").await?;
    store.is_absent(&touched, "a touch may shorten the time to live").await
}

/// Each operation is the first to come upon the end.
pub(super) async fn is_seen_by_every_operation(bench: Bench) -> Held {
    let store = bench.store();
    let mut expired = Vec::new();
    for _ in 0..5 {
        let (key, value) = (bench.key(), bench.value());
        let version = store.put(&key, &value).await?;
        expired.push((key, version, value));
    }
    for (key, version, value) in &mut expired {
        *version = store.touched(key, version, value, bench.brief()).await?;
    }
    bench.outlive(bench.brief()).await;
    let [load, create, replace, touch, remove] = &expired[..] else { return Ok(()) };
    store.is_absent(&load.0, ABSENT).await?;
    let lease = Lease::start(LONG);
    let other = bench.value();
    let created = store.create(&create.0, &other, LONG).await?;
    ensure(created != Created::Exists, "what has expired can be created again")?;
    let found = store.holds(&create.0, &other, "what is created after an expiry is there").await?;
    store.is_kept(lease, &found)?;
    let (key, version, _) = replace;
    ensure(store.replace(key, version, &other, LONG).await? == Written::Absent, &format!("{ABSENT} for a replace"))?;
    let (key, version, value) = touch;
    ensure(store.touch(key, version, value, LONG).await? == Written::Absent, &format!("{ABSENT} for a touch"))?;
    let (key, version, _) = remove;
    ensure(store.remove(key, version).await? == Removed::Absent, &format!("{ABSENT} for a remove"))?;
    for (key, ..) in [load, replace, touch, remove] {
        store.is_absent(key, "nothing brings back what has expired").await?;
    }
    Ok(())
}

pub(super) async fn lets_nothing_be_written_to_what_was_loaded(bench: Bench) -> Held {
    const RULE: &str = "what expires between a load and a write stays absent";
    let store = bench.store();
    let (replaced, touched, value) = (bench.key(), bench.key(), bench.value());
    // Long enough that mostly the load is in time.
    let ttl = bench.brief() * 4;
    let mut versions = Vec::new();
    for key in [&replaced, &touched] {
        let version = store.put(key, &value).await?;
        let version = store.touched(key, &version, &value, ttl).await?;
        versions.push(store.load(key).await?.map_or(version, |found| found.version));
    }
    bench.outlive(ttl).await;
    ensure(store.replace(&replaced, &versions[0], &bench.value(), LONG).await? == Written::Absent, RULE)?;
    store.is_absent(&replaced, RULE).await?;
    ensure(store.touch(&touched, &versions[1], &value, LONG).await? == Written::Absent, RULE)?;
    store.is_absent(&touched, RULE).await
}

pub(super) async fn is_put_off_by_a_touch(bench: Bench) -> Held {
    const RULE: &str = "a touch puts off the end";
    let put_off = async |store: &Handle, key: &StoreKey, version: &Version, value: &Value| {
        store.touch(key, version, value, LONG).await
    };
    let (key, value) = is_put_off(&bench, RULE, put_off).await?;
    bench.store().holds(&key, &value, RULE).await.map(drop)
}

pub(super) async fn is_put_off_by_a_replace(bench: Bench) -> Held {
    const RULE: &str = "a replace puts off the end";
    let put_off = async |store: &Handle, key: &StoreKey, version: &Version, value: &Value| {
        store.replace(key, version, value, LONG).await
    };
    let (key, value) = is_put_off(&bench, RULE, put_off).await?;
    bench.store().holds(&key, &value, RULE).await.map(drop)
}

pub(super) async fn is_put_off_by_nothing_else(bench: Bench) -> Held {
    const RULE: &str = "what changes nothing does not put off the end";
    let store = bench.store();
    let (key, value, stale_value) = (bench.key(), bench.value(), bench.value());
    let stale = store.put(&key, &stale_value).await?;
    store.replaced(&key, &stale, &value, bench.brief()).await?;
    // Time passes between these, and whatever they answer, none of them may begin it anew.
    for _ in 0..4 {
        store.load(&key).await?;
        store.replace(&key, &stale, &bench.value(), LONG).await?;
        store.touch(&key, &stale, &stale_value, LONG).await?;
        store.remove(&key, &stale).await?;
        bench.sleep(bench.brief() / 3).await;
    }
    bench.outlive(Duration::ZERO).await;
    store.is_absent(&key, RULE).await
}

/// Lets a write put off the end of what was created, and waits until that would have come.
async fn is_put_off(
    bench: &Bench,
    rule: &str,
    put_off: impl AsyncFn(&Handle, &StoreKey, &Version, &Value) -> Held<Written>,
) -> Held<(StoreKey, Value)> {
    let store = bench.store();
    let mut brief = bench.brief();
    loop {
        let (key, value) = (bench.key(), bench.value());
        let lease = Lease::start(brief);
        let version = store.created(&key, &value, brief).await?;
        let written = put_off(&store, &key, &version, &value).await?;
        if written != Written::Absent || !lease.may_be_over() {
            done(written, rule)?;
            bench.outlive(brief).await;
            return Ok((key, value));
        }
        // The machine is slow.
        brief *= 2;
    }
}

/// Checks that a create, a replace and a touch each set a time to live.
async fn each_write_keeps(bench: &Bench, store: &Handle, ttl: Duration) -> Held {
    let (created, replaced, touched, value) = (bench.key(), bench.key(), bench.key(), bench.value());
    let kept = async |key: &StoreKey, lease: Lease| match store.load(key).await? {
        Some(found) => store.is_kept(lease, &found),
        None if lease.may_be_over() => Ok(()),
        None => Err(format!("what has {ttl:?} to live is there before that is over")),
    };
    let lease = Lease::start(ttl);
    store.created(&created, &value, ttl).await?;
    kept(&created, lease).await?;

    let version = store.put(&replaced, &value).await?;
    let lease = Lease::start(ttl);
    store.replaced(&replaced, &version, &bench.value(), ttl).await?;
    kept(&replaced, lease).await?;

    let version = store.put(&touched, &value).await?;
    let lease = Lease::start(ttl);
    store.touched(&touched, &version, &value, ttl).await?;
    kept(&touched, lease).await
}
