//! The keyring: explicit ids, a marked primary, no weak keys, and nothing of a secret in any message.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use cloakroom_core::{Key, KeyId, Keyring, KeyringError};

use crate::common::{bytes, key};

fn secret(seed: u64) -> String {
    BASE64.encode(bytes::<32>(seed))
}

fn id(n: u8) -> KeyId {
    KeyId::new(n)
}

#[test]
fn a_ring_reads_entries_between_white_space_commas_and_comments() {
    let (a, b, c) = (secret(1), secret(2), secret(3));
    let text = format!("# ring\n 7:accept:{a},255:primary:{b}\r\n\t0:accept:{c} # the last: 1:primary:x\n,, \n");
    let ring: Keyring = text.parse().unwrap();
    assert_eq!(ring.primary().id(), id(255));
    assert_eq!(ring.accepted().map(Key::id).collect::<Vec<_>>(), [id(7), id(0)]);
    assert_eq!(ring.iter().count(), 3);
}

#[test]
fn what_is_written_reads_back() {
    let ring = Keyring::new(key(3)).accept(key(9)).unwrap();
    let entries: Vec<String> = ring.iter().map(|key| key.dangerous_entry(key.id() == id(3)).to_string()).collect();
    assert!(entries[0].starts_with("3:primary:") && entries[1].starts_with("9:accept:"));
    let back: Keyring = entries.join("\n").parse().unwrap();
    assert_eq!(back, ring);
    let again: Vec<String> = back.iter().map(|key| key.dangerous_entry(key.id() == id(3)).to_string()).collect();
    assert_eq!(again, entries);
}

#[test]
fn every_mistake_has_its_error_that_names_the_key_or_the_place() {
    let (a, b) = (secret(1), secret(2));
    let short = BASE64.encode(bytes::<31>(1));
    for (text, error, names) in [
        (String::new(), KeyringError::Empty, "empty"),
        ("# nothing".to_owned(), KeyringError::Empty, "empty"),
        (" \n,".to_owned(), KeyringError::Empty, "empty"),
        (format!("1:accept:{a}"), KeyringError::NoPrimary, "primary"),
        (format!("1:primary:{a} 2:primary:{b}"), KeyringError::SecondPrimary(id(2)), "2"),
        (format!("5:primary:{a} 5:accept:{b}"), KeyringError::DuplicateId(id(5)), "5"),
        (format!("5:accept:{a} 5:primary:{b}"), KeyringError::DuplicateId(id(5)), "5"),
        (format!("1:primary:{a} 9:accept:{short}"), KeyringError::KeyLength { id: id(9), len: 31 }, "9"),
        (format!("1:primary:{a} 2:other:{b}"), KeyringError::MalformedEntry { index: 1 }, "2"),
        (format!("1:primary:{a} 2:Primary:{b}"), KeyringError::MalformedEntry { index: 1 }, "2"),
        (format!("256:primary:{a}"), KeyringError::MalformedEntry { index: 0 }, "1"),
        (format!("-1:primary:{a}"), KeyringError::MalformedEntry { index: 0 }, "1"),
        (format!(":primary:{a}"), KeyringError::MalformedEntry { index: 0 }, "1"),
        (format!("primary:{a}"), KeyringError::MalformedEntry { index: 0 }, "1"),
        (a.clone(), KeyringError::MalformedEntry { index: 0 }, "1"),
        (format!("1:primary:{a}="), KeyringError::MalformedEntry { index: 0 }, "1"),
        (format!("1:primary:{a}:x"), KeyringError::MalformedEntry { index: 0 }, "1"),
        (format!("1:primary:{}+", &a[..42]), KeyringError::MalformedEntry { index: 0 }, "1"),
        ("1:primary:".to_owned(), KeyringError::KeyLength { id: id(1), len: 0 }, "1"),
    ] {
        let found = text.parse::<Keyring>().expect_err(&text);
        assert_eq!(found, error, "{text}");
        let message = format!("{found} {found:?}");
        assert!(message.contains(names), "{message}");
        assert!(!message.contains(&a[..8]) && !message.contains(&b[..8]), "{message}");
    }
}

#[test]
fn keys_that_are_not_random_are_refused() {
    let run: Vec<u8> = (0..32).collect();
    let halves = [bytes::<24>(1), bytes::<24>(1)].concat();
    let few = bytes::<64>(1).map(|byte| 0x80 | (byte & 15));
    for weak in [
        &[0; 32][..],
        &[0xab; 64],
        &run,
        &halves,
        &few,
        b"correct horse battery staple and more of it",
        b"0123456789abcdef0123456789abcdef",
        b"c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA==",
        b"d1f0c9b27e5a4b3c8d6e7f9012ab34cd56ef7890ab12cd34ef567890ab12cd34",
    ] {
        let error = Key::from_bytes(id(4), weak).unwrap_err();
        assert_eq!(error, KeyringError::LowEntropy(id(4)), "{weak:?}");
        assert!(error.to_string().contains('4'));
    }
}

#[test]
fn random_keys_are_accepted() {
    for seed in 0..5000 {
        assert!(Key::from_bytes(id(1), &bytes::<32>(seed)).is_ok(), "{seed}");
    }
    assert!(Key::from_bytes(id(1), &bytes::<1024>(1)).is_ok());
    assert!(matches!(Key::from_bytes(id(1), &bytes::<31>(1)), Err(KeyringError::KeyLength { len: 31, .. })));
    assert!(Key::from_bytes(id(1), &bytes::<1025>(1)).is_err());
}

#[test]
fn ids_are_unique_however_the_ring_is_made() {
    assert_eq!(Keyring::new(key(1)).accept(key(1)).unwrap_err(), KeyringError::DuplicateId(id(1)));
    let two = Keyring::new(key(1)).accept(key(2)).unwrap();
    assert_eq!(two.accept(key(2)).unwrap_err(), KeyringError::DuplicateId(id(2)));
}

#[test]
fn nothing_printed_holds_a_secret() {
    let ring = Keyring::new(key(1)).accept(key(2)).unwrap();
    let secrets: Vec<String> = ring.iter().map(|key| key.dangerous_entry(true)[10..].to_owned()).collect();
    for text in [format!("{ring:?}"), format!("{ring:#?}"), format!("{:?}", ring.primary())] {
        for (n, secret) in (1..).zip(&secrets) {
            let raw = BASE64.decode(secret).unwrap();
            assert!(!text.contains(&secret[..6]));
            assert!(!text.contains(&format!("{}, {}", raw[0], raw[1])), "{n}");
        }
        assert!(text.contains('1'), "it names its keys: {text}");
    }
}

#[test]
fn so_many_different_bytes_are_enough() {
    let key = |distinct: usize| {
        let mut secret = bytes::<256>(3).map(|byte| byte % 2);
        for (at, byte) in secret.iter_mut().enumerate().take(distinct - 2) {
            *byte = 100 + (at * 7) as u8;
        }
        Key::from_bytes(id(1), &secret)
    };
    assert!(key(Key::MIN_DISTINCT).is_ok());
    assert_eq!(key(Key::MIN_DISTINCT - 1).unwrap_err(), KeyringError::LowEntropy(id(1)));
}

#[test]
fn rings_are_equal_by_the_ids_and_roles_of_their_keys() {
    let ring = |text: &str| text.replace("<1>", &secret(1)).replace("<2>", &secret(2)).parse::<Keyring>().unwrap();
    assert_eq!(ring("1:primary:<1>"), ring("1:primary:<2>"));
    assert_eq!(ring("1:primary:<1>,2:accept:<2>"), ring("2:accept:<1>,1:primary:<2>"));
    assert_ne!(ring("1:primary:<1>"), ring("2:primary:<1>"));
    assert_ne!(ring("1:primary:<1>"), ring("1:primary:<1>,2:accept:<2>"));
    assert_ne!(ring("1:primary:<1>,2:accept:<2>"), ring("1:accept:<1>,2:primary:<2>"));
}
