//! `cloakroom serve`: a store behind HTTP, for applications in any language.

mod auth;
mod body;
mod etag;
mod listen;
mod metrics;
mod openapi;
mod perform;
mod refusal;
mod reply;
mod request;
mod routes;
mod tls;

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use cloakroom_runtime::Runtime;
use cloakroom_tokio::Tokio;
use futures_util::future::select;
use tokio::runtime::Builder;
use tracing::level_filters::LevelFilter;

use self::{
    auth::{Auth, AuthSource},
    listen::Listener,
    metrics::Metrics,
};
use crate::{
    demo::Place,
    open_store::{Advice, OpenStore},
    signals::Signals,
    store_url::{StoreOption, StoreUrl},
};

/// What to do where a file cannot be opened.
const ADVICE: Advice = Advice {
    in_use: "choose another store: --store memory: or --store redb:OTHER",
    otherwise: " (--store memory: or --store redb:OTHER)",
};
/// How often what has expired is swept.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How long the store may take to close.
const CLOSING: Duration = Duration::from_secs(5);

/// Serve a store over HTTP, for applications in any language.
///
/// `GET`, `PUT`, `PATCH` and `DELETE` on /sessions/KEY load, create or replace, touch, and remove, each on condition of the
/// version that was read; /indexes/INDEX/members keeps the sessions of each user. /openapi.json describes all of it,
/// /health tells whether the store answers, /metrics counts for Prometheus.
///
/// Ends on SIGTERM and Ctrl-C, after it has answered what is under way; for at most 40 s; a second signal ends it at once,
/// with exit code 2.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Where to listen; port 0 takes a free one. Other than loopback addresses need --auth.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8100")]
    listen: String,
    /// Where sessions are kept: `memory:`, `redb:PATH`, or servers, as for `cloakroom demo`; by default a file in your data
    /// folder.
    ///
    /// Others can see the command lines of your processes: where a URL has a password, `env:NAME` names a variable that
    /// has the URL.
    #[arg(long, value_name = "URL|env:NAME")]
    store: Option<StoreOption>,
    /// The variable with the bearer token that clients must send: 16 to 1024 letters, digits and -._~+/=; can be given more
    /// than once, so that tokens can change.
    ///
    /// Without, everybody on this machine is served.
    #[arg(long, value_name = "env:NAME")]
    auth: Vec<AuthSource>,
    /// The file of the certificate and what vouches for it, in PEM: speak TLS alone.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The file of the certificate's key, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// How long the store may take for one operation: less than clients wait.
    #[arg(long, value_name = "TIME", default_value = "2500ms")]
    deadline: humantime::Duration,
    /// What goes to standard error: off, error, warn, info or debug. No key, value or token is ever in it.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: LevelFilter,
}

/// What all requests share.
struct Service {
    auth: Auth,
    deadline: Duration,
    document: Bytes,
    metrics: Metrics,
    runtime: Arc<dyn Runtime>,
    store: OpenStore,
}

/// Serves until a signal says to stop.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let log = tracing_subscriber::fmt().with_max_level(options.log).with_writer(io::stderr);
    // A log that nobody reads any more stops no request.
    log.with_ansi(io::stderr().is_terminal()).log_internal_errors(false).init();
    let tokio = Builder::new_multi_thread().enable_all().build()?;
    let served = tokio.block_on(start(options));
    // A name that is still looked up would hold up the end.
    tokio.shutdown_background();
    served
}

async fn start(options: Options) -> anyhow::Result<()> {
    let runtime: Arc<dyn Runtime> = Arc::new(Tokio);
    let auth = Auth::read(&options.auth)?;
    let tls = match (&options.tls_cert, &options.tls_key) {
        (Some(certificate), Some(key)) => Some(tls::acceptor(certificate, key)?),
        _ => None,
    };
    let url = StoreUrl::read(options.store.as_ref())?;
    let place = Place::of(&url);
    let store = OpenStore::open(url, &runtime, SWEEP_EVERY, &ADVICE).await?;
    let listener = Listener::bind(&options.listen, !auth.is_open(), tls).await?;
    // Whoever reads the URL may send a signal at once.
    let signals = Signals::catch()?;
    let said = format!(
        "Cloakroom's session service is at {}\nstore    {place}\nauth     {auth}\nstop     Ctrl-C\n",
        listener.url()
    );
    io::stdout().write_all(said.as_bytes()).context("cannot write the URL")?;
    if !auth.is_open() && !listener.is_private() {
        tracing::warn!("without --tls-cert, whoever is on the network between reads tokens and sessions");
    }
    let document = openapi::document(!auth.is_open())?;
    let (deadline, metrics) = (*options.deadline, Metrics::default());
    let service = Arc::new(Service { auth, deadline, document, metrics, runtime: Arc::clone(&runtime), store });
    let served = listener.serve(&service, signals).await;
    select(pin!(service.store.close()), runtime.sleep(CLOSING)).await;
    served
}
