//! What a handler would do that keeps its sessions in Redis with no library: the floor under every server-side session.
//!
//! A read is `GET` and `PTTL` in one round trip, a change a read and then the script by which our own store replaces a value.
//! There is no signature, no deadline of the session's own, no retry; what is read is not even looked into. It is no session
//! library, but what one would write oneself, over the usual client.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use bench_kit::Shape;
use cloakroom_runtime::{Endpoint, Runtime};
use redis::{
    AsyncConnectionConfig, Client, Cmd, IntoConnectionInfo as _, Pipeline, RedisConnectionInfo,
    aio::MultiplexedConnection, io::tcp::TcpSettings,
};
use tokio_util::compat::FuturesAsyncReadCompatExt as _;

/// The start of its cookie, which holds the key in Redis.
const COOKIE: &str = "__Host-id=";
const TTL: Duration = Duration::from_secs(8 * 60 * 60);
const REPLACE: &str = concat!(
    include_str!("../../../../adapters/redis/src/scripts/look.lua"),
    include_str!("../../../../adapters/redis/src/scripts/unchanged.lua"),
    include_str!("../../../../adapters/redis/src/scripts/replace.lua"),
);
/// As many bytes as stand beside the data in a record of ours that was changed eight times or more.
const ENVELOPE: usize = 326;

/// The client's own time limits know tokio alone, and cost a timer each.
fn without_limits() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None)
}

/// A connection that many requests share.
#[derive(Clone)]
pub struct ByHand {
    connection: MultiplexedConnection,
    /// The SHA-1 of the script, as the server names it.
    replace: Arc<str>,
    next: Arc<AtomicU64>,
}

impl ByHand {
    /// Connects to `redis://127.0.0.1:PORT` on tokio, as an application there does.
    ///
    /// # Errors
    ///
    /// What stands in the way.
    pub async fn on_tokio(url: &str) -> anyhow::Result<Self> {
        let info = url.into_connection_info()?.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = Client::open(info)?;
        Self::new(client.get_multiplexed_async_connection_with_config(&without_limits()).await?).await
    }

    /// Connects to `redis://127.0.0.1:PORT` on a runtime that the client does not know, over that one's stream.
    ///
    /// # Errors
    ///
    /// What stands in the way.
    pub async fn on(url: &str, runtime: &dyn Runtime) -> anyhow::Result<Self> {
        let address: SocketAddr = url.strip_prefix("redis://").context("redis://127.0.0.1:PORT")?.parse()?;
        let stream = runtime.connect(&Endpoint::Tcp(address)).await?;
        let login = RedisConnectionInfo::default();
        let made = MultiplexedConnection::new_with_config(&login, stream.compat(), without_limits()).await;
        let (connection, driver) = made?;
        drop(runtime.spawn(Box::pin(driver)));
        Self::new(connection).await
    }

    async fn new(mut connection: MultiplexedConnection) -> anyhow::Result<Self> {
        let loaded: String = redis::cmd("SCRIPT").arg("LOAD").arg(REPLACE).query_async(&mut connection).await?;
        Ok(Self { connection, replace: loaded.into(), next: Arc::default() })
    }

    /// Answers a route of [`bench_kit`] with its text and a `Set-Cookie`, where there is one.
    ///
    /// # Errors
    ///
    /// Redis', and a client without a session that reads or changes one.
    pub async fn answer(&self, path: &str, cookies: Option<&str>) -> anyhow::Result<(String, Option<String>)> {
        let key = cookies.and_then(|header| header.split("; ").find_map(|pair| pair.strip_prefix(COOKIE)));
        Ok(match path {
            "/read" => (self.read(key.context("no session")?).await?.len().to_string(), None),
            "/change" => (self.change(key.context("no session")?).await?.to_string(), None),
            _ => match path.strip_prefix("/fill/") {
                Some(shape) => ("ok".to_owned(), Some(self.create(shape.parse()?).await?)),
                None => ("ok".to_owned(), None),
            },
        })
    }

    async fn read(&self, key: &str) -> anyhow::Result<Vec<u8>> {
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.cmd("GET").arg(key).cmd("PTTL").arg(key);
        let (found, _left): (Option<Vec<u8>>, i64) = pipeline.query_async(&mut self.connection.clone()).await?;
        found.context("no record")
    }

    /// Gives one byte another value, and again where others were faster.
    async fn change(&self, key: &str) -> anyhow::Result<u8> {
        loop {
            let found = self.read(key).await?;
            let mut changed = found.clone();
            let Some(last) = changed.last_mut() else { bail!("an empty record") };
            *last = last.wrapping_add(1);
            let count = *last;
            let mut replace = Cmd::new();
            replace.arg("EVALSHA").arg(&*self.replace).arg(1).arg(key).arg(0);
            replace.arg(found).arg(changed).arg(TTL.as_millis() as u64);
            if let redis::Value::Int(1) = replace.query_async(&mut self.connection.clone()).await? {
                return Ok(count);
            }
        }
    }

    /// Stores a new record; returns the line that sets its cookie.
    async fn create(&self, shape: Shape) -> anyhow::Result<String> {
        let data: serde_json::Map<_, _> = shape.pairs().into_iter().map(|(key, text)| (key, text.into())).collect();
        let record = format!("{}{}", serde_json::Value::from(data), " ".repeat(ENVELOPE));
        // As long as ours.
        let key = format!("cloakroom:{:022}", self.next.fetch_add(1, Ordering::Relaxed));
        let mut set = redis::cmd("SET");
        set.arg(&key).arg(record).arg("PX").arg(TTL.as_millis() as u64);
        let () = set.query_async(&mut self.connection.clone()).await?;
        Ok(format!("{COOKIE}{key}; Path=/"))
    }
}
