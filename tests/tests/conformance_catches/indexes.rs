//! Indexes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use cloakroom_core::{Members, StoreKey, Value};
use cloakroom_store::{Directory, Fault, MemoryStore, Store, StoreError};

use crate::wrong::{Outcome, Wrong, dawdle, give_way, wipe};

const DAY: Duration = Duration::from_secs(86_400);

caught! {
    directory_finds_nothing_where_nothing_is_but_an_error:
        Wrong::new().list(|store, index, limit| async move {
            match store.list(&index, limit).await? {
                Members { total: 0, .. } => Err(StoreError::failed(Fault::Refused)),
                members => Ok(members),
            }
        });
    directory_finds_nothing_where_nothing_is_and_makes_it:
        Wrong::new().list(|store, index, limit| async move {
            let members = store.list(&index, limit).await?;
            store.enroll(&index, &index, DAY).await?;
            Ok(members)
        });
    directory_lists_what_is_enrolled_or_not: Wrong::new().enroll(|_, _, _, _| async { Ok(()) });
    directory_lists_what_is_enrolled_last:
        Wrong::new().enroll(|store, index, member, ttl| async move {
            drop_all(&store, &index).await;
            store.enroll(&index, &member, ttl).await
        });
    directory_lists_what_is_enrolled_until_it_is_listed:
        Wrong::new().list(|store, index, limit| async move {
            let members = store.list(&index, limit).await?;
            drop_all(&store, &index).await;
            Ok(members)
        });
    directory_lists_what_is_enrolled_without_a_word: Wrong::new().without_indexes();
    directory_lists_once_what_is_enrolled_twice_or_never:
        Wrong::new().enroll(|store, index, member, ttl| async move {
            match all(&store, &index).await.contains(&member) {
                true => store.unenroll(&index, &member).await,
                false => store.enroll(&index, &member, ttl).await,
            }
        });
    directory_lists_once_what_is_enrolled_twice_or_as_often: {
        let log = Arc::new(Mutex::new(Vec::new()));
        let shown = Arc::clone(&log);
        Wrong::new()
            .enroll(move |store, index, member, ttl| {
                log.lock().unwrap().push((index.clone(), member.clone()));
                async move { store.enroll(&index, &member, ttl).await }
            })
            .list(move |store, index, _| {
                let log = shown.lock().unwrap().clone();
                async move {
                    let there = all(&store, &index).await;
                    let is_there = |(of, member): &(StoreKey, StoreKey)| *of == index && there.contains(member);
                    let keys: Vec<_> = log.into_iter().filter(is_there).map(|(_, member)| member).collect();
                    Ok(Members { total: keys.len() as u64, keys })
                }
            })
    };
    directory_lists_no_more_what_is_unenrolled_or_still: Wrong::new().unenroll(|_, _, _| async { Ok(()) });
    directory_lists_no_more_what_is_unenrolled_nor_the_rest:
        Wrong::new().unenroll(|store, index, _| async move {
            drop_all(&store, &index).await;
            Ok(())
        });
    directory_unenrolls_what_is_not_there_for_an_error:
        Wrong::new().unenroll(|store, index, member| async move {
            match all(&store, &index).await.contains(&member) {
                true => store.unenroll(&index, &member).await,
                false => Err(StoreError::failed(Fault::Refused)),
            }
        });
    directory_unenrolls_what_is_not_there_in_the_place_of_another:
        Wrong::new().unenroll(|store, index, member| async move {
            let there = all(&store, &index).await;
            match there.first().filter(|_| !there.contains(&member)) {
                Some(first) => store.unenroll(&index, first).await,
                None => store.unenroll(&index, &member).await,
            }
        });
    directory_lists_at_most_as_many_as_are_asked_for_or_all: limits(|_| usize::MAX);
    directory_lists_at_most_as_many_as_are_asked_for_but_one: limits(|limit| limit.max(1));
    directory_lists_at_most_as_many_as_are_asked_for_less_one: limits(|limit| limit.saturating_sub(1));
    directory_lists_at_most_as_many_as_are_asked_for_and_counts_them:
        Wrong::new().list(|store, index, limit| async move {
            let members = store.list(&index, limit).await?;
            Ok(Members { total: members.keys.len() as u64, ..members })
        });
    directory_lists_every_member_of_many_of_which_500_fit:
        Wrong::new().enroll(|store, index, member, ttl| async move {
            match all(&store, &index).await.len() {
                500.. => Ok(()),
                _ => store.enroll(&index, &member, ttl).await,
            }
        });
    directory_lists_every_member_of_many_up_to_500: limits(|limit| limit.min(500));
    directory_keeps_indexes_apart_or_not: maps_indexes(|_| "all".to_owned());
    directory_keeps_indexes_apart_by_small_letters: maps_indexes(str::to_ascii_lowercase);
    directory_keeps_indexes_apart_by_what_stands_in_braces:
        maps_indexes(|index| {
            let tag = index.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
            tag.filter(|tag| !tag.is_empty()).unwrap_or(index).to_owned()
        });
    directory_keeps_indexes_apart_but_for_what_is_unenrolled: {
        let known = Arc::new(Mutex::new(Vec::new()));
        let others = Arc::clone(&known);
        Wrong::new()
            .enroll(move |store, index, member, ttl| {
                known.lock().unwrap().push(index.clone());
                async move { store.enroll(&index, &member, ttl).await }
            })
            .unenroll(move |store, _, member| {
                let others = others.lock().unwrap().clone();
                async move {
                    for index in others {
                        store.unenroll(&index, &member).await?;
                    }
                    Ok(())
                }
            })
    };
    directory_keeps_members_apart_by_small_letters:
        Wrong::new().enroll(|store, index, member, ttl| async move {
            let small = StoreKey::new(&member.as_str().to_ascii_lowercase()).unwrap();
            store.enroll(&index, &small, ttl).await
        });
    directory_keeps_members_apart_but_joins_them_to_their_index: joined();
    directory_takes_keys_of_the_longest_length_but_cuts_indexes:
        maps_indexes(|index| index.chars().take(100).collect());
    directory_takes_keys_of_the_longest_length_but_cuts_members:
        Wrong::new().enroll(|store, index, member, ttl| async move {
            let cut: String = member.as_str().chars().take(100).collect();
            store.enroll(&index, &StoreKey::new(&cut).unwrap(), ttl).await
        });
    directory_is_apart_from_sessions_but_stored_as_one:
        Wrong::new().enroll(|store, index, member, ttl| async move {
            store.create(&index, &Value::from(b"an index".to_vec()), ttl).await?;
            store.enroll(&index, &member, ttl).await
        });
    directory_is_apart_from_sessions_and_ends_them:
        Wrong::new().unenroll(|store, index, member| async move {
            wipe(&store, &member).await;
            store.unenroll(&index, &member).await
        });
    directory_is_apart_from_sessions_until_they_end:
        Wrong::new().remove(|store, key, version| async move {
            drop_all(&store, &key).await;
            store.remove(&key, &version).await
        });
    directory_lists_a_member_no_longer_than_asked_but_a_day: times(|_| Ok(DAY));
    directory_lists_a_member_no_longer_than_asked_and_a_second: times(|ttl| Ok(ttl.saturating_add(DAY / 86_400)));
    directory_lists_a_member_no_longer_than_asked_but_counts_it: {
        let counts = Arc::new(Mutex::new(HashMap::<StoreKey, u64>::new()));
        let shown = Arc::clone(&counts);
        Wrong::new()
            .enroll(move |store, index, member, ttl| {
                *counts.lock().unwrap().entry(index.clone()).or_default() += 1;
                async move { store.enroll(&index, &member, ttl).await }
            })
            .list(move |store, index, limit| {
                let total = shown.lock().unwrap().get(&index).copied().unwrap_or_default();
                async move { Ok(Members { total, ..store.list(&index, limit).await? }) }
            })
    };
    directory_lists_a_member_as_long_as_its_longest_enrolment_or_its_last:
        Wrong::new().enroll(|store, index, member, ttl| async move {
            store.unenroll(&index, &member).await?;
            store.enroll(&index, &member, ttl).await
        });
    directory_lists_a_member_as_long_as_its_longest_enrolment_or_its_first:
        Wrong::new().enroll(|store, index, member, ttl| async move {
            match all(&store, &index).await.contains(&member) {
                true => Ok(()),
                false => store.enroll(&index, &member, ttl).await,
            }
        });
    directory_outlives_all_but_its_longest_member_or_its_last: {
        // The index has one time to live: that of whom it was told last.
        let ends = Arc::new(Mutex::new(HashMap::new()));
        let seen = Arc::clone(&ends);
        Wrong::new()
            .enroll(move |store, index, member, ttl| {
                ends.lock().unwrap().insert(index.clone(), Instant::now() + ttl);
                async move { store.enroll(&index, &member, ttl).await }
            })
            .list(move |store, index, limit| {
                let has_ended = seen.lock().unwrap().get(&index).is_some_and(|end| *end <= Instant::now());
                async move {
                    if has_ended {
                        drop_all(&store, &index).await;
                    }
                    store.list(&index, limit).await
                }
            })
    };
    directory_takes_any_time_to_live_or_refuses:
        times(|ttl| match i64::try_from(ttl.as_millis()) {
            Ok(_) => Ok(ttl),
            Err(_) => Err(StoreError::failed(Fault::Refused)),
        });
    directory_takes_any_time_to_live_or_what_is_left_of_it:
        times(|ttl| Ok(Duration::from_millis((ttl.as_millis() as u64).wrapping_add(1) % (1 << 40))));
    directory_takes_any_time_to_live_and_none_for_ever:
        times(|ttl| Ok(if ttl.as_millis() == 0 { DAY } else { ttl }));
    directory_loses_none_of_many_at_once_or_some:
        // Reads the whole index, and writes it back.
        Wrong::new().enroll(|store, index, member, ttl| async move {
            let before = all(&store, &index).await;
            dawdle().await;
            store.enroll(&index, &member, ttl).await?;
            for other in all(&store, &index).await {
                if other != member && !before.contains(&other) {
                    store.unenroll(&index, &other).await?;
                }
            }
            Ok(())
        });
    directory_loses_none_of_many_at_once_but_lists_late: {
        let known = Arc::new(Mutex::new(HashMap::<StoreKey, (Instant, Members)>::new()));
        Wrong::new().list(move |store, index, limit| {
            let known = Arc::clone(&known);
            async move {
                let members = store.list(&index, limit).await?;
                let mut known = known.lock().unwrap();
                let (since, kept) = known.entry(index).or_insert_with(|| (Instant::now(), members.clone()));
                if since.elapsed() > Duration::from_millis(50) {
                    (*since, *kept) = (Instant::now(), members);
                }
                Ok(kept.clone())
            }
        })
    };
    directory_leaves_a_dropped_enrolment_done_or_not_or_without_its_time:
        Wrong::new().enroll(|store, index, member, ttl| async move {
            store.enroll(&index, &member, DAY).await?;
            give_way().await;
            store.unenroll(&index, &member).await?;
            store.enroll(&index, &member, ttl).await
        });
    directory_leaves_a_dropped_enrolment_done_or_not_or_the_only_one:
        Wrong::new().enroll(|store, index, member, ttl| async move {
            let before = all(&store, &index).await;
            drop_all(&store, &index).await;
            give_way().await;
            for other in before {
                store.enroll(&index, &other, DAY).await?;
            }
            store.enroll(&index, &member, ttl).await
        });
    directory_leaves_a_dropped_unenrolment_done_or_not_or_more:
        Wrong::new().unenroll(|store, index, member| async move {
            let before = all(&store, &index).await;
            drop_all(&store, &index).await;
            give_way().await;
            for other in before {
                if other != member {
                    store.enroll(&index, &other, DAY).await?;
                }
            }
            Ok(())
        });
    directory_prints_no_index_and_no_member_but_the_last: {
        let last = Arc::new(Mutex::new(String::new()));
        let shown = Arc::clone(&last);
        Wrong::new()
            .enroll(move |store, index, member, ttl| {
                *last.lock().unwrap() = member.as_str().to_owned();
                async move { store.enroll(&index, &member, ttl).await }
            })
            .shown(move || shown.lock().unwrap().clone())
    };
    handles_see_each_others_members_at_once_or_never: (Wrong::new(), Wrong::new());
    handles_see_each_others_members_at_once_or_keep_none: {
        let store = MemoryStore::new(cloakroom_tokio::Tokio);
        (Wrong::over(store.clone()), Wrong::over(store).without_indexes())
    };
}

async fn all(store: &MemoryStore, index: &StoreKey) -> Vec<StoreKey> {
    store.list(index, usize::MAX).await.unwrap().keys
}

async fn drop_all(store: &MemoryStore, index: &StoreKey) {
    for member in all(store, index).await {
        store.unenroll(index, &member).await.unwrap();
    }
}

/// Changes how many are asked for.
fn limits(map: fn(usize) -> usize) -> Wrong {
    Wrong::new().list(move |store, index, limit| async move { store.list(&index, map(limit)).await })
}

/// Changes times to live before anybody is enrolled.
fn times(map: fn(Duration) -> Outcome<Duration>) -> Wrong {
    Wrong::new().enroll(move |store, index, member, ttl| async move { store.enroll(&index, &member, map(ttl)?).await })
}

/// Changes the keys of indexes before any operation sees them.
fn maps_indexes(map: fn(&str) -> String) -> Wrong {
    let map = move |index: &StoreKey| StoreKey::new(&map(index.as_str())).unwrap();
    Wrong::new()
        .enroll(move |store, index, member, ttl| async move { store.enroll(&map(&index), &member, ttl).await })
        .unenroll(move |store, index, member| async move { store.unenroll(&map(&index), &member).await })
        .list(move |store, index, limit| async move { store.list(&map(&index), limit).await })
}

/// Keeps rows of index and member, written one after the other, in one index.
fn joined() -> Wrong {
    let rows = StoreKey::new("rows").unwrap();
    let [to_enroll, to_unenroll, to_list] = [(); 3].map(|()| rows.clone());
    let join =
        |index: &StoreKey, member: &StoreKey| StoreKey::new(&format!("{}{}", index.as_str(), member.as_str())).unwrap();
    Wrong::new()
        .enroll(move |store, index, member, ttl| {
            let rows = to_enroll.clone();
            async move { store.enroll(&rows, &join(&index, &member), ttl).await }
        })
        .unenroll(move |store, index, member| {
            let rows = to_unenroll.clone();
            async move { store.unenroll(&rows, &join(&index, &member)).await }
        })
        .list(move |store, index, limit| {
            let rows = to_list.clone();
            async move {
                let found = all(&store, &rows).await;
                let of_index = |row: &StoreKey| StoreKey::new(row.as_str().strip_prefix(index.as_str())?).ok();
                let mut keys: Vec<_> = found.iter().filter_map(of_index).collect();
                let total = keys.len() as u64;
                keys.truncate(limit);
                Ok(Members { keys, total })
            }
        })
}
