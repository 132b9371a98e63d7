//! Versions as strong `ETag`s.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use cloakroom_core::Version;
use cloakroom_http::protocol;
use sha2::{Digest as _, Sha256};

/// The longest version of bytes that is told as it is. Longer ones may be the value itself.
const MAX_PLAIN: usize = 32;

/// What an `ETag` begins with, in its first byte.
const NUMBER: u8 = 0;
const PLAIN: u8 = 1;
const DIGEST: u8 = 2;

/// A version as a client hands it back.
#[derive(Debug, PartialEq)]
pub(super) enum Etag {
    /// The digest of a version, which has to be looked up.
    Digest([u8; 32]),
    /// What no version here looks like.
    Foreign,
    Version(Version),
}

impl Etag {
    /// Writes a version, in quotes.
    pub(super) fn write(version: &Version) -> String {
        let bytes = match (version.as_u64(), version.as_bytes().unwrap_or_default()) {
            (Some(number), _) => [&[NUMBER][..], &number.to_be_bytes()].concat(),
            (None, bytes) if bytes.len() <= MAX_PLAIN => [&[PLAIN][..], bytes].concat(),
            (None, bytes) => [&[DIGEST][..], &Sha256::digest(bytes)].concat(),
        };
        format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads one strong `ETag`; `None` for whatever else `If-Match` may say.
    pub(super) fn read(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(protocol::unquote(text)?).unwrap_or_default();
        Some(match bytes.split_first() {
            Some((&NUMBER, number)) => match number.try_into() {
                Ok(number) => Self::Version(Version::from_u64(u64::from_be_bytes(number))),
                Err(_) => Self::Foreign,
            },
            Some((&PLAIN, bytes)) if bytes.len() <= MAX_PLAIN => Self::Version(Version::from_bytes(bytes)),
            Some((&DIGEST, digest)) => digest.try_into().map_or(Self::Foreign, Self::Digest),
            _ => Self::Foreign,
        })
    }

    /// Tells whether it is that of a version.
    pub(super) fn is_of(&self, version: &Version) -> bool {
        match self {
            Self::Digest(digest) => {
                let bytes = version.as_bytes().filter(|bytes| bytes.len() > MAX_PLAIN);
                bytes.is_some_and(|bytes| Sha256::digest(bytes)[..] == digest[..])
            }
            Self::Foreign => false,
            Self::Version(own) => own == version,
        }
    }
}

#[cfg(test)]
mod tests {
    use cloakroom_core::Version;

    use super::Etag;

    #[test]
    fn a_version_comes_back_or_is_recognized() {
        for version in [
            Version::from_u64(0),
            Version::from_u64(u64::MAX),
            Version::from_bytes(&b""[..]),
            Version::from_bytes(&[0; 8][..]),
            Version::from_bytes(&[255; 32][..]),
        ] {
            let etag = Etag::read(&Etag::write(&version)).unwrap();
            assert_eq!(etag, Etag::Version(version.clone()));
            assert!(etag.is_of(&version));
        }
        let long = Version::from_bytes(vec![7; 1 << 20]);
        let written = Etag::write(&long);
        assert!(written.len() < 64, "{written}");
        let etag = Etag::read(&written).unwrap();
        assert!(matches!(etag, Etag::Digest(_)) && etag.is_of(&long));
        assert!(!etag.is_of(&Version::from_bytes(vec![8; 1 << 20])));
    }

    #[test]
    fn versions_that_look_alike_are_told_apart() {
        let versions = [
            Version::from_u64(1),
            Version::from_u64(256),
            Version::from_bytes(&1_u64.to_be_bytes()[..]),
            Version::from_bytes(&[0, 0, 0, 0, 0, 0, 0, 0, 1][..]),
            Version::from_bytes(&b""[..]),
            Version::from_bytes(vec![0; 33]),
            Version::from_bytes(vec![0; 34]),
        ];
        for (a, one) in versions.iter().enumerate() {
            let etag = Etag::read(&Etag::write(one)).unwrap();
            for (b, other) in versions.iter().enumerate() {
                assert_eq!(etag.is_of(other), a == b, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn what_no_version_looks_like_is_foreign() {
        for text in ["\"a\"", "\"AA\"", "\"Aw\"", "\"!\"", "\"AAAAAAAAAAAAAA\"", "\"AgAA\""] {
            assert_eq!(Etag::read(text), Some(Etag::Foreign), "{text}");
        }
        for text in ["*", "a", "W/\"AQ\"", "\"AQ\", \"AQ\"", "\"\"", ""] {
            assert_eq!(Etag::read(text), None, "{text}");
        }
    }
}
