//! What has to be done at least, as straight code.

use anyhow::{Context as _, bail};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use cloakroom_core::cookie::{CookieName, Scanner};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// The prepared states.
pub struct Bare {
    scanner: Scanner,
    mac: Hmac<Sha256>,
    key: Sha256,
}

impl Bare {
    /// Prepares what the core prepares of a ring of one key.
    pub fn new(secret: &[u8], name: &CookieName) -> Self {
        Self {
            scanner: Scanner::new(name),
            mac: mac_of(secret, name.as_str().as_bytes()),
            key: prefixed(b"cloakroom store key v1", b"main"),
        }
    }

    /// From the line to the store key: scan, base64, HMAC, SHA-256.
    pub fn store_key(&self, line: &str) -> anyhow::Result<Vec<u8>> {
        self.key_chars(line).map(|chars| [b"cloakroom:".as_slice(), &chars].concat())
    }

    /// The same without the prefix, which is known before.
    pub fn key_chars(&self, line: &str) -> anyhow::Result<[u8; 22]> {
        let mut found = None;
        let _ = self.scanner.scan([line.as_bytes()], |value| found = Some(value));
        let mut raw = [0; 33];
        if BASE64.decode_slice(found.context("no cookie")?, &mut raw) != Ok(33) {
            bail!("no token");
        }
        if self.mac.clone().chain_update(&raw[..17]).verify_truncated_left(&raw[17..]).is_err() {
            bail!("forged");
        }
        let (mut state, mut digest) = (self.key.clone(), Default::default());
        state.update(16u64.to_be_bytes());
        state.update(&raw[1..17]);
        // In place, which is faster than by value.
        state.finalize_into_reset(&mut digest);
        let mut chars = [0; 22];
        // 16 bytes are 22 characters.
        let _ = BASE64.encode_slice(&digest[..16], &mut chars);
        Ok(chars)
    }
}

/// What one writes without much thought: pieces between semicolons, trimmed, up to the first `=`.
pub fn naive_scan<'h>(line: &'h [u8], name: &[u8], mut found: impl FnMut(&'h [u8])) {
    for pair in line.split(|byte| *byte == b';') {
        let Some(at) = pair.iter().position(|byte| *byte == b'=') else { continue };
        if trim(&pair[..at]) == name {
            found(trim(&pair[at + 1..]));
        }
    }
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

fn mac_of(secret: &[u8], cookie: &[u8]) -> Hmac<Sha256> {
    let mut info = Vec::new();
    for part in [b"cloakroom token v1".as_slice(), b"main", cookie] {
        info.extend_from_slice(&(part.len() as u64).to_be_bytes());
        info.extend_from_slice(part);
    }
    let mut key = [0; 64];
    Hkdf::<Sha256>::new(None, secret).expand(&info, &mut key).expect("64 bytes can be had");
    Hmac::new((&key).into())
}

fn prefixed(domain: &[u8], engine: &[u8]) -> Sha256 {
    let mut block = Vec::new();
    for part in [domain, engine] {
        block.extend_from_slice(&(part.len() as u64).to_be_bytes());
        block.extend_from_slice(part);
    }
    block.resize(block.len().next_multiple_of(64), 0);
    Sha256::new_with_prefix(block)
}
