//! What the server needs of a runtime beside [`Runtime`]: to be run, and to listen.

/// Makes `listen`, the same on every runtime but for the type of its listener and of what hyper reads.
macro_rules! listen {
    ($listener:ident, $io:ident) => {
        pub(super) async fn listen(address: &str) -> std::io::Result<(std::net::SocketAddr, super::Incoming)> {
            let listener = $listener::bind(address).await?;
            let bound = listener.local_addr()?;
            let incoming = futures_util::stream::unfold(listener, async |listener| {
                let accepted = listener.accept().await.map(|(stream, _)| {
                    // A socket that is gone already shows it when it is read.
                    let _ = stream.set_nodelay(true);
                    Box::new($io::new(stream)) as Box<dyn super::Io>
                });
                Some((accepted, listener))
            });
            Ok((bound, Box::pin(incoming)))
        }
    };
}

mod async_std;
mod smol;
mod tokio;

use std::{fmt, io, net::SocketAddr, sync::Arc};

use clap::ValueEnum;
use cloakroom_async_std::AsyncStd;
use cloakroom_runtime::Runtime;
use cloakroom_smol::Smol;
use cloakroom_tokio::Tokio;
use futures_util::stream::BoxStream;
use hyper::rt::{Read, Write};

/// A runtime by its name.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum RuntimeName {
    AsyncStd,
    Smol,
    Tokio,
}

/// A connection of a client, with `TCP_NODELAY`.
pub(super) trait Io: Read + Write + Send + Unpin {}

impl<T: Read + Write + Send + Unpin> Io for T {}

/// Connections as they come; dropping it closes the port. It goes on after an error, and never ends.
pub(super) type Incoming = BoxStream<'static, io::Result<Box<dyn Io>>>;

impl RuntimeName {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::AsyncStd => "async-std",
            Self::Smol => "smol",
            Self::Tokio => "tokio",
        }
    }

    /// Makes the value for the sessions and their store.
    pub(super) fn value(self) -> Arc<dyn Runtime> {
        match self {
            Self::AsyncStd => Arc::new(AsyncStd),
            Self::Smol => Arc::new(Smol),
            Self::Tokio => Arc::new(Tokio),
        }
    }

    /// Runs a future to its end on this thread. What was spawned and goes on is not waited for.
    pub(super) fn block_on<T>(self, future: impl Future<Output = T>) -> io::Result<T> {
        match self {
            Self::AsyncStd => Ok(async_std::block_on(future)),
            Self::Smol => Ok(smol::block_on(future)),
            Self::Tokio => tokio::block_on(future),
        }
    }

    /// Listens on a host and a port; returns what it listens on as well.
    pub(super) async fn listen(self, address: &str) -> io::Result<(SocketAddr, Incoming)> {
        match self {
            Self::AsyncStd => async_std::listen(address).await,
            Self::Smol => smol::listen(address).await,
            Self::Tokio => tokio::listen(address).await,
        }
    }
}

impl fmt::Display for RuntimeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
