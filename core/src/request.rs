//! What the server knows of a request beyond its cookies.

use core::net::IpAddr;

/// Facts of the request that the engine's rules look at; empty when the server knows none.
///
/// ```
/// use cloakroom_core::RequestInfo;
///
/// let request = RequestInfo::new().method("POST").sec_fetch_site(b"same-origin").sec_fetch_mode(b"navigate");
/// # let _ = request;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestInfo<'a> {
    address: Option<IpAddr>,
    binding: Option<&'a [u8]>,
    method: Option<&'a str>,
    sec_fetch_mode: Option<&'a [u8]>,
    sec_fetch_site: Option<&'a [u8]>,
    user_agent: Option<&'a [u8]>,
}

impl<'a> RequestInfo<'a> {
    /// Makes an empty one.
    pub const fn new() -> Self {
        Self {
            address: None,
            binding: None,
            method: None,
            sec_fetch_mode: None,
            sec_fetch_site: None,
            user_agent: None,
        }
    }

    /// Sets the client's address: the connection's peer, or what [`TrustedProxies`](crate::TrustedProxies) make of it. Left
    /// out where it is not known for sure.
    #[must_use = "this returns the changed value"]
    pub const fn address(mut self, address: IpAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Sets what the application binds sessions to; see [`Binding::bytes`](crate::Binding::bytes).
    #[must_use = "this returns the changed value"]
    pub const fn binding(mut self, bytes: &'a [u8]) -> Self {
        self.binding = Some(bytes);
        self
    }

    /// Sets the method, as it stands in the request line.
    #[must_use = "this returns the changed value"]
    pub const fn method(mut self, method: &'a str) -> Self {
        self.method = Some(method);
        self
    }

    /// Sets the value of the `Sec-Fetch-Mode` header.
    #[must_use = "this returns the changed value"]
    pub const fn sec_fetch_mode(mut self, value: &'a [u8]) -> Self {
        self.sec_fetch_mode = Some(value);
        self
    }

    /// Sets the value of the `Sec-Fetch-Site` header.
    #[must_use = "this returns the changed value"]
    pub const fn sec_fetch_site(mut self, value: &'a [u8]) -> Self {
        self.sec_fetch_site = Some(value);
        self
    }

    /// Sets the value of the `User-Agent` header.
    #[must_use = "this returns the changed value"]
    pub const fn user_agent(mut self, value: &'a [u8]) -> Self {
        self.user_agent = Some(value);
        self
    }

    /// Returns the client's address, if it is known.
    pub const fn known_address(&self) -> Option<IpAddr> {
        self.address
    }

    pub(crate) const fn known_binding(&self) -> Option<&'a [u8]> {
        self.binding
    }

    /// Returns the value of the `User-Agent` header, if there is one.
    pub const fn known_user_agent(&self) -> Option<&'a [u8]> {
        self.user_agent
    }

    /// A request that another site made.
    pub(crate) fn is_cross_site(&self) -> bool {
        self.sec_fetch_site == Some(b"cross-site")
    }

    /// A safe method (RFC 9110, section 9.2.1).
    pub(crate) fn is_safe(&self) -> bool {
        matches!(self.method, Some("GET" | "HEAD" | "OPTIONS" | "TRACE"))
    }

    /// A navigation, or a client that does not say: a new ticket sent now reaches the page.
    pub(crate) fn may_renew(&self) -> bool {
        self.sec_fetch_mode.is_none_or(|mode| mode == b"navigate")
    }
}
