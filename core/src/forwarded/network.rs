//! A range of addresses.

use core::{
    error::Error,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A range of addresses, written as an address or as `address/prefix`: `10.0.0.0/8`, `2001:db8::/32`, `::1`.
///
/// An IPv4 address is in IPv4 ranges only; a range of IPv4-mapped IPv6 addresses is one.
///
/// ```
/// use cloakroom_core::forwarded::Network;
///
/// let network: Network = "10.0.0.0/8".parse()?;
/// assert!(network.contains("10.1.2.3".parse()?) && !network.contains("11.1.2.3".parse()?));
/// let error = "10.1.0.0/8".parse::<Network>().unwrap_err();
/// assert_eq!(error.to_string(), "10.1.0.0/8 has bits beyond its prefix: the range is 10.0.0.0/8");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Makes a range of the addresses whose first `prefix` bits are those of `address`.
    ///
    /// # Errors
    ///
    /// [`InvalidNetwork`] when `prefix` is zero, which is everybody, or more bits than an address has, and when
    /// `address` has other bits set.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, InvalidNetwork> {
        let bits = bits(address);
        if prefix == 0 {
            return Err(InvalidNetwork::Everybody);
        }
        if prefix > bits {
            return Err(InvalidNetwork::Prefix { bits });
        }
        let network = first(address, prefix);
        if network != address {
            return Err(InvalidNetwork::HostBits { address, prefix, network });
        }
        // A mapped address ends its 96 fixed bits in ones, so that a shorter prefix was refused above.
        let canonical = address.to_canonical();
        let prefix = prefix - (bits - self::bits(canonical));
        if prefix == 0 {
            return Err(InvalidNetwork::Everybody);
        }
        Ok(Self { address: canonical, prefix })
    }

    /// Tells whether an address is in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        // The prefix of one kind means nothing to the other.
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && first(address, self.prefix) == self.address
    }
}

/// The range of one address.
impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix: bits(address) }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let invalid = || InvalidNetwork::Syntax { text: text.into() };
        let Some((address, prefix)) = text.split_once('/') else {
            return text.parse::<IpAddr>().map(Self::from).map_err(|_| invalid());
        };
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        if prefix.is_empty() || prefix.len() > 3 || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid());
        }
        Self::new(address, prefix.parse().map_err(|_| InvalidNetwork::Prefix { bits: bits(address) })?)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The bits of such an address.
fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address with all but the first `prefix` bits cleared; `prefix` is neither zero nor more than it has.
fn first(address: IpAddr, prefix: u8) -> IpAddr {
    let cleared = u32::from(bits(address) - prefix);
    match address {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & u32::MAX << cleared).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & u128::MAX << cleared).into(),
    }
}

/// Why a text or a prefix is no [`Network`].
#[non_exhaustive]
#[derive(Clone, Eq, PartialEq)]
pub enum InvalidNetwork {
    /// A prefix of zero bits trusts everybody, and with that the client's own word: count the proxies instead.
    Everybody,
    /// The address has bits set beyond the prefix.
    HostBits {
        /// The address.
        address: IpAddr,
        /// The prefix.
        prefix: u8,
        /// The address without these bits.
        network: IpAddr,
    },
    /// The prefix is longer than the address.
    Prefix {
        /// The bits of such an address.
        bits: u8,
    },
    /// The text is neither an address nor `address/prefix`.
    Syntax {
        /// The text.
        text: Box<str>,
    },
}

impl fmt::Display for InvalidNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everybody => f.write_str("a prefix of 0 bits trusts everybody: count the proxies instead"),
            Self::HostBits { address, prefix, network } => {
                write!(f, "{address}/{prefix} has bits beyond its prefix: the range is {network}/{prefix}")
            }
            Self::Prefix { bits } => write!(f, "the prefix is longer than the {bits} bits of such an address"),
            Self::Syntax { text } => write!(f, "{text:?} is neither an address nor address/prefix"),
        }
    }
}

impl Error for InvalidNetwork {}
