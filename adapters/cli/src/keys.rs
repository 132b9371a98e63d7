//! Where a ring of keys is read from.

use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr};

use anyhow::Context as _;
use cloakroom_core::Keyring;
use cloakroom_store::KeyringExt as _;

/// A file, or an environment variable written as `env:NAME`.
#[derive(Clone, Debug)]
pub(crate) enum KeySource {
    Env(String),
    File(PathBuf),
}

impl KeySource {
    /// Reads the ring.
    pub(crate) fn read(&self) -> anyhow::Result<Keyring> {
        match self {
            Self::Env(name) => Keyring::from_env(name),
            Self::File(path) => Keyring::from_file(path),
        }
        .with_context(|| format!("no keys from {self}"))
    }
}

impl FromStr for KeySource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.strip_prefix("env:") {
            Some(name) => Self::Env(name.to_owned()),
            None => Self::File(text.into()),
        })
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}
