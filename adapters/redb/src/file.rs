//! The file while it is open, and how it is opened anew after it failed.

use std::{
    sync::{
        Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use cloakroom_runtime::Runtime;
use cloakroom_store::Fault;
use redb::Database;
use tracing::{info, warn};

use crate::{
    clock::Clock,
    error::{OpenError, OpenTrouble, Trouble},
    metrics::Counters,
    open::{Opened, Opener},
    store::lock,
    table::State,
};

/// The database answers nothing after its file has failed once, be it a full disk: it must be opened anew. Reads are
/// then tried once more, at once; writes are not tried for a while, so that a disk that stays full costs no reopening
/// for each.
pub(crate) struct DataFile {
    opener: Opener,
    slot: RwLock<Slot>,
    /// What stops opening, after it did not succeed.
    opening: Mutex<Bar>,
    /// What stops writing, after it did not succeed.
    writing: Mutex<Bar>,
    /// What is known of the time, also while the file is not open.
    clock: Mutex<Clock>,
    pub(crate) last_version: AtomicU64,
}

struct Slot {
    content: Content,
    /// Tells openings apart.
    generation: u64,
}

enum Content {
    Closed,
    Failed,
    Open(Database),
}

/// How far a transaction got before it failed.
pub(crate) enum Stage {
    /// Its commit had begun.
    Committing,
    /// Nothing of it can have happened.
    Preparing,
}

impl DataFile {
    pub(crate) fn new(opener: Opener, opened: Opened, counters: &Counters) -> Self {
        counters.entries.store(opened.entries, Ordering::Relaxed);
        counters.members.store(opened.members, Ordering::Relaxed);
        counters.file_bytes.store(opener.file_bytes().unwrap_or_default(), Ordering::Relaxed);
        Self {
            opener,
            slot: RwLock::new(Slot { content: Content::Open(opened.database), generation: 0 }),
            opening: Mutex::default(),
            writing: Mutex::default(),
            clock: Mutex::new(opened.state.clock),
            last_version: AtomicU64::new(opened.state.last_version),
        }
    }

    /// Tells the time, which never goes back.
    pub(crate) fn now(&self, runtime: &dyn Runtime) -> u64 {
        // The clock is read under the lock: read before, it could be older than what another put in meanwhile.
        let mut clock = lock(&self.clock);
        clock.advance(unix_millis(runtime))
    }

    /// What a commit writes beside the entries.
    pub(crate) fn state(&self) -> State {
        State { last_version: self.last_version.load(Ordering::Relaxed), clock: *lock(&self.clock) }
    }

    pub(crate) fn file_bytes(&self) -> u64 {
        self.opener.file_bytes().unwrap_or_default()
    }

    /// Runs what only reads.
    pub(crate) fn read<T>(
        &self,
        runtime: &dyn Runtime,
        counters: &Counters,
        read: impl Fn(&Database) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        // The second time after the file has failed, which may have been long ago.
        self.with(runtime, counters, &read).or_else(|trouble| match trouble {
            Trouble::File(_) => self.with(runtime, counters, &read),
            _ => Err(trouble),
        })
    }

    /// Runs what writes.
    pub(crate) fn write<T>(
        &self,
        runtime: &dyn Runtime,
        counters: &Counters,
        write: impl FnOnce(&Database) -> Result<T, (Stage, Trouble)>,
    ) -> Result<T, (Stage, Trouble)> {
        let stops = lock(&self.writing).stops(unix_millis(runtime));
        if let Some(fault) = stops {
            return Err((Stage::Preparing, Trouble::Barred(fault)));
        }
        let mut stage = Stage::Preparing;
        let done = self.with(runtime, counters, |database| {
            write(database).map_err(|(reached, trouble)| {
                stage = reached;
                trouble
            })
        });
        done.map_err(|trouble| {
            if let Trouble::File(_) = &trouble {
                lock(&self.writing).raise(unix_millis(runtime), trouble.fault());
            }
            (stage, trouble)
        })
    }

    /// Notes that a commit has succeeded, which other transactions say nothing of.
    pub(crate) fn has_committed(&self) {
        lock(&self.writing).lift();
    }

    /// Has the file opened anew before it is used again.
    pub(crate) fn distrust(&self) {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        if let Content::Open(_) = slot.content {
            slot.content = Content::Failed;
        }
    }

    /// Closes the file, after what is under way.
    pub(crate) fn close(&self) {
        self.slot.write().unwrap_or_else(PoisonError::into_inner).content = Content::Closed;
    }

    fn with<T>(
        &self,
        runtime: &dyn Runtime,
        counters: &Counters,
        run: impl FnOnce(&Database) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        loop {
            let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
            match &slot.content {
                Content::Closed => return Err(Trouble::Closed),
                Content::Failed => {
                    drop(slot);
                    self.reopen(runtime)?;
                }
                Content::Open(database) => {
                    let generation = slot.generation;
                    let done = run(database);
                    drop(slot);
                    if let Err(trouble @ Trouble::File(_)) = &done {
                        self.fail(generation, trouble, counters);
                    }
                    return done;
                }
            }
        }
    }

    /// Lets go of the database that failed, unless another did.
    fn fail(&self, generation: u64, trouble: &Trouble, counters: &Counters) {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        if let (Content::Open(_), true) = (&slot.content, slot.generation == generation) {
            slot.content = Content::Failed;
            counters.failures.fetch_add(1, Ordering::Relaxed);
            let error = trouble.failed();
            let words = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            warn!(path = %self.opener.path().display(), error = words, "the file failed; it will be opened anew");
        }
    }

    fn reopen(&self, runtime: &dyn Runtime) -> Result<(), Trouble> {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        let Content::Failed = slot.content else { return Ok(()) };
        let mut opening = lock(&self.opening);
        if let Some(fault) = opening.stops(unix_millis(runtime)) {
            return Err(Trouble::Barred(fault));
        }
        let began = unix_millis(runtime);
        match self.open_existing() {
            Ok(opened) => {
                // Those who read have some time before a write can fail again.
                let now = unix_millis(runtime);
                lock(&self.writing).last(now, now.saturating_sub(began).saturating_mul(10));
                // What was given out before may not have come to be kept.
                self.last_version.fetch_max(opened.state.last_version, Ordering::Relaxed);
                slot.content = Content::Open(opened.database);
                slot.generation += 1;
                opening.lift();
                info!(path = %self.opener.path().display(), "the file was opened anew");
                Ok(())
            }
            Err(trouble) => {
                let fault = trouble.fault();
                opening.raise(unix_millis(runtime), fault);
                let error = OpenError::new(self.opener.path(), OpenTrouble::from(trouble));
                warn!(%error, "the file could not be opened anew");
                Err(Trouble::Barred(fault))
            }
        }
    }

    fn open_existing(&self) -> Result<Opened, Trouble> {
        // An empty one would be made a store: without the sessions, and with versions that were there before.
        if self.opener.file_bytes().map_err(redb::Error::Io).map_err(Trouble::File)? == 0 {
            return Err(Trouble::Malformed);
        }
        self.opener.open().map_err(|trouble| match trouble {
            OpenTrouble::Io(error) => Trouble::File(redb::Error::Io(error)),
            OpenTrouble::InUse => Trouble::File(redb::Error::DatabaseAlreadyOpen),
            OpenTrouble::Damaged | OpenTrouble::NewerFormat | OpenTrouble::NotAStore => Trouble::Malformed,
        })
    }
}

/// Stops what did not succeed for a while, longer each time.
#[derive(Debug, Default)]
struct Bar {
    raised_at: u64,
    millis: u64,
    fault: Option<Fault>,
}

impl Bar {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(2);
    const LONGEST_AFTER_OPENING: Duration = Duration::from_secs(5);

    fn stops(&self, wall: u64) -> Option<Fault> {
        // A clock that was set back stops nothing.
        let is_up = wall.checked_sub(self.raised_at).is_some_and(|passed| passed < self.millis);
        self.fault.filter(|_| is_up)
    }

    fn raise(&mut self, wall: u64, fault: Fault) {
        let (first, longest) = (Self::FIRST.as_millis() as u64, Self::LONGEST.as_millis() as u64);
        let millis = self.millis.saturating_mul(2).clamp(first, longest);
        *self = Self { raised_at: wall, millis, fault: Some(fault) };
    }

    /// Has it stop for so long from now, but within bounds, if that is longer and it stops anything.
    fn last(&mut self, wall: u64, millis: u64) {
        let millis = millis.min(Self::LONGEST_AFTER_OPENING.as_millis() as u64);
        if self.fault.is_some() && millis > self.millis {
            (self.raised_at, self.millis) = (wall, millis);
        }
    }

    fn lift(&mut self) {
        *self = Self::default();
    }
}

fn unix_millis(runtime: &dyn Runtime) -> u64 {
    let since = runtime.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
