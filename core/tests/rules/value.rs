//! Stored bytes and versions: what was put in comes out.

use cloakroom_core::{Value, Version};

#[test]
fn a_value_is_its_bytes() {
    for bytes in [&b""[..], b"\0", b"some bytes"] {
        let value = Value::from(bytes);
        assert_eq!((value.as_bytes(), value.len(), value.is_empty()), (bytes, bytes.len(), bytes.is_empty()));
        assert_eq!(AsRef::<[u8]>::as_ref(&value), bytes);
        assert_eq!(value, Value::from(bytes.to_vec()));
    }
}

#[test]
fn a_version_is_what_it_was_made_of() {
    let (number, bytes) = (Version::from_u64(7), Version::from_bytes(&b"seven"[..]));
    assert_eq!((number.as_u64(), number.as_bytes()), (Some(7), None));
    assert_eq!((bytes.as_u64(), bytes.as_bytes()), (None, Some(&b"seven"[..])));
    assert_ne!(number, bytes);
    assert_ne!(number, Version::from_u64(8));
}
