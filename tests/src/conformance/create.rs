//! [`Store::create`](cloakroom_store::Store::create).

use std::time::Duration;

use cloakroom_store::Created;

use super::{
    Held,
    bench::{Bench, LONG},
    ensure,
    handle::Lease,
};

pub(super) async fn stores_what_it_is_given(bench: Bench) -> Held {
    let store = bench.store();
    for ttl in [LONG, LONG / 2, LONG * 2] {
        let (key, value) = (bench.key(), bench.value());
        let lease = Lease::start(ttl);
        let version = store.created(&key, &value, ttl).await?;
        let found = store.holds(&key, &value, "a create stores the value").await?;
        store.is_kept(lease, &found)?;
        let other = bench.value();
        store.replaced(&key, &version, &other, ttl).await?;
        store.holds(&key, &other, "the version that a create returns works for a replace").await?;
    }
    Ok(())
}

pub(super) async fn refuses_what_exists(bench: Bench) -> Held {
    const RULE: &str = "a create refuses what exists";
    let store = bench.store();
    let (key, value) = (bench.key(), bench.value());
    let version = store.put(&key, &value).await?;
    for refused in [bench.value(), value.clone()] {
        ensure(store.create(&key, &refused, LONG).await? == Created::Exists, RULE)?;
    }
    // Also what was written since, in whatever way.
    let other = bench.value();
    let version = store.replaced(&key, &version, &other, LONG).await?;
    ensure(store.create(&key, &value, LONG).await? == Created::Exists, RULE)?;
    store.touched(&key, &version, &other, LONG).await?;
    ensure(store.create(&key, &value, LONG).await? == Created::Exists, RULE)
}

pub(super) async fn leaves_what_exists_as_it_is(bench: Bench) -> Held {
    const RULE: &str = "a create that finds something changes nothing";
    let store = bench.store();
    let (key, value) = (bench.key(), bench.value());
    let lease = Lease::start(LONG);
    let version = store.created(&key, &value, LONG).await?;
    for ttl in [LONG * 3, LONG / 3, Duration::from_millis(1)] {
        ensure(store.create(&key, &bench.value(), ttl).await? == Created::Exists, RULE)?;
        store.is_unchanged(&key, &value, lease, None, RULE).await?;
    }
    let replaced = store.replaced(&key, &version, &bench.value(), LONG).await;
    replaced.map(drop).map_err(|broken| format!("{RULE}, nor the version; {broken}"))
}
