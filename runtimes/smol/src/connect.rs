//! Opening connections.

use std::{io, net::SocketAddr};

use cloakroom_runtime::{Endpoint, Stream, connect_to_any};
use smol::net::{TcpStream, resolve};

pub(crate) async fn connect(endpoint: Endpoint) -> io::Result<Box<dyn Stream>> {
    match endpoint {
        Endpoint::Host(name, port) => Ok(Box::new(host(&name, port).await?)),
        Endpoint::Tcp(address) => Ok(Box::new(tcp(address).await?)),
        #[cfg(unix)]
        Endpoint::Unix(path) => Ok(Box::new(smol::net::unix::UnixStream::connect(path).await?)),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

async fn host(name: &str, port: u16) -> io::Result<TcpStream> {
    connect_to_any(resolve((name, port)).await?, tcp).await
}

async fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // Requests are small and wait for their answers.
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use smol::block_on;

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
