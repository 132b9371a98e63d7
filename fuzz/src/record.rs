use std::collections::BTreeMap;

use cloakroom_core::{Codec, DecodeError, Entry, JsonCodec, SealedCodec, StoreKey, Value};
use serde_json::value::RawValue;

use super::{
    entry::{built, key, parts},
    number, ring,
};

/// Any bytes are refused or kept: what decodes is stable, values and unknown fields to the byte. Nothing made up is
/// authentic. What was encoded comes back, as plain JSON and sealed.
pub fn record(data: &[u8]) {
    let value = Value::from(data.to_vec());
    let opened = SealedCodec::new(&ring(1), "app").decode(&key(0), &value);
    assert_eq!(opened.map(|_| ()), Err(DecodeError::NotAuthentic), "nothing made up is authentic");
    if let Ok(entry) = JsonCodec.decode(&key(0), &value) {
        let written = comes_back(&entry, data);
        if !matches!(entry, Entry::Ended(_)) {
            assert_eq!(foreign(&written), foreign(data), "values and unknown fields are kept to the byte");
        }
    }
    comes_back(&built(data), data);
}

/// What is not the codec's own in a record or a pointer, read without it.
fn foreign(json: &[u8]) -> [BTreeMap<String, String>; 2] {
    const RECORD: &str = "format kind created deadline idle persistent issued lineage binding principal since authenticated label commits \
        nonces predecessor schema data";
    let read = |json: &[u8]| -> BTreeMap<String, String> {
        let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(json).expect("an object");
        fields.into_iter().map(|(name, value)| (name, value.get().to_owned())).collect()
    };
    let mut fields = read(json);
    let is_record = serde_json::from_str::<String>(&fields["kind"]).is_ok_and(|kind| kind == "record");
    let data = if is_record { read(fields["data"].as_bytes()) } else { BTreeMap::new() };
    let own = if is_record { RECORD } else { "format kind to closes_at" };
    fields.retain(|name, _| own.split(' ').all(|known| known != name));
    [fields, data]
}

/// Returns the JSON that the entry is written as.
fn comes_back(entry: &Entry, changes: &[u8]) -> Vec<u8> {
    let sealed = SealedCodec::new(&ring(1), "app");
    let json = JsonCodec.encode(&key(0), entry).expect("an entry encodes");
    let again = JsonCodec.decode(&key(0), &Value::from(json.clone())).expect("what is written is read");
    assert_eq!(parts(&again), parts(entry), "an entry comes back");
    assert_eq!(JsonCodec.encode(&key(0), &again).as_ref(), Ok(&json), "an entry is written the same again");

    let mut bytes = sealed.encode(&key(0), entry).expect("an entry seals");
    let opens =
        |bytes: &[u8], key: &StoreKey| sealed.decode(key, &Value::from(bytes.to_vec())).map(|entry| parts(&entry));
    assert_eq!(opens(&bytes, &key(0)), Ok(parts(entry)), "a sealed entry opens");
    assert_eq!(opens(&bytes, &key(1)), Err(DecodeError::NotAuthentic), "no entry opens under another key");
    let at = number(&mut &changes[..]) as usize % bytes.len();
    bytes[at] ^= changes.last().copied().unwrap_or(0).max(1);
    assert_eq!(opens(&bytes, &key(0)), Err(DecodeError::NotAuthentic), "no changed entry opens");
    json
}
