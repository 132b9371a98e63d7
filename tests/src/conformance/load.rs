//! [`Store::load`](cloakroom_store::Store::load).

use super::{
    Held,
    bench::{Bench, LONG},
    handle::Lease,
};

pub(super) async fn finds_nothing_where_nothing_is(bench: Bench) -> Held {
    const RULE: &str = "a load finds nothing where nothing was stored";
    let store = bench.store();
    let key = bench.key();
    store.is_absent(&key, RULE).await?;
    // Nor does it leave anything there.
    store.is_absent(&key, RULE).await?;
    store.put(&key, &bench.value()).await.map(drop)
}

pub(super) async fn brings_value_version_and_time_left(bench: Bench) -> Held {
    let store = bench.store();
    let (key, value) = (bench.key(), bench.value());
    let lease = Lease::start(LONG);
    store.created(&key, &value, LONG).await?;
    let found = store.holds(&key, &value, "a load brings the value that was stored").await?;
    store.is_kept(lease, &found)?;
    store.replaced(&key, &found.version, &bench.value(), LONG).await.map(drop)
}

pub(super) async fn changes_nothing(bench: Bench) -> Held {
    const RULE: &str = "a load changes nothing";
    let store = bench.store();
    let (key, value) = (bench.key(), bench.value());
    let lease = Lease::start(LONG);
    let created = store.created(&key, &value, LONG).await?;
    for _ in 0..3 {
        let found = store.holds(&key, &value, RULE).await?;
        store.is_kept(lease, &found)?;
    }
    let removed = store.removed(&key, &created).await;
    removed.map_err(|broken| format!("{RULE}, so an earlier version goes on working; {broken}"))
}
