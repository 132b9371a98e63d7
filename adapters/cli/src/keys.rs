//! Where a ring of keys is read from.

use std::{convert::Infallible, path::PathBuf, str::FromStr};

use cloakroom_core::Keyring;
use cloakroom_store::KeyringExt as _;

/// A file, or an environment variable written as `env:NAME`.
#[derive(Clone, Debug)]
pub(crate) enum KeySource {
    Env(String),
    File(PathBuf),
}

impl KeySource {
    /// Reads the ring; an error names where from.
    pub(crate) fn read(&self) -> anyhow::Result<Keyring> {
        Ok(match self {
            Self::Env(name) => Keyring::from_env(name)?,
            Self::File(path) => Keyring::from_file(path)?,
        })
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
