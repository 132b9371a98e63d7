//! Versions: one never comes back for another state of the same key.

use std::time::Duration;

use cloakroom_core::{StoreKey, Value, Version};
use cloakroom_store::{Created, Removed};

use super::{
    Held,
    bench::{Bench, LONG},
    ensure,
    handle::{Handle, Lease},
};

/// How often a key is made again: a version that counts from the start comes back by then.
const TURNS: usize = 4;

pub(super) async fn of_what_was_replaced_never_work_again(bench: Bench) -> Held {
    let store = bench.store();
    let key = bench.key();
    let mut stale = Vec::new();
    let mut version = store.put(&key, &bench.value()).await?;
    for _ in 0..TURNS {
        let value = bench.value();
        let lease = Lease::start(LONG);
        let next = store.replaced(&key, &version, &value, LONG).await?;
        stale.push(version);
        version = next;
        refuses_all(&store, &key, &stale, &value, lease, "the version of what was replaced never works again").await?;
    }
    Ok(())
}

pub(super) async fn of_what_was_removed_never_work_again(bench: Bench) -> Held {
    const RULE: &str = "the version of what was removed never works again";
    let store = bench.store();
    let key = bench.key();
    let mut stale = Vec::new();
    for turn in 0..TURNS {
        let mut value = bench.value();
        let mut lease = Lease::start(LONG);
        let mut version = store.created(&key, &value, LONG).await?;
        refuses_all(&store, &key, &stale, &value, lease, RULE).await?;
        for _ in 0..turn {
            value = bench.value();
            lease = Lease::start(LONG);
            let next = store.replaced(&key, &version, &value, LONG).await?;
            refuses_all(&store, &key, &stale, &value, lease, RULE).await?;
            stale.push(version);
            version = next;
        }
        let touched = store.touched(&key, &version, &value, LONG).await?;
        store.removed(&key, &touched).await?;
        stale.extend([version, touched]);
    }
    Ok(())
}

pub(super) async fn of_what_expired_never_work_again(bench: Bench) -> Held {
    const RULE: &str = "the version of what expired never works again";
    let store = bench.store();
    let (looked_at, unseen) = (bench.key(), bench.key());
    let mut stale = Vec::new();
    for key in [&looked_at, &unseen] {
        let value = bench.value();
        let created = store.put(key, &value).await?;
        let replaced = store.replaced(key, &created, &value, bench.brief()).await?;
        stale.push([created, replaced]);
    }
    bench.outlive(bench.brief()).await;
    store.is_absent(&looked_at, "what has expired is absent").await?;
    for (key, stale) in [&looked_at, &unseen].into_iter().zip(&stale) {
        let value = bench.value();
        let lease = Lease::start(LONG);
        store.created(key, &value, LONG).await?;
        refuses_all(&store, key, stale, &value, lease, RULE).await?;
    }
    Ok(())
}

pub(super) async fn tell_equal_values_apart(bench: Bench) -> Held {
    const RULE: &str = "two states of a key with equal values have different versions";
    let store = bench.store();
    let (key, value) = (bench.key(), bench.value());
    let first = store.put(&key, &value).await?;
    let second = store.replaced(&key, &first, &value, LONG).await?;
    let between = store.replaced(&key, &second, &bench.value(), LONG).await?;
    let mut lease = Lease::start(LONG);
    let third = store.replaced(&key, &between, &value, LONG).await?;
    let mut stale = vec![first, second, between];
    refuses_all(&store, &key, &stale, &value, lease, RULE).await?;

    store.removed(&key, &third).await?;
    stale.push(third);
    lease = Lease::start(LONG);
    store.created(&key, &value, LONG).await?;
    refuses_all(&store, &key, &stale, &value, lease, RULE).await
}

pub(super) async fn made_elsewhere_are_conflicts(bench: Bench) -> Held {
    const RULE: &str = "a version that the store never made is a conflict where something is";
    let store = bench.store();
    let (key, value) = (bench.key(), bench.value());
    let lease = Lease::start(LONG);
    store.created(&key, &value, LONG).await?;
    let no_number_of_its_own = u64::MAX - 7;
    let elsewhere = [
        Version::from_u64(no_number_of_its_own),
        Version::from_bytes(no_number_of_its_own.to_le_bytes().to_vec()),
        Version::from_bytes(b"made elsewhere".to_vec()),
        Version::from_bytes(Vec::new()),
    ];
    refuses_all(&store, &key, &elsewhere, &value, lease, RULE).await?;
    // What was made for another store may be of a kind that this one never makes.
    let absent = bench.key();
    for version in &elsewhere {
        let removed = store.remove(&absent, version).await?;
        ensure(removed == Removed::Absent, "nothing is absent whatever the version")?;
    }
    ensure(store.create(&absent, &value, Duration::from_secs(1)).await? != Created::Exists, "nothing was written")
}

async fn refuses_all(
    store: &Handle,
    key: &StoreKey,
    stale: &[Version],
    value: &Value,
    lease: Lease,
    rule: &str,
) -> Held {
    for stale in stale {
        store.refuses(key, stale, value, lease, rule).await?;
    }
    Ok(())
}
