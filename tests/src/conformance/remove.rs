//! [`Store::remove`](cloakroom_store::Store::remove).

use cloakroom_core::{StoreKey, Version};
use cloakroom_store::{Removed, Written};

use super::{
    Held,
    bench::{Bench, LONG},
    ensure,
    handle::{Handle, Lease},
};

pub(super) async fn removes(bench: Bench) -> Held {
    const RULE: &str = "what was removed is absent for every operation";
    let store = bench.store();
    let (key, value) = (bench.key(), bench.value());
    let created = store.put(&key, &value).await?;
    let version = store.replaced(&key, &created, &value, LONG).await?;
    store.removed(&key, &version).await?;
    store.is_absent(&key, RULE).await?;
    ensure(store.replace(&key, &version, &bench.value(), LONG).await? == Written::Absent, RULE)?;
    ensure(store.touch(&key, &version, &value, LONG).await? == Written::Absent, RULE)?;
    ensure(store.remove(&key, &version).await? == Removed::Absent, RULE)?;
    store.is_absent(&key, RULE).await
}

pub(super) async fn lets_the_key_be_created_again(bench: Bench) -> Held {
    let store = bench.store();
    let key = bench.key();
    for _ in 0..5 {
        let value = bench.value();
        let lease = Lease::start(LONG);
        let created = store.created(&key, &value, LONG).await;
        let version = created.map_err(|broken| format!("what was removed can be created again; {broken}"))?;
        let found = store.holds(&key, &value, "what is created again is there").await?;
        store.is_kept(lease, &found)?;
        store.removed(&key, &version).await?;
    }
    store.is_absent(&key, "what was removed is absent").await
}

pub(super) async fn refuses_a_stale_version(bench: Bench) -> Held {
    const RULE: &str = "a remove of a stale version is a conflict and removes nothing";
    let store = bench.store();
    let (key, value) = (bench.key(), bench.value());
    let stale = store.put(&key, &bench.value()).await?;
    let lease = Lease::start(LONG);
    let current = store.replaced(&key, &stale, &value, LONG).await?;
    for _ in 0..2 {
        let found = match store.remove(&key, &stale).await? {
            Removed::Conflict(found) => found,
            other => return Err(format!("{RULE}; it was {other:?}")),
        };
        store.is_unchanged(&key, &value, lease, found, RULE).await?;
    }
    store.removed(&key, &current).await.map_err(|broken| format!("{RULE}, nor the version; {broken}"))
}

pub(super) async fn brings_what_is_there_with_a_conflict(bench: Bench) -> Held {
    const RULE: &str = "a remove brings what is there with a conflict";
    let store = bench.store();
    let (key, value) = (bench.key(), bench.value());
    let stale = store.put(&key, &bench.value()).await?;
    let lease = Lease::start(LONG);
    store.replaced(&key, &stale, &value, LONG).await?;
    let Removed::Conflict(Some(found)) = store.remove(&key, &stale).await? else { return Err(RULE.to_owned()) };
    ensure(found.value == value, &format!("{RULE}; it brought another value"))?;
    store.is_kept(lease, &found)?;
    let removed = store.removed(&key, &found.version).await;
    removed.map_err(|broken| format!("{RULE}, in a version that works; {broken}"))
}

pub(super) async fn finds_nothing_where_nothing_is(bench: Bench) -> Held {
    let store = bench.store();
    let (elsewhere, removed, never) = (bench.key(), bench.key(), bench.key());
    let version = store.put(&elsewhere, &bench.value()).await?;
    is_absent(&store, &never, &version).await?;

    let version = store.put(&removed, &bench.value()).await?;
    store.removed(&removed, &version).await?;
    is_absent(&store, &removed, &version).await
}

async fn is_absent(store: &Handle, key: &StoreKey, version: &Version) -> Held {
    let removed = store.remove(key, version).await?;
    ensure(removed == Removed::Absent, &format!("a remove finds nothing where nothing is; it was {removed:?}"))
}
