//! A codec that seals entries, for stores that others can read or write.

use crate::{
    id::StoreKey,
    keyring::Keyring,
    record::Entry,
    value::Value,
    wire::{
        codec::{Codec, DecodeError, EncodeError, JsonCodec},
        sealer::Sealers,
    },
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
#[derive(Debug)]
pub struct SealedCodec(Sealers);

const FORMAT: u8 = 1;

impl SealedCodec {
    /// Prepares the keys of a ring for an engine.
    pub fn new(ring: &Keyring, engine: &str) -> Self {
        let sealing: &[&[u8]] = &[b"cloakroom sealed record v1", engine.as_bytes()];
        let nonces: &[&[u8]] = &[b"cloakroom sealing nonce v1", engine.as_bytes()];
        Self(Sealers::new(ring, b"cloakroom sealed record\0", FORMAT, [sealing, nonces]))
    }
}

impl Codec for SealedCodec {
    fn encode(&self, key: &StoreKey, entry: &Entry) -> Result<Vec<u8>, EncodeError> {
        let plain = JsonCodec.encode(key, entry)?;
        self.0.seal(key.as_bytes(), &plain).ok_or(EncodeError)
    }

    fn decode(&self, key: &StoreKey, value: &Value) -> Result<Entry, DecodeError> {
        let (plain, _) = self.0.open(key.as_bytes(), value.as_bytes()).map_err(|_| DecodeError::NotAuthentic)?;
        JsonCodec.decode(key, &Value::from(plain))
    }
}
