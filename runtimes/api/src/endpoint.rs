//! Where a connection goes, and what it is.

use std::{net::SocketAddr, path::PathBuf};

use futures_io::{AsyncRead, AsyncWrite};

/// A connection: bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

/// Where to connect to.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Endpoint {
    /// A host name or address and a port; a name is looked up without blocking the runtime.
    Host(String, u16),
    /// An address.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}
