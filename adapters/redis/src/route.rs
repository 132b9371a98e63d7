//! The way from a key to the server that has it.

use std::{fmt, sync::Arc};

use cloakroom_runtime::BoxFuture;
use cloakroom_store::Fault;
use redis::{Pipeline, RedisResult, Value as Answer, aio::ConnectionLike};

use crate::{
    cluster::Cluster,
    connection::Connection,
    failure::Failure,
    pool::{Pool, Progress},
    resp::{Ask, Commands},
};

pub(crate) enum Route {
    Cluster(Cluster),
    /// One server, or whichever is the master by now.
    Single(Pool),
    /// A connection of the user's.
    Users(Arc<dyn Users>),
}

impl Route {
    /// Sees that somebody is there.
    pub(crate) async fn connect(&self) -> Result<(), Failure> {
        match self {
            Self::Cluster(cluster) => cluster.connect().await,
            Self::Single(pool) => pool.connect().await.map(drop),
            Self::Users(_) => Ok(()),
        }
    }

    /// Makes a connection to every server that has keys.
    pub(crate) async fn connections(&self) -> Result<Vec<Arc<Connection>>, Failure> {
        match self {
            Self::Cluster(cluster) => cluster.connections().await,
            Self::Single(pool) => Ok(vec![pool.connect().await?]),
            Self::Users(_) => Err(Failure::unsent(
                Fault::Refused,
                "a connection of the application's does not say where all keys are",
            )),
        }
    }

    /// Tells whether a request may be tried more than once without a word.
    pub(crate) fn tries_again(&self) -> bool {
        matches!(self, Self::Users(_))
    }

    /// Sends a request where the key is; returns the answers, errors of the server among them.
    pub(crate) async fn exec(&self, key: &[u8], ask: &Ask<'_>, progress: &Progress) -> Result<Vec<Answer>, Failure> {
        match self {
            // Boxed, so that what is asked of one server does not hold the room for it.
            Self::Cluster(cluster) => Box::pin(cluster.exec(key, ask, progress)).await,
            Self::Single(pool) => pool.exec(ask, progress).await,
            Self::Users(connection) => {
                progress.sent();
                // It tells of the last time that it tried.
                connection.exec(&Commands::asked(ask).pipeline()).await.map_err(|error| Failure::of(&error).in_doubt())
            }
        }
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cluster(_) => "Cluster",
            Self::Single(_) => "Single",
            Self::Users(_) => "Users",
        })
    }
}

/// A connection that the user made, whatever its type.
pub(crate) trait Users: Send + Sync {
    fn exec<'a>(&'a self, commands: &'a Pipeline) -> BoxFuture<'a, RedisResult<Vec<Answer>>>;
}

impl<C: ConnectionLike + Clone + Send + Sync> Users for C {
    fn exec<'a>(&'a self, commands: &'a Pipeline) -> BoxFuture<'a, RedisResult<Vec<Answer>>> {
        // A clone shares the connection; a request needs one of its own.
        let mut connection = self.clone();
        Box::pin(async move { connection.req_packed_commands(commands, 0, commands.len()).await })
    }
}
