//! Opening the file, and making it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTableMetadata, TableError, WriteTransaction};

use crate::{
    error::{OpenTrouble, Trouble},
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

    /// Makes the file under another name first, so that it never stands half made under its own.
    fn create(&self) -> Result<(), OpenTrouble> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let mut name = self.path.file_name().ok_or(ErrorKind::IsADirectory).map_err(io::Error::from)?.to_owned();
        name.push(format!(".{}-{number}.new", process::id()));
        let draft = Draft(self.path.with_file_name(name));
        // From an earlier process of the same number, which is gone.
        let _ = fs::remove_file(&draft.0);
        drop(self.open_file(private_file(&draft.0)?)?);
        match fs::hard_link(&draft.0, &self.path) {
            // Another was quicker; who holds its file is seen when it is opened.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            // A file system without links.
            Err(_) => fs::rename(&draft.0, &self.path)?,
            Ok(()) => {}
        }
        drop(draft);
        sync_folder(&self.path);
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

/// The file under its first name, which it does not keep.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
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
            return Ok(Opened { database, state: State::default(), entries: 0 });
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
    drop((meta, reading));
    Ok(Opened { database, state, entries })
}

/// Lays out an empty store.
fn lay_out(writing: &WriteTransaction) -> Result<(), Trouble> {
    Tables::open(writing)?;
    writing.open_table(META)?.insert(FORMAT_ROW, &FORMAT.to_le_bytes()[..])?;
    State::default().write(writing)
}
