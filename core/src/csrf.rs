//! Tokens that show that a form came from a page of ours (ASVS 5.0, 3.5.1).
//!
//! A token is base64url of the key id (1 byte), 16 random bytes, and the first 16 bytes of HMAC-SHA-256 over the session's
//! lineage, masked by them: 44 characters, another text each time, so that compressed pages do not give it away. Nothing is
//! stored for it. It holds as long as the session and what that is renewed to, and not beyond a login.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::Mac as _;

use crate::{
    entropy::{Entropy, EntropyError},
    keyring::{KeyId, Keyring},
    macs::Macs,
    record::Nonce,
};

#[derive(Debug)]
pub(crate) struct CsrfTokens(Macs);

impl CsrfTokens {
    const MASK: usize = 16;
    const RAW_LEN: usize = 1 + 2 * Self::MASK;
    const LEN: usize = 44;

    pub(crate) fn new(ring: &Keyring, engine: &str) -> Self {
        Self(Macs::new(ring, &[b"cloakroom csrf v1", engine.as_bytes()]))
    }

    /// Makes a token of a session.
    pub(crate) fn mint(&self, lineage: Nonce, entropy: &mut dyn Entropy) -> Result<String, EntropyError> {
        let (key, mac) = self.0.primary();
        let tag = mac.clone().chain_update(lineage.as_bytes()).finalize().into_bytes();
        let mut raw = [0; Self::RAW_LEN];
        raw[0] = key.get();
        let (mask, masked) = raw[1..].split_at_mut(Self::MASK);
        entropy.fill(mask)?;
        for (masked, (mask, tag)) in masked.iter_mut().zip(mask.iter().zip(&tag)) {
            *masked = mask ^ tag;
        }
        Ok(BASE64_URL_SAFE_NO_PAD.encode(raw))
    }

    /// Tells whether a token is one of this session. The tag is compared in constant time.
    pub(crate) fn verify(&self, lineage: Nonce, token: &[u8]) -> bool {
        let mut raw = [0; Self::RAW_LEN];
        if token.len() != Self::LEN || BASE64_URL_SAFE_NO_PAD.decode_slice(token, &mut raw) != Ok(Self::RAW_LEN) {
            return false;
        }
        let Some(mac) = self.0.get(KeyId::new(raw[0])) else { return false };
        let (mask, masked) = raw[1..].split_at_mut(Self::MASK);
        masked.iter_mut().zip(mask).for_each(|(masked, mask)| *masked ^= *mask);
        mac.clone().chain_update(lineage.as_bytes()).verify_truncated_left(masked).is_ok()
    }
}
