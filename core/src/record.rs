//! What is stored under a key: a record, a pointer to its successor, or a tombstone.

use core::{array, fmt, time::Duration};

use crate::{
    binding::Bound, data::Data, id::StoreKey, json::Json, lifetime::Lifetime, limits::NONCES_KEPT, principal::SignIn,
    time::UnixTime,
};

/// Anything that the protocol stores under a key.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_enums, reason = "these three are the protocol; a codec must know them all")]
pub enum Entry {
    /// The session ended: nothing opens under this key any more.
    Ended(Ended),
    /// The session has a new id.
    Moved(Moved),
    /// A live session.
    Record(Box<Record>),
}

/// A live session: its data and what the engine must know of it.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Record {
    /// When the session was made; a renewal keeps it.
    pub created: UnixTime,
    /// The absolute deadline: the session is over then, however much it was used.
    pub deadline: UnixTime,
    /// The idle length: the session is over when nobody used it for that long.
    pub idle: Duration,
    /// Its cookie outlives the browser session.
    pub persistent: bool,
    /// When this id was minted.
    pub issued: UnixTime,
    /// What this session and those that it was renewed or elevated to have in common, and no other has.
    pub lineage: Nonce,
    /// The client that it is bound to.
    pub binding: Option<Bound>,
    /// Who is signed in.
    pub sign_in: Option<SignIn>,
    /// How many commits changed the session.
    pub commits: u64,
    /// The nonces of the last commits, newest last.
    pub nonces: Nonces,
    /// The key that leads here, until its pointer is closed or its tombstone was seen.
    pub predecessor: Option<StoreKey>,
    /// The application's schema number.
    pub schema: u32,
    /// The application's data.
    pub data: Data,
    /// Envelope fields that this version does not know; they are written back as they are.
    pub unknown: Unknown,
}

impl Record {
    /// Makes an empty record that starts to live at `now`.
    pub fn new(now: UnixTime, lifetime: Lifetime) -> Self {
        Self {
            created: now,
            deadline: now.saturating_add(lifetime.absolute()),
            idle: lifetime.idle(),
            persistent: lifetime.is_persistent(),
            issued: now,
            lineage: Nonce::default(),
            binding: None,
            sign_in: None,
            commits: 0,
            nonces: Nonces::default(),
            predecessor: None,
            schema: 0,
            data: Data::new(),
            unknown: Unknown::default(),
        }
    }
}

/// A pointer: the session's new key. It holds no data.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "codecs of others build it")]
pub struct Moved {
    /// Where the session went.
    pub to: StoreKey,
    /// When the pointer stops opening the session; open until the successor's ticket was first presented.
    pub closes_at: Option<UnixTime>,
    /// Envelope fields that this version does not know.
    pub unknown: Unknown,
}

/// A tombstone: the session ended. It holds no data.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "codecs of others build it")]
pub struct Ended {
    /// The commit that ended it.
    pub by: Nonce,
    /// What ended it.
    pub cause: EndCause,
    /// When.
    pub at: UnixTime,
    /// The session of the same authority that an elevation made in its place; only an end follows it.
    pub next: Option<StoreKey>,
}

/// What ended a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "codecs of others must write them all")]
pub enum EndCause {
    /// It was destroyed.
    Destroy,
    /// It was given up for one of more authority.
    Elevation,
    /// It was given up by a login.
    Login,
}

/// The mark of one commit: 64 random bits. It is no secret.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Nonce([u8; Self::LEN]);

impl Nonce {
    /// Bytes of a nonce.
    pub const LEN: usize = 8;
    /// Characters of a nonce as text.
    pub(crate) const CHARS: usize = 11;

    /// Makes a nonce of random bytes.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Reads the text that [`fmt::Display`] writes.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::from_chars(text.as_bytes())
    }

    pub(crate) fn from_chars(text: &[u8]) -> Option<Self> {
        let chars = checked(text)?;
        // They say two bits more than there are: the last two, which are zero.
        let bits = chars.iter().fold(0, |bits, byte| bits << 6 | u128::from(VALUES[usize::from(*byte)]));
        Some(Self(((bits >> 2) as u64).to_be_bytes()))
    }

    /// Returns the characters of the text.
    pub(crate) fn chars(&self) -> [u8; Self::CHARS] {
        let bits = u128::from(u64::from_be_bytes(self.0)) << 2;
        array::from_fn(|at| CHARS[(bits >> (6 * (Self::CHARS - 1 - at))) as usize % CHARS.len()])
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // They are ASCII.
        f.write_str(str::from_utf8(&self.chars()).unwrap_or_default())
    }
}

/// The nonces of the last [`NONCES_KEPT`] commits, oldest first.
///
/// They are kept as text: every commit reads and writes all of them, and looks at none.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct Nonces {
    kept: [[u8; Nonce::CHARS]; NONCES_KEPT],
    len: u8,
}

/// The characters of base64url, in the order of what they stand for.
const CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What each byte stands for, and more than any where it is none of those.
const VALUES: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut value = 0;
    while value < CHARS.len() {
        values[CHARS[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// Returns the characters of a nonce as text; `None` where that is none.
fn checked(text: &[u8]) -> Option<&[u8; Nonce::CHARS]> {
    let chars: &[u8; Nonce::CHARS] = text.try_into().ok()?;
    let value = |byte: &u8| VALUES[usize::from(*byte)];
    // All are looked at: no branch is cheaper than many. The last two bits are beyond the nonce.
    let values = chars.iter().fold(value(&chars[Nonce::CHARS - 1]) << 6, |all, byte| all | value(byte));
    (values < 64).then_some(chars)
}

impl Nonces {
    /// Adds the newest, dropping the oldest when there are too many.
    pub fn push(&mut self, nonce: Nonce) {
        self.push_unchecked(nonce.chars());
    }

    /// Adds the newest as text; `None` where that is no nonce.
    pub(crate) fn push_chars(&mut self, text: &[u8]) -> Option<()> {
        checked(text).map(|chars| self.push_unchecked(*chars))
    }

    fn push_unchecked(&mut self, chars: [u8; Nonce::CHARS]) {
        if usize::from(self.len) == NONCES_KEPT {
            self.kept.copy_within(1.., 0);
            self.kept[NONCES_KEPT - 1] = chars;
        } else {
            self.kept[usize::from(self.len)] = chars;
            self.len += 1;
        }
    }

    /// Returns the texts, oldest first.
    pub(crate) fn texts(&self) -> &[[u8; Nonce::CHARS]] {
        &self.kept[..usize::from(self.len)]
    }

    /// Returns them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Nonce> + '_ {
        self.texts().iter().filter_map(|text| Nonce::from_chars(text))
    }

    /// Tells whether a commit is among them.
    pub fn contains(&self, nonce: Nonce) -> bool {
        self.texts().contains(&nonce.chars())
    }
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Envelope fields that this version does not know, in the order they were read.
#[derive(Clone, Debug, Default)]
pub struct Unknown(Vec<(String, Json)>);

impl Unknown {
    /// Adds a field.
    pub fn push(&mut self, name: String, value: Json) {
        self.0.push((name, value));
    }

    /// Returns the fields' names and JSON texts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

    use super::{Nonce, Nonces};
    use crate::limits::NONCES_KEPT;

    /// What base64 takes as a nonce.
    fn oracle(text: &[u8]) -> Option<Nonce> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Nonce::from_bytes)
    }

    #[test]
    fn a_nonce_is_base64url() {
        for at in 0..8 * Nonce::LEN {
            for bits in [1 << at, !(1 << at), 0x1ffe_0304_fbff_07f8_u64.rotate_left(at as u32)] {
                let nonce = Nonce::from_bytes(bits.to_be_bytes());
                let text = nonce.to_string();
                assert_eq!(text, BASE64_URL_SAFE_NO_PAD.encode(nonce.as_bytes()));
                assert_eq!(Nonce::from_text(&text), Some(nonce));
                assert_eq!(Nonce::from_text(&format!("{text}A")), None);
            }
        }
    }

    #[test]
    fn a_nonce_that_is_kept_as_text_is_one() {
        let text = Nonce::from_bytes([0x1f, 0xfe, 3, 4, 0xfb, 0xff, 7, 0xf8]).to_string().into_bytes();
        let mut taken = 0;
        for at in 0..text.len() {
            for byte in 0..=u8::MAX {
                let mut other = text.to_vec();
                other[at] = byte;
                let mut nonces = Nonces::default();
                let is_taken = nonces.push_chars(&other).is_some();
                assert_eq!(Nonce::from_chars(&other), oracle(&other), "{}", other.escape_ascii());
                assert_eq!(nonces.iter().next(), oracle(&other), "{}", other.escape_ascii());
                taken += usize::from(is_taken);
            }
            assert_eq!((Nonce::from_chars(&text[..at]), Nonces::default().push_chars(&text[..at])), (None, None));
        }
        assert_eq!(taken, 10 * 64 + 16);
    }

    #[test]
    fn the_last_ones_are_kept() {
        let nonce = |n: usize| Nonce::from_bytes((n as u64).to_be_bytes());
        let mut nonces = Nonces::default();
        for n in 0..3 * NONCES_KEPT {
            nonces.push(nonce(n));
            let first = (n + 1).saturating_sub(NONCES_KEPT);
            assert!(nonces.iter().eq((first..=n).map(nonce)), "{n}");
            assert!(nonces.contains(nonce(first)) && nonces.contains(nonce(n)) && !nonces.contains(nonce(n + 1)));
            assert!(first == 0 || !nonces.contains(nonce(first - 1)));
        }
    }
}
