//! Operations, one at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use cloakroom_core::{StoreKey, Stored, Value, Version};
use cloakroom_store::{Created, MemoryStore, Removed, Store, Written};

use crate::wrong::{Wrong, overwrite, there, wipe};

const HOUR: Duration = Duration::from_secs(3600);

caught! {
    load_finds_nothing_where_nothing_is_an_empty_session_is:
        Wrong::new().load(|store, key| async move {
            let nothing = Stored { value: Value::from(vec![]), version: Version::from_u64(0), expires_in: Some(HOUR) };
            Ok(there(&store, &key).await.or(Some(nothing)))
        });
    load_finds_nothing_where_nothing_is_it_makes_what_it_looks_for:
        Wrong::new().load(|store, key| async move {
            let found = there(&store, &key).await;
            store.create(&key, &Value::from(vec![]), HOUR).await?;
            Ok(found)
        });
    load_brings_value_version_and_time_left_without_time:
        Wrong::new().load(|store, key| async move {
            Ok(there(&store, &key).await.map(|found| Stored { expires_in: None, ..found }))
        });
    load_brings_value_version_and_time_left_without_version:
        Wrong::new().load(|store, key| async move {
            Ok(there(&store, &key).await.map(|found| Stored { version: Version::from_u64(0), ..found }))
        });
    load_changes_nothing_but_the_version:
        Wrong::new().load(|store, key| async move {
            let Some(found) = there(&store, &key).await else { return Ok(None) };
            let left = found.expires_in.unwrap();
            store.replace(&key, &found.version, &found.value, left).await?;
            Ok(there(&store, &key).await)
        });
    load_changes_nothing_but_the_value:
        Wrong::new().load(|store, key| async move {
            let found = there(&store, &key).await;
            if let Some(found) = &found {
                store.remove(&key, &found.version).await?;
            }
            Ok(found)
        });

    create_stores_what_it_is_given_for_an_hour:
        Wrong::new().create(|store, key, value, _| async move { store.create(&key, &value, HOUR).await });
    create_stores_what_it_is_given_in_a_version_of_its_own:
        Wrong::new().create(|store, key, value, ttl| async move {
            store.create(&key, &value, ttl).await?;
            Ok(Created::Done(Version::from_u64(0)))
        });
    create_stores_what_it_is_given_or_not:
        Wrong::new().create(|_, _, _, _| async { Ok(Created::Done(Version::from_u64(1))) });
    create_refuses_what_exists_it_overwrites:
        Wrong::new().create(|store, key, value, ttl| async move {
            Ok(Created::Done(overwrite(&store, &key, &value, ttl).await))
        });
    create_leaves_what_exists_as_it_is_it_prolongs:
        Wrong::new().create(|store, key, value, ttl| async move {
            if let Some(found) = there(&store, &key).await {
                store.touch(&key, &found.version, &value, ttl).await?;
            }
            store.create(&key, &value, ttl).await
        });
    create_leaves_what_exists_as_it_is_it_writes_and_tells:
        Wrong::new().create(|store, key, value, ttl| async move {
            let exists = there(&store, &key).await.is_some();
            let version = overwrite(&store, &key, &value, ttl).await;
            Ok(if exists { Created::Exists } else { Created::Done(version) })
        });
    create_leaves_what_exists_as_it_is_it_changes_the_version:
        Wrong::new().create(|store, key, value, ttl| async move {
            if let Some(found) = there(&store, &key).await {
                store.replace(&key, &found.version, &found.value, found.expires_in.unwrap()).await?;
            }
            store.create(&key, &value, ttl).await
        });

    replace_stores_what_it_is_given_with_the_time_from_before:
        Wrong::new().replace(|store, key, version, value, _| async move {
            let left = there(&store, &key).await.and_then(|found| found.expires_in).unwrap_or_default();
            store.replace(&key, &version, &value, left).await
        });
    replace_stores_what_it_is_given_or_not:
        Wrong::new().replace(|store, key, version, value, ttl| async move {
            store.touch(&key, &version, &value, ttl).await
        });
    replace_takes_the_version_of_every_operation_but_of_a_load:
        Wrong::new().load(|store, key| async move {
            Ok(there(&store, &key).await.map(|found| Stored { version: Version::from_u64(0), ..found }))
        });
    replace_takes_the_version_of_every_operation_but_of_a_touch:
        touches_into_the_version_before();
    replace_refuses_a_stale_version_it_is_blind: blind_replace();
    replace_refuses_a_stale_version_it_writes_and_tells:
        Wrong::new().replace(|store, key, version, value, ttl| async move {
            let outcome = store.replace(&key, &version, &value, ttl).await?;
            if let Written::Conflict(_) = outcome {
                overwrite(&store, &key, &value, ttl).await;
            }
            Ok(outcome)
        });
    replace_refuses_a_stale_version_it_prolongs:
        Wrong::new().replace(|store, key, version, value, ttl| async move {
            let outcome = store.replace(&key, &version, &value, ttl).await?;
            if let Written::Conflict(Some(found)) = &outcome {
                store.touch(&key, &found.version, &value, ttl).await?;
            }
            Ok(outcome)
        });
    replace_refuses_a_stale_version_it_tells_of_nothing:
        Wrong::new().replace(|store, key, version, value, ttl| async move {
            Ok(match store.replace(&key, &version, &value, ttl).await? {
                Written::Conflict(_) => Written::Absent,
                other => other,
            })
        });
    replace_brings_what_is_there_with_a_conflict_nothing:
        Wrong::new().replace(|store, key, version, value, ttl| async move {
            Ok(match store.replace(&key, &version, &value, ttl).await? {
                Written::Conflict(_) => Written::Conflict(None),
                other => other,
            })
        });
    replace_brings_what_is_there_with_a_conflict_the_first_that_was: {
        let first = First::default();
        let brought = first.clone();
        Wrong::new()
            .create(move |store, key, value, ttl| first.clone().create(store, key, value, ttl))
            .replace(move |store, key, version, value, ttl| {
                let brought = brought.of(&key);
                async move {
                    Ok(match store.replace(&key, &version, &value, ttl).await? {
                        Written::Conflict(_) => Written::Conflict(brought),
                        other => other,
                    })
                }
            })
    };
    replace_brings_what_is_there_with_a_conflict_in_the_version_that_was_given:
        Wrong::new().replace(|store, key, version, value, ttl| async move {
            Ok(match store.replace(&key, &version, &value, ttl).await? {
                Written::Conflict(found) => Written::Conflict(found.map(|found| Stored { version, ..found })),
                other => other,
            })
        });
    replace_finds_nothing_where_nothing_is_it_creates:
        Wrong::new().replace(|store, key, version, value, ttl| async move {
            Ok(match store.replace(&key, &version, &value, ttl).await? {
                Written::Absent => Written::Done(overwrite(&store, &key, &value, ttl).await),
                other => other,
            })
        });

    touch_prolongs_and_shortens_or_only_prolongs:
        Wrong::new().touch(|store, key, version, value, ttl| async move {
            let left = there(&store, &key).await.and_then(|found| found.expires_in).unwrap_or_default();
            store.touch(&key, &version, &value, ttl.max(left)).await
        });
    touch_prolongs_and_shortens_or_does_nothing: touches_nothing();
    touch_keeps_the_value_that_was_first: {
        let first = First::default();
        let kept = first.clone();
        Wrong::new()
            .create(move |store, key, value, ttl| first.clone().create(store, key, value, ttl))
            .touch(move |store, key, version, value, ttl| {
                let kept = kept.of(&key).map_or(value, |first| first.value);
                async move { store.replace(&key, &version, &kept, ttl).await }
            })
    };
    touch_returns_a_version_that_works_or_the_one_before: touches_into_the_version_before();
    touch_refuses_a_stale_version_it_is_blind:
        Wrong::new().touch(|store, key, _, value, ttl| async move {
            let Some(found) = there(&store, &key).await else { return Ok(Written::Absent) };
            store.touch(&key, &found.version, &value, ttl).await
        });
    touch_refuses_a_stale_version_it_rewrites_and_tells:
        Wrong::new().touch(|store, key, version, value, ttl| async move {
            let outcome = store.touch(&key, &version, &value, ttl).await?;
            if let Written::Conflict(_) = outcome {
                overwrite(&store, &key, &value, ttl).await;
            }
            Ok(outcome)
        });
    touch_brings_what_is_there_with_a_conflict_in_the_version_that_was_given:
        Wrong::new().touch(|store, key, version, value, ttl| async move {
            Ok(match store.touch(&key, &version, &value, ttl).await? {
                Written::Conflict(found) => Written::Conflict(found.map(|found| Stored { version, ..found })),
                other => other,
            })
        });
    touch_brings_what_is_there_with_a_conflict_without_time:
        Wrong::new().touch(|store, key, version, value, ttl| async move {
            Ok(match store.touch(&key, &version, &value, ttl).await? {
                Written::Conflict(found) => Written::Conflict(found.map(|found| Stored { expires_in: None, ..found })),
                other => other,
            })
        });
    touch_finds_nothing_where_nothing_is_it_brings_back:
        Wrong::new().touch(|store, key, version, value, ttl| async move {
            let outcome = store.touch(&key, &version, &value, ttl).await?;
            if outcome == Written::Absent {
                overwrite(&store, &key, &value, ttl).await;
            }
            Ok(outcome)
        });
    touch_finds_nothing_where_nothing_is_and_says_done:
        Wrong::new().touch(|store, key, version, value, ttl| async move {
            Ok(match store.touch(&key, &version, &value, ttl).await? {
                Written::Absent => Written::Done(version),
                other => other,
            })
        });

    remove_removes_or_not:
        Wrong::new().remove(|store, key, version| async move {
            Ok(match there(&store, &key).await {
                None => Removed::Absent,
                Some(found) if found.version == version => Removed::Done,
                found => Removed::Conflict(found),
            })
        });
    remove_removes_in_an_hour:
        Wrong::new().remove(|store, key, version| async move {
            Ok(match store.touch(&key, &version, &Value::from(vec![]), HOUR).await? {
                Written::Absent => Removed::Absent,
                Written::Conflict(found) => Removed::Conflict(found),
                Written::Done(_) => Removed::Done,
            })
        });
    remove_lets_the_key_be_created_again_never: {
        let removed = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&removed);
        Wrong::new()
            .remove(move |store, key, version| {
                removed.lock().unwrap().push(key.clone());
                async move { store.remove(&key, &version).await }
            })
            .create(move |store, key, value, ttl| {
                let is_taken = taken.lock().unwrap().contains(&key);
                async move { if is_taken { Ok(Created::Exists) } else { store.create(&key, &value, ttl).await } }
            })
    };
    remove_refuses_a_stale_version_it_is_blind: blind_remove();
    remove_refuses_a_stale_version_it_removes_and_tells:
        Wrong::new().remove(|store, key, version| async move {
            let outcome = store.remove(&key, &version).await?;
            wipe(&store, &key).await;
            Ok(outcome)
        });
    remove_brings_what_is_there_with_a_conflict_the_first_that_was: {
        let first = First::default();
        let brought = first.clone();
        Wrong::new()
            .create(move |store, key, value, ttl| first.clone().create(store, key, value, ttl))
            .remove(move |store, key, version| {
                let brought = brought.of(&key);
                async move {
                    Ok(match store.remove(&key, &version).await? {
                        Removed::Conflict(_) => Removed::Conflict(brought),
                        other => other,
                    })
                }
            })
    };
    remove_finds_nothing_where_nothing_is_and_says_done:
        Wrong::new().remove(|store, key, version| async move {
            Ok(match store.remove(&key, &version).await? {
                Removed::Absent => Removed::Done,
                other => other,
            })
        });

    versions_of_what_was_replaced_never_work_again_but_do: blind_replace();
    versions_of_what_was_replaced_never_work_again_but_every_third:
        Wrong::versions(|found| Version::from_u64(found.version.as_u64().unwrap() % 3));
    versions_of_what_was_removed_never_work_again_but_each_key_counts_anew: counts_each_key_anew();
    versions_of_what_was_removed_never_work_again_but_do: blind_remove();
    versions_of_what_expired_never_work_again_but_each_key_counts_anew: counts_each_key_anew();
    versions_tell_equal_values_apart_or_are_the_values:
        Wrong::versions(|found| Version::from_bytes(found.value.clone()));
    versions_made_elsewhere_are_conflicts_or_fit_all:
        Wrong::new().replace(|store, key, version, value, ttl| async move {
            let Some(found) = there(&store, &key).await else { return Ok(Written::Absent) };
            let version = if version.as_u64().is_some() { version } else { found.version };
            store.replace(&key, &version, &value, ttl).await
        });
}

fn blind_replace() -> Wrong {
    Wrong::new().replace(|store, key, _, value, ttl| async move {
        Ok(match there(&store, &key).await {
            None => Written::Absent,
            Some(_) => Written::Done(overwrite(&store, &key, &value, ttl).await),
        })
    })
}

fn blind_remove() -> Wrong {
    Wrong::new().remove(|store, key, _| async move {
        Ok(match there(&store, &key).await {
            None => Removed::Absent,
            Some(_) => {
                wipe(&store, &key).await;
                Removed::Done
            }
        })
    })
}

fn touches_nothing() -> Wrong {
    Wrong::new().touch(|store, key, version, _, _| async move {
        Ok(match there(&store, &key).await {
            None => Written::Absent,
            Some(found) if found.version == version => Written::Done(version),
            found => Written::Conflict(found),
        })
    })
}

/// A touch makes another version, and returns the one that it was given.
fn touches_into_the_version_before() -> Wrong {
    Wrong::new().touch(|store, key, version, value, ttl| async move {
        Ok(match store.replace(&key, &version, &value, ttl).await? {
            Written::Done(_) => Written::Done(version),
            other => other,
        })
    })
}

/// The version is how often a key was written since it was created.
fn counts_each_key_anew() -> Wrong {
    // The first eight bytes of what is stored are the count.
    let stored = |count: u64, value: &Value| Value::from([&count.to_le_bytes()[..], value.as_bytes()].concat());
    let count = |found: &Stored| u64::from_le_bytes(found.value.as_bytes()[..8].try_into().unwrap());
    let shown = move |found: Stored| Stored {
        version: Version::from_u64(count(&found)),
        value: Value::from(&found.value.as_bytes()[8..]),
        ..found
    };
    let write = move |store: MemoryStore, key: StoreKey, version: Version, value: Option<Value>, ttl| async move {
        let Some(found) = there(&store, &key).await else { return Ok(Written::Absent) };
        let before = count(&found);
        if version.as_u64() != Some(before) {
            return Ok(Written::Conflict(Some(shown(found))));
        }
        let value = value.unwrap_or_else(|| shown(found).value);
        overwrite(&store, &key, &stored(before + 1, &value), ttl).await;
        Ok(Written::Done(Version::from_u64(before + 1)))
    };
    Wrong::new()
        .load(move |store, key| async move { Ok(there(&store, &key).await.map(shown)) })
        .create(move |store, key, value, ttl| async move {
            Ok(match store.create(&key, &stored(1, &value), ttl).await? {
                Created::Done(_) => Created::Done(Version::from_u64(1)),
                Created::Exists => Created::Exists,
            })
        })
        .replace(move |store, key, version, value, ttl| write(store, key, version, Some(value), ttl))
        .touch(move |store, key, version, _, ttl| write(store, key, version, None, ttl))
        .remove(move |store, key, version| async move {
            let Some(found) = there(&store, &key).await else { return Ok(Removed::Absent) };
            if version.as_u64() != Some(count(&found)) {
                return Ok(Removed::Conflict(Some(shown(found))));
            }
            store.remove(&key, &found.version).await
        })
}

/// Remembers what each key was created with.
#[derive(Clone, Default)]
struct First(Arc<Mutex<HashMap<String, Stored>>>);

impl First {
    async fn create(
        self,
        store: MemoryStore,
        key: StoreKey,
        value: Value,
        ttl: Duration,
    ) -> crate::wrong::Outcome<Created> {
        let created = store.create(&key, &value, ttl).await?;
        if let Some(found) = there(&store, &key).await.filter(|_| created != Created::Exists) {
            self.0.lock().unwrap().insert(key.as_str().to_owned(), found);
        }
        Ok(created)
    }

    fn of(&self, key: &StoreKey) -> Option<Stored> {
        self.0.lock().unwrap().get(key.as_str()).cloned()
    }
}
