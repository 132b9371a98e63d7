//! `cloakroom compact`: makes a file of sessions smaller.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::{Context as _, anyhow};
use clap::Args;
use cloakroom_redb::{OpenError, compact};

use crate::holder::Holder;

/// Give back to the disk what a file of sessions no longer needs.
///
/// It drops what has expired, and makes the file as small as it can be. No server may have the file open meanwhile.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The file, as in `--store redb:FILE`.
    file: PathBuf,
}

pub(crate) fn run(Options { file }: Options) -> anyhow::Result<()> {
    let done = compact(&file).map_err(|error| match error {
        OpenError::InUse(path) => anyhow!("{} is in use by {}: stop that first", path.display(), Holder::of(&path)),
        OpenError::Io(path, error) if error.kind() == io::ErrorKind::NotFound => {
            anyhow!("there is no {}", path.display())
        }
        // Its words are its source's as well.
        error => anyhow!("{error}"),
    })?;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{}: {} bytes before, {} bytes after; {} entries had expired, {} are left",
        file.display(),
        done.before_bytes,
        done.after_bytes,
        done.expired,
        done.entries
    )
    .context("cannot write what was done")
}
