//! Keys are told apart byte by byte.

use cloakroom_core::{StoreKey, Value, Version, limits::MAX_STORE_KEY};

use super::{
    Held,
    bench::{Bench, LONG},
    handle::Handle,
};

pub(super) async fn of_every_character_work(bench: Bench) -> Held {
    let ends = ('!'..='~').flat_map(|character| [format!("of-{character}"), format!("of-{character}{character}-end")]);
    are_told_apart(&bench, ends.map(|end| bench.key_of(&end)).collect()).await
}

pub(super) async fn of_one_character_work(bench: Bench) -> Held {
    let keys = ('!'..='~').map(|character| bench.valid(&character.to_string()));
    are_told_apart(&bench, keys.collect()).await
}

pub(super) async fn of_the_longest_length_work(bench: Bench) -> Held {
    let room = MAX_STORE_KEY - bench.prefix().len();
    let characters: String = ('!'..='~').cycle().take(room - 1).collect();
    let mut ends = vec![characters.clone()];
    // They differ in their last character, in their first, and in length.
    ends.extend(('a'..='e').map(|last| format!("{characters}{last}")));
    ends.extend(('a'..='e').map(|first| format!("{first}{characters}")));
    are_told_apart(&bench, ends.iter().map(|end| bench.key_of(end)).collect()).await
}

pub(super) async fn that_look_alike_are_told_apart(bench: Bench) -> Held {
    let ends = [
        "look",
        "look-",
        "look--",
        "look-a",
        "look-A",
        "look-aa",
        "look-b",
        "look-*",
        "look-?",
        "look-[ab]",
        "look-{a}",
        "look-{a}b",
        "look-{b}a",
        "look-{}",
        "look-\\",
        "look-\\*",
        "look-%",
        "look-_",
        "look-%61",
        "look-'",
        "look-\"",
        "look-/",
        "look-/a",
        "look-../look",
        "look-.",
        "look-:",
        "look-a:",
        "look-0",
        "look-00",
        "look-1",
        "look-1.0",
        "look-$",
        "look-^",
        "look-~",
        "look-`",
        "look-;",
        "look-#",
        "look-&a=b",
        "look-+",
        "look-=",
    ];
    are_told_apart(&bench, ends.map(|end| bench.key_of(end)).to_vec()).await
}

/// Holds a value of its own under each key; changing and removing one leaves all others alone.
async fn are_told_apart(bench: &Bench, keys: Vec<StoreKey>) -> Held {
    let store = bench.store();
    let mut entries = Vec::with_capacity(keys.len());
    for key in keys {
        let value = bench.value();
        let created = store.put(&key, &value).await;
        let version = created.map_err(|broken| format!("keys are told apart; {}; {broken}", key.as_str()))?;
        entries.push((key, version, value));
    }
    all_hold(&store, &entries).await?;
    for (key, version, value) in entries.iter_mut().step_by(2) {
        *value = bench.value();
        *version = store.replaced(key, version, value, LONG).await?;
    }
    all_hold(&store, &entries).await?;
    // Half of them in one order, the rest in the other.
    let rest = entries.split_off(entries.len() / 2);
    for (number, (key, version, _)) in entries.iter().enumerate() {
        store.removed(key, version).await?;
        all_hold(&store, &entries[number + 1..]).await?;
    }
    all_hold(&store, &rest).await?;
    for (number, (key, version, _)) in rest.iter().enumerate().rev() {
        store.removed(key, version).await?;
        all_hold(&store, &rest[..number]).await?;
    }
    Ok(())
}

async fn all_hold(store: &Handle, entries: &[(StoreKey, Version, Value)]) -> Held {
    for (key, _, value) in entries {
        store.holds(key, value, &format!("keys are told apart; {}", key.as_str())).await?;
    }
    Ok(())
}
