//! Serving on async-std.

use async_std::net::TcpListener;
pub(super) use async_std::task::block_on;
use smol_hyper::rt::FuturesIo;

listen!(TcpListener, FuturesIo);
