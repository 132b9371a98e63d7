//! Where a server is, and how to log in there.

use std::{fmt, io};

use cloakroom_runtime::Endpoint;
use cloakroom_store::Fault;
use futures_rustls::rustls::pki_types::ServerName;
use redis::RedisConnectionInfo;

use crate::failure::Failure;

/// A server to connect to.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) endpoint: Endpoint,
    pub(crate) login: RedisConnectionInfo,
    /// Whom the certificate must name; `None` without TLS.
    pub(crate) tls_name: Option<ServerName<'static>>,
}

impl Server {
    /// Takes a host and a port. `None` for a host that no certificate can name, where TLS is asked for.
    pub(crate) fn tcp(host: &str, port: u16, uses_tls: bool, login: RedisConnectionInfo) -> Option<Self> {
        let tls_name = match uses_tls {
            false => None,
            true => Some(ServerName::try_from(host.to_owned()).ok()?),
        };
        Some(Self { endpoint: Endpoint::Host(host.to_owned(), port), login, tls_name })
    }

    /// Returns the same login at another place, with TLS if here is TLS.
    pub(crate) fn moved(&self, host: &str, port: u16) -> Option<Self> {
        Self::tcp(host, port, self.tls_name.is_some(), self.login.clone())
    }

    /// No connection could be made.
    pub(crate) fn unreached(&self, error: &io::Error) -> Failure {
        Failure::unsent(Fault::Unavailable, &format!("no connection to {self}: {error}"))
    }

    /// Returns the host, where there is one.
    pub(crate) fn host(&self) -> Option<&str> {
        match &self.endpoint {
            Endpoint::Host(host, _) => Some(host),
            _ => None,
        }
    }
}

/// Shows where it is, not how to log in.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)?;
        f.write_str(if self.tls_name.is_some() { " by TLS" } else { "" })
    }
}
