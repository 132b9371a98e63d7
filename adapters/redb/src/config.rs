//! The settings of a store in a file.

use std::{
    path::{self, PathBuf},
    sync::Arc,
    time::Duration,
};

use cloakroom_runtime::{Runtime, run_blocking};

use crate::{error::OpenError, open::Opener, store::RedbStore};

/// Opens a [`RedbStore`].
///
/// # Example
///
/// ```
/// # use std::time::Duration;
/// use cloakroom_redb::RedbConfig;
/// # use cloakroom_tokio::Tokio;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("sessions.redb");
/// let config = RedbConfig::new(path).sweep_every(Duration::from_secs(10)).cache_bytes(256 * 1024 * 1024);
/// let store = config.open(Tokio).await?;
/// assert_eq!(store.metrics().entries, 0);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "`open` opens the store"]
pub struct RedbConfig {
    path: PathBuf,
    sweep_every: Duration,
    cache_bytes: usize,
}

impl RedbConfig {
    /// Names the file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), sweep_every: Duration::from_secs(60), cache_bytes: 64 * 1024 * 1024 }
    }

    /// Sets how long to wait between two sweeps. The default is a minute; less than a millisecond counts as one.
    pub fn sweep_every(mut self, interval: Duration) -> Self {
        self.sweep_every = interval.max(Duration::from_millis(1));
        self
    }

    /// Sets how many bytes of the file are kept in memory at most. The default is 64 MiB.
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Opens the store, and spawns the task that sweeps it.
    ///
    /// A file that is not there is made, readable by its owner alone (mode 0600 on Unix); its folder must be there. The
    /// mode of one that is there is left alone. A file that was not closed, as after a crash, is checked as a whole
    /// first, which takes some seconds for each gigabyte.
    ///
    /// # Errors
    ///
    /// [`OpenError`], which names the path and what to do.
    pub async fn open(self, runtime: impl Runtime) -> Result<RedbStore, OpenError> {
        let runtime: Arc<dyn Runtime> = Arc::new(runtime);
        // The file is opened again after it failed, wherever the working folder is by then.
        let path = path::absolute(&self.path).map_err(|error| OpenError::io(&self.path, error))?;
        let opener = Opener::new(path, self.cache_bytes);
        self.open_with(runtime, opener).await
    }

    pub(crate) async fn open_with(self, runtime: Arc<dyn Runtime>, opener: Opener) -> Result<RedbStore, OpenError> {
        let path = opener.path().to_owned();
        let opening = run_blocking(&*runtime, move || match opener.open_or_create() {
            Ok(opened) => Ok((opener, opened)),
            Err(trouble) => Err(OpenError::new(opener.path(), trouble)),
        });
        let (opener, opened) = opening.await.map_err(|_| OpenError::Interrupted(path))??;
        Ok(RedbStore::new(opener, opened, runtime, self.sweep_every))
    }
}
