//! Cookie value and session id: the first of the three policies of the wire.

use core::{error::Error, fmt};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::Mac as _;

use crate::{
    entropy::{Entropy, EntropyError},
    id::SessionId,
    keyring::{KeyId, Keyring},
    macs::Macs,
};

/// How a session id becomes a cookie value and back.
///
/// The native scheme is [`SignedTokens`]. An implementation of one's own reads another framework's cookies.
pub trait TokenScheme: fmt::Debug + Send + Sync {
    /// Tells by its shape alone whether a cookie value may be a token. It is called for every cookie of our name, so
    /// it must be cheap and must not allocate.
    fn is_well_formed(&self, value: &[u8]) -> bool;

    /// Checks that we minted the value. It is called once somebody asks for the session.
    ///
    /// # Errors
    ///
    /// [`Refusal`] says why we did not.
    fn verify(&self, value: &[u8]) -> Result<Verified, Refusal>;

    /// Appends the cookie value of an id: only characters that a cookie value may have (RFC 6265bis, section 4.1.1).
    fn mint(&self, id: &SessionId, out: &mut String);

    /// Draws a new id.
    ///
    /// # Errors
    ///
    /// [`EntropyError`] when the source of randomness fails.
    fn new_id(&self, entropy: &mut dyn Entropy) -> Result<SessionId, EntropyError> {
        let mut bytes = [0; SessionId::NATIVE_LEN];
        entropy.fill(&mut bytes)?;
        SessionId::from_bytes(&bytes).ok_or(EntropyError)
    }
}

/// A token that we minted.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "schemes of others build it")]
pub struct Verified {
    /// What it stands for.
    pub id: SessionId,
    /// The key that signed it, where there are several.
    pub key: Option<KeyId>,
    /// It was signed with a key that is on its way out: a renewal is due.
    pub outdated: bool,
}

/// Why a cookie value is not a ticket of ours.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The tag does not match: forged, damaged, or made for another cookie or engine.
    Forged,
    /// It does not have the shape of a token.
    Malformed,
    /// The ring has no key of this id: retired, or never ours.
    UnknownKey(KeyId),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forged => {
                f.write_str("the tag does not match: forged, damaged, or made for another cookie or engine")
            }
            Self::Malformed => f.write_str("not the shape of a token: 44 characters of base64url"),
            Self::UnknownKey(id) => write!(f, "the ring has no key with the id {id}"),
        }
    }
}

impl Error for Refusal {}

/// The native scheme: base64url without padding of key id (1 byte), id (16) and the first 16 bytes of HMAC-SHA-256 over
/// both; 44 characters, and one text per token.
///
/// The MAC keys are derived from the ring's for this engine and this cookie name, so that a token of one cookie is worth
/// nothing in another. The key id picks the key; no other is tried. Tags are compared in constant time.
pub struct SignedTokens(Macs);

impl SignedTokens {
    /// Characters of a token.
    pub const LEN: usize = 44;
    const ID: core::ops::Range<usize> = 1..17;
    const RAW_LEN: usize = 33;
    const TAG_LEN: usize = 16;

    /// Prepares the keys of a ring for an engine and a cookie.
    pub fn new(ring: &Keyring, engine: &str, cookie: &str) -> Self {
        Self(Macs::new(ring, &[b"cloakroom token v1", engine.as_bytes(), cookie.as_bytes()]))
    }
}

impl TokenScheme for SignedTokens {
    fn is_well_formed(&self, value: &[u8]) -> bool {
        let is_in = |byte: u8, first: u8, count: u8| byte.wrapping_sub(first) < count;
        let is_url_safe = |byte| is_in(byte | 0x20, b'a', 26) | is_in(byte, b'0', 10) | (byte == b'-') | (byte == b'_');
        // No branches, so that processors look at sixteen at once; the last ones overlap those before.
        let are_sixteen = |at: usize| value[at..at + 16].iter().fold(true, |all, &byte| all & is_url_safe(byte));
        value.len() == Self::LEN && are_sixteen(0) & are_sixteen(16) & are_sixteen(Self::LEN - 16)
    }

    fn verify(&self, value: &[u8]) -> Result<Verified, Refusal> {
        let mut raw = [0; Self::RAW_LEN];
        if value.len() != Self::LEN || BASE64_URL_SAFE_NO_PAD.decode_slice(value, &mut raw) != Ok(Self::RAW_LEN) {
            return Err(Refusal::Malformed);
        }
        let (signed, tag) = raw.split_at(Self::ID.end);
        let key = KeyId::new(raw[0]);
        let mac = self.0.get(key).ok_or(Refusal::UnknownKey(key))?;
        let mut mac = mac.clone();
        mac.update(signed);
        mac.verify_truncated_left(tag).map_err(|_| Refusal::Forged)?;
        let id = SessionId::from_bytes(&raw[Self::ID]).ok_or(Refusal::Malformed)?;
        Ok(Verified { id, key: Some(key), outdated: key != self.0.primary().0 })
    }

    fn mint(&self, id: &SessionId, out: &mut String) {
        let (key, mac) = self.0.primary();
        let mut raw = Vec::with_capacity(Self::RAW_LEN);
        raw.push(key.get());
        raw.extend_from_slice(id.dangerous_bytes());
        let tag = mac.clone().chain_update(&raw).finalize().into_bytes();
        raw.extend_from_slice(&tag[..Self::TAG_LEN]);
        BASE64_URL_SAFE_NO_PAD.encode_string(&raw, out);
    }
}

impl fmt::Debug for SignedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SignedTokens").field(&self.0).finish()
    }
}
