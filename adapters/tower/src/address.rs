//! The client's address: the connection's peer, or what trusted proxies say of it.

use std::net::IpAddr;

use cloakroom_core::{AddressError, TrustedProxies};
use http::{Extensions, HeaderValue, Request};

/// The address that the request's connection comes from: an extension that the server puts into each request, so that
/// [`SessionLayer`](crate::SessionLayer) knows it.
///
/// Insert it where the connection was accepted; what any client can send must never become one. Frameworks with an
/// extension of their own for it are told of by [`SessionLayer::peer`](crate::SessionLayer::peer).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "it is an address")]
pub struct PeerAddr(pub IpAddr);

/// The client's address, or why it is not known: an extension that [`SessionLayer`](crate::SessionLayer) puts into each
/// request whose peer is known or whose proxies are trusted.
///
/// Another layer of ours further out may have put there what its own settings say; the innermost wins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "it is an address or none")]
pub struct ClientAddr(pub Result<IpAddr, AddressError>);

/// Where the address comes from.
#[derive(Clone)]
pub(crate) struct AddressSource {
    pub(crate) peer: fn(&Extensions) -> Option<IpAddr>,
    pub(crate) proxies: TrustedProxies,
}

impl AddressSource {
    /// Finds the address; `None` where nobody said anything of addresses.
    pub(crate) fn find<B>(&self, request: &Request<B>) -> Option<ClientAddr> {
        let lines = |name| request.headers().get_all(name).iter().map(HeaderValue::as_bytes);
        let found = self.proxies.client((self.peer)(request.extensions()), lines);
        if found == Err(AddressError::NoPeer) && self.proxies == TrustedProxies::none() {
            return None;
        }
        if let Err(error) = found {
            tracing::info!(target: "cloakroom", event = "no_client_address", reason = error.name(), "address");
        }
        Some(ClientAddr(found))
    }
}

impl Default for AddressSource {
    fn default() -> Self {
        let peer = |extensions: &Extensions| extensions.get::<PeerAddr>().map(|peer| peer.0);
        Self { peer, proxies: TrustedProxies::none() }
    }
}
