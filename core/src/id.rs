//! Session id, store key and listing handle: three types that never convert by accident.

use core::{cmp::Ordering, error::Error, fmt, hash, str};
use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::{
    limits::{MAX_SESSION_ID, MAX_STORE_KEY},
    record::Nonce,
};

/// The secret that a ticket stands for: 128 random bits in the native scheme.
///
/// It is never stored, listed or printed; stores see the [`StoreKey`] made from it, people the [`Handle`].
// Aligned as `Aligned` is, and for its reason.
#[derive(Clone)]
#[repr(C, align(8))]
pub struct SessionId {
    bytes: [u8; MAX_SESSION_ID],
    len: u8,
}

impl SessionId {
    /// Bytes of a native id: 128 bits (ASVS 5.0, 7.2.3).
    pub const NATIVE_LEN: usize = 16;

    /// Takes an id of 1 to [`MAX_SESSION_ID`] bytes; for implementers of [`TokenScheme`](crate::TokenScheme).
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let len = u8::try_from(bytes.len()).ok().filter(|&len| len > 0 && usize::from(len) <= MAX_SESSION_ID)?;
        let mut id = Self { bytes: [0; MAX_SESSION_ID], len };
        id.bytes[..bytes.len()].copy_from_slice(bytes);
        Some(id)
    }

    /// What stands for the lineage of a session that is held in the cookie, where a key is made of it.
    pub(crate) fn of_nonce(nonce: Nonce) -> Self {
        let mut bytes = [0; MAX_SESSION_ID];
        bytes[..Nonce::LEN].copy_from_slice(nonce.as_bytes());
        Self { bytes, len: Nonce::LEN as u8 }
    }

    /// Returns the secret bytes; for implementers of [`TokenScheme`](crate::TokenScheme) and
    /// [`KeyScheme`](crate::KeyScheme).
    pub fn dangerous_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl Drop for SessionId {
    fn drop(&mut self) {
        // What lies beyond was never anything but zero.
        self.bytes[..usize::from(self.len)].zeroize();
    }
}

impl Eq for SessionId {}

impl PartialEq for SessionId {
    fn eq(&self, other: &Self) -> bool {
        self.dangerous_bytes().ct_eq(other.dangerous_bytes()).into()
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

/// The key under which a store holds a session: a digest of the id, with a prefix.
///
/// 1 to [`MAX_STORE_KEY`] visible ASCII characters, so that it is legal in every store. A stolen store opens no
/// session: the id cannot be computed from it. `Debug` does not print it.
#[derive(Clone)]
pub struct StoreKey(Chars);

/// Characters of visible ASCII. A commit holds a key in many places, most of them empty: with room for the longest it would be
/// long to move.
#[derive(Clone)]
enum Chars {
    // With a byte for the length three more beside it would be moved, in pieces that nobody wrote.
    Inline { bytes: Aligned, len: u32 },
    Long(Arc<[u8]>),
}

/// So that a move reads it in the pieces that it was written in: with others the processor waits for the write.
#[derive(Clone, Copy)]
#[repr(align(8))]
struct Aligned([u8; StoreKey::INLINE]);

impl StoreKey {
    /// Keys of so many characters need no allocation: in the native scheme those of sessions with prefixes of up to 18, and of
    /// indexes with up to 13.
    const INLINE: usize = 40;

    /// Takes a key of one's own, for direct access to a store.
    ///
    /// # Errors
    ///
    /// [`InvalidStoreKey`] unless it has 1 to [`MAX_STORE_KEY`] characters, all of them visible ASCII.
    pub fn new(key: &str) -> Result<Self, InvalidStoreKey> {
        let is_key = (1..=MAX_STORE_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_key {
            return Err(InvalidStoreKey);
        }
        let mut bytes = [0; Self::INLINE];
        Ok(Self(match bytes.get_mut(..key.len()) {
            Some(place) => {
                place.copy_from_slice(key.as_bytes());
                Chars::Inline { bytes: Aligned(bytes), len: key.len() as u32 }
            }
            None => Chars::Long(key.as_bytes().into()),
        }))
    }

    /// The last characters, to be overwritten by as many of visible ASCII.
    pub(crate) fn last_mut(&mut self, count: usize) -> &mut [u8] {
        let chars = match &mut self.0 {
            Chars::Inline { bytes, len } => &mut bytes.0[..*len as usize],
            Chars::Long(chars) => Arc::make_mut(chars),
        };
        let rest = chars.len() - count;
        &mut chars[rest..]
    }

    /// Returns the key as text.
    pub fn as_str(&self) -> &str {
        // There is only ever visible ASCII, so this cannot be the empty fallback.
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Returns the key as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Chars::Inline { bytes, len } => &bytes.0[..*len as usize],
            Chars::Long(chars) => chars,
        }
    }

    /// Derives the handle under which people see this session.
    pub fn handle(&self) -> Handle {
        let digest = Sha256::new_with_prefix(b"cloakroom listing handle v1\0").chain_update(self.as_bytes()).finalize();
        let mut text = [0; Handle::LEN];
        // 16 bytes are 22 characters, so the slice always fits.
        let _ = BASE64_URL_SAFE_NO_PAD.encode_slice(&digest[..16], &mut text);
        Handle(text)
    }
}

impl Eq for StoreKey {}

impl PartialEq for StoreKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Ord for StoreKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl PartialOrd for StoreKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl hash::Hash for StoreKey {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(..)")
    }
}

/// A text that is no store key: empty, too long, or with other than visible ASCII characters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidStoreKey;

impl fmt::Display for InvalidStoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a store key has 1 to {MAX_STORE_KEY} visible ASCII characters")
    }
}

impl Error for InvalidStoreKey {}

/// What people see of a session in a list of their devices: 22 characters, derived from the store key.
///
/// It opens nothing and finds nothing in a store; it only names an entry of a list.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Handle([u8; Self::LEN]);

impl Handle {
    /// Characters of a handle.
    pub const LEN: usize = 22;

    /// Returns the handle as text.
    pub fn as_str(&self) -> &str {
        // Base64url is ASCII.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl str::FromStr for Handle {
    type Err = InvalidHandle;

    fn from_str(text: &str) -> Result<Self, InvalidHandle> {
        let is_url_safe = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let bytes = text.as_bytes().try_into().map_err(|_| InvalidHandle)?;
        Some(Self(bytes)).filter(|handle| handle.0.iter().all(is_url_safe)).ok_or(InvalidHandle)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.as_str()).finish()
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no handle: it has other than [`Handle::LEN`] characters, or others than base64url has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidHandle;

impl fmt::Display for InvalidHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a handle has {} characters of base64url", Handle::LEN)
    }
}

impl Error for InvalidHandle {}
