//! Many at once: every operation is one atomic step.

use cloakroom_core::{StoreKey, Stored, Value, Version};
use cloakroom_store::{Created, Removed, Written};

use super::{
    Held, Lack,
    bench::{Bench, LONG},
    ensure,
    handle::Handle,
};

const TASKS: usize = 8;
const ROUNDS: usize = 10;

pub(super) async fn has_one_winner_among_creates(bench: Bench) -> Held {
    const RULE: &str = "exactly one of many creates wins, and it is its value that is there";
    for _ in 0..ROUNDS {
        one_create_wins(&bench, &[bench.store()], RULE).await?;
    }
    Ok(())
}

/// Lets tasks create one key together, spread over the handles.
pub(super) async fn one_create_wins(bench: &Bench, handles: &[Handle], rule: &str) -> Held {
    let key = bench.key();
    let create = |task: usize| {
        let (store, key, value) = (handles[task % handles.len()].clone(), key.clone(), bench.value());
        async move {
            Ok(match store.create(&key, &value, LONG).await? {
                Created::Done(version) => Some((version, value)),
                Created::Exists => None,
            })
        }
    };
    let winners: Vec<_> = bench.together(TASKS, create).await?.into_iter().flatten().collect();
    let [(version, value)] = &winners[..] else { return Err(format!("{rule}; {} won", winners.len())) };
    handles[0].holds(&key, value, rule).await?;
    handles[0].removed(&key, version).await
}

pub(super) async fn has_one_winner_among_replaces(bench: Bench) -> Held {
    const RULE: &str = "exactly one of many replaces of one version wins, and it is its value that is there";
    let store = bench.store();
    let key = bench.key();
    let mut version = store.put(&key, &bench.value()).await?;
    for _ in 0..ROUNDS {
        let replace = |_| {
            let (store, key, version, value) = (store.clone(), key.clone(), version.clone(), bench.value());
            async move {
                Ok(match store.replace(&key, &version, &value, LONG).await? {
                    Written::Done(version) => Some((version, value)),
                    Written::Conflict(_) => None,
                    Written::Absent => return Err("what nobody removes is there".to_owned()),
                })
            }
        };
        let winners: Vec<_> = bench.together(TASKS, replace).await?.into_iter().flatten().collect();
        let [(next, value)] = &winners[..] else { return Err(format!("{RULE}; {} won", winners.len())) };
        store.holds(&key, value, RULE).await?;
        version = next.clone();
    }
    Ok(())
}

pub(super) async fn has_one_winner_among_removes(bench: Bench) -> Held {
    const RULE: &str = "exactly one of many removes of one version wins";
    let store = bench.store();
    let key = bench.key();
    for _ in 0..ROUNDS {
        let version = store.put(&key, &bench.value()).await?;
        let remove = |_| {
            let (store, key, version) = (store.clone(), key.clone(), version.clone());
            async move {
                match store.remove(&key, &version).await? {
                    Removed::Done => Ok(1),
                    Removed::Absent => Ok(0),
                    Removed::Conflict(_) => Err("what nobody changes is no conflict".to_owned()),
                }
            }
        };
        let won: usize = bench.together(TASKS, remove).await?.into_iter().sum();
        ensure(won == 1, &format!("{RULE}; {won} won"))?;
        store.is_absent(&key, RULE).await?;
    }
    Ok(())
}

pub(super) async fn has_one_winner_among_replaces_and_removes_beside_touches(bench: Bench) -> Held {
    const RULE: &str = "at most one of many replaces and removes of one version wins, beside touches";
    let store = bench.store();
    for round in 0..2 * ROUNDS {
        let (key, first) = (bench.key(), bench.value());
        let version = store.put(&key, &first).await?;
        let write = |task| {
            let (store, key, version, first) = (store.clone(), key.clone(), version.clone(), first.clone());
            let value = bench.value();
            async move {
                // Each begins first in its turn.
                Ok(match (task + round) % 4 {
                    0 => Won::of(store.replace(&key, &version, &value, LONG).await?, Won::Replace(value)),
                    1 => match store.remove(&key, &version).await? {
                        Removed::Done => Won::Remove,
                        Removed::Absent | Removed::Conflict(_) => Won::Nothing,
                    },
                    _ => Won::of(store.touch(&key, &version, &first, LONG * 2).await?, Won::Touch),
                })
            }
        };
        let ends = bench.together(TASKS, write).await?;
        let writes: Vec<_> = ends.iter().filter(|won| matches!(won, Won::Replace(_) | Won::Remove)).collect();
        match writes[..] {
            [Won::Replace(value)] => drop(store.holds(&key, value, RULE).await?),
            [Won::Remove] => store.is_absent(&key, RULE).await?,
            [] => {
                ensure(ends.contains(&Won::Touch), "somebody wins")?;
                drop(store.holds(&key, &first, RULE).await?);
            }
            _ => return Err(format!("{RULE}; {} won", writes.len())),
        }
    }
    Ok(())
}

pub(super) async fn loses_no_increment(bench: Bench) -> Held {
    increments_count(&bench, &[bench.store()]).await
}

/// Lets tasks count together, spread over the handles. Each has a count of its own in the one value.
pub(super) async fn increments_count(bench: &Bench, handles: &[Handle]) -> Held {
    const EACH: usize = 12;
    let key = bench.key();
    handles[0].put(&key, &shown(&[0; TASKS])).await?;
    let may_doubt = bench.lacks(Lack::CertainReplaces);
    let count = |task: usize| {
        let (store, key) = (handles[task % handles.len()].clone(), key.clone());
        async move {
            for _ in 0..EACH {
                increment(&store, &key, task, may_doubt).await?;
            }
            Ok(())
        }
    };
    bench.together(TASKS, count).await?;
    let found = handles[0].found(&key, "what nobody removes is there").await?;
    let counted = counts(&found)?;
    ensure(counted == [EACH; TASKS], &format!("no increment is lost: {counted:?} of {EACH} each"))
}

/// Loads and replaces until it succeeds, as users of a store do; a conflict may bring what the next try needs.
async fn increment(store: &Handle, key: &StoreKey, task: usize, may_doubt: bool) -> Held {
    const THERE: &str = "what nobody removes is there";
    let mut brought = None;
    loop {
        let found = match brought.take() {
            Some(found) => found,
            None => store.found(key, THERE).await?,
        };
        let mut more = counts(&found)?;
        more[task] += 1;
        let value = shown(&more);
        let written = match may_doubt {
            true => store.replace_or_doubt(key, &found.version, &value, LONG).await?,
            false => Some(store.replace(key, &found.version, &value, LONG).await?),
        };
        match written {
            Some(Written::Done(_)) => return Ok(()),
            Some(Written::Conflict(there)) => brought = there,
            Some(Written::Absent) => return Err(THERE.to_owned()),
            // Nobody else changes this count.
            None => {
                let there = store.found(key, THERE).await?;
                if counts(&there)?[task] == more[task] {
                    return Ok(());
                }
                brought = Some(there);
            }
        }
    }
}

fn shown(counts: &[usize]) -> Value {
    let counts: Vec<_> = counts.iter().map(usize::to_string).collect();
    Value::from(counts.join(" ").into_bytes())
}

fn counts(found: &Stored) -> Held<Vec<usize>> {
    let text = String::from_utf8_lossy(found.value.as_bytes());
    let counts: Option<Vec<_>> = text.split(' ').map(|count| count.parse().ok()).collect();
    counts.filter(|counts| counts.len() == TASKS).ok_or_else(|| "a load brings a value that was stored".to_owned())
}

/// Every value is of one byte alone, so that a mixture of two shows; and every version is that of its value.
pub(super) async fn loads_no_torn_value(bench: Bench) -> Held {
    const RULE: &str = "a load brings one state: value and version belong together";
    const BYTES: usize = 4_000;
    let store = bench.store();
    let key = bench.key();
    let version = store.put(&key, &Value::from(vec![b'0'; BYTES])).await?;
    let each = |task: usize| {
        let (store, key, version) = (store.clone(), key.clone(), version.clone());
        async move {
            match task {
                0 => rewrite(&store, &key, version, BYTES).await,
                _ => reread(&store, &key, RULE).await,
            }
        }
    };
    let seen: Vec<_> = bench.together(4, each).await?.into_iter().flatten().collect();
    // What readers saw as one state was, for the writer, one state.
    let (mut versions, mut values) = (Vec::new(), Vec::new());
    for (version, byte) in seen {
        match versions.iter().position(|known| *known == version) {
            Some(place) => ensure(values[place] == byte, RULE)?,
            None => {
                versions.push(version);
                values.push(byte);
            }
        }
    }
    Ok(())
}

async fn rewrite(store: &Handle, key: &StoreKey, mut version: Version, bytes: usize) -> Held<Vec<(Version, u8)>> {
    let mut written = Vec::new();
    // No value twice: stores may compare them.
    for byte in b'1'..=b'z' {
        version = store.replaced(key, &version, &Value::from(vec![byte; bytes]), LONG).await?;
        written.push((version.clone(), byte));
    }
    Ok(written)
}

async fn reread(store: &Handle, key: &StoreKey, rule: &str) -> Held<Vec<(Version, u8)>> {
    let mut seen = Vec::new();
    for _ in 0..60 {
        let found = store.found(key, "what nobody removes is there").await?;
        let bytes = found.value.as_bytes();
        ensure(!bytes.is_empty() && bytes.iter().all(|byte| *byte == bytes[0]), rule)?;
        seen.push((found.version, bytes[0]));
    }
    Ok(seen)
}

pub(super) async fn finds_every_key_of_many(bench: Bench) -> Held {
    const AT_ONCE: usize = 64;
    let each = bench.many().div_ceil(AT_ONCE);
    let store = bench.store();
    let write = |_| {
        let (bench, store) = (bench.clone(), store.clone());
        async move {
            let mut written = Vec::with_capacity(each);
            for _ in 0..each {
                let (key, value) = (bench.key(), bench.value());
                store.put(&key, &value).await?;
                written.push((key, value));
            }
            Ok(written)
        }
    };
    let written = bench.together(AT_ONCE, write).await?;
    let read = |task: usize| {
        // Not by who wrote it.
        let (store, written) = (store.clone(), written[(task + 1) % AT_ONCE].clone());
        async move {
            for (key, value) in written {
                let found = store.holds(&key, &value, "every key of many is there with its own value").await?;
                store.removed(&key, &found.version).await?;
            }
            Ok(())
        }
    };
    bench.together(AT_ONCE, read).await.map(drop)
}

/// What an operation won.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Won {
    Nothing,
    Remove,
    Replace(Value),
    Touch,
}

impl Won {
    fn of(written: Written, won: Self) -> Self {
        match written {
            Written::Done(_) => won,
            Written::Absent | Written::Conflict(_) => Self::Nothing,
        }
    }
}
