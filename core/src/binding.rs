//! Sessions that open only for clients like the one that they were made for.
//!
//! What is kept of the client is a keyed digest, in the record. It makes a stolen ticket worth less, at a price: a client
//! that changes its network or its browser loses its session. No standard asks for it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::Mac as _;
use sha2::{Digest, Sha256};

use crate::{
    keyring::{KeyId, Keyring},
    macs::Macs,
    request::RequestInfo,
};

/// What a session is bound to; by default the client's address: an IPv4 one wholly, of an IPv6 one the first 64 bits.
///
/// A part that the server does not know counts as a value of its own: leaving a header out does not switch the check
/// off. Sessions from before the engine had a binding open until they end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use = "hand it to `EngineBuilder::bind_to`"]
pub struct Binding {
    address: Option<(u8, u8)>,
    user_agent: bool,
    bytes: bool,
    mismatch: Mismatch,
}

/// What happens to a session whose ticket comes from a client that is not like its own.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "the session lives on or ends")]
pub enum Mismatch {
    /// The ticket opens nothing, and the session lives on.
    #[default]
    Refuse,
    /// The ticket opens nothing, and the session ends: also for a client that changed its network.
    RefuseAndDestroy,
}

impl Binding {
    /// Binds to the client's address: an IPv4 one wholly, of an IPv6 one the first 64 bits.
    pub fn new() -> Self {
        Self { address: Some((32, 64)), user_agent: false, bytes: false, mismatch: Mismatch::Refuse }
    }

    /// Sets how many leading bits of an address count, at most 32 and 128.
    pub fn address_prefix(mut self, v4: u8, v6: u8) -> Self {
        self.address = Some((v4.min(32), v6.min(128)));
        self
    }

    /// Leaves the address out.
    pub fn any_address(mut self) -> Self {
        self.address = None;
        self
    }

    /// Binds to the `User-Agent` header, too.
    pub fn user_agent(mut self) -> Self {
        self.user_agent = true;
        self
    }

    /// Binds to bytes of the application's, too: see [`RequestInfo::binding`].
    pub fn bytes(mut self) -> Self {
        self.bytes = true;
        self
    }

    /// Sets what happens on a mismatch; by default the session lives on.
    pub fn on_mismatch(mut self, mismatch: Mismatch) -> Self {
        self.mismatch = mismatch;
        self
    }
}

impl Default for Binding {
    fn default() -> Self {
        Self::new()
    }
}

/// A binding with its keys.
#[derive(Debug)]
pub(crate) struct Binder {
    binding: Binding,
    macs: Macs,
}

/// What a request's client is like: a digest, inline, so that noting it allocates nothing.
#[derive(Clone, Copy)]
pub(crate) struct Client([u8; 32]);

impl Binder {
    pub(crate) fn new(binding: Binding, ring: &Keyring, engine: &str) -> Self {
        Self { binding, macs: Macs::new(ring, &[b"cloakroom binding v1", engine.as_bytes()]) }
    }

    pub(crate) fn destroys(&self) -> bool {
        self.binding.mismatch == Mismatch::RefuseAndDestroy
    }

    pub(crate) fn client(&self, request: &RequestInfo<'_>) -> Client {
        let Binding { address, user_agent, bytes, .. } = self.binding;
        let mut digest = Sha256::new();
        let mut part = |value: Option<&[u8]>| {
            // A length that no value has stands for one that is not known.
            digest.update(value.map_or(u64::MAX, |value| value.len() as u64).to_be_bytes());
            digest.update(value.unwrap_or_default());
        };
        if let Some(prefix) = address {
            let octets = request.known_address().map(|address| masked(address, prefix));
            part(octets.as_ref().map(|(octets, len)| &octets[..*len]));
        }
        if user_agent {
            part(request.known_user_agent());
        }
        if bytes {
            part(request.known_binding());
        }
        Client(digest.finalize().into())
    }

    pub(crate) fn bind(&self, client: Client) -> Bound {
        let (key, mac) = self.macs.primary();
        let tag = mac.clone().chain_update(client.0).finalize().into_bytes();
        let mut digest = [0; Bound::LEN];
        digest.copy_from_slice(&tag[..Bound::LEN]);
        Bound { key: *key, digest }
    }

    pub(crate) fn matches(&self, bound: &Bound, client: Client) -> bool {
        let mac = self.macs.get(bound.key);
        mac.is_some_and(|mac| mac.clone().chain_update(client.0).verify_truncated_left(&bound.digest).is_ok())
    }
}

/// The leading bits of an address, and how many bytes they are.
fn masked(address: IpAddr, (v4, v6): (u8, u8)) -> ([u8; 16], usize) {
    let mut octets = [0; 16];
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(v4)).unwrap_or(0);
            octets[..4].copy_from_slice(&Ipv4Addr::from_bits(address.to_bits() & mask).octets());
            (octets, 4)
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(v6)).unwrap_or(0);
            octets.copy_from_slice(&Ipv6Addr::from_bits(address.to_bits() & mask).octets());
            (octets, 16)
        }
    }
}

/// What a record keeps of the client that it is bound to: a keyed digest, and the id of the key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bound {
    key: KeyId,
    digest: [u8; Self::LEN],
}

impl Bound {
    const LEN: usize = 16;
    const TEXT_LEN: usize = 23;

    /// Reads the text that [`Bound::to_text`] writes.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut raw = [0; 1 + Self::LEN];
        let len = BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut raw).ok()?;
        let mut digest = [0; Self::LEN];
        digest.copy_from_slice(&raw[1..]);
        (len == raw.len()).then_some(Self { key: KeyId::new(raw[0]), digest })
    }

    /// Writes it as base64url of the key id and the digest.
    pub fn to_text(&self) -> String {
        let mut raw = [0; 1 + Self::LEN];
        raw[0] = self.key.get();
        raw[1..].copy_from_slice(&self.digest);
        let mut text = String::with_capacity(Self::TEXT_LEN);
        BASE64_URL_SAFE_NO_PAD.encode_string(raw, &mut text);
        text
    }
}
