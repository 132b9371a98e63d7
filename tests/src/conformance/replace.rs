//! [`Store::replace`](cloakroom_store::Store::replace).

use cloakroom_store::Written;

use super::{
    Held,
    bench::{Bench, LONG},
    ensure,
    handle::{Lease, conflict},
};

pub(super) async fn stores_what_it_is_given(bench: Bench) -> Held {
    let store = bench.store();
    let key = bench.key();
    let mut version = store.put(&key, &bench.value()).await?;
    for ttl in [LONG, LONG * 2, LONG / 3, LONG] {
        let value = bench.value();
        let lease = Lease::start(ttl);
        version = store.replaced(&key, &version, &value, ttl).await?;
        let found = store.holds(&key, &value, "a replace stores the value").await?;
        store.is_kept(lease, &found).map_err(|broken| format!("a replace sets the time to live; {broken}"))?;
    }
    Ok(())
}

pub(super) async fn takes_the_version_of_every_operation(bench: Bench) -> Held {
    let store = bench.store();
    let (key, value) = (bench.key(), bench.value());
    let created = store.put(&key, &bench.value()).await?;
    let replaced = store.replaced(&key, &created, &bench.value(), LONG).await?;
    let again = store.replaced(&key, &replaced, &value, LONG).await?;
    let touched = store.touched(&key, &again, &value, LONG).await?;
    store.replaced(&key, &touched, &bench.value(), LONG).await?;
    let loaded = store.found(&key, "a replace stores the value").await?;
    store.replaced(&key, &loaded.version, &bench.value(), LONG).await?;
    let conflict = conflict(
        store.replace(&key, &created, &bench.value(), LONG).await?,
        "a replace of a version that was replaced is a conflict",
    )?;
    match conflict {
        Some(found) => store.replaced(&key, &found.version, &bench.value(), LONG).await.map(drop),
        None => Ok(()),
    }
}

pub(super) async fn refuses_a_stale_version(bench: Bench) -> Held {
    const RULE: &str = "a replace of a stale version is a conflict and changes nothing";
    let store = bench.store();
    let (key, value) = (bench.key(), bench.value());
    let created = store.put(&key, &bench.value()).await?;
    let replaced = store.replaced(&key, &created, &bench.value(), LONG).await?;
    let lease = Lease::start(LONG);
    let current = store.replaced(&key, &replaced, &value, LONG).await?;
    for stale in [created, replaced] {
        for ttl in [LONG * 3, LONG / 3] {
            let found = conflict(store.replace(&key, &stale, &bench.value(), ttl).await?, RULE)?;
            store.is_unchanged(&key, &value, lease, found, RULE).await?;
        }
    }
    let replaced = store.replaced(&key, &current, &bench.value(), LONG).await;
    replaced.map(drop).map_err(|broken| format!("{RULE}, nor the version; {broken}"))
}

pub(super) async fn brings_what_is_there_with_a_conflict(bench: Bench) -> Held {
    const RULE: &str = "a replace brings what is there with a conflict";
    let store = bench.store();
    let key = bench.key();
    let stale = store.put(&key, &bench.value()).await?;
    let mut current = stale.clone();
    for _ in 0..3 {
        let value = bench.value();
        let lease = Lease::start(LONG);
        store.replaced(&key, &current, &value, LONG).await?;
        let found = conflict(store.replace(&key, &stale, &bench.value(), LONG).await?, RULE)?;
        let found = found.ok_or_else(|| format!("{RULE}; it brought nothing"))?;
        ensure(found.value == value, &format!("{RULE}; it brought another value"))?;
        store.is_kept(lease, &found)?;
        let replaced = store.replaced(&key, &found.version, &bench.value(), LONG).await;
        current = replaced.map_err(|broken| format!("{RULE}, in a version that works; {broken}"))?;
    }
    Ok(())
}

pub(super) async fn finds_nothing_where_nothing_is(bench: Bench) -> Held {
    const RULE: &str = "a replace finds nothing where nothing is, and writes nothing";
    let store = bench.store();
    let (elsewhere, removed, never) = (bench.key(), bench.key(), bench.key());
    let version = store.put(&elsewhere, &bench.value()).await?;
    ensure(store.replace(&never, &version, &bench.value(), LONG).await? == Written::Absent, RULE)?;
    store.is_absent(&never, RULE).await?;

    let version = store.put(&removed, &bench.value()).await?;
    store.removed(&removed, &version).await?;
    ensure(store.replace(&removed, &version, &bench.value(), LONG).await? == Written::Absent, RULE)?;
    store.is_absent(&removed, RULE).await
}
