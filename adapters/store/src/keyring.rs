//! Reading a ring from where secrets are kept, and making keys for one.

use std::{
    env,
    error::Error,
    fmt, fs, io,
    path::{Path, PathBuf},
};

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
        let place = || if holds_keys(name) { MISPLACED.to_owned() } else { name.to_owned() };
        let text = env::var(name).map_err(|_| KeyringReadError::Variable(place()))?;
        text.parse().map_err(|error| KeyringReadError::RingInVariable(place(), error))
    }

    fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyringReadError> {
        let path = path.as_ref();
        let place = || if holds_keys(&path.to_string_lossy()) { MISPLACED.into() } else { path.to_owned() };
        let text = fs::read_to_string(path).map_err(|error| KeyringReadError::File(place(), error.kind()))?;
        text.parse().map_err(|error| KeyringReadError::RingInFile(place(), error))
    }

    fn generate(id: KeyId) -> Result<Self, KeyringReadError> {
        let mut secret = [0; Key::MIN_LEN];
        getrandom::fill(&mut secret).map_err(|_| KeyringReadError::Entropy)?;
        Key::from_bytes(id, &secret).map(Self::new).map_err(|_| KeyringReadError::Entropy)
    }
}

/// What an error names in place of keys that were handed over as if they were a path or the name of a variable.
const MISPLACED: &str = "(keys, not their place)";

fn holds_keys(place: &str) -> bool {
    [":primary:", ":accept:"].iter().any(|role| place.contains(role))
}

/// Why a ring could not be read. It names the place, never the content.
#[non_exhaustive]
#[derive(Clone, Eq, PartialEq)]
pub enum KeyringReadError {
    /// The operating system has no randomness.
    Entropy,
    /// The file cannot be read, or is no text.
    File(PathBuf, io::ErrorKind),
    /// The text in the file is no ring.
    RingInFile(PathBuf, KeyringError),
    /// The text in the environment variable is no ring.
    RingInVariable(String, KeyringError),
    /// The environment variable is not set, or no text.
    Variable(String),
}

/// In the words of `Display`, since a `main` that returns it prints this.
impl fmt::Debug for KeyringReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for KeyringReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entropy => f.write_str("the operating system has no randomness"),
            Self::File(path, io::ErrorKind::NotFound) => {
                write!(f, "no keys from {}: there is no such file", path.display())
            }
            Self::File(path, kind) => write!(f, "no keys from {}: {kind}", path.display()),
            Self::RingInFile(path, error) => write!(f, "no keys from {}: {error}", path.display()),
            Self::RingInVariable(name, error) => write!(f, "no keys from the environment variable {name}: {error}"),
            Self::Variable(name) => {
                write!(f, "no keys from the environment variable {name}: it is not set, or no text")
            }
        }
    }
}

impl Error for KeyringReadError {}
