//! Opening the file, and making it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTableMetadata, TableError, WriteTransaction};

use crate::{
    error::{OpenTrouble, Trouble},
    members::MEMBERS,
    table::{ENTRIES, EXPIRIES, FORMAT, FORMAT_ROW, META, State, Tables},
};

/// How to open the file at a path.
pub(crate) struct Opener {
    path: PathBuf,
    cache_bytes: usize,
    database: Box<MakeDatabase>,
}

/// Makes a database of a file; tests put a backend of their own between.
type MakeDatabase = dyn Fn(&Builder, File) -> Result<Database, DatabaseError> + Send + Sync;

/// A file that was opened.
pub(crate) struct Opened {
    pub(crate) database: Database,
    pub(crate) state: State,
    pub(crate) entries: u64,
    pub(crate) members: u64,
}

impl Opener {
    pub(crate) fn new(path: PathBuf, cache_bytes: usize) -> Self {
        Self { path, cache_bytes, database: Box::new(Builder::create_file) }
    }

    #[cfg(test)]
    pub(crate) fn with_database(
        mut self,
        database: impl Fn(&Builder, File) -> Result<Database, DatabaseError> + Send + Sync + 'static,
    ) -> Self {
        self.database = Box::new(database);
        self
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file, or makes it.
    pub(crate) fn open_or_create(&self) -> Result<Opened, OpenTrouble> {
        match self.open() {
            Err(OpenTrouble::Io(error)) if error.kind() == ErrorKind::NotFound => {}
            opened => return opened,
        }
        self.create()?;
        self.open()
    }

    /// Opens the file, which must be there.
    pub(crate) fn open(&self) -> Result<Opened, OpenTrouble> {
        self.open_file(OpenOptions::new().read(true).write(true).open(&self.path)?)
    }

    /// Reads the size of the file.
    pub(crate) fn file_bytes(&self) -> io::Result<u64> {
        fs::metadata(&self.path).map(|metadata| metadata.len())
    }

    /// Makes the file under a name that nobody else has, so that it never stands half made under its own.
    fn create(&self) -> Result<(), OpenTrouble> {
        let mut prefix = self.path.file_name().ok_or(ErrorKind::IsADirectory).map_err(io::Error::from)?.to_owned();
        prefix.push(".");
        let folder = self.path.parent().unwrap_or(&self.path);
        let draft = tempfile::Builder::new().prefix(&prefix).suffix(".new").make_in(folder, private_file)?;
        let (file, draft) = draft.into_parts();
        let synced = file.try_clone()?;
        drop(self.open_file(file)?);
        synced.sync_all()?;
        drop(synced);
        match draft.persist_noclobber(&self.path) {
            Ok(()) => sync_folder(&self.path),
            // Another was quicker; who holds its file is seen when it is opened.
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.error.into()),
        }
        Ok(())
    }

    fn open_file(&self, file: File) -> Result<Opened, OpenTrouble> {
        let mut builder = Builder::new();
        builder.set_cache_size(self.cache_bytes);
        // What is damaged in a way that the database did not think of.
        catch_unwind(AssertUnwindSafe(|| {
            let database = (self.database)(&builder, file).map_err(redb::Error::from)?;
            check(database)
        }))
        .unwrap_or(Err(OpenTrouble::Damaged))
    }
}

/// Makes a file that other users cannot read: what it will hold is people's data.
fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Has the disk know the file's name. Where folders cannot be synced, the file system does so by itself.
fn sync_folder(path: &Path) {
    if let Some(folder) = path.parent()
        && let Ok(folder) = File::open(folder)
    {
        let _ = folder.sync_all();
    }
}

/// Sees that a database is a store of sessions, or makes it one if nothing is in it.
fn check(database: Database) -> Result<Opened, OpenTrouble> {
    let reading = database.begin_read().map_err(Trouble::from)?;
    let meta = match reading.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::TableDoesNotExist(_)) if reading.list_tables().map_err(Trouble::from)?.next().is_none() => {
            drop(reading);
            let writing = database.begin_write().map_err(Trouble::from)?;
            lay_out(&writing)?;
            writing.commit().map_err(Trouble::from)?;
            return Ok(Opened { database, state: State::default(), entries: 0, members: 0 });
        }
        Err(TableError::Storage(error)) => return Err(Trouble::from(error).into()),
        Err(_) => return Err(OpenTrouble::NotAStore),
    };
    let format = {
        let row = meta.get(FORMAT_ROW).map_err(Trouble::from)?.ok_or(OpenTrouble::NotAStore)?;
        u64::from_le_bytes(row.value().try_into().map_err(|_| OpenTrouble::NotAStore)?)
    };
    match format {
        FORMAT => {}
        0 => return Err(OpenTrouble::NotAStore),
        _ => return Err(OpenTrouble::NewerFormat),
    }
    let state = State::read(&meta)?;
    let entries = reading.open_table(ENTRIES).map_err(Trouble::from)?.len().map_err(Trouble::from)?;
    reading.open_table(EXPIRIES).map_err(Trouble::from)?;
    let members = match reading.open_table(MEMBERS) {
        Ok(members) => members.len().map_err(Trouble::from)?,
        // The first write adds the tables that later versions brought.
        Err(TableError::TableDoesNotExist(_)) => 0,
        Err(error) => return Err(Trouble::from(error).into()),
    };
    drop((meta, reading));
    Ok(Opened { database, state, entries, members })
}

/// Lays out an empty store.
fn lay_out(writing: &WriteTransaction) -> Result<(), Trouble> {
    Tables::open(writing)?;
    writing.open_table(META)?.insert(FORMAT_ROW, &FORMAT.to_le_bytes()[..])?;
    State::default().write(writing)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::{
        ffi::OsString,
        process,
        sync::{
            Arc, Barrier,
            atomic::{AtomicBool, Ordering},
        },
        thread,
    };

    use super::*;

    const CACHE: usize = 1024 * 1024;

    fn names(folder: &Path) -> Vec<OsString> {
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn of_many_that_make_the_file_at_once_each_has_it_or_finds_it_in_use() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let (path, barrier) = (folder.path().join("s.redb"), Barrier::new(16));
            let open = || {
                barrier.wait();
                Opener::new(path.clone(), CACHE).open_or_create()
            };
            let opened: Vec<_> = thread::scope(|scope| {
                let threads: Vec<_> = (0..16).map(|_| scope.spawn(open)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(opened.iter().filter(|opened| opened.is_ok()).count(), 1);
            for trouble in opened.iter().filter_map(|opened| opened.as_ref().err()) {
                assert!(matches!(trouble, OpenTrouble::InUse), "{trouble:?}");
            }
            assert_eq!(names(folder.path()), ["s.redb"]);
        }
    }

    #[test]
    fn a_file_that_another_made_meanwhile_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.redb");
        let (send, quicker) = std::sync::mpsc::channel();
        let is_first = AtomicBool::new(true);
        let opener = Opener::new(path.clone(), CACHE).with_database(move |builder, file| {
            // While this one lays out its draft.
            if is_first.swap(false, Ordering::SeqCst) {
                send.send(Opener::new(path.clone(), CACHE).open_or_create().unwrap()).unwrap();
            }
            builder.create_file(file)
        });
        let slower = opener.open_or_create();
        assert!(matches!(slower, Err(OpenTrouble::InUse)), "{:?}", slower.err());
        assert_eq!(names(folder.path()), ["s.redb"]);
        drop(quicker.recv().unwrap());
        opener.open().unwrap();
    }

    #[test]
    fn what_others_have_in_the_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        // In containers all processes have the same number.
        for number in 0..100 {
            fs::write(folder.path().join(format!("s.redb.{}-{number}.new", process::id())), "a draft").unwrap();
        }
        let before = names(folder.path());
        let drafts = Arc::new(std::sync::Mutex::new(Vec::new()));
        let opener = Opener::new(folder.path().join("s.redb"), CACHE).with_database({
            let (drafts, folder) = (Arc::clone(&drafts), folder.path().to_owned());
            move |builder, file| {
                drafts.lock().unwrap().push(names(&folder));
                builder.create_file(file)
            }
        });
        opener.open_or_create().unwrap();
        let mut after = names(folder.path());
        after.retain(|name| name != "s.redb");
        assert_eq!(after, before);
        let during = drafts.lock().unwrap();
        assert_eq!((during.len(), during[0].len()), (2, 101), "its draft is another");
    }
}
