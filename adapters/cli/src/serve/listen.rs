//! Listening, serving, and stopping.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use anyhow::{Context as _, bail, ensure};
use async_lock::Semaphore;
use cloakroom_runtime::Runtime as _;
use futures_rustls::TlsAcceptor;
use futures_util::future::{Either, select};
use hyper::{
    rt::{Read, Write},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown};
use smol_hyper::rt::FuturesIo;
use tokio::{
    net::{TcpListener, TcpStream, lookup_host},
    sync::watch,
};
use tokio_util::compat::TokioAsyncReadCompatExt as _;

use super::{Service, body};
use crate::{demo::Clock, signals::Signals};

/// How long requests that are under way may take once the server stops: longer than a body and the store's deadline.
const DRAIN: Duration = Duration::from_secs(40);
/// How long a client may take for the handshake of TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client may take to send a request's head, or keep a connection that asks nothing.
const HEAD: Duration = Duration::from_secs(60);
/// How long to wait when a connection cannot be accepted: mostly there are too many.
const PAUSE: Duration = Duration::from_millis(200);
/// Lines of a request's head.
const MAX_HEADERS: usize = 64;
/// Bytes of a request's head.
const MAX_HEAD: usize = 16 * 1024;
/// Connections at a time; others wait to be let in.
const MAX_CONNECTIONS: usize = 4096;

/// A port that is open.
pub(super) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

/// A connection of a client.
trait Io: Read + Write + Send + Unpin {}

impl<T: Read + Write + Send + Unpin> Io for T {}

impl Listener {
    /// Opens the port. Without authentication, only for this machine.
    pub(super) async fn bind(address: &str, has_auth: bool, tls: Option<TlsAcceptor>) -> anyhow::Result<Self> {
        let advice = || format!("cannot listen on {address} (--listen 127.0.0.1:0 takes a free port)");
        let addresses: Vec<_> = lookup_host(address).await.with_context(advice)?.collect();
        if !has_auth && !addresses.iter().all(|address| address.ip().is_loopback()) {
            bail!("--listen: {address} can be reached from other machines, which needs --auth env:NAME");
        }
        let listener = TcpListener::bind(&addresses[..]).await.with_context(advice)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, tls })
    }

    pub(super) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Tells whether nobody on a network can read along.
    pub(super) fn is_private(&self) -> bool {
        self.tls.is_some() || self.address.ip().is_loopback()
    }

    /// Serves until a signal, then answers what is under way. Fails when that was cut off.
    pub(super) async fn serve(self, service: &Arc<Service>, mut signals: Signals) -> anyhow::Result<()> {
        let runtime = &service.runtime;
        let mut http = http1::Builder::new();
        http.timer(Clock(Arc::clone(runtime))).header_read_timeout(HEAD);
        http.max_headers(MAX_HEADERS).max_buf_size(MAX_HEAD);
        let graceful = GracefulShutdown::new();
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let (stop, stopping) = watch::channel(());
        loop {
            let next = async {
                let place = room.acquire_arc().await;
                (self.listener.accept().await, place)
            };
            let (accepted, place) = match select(pin!(signals.next()), pin!(next)).await {
                Either::Left(_) => break,
                Either::Right((next, _)) => next,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    runtime.sleep(PAUSE).await;
                    continue;
                }
            };
            let (service, http, tls) = (Arc::clone(service), http.clone(), self.tls.clone());
            let (watcher, stopping) = (graceful.watcher(), stopping.clone());
            // It goes on by itself.
            drop(runtime.spawn(Box::pin(async move {
                let _place = place;
                let opened = Opened::count(service);
                match opened.0.secure(stream, tls, stopping).await {
                    Ok(stream) => {
                        let service = Arc::clone(&opened.0);
                        let answer = service_fn(move |request| {
                            let service = Arc::clone(&service);
                            async move { Ok::<_, Infallible>(service.answer(request).await) }
                        });
                        if let Err(error) = watcher.watch(http.serve_connection(stream, answer)).await {
                            tracing::debug!(%error, "connection");
                        }
                    }
                    Err(error) => tracing::debug!(%error, "handshake"),
                }
            })));
        }
        // Nobody new gets in.
        drop(self.listener);
        drop(stop);
        tracing::info!(connections = graceful.count(), "stopping: answering what is under way");
        let (drained, impatience) = (pin!(graceful.shutdown()), pin!(signals.next()));
        let in_time = matches!(select(drained, select(impatience, runtime.sleep(DRAIN))).await, Either::Left(_));
        ensure!(in_time, "stopped with requests under way");
        tracing::info!("stopped");
        Ok(())
    }
}

impl Service {
    /// Makes a connection ready for HTTP. A handshake, in which nothing is asked, holds up no stop.
    async fn secure(
        &self,
        stream: TcpStream,
        tls: Option<TlsAcceptor>,
        mut stopping: watch::Receiver<()>,
    ) -> io::Result<Box<dyn Io>> {
        // A socket that is gone already shows it when it is read.
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls else { return Ok(Box::new(TokioIo::new(stream))) };
        let stopped = pin!(stopping.changed());
        match select(tls.accept(stream.compat()), select(stopped, self.runtime.sleep(HANDSHAKE))).await {
            Either::Left((secured, _)) => Ok(Box::new(FuturesIo::new(secured?))),
            Either::Right(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// A connection that counts as open, however it ends.
struct Opened(Arc<Service>);

impl Opened {
    fn count(service: Arc<Service>) -> Self {
        service.metrics.opened();
        Self(service)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.metrics.closed();
    }
}

const _: () = assert!(DRAIN.as_secs() > body::PATIENCE.as_secs(), "a body that is under way is waited for");
