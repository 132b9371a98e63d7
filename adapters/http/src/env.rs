//! What all connections of a store share.

use std::{fmt, sync::Arc, time::Duration};

use async_lock::OnceCell;
use cloakroom_runtime::{Runtime, run_blocking};
use cloakroom_store::Fault;
use futures_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring},
};
use http::HeaderValue;

use crate::{failure::Failure, url::Place};

/// The settings, and where the service is.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) connections: usize,
    pub(crate) deadline: Duration,
    pub(crate) idle: Duration,
    pub(crate) max_value: usize,
    pub(crate) place: Place,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// `Bearer ..`
    pub(crate) token: Option<HeaderValue>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Settings");
        shown.field("connections", &self.connections).field("deadline", &self.deadline).field("idle", &self.idle);
        shown.field("max_value", &self.max_value).field("place", &self.place);
        shown.field("has_token", &self.token.is_some()).finish_non_exhaustive()
    }
}

pub(crate) struct Env {
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) settings: Settings,
    tls: OnceCell<TlsConnector>,
}

impl Env {
    pub(crate) fn new(runtime: Arc<dyn Runtime>, settings: Settings) -> Self {
        Self { runtime, settings, tls: OnceCell::new() }
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
