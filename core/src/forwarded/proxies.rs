//! Which proxies are trusted, and who the client is then.

use core::{error::Error, fmt, net::IpAddr};

use super::{Network, elements::Elements, node};

/// The header that the trusted proxies write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ForwardedHeader {
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// `X-Forwarded-For`, which no standard describes and most proxies write.
    XForwardedFor,
}

impl ForwardedHeader {
    /// Returns its name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::XForwardedFor => "x-forwarded-for",
        }
    }
}

/// The proxies whose word on the client's address is taken, and the header that they write.
///
/// By default there are none: the client is the connection's peer, and no header is looked at. The
/// [module](crate::forwarded) says what is read and what is refused.
///
/// * [`by_networks`](Self::by_networks) where the addresses of the proxies are known, and no client has one of them.
/// * [`by_count`](Self::by_count) where only their number is known, and nobody reaches the server past them.
///
/// ```
/// use cloakroom_core::{ForwardedHeader, TrustedProxies};
///
/// let proxies = TrustedProxies::by_networks(ForwardedHeader::XForwardedFor, ["10.0.0.0/8".parse()?, "::1".parse()?]);
/// let client = |peer: &str, line: &'static str| proxies.client(peer.parse().ok(), |_| [line.as_bytes()]);
/// let expected = "203.0.113.7".parse();
/// assert_eq!(client("10.0.0.1", "203.0.113.7"), Ok(expected.clone()?));
/// assert_eq!(client("10.0.0.1", "6.6.6.6, 203.0.113.7, 10.0.0.2"), Ok(expected.clone()?), "6.6.6.6 is the client's word");
/// assert_eq!(client("203.0.113.7", "6.6.6.6"), Ok(expected?), "the peer is no proxy of ours");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TrustedProxies(Trust);

#[derive(Clone, Debug, Default, Eq, PartialEq)]
enum Trust {
    Count(ForwardedHeader, u8),
    Networks(ForwardedHeader, Box<[Network]>),
    #[default]
    Nobody,
}

impl TrustedProxies {
    /// Trusts no proxy: the peer is the client.
    pub const fn none() -> Self {
        Self(Trust::Nobody)
    }

    /// Trusts the proxies with these addresses.
    ///
    /// The client is the first address from the right that is in none of the ranges, or the leftmost when all are, as for
    /// a client that is a proxy of ours itself. So keep the ranges to the proxies: whoever else has an address in them can
    /// say to be anybody. A request from a proxy without the header has no client address, as nobody said it.
    pub fn by_networks(header: ForwardedHeader, networks: impl IntoIterator<Item = Network>) -> Self {
        Self(Trust::Networks(header, networks.into_iter().collect()))
    }

    /// Trusts the last `count` proxies, whatever their addresses; zero is [`none`](Self::none).
    ///
    /// The client is exactly the `count`-th address from the right: each of these proxies appended one, and the last of
    /// them is the peer. A header with fewer has no client address; it did not come through all of them, and an address
    /// further to the right is a proxy's. Whoever reaches the server past the first of them can say to be anybody, so keep
    /// the server where only they reach it, or name their addresses instead.
    pub const fn by_count(header: ForwardedHeader, count: u8) -> Self {
        if count == 0 { Self::none() } else { Self(Trust::Count(header, count)) }
    }

    /// Returns the client's address.
    ///
    /// `peer` is the address that the connection comes from, if it has one; a Unix socket has none. `lines` is asked for
    /// the lines of one header by its name in lower case, in their order; it is not asked at all unless the peer is
    /// trusted. It takes time linear in what is read, at most [`MAX_FORWARDED_BYTES`] and [`MAX_FORWARDED_ELEMENTS`] from
    /// the right, and allocates nothing.
    ///
    /// # Errors
    ///
    /// [`AddressError`] says why the address is not known. Whoever asked must then go without one: every other address in
    /// the request is a guess, or the client's word.
    ///
    /// [`MAX_FORWARDED_BYTES`]: crate::limits::MAX_FORWARDED_BYTES
    /// [`MAX_FORWARDED_ELEMENTS`]: crate::limits::MAX_FORWARDED_ELEMENTS
    pub fn client<'h, L>(
        &self,
        peer: Option<IpAddr>,
        lines: impl FnOnce(&'static str) -> L,
    ) -> Result<IpAddr, AddressError>
    where
        L: IntoIterator<Item = &'h [u8], IntoIter: DoubleEndedIterator>,
    {
        let peer = || peer.map(|peer| peer.to_canonical()).ok_or(AddressError::NoPeer);
        match &self.0 {
            Trust::Nobody => peer(),
            Trust::Networks(header, networks) => {
                let is_trusted = |address: IpAddr| networks.iter().any(|network| network.contains(address));
                let peer = peer()?;
                if !is_trusted(peer) {
                    return Ok(peer);
                }
                let mut elements = Elements::new(*header, lines(header.name()).into_iter());
                let mut leftmost = None;
                while let Some(element) = elements.next()? {
                    let address = header.address(element)?;
                    if !is_trusted(address) {
                        return Ok(address);
                    }
                    leftmost = Some(address);
                }
                leftmost.ok_or(AddressError::Missing)
            }
            Trust::Count(header, count) => {
                let mut elements = Elements::new(*header, lines(header.name()).into_iter());
                let mut address = Err(AddressError::Missing);
                for _ in 0..*count {
                    // The ones passed over are the word of proxies too: if one is no address, something is amiss.
                    address = Ok(header.address(elements.next()?.ok_or(AddressError::Missing)?)?);
                }
                address
            }
        }
    }
}

impl ForwardedHeader {
    /// Reads an element of this header.
    fn address(self, element: &[u8]) -> Result<IpAddr, AddressError> {
        match self {
            Self::Forwarded => node::forwarded(element),
            Self::XForwardedFor => node::x_forwarded_for(element),
        }
    }
}

/// Why the client's address is not known.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AddressError {
    /// An element that is needed hides the address or leaves it out.
    Hidden,
    /// An element that is needed cannot be read.
    Malformed,
    /// The header has fewer elements than trusted proxies.
    Missing,
    /// The connection's peer has no address, or nobody told it.
    NoPeer,
    /// What is needed stands further to the left than is read.
    TooLong,
}

impl AddressError {
    /// Returns a short name, for counters and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::Malformed => "malformed",
            Self::Missing => "missing",
            Self::NoPeer => "no_peer",
            Self::TooLong => "too_long",
        }
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hidden => "a proxy hides the client's address",
            Self::Malformed => "the header with the client's address cannot be read",
            Self::Missing => "the trusted proxies did not say the client's address",
            Self::NoPeer => "the connection's peer has no known address",
            Self::TooLong => "the header with the client's address is longer than what is read of it",
        })
    }
}

impl Error for AddressError {}
