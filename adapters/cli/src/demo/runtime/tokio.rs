//! Serving on tokio.

use std::{io, net::SocketAddr};

use futures_util::{StreamExt as _, stream};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, runtime::Builder};

use super::{Incoming, Io};

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let output = runtime.block_on(future);
    // A name that is still looked up would hold up the end.
    runtime.shutdown_background();
    Ok(output)
}

pub(super) async fn listen(address: &str) -> io::Result<(SocketAddr, Incoming)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let incoming = stream::unfold(listener, async |listener| {
        let accepted = listener.accept().await.map(|(stream, _)| {
            // A socket that is gone already shows it when it is read.
            let _ = stream.set_nodelay(true);
            Box::new(TokioIo::new(stream)) as Box<dyn Io>
        });
        Some((accepted, listener))
    });
    Ok((bound, incoming.boxed()))
}
