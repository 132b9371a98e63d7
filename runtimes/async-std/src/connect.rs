//! Opening connections.

use std::{
    io,
    net::{Shutdown, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
};

use async_std::net::{TcpStream, ToSocketAddrs};
#[cfg(unix)]
use async_std::os::unix::net::UnixStream;
use cloakroom_runtime::{Endpoint, Stream, connect_to_any};
use futures_io::{AsyncRead, AsyncWrite};

pub(crate) async fn connect(endpoint: Endpoint) -> io::Result<Box<dyn Stream>> {
    match endpoint {
        Endpoint::Host(name, port) => Ok(Box::new(Closing(host(&name, port).await?))),
        Endpoint::Tcp(address) => Ok(Box::new(Closing(tcp(address).await?))),
        #[cfg(unix)]
        Endpoint::Unix(path) => Ok(Box::new(Closing(UnixStream::connect(path).await?))),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

async fn host(name: &str, port: u16) -> io::Result<TcpStream> {
    connect_to_any((name, port).to_socket_addrs().await?, tcp).await
}

async fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // Requests are small and wait for their answers.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A socket whose writing half can be shut.
trait Socket {
    fn shut(&self) -> io::Result<()>;
}

impl Socket for TcpStream {
    fn shut(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

#[cfg(unix)]
impl Socket for UnixStream {
    fn shut(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// Tells the peer when it is closed for writing, as the streams of other runtimes do: async-std's own say nothing.
struct Closing<S>(S);

impl<S: AsyncRead + Unpin> AsyncRead for Closing<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, bytes)
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [io::IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read_vectored(cx, buffers)
    }
}

impl<S: AsyncWrite + Socket + Unpin> AsyncWrite for Closing<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, buffers)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.shut())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use async_std::task::block_on;

    use super::{host, tcp};

    #[test]
    fn small_writes_leave_without_delay() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        block_on(async {
            assert!(tcp(address).await.unwrap().nodelay().unwrap());
            assert!(host("127.0.0.1", address.port()).await.unwrap().nodelay().unwrap());
        });
    }
}
