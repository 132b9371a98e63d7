//! The options of the demo.

use clap::{Args, ValueEnum};
use cloakroom_store::StoreFailure;
use humantime::Duration;
use tracing::level_filters::LevelFilter;

use super::runtime::RuntimeName;
use crate::{keys::KeySource, store_url::StoreOption};

/// The cookie's name where it has no `Secure`, which `__Host-` needs.
pub(crate) const INSECURE_COOKIE: &str = "id";

/// Serve a page that shows what happens to a session, a blog whose users sign in, and the same for programs.
///
/// The users are alice and bob; their passwords follow from the ring of keys, and are said at the start.
///
/// Ends on SIGTERM and Ctrl-C, after it has answered what is under way; for at most 100 s; a second signal
/// ends it at once, with exit code 2.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    pub(super) listen: String,
    /// What runs it; no other runtime is started.
    ///
    /// smol runs requests on one thread unless the variable SMOL_THREADS says otherwise.
    #[arg(long, default_value = "tokio")]
    pub(super) runtime: RuntimeName,
    /// Where sessions are kept: `memory:`, `redb:PATH`, a Redis, memcached or a session service; by default a file in your data folder.
    ///
    /// `memory:` ends with the process; `redb:PATH` is a file, for one process at a time; the others are servers that many
    /// may share: `redis://USER:PASSWORD@HOST:PORT/DATABASE`, `redis+unix:///PATH`,
    /// `redis+sentinel://HOST:PORT,HOST:PORT/MASTER`, `redis+cluster://HOST:PORT,HOST:PORT`, with `rediss` for TLS;
    /// `memcached://HOST:PORT,HOST:PORT`, which keeps no index of a user's sessions,
    /// so that the blog neither lists nor limits those; `http://HOST:PORT` or `https://..`, a `cloakroom serve`, whose token
    /// is in CLOAKROOM_HTTP_TOKEN. They must be there when the demo starts, and may come and go later.
    ///
    /// `cookie:` holds sessions in the cookie, sealed, and keeps nothing: a copy of a cookie works until its deadline, whatever
    /// was ended. `cookie+URL` keeps what was ended in a store, and ends are final.
    ///
    /// Others can see the command lines of your processes: where a URL has a password, `env:NAME` names a variable that
    /// has the URL.
    #[arg(long, value_name = "URL|env:NAME")]
    pub(super) store: Option<StoreOption>,
    /// What requests see of a store that is down.
    #[arg(long, value_name = "POLICY", default_value = "refuse")]
    pub(super) on_store_failure: FailurePolicy,
    /// How long a session lives without a request: 90s, 30m, 8h.
    #[arg(long, value_name = "TIME", default_value = "30m")]
    pub(super) idle: Duration,
    /// How long a session lives in all.
    #[arg(long, value_name = "TIME", default_value = "8h")]
    pub(super) absolute: Duration,
    /// How long a password counts, given at the login or again, where the blog asks for it.
    #[arg(long, value_name = "TIME", default_value = "5m")]
    pub(super) sudo: Duration,
    /// The ring of keys: a file, or env:NAME.
    ///
    /// By default one is made: beside the file of the sessions and kept, or else for this run.
    #[arg(long, value_name = "FILE|env:NAME")]
    pub(super) keys: Option<KeySource>,
    /// Send the cookie without Secure, named `id`: for http on other hosts than localhost.
    ///
    /// Everybody on the network between can then read and plant it.
    #[arg(long)]
    pub(super) insecure_http: bool,
    /// What goes to standard error: off, error, warn, info or debug.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(super) log: LevelFilter,
}

/// [`StoreFailure`] by its name.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum FailurePolicy {
    /// Answer 503 to whatever needs its session.
    Refuse,
    /// Let reads find nothing, and answer 503 to what writes.
    ServeWithout,
}

impl From<FailurePolicy> for StoreFailure {
    fn from(policy: FailurePolicy) -> Self {
        match policy {
            FailurePolicy::Refuse => Self::Refuse,
            FailurePolicy::ServeWithout => Self::ServeWithout,
        }
    }
}
