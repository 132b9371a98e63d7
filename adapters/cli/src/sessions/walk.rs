//! A walk over the keys of a store, whichever it is.

use anyhow::{Context as _, bail};
use cloakroom_core::StoreKey;
use cloakroom_redb::RedbWalk;
use cloakroom_redis::RedisWalk;
use cloakroom_store::StoreError;

use crate::open_store::OpenStore;

/// How many keys of a page are asked for at a time.
pub(super) const AT_A_TIME: usize = 64;

pub(super) enum Walk {
    Redb(RedbWalk),
    Redis(RedisWalk),
}

impl Walk {
    pub(super) fn entries(store: &OpenStore, prefix: &str) -> anyhow::Result<Self> {
        Ok(match store {
            OpenStore::CookieOnly => bail!("the cookie is not walked over"),
            OpenStore::Memcached(_) => bail!("memcached lists no keys"),
            OpenStore::Http(_) => bail!("a session service is not walked over; go to its store"),
            OpenStore::Memory(_) => bail!("memory: is not walked over"),
            OpenStore::Redb(store) => Self::Redb(store.walk_entries(prefix)),
            OpenStore::Redis(store) => Self::Redis(store.walk_entries(prefix)),
        })
    }

    pub(super) fn indexes(store: &OpenStore, prefix: &str) -> anyhow::Result<Self> {
        Ok(match store {
            OpenStore::CookieOnly => bail!("the cookie is not walked over"),
            OpenStore::Memcached(_) => bail!("memcached lists no keys"),
            OpenStore::Http(_) => bail!("a session service is not walked over; go to its store"),
            OpenStore::Memory(_) => bail!("memory: is not walked over"),
            OpenStore::Redb(store) => Self::Redb(store.walk_indexes(prefix)),
            OpenStore::Redis(store) => Self::Redis(store.walk_indexes(prefix)),
        })
    }

    /// Brings the next keys; `None` at the end.
    pub(super) async fn next_page(&mut self) -> anyhow::Result<Option<Vec<StoreKey>>> {
        let page: Result<_, StoreError> = match self {
            Self::Redb(walk) => walk.next_page().await,
            Self::Redis(walk) => walk.next_page().await,
        };
        page.context("the store could not be walked over")
    }
}
