//! Which slot of a cluster a key belongs to.

/// The number of slots of every cluster.
pub(crate) const SLOTS: u16 = 16384;

/// Returns the slot of a key: CRC-16/XMODEM of what stands between its first braces, or of the whole of it where nothing does
/// (Redis cluster specification, "Hash tags").
pub(crate) fn of(key: &[u8]) -> u16 {
    let tagged = key.iter().position(|&byte| byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        rest.iter().position(|&byte| byte == b'}').filter(|&len| len > 0).map(|len| &rest[..len])
    });
    crc16(tagged.unwrap_or(key)) % SLOTS
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| match crc & 0x8000 {
            0 => crc << 1,
            _ => (crc << 1) ^ 0x1021,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{SLOTS, crc16, of};

    #[test]
    fn the_checksum_is_that_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(crc16(b""), 0);
    }

    #[test]
    fn the_first_braces_with_something_between_make_the_slot() {
        // As `CLUSTER KEYSLOT` answers.
        assert_eq!(of(b"foo"), 12182);
        assert_eq!(of(b"{user1000}.following"), of(b"user1000"));
        assert_eq!(of(b"foo{bar}{zap}"), of(b"bar"));
        assert_eq!(of(b"foo{{bar}}zap"), of(b"{bar"));
        for whole in [&b"foo{}{bar}"[..], b"foo{bar"] {
            assert_eq!(of(whole), crc16(whole) % SLOTS);
        }
    }
}
