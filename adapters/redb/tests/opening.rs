//! What is opened, what is refused, and what the refusal says.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod common;

use std::{error::Error, fs, path::Path};

use cloakroom_redb::{OpenError, RedbConfig, RedbStore};
use cloakroom_store::{Fault, Store as _};
use redb::{Database, ReadableDatabase, TableDefinition};

use self::common::{Case, TTL, TestRuntime, key, value};

async fn open(path: &Path) -> Result<RedbStore, OpenError> {
    RedbStore::open(path, TestRuntime::default()).await
}

async fn refused(path: &Path) -> OpenError {
    let error = open(path).await.unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    assert_eq!(format!("{error:?}"), error.to_string());
    error
}

#[tokio::test]
async fn a_second_store_on_the_file_is_refused_until_the_first_is_closed() {
    let case = Case::new().await;
    let error = refused(&case.path()).await;
    assert!(matches!(error, OpenError::InUse(_)), "{error:?}");
    assert!(error.to_string().contains("open already"), "{error}");
    case.create(1, &value(10), TTL).await;
    case.store.close().await;
    open(&case.path()).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_under_two_names_is_still_one() {
    let case = Case::new().await;
    let link = case.folder.path().join("link");
    std::os::unix::fs::symlink(case.path(), &link).unwrap();
    assert!(matches!(refused(&link).await, OpenError::InUse(_)));
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_is_made_is_its_owners_alone_and_has_no_company() {
    use std::os::unix::fs::PermissionsExt;

    let case = Case::new().await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&case.path()), 0o600);
    assert_eq!(fs::read_dir(case.folder.path()).unwrap().count(), 1);
    case.store.close().await;
    fs::set_permissions(case.path(), fs::Permissions::from_mode(0o640)).unwrap();
    open(&case.path()).await.unwrap();
    assert_eq!(mode(&case.path()), 0o640, "who sets another mode means it");
}

#[tokio::test]
async fn many_that_make_the_file_at_once_leave_one_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.redb");
    let opening: Vec<_> =
        (0..16).map(|_| tokio::spawn(RedbStore::open(path.clone(), TestRuntime::default()))).collect();
    let mut opened = Vec::new();
    for opening in opening {
        match opening.await.unwrap() {
            Ok(store) => opened.push(store),
            Err(error) => assert!(matches!(error, OpenError::InUse(_)), "{error:?}"),
        }
    }
    assert_eq!((opened.len(), fs::read_dir(folder.path()).unwrap().count()), (1, 1));
}

#[tokio::test]
async fn an_empty_file_becomes_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.redb");
    fs::write(&path, "").unwrap();
    open(&path).await.unwrap();
    assert!(fs::metadata(&path).unwrap().len() > 0);
}

#[tokio::test]
async fn a_missing_folder_is_told_and_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("s.redb");
    let error = refused(&path).await;
    assert!(matches!(error, OpenError::Io(..)) && error.to_string().contains("does its folder exist?"), "{error}");
    assert!(error.source().is_none(), "it is said once");
    assert!(!folder.path().join("missing").exists());
}

#[tokio::test]
async fn a_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(refused(folder.path()).await, OpenError::Io(..)));
}

#[tokio::test]
async fn foreign_files_are_refused_and_left_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [("a", b"x".to_vec()), ("b", b"notes ".repeat(1000)), ("c", vec![0; 1 << 20])] {
        let path = folder.path().join(name);
        fs::write(&path, &content).unwrap();
        let error = refused(&path).await;
        assert!(matches!(error, OpenError::NotAStore(_)), "{error:?}");
        assert_eq!(fs::read(&path).unwrap(), content);
    }
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_keeps_its_tables() {
    const OTHER: TableDefinition<'_, &str, u64> = TableDefinition::new("other");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.redb");
    let database = Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(OTHER).unwrap().insert("a", 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert!(matches!(refused(&path).await, OpenError::NotAStore(_)));
    let tables = Database::open(&path).unwrap().begin_read().unwrap().list_tables().unwrap().count();
    assert_eq!(tables, 1);
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("cloakroom.meta");
    let case = Case::new().await;
    case.store.close().await;
    let database = Database::open(case.path()).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert("format", &2_u64.to_le_bytes()[..]).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = refused(&case.path()).await;
    assert!(matches!(error, OpenError::NewerFormat(_)), "{error:?}");
    assert!(error.to_string().contains("later version"), "{error}");
}

#[tokio::test]
async fn a_file_whose_versions_are_used_up_is_read_and_written_no_more() {
    const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("cloakroom.meta");
    let case = Case::new().await;
    case.create(1, &value(10), TTL).await;
    case.store.close().await;
    let database = Database::open(case.path()).unwrap();
    let transaction = database.begin_write().unwrap();
    let state = [u64::MAX, 0, 0, 0, 0].map(u64::to_le_bytes).concat();
    transaction.open_table(META).unwrap().insert("state", &state[..]).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let store = open(&case.path()).await.unwrap();
    for _ in 0..2 {
        let error = store.create(&key(2), &value(10), TTL).await.unwrap_err();
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::Internal, false), "no version comes back");
    }
    assert!(store.load(&key(1)).await.unwrap().is_some());
}

/// A store's file with much in it, not closed, as a kill leaves it.
async fn left_open() -> (Case, Vec<u8>) {
    let case = Case::new().await;
    for number in 0..50 {
        case.create(number, &value(3000), TTL).await;
    }
    let bytes = fs::read(case.path()).unwrap();
    case.store.close().await;
    (case, bytes)
}

#[tokio::test]
async fn a_file_that_was_cut_short_is_damaged() {
    let (case, bytes) = left_open().await;
    for len in [100, 4096, bytes.len() / 8, bytes.len() / 2] {
        fs::write(case.path(), &bytes[..len]).unwrap();
        let error = refused(&case.path()).await;
        assert!(matches!(error, OpenError::Damaged(_)), "{len}: {error:?}");
        assert!(error.to_string().contains("is damaged"), "{error}");
    }
}

#[tokio::test]
async fn damage_anywhere_is_refused_or_harmless_and_never_a_panic() {
    let (case, bytes) = left_open().await;
    let path = case.folder.path().join("damaged.redb");
    let (mut damaged, mut seed) = (0, 1_u64);
    for round in 0..60 {
        let mut bytes = bytes.clone();
        for _ in 0..64 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (seed >> 20) as usize % if round % 3 == 0 { 512 } else { bytes.len() };
            bytes[at] ^= 1 << (seed >> 61);
        }
        fs::write(&path, &bytes).unwrap();
        match open(&path).await {
            Ok(store) => {
                for number in 0..50 {
                    // Damage that the checksums do not cover lies in what is free.
                    let found = cloakroom_store::Store::load(&store, &key(number)).await.unwrap();
                    assert!(found.is_none_or(|found| found.value == value(3000)), "round {round}");
                }
                store.close().await;
            }
            Err(OpenError::Damaged(_) | OpenError::NotAStore(_)) => damaged += 1,
            Err(error) => panic!("round {round}: {error:?}"),
        }
    }
    assert!(damaged > 10, "{damaged}");
}

#[tokio::test]
async fn a_relative_path_is_kept_whole() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let path = Path::new(folder.path().file_name().unwrap()).join("s.redb");
    let store = RedbConfig::new(&path).open(TestRuntime::default()).await.unwrap();
    let error = open(&path).await.unwrap_err();
    let OpenError::InUse(named) = &error else { panic!("{error:?}") };
    assert!(named.is_absolute() && named.ends_with(&path), "{error}");
    drop(store);
}
