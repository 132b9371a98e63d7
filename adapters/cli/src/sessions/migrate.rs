//! `cloakroom migrate`: all sessions of a store to another, while servers go on.

use std::{
    pin::pin,
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use cloakroom_core::{StoreKey, Value};
use cloakroom_store::{Created, DynStore, Fault, MovingStore, Store, StoreError};
use futures_util::{
    StreamExt as _,
    future::{Either, select},
    stream,
};
use serde::Serialize;
use tokio::runtime::Builder;

use super::{
    CLOSING, counted, print,
    progress::Progress,
    target::{PrefixArgs, Target},
    walk::{AT_A_TIME, Walk},
};
use crate::{signals::Signals, store_url::StoreOption};

/// Move all sessions from one store to another.
///
/// Servers may go on meanwhile if every one of them has both stores: `MovingStore::moving` in place of the old store. No
/// session is lost, changed or brought back. Stopped or killed, it has moved what it has moved, and the rest is where it was: run it
/// again. Exits with 1 when something is left in the old store, with 2 when it could not go on.
///
/// The memberships in users' indexes are moved too.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The old store: `redb:PATH`, or a Redis: redis://.., rediss://.., redis+unix://.., redis+sentinel://.. or redis+cluster://..
    ///
    /// A file must not be open in a server meanwhile. Others can see the command lines of your processes: where a URL has a
    /// password, `env:NAME` names a variable that has the URL.
    #[arg(long, value_name = "URL|env:NAME")]
    from: StoreOption,
    /// The new store. A file that is not there is made.
    #[arg(long, value_name = "URL|env:NAME")]
    to: StoreOption,
    /// What the application's settings put before every key of the old Redis (`RedisConfig::key_prefix`).
    #[arg(long, value_name = "PREFIX")]
    from_server_prefix: Option<String>,
    /// What the application's settings put before every key of the new Redis.
    #[arg(long, value_name = "PREFIX")]
    to_server_prefix: Option<String>,
    #[command(flatten)]
    prefix: PrefixArgs,
    /// How long a membership in a user's index is to stay in the new store, at least: the longest absolute lifetime of the
    /// application's sessions. One whose session is gone is taken out by listings and by `sessions sweep`.
    #[arg(long, value_name = "TIME", default_value = "400days")]
    members_for: humantime::Duration,
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// What was done.
#[derive(Debug, Default, Serialize)]
struct Summary {
    /// Entries that were moved: sessions, pointers, tombstones.
    moved: u64,
    /// Entries that the new store, or the old, refused. They are where they were.
    skipped: u64,
    /// Memberships in users' indexes that were moved.
    members: u64,
    /// Memberships that were dropped: the session is gone, or the new store keeps no index.
    stale: u64,
    /// Entries and indexes that are in the old store at the end.
    left: u64,
}

type Stores = MovingStore<Arc<dyn DynStore>, Arc<dyn DynStore>>;

/// How often the old store is walked over: what comes while it is walked may be missed.
const WALKS: usize = 3;
const STOPPED: &str = "stopped; what was moved is moved, the rest is where it was: run it again";
const AGAIN: &str = "what was moved is moved, the rest is where it was: run it again";

pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let done = runtime.block_on(start(&options));
    // A name that is still looked up would hold up the end.
    runtime.shutdown_background();
    done
}

async fn start(options: &Options) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::catch()?;
    let (old, new) = match select(pin!(open(options)), pin!(signals.next())).await {
        Either::Left((both, _)) => both?,
        Either::Right(_) => bail!(STOPPED),
    };
    let done = match select(pin!(migrate(options, &old, &new)), pin!(signals.next())).await {
        Either::Left((done, _)) => done,
        Either::Right(_) => Err(anyhow::anyhow!(STOPPED)),
    };
    for target in [old, new] {
        select(pin!(target.store.close()), target.runtime.sleep(CLOSING)).await;
    }
    done
}

async fn open(options: &Options) -> anyhow::Result<(Target, Target)> {
    let Options { from, to, json, from_server_prefix, to_server_prefix, .. } = options;
    let old = Target::open_named("--from", from, from_server_prefix.as_deref(), *json, false).await?;
    let new = Target::open_named("--to", to, to_server_prefix.as_deref(), *json, true).await.map_err(|error| {
        // It is this process that has it.
        let is_same = error.to_string().contains(" is in use by ") && StoreOption::are_alike(from, to);
        if is_same { anyhow::anyhow!(SAME) } else { error }
    })?;
    ensure!(!is_one(&old, &new, &options.prefix.prefix).await?, SAME);
    Ok((old, new))
}

const SAME: &str = "--from and --to are one store";

/// Tells whether what is stored in one is found in the other: a server may have many names.
async fn is_one(old: &Target, new: &Target, prefix: &str) -> anyhow::Result<bool> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let key = StoreKey::new(&format!("{prefix}probe-{}-{since}", std::process::id())).context("--prefix")?;
    let (old, new) = (old.store.as_dyn(), new.store.as_dyn());
    let created = new.create(&key, &Value::from(&b"{}"[..]), Duration::from_secs(60)).await;
    let Created::Done(version) = created.context("the new store takes nothing")? else {
        bail!("the new store has what was never stored");
    };
    let found = old.load(&key).await.context("the old store cannot be read")?;
    new.remove(&key, &version).await.context("the new store cannot be written")?;
    Ok(found.is_some())
}

async fn migrate(options: &Options, old: &Target, new: &Target) -> anyhow::Result<ExitCode> {
    let mut progress = Progress::new(options.json);
    let stores = MovingStore::moving(old.store.shared(), new.store.shared());
    let prefix = &options.prefix.prefix;
    let mut summary = Summary::default();
    for _ in 0..WALKS {
        let skipped = move_entries(old, &stores, prefix, &mut summary, &mut progress).await.context(AGAIN)?;
        move_members(options, old, new, &stores, &mut summary, &mut progress).await.context(AGAIN)?;
        summary.skipped = skipped;
        summary.left = left(old, prefix).await.context(AGAIN)?;
        if summary.left <= skipped {
            break;
        }
    }
    drop(progress);
    print(old, &summary, &summary.text())?;
    Ok(if summary.left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Moves entries; returns how many could not be moved.
async fn move_entries(
    old: &Target,
    stores: &Stores,
    prefix: &str,
    summary: &mut Summary,
    progress: &mut Progress,
) -> anyhow::Result<u64> {
    let mut skipped = 0;
    let mut walk = Walk::entries(&old.store, prefix)?;
    while let Some(page) = walk.next_page().await? {
        let go = async |key: StoreKey| stores.move_key(&key).await;
        let mut moves = stream::iter(page).map(go).buffer_unordered(AT_A_TIME);
        while let Some(moved) = moves.next().await {
            match moved {
                Ok(is_moved) => summary.moved += u64::from(is_moved),
                Err(error) if is_of_the_entry(&error) => skipped += 1,
                Err(error) => return Err(error).context("an entry could not be moved"),
            }
            progress.show(|| format!("{} entries moved", summary.moved));
        }
    }
    Ok(skipped)
}

/// Tells whether others may do better.
fn is_of_the_entry(error: &StoreError) -> bool {
    matches!(error.fault(), Fault::Internal | Fault::Refused)
}

/// Moves memberships of users' indexes, first into the new store, then out of the old.
async fn move_members(
    options: &Options,
    old: &Target,
    new: &Target,
    stores: &Stores,
    summary: &mut Summary,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let Some(from) = old.store.as_dyn().directory() else { return Ok(()) };
    // Where the new store keeps no index, nothing reads the old one's any more.
    let to = new.store.as_dyn().directory();
    let mut walk = Walk::indexes(&old.store, &options.prefix.prefix)?;
    while let Some(page) = walk.next_page().await? {
        for index in page {
            let members = from.list(&index, usize::MAX).await.context("an index could not be listed")?.keys;
            let go = async |member: StoreKey| -> Result<bool, StoreError> {
                let is_there = Store::load(stores, &member).await?.is_some();
                let to = to.filter(|_| is_there);
                if let Some(to) = to {
                    to.enroll(&index, &member, *options.members_for).await?;
                }
                from.unenroll(&index, &member).await?;
                Ok(to.is_some())
            };
            let mut moves = stream::iter(members).map(go).buffer_unordered(AT_A_TIME);
            while let Some(is_moved) = moves.next().await {
                match is_moved.context("an index could not be moved")? {
                    false => summary.stale += 1,
                    true => summary.members += 1,
                }
                progress.show(|| format!("{} entries, {} members of indexes moved", summary.moved, summary.members));
            }
        }
    }
    Ok(())
}

/// Counts what the old store has.
async fn left(old: &Target, prefix: &str) -> anyhow::Result<u64> {
    let mut count = 0;
    for mut walk in [Walk::entries(&old.store, prefix)?, Walk::indexes(&old.store, prefix)?] {
        while let Some(page) = walk.next_page().await? {
            count += page.len() as u64;
        }
    }
    Ok(count)
}

impl Summary {
    fn text(&self) -> String {
        let Self { moved, skipped, members, stale, left } = *self;
        let mut text = format!(
            "{} moved, {} of users' indexes; {} that nobody needs any more dropped\n",
            counted(moved, "entry", "entries"),
            counted(members, "member", "members"),
            counted(stale, "member", "members"),
        );
        if skipped > 0 {
            text.push_str(&format!("{} skipped: a store refused it\n", counted(skipped, "entry", "entries")));
        }
        text.push_str(&match left {
            0 => "nothing is left in the old store\n".to_owned(),
            _ => format!("{} left in the old store: run it again\n", counted(left, "entry is", "entries are")),
        });
        text
    }
}
