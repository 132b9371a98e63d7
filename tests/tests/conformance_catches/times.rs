//! Times to live.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use cloakroom_core::{StoreKey, Stored};
use cloakroom_store::{Fault, Store, StoreError};

use crate::wrong::{Wrong, there};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

caught! {
    expiry_takes_times_to_the_second_or_to_the_minute:
        Wrong::times(|ttl| Ok(Duration::from_secs(ttl.as_secs().div_ceil(60) * 60)));
    expiry_takes_times_to_the_second_or_less: Wrong::times(|ttl| Ok(ttl.saturating_sub(Duration::from_secs(2))));
    expiry_takes_times_to_the_second_or_two_more: Wrong::times(|ttl| Ok(ttl.saturating_add(Duration::from_secs(2))));
    expiry_takes_a_time_of_400_days_or_30: Wrong::times(|ttl| Ok(ttl.min(30 * DAY)));
    expiry_takes_the_longest_time_or_refuses:
        Wrong::times(|ttl| match i64::try_from(ttl.as_millis()) {
            Ok(_) => Ok(ttl),
            Err(_) => Err(StoreError::failed(Fault::Refused)),
        });
    expiry_takes_the_longest_time_or_what_is_left_of_it:
        Wrong::times(|ttl| Ok(Duration::from_millis((ttl.as_millis() as u64).wrapping_add(1_000) % (1 << 40))));
    expiry_takes_the_longest_time_for_none_at_all:
        Wrong::new().load(|store, key| async move {
            Ok(there(&store, &key).await.map(|found| Stored {
                expires_in: found.expires_in.filter(|left| *left < 1_000 * DAY),
                ..found
            }))
        });
    expiry_takes_a_time_of_nothing_for_an_error:
        Wrong::times(|ttl| match ttl.as_millis() {
            0 => Err(StoreError::failed(Fault::Refused)),
            _ => Ok(ttl),
        });
    expiry_takes_a_time_of_nothing_for_no_end:
        Wrong::times(|ttl| Ok(if ttl.as_millis() == 0 { HOUR } else { ttl }));
    expiry_counts_down_in_no_answer: {
        let asked = Arc::new(Mutex::new(HashMap::new()));
        let shown = Arc::clone(&asked);
        Wrong::new()
            .create(move |store, key, value, ttl| {
                asked.lock().unwrap().insert(key.as_str().to_owned(), ttl);
                async move { store.create(&key, &value, ttl).await }
            })
            .load(move |store, key| {
                let shown = shown.lock().unwrap().get(key.as_str()).copied();
                async move { Ok(there(&store, &key).await.map(|found| Stored { expires_in: shown, ..found })) }
            })
    };
    expiry_counts_down_from_each_load_on: slides();
    expiry_ends_what_was_created_a_second_late: Wrong::times(|ttl| Ok(ttl + Duration::from_secs(1)));
    expiry_ends_what_was_created_when_it_is_swept: swept_late(&[]);
    expiry_ends_what_was_replaced_or_touched_as_it_was_created:
        Wrong::new().replace(|store, key, version, value, ttl| async move {
            let left = there(&store, &key).await.and_then(|found| found.expires_in).unwrap_or_default();
            store.replace(&key, &version, &value, left.max(ttl)).await
        });
    expiry_ends_what_was_replaced_or_touched_later:
        Wrong::new().touch(|store, key, version, value, ttl| async move {
            store.touch(&key, &version, &value, ttl + Duration::from_secs(1)).await
        });
    expiry_is_put_off_by_a_replace_or_not:
        Wrong::new().replace(|store, key, version, value, _| async move {
            let left = there(&store, &key).await.and_then(|found| found.expires_in).unwrap_or_default();
            store.replace(&key, &version, &value, left).await
        });
    expiry_is_put_off_by_a_touch_or_not:
        Wrong::new().touch(|store, key, version, value, _| async move {
            let left = there(&store, &key).await.and_then(|found| found.expires_in).unwrap_or_default();
            store.touch(&key, &version, &value, left).await
        });
    expiry_is_put_off_by_nothing_else_but_loads: slides();
    expiry_is_put_off_by_nothing_else_but_conflicts:
        Wrong::new().touch(|store, key, version, value, ttl| async move {
            if let Some(found) = there(&store, &key).await {
                store.touch(&key, &found.version, &value, ttl).await?;
            }
            store.touch(&key, &version, &value, ttl).await
        });
    expiry_is_seen_by_every_operation_but_create: swept_late(&["load", "replace", "touch", "remove"]);
    expiry_is_seen_by_every_operation_but_replace: swept_late(&["load", "create", "touch", "remove"]);
    expiry_is_seen_by_every_operation_but_touch: swept_late(&["load", "create", "replace", "remove"]);
    expiry_is_seen_by_every_operation_but_remove: swept_late(&["load", "create", "replace", "touch"]);
    expiry_lets_nothing_be_written_to_what_was_loaded_but_by_a_replace: swept_late(&["load", "create", "touch"]);
    expiry_lets_nothing_be_written_to_what_was_loaded_but_by_a_touch: swept_late(&["load", "create", "replace"]);
}

/// What is loaded lives as long again as it had left at first.
fn slides() -> Wrong {
    let asked = Arc::new(Mutex::new(HashMap::<String, Duration>::new()));
    let (created, replaced, touched) = (Arc::clone(&asked), Arc::clone(&asked), Arc::clone(&asked));
    let note = |asked: &Mutex<HashMap<String, Duration>>, key: &StoreKey, ttl| {
        asked.lock().unwrap().insert(key.as_str().to_owned(), ttl);
    };
    Wrong::new()
        .create(move |store, key, value, ttl| {
            note(&created, &key, ttl);
            async move { store.create(&key, &value, ttl).await }
        })
        .replace(move |store, key, version, value, ttl| {
            let replaced = Arc::clone(&replaced);
            async move {
                let outcome = store.replace(&key, &version, &value, ttl).await?;
                if let cloakroom_store::Written::Done(_) = outcome {
                    note(&replaced, &key, ttl);
                }
                Ok(outcome)
            }
        })
        .load(move |store, key| {
            let ttl = touched.lock().unwrap().get(key.as_str()).copied();
            async move {
                if let (Some(found), Some(ttl)) = (there(&store, &key).await, ttl) {
                    store.touch(&key, &found.version, &found.value, ttl).await?;
                }
                Ok(there(&store, &key).await)
            }
        })
}

/// Nothing ends by itself: only the operations named here drop what has ended.
fn swept_late(sees: &'static [&'static str]) -> Wrong {
    let ends = Arc::new(Mutex::new(HashMap::<String, Instant>::new()));
    // Drops what has ended, if the operation sees that, and notes the new end.
    let meet = move |operation, store: cloakroom_store::MemoryStore, key: StoreKey, ttl: Option<Duration>| {
        let ends = Arc::clone(&ends);
        async move {
            let has_ended = ends.lock().unwrap().get(key.as_str()).is_some_and(|end| *end <= Instant::now());
            if has_ended && sees.contains(&operation) {
                crate::wrong::wipe(&store, &key).await;
            }
            if let Some(ttl) = ttl {
                ends.lock().unwrap().insert(key.as_str().to_owned(), Instant::now() + ttl);
            }
            store
        }
    };
    let (load, create, replace, touch, remove) = (meet.clone(), meet.clone(), meet.clone(), meet.clone(), meet);
    Wrong::new()
        .load(move |store, key| {
            let store = load("load", store, key.clone(), None);
            async move { Store::load(&store.await, &key).await }
        })
        .create(move |store, key, value, ttl| {
            let store = create("create", store, key.clone(), Some(ttl));
            async move { store.await.create(&key, &value, HOUR).await }
        })
        .replace(move |store, key, version, value, ttl| {
            let store = replace("replace", store, key.clone(), Some(ttl));
            async move { store.await.replace(&key, &version, &value, HOUR).await }
        })
        .touch(move |store, key, version, value, ttl| {
            let store = touch("touch", store, key.clone(), Some(ttl));
            async move { store.await.touch(&key, &version, &value, HOUR).await }
        })
        .remove(move |store, key, version| {
            let store = remove("remove", store, key.clone(), None);
            async move { store.await.remove(&key, &version).await }
        })
}
