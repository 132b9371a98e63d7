//! `cloakroom sessions sweep`: what nobody can open any more.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use cloakroom_core::StoreKey;
use cloakroom_redb::RedbStore;
use cloakroom_store::StoreError;
use futures_util::{StreamExt as _, stream};
use serde_json::json;

use super::{
    counted, print,
    progress::Progress,
    target::{PrefixArgs, StoreArgs, Target},
    walk::{AT_A_TIME, Walk},
};
use crate::open_store::OpenStore;

/// Drop what has expired, and take out of users' indexes what is gone.
///
/// Servers do the first by themselves, and listings of a user's sessions the second. A file is not made smaller by it: see
/// `cloakroom compact`.
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    pub(super) store: StoreArgs,
    #[command(flatten)]
    prefix: PrefixArgs,
}

pub(super) async fn run(options: &Options, target: &Target) -> anyhow::Result<ExitCode> {
    let mut progress = Progress::new(target.json);
    let expired = match &target.store {
        OpenStore::Redb(store) => Some(drop_expired(store, target, &mut progress).await?),
        // It does so by itself.
        OpenStore::CookieOnly
        | OpenStore::Http(_)
        | OpenStore::Memcached(_)
        | OpenStore::Memory(_)
        | OpenStore::Redis(_) => None,
    };
    let members = take_out_stale(target, &options.prefix.prefix, &mut progress).await?;
    drop(progress);
    let mut text = match expired {
        Some(count) => format!("{} dropped\n", counted(count, "expired row", "expired rows")),
        None => "what expires goes by itself\n".to_owned(),
    };
    let entries = counted(members, "entry", "entries");
    text.push_str(&format!("{entries} of users' indexes taken out: their sessions are gone\n"));
    print(target, &json!({ "expired": expired, "members": members }), &text)?;
    Ok(ExitCode::SUCCESS)
}

/// Drops what has expired from a file; counts entries and members of indexes.
async fn drop_expired(store: &RedbStore, target: &Target, progress: &mut Progress) -> anyhow::Result<u64> {
    let words = || format!("{} expired entries", store.metrics().expired_total);
    let count = progress.during(&*target.runtime, store.sweep_now(), words).await;
    count.context("what has expired could not be dropped")
}

/// Takes members out of indexes whose keys have nothing. A member is enrolled after its session is stored, and a key that
/// was given up never comes back, so that nothing is missed by it.
async fn take_out_stale(target: &Target, prefix: &str, progress: &mut Progress) -> anyhow::Result<u64> {
    let store = target.store.as_dyn();
    let directory = store.directory().context("the store keeps no index of users' sessions")?;
    let (mut users, mut stale) = (0_u64, 0_u64);
    let mut walk = Walk::indexes(&target.store, prefix)?;
    while let Some(page) = walk.next_page().await? {
        for index in page {
            let members = directory.list(&index, usize::MAX).await.context("an index could not be listed")?.keys;
            let heal = async |member: StoreKey| -> Result<bool, StoreError> {
                let is_stale = store.load(&member).await?.is_none();
                if is_stale {
                    directory.unenroll(&index, &member).await?;
                }
                Ok(is_stale)
            };
            let mut healed = stream::iter(members).map(heal).buffer_unordered(AT_A_TIME);
            while let Some(is_stale) = healed.next().await {
                stale += u64::from(is_stale.context("an index could not be swept")?);
                progress.show(|| format!("{users} users, {stale} entries taken out"));
            }
            users += 1;
        }
    }
    Ok(stale)
}
