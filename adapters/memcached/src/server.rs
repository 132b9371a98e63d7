//! Where a server is, and what it is called on the ring.

use std::{fmt, num::NonZeroU32};

use cloakroom_runtime::Endpoint;

/// The port that the name on the ring leaves out.
pub(crate) const PORT: u16 = 11211;

/// A server to connect to.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Server {
    pub(crate) endpoint: Endpoint,
    /// The name by which it stands on the ring, and by which errors call it.
    pub(crate) name: String,
    /// Its share of the keys, beside those of others.
    pub(crate) weight: NonZeroU32,
}

impl Server {
    pub(crate) fn tcp(host: &str, port: u16) -> Self {
        let name = if port == PORT { host.to_owned() } else { format!("{host}:{port}") };
        Self { endpoint: Endpoint::Host(host.to_owned(), port), name, weight: NonZeroU32::MIN }
    }

    pub(crate) fn unix(path: &str) -> Self {
        // The port of a socket is 0 to libmemcached.
        Self { endpoint: Endpoint::Unix(path.into()), name: format!("{path}:0"), weight: NonZeroU32::MIN }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.weight {
            NonZeroU32::MIN => f.write_str(&self.name),
            weight => write!(f, "{} x {weight}", self.name),
        }
    }
}
