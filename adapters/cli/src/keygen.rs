//! `cloakroom keygen`: keys for a ring.

use std::io::{self, Write as _};

use anyhow::{Context as _, bail};
use clap::Args;
use cloakroom_core::{KeyId, Keyring};
use cloakroom_store::KeyringExt as _;

/// Print ring entries with keys drawn at random.
///
/// The last entry signs, those before it are accepted: the whole output is a ring, and so is its last line alone. The
/// output is secret; keep it where secrets are kept.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// How many entries.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    count: u16,
    /// The id of the first entry, from 0 to 255; the others count up from it.
    #[arg(long, value_name = "FIRST", default_value_t = 1)]
    id: u8,
}

pub(crate) fn run(Options { count, id: first }: Options) -> anyhow::Result<()> {
    let end = u16::from(first) + count;
    if end > 256 {
        bail!("{count} ids from {first} on end at {}; a key's id is at most 255", end - 1);
    }
    let last = u8::try_from(end - 1)?;
    let mut out = io::stdout().lock();
    for id in first..=last {
        let ring = Keyring::generate(KeyId::new(id))?;
        let entry = ring.primary().dangerous_entry(id == last);
        writeln!(out, "{}", entry.as_str()).context("cannot write the keys")?;
    }
    out.flush().context("cannot write the keys")
}
