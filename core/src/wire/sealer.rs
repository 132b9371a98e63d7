//! Sealing under the keys of a ring, for records in a store and in a cookie.

use core::fmt;

use aes_gcm_siv::{
    Aes256GcmSiv,
    aead::{Aead, KeyInit, Payload},
};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::{
    keyring::{Key, KeyId, Keyring, derive},
    wire::token::Refusal,
};

/// Seals with AES-256-GCM-SIV (RFC 8452) under keys that are derived for one purpose.
///
/// Layout: format (1 byte), key id (1), nonce (12), ciphertext and tag. The associated data is the purpose, the format, the
/// key id and what the caller names. The nonce is an HMAC of associated data and plaintext, so that sealing needs no
/// randomness. The key id picks the key; no other is tried.
pub(crate) struct Sealers {
    purpose: &'static [u8],
    format: u8,
    primary: Sealer,
    accepted: Vec<Sealer>,
}

struct Sealer {
    id: KeyId,
    cipher: Aes256GcmSiv,
    nonces: Hmac<Sha256>,
}

const HEAD: usize = 2;
const NONCE: usize = 12;
const TAG: usize = 16;

impl Sealers {
    /// What sealing adds, in bytes.
    pub(crate) const OVERHEAD: usize = HEAD + NONCE + TAG;

    /// Prepares the keys of a ring. The infos say what the keys for sealing and for nonces are for.
    pub(crate) fn new(ring: &Keyring, purpose: &'static [u8], format: u8, infos: [&[&[u8]]; 2]) -> Self {
        let [sealing, nonces] = infos;
        let prepare = |key: &Key| Sealer {
            id: key.id(),
            cipher: Aes256GcmSiv::new((&*derive::<32>(key, sealing)).into()),
            nonces: Hmac::new((&*derive::<64>(key, nonces)).into()),
        };
        Self { purpose, format, primary: prepare(ring.primary()), accepted: ring.accepted().map(prepare).collect() }
    }

    /// Seals with the primary key. `None` only for more bytes than the cipher takes.
    pub(crate) fn seal(&self, context: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        let Sealer { id, cipher, nonces } = &self.primary;
        let aad = self.associated_data(*id, context);
        let digest = nonces.clone().chain_update(&aad).chain_update(plain).finalize().into_bytes();
        let nonce: [u8; NONCE] = digest[..NONCE].try_into().ok()?;
        let mut sealed = vec![self.format, id.get()];
        sealed.extend_from_slice(&nonce);
        sealed.extend(cipher.encrypt(&nonce.into(), Payload { msg: plain, aad: &aad }).ok()?);
        Some(sealed)
    }

    /// Opens what a key of the ring sealed for the same purpose and context.
    pub(crate) fn open(&self, context: &[u8], sealed: &[u8]) -> Result<(Vec<u8>, KeyId), Refusal> {
        let (head, rest) = sealed.split_at_checked(HEAD).ok_or(Refusal::Malformed)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>().ok_or(Refusal::Malformed)?;
        if head[0] != self.format {
            return Err(Refusal::Malformed);
        }
        let id = KeyId::new(head[1]);
        let mut sealers = core::iter::once(&self.primary).chain(&self.accepted);
        let sealer = sealers.find(|sealer| sealer.id == id).ok_or(Refusal::UnknownKey(id))?;
        let payload = Payload { msg: sealed, aad: &self.associated_data(id, context) };
        let plain = sealer.cipher.decrypt(nonce.into(), payload).map_err(|_| Refusal::Forged)?;
        Ok((plain, id))
    }

    pub(crate) fn primary(&self) -> KeyId {
        self.primary.id
    }

    fn associated_data(&self, id: KeyId, context: &[u8]) -> Vec<u8> {
        [self.purpose, &[self.format, id.get()], context].concat()
    }
}

impl fmt::Debug for Sealers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accepted: Vec<_> = self.accepted.iter().map(|sealer| sealer.id).collect();
        f.debug_struct("Sealers").field("primary", &self.primary.id).field("accepted", &accepted).finish()
    }
}
