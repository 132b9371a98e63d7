//! A session's data: string keys to JSON values, decoded when asked for, copied as bytes when unchanged.

use core::{fmt, iter, ops::Range};
use std::collections::BTreeMap;

use serde::{
    Serialize,
    ser::{SerializeMap, Serializer},
};
use serde_json::value::RawValue;
use smol_str::SmolStr;

use crate::{
    json::{Json, is_same},
    value::Value,
    wire::{
        codec::DecodeError,
        text::{NotJson, Reader, push_text},
    },
};

/// The data of a record: what was loaded, as bytes, and what was changed since.
///
/// Keys come in a fixed order (by bytes). The loaded bytes are shared, never copied, until the record is written.
#[derive(Clone, Default)]
pub struct Data {
    base: Base,
    changed: BTreeMap<SmolStr, Option<Json>>,
}

impl Data {
    /// Makes empty data.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the data from JSON text that lies at `place` in `bytes`, without copying.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Malformed`] when there is no JSON object, or a key stands twice in it.
    pub fn from_json(bytes: &Value, place: Range<usize>) -> Result<Self, DecodeError> {
        let text = bytes.as_bytes().get(place.clone()).ok_or(DecodeError::Malformed)?;
        let mut reader = Reader::new(text);
        let slots = Slots::read(&mut reader, place.start).map_err(|_| DecodeError::Malformed)?;
        reader.end().map_err(|_| DecodeError::Malformed)?;
        Self::of(bytes, slots)
    }

    /// Takes what was found in the bytes.
    pub(crate) fn of(bytes: &Value, Slots { mut slots, is_sorted, is_broken }: Slots) -> Result<Self, DecodeError> {
        if is_broken {
            return Err(DecodeError::Malformed);
        }
        if !is_sorted {
            let text = bytes.as_bytes();
            slots.sort_unstable_by(|a, b| a.key(text).cmp(b.key(text)));
            if slots.windows(2).any(|pair| pair[0].key(text) == pair[1].key(text)) {
                return Err(DecodeError::Malformed);
            }
        }
        Ok(Self { base: Base { bytes: Some(bytes.clone()), slots }, changed: BTreeMap::new() })
    }

    /// Returns the JSON text of a value.
    pub fn raw(&self, key: &str) -> Option<&str> {
        match self.changed.get(key) {
            Some(change) => change.as_ref().map(Json::as_str),
            // It was seen to be UTF-8 when it was read.
            None => str::from_utf8(self.base.get(key)?).ok(),
        }
    }

    pub(crate) fn raw_bytes(&self, key: &str) -> Option<&[u8]> {
        match self.changed.get(key) {
            Some(change) => change.as_ref().map(|json| json.as_str().as_bytes()),
            None => self.base.get(key),
        }
    }

    /// Sets a value.
    pub fn set(&mut self, key: &str, value: Json) {
        self.set_key(SmolStr::new(key), value);
    }

    pub(crate) fn set_key(&mut self, key: SmolStr, value: Json) {
        self.changed.insert(key, Some(value));
    }

    /// Removes a value.
    pub fn remove(&mut self, key: &str) {
        if self.base.find(key.as_bytes()).is_some() {
            self.changed.insert(SmolStr::new(key), None);
        } else {
            self.changed.remove(key);
        }
    }

    /// Removes all values.
    pub fn clear(&mut self) {
        let keys = self.base.iter().filter_map(|(key, _)| str::from_utf8(key).ok());
        self.changed = keys.map(|key| (SmolStr::new(key), None)).collect();
    }

    /// Goes back to what was loaded.
    pub(crate) fn revert(&mut self) {
        self.changed.clear();
    }

    /// Returns the keys and the JSON text of their values, ordered by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        // It was seen to be UTF-8 when it was read, so that nothing is left out.
        self.iter_bytes().filter_map(|(key, raw)| Some((str::from_utf8(key).ok()?, str::from_utf8(raw).ok()?)))
    }

    /// The same as bytes.
    fn iter_bytes(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut base = self.base.iter().peekable();
        let mut changed = self.changed.iter().map(|(key, change)| (key.as_bytes(), change)).peekable();
        // Both are in order.
        iter::from_fn(move || {
            loop {
                let change = match (base.peek(), changed.peek()) {
                    (None, None) => return None,
                    (Some(_), None) => return base.next(),
                    (Some((key, _)), Some((change, _))) if key < change => return base.next(),
                    (Some((key, _)), Some((change, _))) if key == change => {
                        base.next();
                        changed.next()
                    }
                    (_, Some(_)) => changed.next(),
                };
                if let Some((key, Some(value))) = change {
                    return Some((key, value.as_str().as_bytes()));
                }
            }
        })
    }

    /// Appends all values as one JSON object.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let mut rest = &*self.base.slots;
        let bytes = self.base.bytes();
        for (key, change) in &self.changed {
            let (before, after) = rest.split_at(rest.partition_point(|slot| precedes(slot.key(bytes), key.as_bytes())));
            self.base.write(before, out);
            rest = match after {
                [slot, after @ ..] if is_key(slot.key(bytes), key.as_bytes()) => after,
                _ => after,
            };
            if let Some(value) = change {
                push_member(out, key.as_bytes(), value.as_str().as_bytes());
            }
        }
        self.base.write(rest, out);
        match out.get_mut(start) {
            Some(comma) => *comma = b'{',
            None => out.push(b'{'),
        }
        out.push(b'}');
    }

    /// Returns about how many bytes a record is that has them: a little more than the one that was loaded, if one was.
    pub(crate) fn size_hint(&self) -> usize {
        let changed =
            self.changed.iter().map(|(key, value)| key.len() + 4 + value.as_ref().map_or(0, |v| v.as_str().len()));
        self.base.bytes.as_ref().map_or(512, |bytes| bytes.len() + 64) + changed.sum::<usize>()
    }

    /// Tells whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.iter_bytes().next().is_none()
    }

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.iter_bytes().count()
    }

    /// Tells whether a value differs from what was loaded, as JSON.
    pub fn is_changed(&self) -> bool {
        self.changed.iter().any(|(key, change)| match (self.base.get(key), change) {
            (Some(old), Some(new)) => !is_same(old, new.as_str().as_bytes(), 32),
            _ => true,
        })
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, raw) in self.iter() {
            // Every text came out of the parser or the serializer.
            let value: &RawValue = serde_json::from_str(raw).map_err(serde::ser::Error::custom)?;
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// Values are private to the application: only their number is printed.
impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({} values)", self.len())
    }
}

/// The loaded bytes and where in them the values are, sorted by key.
#[derive(Clone, Default)]
struct Base {
    bytes: Option<Value>,
    slots: Vec<Slot>,
}

impl Base {
    fn get(&self, key: &str) -> Option<&[u8]> {
        Some(self.find(key.as_bytes())?.value.of(self.bytes()))
    }

    fn find(&self, key: &[u8]) -> Option<&Slot> {
        let bytes = self.bytes();
        // Of few keys most differ in length, which is seen sooner than which is first.
        if self.slots.len() <= USUAL_VALUES {
            return self.slots.iter().find(|slot| is_key(slot.key(bytes), key));
        }
        self.slots.binary_search_by(|slot| slot.key(bytes).cmp(key)).ok().map(|index| &self.slots[index])
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let bytes = self.bytes();
        self.slots.iter().map(|slot| (slot.key(bytes), slot.value.of(bytes)))
    }

    /// Appends values, each after a comma.
    fn write(&self, slots: &[Slot], out: &mut Vec<u8>) {
        let bytes = self.bytes();
        // Those that stand one after the other as they are written are copied in one piece.
        for run in slots.chunk_by(|a, b| a.is_compact() && b.is_compact() && b.key.start.wrapping_sub(a.value.end) == 2)
        {
            match run {
                [first, ..] if first.is_compact() => {
                    let place = Place { start: first.key.start - 1, end: run[run.len() - 1].value.end };
                    out.push(b',');
                    out.extend_from_slice(place.of(bytes));
                }
                _ => run.iter().for_each(|slot| push_member(out, slot.key(bytes), slot.value.of(bytes))),
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.as_ref().map(Value::as_bytes).unwrap_or_default()
    }
}

/// Tells whether two keys are the same. Most that differ do so in their first byte: no call for those.
fn is_key(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.first() == b.first() && a == b
}

/// Tells whether one key comes before another.
fn precedes(a: &[u8], b: &[u8]) -> bool {
    match (a.first(), b.first()) {
        (first, other) if first == other => a < b,
        (first, other) => first < other,
    }
}

fn push_member(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    out.push(b',');
    push_text(out, key);
    out.push(b':');
    out.extend_from_slice(value);
}

/// A key and a value.
#[derive(Clone)]
struct Slot {
    key: Place,
    /// The key where it stands there with escapes.
    escaped: Option<Box<[u8]>>,
    value: Place,
}

impl Slot {
    fn key<'a>(&'a self, bytes: &'a [u8]) -> &'a [u8] {
        match &self.escaped {
            Some(key) => key,
            None => self.key.of(bytes),
        }
    }

    /// Tells whether the key stands there as it is written, with nothing but a colon before the value.
    fn is_compact(&self) -> bool {
        self.escaped.is_none() && self.value.start - self.key.end == 2
    }
}

/// A place in a text, small: a session may have many.
#[derive(Clone, Copy)]
struct Place {
    start: u32,
    end: u32,
}

impl Place {
    fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// Where the values of an object are.
pub(crate) struct Slots {
    slots: Vec<Slot>,
    /// Their keys come in order, and none twice.
    is_sorted: bool,
    /// A key has half a surrogate pair, and so is no text. The object is JSON all the same, and may be nobody's data.
    is_broken: bool,
}

/// There is room for so many values from the start.
const USUAL_VALUES: usize = 8;

impl Slots {
    /// Reads an object that begins so many bytes after the reader's text begins in the bytes that are kept.
    pub(crate) fn read(reader: &mut Reader<'_>, offset: usize) -> Result<Self, NotJson> {
        let mut found = Self { slots: Vec::with_capacity(USUAL_VALUES), is_sorted: true, is_broken: false };
        // No place is beyond the end.
        u32::try_from(reader.len().saturating_add(offset)).map_err(|_| NotJson)?;
        let place =
            |range: Range<usize>| Place { start: (range.start + offset) as u32, end: (range.end + offset) as u32 };
        let (mut last, mut last_head) = (&[][..], 0);
        reader.object(|reader, key| {
            let mut escaped = None;
            if key.has_escapes {
                let Ok(name) = key.bytes() else {
                    found.is_broken = true;
                    return reader.value().map(drop);
                };
                escaped = Some(name.into());
            }
            // One with escapes is sorted in.
            let head = head(key.raw, reader.between(key.start..key.start + 8));
            // Most are told apart by their beginnings.
            found.is_sorted &= escaped.is_none() && (last_head < head || last_head == head && last < key.raw);
            (last, last_head) = (key.raw, head);
            found.slots.push(Slot {
                key: place(key.start..key.start + key.raw.len()),
                escaped,
                value: place(reader.value()?),
            });
            Ok::<(), NotJson>(())
        })?;
        Ok(found)
    }
}

/// Returns the first eight bytes of a key as a number of the same order. One that is shorter is filled up with zero bytes, which no
/// key has. `beyond` is the text from where the key begins, of eight bytes, or nothing where fewer are left.
fn head(key: &[u8], beyond: &[u8]) -> u64 {
    let Some(head) = beyond.first_chunk() else {
        return key.iter().zip((0..8).rev()).fold(0, |head, (byte, place)| head | u64::from(*byte) << (8 * place));
    };
    let after = u64::MAX.checked_shr(8 * key.len().min(8) as u32).unwrap_or(0);
    u64::from_be_bytes(*head) & !after
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes it value by value.
    fn oracle(data: &Data) -> String {
        let members = data.iter().map(|(key, raw)| format!("{}:{raw}", serde_json::to_string(key).unwrap()));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }

    #[test]
    fn a_value_is_found_among_few_and_among_many() {
        for count in [0, 1, USUAL_VALUES, USUAL_VALUES + 1, 40] {
            let members: Vec<_> = (0..count).map(|n| format!("\"k{n}\":{n}")).collect();
            let value = Value::from(format!("{{{}}}", members.join(",")).as_bytes());
            let data = Data::from_json(&value, 0..value.len()).unwrap();
            for n in 0..count {
                assert_eq!(data.raw(&format!("k{n}")), Some(&*n.to_string()));
            }
            assert_eq!((data.raw(""), data.raw("k"), data.raw("k99")), (None, None, None));
        }
    }

    #[test]
    fn keys_are_in_order_as_their_bytes_are() {
        let long = "abcdefgh";
        let keys = [
            "a",
            "a ",
            "a!",
            "a\u{7f}",
            "ab",
            "b",
            "\u{e9}",
            &long[..7],
            long,
            &format!("{long}i"),
            &format!("{long}ia"),
        ];
        for (first, second) in keys.iter().flat_map(|first| keys.iter().map(move |second| (first, second))) {
            // Near the end, and far from it.
            for value in ["0", "1000000000"] {
                let text = format!("{{\"{first}\":0,\"{second}\":{value}}}");
                let slots = Slots::read(&mut Reader::new(text.as_bytes()), 0).unwrap();
                assert_eq!(slots.is_sorted, first < second, "{text}");
            }
        }
    }

    #[test]
    fn what_is_copied_in_one_piece_is_what_is_written_value_by_value() {
        let texts = [
            r#"{}"#,
            r#"{"a":1,"b":"2","c":[3, 3],"d":{}}"#,
            r#"{ "a":1,"b":2 ,"c":3, "d":4}"#,
            r#"{"a" :1,"b": 2,"c":3,"d":4}"#,
            r#"{"d":4,"b":2,"c":3,"a":1}"#,
            r#"{"a":1,"\u0062":2,"c":3,"\n":4,"\"":5}"#,
            r#"{"\u007a":1,"a":2,"d":3}"#,
            "{\"\":0,\"a\":1,\"\u{e9}\":2}",
        ];
        let keys = ["", "\n", "a", "b", "d", "e", "\u{e9}"];
        for text in texts {
            for before in ["", "xyz"] {
                let value = Value::from([before, text].concat().as_bytes());
                let read = Data::from_json(&value, before.len()..value.len()).unwrap();
                // Each key is left alone, set or removed.
                for mut changes in 0..3_usize.pow(keys.len() as u32) {
                    let mut data = read.clone();
                    for key in keys {
                        match changes % 3 {
                            0 => {}
                            1 => data.set(key, Json::parse("0").unwrap()),
                            _ => data.remove(key),
                        }
                        changes /= 3;
                    }
                    let mut out = Vec::new();
                    data.write(&mut out);
                    assert_eq!(String::from_utf8(out).unwrap(), oracle(&data), "{text}");
                }
            }
        }
    }
}
