//! Right stores pass, also those that declare what they cannot do.

use std::{future::pending, sync::Arc, time::Duration};

use cloakroom_core::Version;
use cloakroom_runtime::run;
use cloakroom_store::{MemoryStore, Removed, Store, Written};
use cloakroom_tests::conformance::{Bench, CASES, Lack};
use cloakroom_tokio::Tokio;
use futures_util::future::join_all;

use crate::wrong::{Suspect, Wrong, check, tokio};

/// Checks a store by all cases at once, each with a store of its own; returns what they found it to lack.
fn passes(bench: impl Fn() -> Bench) -> Vec<Lack> {
    tokio().block_on(async {
        let checks = join_all(CASES.iter().map(|case| {
            let bench = bench();
            run(&Tokio, async move { (case, case.is_beside_the_point(&bench), check(case, bench).await) })
        }));
        let lacks = checks.await.into_iter().filter_map(|checked| {
            let (case, lack, checked) = checked.unwrap();
            assert_eq!(checked, Ok(()), "{case:?}");
            lack
        });
        lacks.collect()
    })
}

#[test]
fn a_right_store_passes() {
    let bench = || {
        let store = MemoryStore::new(Tokio);
        Bench::new(Arc::new(store.clone()), Arc::new(Tokio)).second_handle(Arc::new(store)).keys_of_its_own()
    };
    assert_eq!(passes(bench), []);
    assert_eq!(passes(|| Suspect::from(Wrong::new()).0), []);
}

#[test]
fn a_store_without_further_words_passes() {
    let lacks = passes(|| Bench::new(Arc::new(MemoryStore::new(Tokio)), Arc::new(Tokio)));
    assert!(lacks.contains(&Lack::KeysOfItsOwn) && lacks.contains(&Lack::SecondHandle), "{lacks:?}");
}

#[test]
fn a_store_whose_versions_are_the_values_passes_if_it_says_so() {
    let by_value = || Suspect::from(Wrong::versions(|found| Version::from_bytes(found.value.clone()))).0;
    assert_eq!(passes(|| by_value().lacking(Lack::VersionsOfStates)), [Lack::VersionsOfStates]);
}

#[test]
fn a_store_whose_conflicts_bring_nothing_passes_if_it_says_so() {
    let silent = || {
        Wrong::new()
            .replace(|store, key, version, value, ttl| async move {
                store.replace(&key, &version, &value, ttl).await.map(without_value)
            })
            .touch(|store, key, version, value, ttl| async move {
                store.touch(&key, &version, &value, ttl).await.map(without_value)
            })
            .remove(|store, key, version| async move {
                Ok(match store.remove(&key, &version).await? {
                    Removed::Conflict(_) => Removed::Conflict(None),
                    other => other,
                })
            })
    };
    assert_eq!(passes(|| Suspect::from(silent()).0.lacking(Lack::ValuesWithConflicts)), [Lack::ValuesWithConflicts; 3]);
}

#[test]
fn a_store_without_indexes_passes_if_it_says_so() {
    let lacks = passes(|| Suspect::from(Wrong::new().without_indexes()).0.lacking(Lack::Directory));
    assert!(lacks.len() > 10 && lacks.iter().all(|lack| *lack == Lack::Directory), "{lacks:?}");
}

#[test]
fn a_store_of_whole_seconds_passes_if_it_says_so() {
    let round_up = |ttl: Duration| Duration::from_secs(ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0)));
    let seconds = || Suspect::from(Wrong::times(move |ttl| Ok(round_up(ttl))));
    assert_eq!(passes(|| seconds().0.granularity(Duration::from_secs(1))), []);
}

#[test]
fn a_store_of_small_values_and_few_keys_passes_if_it_says_so() {
    let small = || {
        let store = MemoryStore::builder().max_entries(600).max_bytes(600 * 1024).build(Tokio);
        Bench::new(Arc::new(store), Arc::new(Tokio)).largest_value(20_000).many_keys(400)
    };
    let lacks = passes(small);
    assert!(lacks.contains(&Lack::KeysOfItsOwn), "{lacks:?}");
}

#[test]
fn what_does_not_end_is_caught() {
    let case = CASES.iter().find(|case| case.name() == "load_finds_nothing_where_nothing_is").unwrap();
    let checked = tokio().block_on(async {
        let never = Wrong::new().load(|_, _| pending());
        case.check_with_patience(Suspect::from(never).0, Duration::from_millis(200)).await
    });
    assert!(checked.unwrap_err().starts_with("every operation ends"));
}

fn without_value(written: Written) -> Written {
    match written {
        Written::Conflict(_) => Written::Conflict(None),
        other => other,
    }
}
