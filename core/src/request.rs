//! What the server knows of a request beyond its cookies.

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
    method: Option<&'a str>,
    sec_fetch_mode: Option<&'a [u8]>,
    sec_fetch_site: Option<&'a [u8]>,
}

impl<'a> RequestInfo<'a> {
    /// Makes an empty one.
    pub const fn new() -> Self {
        Self { method: None, sec_fetch_mode: None, sec_fetch_site: None }
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
