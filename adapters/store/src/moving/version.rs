//! Versions of the two stores, told apart.

use cloakroom_core::Version;

/// Where a version was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// In the old store, where writes still go to it.
    Old,
    /// In the old store, where nothing but the move goes on.
    Frozen,
    /// In the new store.
    New,
}

const PLACES: [Place; 3] = [Place::Old, Place::Frozen, Place::New];
/// What a version was made of.
const NUMBER: u8 = 0;
const BYTES: u8 = 1;

impl Place {
    /// Names a version of this place for both stores: the place, what it was made of, and that.
    pub(super) fn tag(self, version: &Version) -> Version {
        let number = version.as_u64().map(u64::to_le_bytes);
        let (kind, bytes) = match (&number, version.as_bytes()) {
            (Some(number), _) => (NUMBER, number.as_slice()),
            (None, bytes) => (BYTES, bytes.unwrap_or_default()),
        };
        Version::from_bytes([&[self as u8, kind], bytes].concat())
    }

    /// Takes a version apart; `None` where it was not made here.
    pub(super) fn untag(version: &Version) -> Option<(Self, Version)> {
        let (&[place, kind], bytes) = version.as_bytes()?.split_first_chunk()?;
        let version = match kind {
            NUMBER => Version::from_u64(u64::from_le_bytes(bytes.try_into().ok()?)),
            BYTES => Version::from_bytes(bytes),
            _ => return None,
        };
        PLACES.into_iter().find(|known| *known as u8 == place).map(|place| (place, version))
    }
}

#[cfg(test)]
mod tests {
    use cloakroom_core::Version;

    use super::{PLACES, Place};

    #[test]
    fn versions_come_back_and_never_meet() {
        let versions = [
            Version::from_u64(0),
            Version::from_u64(u64::MAX),
            Version::from_bytes(vec![]),
            Version::from_bytes(0_u64.to_le_bytes().to_vec()),
            Version::from_bytes(b"value".to_vec()),
        ];
        let mut tagged = Vec::new();
        for place in PLACES {
            for version in &versions {
                let tag = place.tag(version);
                assert_eq!(Place::untag(&tag), Some((place, version.clone())));
                assert!(!tagged.contains(&tag));
                tagged.push(tag);
            }
        }
    }

    #[test]
    fn what_was_not_made_here_is_none() {
        for bytes in [&b""[..], b"\0", b"\x03\x0012345678", b"\x00\x02x", b"\x00\x00short", b"\x00\x00123456789"] {
            assert_eq!(Place::untag(&Version::from_bytes(bytes)), None, "{bytes:?}");
        }
        assert_eq!(Place::untag(&Version::from_u64(1)), None);
    }
}
