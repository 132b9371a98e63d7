//! Where the service is.

use std::{fmt, io};

use cloakroom_runtime::Endpoint;
use cloakroom_store::Fault;
use futures_rustls::rustls::pki_types::ServerName;
use http::{HeaderValue, Uri};

use crate::{config::HttpConfigError, failure::Failure};

/// The service at a URL.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) endpoint: Endpoint,
    /// What `Host` says.
    pub(crate) host: HeaderValue,
    /// What paths begin with: empty, or a slash first and none last.
    pub(crate) base: String,
    /// Whom the certificate must name; `None` without TLS.
    pub(crate) tls_name: Option<ServerName<'static>>,
}

impl Place {
    /// Reads `http://host:port/base` or `https://..`.
    pub(crate) fn read(url: &str) -> Result<Self, HttpConfigError> {
        let (scheme, rest) = url.split_once("://").ok_or(HttpConfigError::Url)?;
        let uses_tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(HttpConfigError::Scheme),
        };
        if rest.contains('@') {
            return Err(HttpConfigError::User);
        }
        if rest.contains(['?', '#']) {
            return Err(HttpConfigError::Url);
        }
        let uri: Uri = format!("http://{rest}").parse().map_err(|_| HttpConfigError::Url)?;
        let authority = uri.authority().ok_or(HttpConfigError::Host)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let has_port = authority.as_str().len() > authority.host().len();
        let port = match authority.port_u16() {
            None if has_port => return Err(HttpConfigError::Url),
            None if uses_tls => 443,
            None => 80,
            Some(port) => port,
        };
        if host.is_empty() {
            return Err(HttpConfigError::Host);
        }
        let tls_name = match uses_tls {
            false => None,
            true => Some(ServerName::try_from(host.to_owned()).map_err(|_| HttpConfigError::Host)?),
        };
        Ok(Self {
            endpoint: Endpoint::Host(host.to_owned(), port),
            host: HeaderValue::from_str(authority.as_str()).map_err(|_| HttpConfigError::Host)?,
            base: uri.path().trim_end_matches('/').to_owned(),
            tls_name,
        })
    }

    /// No connection could be made.
    pub(crate) fn unreached(&self, error: &io::Error) -> Failure {
        Failure::unsent(Fault::Unavailable, &format!("no connection to {self}: {error}"))
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls_name.is_some() { "https" } else { "http" };
        // It was read from visible ASCII.
        write!(f, "{scheme}://{}{}", self.host.to_str().unwrap_or_default(), self.base)
    }
}

/// Shows where it connects to.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)?;
        f.write_str(if self.tls_name.is_some() { " by TLS" } else { "" })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use cloakroom_runtime::Endpoint;

    use super::Place;
    use crate::config::HttpConfigError;

    #[test]
    fn a_url_names_host_port_and_base() {
        for (url, host, port, base, shown) in [
            ("http://localhost", "localhost", 80, "", "http://localhost"),
            ("https://a.example/", "a.example", 443, "", "https://a.example"),
            ("HTTP://127.0.0.1:8080/a/b/", "127.0.0.1", 8080, "/a/b", "http://127.0.0.1:8080/a/b"),
            ("https://[::1]:8443/x", "::1", 8443, "/x", "https://[::1]:8443/x"),
        ] {
            let place = Place::read(url).unwrap();
            assert_eq!(place.endpoint, Endpoint::Host(host.to_owned(), port), "{url}");
            assert_eq!((place.base.as_str(), format!("{place:?}").as_str()), (base, shown), "{url}");
            assert_eq!(place.tls_name.is_some(), url.starts_with("https"), "{url}");
        }
    }

    #[test]
    fn what_is_no_url_of_a_service_is_refused_by_its_part() {
        for (url, error) in [
            ("", HttpConfigError::Url),
            ("localhost:80", HttpConfigError::Url),
            ("redis://localhost", HttpConfigError::Scheme),
            ("http://user:secret@localhost", HttpConfigError::User),
            ("http://localhost/?token=secret", HttpConfigError::Url),
            ("http://localhost/#a", HttpConfigError::Url),
            ("http://localhost:port", HttpConfigError::Url),
            ("http://localhost:99999", HttpConfigError::Url),
            ("http://localhost:", HttpConfigError::Url),
            ("http://:80", HttpConfigError::Host),
            ("https://a_/b c", HttpConfigError::Url),
        ] {
            assert_eq!(Place::read(url).map(|_| ()).unwrap_err(), error, "{url}");
        }
    }
}
