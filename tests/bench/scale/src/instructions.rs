//! Counts operations in memory, by how many sessions there are.

use std::hint::black_box;

use bench_kit::{begin_counting, end_counting};
use cloakroom_store::{Created, Removed, Written};

use crate::{
    filling::{Numbers, TTL, key, value},
    place::Place,
};

/// How often each operation is done, at most.
const TIMES: u64 = 200;

pub(crate) async fn instructions(sessions: u64) -> anyhow::Result<()> {
    let place = Place::open("memory", None).await?;
    let store = place.store();
    for number in 0..sessions {
        store.create(&key(number), &value(number, 0), TTL).await?;
    }
    let mut random = Numbers(sessions);
    // Each session once: what is written has another version.
    let mut numbers: Vec<_> = (0..2 * TIMES).map(|_| random.below(sessions)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.truncate(TIMES as usize);
    let keys: Vec<_> = numbers.iter().map(|&number| key(number)).collect();
    let values: Vec<_> = numbers.iter().map(|&number| value(number, 1)).collect();
    let fresh: Vec<_> = (0..keys.len() as u64).map(|number| key(u64::MAX - number)).collect();

    begin_counting();
    let mut found = Vec::with_capacity(keys.len());
    for key in &keys {
        found.push(store.load(key).await?);
    }
    end_counting("load", keys.len());
    let versions: Vec<_> = found.into_iter().flatten().map(|stored| stored.version).collect();
    let mut written = Vec::with_capacity(keys.len());
    begin_counting();
    for ((key, value), version) in keys.iter().zip(&values).zip(&versions) {
        written.push(store.replace(key, version, value, TTL).await?);
    }
    end_counting("replace", keys.len());
    let versions: Vec<_> = written.into_iter().filter_map(version_of).collect();
    begin_counting();
    for ((key, value), version) in keys.iter().zip(&values).zip(&versions) {
        black_box(store.touch(key, version, value, TTL).await?);
    }
    end_counting("touch", keys.len());
    let mut created = Vec::with_capacity(keys.len());
    begin_counting();
    for (key, value) in fresh.iter().zip(&values) {
        created.push(store.create(key, value, TTL).await?);
    }
    end_counting("create", keys.len());
    let created: Vec<_> = created
        .into_iter()
        .filter_map(|created| match created {
            Created::Done(version) => Some(version),
            Created::Exists => None,
        })
        .collect();
    assert_eq!((versions.len(), created.len()), (keys.len(), keys.len()), "each operation was done");
    begin_counting();
    for (key, version) in fresh.iter().zip(&created) {
        assert_eq!(store.remove(key, version).await?, Removed::Done);
    }
    end_counting("remove", keys.len());
    Ok(())
}

fn version_of(written: Written) -> Option<cloakroom_core::Version> {
    match written {
        Written::Done(version) => Some(version),
        Written::Absent | Written::Conflict(_) => None,
    }
}
