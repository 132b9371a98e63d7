//! The store while the demo runs.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use cloakroom_core::Engine;
use cloakroom_redb::{OpenError, RedbConfig, RedbStore};
use cloakroom_redis::RedisStore;
use cloakroom_runtime::Runtime;
use cloakroom_store::{MemoryStore, Sessions};

use super::store_url::StoreUrl;
use crate::holder::Holder;

/// A store that is open.
pub(super) enum OpenStore {
    Memory(MemoryStore),
    Redb(RedbStore),
    Redis(RedisStore),
}

/// Where sessions are kept, for those who look.
#[derive(Clone, Debug)]
pub(super) enum Place {
    File(PathBuf),
    Memory,
    /// With the servers.
    Redis(String),
}

/// How large a store is. What it cannot tell is `None`.
#[derive(Debug, Default)]
pub(super) struct Size {
    /// Whatever has an entry: also what leads from one session to its successor, or says that one was ended.
    pub(super) sessions: Option<u64>,
    pub(super) bytes: Option<u64>,
    pub(super) expired: Option<u64>,
    pub(super) refused: Option<u64>,
}

impl OpenStore {
    /// Opens it, or says what is in the way.
    pub(super) async fn open(url: StoreUrl, runtime: &Arc<dyn Runtime>, sweep_every: Duration) -> anyhow::Result<Self> {
        let runtime = Arc::clone(runtime);
        match url {
            StoreUrl::Memory => Ok(Self::Memory(MemoryStore::builder().sweep_every(sweep_every).build(runtime))),
            StoreUrl::Redb(path) => match RedbConfig::new(path).sweep_every(sweep_every).open(runtime).await {
                Ok(store) => Ok(Self::Redb(store)),
                Err(OpenError::InUse(path)) => Err(anyhow!(
                    "{} is in use by {}; choose another store: --store memory: or --store redb:OTHER",
                    path.display(),
                    Holder::of(&path)
                )),
                // Its words are its source's as well.
                Err(error) => Err(anyhow!("{error} (--store memory: or --store redb:OTHER)")),
            },
            // Who asked for a server wants to know at once that it is not there, or does not let them in.
            StoreUrl::Redis { config, place } => {
                config.connect(runtime).await.map(Self::Redis).with_context(|| format!("no store at {place}"))
            }
        }
    }

    /// Joins it to an engine.
    pub(super) fn sessions(&self, engine: Engine, runtime: &Arc<dyn Runtime>) -> Sessions {
        let runtime = Arc::clone(runtime);
        match self {
            Self::Memory(store) => Sessions::builder(engine, store.clone(), runtime),
            Self::Redb(store) => Sessions::builder(engine, store.clone(), runtime),
            Self::Redis(store) => Sessions::builder(engine, store.clone(), runtime),
        }
        .build()
    }

    /// Tells how large it is, without asking anybody.
    pub(super) fn size(&self) -> Size {
        match self {
            Self::Memory(store) => {
                let metrics = store.metrics();
                Size {
                    sessions: Some(metrics.entries as u64),
                    bytes: Some(metrics.bytes as u64),
                    expired: Some(metrics.expired_total),
                    refused: Some(metrics.refused_total),
                }
            }
            Self::Redb(store) => {
                let metrics = store.metrics();
                Size {
                    sessions: Some(metrics.entries),
                    bytes: Some(metrics.file_bytes),
                    expired: Some(metrics.expired_total),
                    refused: None,
                }
            }
            // Others may use it as well.
            Self::Redis(_) => Size::default(),
        }
    }

    /// Leaves a file in good order; nothing can be stored from here on.
    pub(super) async fn close(&self) {
        if let Self::Redb(store) = self {
            store.close().await;
        }
    }
}

impl Place {
    pub(super) fn of(url: &StoreUrl) -> Self {
        match url {
            StoreUrl::Memory => Self::Memory,
            StoreUrl::Redb(path) => Self::File(path.clone()),
            StoreUrl::Redis { place, .. } => Self::Redis(place.clone()),
        }
    }

    /// Returns the word for the kind of store.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "redb",
            Self::Memory => "memory",
            Self::Redis(_) => "redis",
        }
    }
}

/// What the terminal says.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}: sessions survive a restart", path.display()),
            Self::Memory => f.write_str("memory: sessions end with this process"),
            Self::Redis(place) => write!(f, "redis at {place}: sessions survive a restart of this process"),
        }
    }
}
