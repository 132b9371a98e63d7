//! Serving on tokio, and stopping.

use std::{io, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    select,
    time::{sleep, timeout},
};

/// How long requests that are under way may take once the server stops: longer than the longest that the API can be asked
/// for, delay and body together.
const DRAIN: Duration = Duration::from_secs(100);
/// How long a client may take to send a request's head.
const HEAD: Duration = Duration::from_secs(60);
/// How long to wait when a connection cannot be accepted: mostly there are too many.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves until a signal, then answers what is under way. Fails when that was cut off.
pub(super) async fn serve(listener: TcpListener, app: Router, mut signals: Signals) -> anyhow::Result<()> {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = select! {
            accepted = listener.accept() => accepted,
            () = signals.next() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(PAUSE).await;
                continue;
            }
        };
        // A socket that is gone already shows it when it is read.
        let _ = stream.set_nodelay(true);
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app.clone()));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection");
            }
        });
    }
    drop(listener);
    tracing::info!(connections = graceful.count(), "stopping: answering what is under way");
    let in_time = select! {
        drained = timeout(DRAIN, graceful.shutdown()) => drained.is_ok(),
        () = signals.next() => false,
    };
    anyhow::ensure!(in_time, "stopped with requests under way");
    tracing::info!("stopped");
    Ok(())
}

/// The signals that stop the server.
#[cfg(unix)]
pub(super) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Catches them from here on.
    pub(super) fn catch() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next.
    async fn next(&mut self) {
        select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The signals that stop the server.
#[cfg(windows)]
pub(super) struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    /// Catches them from here on.
    pub(super) fn catch() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    /// Waits for the next.
    async fn next(&mut self) {
        self.0.recv().await;
    }
}
