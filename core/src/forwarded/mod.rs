//! The client's address, through proxies that are declared trusted.
//!
//! Behind a proxy the connection's peer is the proxy, and the client's address stands in a header that each proxy
//! appends its own peer to: `Forwarded` (RFC 7239) or `X-Forwarded-For`. Whatever the client itself sent stands to the
//! left of that, so that who reads the header from the left, or as a whole, reads what an attacker wrote.
//!
//! # What holds
//!
//! * **The right address or none.** What cannot be read is an [`AddressError`] to count, never a fallback to something
//!   that the client chose.
//! * **Read from the right.** [`TrustedProxies::client`] stops at the first address that no trusted proxy has. What
//!   stands to the left of it is never looked at: no quote, comma, length or byte there changes the answer, nor whether
//!   there is one.
//! * **One header.** Which is read is said once. The other is never looked at, as no proxy may have cleaned it.
//! * **No trust by default.** The connection's peer is the client, and no header is looked at.
//!
//! This is what ASVS 5.0 asks for in 4.1.3 and 15.3.4, as far as a server can: it relies on each trusted proxy to append
//! to that very header or to set it, and never to pass it on as it came.
//!
//! # What is refused
//!
//! Elements that are empty, that hide the address (`unknown`, `_name`; RFC 7239, sections 6.2 and 6.3) or leave it out,
//! IPv6 zones, a port that is none, an IPv6 address with a port and without brackets, a second `for`, quotes that are
//! not a quoted string (RFC 9110, section 5.6.4), and every byte that is not ASCII. In `Forwarded`, an IPv6 address has
//! brackets and quotes, as RFC 7239 demands (section 6). In `X-Forwarded-For`, which no standard describes, an address
//! is bare or has a port, and quotes are refused.
//!
//! IPv4-mapped IPv6 addresses are IPv4 addresses, wherever they stand.

mod elements;
mod network;
mod node;
mod proxies;

pub use self::{
    network::{InvalidNetwork, Network},
    proxies::{AddressError, ForwardedHeader, TrustedProxies},
};

/// Removes spaces and tabs from both ends (RFC 9110, section 5.6.3).
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}
