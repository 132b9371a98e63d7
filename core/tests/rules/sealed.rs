//! Sealed entries: what is not authentic is never read, whatever it decodes to.

use cloakroom_core::{
    Codec, CookieChange, DecodeError, EndCause, Ended, Entry, Json, JsonCodec, Keyring, Lifetime, LoadError, Loaded,
    Moved, Nonce, Record, SealedCodec, StoreKey, UnixTime, Value,
};

use crate::common::{Fault, HOUR, World, add, key, ring, ticket};

fn place(name: &str) -> StoreKey {
    StoreKey::new(name).unwrap()
}

fn entries() -> Vec<Entry> {
    let mut record = Record::new(UnixTime::from_millis(5), Lifetime::default().persistent());
    record.issued = UnixTime::from_millis(6);
    record.commits = u64::MAX / 2;
    record.schema = 8;
    record.data.set("secret", Json::of("of the user").unwrap());
    record.nonces.push(Nonce::from_bytes([3; 8]));
    record.predecessor = Some(place("before"));
    let moved = Moved { to: place("after"), closes_at: Some(UnixTime::from_millis(9)), unknown: Default::default() };
    let by = Nonce::from_bytes([4; 8]);
    let ended = Ended { by, cause: EndCause::Login, at: UnixTime::from_millis(7), next: Some(place("next")) };
    vec![Entry::Record(Box::new(record)), Entry::Moved(moved), Entry::Ended(ended)]
}

fn is_same(a: &Entry, b: &Entry) -> bool {
    match (a, b) {
        (Entry::Ended(a), Entry::Ended(b)) => a == b,
        (Entry::Moved(a), Entry::Moved(b)) => (&a.to, a.closes_at) == (&b.to, b.closes_at),
        (Entry::Record(a), Entry::Record(b)) => {
            let times = |record: &Record| (record.created, record.deadline, record.issued, record.idle);
            let rest = |record: &Record| (record.persistent, record.commits, record.nonces, record.schema);
            let data = a.data.iter().eq(b.data.iter()) && !a.data.is_empty();
            data && times(a) == times(b) && rest(a) == rest(b) && a.predecessor == b.predecessor
        }
        _ => false,
    }
}

fn plain(entry: &Entry) -> Vec<u8> {
    JsonCodec.encode(&place("any"), entry).unwrap()
}

#[test]
fn every_entry_survives_the_plain_and_the_sealed_codec() {
    let sealed = SealedCodec::new(&ring(), "main");
    for entry in entries() {
        for codec in [&JsonCodec as &dyn Codec, &sealed] {
            let bytes = codec.encode(&place("here"), &entry).unwrap();
            let back = codec.decode(&place("here"), &bytes.into()).unwrap();
            assert!(is_same(&back, &entry), "{back:?}");
        }
        let bytes = sealed.encode(&place("here"), &entry).unwrap();
        for word in ["secret", "of the user", "record", "after", "before", "next", "format"] {
            assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word}");
        }
    }
    assert!(sealed.has_markers());
}

#[test]
fn an_entry_moved_to_another_key_is_refused() {
    let codec = SealedCodec::new(&ring(), "main");
    for entry in entries() {
        let bytes: Value = codec.encode(&place("here"), &entry).unwrap().into();
        for other in ["there", "her", "here2", "Here"] {
            assert_eq!(codec.decode(&place(other), &bytes).unwrap_err(), DecodeError::NotAuthentic);
        }
    }
}

#[test]
fn every_bit_flip_and_every_truncation_is_refused() {
    let codec = SealedCodec::new(&ring().accept(key(2)).unwrap(), "main");
    let here = place("here");
    for entry in entries() {
        let bytes = codec.encode(&here, &entry).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(codec.decode(&here, &flipped.into()).unwrap_err(), DecodeError::NotAuthentic, "{bit}");
        }
        for len in 0..bytes.len() {
            assert_eq!(codec.decode(&here, &bytes[..len].to_vec().into()).unwrap_err(), DecodeError::NotAuthentic);
        }
        let extended = [&bytes[..], b"x"].concat();
        assert_eq!(codec.decode(&here, &extended.into()).unwrap_err(), DecodeError::NotAuthentic);
    }
}

#[test]
fn plain_entries_are_never_read_by_the_sealed_codec() {
    let codec = SealedCodec::new(&ring(), "main");
    for entry in entries() {
        assert_eq!(codec.decode(&place("here"), &plain(&entry).into()).unwrap_err(), DecodeError::NotAuthentic);
    }
}

#[test]
fn another_ring_or_engine_opens_nothing_and_an_accepted_key_does() {
    let here = place("here");
    let old = SealedCodec::new(&Keyring::new(key(2)), "main");
    let entry = &entries()[0];
    let bytes: Value = old.encode(&here, entry).unwrap().into();
    let rotated = SealedCodec::new(&ring().accept(key(2)).unwrap(), "main");
    assert_eq!(plain(&rotated.decode(&here, &bytes).unwrap()), plain(entry));
    assert_ne!(rotated.encode(&here, entry).unwrap(), bytes.as_bytes(), "the primary seals");
    for other in [SealedCodec::new(&ring(), "main"), SealedCodec::new(&Keyring::new(key(2)), "other")] {
        assert_eq!(other.decode(&here, &bytes).unwrap_err(), DecodeError::NotAuthentic);
    }
}

fn world() -> (World, String) {
    let mut w = World::with(|builder| builder.codec(SealedCodec::new(&ring(), "main")));
    let done = w.request("", |loaded| loaded.insert("n", &0).unwrap());
    let jar = ticket(&done).unwrap();
    (w, jar)
}

#[test]
fn the_protocol_runs_over_sealed_entries() {
    let (mut w, old) = world();
    let slow = w.slow(&old, add(1));
    let done = w.request(&old, Loaded::rotate);
    let mut new = ticket(&done).unwrap();
    w.store.fault(0, Fault::UnknownApplied);
    assert_eq!(w.commit(slow).result(), Ok(()));
    w.act(&mut new, add(1));
    assert_eq!((w.peek(&old, "n"), w.peek(&new, "n")), (Some(2), Some(2)));
    let late = w.slow(&new, add(1));
    let ticket = new.clone();
    w.act(&mut new, Loaded::destroy);
    assert!(w.commit(late).result().is_err());
    assert!(!w.opens(&old) && !w.opens(&ticket));
}

#[test]
fn a_forged_entry_in_the_store_opens_nothing_and_is_no_absence() {
    let (mut w, jar) = world();
    let here = w.key(&jar);
    let mut record = Record::new(w.now(), Lifetime::default());
    record.data.set("admin", Json::of(&true).unwrap());
    w.put(&here, &Entry::Record(Box::new(record)), HOUR / 2);
    let mut session = w.open(&jar);
    assert!(matches!(w.access(&mut session), Err(LoadError::Undecodable)));
    assert!(w.access(&mut session).unwrap().get::<bool>("admin").is_err());
    let done = w.commit(session);
    assert_eq!(done.cookie(), CookieChange::Keep);
}

#[test]
fn a_store_cannot_pass_one_session_off_as_another() {
    let (mut w, jar) = world();
    let done = w.request("", |loaded| loaded.insert("n", &99).unwrap());
    let victim = w.key(&ticket(&done).unwrap());
    let value = w.store.look(&victim).unwrap().value;
    let here = w.key(&jar);
    w.store.set(&here, value, Some(HOUR / 2));
    let mut session = w.open(&jar);
    assert!(matches!(w.access(&mut session), Err(LoadError::Undecodable)));
}
