//! A codec that seals entries, for stores that others can read or write.

use core::fmt;

use aes_gcm_siv::{
    Aes256GcmSiv,
    aead::{Aead, KeyInit, Payload},
};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::{
    id::StoreKey,
    keyring::{Key, KeyId, Keyring, derive},
    record::Entry,
    value::Value,
    wire::codec::{Codec, DecodeError, EncodeError, JsonCodec},
};

/// Seals every entry of [`JsonCodec`] with AES-256-GCM-SIV (RFC 8452): who can write the store can neither read, forge
/// nor move an entry, only put an older state of the same key back or remove it.
///
/// Layout: format (1 byte, 1), key id (1), nonce (12), ciphertext and tag. The associated data is the purpose, the
/// format, the key id and the store key. The nonce is an HMAC of store key and plaintext, so that sealing needs no
/// randomness; equal entries under one key seal to equal bytes, and every commit differs by its nonce.
///
/// Everything is sealed with the ring's primary key; every key of the ring opens. Bytes that open with none are an
/// error, and no session is ended over them: they could hide a pointer. That holds for engines with this codec: one with
/// another codec on the same store takes sealed bytes for damaged ones, and would end a session over a pointer that it
/// cannot read.
pub struct SealedCodec {
    primary: Sealer,
    accepted: Vec<Sealer>,
}

struct Sealer {
    id: KeyId,
    cipher: Aes256GcmSiv,
    nonces: Hmac<Sha256>,
}

const FORMAT: u8 = 1;
const HEAD: usize = 2;
const NONCE: usize = 12;

impl SealedCodec {
    /// Prepares the keys of a ring for an engine.
    pub fn new(ring: &Keyring, engine: &str) -> Self {
        let prepare = |key: &Key| Sealer {
            id: key.id(),
            cipher: Aes256GcmSiv::new(
                (&*derive::<32>(key, &[b"cloakroom sealed record v1", engine.as_bytes()])).into(),
            ),
            nonces: Hmac::new((&*derive::<64>(key, &[b"cloakroom sealing nonce v1", engine.as_bytes()])).into()),
        };
        Self { primary: prepare(ring.primary()), accepted: ring.accepted().map(prepare).collect() }
    }
}

impl Codec for SealedCodec {
    fn encode(&self, key: &StoreKey, entry: &Entry) -> Result<Vec<u8>, EncodeError> {
        let plain = JsonCodec.encode(key, entry)?;
        let Sealer { id, cipher, nonces } = &self.primary;
        let aad = associated_data(*id, key);
        let digest = nonces.clone().chain_update(&aad).chain_update(&plain).finalize().into_bytes();
        let mut sealed = vec![FORMAT, id.get()];
        sealed.extend_from_slice(&digest[..NONCE]);
        let nonce: [u8; NONCE] = digest[..NONCE].try_into().map_err(|_| EncodeError)?;
        let payload = Payload { msg: &plain, aad: &aad };
        sealed.extend(cipher.encrypt(&nonce.into(), payload).map_err(|_| EncodeError)?);
        Ok(sealed)
    }

    fn decode(&self, key: &StoreKey, value: &Value) -> Result<Entry, DecodeError> {
        let error = DecodeError::NotAuthentic;
        let (head, rest) = value.as_bytes().split_at_checked(HEAD).ok_or(error)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>().ok_or(error)?;
        let id = KeyId::new(head[1]);
        let mut sealers = core::iter::once(&self.primary).chain(&self.accepted);
        let sealer = sealers.find(|sealer| head[0] == FORMAT && sealer.id == id).ok_or(error)?;
        let payload = Payload { msg: sealed, aad: &associated_data(id, key) };
        let plain = sealer.cipher.decrypt(nonce.into(), payload).map_err(|_| error)?;
        JsonCodec.decode(key, &Value::from(plain))
    }
}

fn associated_data(id: KeyId, key: &StoreKey) -> Vec<u8> {
    [b"cloakroom sealed record\0", &[FORMAT, id.get()][..], key.as_bytes()].concat()
}

impl fmt::Debug for SealedCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accepted: Vec<_> = self.accepted.iter().map(|sealer| sealer.id).collect();
        f.debug_struct("SealedCodec").field("primary", &self.primary.id).field("accepted", &accepted).finish()
    }
}
