//! `cloakroom sessions revoke`: an end for one of a user's sessions, or for all.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use cloakroom_core::{Handle, OpKind, RosterError, Which};
use serde_json::json;

use super::{
    counted, print,
    progress::Progress,
    target::{EngineArgs, StoreArgs, Target},
    user::{UserArgs, done},
};

/// End one session of a user, or all of them.
///
/// Once it has succeeded, no ticket of what was ended opens anything. Exits with 1 when the user has no session of this
/// handle, with 2 when not all could be ended: try it again.
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    pub(super) store: StoreArgs,
    #[command(flatten)]
    user: UserArgs,
    #[command(flatten)]
    which: WhichArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct WhichArgs {
    /// The handle of the session, as `sessions list` prints it.
    // No error repeats it: it may be a ticket by mistake.
    #[arg(long, value_name = "HANDLE", allow_hyphen_values = true)]
    handle: Option<String>,
    /// All sessions of the user.
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(options: &Options, target: &Target) -> anyhow::Result<ExitCode> {
    let handle: Option<Handle> = options.which.handle.as_deref().map(str::parse).transpose().context("--handle")?;
    let which = handle.map_or(Which::All, Which::One);
    let (mut ended, mut is_known) = (0, handle.is_none());
    let sessions = target.sessions(&options.engine)?;
    let mut progress = Progress::new(target.json);
    let words = || format!("{} entries, {} ended", done(&sessions, OpKind::Load), done(&sessions, OpKind::Replace));
    for (_, user) in options.user.of(&sessions)? {
        match progress.during(&*target.runtime, user.end(which), words).await {
            Ok(count) => {
                ended += count;
                is_known = true;
            }
            Err(RosterError::UnknownHandle) => {}
            Err(error) => return Err(error.into()),
        }
    }
    drop(progress);
    let text = match is_known {
        false => "the user has no session of this handle\n".to_owned(),
        true => format!("{} ended\n", counted(ended, "session", "sessions")),
    };
    print(target, &json!({ "ended": ended }), &text)?;
    Ok(if is_known { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
