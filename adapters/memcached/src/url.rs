//! URLs of servers.

use std::num::NonZeroU32;

use crate::{
    config::{MemcachedConfig, MemcachedConfigError},
    server::{PORT, Server},
};

/// Reads a URL of any kind.
pub(crate) fn servers(url: &str) -> Result<Vec<Server>, MemcachedConfigError> {
    let (scheme, rest) = url.split_once("://").ok_or(MemcachedConfigError::Url)?;
    if rest.contains('#') {
        return Err(MemcachedConfigError::Url);
    }
    match scheme {
        "memcached" => {
            let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
            let hosts = rest.strip_suffix('/').unwrap_or(rest);
            if hosts.is_empty() {
                return Err(MemcachedConfigError::NoServer);
            }
            let mut servers = hosts.split(',').map(server).collect::<Result<Vec<_>, _>>()?;
            for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
                match parameter.split_once('=') {
                    Some(("weights", weights)) => weigh(&mut servers, weights)?,
                    _ => return Err(MemcachedConfigError::Parameter),
                }
            }
            Ok(servers)
        }
        "memcached+unix" if rest.contains('?') => Err(MemcachedConfigError::Parameter),
        "memcached+unix" if rest.len() < 2 || !rest.starts_with('/') => Err(MemcachedConfigError::Host),
        "memcached+unix" => Ok(vec![Server::unix(rest)]),
        _ => Err(MemcachedConfigError::Scheme),
    }
}

/// Checks what a list of servers needs.
pub(crate) fn checked(servers: Vec<Server>) -> Result<Vec<Server>, MemcachedConfigError> {
    if servers.is_empty() {
        return Err(MemcachedConfigError::NoServer);
    }
    if servers.len() > MemcachedConfig::MAX_SERVERS {
        return Err(MemcachedConfigError::Servers);
    }
    let is_twice = |(place, server): (usize, &Server)| servers[..place].iter().any(|other| other.name == server.name);
    match servers.iter().enumerate().any(is_twice) {
        true => Err(MemcachedConfigError::Twice),
        false => Ok(servers),
    }
}

fn server(address: &str) -> Result<Server, MemcachedConfigError> {
    if address.contains('@') {
        return Err(MemcachedConfigError::User);
    }
    if address.contains('/') {
        return Err(MemcachedConfigError::Url);
    }
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or(MemcachedConfigError::Host)?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(MemcachedConfigError::Host),
            }
        }
        None => match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    // The name becomes a part of what is hashed.
    if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'%') {
        return Err(MemcachedConfigError::Host);
    }
    let is_digits = |port: &&str| port.bytes().all(|byte| byte.is_ascii_digit());
    let port = match port {
        None => PORT,
        Some(port) => {
            let port = Some(port).filter(is_digits).and_then(|port| port.parse().ok()).filter(|&port| port != 0);
            port.ok_or(MemcachedConfigError::Port)?
        }
    };
    Ok(Server::tcp(host, port))
}

fn weigh(servers: &mut [Server], weights: &str) -> Result<(), MemcachedConfigError> {
    let weights: Vec<&str> = weights.split(',').collect();
    if weights.len() != servers.len() {
        return Err(MemcachedConfigError::Weights);
    }
    for (server, weight) in servers.iter_mut().zip(weights) {
        let weight = weight.parse().ok().filter(|weight: &NonZeroU32| weight.get() <= MemcachedConfig::MAX_WEIGHT);
        server.weight = weight.ok_or(MemcachedConfigError::Weights)?;
    }
    Ok(())
}
