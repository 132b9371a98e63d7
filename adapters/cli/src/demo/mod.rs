//! `cloakroom demo`: a server that shows what happens to a session.

mod api;
mod body;
mod error;
mod history;
mod options;
mod page;
mod serve;
mod view;

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    Router,
    body::Body,
    http::{HeaderValue, StatusCode, Uri, header},
    middleware,
    response::{IntoResponse as _, Response},
};
use cloakroom_core::{CookieName, CookiePolicy, Engine, KeyId, Keyring, Lifetime};
use cloakroom_runtime::Runtime;
use cloakroom_store::{KeyringExt as _, MemoryStore, Sessions};
use cloakroom_tokio::Tokio;
use cloakroom_tower::{SessionError, SessionLayer};
use tokio::net::TcpListener;

pub(crate) use self::options::{INSECURE_COOKIE, Options};
use self::{
    error::{Failure, Shown},
    history::History,
    options::{RuntimeName, StoreUrl},
    serve::Signals,
};

/// What all handlers share.
#[derive(Clone)]
struct App(Arc<Shared>);

struct Shared {
    facts: Facts,
    history: History,
    runtime: Arc<dyn Runtime>,
    sessions: Sessions,
    store: MemoryStore,
}

/// What the page tells about the server.
struct Facts {
    /// The cookie's name and attributes.
    cookie: String,
    /// The keys end with the process too.
    keys_are_own: bool,
    lifetime: Lifetime,
    url: String,
}

/// Serves until a signal says to stop.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let log = tracing_subscriber::fmt().with_max_level(options.log).with_writer(io::stderr);
    // A log that nobody reads any more stops no request.
    log.with_ansi(io::stderr().is_terminal()).log_internal_errors(false).init();
    match options.runtime {
        RuntimeName::Tokio => {
            tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(start(options))
        }
    }
}

async fn start(options: Options) -> anyhow::Result<()> {
    let (ring, keys_are_own) = match &options.keys {
        Some(source) => (source.read()?, false),
        None => (Keyring::generate(KeyId::new(1))?, true),
    };
    let lifetime = Lifetime::new(*options.idle, *options.absolute);
    let policy = match options.insecure_http {
        false => CookiePolicy::default(),
        true => CookiePolicy::named(CookieName::new(INSECURE_COOKIE)?).dangerous_insecure(),
    };
    let secure = if options.insecure_http { "" } else { " Secure;" };
    let cookie = format!("{};{secure} HttpOnly; SameSite=Lax; Path=/", policy.name());
    let engine = Engine::builder(ring).cookie(policy).lifetime(lifetime).build()?;
    let store = match options.store {
        // What lives shortly is swept as often.
        StoreUrl::Memory => {
            MemoryStore::builder().sweep_every(lifetime.idle().min(Duration::from_secs(60))).build(Tokio)
        }
    };
    let listener = TcpListener::bind(&options.listen)
        .await
        .with_context(|| format!("cannot listen on {} (--listen 127.0.0.1:0 takes a free port)", options.listen))?;
    let address = listener.local_addr()?;
    // Whoever reads the URL may send a signal at once.
    let signals = Signals::catch()?;
    let facts = Facts { cookie, keys_are_own, lifetime, url: format!("http://{address}") };
    // In one piece: a reader may leave after the first line.
    io::stdout().write_all(facts.to_string().as_bytes()).context("cannot write the URL")?;
    if !options.insecure_http && !address.ip().is_loopback() {
        tracing::warn!("browsers keep a Secure cookie over http from localhost alone; see --insecure-http");
    }
    let sessions = Sessions::builder(engine, store.clone(), Tokio).build();
    let shared = Shared { facts, history: History::default(), runtime: Arc::new(Tokio), sessions, store };
    serve::serve(listener, router(App(Arc::new(shared))), signals).await
}

fn router(app: App) -> Router {
    let sessions = &app.0.sessions;
    let api = api::routes().layer(SessionLayer::new(sessions.clone()).refusal(refuse_api));
    let page = page::routes().layer(SessionLayer::new(sessions.clone()).refusal(refuse_page));
    api.merge(page)
        .fallback(async |uri: Uri| refuse(&uri, Failure::not_found()))
        .method_not_allowed_fallback(async |uri: Uri| refuse(&uri, Failure::wrong_method()))
        .layer(middleware::from_fn_with_state(app.clone(), body::take))
        .layer(middleware::map_response(harden))
        .layer(middleware::from_fn_with_state(app.clone(), history::watch))
        .with_state(app)
}

fn refuse_api(status: StatusCode, error: &SessionError) -> Response<Body> {
    Failure::of(error).with_status(status).into_response()
}

fn refuse_page(status: StatusCode, error: &SessionError) -> Response<Body> {
    Shown(Failure::of(error).with_status(status)).into_response()
}

/// Answers a request that reaches no handler, in JSON to programs and with a page to people.
fn refuse(uri: &Uri, failure: Failure) -> Response {
    match uri.path() == "/api" || uri.path().starts_with("/api/") {
        false => Shown(failure).into_response(),
        true => failure.into_response(),
    }
}

/// Adds what a browser should hold against a page that was tampered with.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, view::POLICY.clone());
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// What the terminal says, the URL in its first line.
impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Cloakroom's demo is at {}", self.url)?;
        if self.keys_are_own {
            writeln!(f, "keys     made for this run only: tickets end with it (keep some: cloakroom keygen, --keys)")?;
        }
        writeln!(f, "store    memory: sessions end with this process")?;
        writeln!(f, "cookie   {}", self.cookie)?;
        writeln!(f, "stop     Ctrl-C")
    }
}
