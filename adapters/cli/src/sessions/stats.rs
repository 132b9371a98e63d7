//! `cloakroom sessions stats`: what a store holds.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use cloakroom_core::{Codec as _, Entry, StoreKey, Stored};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;

use super::{
    print,
    progress::Progress,
    target::{EngineArgs, StoreArgs, Target, ToolCodec},
    walk::{AT_A_TIME, Walk},
};
use crate::open_store::OpenStore;

/// Count what a store holds, of all engines with the prefix.
///
/// Records that are sealed are told apart from others with their ring and the name of their engine alone. It reads every entry, and locks out nobody: of what comes and goes meanwhile, some counts and some does not. Ctrl-C stops
/// it.
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    pub(super) store: StoreArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

/// What was counted.
#[derive(Debug, Default, Serialize)]
struct Stats {
    /// Live sessions.
    live: u64,
    /// What leads from a session's old id to its new one.
    pointers: u64,
    /// What says that a session ended.
    tombstones: u64,
    /// Entries that cannot be read: of another format, or sealed.
    undecodable: u64,
    /// Bytes of the keys and values of all these.
    bytes: u64,
    /// Users with an index that has members.
    users: u64,
    /// Members of all indexes.
    members: u64,
    /// Bytes of the file, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    file_bytes: Option<u64>,
}

pub(super) async fn run(options: &Options, target: &Target) -> anyhow::Result<ExitCode> {
    let (prefix, codec) = (&options.engine.prefix.prefix, options.engine.codec()?);
    let mut progress = Progress::new(target.json);
    let mut stats = Stats::default();
    let store = target.store.as_dyn();
    let mut walk = Walk::entries(&target.store, prefix)?;
    while let Some(page) = walk.next_page().await? {
        let load = async |key: StoreKey| (store.load(&key).await, key);
        let mut loads = stream::iter(page).map(load).buffer_unordered(AT_A_TIME);
        while let Some((stored, key)) = loads.next().await {
            // It may have gone since the page was read.
            if let Some(stored) = stored.context("an entry could not be loaded")? {
                stats.count(&codec, &key, &stored);
            }
            progress.show(|| format!("{} entries", stats.entries()));
        }
    }
    let directory = store.directory().context("the store keeps no index of users' sessions")?;
    let mut walk = Walk::indexes(&target.store, prefix)?;
    while let Some(page) = walk.next_page().await? {
        let list = async |index: StoreKey| directory.list(&index, 0).await;
        let mut lists = stream::iter(page).map(list).buffer_unordered(AT_A_TIME);
        while let Some(members) = lists.next().await {
            let members = members.context("an index could not be listed")?.total;
            stats.users += u64::from(members > 0);
            stats.members += members;
            progress.show(|| format!("{} entries, {} users", stats.entries(), stats.users));
        }
    }
    drop(progress);
    if let OpenStore::Redb(store) = &target.store {
        stats.file_bytes = Some(store.metrics().file_bytes);
    }
    print(target, &stats, &stats.text())?;
    Ok(ExitCode::SUCCESS)
}

impl Stats {
    fn count(&mut self, codec: &ToolCodec, key: &StoreKey, stored: &Stored) {
        self.bytes += (key.as_bytes().len() + stored.value.len()) as u64;
        match codec.decode(key, &stored.value) {
            Ok(Entry::Ended(_)) => self.tombstones += 1,
            Ok(Entry::Moved(_)) => self.pointers += 1,
            Ok(Entry::Record(_)) => self.live += 1,
            Err(_) => self.undecodable += 1,
        }
    }

    fn entries(&self) -> u64 {
        self.live + self.pointers + self.tombstones + self.undecodable
    }

    fn text(&self) -> String {
        let rows = [
            ("live sessions", Some(self.live)),
            ("pointers", Some(self.pointers)),
            ("tombstones", Some(self.tombstones)),
            ("undecodable", Some(self.undecodable)),
            ("bytes of these", Some(self.bytes)),
            ("users", Some(self.users)),
            ("in their indexes", Some(self.members)),
            ("bytes of the file", self.file_bytes),
        ];
        rows.iter().filter_map(|(name, value)| value.map(|value| format!("{name:18} {value:>12}\n"))).collect()
    }
}
