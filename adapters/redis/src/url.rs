//! URLs of servers, in the form of the `redis` crate and in those for sentinels and clusters.

use std::path::Path;

use cloakroom_runtime::Endpoint;
use redis::{ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo};

use crate::{
    config::{RedisConfigError, Servers},
    dial::Sentinels,
    server::Server,
};

/// Reads a URL of any kind.
pub(crate) fn servers(url: &str) -> Result<Servers, RedisConfigError> {
    let (scheme, rest) = url.split_once("://").ok_or(RedisConfigError::Url)?;
    match scheme {
        "redis" | "rediss" | "redis+unix" => Ok(Servers::Single(server(url)?)),
        "redis+cluster" | "rediss+cluster" => {
            let list = List::read(scheme, rest)?;
            if !list.query.is_empty() {
                return Err(RedisConfigError::Parameter);
            }
            Ok(Servers::Cluster(nodes(list.servers(list.user, list.path)?)?))
        }
        "redis+sentinel" | "rediss+sentinel" => {
            let list = List::read(scheme, rest)?;
            let (master, database) = list.path.split_once('/').unwrap_or((list.path, ""));
            let template = list.servers(list.user, database)?.into_iter().next().ok_or(RedisConfigError::NoServer)?;
            let mut sentinel_user = String::new();
            let (mut user, mut password) = ("", "");
            for parameter in list.query.split('&').filter(|parameter| !parameter.is_empty()) {
                match parameter.split_once('=') {
                    Some(("sentinel_user", value)) => user = value,
                    Some(("sentinel_password", value)) => password = value,
                    _ => return Err(RedisConfigError::Parameter),
                }
            }
            if !(user.is_empty() && password.is_empty()) {
                sentinel_user = format!("{user}:{password}@");
            }
            Ok(Servers::Sentinel(sentinels(list.servers(&sentinel_user, "")?, master, template)?))
        }
        _ => Err(RedisConfigError::Scheme),
    }
}

/// Reads the URLs of a list, each of one server.
pub(crate) fn all(urls: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Vec<Server>, RedisConfigError> {
    let read = |url: &str| match url.split_once("://") {
        Some(("redis" | "rediss", _)) => server(url),
        Some(_) => Err(RedisConfigError::Scheme),
        None => Err(RedisConfigError::Url),
    };
    urls.into_iter().map(|url| read(url.as_ref())).collect()
}

/// Checks what a cluster needs.
pub(crate) fn nodes(nodes: Vec<Server>) -> Result<Vec<Server>, RedisConfigError> {
    match nodes.first() {
        None => Err(RedisConfigError::NoServer),
        Some(first) if first.login.db() != 0 => Err(RedisConfigError::ClusterDatabase),
        Some(_) => Ok(nodes),
    }
}

/// Checks what sentinels need.
pub(crate) fn sentinels(sentinels: Vec<Server>, master: &str, template: Server) -> Result<Sentinels, RedisConfigError> {
    match master {
        "" => Err(RedisConfigError::Master),
        _ => Ok(Sentinels { master: master.to_owned(), sentinels, template }),
    }
}

/// Makes a login. The protocol is the older one, which has no answer without a question.
pub(crate) fn login(user: Option<&str>, password: Option<&str>, database: u32) -> RedisConnectionInfo {
    let mut login = RedisConnectionInfo::default().set_db(i64::from(database));
    if let Some(user) = user {
        login = login.set_username(user);
    }
    if let Some(password) = password {
        login = login.set_password(password);
    }
    settled(login)
}

fn settled(login: RedisConnectionInfo) -> RedisConnectionInfo {
    login.set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name()
}

/// Reads the URL of one server.
fn server(url: &str) -> Result<Server, RedisConfigError> {
    // TLS is ours to do, so the library need not know that it is asked for.
    let (plain, uses_tls) = match url.strip_prefix("rediss://") {
        Some(rest) => (format!("redis://{rest}"), true),
        None => (url.to_owned(), false),
    };
    if plain.contains('#') {
        return Err(RedisConfigError::Url);
    }
    // The library passes over what it does not know, and has a protocol that is not ours to choose.
    let known: &[&str] = if plain.starts_with("redis+unix://") { &["db", "pass", "user"] } else { &[] };
    let (_, query) = plain.split_once('?').unwrap_or_default();
    let mut names = query.split('&').filter_map(|parameter| parameter.split('=').next());
    if names.any(|name| !name.is_empty() && !known.contains(&name)) {
        return Err(RedisConfigError::Parameter);
    }
    let info = plain.as_str().into_connection_info().map_err(|_| match has_odd_database(&plain) {
        false => RedisConfigError::Url,
        true => RedisConfigError::Database,
    })?;
    let login = settled(info.redis_settings().clone());
    if login.db() < 0 {
        return Err(RedisConfigError::Database);
    }
    match info.addr() {
        ConnectionAddr::Tcp(host, port) => Server::tcp(host, *port, uses_tls, login).ok_or(RedisConfigError::Host),
        ConnectionAddr::Unix(path) if path != Path::new("/") => {
            Ok(Server { endpoint: Endpoint::Unix(path.clone()), login, tls_name: None })
        }
        _ => Err(RedisConfigError::Host),
    }
}

/// Tells whether what stands for the database is no number. A password with a slash in it is another mistake.
fn has_odd_database(url: &str) -> bool {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let path = rest.split('?').next().and_then(|rest| rest.split_once('/')).map_or("", |(_, path)| path);
    url.starts_with("redis://") && !path.contains('@') && !path.bytes().all(|byte| byte.is_ascii_digit())
}

/// `user@host,host/path?query`, in parts.
struct List<'a> {
    hosts: &'a str,
    path: &'a str,
    query: &'a str,
    scheme: &'static str,
    /// With the at sign, or empty.
    user: &'a str,
}

impl<'a> List<'a> {
    fn read(scheme: &str, rest: &'a str) -> Result<Self, RedisConfigError> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        if hosts.is_empty() {
            return Err(RedisConfigError::NoServer);
        }
        let scheme = if scheme.starts_with("rediss") { "rediss" } else { "redis" };
        Ok(Self { hosts, path, query, scheme, user })
    }

    fn servers(&self, user: &str, database: &str) -> Result<Vec<Server>, RedisConfigError> {
        if !database.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RedisConfigError::Database);
        }
        let read = |host| server(&format!("{}://{user}{host}/{database}", self.scheme));
        self.hosts.split(',').map(read).collect()
    }
}
