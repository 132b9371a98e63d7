//! The bounds of a stored record: its bytes, its fields, its counter.

use cloakroom_core::{
    Codec, CommitError, ConfigError, DecodeError, Engine, Entry, JsonCodec, Lifetime, Loaded, Record, StoreKey,
};

use crate::common::{MINUTE, World, add, ring};

/// A record without data, with so many fields that nobody knows.
fn record_text(commits: u64, unknown: usize) -> String {
    let entry = Entry::Record(Box::new(Record::new(World::new().now(), Lifetime::default())));
    let text = String::from_utf8(JsonCodec.encode(&key(), &entry).unwrap()).unwrap();
    let more: String = (0..unknown).map(|n| format!(r#","unknown{n}":{n}"#)).collect();
    let text = text.replace(r#""commits":0"#, &format!(r#""commits":{commits}"#));
    format!("{}{more}}}", text.strip_suffix('}').unwrap())
}

fn key() -> StoreKey {
    StoreKey::new("key").unwrap()
}

fn decode(text: &str) -> Result<Entry, DecodeError> {
    JsonCodec.decode(&key(), &text.as_bytes().to_vec().into())
}

#[test]
fn an_engine_has_room_for_every_pointer() {
    for bytes in [0, 64, 4095] {
        assert_eq!(Engine::builder(ring()).max_record(bytes).build().err(), Some(ConfigError::MaxRecord), "{bytes}");
    }
    assert!(Engine::builder(ring()).max_record(4096).build().is_ok());
}

#[test]
fn unknown_fields_are_kept_up_to_their_bound() {
    for count in [0, 63, 64] {
        let entry = decode(&record_text(1, count)).unwrap();
        let text = String::from_utf8(JsonCodec.encode(&key(), &entry).unwrap()).unwrap();
        assert_eq!(text.matches("unknown").count(), count);
    }
    for count in [65, 66, 80, 10_000] {
        assert_eq!(decode(&record_text(1, count)).unwrap_err(), DecodeError::Malformed, "{count}");
    }
}

#[test]
fn a_record_with_all_the_unknown_fields_that_are_kept_can_be_changed_and_renewed() {
    let mut w = World::new();
    let mut jar = w.sign_in();
    w.put_text(&w.key(&jar), &record_text(1, 64), 10 * MINUTE);
    w.act(&mut jar, add(1));
    w.act(&mut jar, Loaded::rotate);
    w.act(&mut jar, add(1));
    assert_eq!(w.peek(&jar, "n"), Some(2));
    assert_eq!(w.text(&w.key(&jar)).matches("unknown").count(), 64);
}

#[test]
fn the_counter_of_commits_leaves_room_to_count() {
    let most = u64::MAX / 2;
    for commits in [1, most] {
        assert!(decode(&record_text(commits, 0)).is_ok(), "{commits}");
    }
    for commits in [most + 1, u64::MAX - 1, u64::MAX] {
        assert_eq!(decode(&record_text(commits, 0)).unwrap_err(), DecodeError::Malformed, "{commits}");
    }
    let mut w = World::new();
    let jar = w.sign_in();
    w.put_text(&w.key(&jar), &record_text(most, 0), 10 * MINUTE);
    assert_eq!(w.request(&jar, add(1)).result(), Err(CommitError::Encode), "nothing is written that cannot be read");
    assert!(w.opens(&jar));
}

#[test]
fn a_record_of_just_as_many_bytes_as_are_allowed_is_read() {
    let mut w = World::with(|builder| builder.max_record(4096));
    let jar = w.sign_in();
    let pad = |bytes: usize| move |loaded: &mut Loaded| loaded.insert("pad", &"x".repeat(bytes)).unwrap();
    // From so many commits on, all nonces that are kept are there.
    for _ in 0..10 {
        assert_eq!(
            w.request(&jar, |loaded| {
                pad(1000)(loaded);
                add(1)(loaded);
            })
            .result(),
            Ok(())
        );
    }
    let fits = 1000 + 4096 - w.text(&w.key(&jar)).len();
    let done = w.request(&jar, pad(fits + 1));
    assert_eq!(done.result(), Err(CommitError::RecordTooLarge { size: 4097, limit: 4096 }));
    assert_eq!(w.request(&jar, pad(fits)).result(), Ok(()));
    assert_eq!((w.text(&w.key(&jar)).len(), w.peek(&jar, "n")), (4096, Some(10)));
}
