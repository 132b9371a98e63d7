//! Serving on smol.

pub(super) use smol::block_on;
use smol::net::TcpListener;
use smol_hyper::rt::FuturesIo;

listen!(TcpListener, FuturesIo);
