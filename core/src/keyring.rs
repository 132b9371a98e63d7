//! The keys that tickets are signed with, and how they rotate.

use core::{error::Error, fmt, str::FromStr};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Names a key of the ring in every token that it signs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyId(u8);

impl KeyId {
    /// Makes a key id of a number.
    pub const fn new(id: u8) -> Self {
        Self(id)
    }

    /// Returns the number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A secret of at least 32 bytes with its id. It is wiped from memory when dropped, and never printed.
#[derive(Clone)]
pub struct Key {
    id: KeyId,
    secret: Zeroizing<Vec<u8>>,
}

impl Key {
    /// The fewest bytes of a key.
    pub const MIN_LEN: usize = 32;
    /// The most bytes of a key.
    pub const MAX_LEN: usize = 1024;
    /// The fewest different byte values in a key. Of 32 random bytes fewer are different once in 10^14 keys.
    pub const MIN_DISTINCT: usize = 18;

    /// Takes a key from random bytes.
    ///
    /// # Errors
    ///
    /// [`KeyringError::KeyLength`] unless there are [`Key::MIN_LEN`] to [`Key::MAX_LEN`] bytes, and
    /// [`KeyringError::LowEntropy`] for bytes that were typed or repeated, not drawn at random.
    pub fn from_bytes(id: KeyId, secret: &[u8]) -> Result<Self, KeyringError> {
        if !(Self::MIN_LEN..=Self::MAX_LEN).contains(&secret.len()) {
            return Err(KeyringError::KeyLength { id, len: secret.len() });
        }
        if has_low_entropy(secret) {
            return Err(KeyringError::LowEntropy(id));
        }
        Ok(Self { id, secret: Zeroizing::new(secret.to_vec()) })
    }

    /// Returns the id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Writes the key as an entry of a ring's text, `1:primary:SECRET` or `1:accept:SECRET`.
    ///
    /// The text is the secret: keep it where secrets are kept.
    pub fn dangerous_entry(&self, primary: bool) -> Zeroizing<String> {
        let role = if primary { "primary" } else { "accept" };
        let secret = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(self.secret.as_slice()));
        Zeroizing::new(format!("{}:{role}:{}", self.id, secret.as_str()))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Bytes that a person typed or a program repeated: too few different values, an encoded text, or a short period.
fn has_low_entropy(secret: &[u8]) -> bool {
    let mut seen = [false; 256];
    for &byte in secret {
        seen[usize::from(byte)] = true;
    }
    let distinct = seen.iter().filter(|&&seen| seen).count();
    let is_text = secret.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    let is_run = secret.windows(3).all(|w| w[1].wrapping_sub(w[0]) == w[2].wrapping_sub(w[1]));
    let is_repeated = (1..=secret.len() / 2).any(|period| secret[period..] == secret[..secret.len() - period]);
    distinct < Key::MIN_DISTINCT || is_text || is_run || is_repeated
}

/// The keys that are accepted, and the one that signs.
///
/// To rotate: add the new key everywhere as accept-only, then make it the primary everywhere, and retire the old one
/// after the longest absolute lifetime. A ticket under an older key makes a renewal due. Retiring a key refuses its
/// tickets; it ends no session.
///
/// As text a ring is a list of `ID:primary:SECRET` and `ID:accept:SECRET`, separated by white space or commas; a `#`
/// starts a comment that ends with its line. The id is a number from 0 to 255, the secret base64url without padding.
///
/// ```
/// use cloakroom_core::{KeyId, Keyring, KeyringError};
///
/// let text = "
///     1:accept:b2xkLfqXkm3PJVTVE_Ec7PZUR8w8ugMvAfqTKmlWcBw   # until June
///     2:primary:bmV3LZIvWKNo4vJ8RFUlWsEAW0Al5iXgbDBzCkeVLzk";
/// let ring: Keyring = text.parse()?;
/// assert_eq!(ring.primary().id(), KeyId::new(2));
/// assert_eq!("1:accept:c2hvcnQ".parse::<Keyring>(), Err(KeyringError::KeyLength { id: KeyId::new(1), len: 5 }));
/// # Ok::<(), KeyringError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Keyring {
    primary: Key,
    accepted: Vec<Key>,
}

impl Keyring {
    /// Makes a ring of one key, which signs.
    pub fn new(primary: Key) -> Self {
        Self { primary, accepted: Vec::new() }
    }

    /// Adds a key whose tickets are accepted.
    ///
    /// # Errors
    ///
    /// [`KeyringError::DuplicateId`] when the ring has a key of that id.
    pub fn accept(mut self, key: Key) -> Result<Self, KeyringError> {
        if self.iter().any(|known| known.id == key.id) {
            return Err(KeyringError::DuplicateId(key.id));
        }
        self.accepted.push(key);
        Ok(self)
    }

    /// Returns the key that signs.
    pub fn primary(&self) -> &Key {
        &self.primary
    }

    /// Returns the keys that do not sign.
    pub fn accepted(&self) -> impl Iterator<Item = &Key> {
        self.accepted.iter()
    }

    /// Returns all keys, the primary first.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        core::iter::once(&self.primary).chain(&self.accepted)
    }
}

impl Eq for Keyring {}

impl PartialEq for Keyring {
    /// Compares ids and roles, never secrets.
    fn eq(&self, other: &Self) -> bool {
        self.iter().map(Key::id).eq(other.iter().map(Key::id))
    }
}

impl FromStr for Keyring {
    type Err = KeyringError;

    fn from_str(text: &str) -> Result<Self, KeyringError> {
        let mut primary: Option<Key> = None;
        let mut accepted: Vec<Key> = Vec::new();
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
        let entries = lines.flat_map(|line| line.split(|c: char| c == ',' || c.is_whitespace()));
        for (index, entry) in entries.filter(|entry| !entry.is_empty()).enumerate() {
            let malformed = KeyringError::MalformedEntry { index };
            let mut fields = entry.splitn(3, ':');
            let (Some(id), Some(role), Some(secret)) = (fields.next(), fields.next(), fields.next()) else {
                return Err(malformed);
            };
            let id = KeyId(id.parse().map_err(|_| malformed)?);
            let secret = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(secret).map_err(|_| malformed)?);
            let key = Key::from_bytes(id, &secret)?;
            if primary.iter().chain(&accepted).any(|known| known.id == id) {
                return Err(KeyringError::DuplicateId(id));
            }
            match role {
                "accept" => accepted.push(key),
                "primary" if primary.is_none() => primary = Some(key),
                "primary" => return Err(KeyringError::SecondPrimary(id)),
                _ => return Err(malformed),
            }
        }
        let missing = if accepted.is_empty() { KeyringError::Empty } else { KeyringError::NoPrimary };
        Ok(Self { primary: primary.ok_or(missing)?, accepted })
    }
}

/// Derives `N` bytes for one purpose from a key: HKDF-SHA-256 (RFC 5869) with a length-prefixed info.
pub(crate) fn derive<const N: usize>(key: &Key, purpose: &[&[u8]]) -> Zeroizing<[u8; N]> {
    let mut info = Vec::new();
    for part in purpose {
        info.extend_from_slice(&(part.len() as u64).to_be_bytes());
        info.extend_from_slice(part);
    }
    let mut out = Zeroizing::new([0; N]);
    const { assert!(N <= 8160, "HKDF-SHA-256 gives no more") };
    let _ = Hkdf::<Sha256>::new(None, &key.secret).expand(&info, out.as_mut());
    out
}

/// Why keys make no ring. It names keys by id or place, never by content.
#[non_exhaustive]
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum KeyringError {
    /// Two keys have one id.
    DuplicateId(KeyId),
    /// There is no key.
    Empty,
    /// A key is shorter than [`Key::MIN_LEN`] or longer than [`Key::MAX_LEN`].
    KeyLength {
        /** Which key. */
        id: KeyId,
        /** Its bytes. */
        len: usize,
    },
    /// A key was typed or repeated, not drawn at random.
    LowEntropy(KeyId),
    /// An entry is not `ID:primary:SECRET` or `ID:accept:SECRET`.
    MalformedEntry {
        /// Its place among the entries, from 0.
        index: usize,
    },
    /// No key is marked as the one that signs.
    NoPrimary,
    /// More than one key is marked as the one that signs.
    SecondPrimary(KeyId),
}

impl fmt::Display for KeyringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateId(id) => write!(f, "the ring has two keys with the id {id}"),
            Self::Empty => f.write_str("the ring is empty; `cloakroom keygen` makes an entry"),
            Self::KeyLength { id, len } => {
                write!(f, "key {id} has {len} bytes; a key has {} to {}", Key::MIN_LEN, Key::MAX_LEN)
            }
            Self::LowEntropy(id) => write!(f, "key {id} is not random; `cloakroom keygen` makes one that is"),
            Self::MalformedEntry { index } => write!(
                f,
                "entry {} of the ring is not ID:primary:SECRET or ID:accept:SECRET with an id from 0 to 255 and a \
                 secret in base64url without padding",
                index + 1
            ),
            Self::NoPrimary => f.write_str("no key of the ring is marked as primary"),
            Self::SecondPrimary(id) => write!(f, "key {id} is a second primary; mark one key and accept the others"),
        }
    }
}

impl Error for KeyringError {}
