//! Session id and store key: the second of the three policies of the wire.

use core::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::{
    id::{InvalidStoreKey, SessionId, StoreKey},
    principal::Principal,
};

/// How a session id becomes the key that a store sees.
///
/// The native scheme is [`HashedKeys`]. An implementation of one's own finds another framework's records.
pub trait KeyScheme: fmt::Debug + Send + Sync {
    /// Returns the key of an id. Different ids must have different keys, and the id must not be computable from it.
    fn store_key(&self, id: &SessionId) -> StoreKey;

    /// Returns the key of the index of a user's sessions. It differs from every key of a session.
    fn index_key(&self, principal: &Principal) -> StoreKey;
}

/// The native scheme: a prefix and 22 characters, base64url of the first 16 bytes of SHA-256 over a domain string, the
/// engine's name and the id, each with its length before it (8 bytes, big endian), where zeros after the name fill its
/// block of 64 bytes: what is the same for every id is hashed once, and an id takes one block more. The key of an index has
/// `user:` after the prefix, and the digest is over another domain string, the engine's name and the user id as JSON.
///
/// A stolen store opens no session, and engines with different names never meet in one store.
pub struct HashedKeys {
    /// A key with the prefix, in which only the digest is missing.
    blank: StoreKey,
    blank_index: StoreKey,
    prepared: Sha256,
    prepared_index: Sha256,
}

impl HashedKeys {
    /// The default prefix.
    pub const PREFIX: &'static str = "cloakroom:";
    const DIGEST_CHARS: usize = 22;

    /// Makes the scheme of an engine.
    ///
    /// # Errors
    ///
    /// [`InvalidStoreKey`] when the prefix has other than visible ASCII characters, or is so long that the key would
    /// not fit.
    pub fn new(engine: &str, prefix: &str) -> Result<Self, InvalidStoreKey> {
        let missing = "-".repeat(Self::DIGEST_CHARS);
        let prepared = |domain: &[u8]| whole_blocks([domain, engine.as_bytes()]);
        Ok(Self {
            blank: StoreKey::new(&format!("{prefix}{missing}"))?,
            blank_index: StoreKey::new(&format!("{prefix}user:{missing}"))?,
            prepared: prepared(b"cloakroom store key v1"),
            prepared_index: prepared(b"cloakroom index key v1"),
        })
    }
}

impl KeyScheme for HashedKeys {
    fn store_key(&self, id: &SessionId) -> StoreKey {
        digest_key(&self.blank, &self.prepared, id.dangerous_bytes())
    }

    fn index_key(&self, principal: &Principal) -> StoreKey {
        digest_key(&self.blank_index, &self.prepared_index, principal.as_json().as_str().as_bytes())
    }
}

/// What SHA-256 takes at a time.
const BLOCK_BYTES: usize = 64;

/// The digest of the parts, each with its length before it, and of zeros up to the end of a block.
fn whole_blocks<const N: usize>(parts: [&[u8]; N]) -> Sha256 {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
    Sha256::new_with_prefix(bytes)
}

fn digest_key(blank: &StoreKey, prepared: &Sha256, part: &[u8]) -> StoreKey {
    let mut state = prepared.clone();
    let mut digest = Default::default();
    // In place: a state or a digest that is handed on is copied each time, and the copy waits for what was just written.
    state.update((part.len() as u64).to_be_bytes());
    state.update(part);
    state.finalize_into_reset(&mut digest);
    let mut key = blank.clone();
    // 16 bytes are 22 characters, so they always fit.
    let _ = BASE64_URL_SAFE_NO_PAD.encode_slice(&digest[..16], key.last_mut(HashedKeys::DIGEST_CHARS));
    key
}

impl fmt::Debug for HashedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blank = self.blank.as_str();
        let (prefix, _) = blank.split_at(blank.len() - Self::DIGEST_CHARS);
        f.debug_struct("HashedKeys").field("prefix", &prefix).finish_non_exhaustive()
    }
}
