use cloakroom_core::{Codec, DecodeError, Entry, JsonCodec, SealedCodec, StoreKey, Value};

use super::{
    entry::{built, key, parts},
    number, reference, ring,
};

/// Any bytes are refused or read as `serde_json` does, values and unknown fields to the byte. Nothing made up is
/// authentic. What was encoded comes back, as plain JSON and sealed.
pub fn record(data: &[u8]) {
    let value = Value::from(data.to_vec());
    let opened = SealedCodec::new(&ring(1), "app").decode(&key(0), &value);
    assert_eq!(opened.map(|_| ()), Err(DecodeError::NotAuthentic), "nothing made up is authentic");
    let decoded = JsonCodec.decode(&key(0), &value);
    let expected = reference::decode(data).map(|entry| parts(&entry));
    assert_eq!(decoded.as_ref().map(parts).map_err(Clone::clone), expected, "it is read as by serde_json");
    if let Ok(entry) = decoded {
        comes_back(&entry, data);
    }
    comes_back(&built(data), data);
}

/// Reads the same JSON in another form.
fn reads_otherwise(entry: &Entry, json: &[u8]) {
    let inner = matches!(entry, Entry::Record(_)).then_some("data");
    let other = reference::otherwise(str::from_utf8(json).expect("JSON is UTF-8"), inner);
    let read = JsonCodec.decode(&key(0), &Value::from(other.into_bytes())).expect("it is the same JSON");
    let sorted = |entry: &Entry| {
        let (envelope, mut values) = parts(entry);
        values.sort();
        (envelope, values)
    };
    assert_eq!(sorted(&read), sorted(entry), "neither blanks nor order nor escapes count");
}

/// Writes the entry and reads it.
fn comes_back(entry: &Entry, changes: &[u8]) {
    let sealed = SealedCodec::new(&ring(1), "app");
    let json = JsonCodec.encode(&key(0), entry).expect("an entry encodes");
    let again = JsonCodec.decode(&key(0), &Value::from(json.clone())).expect("what is written is read");
    assert_eq!(parts(&again), parts(entry), "an entry comes back");
    reads_otherwise(entry, &json);
    assert_eq!(JsonCodec.encode(&key(0), &again).as_ref(), Ok(&json), "an entry is written the same again");

    let mut bytes = sealed.encode(&key(0), entry).expect("an entry seals");
    let opens =
        |bytes: &[u8], key: &StoreKey| sealed.decode(key, &Value::from(bytes.to_vec())).map(|entry| parts(&entry));
    assert_eq!(opens(&bytes, &key(0)), Ok(parts(entry)), "a sealed entry opens");
    assert_eq!(opens(&bytes, &key(1)), Err(DecodeError::NotAuthentic), "no entry opens under another key");
    let at = number(&mut &changes[..]) as usize % bytes.len();
    bytes[at] ^= changes.last().copied().unwrap_or(0).max(1);
    assert_eq!(opens(&bytes, &key(0)), Err(DecodeError::NotAuthentic), "no changed entry opens");
}
