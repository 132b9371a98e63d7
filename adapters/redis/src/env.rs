//! What all connections of a store share.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use async_lock::OnceCell;
use cloakroom_runtime::{Runtime, run_blocking};
use cloakroom_store::Fault;
use futures_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring},
};

use crate::failure::Failure;

/// The settings that do not say where the servers are.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) check_server: bool,
    pub(crate) connections: usize,
    pub(crate) deadline: Duration,
    pub(crate) key_prefix: String,
    pub(crate) replicas: u32,
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Settings");
        shown.field("check_server", &self.check_server).field("connections", &self.connections);
        shown.field("deadline", &self.deadline).field("key_prefix", &self.key_prefix);
        shown.field("replicas", &self.replicas).finish_non_exhaustive()
    }
}

pub(crate) struct Env {
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) settings: Settings,
    /// Whether the server's settings have been looked at, or need not be.
    pub(crate) is_checked: AtomicBool,
    tls: OnceCell<TlsConnector>,
}

impl Env {
    pub(crate) fn new(runtime: Arc<dyn Runtime>, settings: Settings) -> Arc<Self> {
        let is_checked = AtomicBool::new(!settings.check_server);
        Arc::new(Self { runtime, settings, is_checked, tls: OnceCell::new() })
    }

    /// Returns what opens TLS connections; by default to servers that the system's certificates vouch for.
    pub(crate) async fn tls(&self) -> Result<&TlsConnector, Failure> {
        let make = async || {
            let config = match &self.settings.tls {
                Some(config) => config.clone(),
                None => match run_blocking(&*self.runtime, trust_the_system).await {
                    Ok(made) => Arc::new(made.map_err(|words| Failure::unsent(Fault::Refused, &words))?),
                    Err(interrupted) => return Err(Failure::unsent(Fault::Internal, &interrupted.to_string())),
                },
            };
            Ok(TlsConnector::from(config))
        };
        self.tls.get_or_try_init(make).await
    }
}

fn trust_the_system() -> Result<ClientConfig, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(
            "the system has no certificates to trust (install them, or hand over a TLS configuration)".to_owned()
        );
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
