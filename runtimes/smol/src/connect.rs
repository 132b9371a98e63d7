//! Opening connections.

use std::{io, net::SocketAddr};

use cloakroom_runtime::{Endpoint, Stream};
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
    any(resolve((name, port)).await?.into_iter()).await
}

/// Connects to the first address that answers.
async fn any(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name stands for no address");
    for address in addresses {
        match tcp(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // Requests are small and wait for their answers.
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::{
        io::ErrorKind,
        net::{SocketAddr, TcpListener},
    };

    use smol::block_on;

    use super::{any, host, tcp};

    #[test]
    fn small_writes_leave_without_delay() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        block_on(async {
            assert!(tcp(address).await.unwrap().nodelay().unwrap());
            assert!(host("127.0.0.1", address.port()).await.unwrap().nodelay().unwrap());
        });
    }

    #[test]
    fn every_address_is_tried_and_the_last_error_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let refusing: SocketAddr = ([127, 0, 0, 2], address.port()).into();
        block_on(async {
            let stream = any([refusing, refusing, address].into_iter()).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), address);
            assert_eq!(any([refusing].into_iter()).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
            assert_eq!(any([].into_iter()).await.unwrap_err().kind(), ErrorKind::NotFound);
        });
    }
}
