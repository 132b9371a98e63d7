//! What a handler would do that keeps its sessions in Redis with no library: the floor under every server-side session.
//!
//! A read is `GET` and `PTTL` in one round trip, a change a read and then one script that compares and sets. There is no
//! signature, no deadline of the session's own, no retry, and what two requests change at once is refused: it is no
//! session library, but what one cannot go below.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use bench_kit::{COUNT_KEY, Shape};
use cloakroom_runtime::{Endpoint, Runtime};
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, aio::MultiplexedConnection};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio_util::compat::FuturesAsyncReadCompatExt as _;

/// The start of its cookie, which holds the key in Redis.
const COOKIE: &str = "by_hand=";
const TTL: Duration = Duration::from_secs(8 * 60 * 60);
const COMPARE_AND_SET: &str = "
local found = redis.call('GET', KEYS[1])
if found ~= ARGV[1] then
    return {found, redis.call('PTTL', KEYS[1])}
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1";

/// A connection that many requests share, on any runtime.
#[derive(Clone)]
pub struct ByHand {
    connection: MultiplexedConnection,
    /// The SHA-1 of the script, as the server names it.
    compare_and_set: Arc<str>,
    next: Arc<AtomicU64>,
}

/// What a read needs of a record, whatever else is in it.
#[derive(Deserialize)]
struct Named<'a> {
    name: &'a str,
}

impl ByHand {
    /// Connects to `redis://127.0.0.1:PORT`.
    ///
    /// # Errors
    ///
    /// What stands in the way.
    pub async fn connect(url: &str, runtime: &dyn Runtime) -> anyhow::Result<Self> {
        let address: SocketAddr = url.strip_prefix("redis://").context("redis://127.0.0.1:PORT")?.parse()?;
        let stream = runtime.connect(&Endpoint::Tcp(address)).await?;
        // Its own time limits know tokio alone.
        let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
        let login = RedisConnectionInfo::default();
        let made = MultiplexedConnection::new_with_config(&login, stream.compat(), config).await;
        let (mut connection, driver) = made?;
        drop(runtime.spawn(Box::pin(driver)));
        let loaded: String = redis::cmd("SCRIPT").arg("LOAD").arg(COMPARE_AND_SET).query_async(&mut connection).await?;
        Ok(Self { connection, compare_and_set: loaded.into(), next: Arc::default() })
    }

    /// Answers a route of [`bench_kit`] with its text and a `Set-Cookie`, where there is one.
    ///
    /// # Errors
    ///
    /// Redis', and a record that cannot be read.
    pub async fn answer(&self, path: &str, cookies: Option<&str>) -> anyhow::Result<(String, Option<String>)> {
        let key = cookies.and_then(|header| header.split("; ").find_map(|pair| pair.strip_prefix(COOKIE)));
        Ok(match (path, key) {
            ("/read", Some(key)) => {
                let read = self.read(key).await?;
                (read.as_deref().map_or(Ok(0), name_length)?.to_string(), None)
            }
            ("/read", None) => ("0".to_owned(), None),
            ("/change", Some(key)) => (self.change(key).await?.to_string(), None),
            ("/change", None) => ("1".to_owned(), Some(self.create(&[]).await?)),
            (fill, _) if fill.starts_with("/fill/") => {
                let shape: Shape = fill["/fill/".len()..].parse()?;
                ("ok".to_owned(), Some(self.create(&shape.pairs()).await?))
            }
            _ => ("ok".to_owned(), None),
        })
    }

    async fn read(&self, key: &str) -> anyhow::Result<Option<String>> {
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.cmd("GET").arg(key).cmd("PTTL").arg(key);
        let (found, _left): (Option<String>, i64) = pipeline.query_async(&mut self.connection.clone()).await?;
        Ok(found)
    }

    /// Adds one to the number, and again where others were faster.
    async fn change(&self, key: &str) -> anyhow::Result<u64> {
        loop {
            let Some(found) = self.read(key).await? else { bail!("there is no record") };
            let mut record: Map<String, Value> = serde_json::from_str(&found)?;
            let count = record.get(COUNT_KEY).and_then(Value::as_u64).unwrap_or(0) + 1;
            record.insert(COUNT_KEY.to_owned(), count.into());
            let record = serde_json::to_string(&record)?;
            let mut set = Cmd::new();
            set.arg("EVALSHA").arg(&*self.compare_and_set).arg(1).arg(key);
            set.arg(&found).arg(&record).arg(TTL.as_millis() as u64);
            if let redis::Value::Int(1) = set.query_async(&mut self.connection.clone()).await? {
                return Ok(count);
            }
        }
    }

    /// Stores a new record; returns the line that sets its cookie.
    async fn create(&self, pairs: &[(String, String)]) -> anyhow::Result<String> {
        let mut record: Map<String, Value> =
            pairs.iter().map(|(key, text)| (key.clone(), text.clone().into())).collect();
        record.insert(COUNT_KEY.to_owned(), 1.into());
        let key = format!("by-hand:{:032}", self.next.fetch_add(1, Ordering::Relaxed));
        let mut set = redis::cmd("SET");
        set.arg(&key).arg(serde_json::to_string(&record)?).arg("NX").arg("PX").arg(TTL.as_millis() as u64);
        let () = set.query_async(&mut self.connection.clone()).await?;
        Ok(format!("{COOKIE}{key}; Path=/; HttpOnly"))
    }
}

fn name_length(record: &str) -> anyhow::Result<usize> {
    Ok(serde_json::from_str::<Named<'_>>(record).context("a record has a name")?.name.len())
}
