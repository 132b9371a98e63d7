//! What a cookie holds, and the text that it becomes.

use core::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::Mac as _;

use crate::{
    id::SessionId,
    keyring::{KeyId, Keyring},
    limits::MAX_SESSION_ID,
    macs::Macs,
    record::Nonce,
    time::UnixTime,
    value::Value,
    wire::{sealer::Sealers, token::Refusal},
};

/// What stands in the cookie.
#[derive(Clone)]
pub(super) struct Inside {
    pub(super) id: SessionId,
    /// When it expires, unless it is written again.
    pub(super) until: UnixTime,
    /// What the session and its successors have in common.
    pub(super) lineage: Nonce,
    /// The last end of all sessions of the user before the login.
    pub(super) epoch: Option<Nonce>,
    /// The encoded record.
    pub(super) value: Value,
}

impl Inside {
    /// Bytes beside those of the record, at most.
    const OVERHEAD: usize = 8 + Nonce::LEN + 1 + Nonce::LEN + 1 + MAX_SESSION_ID;

    fn to_bytes(&self) -> Vec<u8> {
        let id = self.id.dangerous_bytes();
        let mut bytes = Vec::with_capacity(Self::OVERHEAD + self.value.len());
        bytes.extend_from_slice(&self.until.as_millis().to_be_bytes());
        bytes.extend_from_slice(self.lineage.as_bytes());
        bytes.push(self.epoch.is_some().into());
        bytes.extend_from_slice(self.epoch.unwrap_or_default().as_bytes());
        // At most MAX_SESSION_ID.
        bytes.push(id.len() as u8);
        bytes.extend_from_slice(id);
        bytes.extend_from_slice(self.value.as_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (until, rest) = bytes.split_first_chunk::<8>()?;
        let (lineage, rest) = rest.split_first_chunk::<{ Nonce::LEN }>()?;
        let (&has_epoch, rest) = rest.split_first()?;
        let (epoch, rest) = rest.split_first_chunk::<{ Nonce::LEN }>()?;
        let (&len, rest) = rest.split_first()?;
        let (id, value) = rest.split_at_checked(len.into())?;
        Some(Self {
            id: SessionId::from_bytes(id)?,
            until: UnixTime::from_millis(u64::from_be_bytes(*until)),
            lineage: Nonce::from_bytes(*lineage),
            epoch: (has_epoch == 1).then_some(Nonce::from_bytes(*epoch)),
            value: Value::from(value),
        })
    }
}

/// How it is kept from being read, or only from being changed.
///
/// A readable one is format (1 byte, 2), key id (1), HMAC-SHA-256 tag over both and what follows (32), and the plain bytes.
pub(super) enum Sealing {
    Encrypted { sealers: Box<Sealers>, context: Vec<u8> },
    Readable(Macs),
}

impl Sealing {
    const ENCRYPTED: u8 = 1;
    const READABLE: u8 = 2;
    const TAG: usize = 32;
    /// The shortest text that can be one.
    const MIN_TEXT: usize = 80;

    pub(super) fn new(is_readable: bool, ring: &Keyring, engine: &str, cookie: &str) -> Self {
        let names = [engine.as_bytes(), cookie.as_bytes()];
        if is_readable {
            return Self::Readable(Macs::new(ring, &[b"cloakroom readable cookie v1", names[0], names[1]]));
        }
        let sealing: &[&[u8]] = &[b"cloakroom sealed cookie v1", names[0], names[1]];
        let nonces: &[&[u8]] = &[b"cloakroom cookie nonce v1", names[0], names[1]];
        let sealers = Sealers::new(ring, b"cloakroom sealed cookie\0", Self::ENCRYPTED, [sealing, nonces]);
        let context = names.iter().flat_map(|name| [&(name.len() as u64).to_be_bytes()[..], name].concat()).collect();
        Self::Encrypted { sealers: Box::new(sealers), context }
    }

    /// The most characters that a record of so many bytes becomes.
    pub(super) fn text_len(record: usize) -> usize {
        // What is added to a readable one is more: two bytes and a tag of 32.
        ((2 + Self::TAG).max(Sealers::OVERHEAD) + Inside::OVERHEAD + record).saturating_mul(4).div_ceil(3)
    }

    pub(super) fn is_well_formed(text: &[u8]) -> bool {
        let is_url_safe = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let text = text.strip_prefix(b"~").unwrap_or(text);
        text.len() >= Self::MIN_TEXT && text.iter().all(is_url_safe)
    }

    pub(super) fn seal(&self, inside: &Inside) -> Option<String> {
        let plain = inside.to_bytes();
        Some(BASE64_URL_SAFE_NO_PAD.encode(match self {
            Self::Encrypted { sealers, context } => sealers.seal(context, &plain)?,
            Self::Readable(macs) => {
                let (id, mac) = macs.primary();
                let head = [Self::READABLE, id.get()];
                let tag = mac.clone().chain_update(head).chain_update(&plain).finalize().into_bytes();
                [&head, &tag[..], &plain].concat()
            }
        }))
    }

    /// Opens a text; tells with which key, and whether that one is on its way out.
    pub(super) fn open(&self, text: &[u8]) -> Result<(Inside, KeyId, bool), Refusal> {
        let raw = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| Refusal::Malformed)?;
        let (inside, id, primary) = match self {
            Self::Encrypted { sealers, context } => {
                let (plain, id) = sealers.open(context, &raw)?;
                (Inside::from_bytes(&plain), id, sealers.primary())
            }
            Self::Readable(macs) => {
                let (head, rest) = raw.split_first_chunk::<2>().ok_or(Refusal::Malformed)?;
                let (tag, plain) = rest.split_at_checked(Self::TAG).ok_or(Refusal::Malformed)?;
                if head[0] != Self::READABLE {
                    return Err(Refusal::Malformed);
                }
                let id = KeyId::new(head[1]);
                let mac = macs.get(id).ok_or(Refusal::UnknownKey(id))?;
                mac.clone().chain_update(head).chain_update(plain).verify_slice(tag).map_err(|_| Refusal::Forged)?;
                (Inside::from_bytes(plain), id, macs.primary().0)
            }
        };
        Ok((inside.ok_or(Refusal::Malformed)?, id, id != primary))
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encrypted { sealers, .. } => f.debug_tuple("Encrypted").field(sealers).finish(),
            Self::Readable(macs) => f.debug_tuple("Readable").field(macs).finish(),
        }
    }
}
