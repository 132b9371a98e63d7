//! The address in one element.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{AddressError, trim};
use crate::limits::MAX_FORWARDED_NODE;

/// Reads an element of `X-Forwarded-For`: an address, or an address with a port.
pub(super) fn x_forwarded_for(element: &[u8]) -> Result<IpAddr, AddressError> {
    let text = str::from_utf8(trim(element)).map_err(|_| AddressError::Malformed)?;
    match text.parse::<Ipv6Addr>() {
        Ok(bare) => Ok(IpAddr::V6(bare).to_canonical()),
        Err(_) => node(text, is_port),
    }
}

/// Reads the `for` parameter of an element of `Forwarded` (RFC 7239, section 4).
pub(super) fn forwarded(element: &[u8]) -> Result<IpAddr, AddressError> {
    let mut buffer = [0; MAX_FORWARDED_NODE];
    let text = unescaped(for_parameter(element)?, &mut buffer).ok_or(AddressError::Malformed)?;
    let text = str::from_utf8(text).map_err(|_| AddressError::Malformed)?;
    node(text, |port| is_port(port) || port.strip_prefix(':').is_some_and(is_obfuscated))
}

/// The raw value of the one `for`; every other parameter need only be well-formed. White space is allowed around
/// semicolons, where it has one meaning, though RFC 7239 has none there.
fn for_parameter(element: &[u8]) -> Result<&[u8], AddressError> {
    let (mut rest, mut found, mut is_empty) = (trim(element), None, true);
    loop {
        let (name, after) = token(rest);
        if !name.is_empty() {
            let (value, after) = after.strip_prefix(b"=").and_then(value).ok_or(AddressError::Malformed)?;
            if name.eq_ignore_ascii_case(b"for") && found.replace(value).is_some() {
                return Err(AddressError::Malformed);
            }
            (rest, is_empty) = (trim(after), false);
        }
        match rest {
            [] if is_empty => return Err(AddressError::Malformed),
            [] => return found.ok_or(AddressError::Hidden),
            [b';', next @ ..] => rest = trim(next),
            _ => return Err(AddressError::Malformed),
        }
    }
}

/// Splits off the token at the start (RFC 9110, section 5.6.2), which may be empty.
fn token(bytes: &[u8]) -> (&[u8], &[u8]) {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    bytes.split_at(bytes.iter().position(|byte| !is_token(byte)).unwrap_or(bytes.len()))
}

/// Splits off the token or the inside of the quoted string at the start.
fn value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let Some(inside) = bytes.strip_prefix(b"\"") else {
        return Some(token(bytes)).filter(|(token, _)| !token.is_empty());
    };
    let mut at = 0;
    loop {
        match inside.get(at)? {
            b'"' => return Some((&inside[..at], &inside[at + 1..])),
            b'\\' if is_text(*inside.get(at + 1)?) => at += 2,
            &byte if is_text(byte) => at += 1,
            _ => return None,
        }
    }
}

/// What a quoted string is made of, without what is not ASCII.
fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~')
}

/// A value without the backslashes that escape; `None` when it is longer than any address.
fn unescaped<'b>(value: &[u8], buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let (mut len, mut bytes) = (0, value.iter());
    while let Some(&byte) = bytes.next() {
        // A token has no backslash, and in a quoted string each has a byte behind it.
        *buffer.get_mut(len)? = if byte == b'\\' { *bytes.next()? } else { byte };
        len += 1;
    }
    buffer.get(..len)
}

/// Reads a node (RFC 7239, section 6); `is_port` looks at what follows the name.
fn node(text: &str, is_port: impl Fn(&str) -> bool) -> Result<IpAddr, AddressError> {
    let (address, port) = if let Some(inside) = text.strip_prefix('[') {
        let (name, port) = inside.split_once(']').ok_or(AddressError::Malformed)?;
        (name.parse::<Ipv6Addr>().map(IpAddr::V6), port)
    } else {
        let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
        if name.eq_ignore_ascii_case("unknown") || is_obfuscated(name) {
            return Err(if port.is_empty() || is_port(port) { AddressError::Hidden } else { AddressError::Malformed });
        }
        (name.parse::<Ipv4Addr>().map(IpAddr::V4), port)
    };
    match address {
        Ok(address) if port.is_empty() || is_port(port) => Ok(address.to_canonical()),
        _ => Err(AddressError::Malformed),
    }
}

/// A colon and the number of a port.
fn is_port(port: &str) -> bool {
    let is_digits = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    port.strip_prefix(':').is_some_and(|port| is_digits(port) && port.parse::<u16>().is_ok())
}

/// A name that its proxy made up (RFC 7239, section 6.3).
fn is_obfuscated(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    name.strip_prefix('_').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_part))
}
