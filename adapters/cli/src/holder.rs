//! Who has a file open.

use std::{fmt, path::Path};

/// How often the list of locks is looked at.
#[cfg(target_os = "linux")]
const LOOKS: u32 = 20;

/// The process that holds the lock of a file, where the system tells it for little.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Holder {
    Known { id: u32, name: String },
    Unknown,
}

impl Holder {
    /// Looks for it.
    #[cfg(target_os = "linux")]
    pub(crate) fn of(path: &Path) -> Self {
        use std::{fs, os::unix::fs::MetadataExt as _};
        let Ok(path) = path.canonicalize() else { return Self::Unknown };
        let Ok(metadata) = path.metadata() else { return Self::Unknown };
        // The number of a file is not unique among disks.
        let has_it = |id: &u32| {
            fs::read_dir(format!("/proc/{id}/fd")).is_ok_and(|mut files| {
                files.any(|file| file.is_ok_and(|file| fs::read_link(file.path()).is_ok_and(|target| target == path)))
            })
        };
        // What is locked and let go of elsewhere while the list is read can hide a line of it.
        let found = (0..LOOKS).find_map(|_| {
            let locks = fs::read_to_string("/proc/locks").ok()?;
            lockers(&locks, metadata.ino()).find(has_it)
        });
        let Some(id) = found else { return Self::Unknown };
        let name = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
        Self::Known { id, name: name.trim().to_owned() }
    }

    /// Looks for it.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn of(_: &Path) -> Self {
        Self::Unknown
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known { id, name } => write!(f, "process {id} ({name})"),
            Self::Unknown => f.write_str("another process"),
        }
    }
}

/// Returns the processes that hold a lock on the file of this number: `1: FLOCK ADVISORY WRITE 42 fe:00:1234 0 EOF`.
#[cfg(target_os = "linux")]
fn lockers(locks: &str, file: u64) -> impl Iterator<Item = u32> {
    let file = format!(":{file}");
    locks.lines().filter_map(move |line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        // One that waits has an arrow before it.
        let kind = words.next().filter(|kind| *kind != "->")?;
        let (id, place) = (words.nth(2)?, words.next()?);
        (kind == "FLOCK" && place.ends_with(&file)).then(|| id.parse().ok())?
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{
        fs::{self, File},
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::{Holder, lockers};

    #[test]
    fn the_holder_of_a_lock_is_found_among_others() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 fe:00:99 0 EOF\n2: FLOCK  ADVISORY  WRITE 42 fe:00:99 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 43 fe:00:99 0 EOF\n3: FLOCK  ADVISORY  WRITE 8 fe:00:199 0 EOF\n4:";
        assert_eq!(lockers(locks, 99).collect::<Vec<_>>(), [42]);
    }

    #[test]
    fn nobody_holds_what_is_not_locked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = File::create(&path).unwrap();
        assert_eq!(Holder::of(&path), Holder::Unknown);
        file.try_lock().unwrap();
        let name = fs::read_to_string("/proc/self/comm").unwrap().trim().to_owned();
        assert_eq!(Holder::of(&path), Holder::Known { id: std::process::id(), name });
        assert_eq!(Holder::of(&folder.path().join("none")), Holder::Unknown);
    }
    #[test]
    fn locks_that_come_and_go_hide_no_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = File::create(&path).unwrap();
        let others: Vec<File> = (0..40).map(|at| File::create(folder.path().join(at.to_string())).unwrap()).collect();
        file.try_lock().unwrap();
        let is_over = AtomicBool::new(false);
        let missed = thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    others.iter().for_each(|other| other.try_lock().unwrap());
                    others.iter().for_each(|other| other.unlock().unwrap());
                }
            });
            let missed = (0..1_000).filter(|_| Holder::of(&path) == Holder::Unknown).count();
            is_over.store(true, Ordering::Relaxed);
            missed
        });
        assert_eq!(missed, 0);
    }
}
