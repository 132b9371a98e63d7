//! Serving on any runtime, and stopping.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::Router;
use cloakroom_runtime::Runtime;
use futures_util::{
    StreamExt as _,
    future::{Either, select},
};
use hyper::server::conn::http1;
use hyper_util::{server::graceful::GracefulShutdown, service::TowerToHyperService};

use super::{clock::Clock, runtime::Incoming};
use crate::signals::Signals;

/// How long requests that are under way may take once the server stops: longer than the longest that the API can be asked
/// for, delay and body together.
const DRAIN: Duration = Duration::from_secs(100);
/// How long a client may take to send a request's head.
const HEAD: Duration = Duration::from_secs(60);
/// How long to wait when a connection cannot be accepted: mostly there are too many.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves until a signal, then answers what is under way. Fails when that was cut off.
pub(super) async fn serve(
    runtime: &Arc<dyn Runtime>,
    mut incoming: Incoming,
    app: Router,
    mut signals: Signals,
) -> anyhow::Result<()> {
    let mut http = http1::Builder::new();
    http.timer(Clock(Arc::clone(runtime))).header_read_timeout(HEAD);
    let graceful = GracefulShutdown::new();
    while let Either::Right((Some(accepted), _)) = select(pin!(signals.next()), incoming.next()).await {
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                runtime.sleep(PAUSE).await;
                continue;
            }
        };
        let connection = http.serve_connection(stream, TowerToHyperService::new(app.clone()));
        let connection = graceful.watch(connection);
        // It goes on by itself.
        drop(runtime.spawn(Box::pin(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection");
            }
        })));
    }
    // Nobody new gets in.
    drop(incoming);
    tracing::info!(connections = graceful.count(), "stopping: answering what is under way");
    let (drained, impatience) = (pin!(graceful.shutdown()), pin!(signals.next()));
    let in_time = matches!(select(drained, select(impatience, runtime.sleep(DRAIN))).await, Either::Left(_));
    anyhow::ensure!(in_time, "stopped with requests under way");
    tracing::info!("stopped");
    Ok(())
}
