//! Where a connection goes, and what it is.

use std::{fmt, future::Future, io, net::SocketAddr, path::PathBuf};

use futures_io::{AsyncRead, AsyncWrite};

/// A connection: bytes both ways.
///
/// Reads and writes may be polled with different wakers: each direction wakes its own.
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

/// `host:port`, with an address of version 6 in brackets, or the path.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Host(host, port) => write!(f, "{host}:{port}"),
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// Connects to the first address that answers, each tried in turn; for implementers of
/// [`Runtime::connect`](crate::Runtime::connect).
///
/// # Errors
///
/// That of the last address, or [`io::ErrorKind::NotFound`] where there is none.
pub async fn connect_to_any<S, F>(
    addresses: impl IntoIterator<Item = SocketAddr>,
    mut connect: impl FnMut(SocketAddr) -> F,
) -> io::Result<S>
where
    F: Future<Output = io::Result<S>>,
{
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name stands for no address");
    for address in addresses {
        match connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
