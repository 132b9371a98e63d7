//! Serving on tokio.

use std::io;

use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, runtime::Builder};

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let output = runtime.block_on(future);
    // A name that is still looked up would hold up the end.
    runtime.shutdown_background();
    Ok(output)
}

listen!(TcpListener, TokioIo);
