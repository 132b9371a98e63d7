//! Keyed MACs, one for each key of a ring.

use core::fmt;

use hmac::{Hmac, KeyInit as _};
use sha2::Sha256;

use crate::keyring::{Key, KeyId, Keyring, derive};

/// The MAC keys of one purpose, derived from a ring's and prepared once.
pub(crate) struct Macs {
    primary: (KeyId, Hmac<Sha256>),
    accepted: Vec<(KeyId, Hmac<Sha256>)>,
}

impl Macs {
    pub(crate) fn new(ring: &Keyring, purpose: &[&[u8]]) -> Self {
        let prepare = |key: &Key| (key.id(), Hmac::new((&*derive::<64>(key, purpose)).into()));
        Self { primary: prepare(ring.primary()), accepted: ring.accepted().map(prepare).collect() }
    }

    /// Returns the one that signs, and the id of its key.
    pub(crate) fn primary(&self) -> &(KeyId, Hmac<Sha256>) {
        &self.primary
    }

    /// Returns that of a key; no other is tried.
    pub(crate) fn get(&self, id: KeyId) -> Option<&Hmac<Sha256>> {
        let mut macs = core::iter::once(&self.primary).chain(&self.accepted);
        macs.find(|(known, _)| *known == id).map(|(_, mac)| mac)
    }
}

impl fmt::Debug for Macs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accepted: Vec<_> = self.accepted.iter().map(|(id, _)| id).collect();
        f.debug_struct("Macs").field("primary", &self.primary.0).field("accepted", &accepted).finish()
    }
}
