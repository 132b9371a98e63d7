//! The stores, each with what tells how large it is and how much work it has done.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use bench_kit::processor_time;
use cloakroom_redb::{RedbConfig, RedbStore};
use cloakroom_redis::RedisStore;
use cloakroom_store::{DynStore, MemoryStore};
use cloakroom_tests::servers::{Options, Redis};
use cloakroom_tokio::Tokio;
use tempfile::TempDir;

/// How long nobody sweeps.
const NEVER: Duration = Duration::from_secs(1_000_000);

/// A store, and where it keeps what it keeps.
pub(crate) enum Place {
    Memory(MemoryStore),
    Redb(RedbStore, PathBuf, #[expect(dead_code, reason = "is there as long as the store")] TempDir),
    Redis(RedisStore, Redis),
}

impl Place {
    /// Opens an empty store that sweeps so often, where that is for it to say.
    pub(crate) async fn open(name: &str, sweep_every: Option<Duration>) -> anyhow::Result<Self> {
        let sweep_every = sweep_every.unwrap_or(NEVER);
        Ok(match name {
            "memory" => {
                let builder = MemoryStore::builder().max_entries(2_000_000).max_bytes(4 << 30);
                Self::Memory(builder.sweep_every(sweep_every).build(Tokio))
            }
            "redb" => {
                let folder = tempfile::tempdir()?;
                let path = folder.path().join("sessions.redb");
                Self::Redb(RedbConfig::new(&path).sweep_every(sweep_every).open(Tokio).await?, path, folder)
            }
            "redis" | "redis-durable" => {
                let options = if name == "redis" { Options::new() } else { Options::new().durable() };
                let server = Redis::start(options);
                Self::Redis(RedisStore::connect(&server.url(), Tokio).await?, server)
            }
            _ => bail!("there is no store {name:?}"),
        })
    }

    pub(crate) fn store(&self) -> Arc<dyn DynStore> {
        match self {
            Self::Memory(store) => Arc::new(store.clone()),
            Self::Redb(store, ..) => Arc::new(store.clone()),
            Self::Redis(store, _) => Arc::new(store.clone()),
        }
    }

    /// Returns how many bytes it takes: of this process's memory, of the file, of the server's memory.
    pub(crate) fn bytes(&self) -> anyhow::Result<u64> {
        Ok(match self {
            Self::Memory(_) => resident()?,
            Self::Redb(_, path, _) => fs::metadata(path)?.len(),
            Self::Redis(_, server) => server.info("memory")["used_memory"].parse()?,
        })
    }

    /// Returns how many entries there are, whether or not they have expired.
    pub(crate) fn entries(&self) -> anyhow::Result<u64> {
        Ok(match self {
            Self::Memory(store) => store.metrics().entries as u64,
            Self::Redb(store, ..) => store.metrics().entries,
            Self::Redis(_, server) => {
                let keyspace = server.info("keyspace");
                let keys = keyspace.get("db0").and_then(|db| db.strip_prefix("keys=")?.split(',').next());
                keys.map_or(Ok(0), str::parse)?
            }
        })
    }

    /// Returns how long processors worked for it: this process' and, where there is one, the server's.
    pub(crate) fn processor_time(&self) -> anyhow::Result<Duration> {
        let server = match self {
            Self::Redis(_, server) => processor_time(server.pid().context("the server runs")?)?,
            Self::Memory(_) | Self::Redb(..) => Duration::ZERO,
        };
        Ok(processor_time(std::process::id())? + server)
    }
}

/// Returns the memory of this process that is there in fact.
fn resident() -> anyhow::Result<u64> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split(' ').nth(1).context("/proc/self/statm")?.parse()?;
    Ok(pages * 4096)
}
