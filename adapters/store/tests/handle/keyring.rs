//! Rings are read from where secrets are kept; an error names the place and never the content.

use std::{env, fs, io, process::Command};

use cloakroom_core::{KeyId, Keyring, KeyringError};
use cloakroom_store::{KeyringExt, KeyringReadError};

use crate::common::RING;

const VARIABLE: &str = "CLOAKROOM_TEST_RING";

#[test]
fn a_ring_is_read_from_the_environment() {
    if env::var(VARIABLE).is_err() {
        // A process cannot change its own environment safely: this test runs again in one that has the variable.
        let run = |text: &str| {
            let test = "keyring::a_ring_is_read_from_the_environment";
            let mut again = Command::new(env::current_exe().unwrap());
            again.args(["--exact", test]).env(VARIABLE, text).output().unwrap().status.success()
        };
        assert!(run(RING));
        assert!(!run("1:primary:c2hvcnQ"), "a run that sees no ring fails");
        return;
    }
    assert_eq!(Keyring::from_env(VARIABLE).unwrap().primary().id(), KeyId::new(1));
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    let error = Keyring::from_env("CLOAKROOM_TEST_NOT_SET").unwrap_err();
    assert_eq!(error, KeyringReadError::Variable("CLOAKROOM_TEST_NOT_SET".to_owned()));
    let said = "no keys from the environment variable CLOAKROOM_TEST_NOT_SET: it is not set, or no text";
    assert_eq!((error.to_string().as_str(), format!("{error:?}").as_str()), (said, said), "a `main` prints the second");
}

#[test]
fn a_variable_with_another_text_is_an_error_without_that_text() {
    let path = env::var("PATH").unwrap();
    let error = Keyring::from_env("PATH").unwrap_err();
    let KeyringReadError::RingInVariable(name, _) = &error else { panic!("{error:?}") };
    assert_eq!(name, "PATH");
    assert!(
        error.to_string().starts_with("no keys from the environment variable PATH: entry 1 of the ring"),
        "{error}"
    );
    assert!(!format!("{error} {error:?}").contains(&path));
}

#[test]
fn a_ring_is_read_from_a_file() {
    let folder = env::temp_dir().join(format!("cloakroom-keyring-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("ring");
    fs::write(&path, format!("# our ring\n{RING}\n")).unwrap();
    assert_eq!(Keyring::from_file(&path).unwrap().primary().id(), KeyId::new(1));

    fs::write(&path, "1:primary:c2hvcnQ").unwrap();
    let is_no_ring = |error| {
        let said = Keyring::from_file(&path).unwrap_err();
        assert_eq!(said, KeyringReadError::RingInFile(path.clone(), error));
        assert_eq!(said.to_string(), format!("no keys from {}: {error}", path.display()));
    };
    is_no_ring(KeyringError::KeyLength { id: KeyId::new(1), len: 5 });

    fs::write(&path, RING.replace("primary", "accept")).unwrap();
    is_no_ring(KeyringError::NoPrimary);

    fs::write(&path, "").unwrap();
    is_no_ring(KeyringError::Empty);

    fs::write(&path, [0xff, 0xfe]).unwrap();
    let binary = Keyring::from_file(&path).unwrap_err();
    assert_eq!(binary, KeyringReadError::File(path.clone(), io::ErrorKind::InvalidData));
    assert!(binary.to_string().starts_with(&format!("no keys from {}: ", path.display())), "{binary}");
    let missing = folder.join("missing");
    let error = Keyring::from_file(&missing).unwrap_err();
    assert_eq!(error.to_string(), format!("no keys from {}: there is no such file", missing.display()));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn keys_in_place_of_their_place_are_not_repeated() {
    let secret = RING.rsplit(':').next().unwrap();
    for error in [Keyring::from_env(RING).unwrap_err(), Keyring::from_file(RING).unwrap_err()] {
        assert!(!format!("{error} {error:?}").contains(secret), "{error}");
        assert!(error.to_string().contains("(keys, not their place)"), "{error}");
    }
}

#[test]
fn generated_rings_sign_with_their_key_and_differ() {
    let (one, two) = (Keyring::generate(KeyId::new(9)).unwrap(), Keyring::generate(KeyId::new(9)).unwrap());
    assert_eq!(one.primary().id(), KeyId::new(9));
    assert_eq!(one.accepted().count(), 0);
    let text = |ring: &Keyring| ring.primary().dangerous_entry(true).to_string();
    assert_ne!(text(&one), text(&two));
    assert!(text(&one).parse::<Keyring>().is_ok());
    let secret = text(&one).rsplit(':').next().unwrap().to_owned();
    assert!(!format!("{one:?}").contains(&secret));
}
