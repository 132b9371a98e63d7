use core::time::Duration;

use cloakroom_core::{
    Bound, EndCause, Ended, Entry, Json, Label, Lifetime, Moved, Nonce, Principal, Record, SignIn, StoreKey, UnixTime,
    Unknown,
};

use super::number;

pub(crate) fn key(number: u64) -> StoreKey {
    StoreKey::new(&format!("cloakroom:{number:022}")).expect("a key")
}

/// All of an entry, in a form that compares.
pub(crate) fn parts(entry: &Entry) -> (String, Vec<(String, String)>) {
    let text = |key: &Option<StoreKey>| key.as_ref().map(|key| key.as_str().to_owned());
    match entry {
        Entry::Ended(Ended { by, cause, at, next }) => (format!("{by} {cause:?} {at:?} {:?}", text(next)), Vec::new()),
        Entry::Moved(moved) => {
            let unknown = moved.unknown.iter().map(|(name, value)| (name.to_owned(), value.as_str().to_owned()));
            (format!("{} {:?}", moved.to.as_str(), moved.closes_at), unknown.collect())
        }
        Entry::Record(record) => {
            let Record { created, deadline, idle, persistent, issued, commits, nonces, schema, .. } = &**record;
            let account =
                (record.lineage, record.binding.as_ref().map(Bound::to_text), record.sign_in.as_ref().map(whole));
            let times =
                format!("{created:?} {deadline:?} {idle:?} {persistent} {issued:?} {commits} {nonces:?} {schema}");
            let values = record.data.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
            let unknown = record.unknown.iter().map(|(name, value)| (name.to_owned(), value.as_str().to_owned()));
            (format!("{times} {:?} {account:?}", text(&record.predecessor)), values.chain(unknown).collect())
        }
    }
}

/// What `Debug` does not print.
fn whole(sign_in: &SignIn) -> (String, UnixTime, UnixTime, Option<String>) {
    let SignIn { principal, since, authenticated, label, .. } = sign_in;
    (
        principal.as_json().as_str().to_owned(),
        *since,
        *authenticated,
        label.as_ref().map(|label| label.as_str().to_owned()),
    )
}

/// An entry made of the bytes.
pub(crate) fn built(mut data: &[u8]) -> Entry {
    let data = &mut data;
    let (kind, flags, now) = (number(data) % 3, number(data), UnixTime::from_millis(number(data)));
    let other = (flags & 1 == 1).then(|| key(number(data)));
    let mut nonce = || Nonce::from_bytes(number(data).to_be_bytes());
    match kind {
        0 => {
            let cause = [EndCause::Destroy, EndCause::Elevation, EndCause::Login][(flags >> 1) as usize % 3];
            return Entry::Ended(Ended { by: nonce(), cause, at: now, next: other });
        }
        1 => return Entry::Moved(Moved { to: key(flags), closes_at: other.map(|_| now), unknown: Unknown::default() }),
        _ => {}
    }
    let mut record = Record::new(now, Lifetime::new(Duration::ZERO, Duration::ZERO));
    record.predecessor = other;
    record.persistent = flags & 2 == 2;
    record.schema = (flags >> 8) as u32;
    (0..(flags >> 2) % 16).for_each(|_| record.nonces.push(nonce()));
    (record.deadline, record.issued) = (UnixTime::from_millis(number(data)), UnixTime::from_millis(number(data)));
    (record.commits, record.idle) = (number(data) / 2, Duration::from_millis(number(data)));
    if flags & 64 != 0 {
        record.lineage = Nonce::from_bytes(number(data).to_be_bytes());
    }
    if flags & 128 != 0 {
        let nonce = Nonce::from_bytes(number(data).to_be_bytes());
        record.binding = Bound::from_text(&format!("{nonce}{}", "A".repeat(12)));
    }
    if flags & (1 << 40) != 0 {
        let texts: Vec<_> = data.split(|&byte| byte == 0).take(2).map(String::from_utf8_lossy).collect();
        let principal = Principal::of(&texts[0]).unwrap_or_else(|_| Principal::of(&0).expect("an id"));
        let mut sign_in = SignIn::new(principal, now);
        sign_in.authenticated = record.issued;
        sign_in.label = texts.get(1).and_then(|text| Label::new(text));
        record.sign_in = Some(sign_in);
    }
    for text in data.split(|&byte| byte == 0).map(String::from_utf8_lossy) {
        let (name, value) = text.split_at(text.ceil_char_boundary(1));
        record.data.set(name, Json::of(value).expect("text is JSON"));
    }
    Entry::Record(Box::new(record))
}
