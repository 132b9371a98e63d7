//! Stored bytes, versions, keys and JSON texts: what was put in comes out.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use cloakroom_core::{
    HashedKeys, InvalidStoreKey, Json, KeyScheme as _, Principal, ReplayError, SessionId, StoreKey, Value, Version,
    limits,
};
use serde::{Serialize, Serializer};

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

#[test]
fn a_store_key_of_any_length_is_what_it_was_made_of() {
    for len in 0..200 {
        let text: String = ('!'..='~').cycle().take(len).collect();
        let key = StoreKey::new(&text);
        assert_eq!(key.is_ok(), (1..=limits::MAX_STORE_KEY).contains(&len), "{len}");
        let Ok(key) = key else { continue };
        assert_eq!((key.as_str(), key.as_bytes()), (&*text, text.as_bytes()));
        assert_eq!(key.clone(), key);
    }
    assert_eq!(size_of::<Option<StoreKey>>(), 48);
    // Short ones, which are kept in place, and long ones are one order, and as equal as their texts.
    let texts: Vec<_> = (1..=60).flat_map(|len| ["a", "b"].map(|text| text.repeat(len))).collect();
    let keys: Vec<_> = texts.iter().map(|text| StoreKey::new(text).unwrap()).collect();
    for ((a, one), (b, other)) in texts.iter().zip(&keys).flat_map(|one| texts.iter().zip(&keys).map(move |b| (one, b)))
    {
        assert_eq!((one.cmp(other), one == other), (a.cmp(b), a == b));
    }
    assert_eq!(keys.iter().cloned().collect::<BTreeSet<_>>().len(), keys.len());
    for text in ["a b", "\u{e9}", "a\n", &"\u{e9}".repeat(30)] {
        assert_eq!(StoreKey::new(text), Err(InvalidStoreKey), "{text:?}");
    }
}

#[test]
fn keys_differ_by_id_alone_whatever_their_prefix() {
    let [one, two] = [[1; 16], [2; 16]].map(|bytes| SessionId::from_bytes(&bytes).unwrap());
    let native = HashedKeys::new("main", "").unwrap();
    let rest = limits::MAX_STORE_KEY - native.store_key(&one).as_str().len() - "user:".len();
    for len in 0..=rest {
        let prefix: String = ('a'..='z').cycle().take(len).collect();
        let scheme = HashedKeys::new("main", &prefix).unwrap();
        // In turn: a key that is made leaves the scheme as it was, and the key before.
        let made = [&one, &two, &one].map(|id| scheme.store_key(id));
        let expected = [&one, &two, &one].map(|id| format!("{prefix}{}", native.store_key(id).as_str()));
        assert_eq!(made.each_ref().map(StoreKey::as_str), expected.each_ref().map(String::as_str));
        assert_ne!(made[0], made[1]);
        let index = |scheme: &HashedKeys| scheme.index_key(&Principal::of("ada").unwrap()).as_str().to_owned();
        assert_eq!(index(&scheme), format!("{prefix}{}", index(&native)));
    }
    assert!(HashedKeys::new("main", &"a".repeat(rest + 1)).is_err());
}

#[test]
fn json_of_any_length_is_what_serde_json_writes() {
    for len in 0..200 {
        let text = "\u{e9}\"".repeat(len / 2) + &"x".repeat(len % 2);
        assert_eq!(Json::of(&text).unwrap().as_str(), serde_json::to_string(&text).unwrap());
        let list = vec![u64::MAX; len / 9];
        assert_eq!(Json::of(&list).unwrap().as_str(), serde_json::to_string(&list).unwrap());
    }
    let odd = BTreeMap::from([((1, 2), 3)]);
    assert_eq!(Json::of(&odd).err(), Some(ReplayError::NotJson), "no key of JSON");
    assert_eq!(Json::parse(" [1, 2] ").unwrap().as_str(), "[1, 2]");
    assert_eq!(serde_json::to_string(&[Json::parse("{\"a\": 1e400}").unwrap()]).unwrap(), "[{\"a\": 1e400}]");
}

#[test]
fn a_value_is_asked_once_for_its_json() {
    struct Counted<'a>(&'a Cell<usize>, usize);
    impl Serialize for Counted<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.set(self.0.get() + 1);
            serializer.collect_str(&"x".repeat(self.1))
        }
    }
    for len in [0, 10, 62, 63, 200, 70_000] {
        let asked = Cell::new(0);
        assert_eq!(Json::of(&Counted(&asked, len)).unwrap().as_str().len(), len + 2);
        assert_eq!(asked.get(), 1, "{len}");
    }
}
