//! The demo's two users and their passwords.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use cloakroom_core::Keyring;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// Somebody who can sign in.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum User {
    Alice,
    Bob,
}

impl User {
    const ALL: [Self; 2] = [Self::Alice, Self::Bob];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Alice => "alice",
            Self::Bob => "bob",
        }
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The passwords. The first ones follow from the ring, so that processes with one ring agree; one that was changed is known to
/// this process alone.
pub(super) struct Users {
    mac: Hmac<Sha256>,
    credentials: Mutex<[Credential; 2]>,
}

/// What a password is checked against.
///
/// A keyed digest is enough for passwords that are random. Those that people choose need a slow one, such as Argon2id, and a
/// limit of the attempts.
#[derive(Clone, Copy)]
struct Credential {
    digest: [u8; 32],
    /// How often it was changed.
    changes: u64,
}

/// A password was right, at that time.
#[derive(Clone, Copy)]
#[must_use = "sign the user in, or go on with what needs it"]
pub(super) struct Proof {
    user: User,
    changes: u64,
}

impl Proof {
    pub(super) fn user(self) -> User {
        self.user
    }
}

impl Users {
    /// Characters of a password that somebody chooses (ASVS 5.0, 6.2.1 and 6.2.9).
    pub(super) const MIN_PASSWORD: usize = 8;
    pub(super) const MAX_PASSWORD: usize = 128;

    /// Makes the users of a ring.
    pub(super) fn of(keys: &Keyring) -> anyhow::Result<Self> {
        let secret = keys.primary().dangerous_entry(true);
        let mac = Hmac::new_from_slice(secret.as_bytes()).context("no passwords from this ring")?;
        let first = |user| Credential { digest: digest(&mac, user, &password(&mac, user)), changes: 0 };
        let credentials = Mutex::new(User::ALL.map(first));
        Ok(Self { mac, credentials })
    }

    /// Returns who signs in with what at first.
    pub(super) fn passwords(&self) -> impl Iterator<Item = (User, String)> {
        User::ALL.into_iter().map(|user| (user, password(&self.mac, user)))
    }

    /// Checks a password. It takes as long for a user that there is not, and says the same.
    pub(super) fn check(&self, name: &str, password: &str) -> Option<Proof> {
        let known = User::ALL.into_iter().find(|user| user.name() == name);
        let user = known.unwrap_or(User::Alice);
        let credential = self.credential(user);
        let is_right = bool::from(digest(&self.mac, user, password).ct_eq(&credential.digest));
        (is_right && known.is_some()).then_some(Proof { user, changes: credential.changes })
    }

    /// Tells whether the password that was right still is.
    pub(super) fn holds(&self, proof: Proof) -> bool {
        self.credential(proof.user).changes == proof.changes
    }

    /// Tells whether a text may become a password.
    pub(super) fn fits(password: &str) -> bool {
        (Self::MIN_PASSWORD..=Self::MAX_PASSWORD).contains(&password.chars().count())
    }

    /// Changes a password.
    pub(super) fn change(&self, user: User, password: &str) {
        let digest = digest(&self.mac, user, password);
        let mut credentials = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
        let credential = &mut credentials[user as usize];
        *credential = Credential { digest, changes: credential.changes + 1 };
    }

    fn credential(&self, user: User) -> Credential {
        self.credentials.lock().unwrap_or_else(PoisonError::into_inner)[user as usize]
    }
}

fn password(mac: &Hmac<Sha256>, user: User) -> String {
    let mac = mac.clone().chain_update(b"cloakroom demo password v1\0").chain_update(user.name());
    // 96 bits, 16 characters.
    BASE64_URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes()[..12])
}

fn digest(mac: &Hmac<Sha256>, user: User, password: &str) -> [u8; 32] {
    let mac = mac.clone().chain_update(b"cloakroom demo digest v1\0").chain_update(user.name()).chain_update(b"\0");
    mac.chain_update(password).finalize().into_bytes().into()
}
