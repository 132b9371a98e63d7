//! What shows only among many, or when operations are dropped.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use cloakroom_core::{StoreKey, Stored, Value, Version};
use cloakroom_store::{Created, MemoryStore, Removed, Store, Written};
use futures_util::lock;

use crate::wrong::{Outcome, Wrong, dawdle, give_way, overwrite, there, wipe};

caught! {
    crowd_finds_every_key_of_many_but_the_oldest: {
        let keys = Arc::new(Mutex::new(VecDeque::new()));
        Wrong::new().create(move |store, key, value, ttl| {
            let mut keys = keys.lock().unwrap();
            keys.push_back(key.clone());
            let oldest: Option<StoreKey> = if keys.len() > 9_000 { keys.pop_front() } else { None };
            async move {
                if let Some(oldest) = oldest {
                    wipe(&store, &oldest).await;
                }
                store.create(&key, &value, ttl).await
            }
        })
    };
    crowd_has_one_winner_among_creates_or_several:
        Wrong::new().create(|store, key, value, ttl| async move {
            if there(&store, &key).await.is_some() {
                return Ok(Created::Exists);
            }
            dawdle().await;
            Ok(Created::Done(overwrite(&store, &key, &value, ttl).await))
        });
    crowd_has_one_winner_among_replaces_or_several: looks_and_replaces();
    crowd_has_one_winner_among_removes_or_several:
        Wrong::new().remove(|store, key, version| async move {
            match there(&store, &key).await {
                None => Ok(Removed::Absent),
                Some(found) if found.version == version => {
                    dawdle().await;
                    wipe(&store, &key).await;
                    Ok(Removed::Done)
                }
                found => Ok(Removed::Conflict(found)),
            }
        });
    crowd_has_one_winner_among_replaces_and_removes_beside_touches_that_rewrite:
        Wrong::new().touch(|store, key, version, value, ttl| async move {
            match there(&store, &key).await {
                None => Ok(Written::Absent),
                Some(found) if found.version == version => {
                    dawdle().await;
                    Ok(Written::Done(overwrite(&store, &key, &value, ttl).await))
                }
                found => Ok(Written::Conflict(found)),
            }
        });
    crowd_has_one_winner_among_replaces_and_removes_beside_touches_or_several: looks_and_replaces();
    crowd_loads_no_torn_value_but_a_version_of_its_own:
        Wrong::new().load(|store, key| async move {
            let Some(found) = there(&store, &key).await else { return Ok(None) };
            dawdle().await;
            Ok(there(&store, &key).await.map(|later| Stored { version: later.version, ..found }))
        }).replace(|store, key, version, value, ttl| async move {
            dawdle().await;
            store.replace(&key, &version, &value, ttl).await
        });
    crowd_loads_no_torn_value_but_halves:
        Wrong::new().load(|store, key| async move {
            let Some(found) = there(&store, &key).await else { return Ok(None) };
            dawdle().await;
            Ok(there(&store, &key).await.map(|later| {
                let (start, end) = (found.value.as_bytes(), later.value.as_bytes());
                let value = [&start[..start.len() / 2], &end[end.len() / 2..]].concat();
                Stored { value: Value::from(value), ..later }
            }))
        }).replace(|store, key, version, value, ttl| async move {
            dawdle().await;
            store.replace(&key, &version, &value, ttl).await
        });
    crowd_loses_no_increment_or_some: looks_and_replaces();

    cancel_leaves_a_create_done_or_not_or_without_its_time:
        Wrong::new().create(|store, key, value, ttl| async move {
            let created = store.create(&key, &value, Duration::from_secs(86_400)).await?;
            give_way().await;
            if let Created::Done(version) = &created {
                store.touch(&key, version, &value, ttl).await?;
            }
            Ok(created)
        });
    cancel_leaves_a_create_done_or_not_or_done_later_over_what_is_there:
        Wrong::new().create(|store, key, value, ttl| async move {
            if there(&store, &key).await.is_some() {
                return Ok(Created::Exists);
            }
            let mut late = Late::new({
                let (store, key, value) = (store.clone(), key.clone(), value.clone());
                async move { drop(overwrite(&store, &key, &value, ttl).await) }
            });
            give_way().await;
            late.forget();
            store.create(&key, &value, ttl).await
        });
    cancel_leaves_a_replace_done_or_not_or_absent:
        Wrong::new().replace(|store, key, version, value, ttl| async move {
            match store.remove(&key, &version).await? {
                Removed::Absent => Ok(Written::Absent),
                Removed::Conflict(found) => Ok(Written::Conflict(found)),
                Removed::Done => {
                    give_way().await;
                    Ok(Written::Done(overwrite(&store, &key, &value, ttl).await))
                }
            }
        });
    cancel_leaves_a_replace_done_or_not_or_done_later_over_what_is_there:
        Wrong::new().replace(|store, key, version, value, ttl| async move {
            let mut late = Late::new({
                let (store, key, value) = (store.clone(), key.clone(), value.clone());
                async move { drop(overwrite(&store, &key, &value, ttl).await) }
            });
            give_way().await;
            late.forget();
            store.replace(&key, &version, &value, ttl).await
        });
    cancel_leaves_a_touch_done_or_not_or_absent:
        Wrong::new().touch(|store, key, version, value, ttl| async move {
            match store.remove(&key, &version).await? {
                Removed::Absent => Ok(Written::Absent),
                Removed::Conflict(found) => Ok(Written::Conflict(found)),
                Removed::Done => {
                    give_way().await;
                    Ok(Written::Done(overwrite(&store, &key, &value, ttl).await))
                }
            }
        });
    cancel_leaves_a_remove_done_or_not_or_emptied:
        Wrong::new().remove(|store, key, version| async move {
            let ttl = Duration::from_secs(600);
            match store.replace(&key, &version, &Value::from(vec![]), ttl).await? {
                Written::Absent => Ok(Removed::Absent),
                Written::Conflict(found) => Ok(Removed::Conflict(found)),
                Written::Done(emptied) => {
                    give_way().await;
                    store.remove(&key, &emptied).await
                }
            }
        });
    cancel_leaves_a_remove_done_or_not_or_done_later_to_what_is_there:
        Wrong::new().remove(|store, key, version| async move {
            let mut late = Late::new({
                let (store, key) = (store.clone(), key.clone());
                async move { wipe(&store, &key).await }
            });
            give_way().await;
            late.forget();
            store.remove(&key, &version).await
        });
    cancel_shifts_no_answer_but_to_the_next: {
        // A connection on which answers come in the order of their questions.
        let line = Arc::new(lock::Mutex::new(VecDeque::new()));
        Wrong::new().load(move |store, key| {
            let line = Arc::clone(&line);
            async move {
                let mut line = line.lock().await;
                line.push_back(there(&store, &key).await);
                give_way().await;
                Ok(line.pop_front().flatten())
            }
        })
    };
}

/// A replace that looks first and writes then, whatever happened between.
fn looks_and_replaces() -> Wrong {
    let replace = |store: MemoryStore, key: StoreKey, version: Version, value: Value, ttl| async move {
        match Store::load(&store, &key).await? {
            None => Ok(Written::Absent),
            Some(found) if found.version == version => {
                dawdle().await;
                Ok(Written::Done(overwrite(&store, &key, &value, ttl).await))
            }
            found => Outcome::Ok(Written::Conflict(found)),
        }
    };
    Wrong::new().replace(replace)
}

/// Does something a moment after it is dropped, unless it was told to forget it.
struct Late(Option<Box<dyn FnOnce() + Send>>);

impl Late {
    fn new(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Some(Box::new(|| {
            drop(crate::wrong::tokio().spawn(async {
                dawdle().await;
                work.await;
            }));
        })))
    }

    fn forget(&mut self) {
        self.0 = None;
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        if let Some(work) = self.0.take() {
            work();
        }
    }
}
