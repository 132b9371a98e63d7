//! Session id and store key: the second of the three policies of the wire.

use core::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::id::{InvalidStoreKey, SessionId, StoreKey};

/// How a session id becomes the key that a store sees.
///
/// The native scheme is [`HashedKeys`]. An implementation of one's own finds another framework's records.
pub trait KeyScheme: fmt::Debug + Send + Sync {
    /// Returns the key of an id. Different ids must have different keys, and the id must not be computable from it.
    fn store_key(&self, id: &SessionId) -> StoreKey;
}

/// The native scheme: a prefix and 22 characters, base64url of the first 16 bytes of SHA-256 over a domain string, the
/// engine's name and the id, each with its length before it.
///
/// A stolen store opens no session, and engines with different names never meet in one store.
pub struct HashedKeys {
    prefix: String,
    prepared: Sha256,
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
        StoreKey::new(&format!("{prefix}{}", "-".repeat(Self::DIGEST_CHARS)))?;
        let mut prepared = Sha256::new();
        for part in [b"cloakroom store key v1", engine.as_bytes()] {
            prepared.update((part.len() as u64).to_be_bytes());
            prepared.update(part);
        }
        Ok(Self { prefix: prefix.to_owned(), prepared })
    }
}

impl KeyScheme for HashedKeys {
    fn store_key(&self, id: &SessionId) -> StoreKey {
        let id = id.dangerous_bytes();
        let digest = self.prepared.clone().chain_update((id.len() as u64).to_be_bytes()).chain_update(id).finalize();
        let mut chars = [0; Self::DIGEST_CHARS];
        // 16 bytes are 22 characters, so the slice always fits.
        let _ = BASE64_URL_SAFE_NO_PAD.encode_slice(&digest[..16], &mut chars);
        StoreKey::from_parts(self.prefix.as_bytes(), &chars)
    }
}

impl fmt::Debug for HashedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashedKeys").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
