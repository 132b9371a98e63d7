//! `cloakroom demo`: a server that shows what happens to a session, and a small blog whose users sign in.

mod accounts;
mod api;
mod api_accounts;
mod blog;
mod body;
mod clock;
mod error;
mod history;
mod options;
mod page;
mod posts;
mod ring;
mod runtime;
mod serve;
mod store;
mod users;
mod view;

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use axum::{
    Router,
    body::Body,
    http::{HeaderValue, StatusCode, Uri, header},
    middleware,
    response::{IntoResponse as _, Response},
};
use cloakroom_core::{CookieHeld, CookieName, CookiePolicy, Engine, Lifetime, UnixTime};
use cloakroom_runtime::Runtime;
use cloakroom_store::{Sessions, StoreFailure};
use cloakroom_tower::{CsrfLayer, SessionError, SessionLayer};
use futures_util::future::select;

pub(crate) use self::{
    clock::Clock,
    options::{INSECURE_COOKIE, Options},
    store::Place,
};
use self::{
    error::{Failure, Shown},
    history::History,
    posts::Posts,
    ring::Ring,
    runtime::RuntimeName,
    users::Users,
};
use crate::{
    keys::KeySource,
    open_store::{Advice, OpenStore},
    signals::Signals,
    store_url::StoreUrl,
};

/// What to do where a file cannot be opened.
const ADVICE: Advice = Advice {
    in_use: "choose another store: --store memory: or --store redb:OTHER",
    otherwise: " (--store memory: or --store redb:OTHER)",
};

/// Cookies that a session may be split over, where it is held in them.
const COOKIES: usize = 8;

/// How long the store may take to close.
const CLOSING: Duration = Duration::from_secs(5);

/// What all handlers share.
#[derive(Clone)]
struct App(Arc<Shared>);

struct Shared {
    facts: Facts,
    history: History,
    posts: Posts,
    runtime: Arc<dyn Runtime>,
    sessions: Sessions,
    store: OpenStore,
    /// How long a password counts.
    sudo: Duration,
    users: Users,
}

impl App {
    fn now(&self) -> UnixTime {
        unix_time(&*self.0.runtime)
    }
}

/// What the page tells about the server.
struct Facts {
    /// The cookie's name and attributes.
    cookie: String,
    lifetime: Lifetime,
    place: Place,
    ring: Ring,
    runtime: RuntimeName,
    url: String,
}

/// Serves until a signal says to stop.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let log = tracing_subscriber::fmt().with_max_level(options.log).with_writer(io::stderr);
    // A log that nobody reads any more stops no request.
    log.with_ansi(io::stderr().is_terminal()).log_internal_errors(false).init();
    options.runtime.block_on(start(options))?
}

async fn start(options: Options) -> anyhow::Result<()> {
    let runtime = options.runtime.value();
    let lifetime = Lifetime::new(*options.idle, *options.absolute);
    let policy = match options.insecure_http {
        false => CookiePolicy::default(),
        true => CookiePolicy::named(CookieName::new(INSECURE_COOKIE)?).dangerous_insecure(),
    };
    let secure = if options.insecure_http { "" } else { " Secure;" };
    let cookie = format!("{};{secure} HttpOnly; SameSite=Lax; Path=/", policy.name());
    let given = options.keys.as_ref().map(KeySource::read).transpose()?;
    let url = StoreUrl::read_or_cookie(options.store.as_ref())?;
    let place = Place::of(&url);
    // What lives shortly is swept as often.
    let store = OpenStore::open(url, &runtime, lifetime.idle().min(Duration::from_secs(60)), &ADVICE).await?;
    let (keys, ring) = Ring::open(given, &place)?;
    let users = Users::of(&keys)?;
    let longest = accounts::longest(lifetime);
    let mut engine = Engine::builder(keys).cookie(policy).lifetime(lifetime).longest(longest);
    if matches!(place, Place::Cookie(_)) {
        engine = engine.hold_in_cookie(CookieHeld::encrypted().pieces(COOKIES));
    }
    let engine = engine.build()?;
    let (address, incoming) = options
        .runtime
        .listen(&options.listen)
        .await
        .with_context(|| format!("cannot listen on {} (--listen 127.0.0.1:0 takes a free port)", options.listen))?;
    // Whoever reads the URL may send a signal at once.
    let signals = Signals::catch()?;
    let facts = Facts { cookie, lifetime, place, ring, runtime: options.runtime, url: format!("http://{address}") };
    // In one piece, and nobody is answered before: whoever has read the URL has the passwords, and may leave then.
    let passwords: String = users.passwords().map(|(user, password)| format!("{user}: {password}\n")).collect();
    io::stdout().write_all(format!("{passwords}{facts}").as_bytes()).context("cannot write the URL")?;
    if !options.insecure_http && !address.ip().is_loopback() {
        tracing::warn!("browsers keep a Secure cookie over http from localhost alone; see --insecure-http");
    }
    let sessions = store.sessions(engine, &runtime);
    let (history, posts) = (History::default(), Posts::new(unix_time(&*runtime)));
    let sudo = *options.sudo;
    let shared = Shared { facts, history, posts, runtime: Arc::clone(&runtime), sessions, store, sudo, users };
    let app = App(Arc::new(shared));
    let served = serve::serve(&runtime, incoming, router(app.clone(), options.on_store_failure.into()), signals).await;
    select(pin!(app.0.store.close()), runtime.sleep(CLOSING)).await;
    served
}

fn router(app: App, failure: StoreFailure) -> Router {
    let layer = SessionLayer::new(app.0.sessions.clone()).on_store_failure(failure).trace_responses();
    // Programs send no token; what a browser sends is checked here as well.
    let api = api::routes().merge(api_accounts::routes()).layer(CsrfLayer::new().dangerous_allow_silence());
    let api = api.layer(middleware::map_response(dress_api)).layer(layer.clone().refusal(refuse_api));
    let page = page::routes().merge(blog::routes()).layer(CsrfLayer::new());
    let page =
        page.layer(middleware::map_response(dress_page)).layer(layer.login_page(blog::LOGIN).refusal(refuse_page));
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

async fn dress_api(response: Response) -> Response {
    bare(&response).map_or(response, |failure| failure.into_response())
}

/// Pages are for who asked for them: nothing of them is kept by the browser or on the way.
async fn dress_page(response: Response) -> Response {
    let mut response = bare(&response).map_or(response, |failure| Shown(failure).into_response());
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Tells what a layer refused with a status alone.
fn bare(response: &Response) -> Option<Failure> {
    let status = response.status();
    let is_bare = status.as_u16() >= 400 && !response.headers().contains_key(header::CONTENT_TYPE);
    is_bare.then(|| Failure::of_layer(status))
}

fn unix_time(runtime: &dyn Runtime) -> UnixTime {
    let since = runtime.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixTime::EPOCH.saturating_add(since)
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

/// What the terminal says after the passwords, the URL first.
impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Cloakroom's demo is at {}", self.url)?;
        writeln!(f, "store    {}", self.place)?;
        write!(f, "{}", self.ring)?;
        writeln!(f, "cookie   {}", self.cookie)?;
        writeln!(f, "runtime  {}", self.runtime)?;
        writeln!(f, "stop     Ctrl-C")
    }
}
