//! Values, keys, handles, and what is printed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use cloakroom_core::{StoreKey, Stored, Version};
use cloakroom_store::{Created, Fault, MemoryStore, Store, StoreError, Written};
use cloakroom_tokio::Tokio;
use futures_util::lock;

use crate::wrong::{Wrong, dawdle, overwrite, there, wipe};

caught! {
    values_of_every_byte_are_kept_as_text: Wrong::values(|value| String::from_utf8_lossy(value).into_owned().into());
    values_of_every_byte_are_kept_up_to_the_first_nul:
        Wrong::values(|value| value.split(|byte| *byte == 0).next().unwrap().to_vec());
    values_of_no_bytes_are_values_or_nothing:
        Wrong::new().load(|store, key| async move {
            Ok(there(&store, &key).await.filter(|found| !found.value.is_empty()))
        });
    values_of_the_largest_size_are_kept_in_part: Wrong::values(|value| value[..value.len().min(1 << 19)].to_vec());
    values_of_the_largest_size_are_kept_or_refused:
        Wrong::new().replace(|store, key, version, value, ttl| async move {
            if value.len() >= 1 << 20 {
                return Err(StoreError::failed(Fault::Full));
            }
            store.replace(&key, &version, &value, ttl).await
        });
    values_that_mean_something_elsewhere_are_kept_as_numbers:
        Wrong::values(|value| match str::from_utf8(value).map(str::parse::<i64>) {
            Ok(Ok(number)) => number.to_string().into_bytes(),
            _ => value.to_vec(),
        });
    values_that_mean_something_elsewhere_are_kept_without_blanks: Wrong::values(|value| value.trim_ascii().to_vec());
    values_that_look_alike_are_told_apart_by_their_length:
        Wrong::versions(|found| Version::from_u64(found.value.len() as u64));
    values_that_look_alike_are_told_apart_by_their_start:
        Wrong::versions(|found| Version::from_bytes(&found.value.as_bytes()[..found.value.len().min(64)]));
    values_that_look_alike_are_told_apart_by_what_they_mean:
        Wrong::versions(|found| Version::from_bytes(found.value.as_bytes().trim_ascii().to_ascii_lowercase()));

    keys_of_every_character_work_but_not_in_both_cases: Wrong::keys(str::to_lowercase);
    keys_of_every_character_work_but_some: Wrong::keys(|key| key.replace(['%', '_'], "-"));
    keys_of_one_character_work_but_not_in_both_cases: Wrong::keys(str::to_lowercase);
    keys_of_the_longest_length_work_in_part: Wrong::keys(|key| key[..key.len().min(119)].to_owned());
    keys_of_the_longest_length_work_from_their_end_on:
        Wrong::keys(|key| key[key.len().saturating_sub(100)..].to_owned());
    keys_that_look_alike_are_told_apart_but_for_tags:
        Wrong::keys(|key| match key.split_once('{').and_then(|(_, rest)| rest.split_once('}')) {
            Some((tag, _)) if !tag.is_empty() => tag.to_owned(),
            _ => key.to_owned(),
        });
    keys_that_look_alike_are_told_apart_but_for_zeros: Wrong::keys(|key| key.replace("00", "0"));
    keys_that_look_alike_are_told_apart_but_removed_with_all_that_match:
        Wrong::new().remove(|store, key, version| async move {
            if let Some(start) = key.as_str().strip_suffix('*') {
                for end in ["a", "b", "aa", "?", "0"] {
                    let key = StoreKey::new(&format!("{start}{end}")).unwrap();
                    wipe(&store, &key).await;
                }
            }
            store.remove(&key, &version).await
        });

    handles_see_each_others_writes_at_once_or_never: (Wrong::new(), Wrong::new());
    handles_see_each_others_writes_at_once_or_what_they_saw_first: cached_apart();
    handles_create_one_value_together_or_two: locked_apart();
    handles_lose_no_increment_or_many: locked_apart();

    debug_prints_no_key_and_no_value_but_the_last_key: {
        let last = Arc::new(Mutex::new(String::new()));
        let shown = Arc::clone(&last);
        Wrong::new()
            .create(move |store, key, value, ttl| {
                *last.lock().unwrap() = key.as_str().to_owned();
                async move { store.create(&key, &value, ttl).await }
            })
            .shown(move || format!("{:?}", shown.lock().unwrap()))
    };
    debug_prints_no_key_and_no_value_but_the_last_value: {
        let last = Arc::new(Mutex::new(Vec::new()));
        let shown = Arc::clone(&last);
        Wrong::new()
            .create(move |store, key, value, ttl| {
                *last.lock().unwrap() = value.as_bytes().to_vec();
                async move { store.create(&key, &value, ttl).await }
            })
            .shown(move || format!("Wrong {{ last: {:?} }}", shown.lock().unwrap()))
    };
}

/// Two handles of one store, each with a lock of its own between its look and its write.
fn locked_apart() -> (Wrong, Wrong) {
    let shared = MemoryStore::new(Tokio);
    let handle = || {
        let lock = Arc::new(lock::Mutex::new(()));
        let to_create = Arc::clone(&lock);
        Wrong::over(shared.clone())
            .create(move |store, key, value, ttl| {
                let lock = Arc::clone(&to_create);
                async move {
                    let _lock = lock.lock().await;
                    if there(&store, &key).await.is_some() {
                        return Ok(Created::Exists);
                    }
                    dawdle().await;
                    Ok(Created::Done(overwrite(&store, &key, &value, ttl).await))
                }
            })
            .replace(move |store, key, version, value, ttl| {
                let lock = Arc::clone(&lock);
                async move {
                    let _lock = lock.lock().await;
                    match there(&store, &key).await {
                        None => Ok(Written::Absent),
                        Some(found) if found.version == version => {
                            dawdle().await;
                            Ok(Written::Done(overwrite(&store, &key, &value, ttl).await))
                        }
                        found => Ok(Written::Conflict(found)),
                    }
                }
            })
    };
    (handle(), handle())
}

/// Two handles of one store, each of which keeps what it has seen.
fn cached_apart() -> (Wrong, Wrong) {
    let shared = MemoryStore::new(Tokio);
    let handle = || {
        let seen = Arc::new(Mutex::new(HashMap::<String, Stored>::new()));
        Wrong::over(shared.clone()).load(move |store, key| {
            let seen = Arc::clone(&seen);
            async move {
                if let Some(known) = seen.lock().unwrap().get(key.as_str()) {
                    return Ok(Some(known.clone()));
                }
                let found = there(&store, &key).await;
                if let Some(found) = found.clone() {
                    seen.lock().unwrap().insert(key.as_str().to_owned(), found);
                }
                Ok(found)
            }
        })
    };
    (handle(), handle())
}
