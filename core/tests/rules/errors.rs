//! Every error says what is wrong, each in words of its own, with the limit where there is one.

use std::{collections::BTreeSet, error::Error};

use cloakroom_core::{
    CommitError, ConfigError, CookieError, CookieName, CookiePolicy, DecodeError, EditError, EncodeError, Engine,
    EntropyError, InvalidCookieName, InvalidStoreKey, KeyId, KeyringError, LoadError, Refusal, ReplayError,
    RosterError, forwarded::Network,
};

use crate::common::{World, add, ring};

const ID: KeyId = KeyId::new(7);

/// Tells that the texts are there and differ.
#[track_caller]
fn assert_distinct(errors: &[&dyn Error]) {
    let texts: BTreeSet<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), errors.len(), "{texts:?}");
    assert!(texts.iter().all(|text| text.len() > 10), "{texts:?}");
}

#[test]
fn each_reason_has_words_of_its_own() {
    assert_distinct(&[&EncodeError, &EntropyError, &InvalidCookieName, &InvalidStoreKey, &LoadError::Undecodable]);
    assert_distinct(&[
        &CookieError::HostPrefix,
        &CookieError::HttpPrefix,
        &CookieError::InvalidDomain,
        &CookieError::InvalidPath,
        &CookieError::InvalidValue,
        &CookieError::MaxAge,
        &CookieError::PartitionedNeedsSecure,
        &CookieError::PrefixNeedsSecure,
        &CookieError::SameSiteNoneNeedsSecure,
        &CookieError::TooLarge { len: 4097 },
        &ConfigError::KeyPrefix(InvalidStoreKey),
        &ConfigError::LongerThanLongest,
        &ConfigError::MaxRecord,
        &ConfigError::Name,
        &ConfigError::TouchPart,
        &ConfigError::ZeroLifetime,
    ]);
    assert_distinct(&[
        &DecodeError::Malformed,
        &DecodeError::NotAuthentic,
        &DecodeError::TooLarge,
        &DecodeError::UnsupportedMarker,
        &DecodeError::UnsupportedRecord,
    ]);
    assert_distinct(&[
        &EditError::KeyTooLong,
        &EditError::Lifetime,
        &EditError::NotSignedIn,
        &EditError::Principal,
        &EditError::TooManyEdits,
        &EditError::Undecodable,
        &ReplayError::KeyTooLong,
        &ReplayError::NotJson,
        &ReplayError::Refused,
        &ReplayError::WrongType,
    ]);
    assert_distinct(&[
        &KeyringError::DuplicateId(ID),
        &KeyringError::Empty,
        &KeyringError::KeyLength { id: ID, len: 31 },
        &KeyringError::LowEntropy(ID),
        &KeyringError::MalformedEntry { index: 0 },
        &KeyringError::NoPrimary,
        &KeyringError::SecondPrimary(ID),
        &Refusal::Forged,
        &Refusal::Malformed,
        &Refusal::UnknownKey(ID),
    ]);
    assert_distinct(&[
        &CommitError::Ambiguous,
        &CommitError::Contention,
        &CommitError::CrossSite,
        &CommitError::Encode,
        &CommitError::Entropy,
        &CommitError::IdCollision,
        &CommitError::Lost,
        &CommitError::NoIndex,
        &CommitError::OutcomeUnknown,
        &CommitError::RecordTooLarge { size: 5000, limit: 4096 },
        &CommitError::StaleTicket,
        &CommitError::Store,
        &CommitError::TooLate,
        &CommitError::TooManySessions,
        &CommitError::UnexpectedOutcome,
        &CommitError::Vanished,
    ]);
    assert_distinct(&[
        &RosterError::Contention,
        &RosterError::End(CommitError::Store),
        &RosterError::Entropy,
        &RosterError::NoIndex,
        &RosterError::Store,
        &RosterError::UnexpectedOutcome,
        &RosterError::UnknownHandle,
    ]);
}

#[test]
fn a_reason_within_another_is_said() {
    let text = CookieError::HostPrefix.to_string();
    assert_eq!(ConfigError::Cookie(CookieError::HostPrefix).to_string(), text);
    assert_eq!(ConfigError::from(CookieError::HostPrefix), ConfigError::Cookie(CookieError::HostPrefix));
    assert_eq!(CommitError::Cookie(CookieError::HostPrefix).to_string(), text);
    assert!(ConfigError::from(InvalidStoreKey).to_string().ends_with(&InvalidStoreKey.to_string()));
    let text = ReplayError::Refused.to_string();
    assert_eq!(EditError::from(ReplayError::Refused).to_string(), text);
    assert_eq!(CommitError::Replay(ReplayError::Refused).to_string(), text);
    let undecodable = CommitError::Undecodable(DecodeError::TooLarge);
    assert_eq!(undecodable.to_string(), DecodeError::TooLarge.to_string());
    let undecodable = RosterError::Undecodable(DecodeError::TooLarge);
    assert_eq!(undecodable.to_string(), DecodeError::TooLarge.to_string());
    assert!(RosterError::End(CommitError::TooLate).to_string().ends_with(&CommitError::TooLate.to_string()));
}

#[test]
fn what_stops_a_start_is_printed_in_words() {
    let errors: [Box<dyn Error>; 5] = [
        ConfigError::Name.into(),
        KeyringError::NoPrimary.into(),
        CookieError::HostPrefix.into(),
        CookieName::new("a b").unwrap_err().into(),
        "10.0.0.1/8".parse::<Network>().unwrap_err().into(),
    ];
    for error in errors {
        assert_eq!(format!("{error:?}"), error.to_string());
    }
}

#[test]
fn names_and_numbers_are_printed_where_they_tell_nothing_secret() {
    let name = CookieName::new("__Host-shop").unwrap();
    assert_eq!((name.to_string().as_str(), format!("{name:?}").as_str()), ("__Host-shop", "\"__Host-shop\""));
    let engine = Engine::builder(ring()).cookie(CookiePolicy::named(name.clone())).build().unwrap();
    assert_eq!(engine.cookie().name().as_str(), name.as_str());
    let mut w = World::new();
    let session = w.slow("", |loaded| {
        add(1)(loaded);
        add(1)(loaded);
        assert!(format!("{loaded:?}").contains("edits: Edits(2)"), "{loaded:?}");
    });
    drop(session);
}

#[test]
fn the_place_and_the_limit_are_named() {
    for (error, parts) in [
        (&KeyringError::MalformedEntry { index: 2 } as &dyn Error, ["entry 3 ", "base64url"]),
        (&KeyringError::KeyLength { id: ID, len: 31 }, ["key 7 has 31 bytes", "32 to"]),
        (&Refusal::UnknownKey(ID), ["no key", "id 7"]),
        (&CookieError::TooLarge { len: 5000 }, ["5000 bytes", "4096"]),
        (&CommitError::RecordTooLarge { size: 5000, limit: 4096 }, ["5000 bytes", "4096"]),
        (&EditError::KeyTooLong, ["key", "1024"]),
        (&EditError::TooManyEdits, ["edits", "1024"]),
        (&EditError::Principal, ["user id", "256"]),
        (&ConfigError::MaxRecord, ["record", "4096"]),
        (&ConfigError::Name, ["1 to", "64"]),
        (&InvalidStoreKey, ["1 to", "120"]),
    ] {
        let text = error.to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }
}
