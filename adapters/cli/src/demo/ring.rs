//! The keys that sign tickets: given, kept beside the file of sessions, or made for one run.

use std::{
    fmt, fs,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use cloakroom_core::{KeyId, Keyring};
use cloakroom_store::KeyringExt as _;
use tempfile::NamedTempFile;

use super::store::Place;

/// Bytes of a ring's file; one of 256 keys is far smaller.
const MAX: u64 = 1024 * 1024;

/// Where the keys come from.
#[derive(Debug)]
pub(super) enum Ring {
    /// From where the user said.
    Given,
    /// From a file beside the one of the sessions.
    Kept { path: PathBuf, is_new: bool },
    /// From nowhere: tickets end with the process.
    Run,
}

impl Ring {
    /// Takes the keys that were given, finds those beside the store, or makes some. The store must be open, so that one
    /// process alone makes the file beside it.
    pub(super) fn open(given: Option<Keyring>, place: &Place) -> anyhow::Result<(Keyring, Self)> {
        match (given, place) {
            (Some(keys), _) => Ok((keys, Self::Given)),
            (None, Place::File(store)) => {
                let path = beside(store);
                let (keys, is_new) = kept(&path).with_context(|| format!("no keys from {}", path.display()))?;
                Ok((keys, Self::Kept { path, is_new }))
            }
            (None, Place::Cookie(Some(place))) => Self::open(None, place),
            (None, Place::Cookie(None) | Place::Http(_) | Place::Memcached(_) | Place::Memory | Place::Redis(_)) => {
                Ok((Keyring::generate(KeyId::new(1))?, Self::Run))
            }
        }
    }
}

/// What the terminal says; nothing of keys that were given.
impl fmt::Display for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given => Ok(()),
            Self::Kept { path, is_new: false } => writeln!(f, "keys     {}", path.display()),
            Self::Kept { path, is_new: true } => {
                writeln!(f, "keys     {}: made, and kept beside the sessions", path.display())
            }
            Self::Run => {
                writeln!(
                    f,
                    "keys     made for this run only: no ticket opens a session after it, or in another process that shares \
                     the store (keep some: cloakroom keygen, --keys)"
                )
            }
        }
    }
}

/// `sessions.redb` has its keys in `sessions.redb.keys`.
fn beside(store: &Path) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push(".keys");
    path.into()
}

/// Reads a ring, or makes one where there is none; tells whether it was made.
fn kept(path: &Path) -> anyhow::Result<(Keyring, bool)> {
    match read(path) {
        Err(error) if is_absent(&error) => {}
        read => return Ok((read?, false)),
    }
    let ring = Keyring::generate(KeyId::new(1))?;
    let entry = ring.primary().dangerous_entry(true);
    // Whole under its name at once, or not at all; readable by its owner alone.
    let mut draft = NamedTempFile::new_in(path.parent().unwrap_or(path))?;
    writeln!(draft, "{}", entry.as_str())?;
    draft.as_file().sync_all()?;
    match draft.persist_noclobber(path) {
        Ok(_) => Ok((ring, true)),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok((read(path)?, false)),
        Err(error) => Err(error.error.into()),
    }
}

fn read(path: &Path) -> anyhow::Result<Keyring> {
    let file = fs::File::open(path)?;
    check_is_private(&file.metadata()?)?;
    let mut text = String::new();
    file.take(MAX).read_to_string(&mut text)?;
    Ok(text.parse()?)
}

fn is_absent(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

#[cfg(unix)]
fn check_is_private(metadata: &fs::Metadata) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        bail!(
            "others can get at it (mode {mode:03o}): remove it and all tickets end, or chmod 600 if nobody has read it"
        );
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_is_private(_: &fs::Metadata) -> anyhow::Result<()> {
    Ok(())
}
