//! Serving on async-std.

use std::{io, net::SocketAddr};

use async_std::net::TcpListener;
pub(super) use async_std::task::block_on;
use futures_util::{StreamExt as _, stream};
use smol_hyper::rt::FuturesIo;

use super::{Incoming, Io};

pub(super) async fn listen(address: &str) -> io::Result<(SocketAddr, Incoming)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let incoming = stream::unfold(listener, async |listener| {
        let accepted = listener.accept().await.map(|(stream, _)| {
            // A socket that is gone already shows it when it is read.
            let _ = stream.set_nodelay(true);
            Box::new(FuturesIo::new(stream)) as Box<dyn Io>
        });
        Some((accepted, listener))
    });
    Ok((bound, incoming.boxed()))
}
