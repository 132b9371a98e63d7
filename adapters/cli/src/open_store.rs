//! Opening the store that a command is to use.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use cloakroom_core::Engine;
use cloakroom_http::HttpStore;
use cloakroom_memcached::MemcachedStore;
use cloakroom_redb::{OpenError, RedbConfig, RedbStore};
use cloakroom_redis::RedisStore;
use cloakroom_runtime::Runtime;
use cloakroom_store::{CookieOnly, DynStore, MemoryStore, Sessions};

use crate::{holder::Holder, store_url::StoreUrl};

/// A store that is open.
pub(crate) enum OpenStore {
    CookieOnly,
    Memcached(MemcachedStore),
    Http(HttpStore),
    Memory(MemoryStore),
    Redb(RedbStore),
    Redis(RedisStore),
}

/// What to do where a file cannot be opened, behind the words that say why.
pub(crate) struct Advice {
    pub(crate) in_use: &'static str,
    pub(crate) otherwise: &'static str,
}

impl OpenStore {
    /// Opens it, or says what is in the way.
    pub(crate) async fn open(
        url: StoreUrl,
        runtime: &Arc<dyn Runtime>,
        sweep_every: Duration,
        advice: &Advice,
    ) -> anyhow::Result<Self> {
        let runtime = Arc::clone(runtime);
        match url {
            StoreUrl::Cookie(None) => Ok(Self::CookieOnly),
            StoreUrl::Cookie(Some(url)) => Box::pin(Self::open(*url, &runtime, sweep_every, advice)).await,
            StoreUrl::Http { config, place } => {
                config.connect(runtime).await.map(Self::Http).with_context(|| format!("no store at {place}"))
            }
            StoreUrl::Memory => Ok(Self::Memory(MemoryStore::builder().sweep_every(sweep_every).build(runtime))),
            StoreUrl::Redb(path) => match RedbConfig::new(path).sweep_every(sweep_every).open(runtime).await {
                Ok(store) => Ok(Self::Redb(store)),
                Err(OpenError::InUse(path)) => {
                    Err(anyhow!("{} is in use by {}; {}", path.display(), Holder::of(&path), advice.in_use))
                }
                // Its words are its source's as well.
                Err(error) => Err(anyhow!("{error}{}", advice.otherwise)),
            },
            // Who asked for a server wants to know at once that it is not there, or does not let them in.
            StoreUrl::Memcached { config, place } => {
                config.connect(runtime).await.map(Self::Memcached).with_context(|| format!("no store at {place}"))
            }
            StoreUrl::Redis { config, place } => {
                config.connect(runtime).await.map(Self::Redis).with_context(|| format!("no store at {place}"))
            }
        }
    }

    /// Joins it to an engine.
    pub(crate) fn sessions(&self, engine: Engine, runtime: &Arc<dyn Runtime>) -> Sessions {
        let runtime = Arc::clone(runtime);
        match self {
            Self::CookieOnly => Sessions::builder(engine, CookieOnly, runtime),
            Self::Memcached(store) => Sessions::builder(engine, store.clone(), runtime),
            Self::Http(store) => Sessions::builder(engine, store.clone(), runtime),
            Self::Memory(store) => Sessions::builder(engine, store.clone(), runtime),
            Self::Redb(store) => Sessions::builder(engine, store.clone(), runtime),
            Self::Redis(store) => Sessions::builder(engine, store.clone(), runtime),
        }
        .build()
    }

    /// Returns it as a store of whatever type.
    pub(crate) fn as_dyn(&self) -> &dyn DynStore {
        match self {
            Self::CookieOnly => &CookieOnly,
            Self::Memcached(store) => store,
            Self::Http(store) => store,
            Self::Memory(store) => store,
            Self::Redb(store) => store,
            Self::Redis(store) => store,
        }
    }

    /// Returns a handle of it, as a store of whatever type.
    pub(crate) fn shared(&self) -> Arc<dyn DynStore> {
        match self {
            Self::CookieOnly => Arc::new(CookieOnly),
            Self::Http(store) => Arc::new(store.clone()),
            Self::Memcached(store) => Arc::new(store.clone()),
            Self::Memory(store) => Arc::new(store.clone()),
            Self::Redb(store) => Arc::new(store.clone()),
            Self::Redis(store) => Arc::new(store.clone()),
        }
    }

    /// Leaves a file in good order; nothing can be stored from here on.
    pub(crate) async fn close(&self) {
        if let Self::Redb(store) = self {
            store.close().await;
        }
    }
}
