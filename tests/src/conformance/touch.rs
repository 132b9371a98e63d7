//! [`Store::touch`](cloakroom_store::Store::touch).

use cloakroom_store::Written;

use super::{
    Held,
    bench::{Bench, LONG},
    ensure,
    handle::{Lease, conflict},
};

pub(super) async fn prolongs_and_shortens(bench: Bench) -> Held {
    let store = bench.store();
    let (key, value) = (bench.key(), bench.value());
    let mut version = store.put(&key, &value).await?;
    for ttl in [LONG * 2, LONG / 3, LONG] {
        let lease = Lease::start(ttl);
        version = store.touched(&key, &version, &value, ttl).await?;
        let found = store.found(&key, "what was touched is there").await?;
        store.is_kept(lease, &found).map_err(|broken| format!("a touch sets the time to live; {broken}"))?;
    }
    Ok(())
}

pub(super) async fn keeps_the_value(bench: Bench) -> Held {
    const RULE: &str = "a touch keeps the value";
    let store = bench.store();
    let (key, first, second) = (bench.key(), bench.value(), bench.value());
    let created = store.put(&key, &first).await?;
    let touched = store.touched(&key, &created, &first, LONG * 2).await?;
    store.holds(&key, &first, RULE).await?;
    let replaced = store.replaced(&key, &touched, &second, LONG).await?;
    store.touched(&key, &replaced, &second, LONG * 2).await?;
    store.holds(&key, &second, RULE).await.map(drop)
}

pub(super) async fn returns_a_version_that_works(bench: Bench) -> Held {
    const RULE: &str = "a touch returns a version that works";
    let store = bench.store();
    let (key, value, other) = (bench.key(), bench.value(), bench.value());
    let touch = async |version, value| {
        store.touched(&key, &version, value, LONG).await.map_err(|broken| format!("{RULE} for a touch; {broken}"))
    };
    let mut version = store.put(&key, &value).await?;
    for _ in 0..3 {
        version = touch(version, &value).await?;
    }
    let replaced = store.replaced(&key, &version, &other, LONG).await;
    version = replaced.map_err(|broken| format!("{RULE} for a replace; {broken}"))?;
    version = touch(version, &other).await?;
    store.removed(&key, &version).await.map_err(|broken| format!("{RULE} for a remove; {broken}"))
}

pub(super) async fn refuses_a_stale_version(bench: Bench) -> Held {
    const RULE: &str = "a touch of a stale version is a conflict and changes nothing";
    let store = bench.store();
    let (key, old, value) = (bench.key(), bench.value(), bench.value());
    let stale = store.put(&key, &old).await?;
    let lease = Lease::start(LONG);
    let current = store.replaced(&key, &stale, &value, LONG).await?;
    for ttl in [LONG * 3, LONG / 3] {
        // With what was read together with the stale version.
        let found = conflict(store.touch(&key, &stale, &old, ttl).await?, RULE)?;
        store.is_unchanged(&key, &value, lease, found, RULE).await?;
    }
    let replaced = store.replaced(&key, &current, &bench.value(), LONG).await;
    replaced.map(drop).map_err(|broken| format!("{RULE}, nor the version; {broken}"))
}

pub(super) async fn brings_what_is_there_with_a_conflict(bench: Bench) -> Held {
    const RULE: &str = "a touch brings what is there with a conflict";
    let store = bench.store();
    let (key, old, value) = (bench.key(), bench.value(), bench.value());
    let stale = store.put(&key, &old).await?;
    let lease = Lease::start(LONG);
    store.replaced(&key, &stale, &value, LONG).await?;
    let found = conflict(store.touch(&key, &stale, &old, LONG).await?, RULE)?;
    let found = found.ok_or_else(|| format!("{RULE}; it brought nothing"))?;
    ensure(found.value == value, &format!("{RULE}; it brought another value"))?;
    store.is_kept(lease, &found)?;
    let touched = store.touched(&key, &found.version, &value, LONG).await;
    touched.map(drop).map_err(|broken| format!("{RULE}, in a version that works; {broken}"))
}

pub(super) async fn finds_nothing_where_nothing_is(bench: Bench) -> Held {
    const RULE: &str = "a touch finds nothing where nothing is, and writes nothing";
    let store = bench.store();
    let (elsewhere, removed, never, value) = (bench.key(), bench.key(), bench.key(), bench.value());
    let version = store.put(&elsewhere, &value).await?;
    ensure(store.touch(&never, &version, &value, LONG).await? == Written::Absent, RULE)?;
    store.is_absent(&never, RULE).await?;

    let version = store.put(&removed, &value).await?;
    store.removed(&removed, &version).await?;
    ensure(store.touch(&removed, &version, &value, LONG).await? == Written::Absent, RULE)?;
    store.is_absent(&removed, RULE).await
}
