//! `cloakroom sessions list`: the sessions of a user.

use std::{
    cmp::Reverse,
    fmt::Write as _,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use clap::Args;
use cloakroom_core::{Codec as _, Listed, OpKind, Principal, UnixTime, limits};
use humantime::{format_rfc3339_millis, format_rfc3339_seconds};
use serde::Serialize;

use super::{
    counted, print,
    progress::Progress,
    target::{EngineArgs, StoreArgs, Target},
    user::{UserArgs, done},
};

/// List the sessions of a user, newest first.
///
/// Each has a handle to end it by, which opens nothing. When it was last seen is known to the precision of the touch, by
/// default a fifth of the idle time. Of 10,000 sessions and more, 10,000 are listed.
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    pub(super) store: StoreArgs,
    #[command(flatten)]
    user: UserArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Serialize)]
struct Row<'a> {
    handle: &'a str,
    created: String,
    seen: String,
    label: Option<&'a str>,
}

pub(super) async fn run(options: &Options, target: &Target) -> anyhow::Result<ExitCode> {
    let (mut all, mut unread) = (Vec::new(), 0);
    let sessions = target.sessions(&options.engine)?;
    let mut progress = Progress::new(target.json);
    for (principal, user) in options.user.of(&sessions)? {
        let words = || format!("{} entries", done(&sessions, OpKind::Load));
        let listed = progress.during(&*target.runtime, user.list(), words).await?;
        unread += undecodable(options, target, &principal, listed.len() as u64, &mut progress).await?;
        all.extend(listed);
    }
    drop(progress);
    if unread > 0 {
        let many = counted(unread, "session", "sessions");
        eprintln!("{many} of the user cannot be read: if the application seals its records, it takes its --keys");
    }
    all.sort_by_key(|listed| Reverse(listed.created));
    let rows: Vec<_> = all.iter().map(row).collect();
    print(target, &rows, &text(&all))?;
    Ok(ExitCode::SUCCESS)
}

/// Counts what is in the index of a user and cannot be read. What was listed can.
async fn undecodable(
    options: &Options,
    target: &Target,
    user: &Principal,
    listed: u64,
    progress: &mut Progress,
) -> anyhow::Result<u64> {
    let store = target.store.as_dyn();
    let directory = store.directory().context("the store keeps no index of users' sessions")?;
    let members = directory.list(&options.engine.index_key(user)?, limits::MAX_LISTED).await?;
    if members.total <= listed {
        return Ok(0);
    }
    let (codec, mut count) = (options.engine.codec()?, 0);
    for key in members.keys {
        let stored = store.load(&key).await?;
        count += u64::from(stored.is_some_and(|stored| codec.decode(&key, &stored.value).is_err()));
        progress.show(|| format!("{listed} sessions, {count} that cannot be read"));
    }
    Ok(count)
}

fn row(listed: &Listed) -> Row<'_> {
    Row {
        handle: listed.handle.as_str(),
        created: format_rfc3339_millis(wall(listed.created)).to_string(),
        seen: format_rfc3339_millis(wall(listed.seen)).to_string(),
        label: label(listed),
    }
}

fn text(all: &[Listed]) -> String {
    if all.is_empty() {
        return "no sessions\n".to_owned();
    }
    let time = |time| format_rfc3339_seconds(wall(time)).to_string().replace('T', " ").replace('Z', "");
    let mut text = format!("{:22}  {:19}  {:19}  LABEL\n", "HANDLE", "CREATED (UTC)", "LAST SEEN (UTC)");
    for listed in all {
        let (created, seen) = (time(listed.created), time(listed.seen));
        // A string takes all that is written.
        let _ = writeln!(text, "{}  {created}  {seen}  {}", listed.handle, label(listed).unwrap_or("-"));
    }
    text
}

fn label(listed: &Listed) -> Option<&str> {
    listed.label.as_ref().map(|label| label.as_str())
}

/// A time of the wall clock, of this era of four digits a year whatever a record says.
fn wall(time: UnixTime) -> SystemTime {
    const LAST: u64 = 253_402_300_799_999;
    SystemTime::UNIX_EPOCH + Duration::from_millis(time.as_millis().min(LAST))
}

#[cfg(test)]
mod tests {
    use cloakroom_core::UnixTime;
    use humantime::format_rfc3339_millis;

    use super::wall;

    #[test]
    fn every_time_can_be_written() {
        let text = |millis| format_rfc3339_millis(wall(UnixTime::from_millis(millis))).to_string();
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(1_700_000_000_007), "2023-11-14T22:13:20.007Z");
        assert_eq!(text(u64::MAX), "9999-12-31T23:59:59.999Z");
    }
}
