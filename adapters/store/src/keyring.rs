//! Reading a ring from where secrets are kept, and making keys for one.

use std::{env, error::Error, fmt, fs, io, path::Path};

use cloakroom_core::{Key, KeyId, Keyring, KeyringError};

/// Reads a [`Keyring`] from the environment or a file, never from code.
pub trait KeyringExt: Sized {
    /// Reads the ring's text from an environment variable.
    ///
    /// # Errors
    ///
    /// [`KeyringReadError`] when the variable is not set, or its text is no ring.
    fn from_env(name: &str) -> Result<Self, KeyringReadError>;

    /// Reads the ring's text from a file.
    ///
    /// # Errors
    ///
    /// [`KeyringReadError`] when the file cannot be read, or its text is no ring.
    fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyringReadError>;

    /// Makes a ring of one key drawn at random: every ticket under it ends with it.
    ///
    /// # Errors
    ///
    /// [`KeyringReadError::Entropy`] when the operating system has no randomness.
    fn generate(id: KeyId) -> Result<Self, KeyringReadError>;
}

impl KeyringExt for Keyring {
    fn from_env(name: &str) -> Result<Self, KeyringReadError> {
        let text = env::var(name).map_err(|_| KeyringReadError::Variable(name.to_owned()))?;
        text.parse().map_err(KeyringReadError::Ring)
    }

    fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyringReadError> {
        let text = fs::read_to_string(path).map_err(|error| KeyringReadError::File(error.kind()))?;
        text.parse().map_err(KeyringReadError::Ring)
    }

    fn generate(id: KeyId) -> Result<Self, KeyringReadError> {
        let mut secret = [0; Key::MIN_LEN];
        getrandom::fill(&mut secret).map_err(|_| KeyringReadError::Entropy)?;
        Key::from_bytes(id, &secret).map(Self::new).map_err(KeyringReadError::Ring)
    }
}

/// Why a ring could not be read. It names the place, never the content.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyringReadError {
    /// The operating system has no randomness.
    Entropy,
    /// The file cannot be read.
    File(io::ErrorKind),
    /// The text is no ring.
    Ring(KeyringError),
    /// The environment variable is not set, or no text.
    Variable(String),
}

impl fmt::Display for KeyringReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entropy => f.write_str("the operating system has no randomness"),
            Self::File(kind) => write!(f, "the file of the ring cannot be read: {kind}"),
            Self::Ring(error) => error.fmt(f),
            Self::Variable(name) => write!(f, "the environment variable {name} of the ring is not set"),
        }
    }
}

impl Error for KeyringReadError {}
