//! Where a server is, and how to log in there.

use std::{fmt, iter};

use cloakroom_runtime::Endpoint;
use cloakroom_store::Fault;
use futures_rustls::rustls::pki_types::ServerName;
use redis::{RedisConnectionInfo, Value as Answer};

use crate::{
    failure::Failure,
    resp::{Arg, Commands},
};

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

    /// Returns what a connection begins with: the login, and the first question.
    pub(crate) fn greeting(&self, question: &Commands) -> Commands {
        let mut greeting = Commands::default();
        if let Some(password) = self.login.password() {
            let user = self.login.username().map(Arg::from);
            greeting.push(iter::once("AUTH".into()).chain(user).chain([password.into()]));
        }
        if let Some(database) = self.database() {
            greeting.push(["SELECT".into(), database.into()]);
        }
        greeting.append(question);
        greeting
    }

    /// Takes the answers to a greeting; returns the one to its question.
    pub(crate) fn greeted(&self, answers: Result<Vec<Answer>, Failure>) -> Result<Answer, Failure> {
        let mut answers = answers.map_err(Failure::of_another)?.into_iter();
        let logins = [
            (self.login.password().is_some(), "the server refused user and password"),
            (self.database().is_some(), "the server refused the database"),
        ];
        for (_, words) in logins.into_iter().filter(|(is_asked, _)| *is_asked) {
            match answers.next() {
                Some(Answer::Okay) => {}
                Some(Answer::ServerError(error)) => return Err(Failure::of_login(&error, words)),
                _ => return Err(Failure::unsent(Fault::Internal, words)),
            }
        }
        answers.next().ok_or_else(|| Failure::unsent(Fault::Internal, "the server gave no answer"))
    }

    /// Returns the number of the database, where it is not the first.
    fn database(&self) -> Option<u64> {
        u64::try_from(self.login.db()).ok().filter(|&number| number > 0)
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
        f.write_str(if self.tls_name.is_some() { "tls " } else { "" })?;
        match &self.endpoint {
            Endpoint::Host(host, port) => write!(f, "{host}:{port}"),
            other => write!(f, "{other:?}"),
        }
    }
}
