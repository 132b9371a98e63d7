//! Which store a command is to use.

use std::{
    env,
    ffi::{OsStr, OsString},
    fmt, fs, io,
    path::{self, Path, PathBuf},
};

use anyhow::{Context as _, anyhow, bail};
use cloakroom_http::HttpConfig;
use cloakroom_memcached::MemcachedConfig;
use cloakroom_redis::RedisConfig;
use etcetera::BaseStrategy as _;

/// What there is, for those who asked for something else.
const KINDS: &str = "memory:, redb:PATH, redis://.., rediss://.., redis+unix://.., redis+sentinel://.., redis+cluster://.., \
                     memcached://.., memcached+unix://.., http://.. or https://..";

/// What there is beside them for who can hold sessions in the cookie.
const COOKIE_KINDS: &str = "; and cookie:, or cookie+URL with one of these";

/// The variable with the token of a session service, whose URL takes none.
const HTTP_TOKEN: &str = "CLOAKROOM_HTTP_TOKEN";

/// What `--store` and the like say: a URL, or `env:NAME` for a variable that has one.
///
/// It may hold a password, so it is taken as it is, to be read where no error repeats it.
#[derive(Clone)]
pub(crate) struct StoreOption(OsString);

impl From<OsString> for StoreOption {
    fn from(text: OsString) -> Self {
        Self(text)
    }
}

impl StoreOption {
    /// Tells whether two say the same, or name one file.
    pub(crate) fn are_alike(one: &Self, other: &Self) -> bool {
        let read = |option: &Self| StoreUrl::read_as("", option);
        match (read(one), read(other)) {
            (Ok(StoreUrl::Redb(one)), Ok(StoreUrl::Redb(other))) => {
                one == other || canonical(&one) == canonical(&other)
            }
            _ => one.0 == other.0,
        }
    }
}

/// Returns the path of a file that is there, without links.
fn canonical(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok()
}

impl fmt::Debug for StoreOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreOption(..)")
    }
}

/// A store that is not open yet.
#[derive(Debug)]
pub(crate) enum StoreUrl {
    /// The cookie itself, with a store of what was ended, or none.
    Cookie(Option<Box<Self>>),
    Http {
        config: Box<HttpConfig>,
        /// The URL, which takes no secrets.
        place: String,
    },
    Memcached {
        config: Box<MemcachedConfig>,
        /// Where the servers are.
        place: String,
    },
    Memory,
    Redb(PathBuf),
    Redis {
        config: Box<RedisConfig>,
        /// Where the servers are, without the user.
        place: String,
    },
}

impl StoreUrl {
    /// Reads the option; where there is none, it is a file in the user's data folder, which is made.
    pub(crate) fn read(option: Option<&StoreOption>) -> anyhow::Result<Self> {
        option.map_or_else(|| default_file().map(Self::Redb), |option| Self::read_as("--store", option))
    }

    /// Reads the option for who can also hold sessions in the cookie, with what comes behind `cookie+` as the store of what was
    /// ended.
    pub(crate) fn read_or_cookie(option: Option<&StoreOption>) -> anyhow::Result<Self> {
        let Some(option) = option else { return default_file().map(Self::Redb) };
        Self::read_by("--store", option, |url| match url.split_once([':', '+']) {
            Some((cookie, "")) if cookie.eq_ignore_ascii_case("cookie") && url.ends_with(':') => Ok(Self::Cookie(None)),
            Some((cookie, rest)) if cookie.eq_ignore_ascii_case("cookie") && url[cookie.len()..].starts_with('+') => {
                Ok(Self::Cookie(Some(Box::new(Self::parse(rest)?))))
            }
            _ => Self::parse_among(url, COOKIE_KINDS),
        })
    }

    /// Reads an option of this name.
    pub(crate) fn read_as(option: &str, text: &StoreOption) -> anyhow::Result<Self> {
        Self::read_by(option, text, Self::parse)
    }

    fn read_by(
        option: &str,
        StoreOption(text): &StoreOption,
        parse: impl Fn(&str) -> anyhow::Result<Self>,
    ) -> anyhow::Result<Self> {
        let text = text.to_str().with_context(|| format!("{option} is no text"))?;
        match text.strip_prefix("env:") {
            None => parse(text).with_context(|| option.to_owned()),
            Some(name) if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') => {
                bail!("{option}: env: needs the name of a variable behind the colon")
            }
            Some(name) => {
                let url = env::var_os(OsStr::new(name));
                let url = url.as_ref().and_then(|url| url.to_str());
                let url = url.ok_or_else(|| anyhow!("{option}: the environment variable {name} has no URL"))?;
                parse(url).with_context(|| format!("{option}: the environment variable {name}"))
            }
        }
    }

    /// Reads a URL, and never repeats it.
    fn parse(url: &str) -> anyhow::Result<Self> {
        Self::parse_among(url, "")
    }

    /// Reads a URL; what there is beside [`KINDS`] is told to who asks for something else.
    fn parse_among(url: &str, others: &str) -> anyhow::Result<Self> {
        let scheme = url.split_once(':').map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
        match scheme.as_ref().map(|(scheme, rest)| (scheme.as_str(), *rest)) {
            Some(("cookie", _)) => bail!("the cookie is no store that can be opened here"),
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("redb", "")) => bail!("redb: needs the path of a file behind the colon"),
            // What somebody meant by it, only they know.
            Some(("redb", path)) if path.starts_with("//") => bail!("redb: takes a path as it is: redb:PATH"),
            Some(("redb", path)) => Ok(Self::Redb(path::absolute(path).context("redb: no path")?)),
            Some(("http" | "https", _)) => {
                let config = HttpConfig::new(url)?;
                let config = match env::var(HTTP_TOKEN) {
                    Ok(token) => config.token(&token).context(HTTP_TOKEN)?,
                    Err(_) => config,
                };
                Ok(Self::Http { config: Box::new(config), place: url.to_owned() })
            }
            Some((scheme, _)) if scheme.starts_with("redis") => {
                Ok(Self::Redis { config: Box::new(RedisConfig::new(url)?), place: place(url) })
            }
            Some((scheme, _)) if scheme.starts_with("memcached") => {
                Ok(Self::Memcached { config: Box::new(MemcachedConfig::new(url)?), place: hosts(url) })
            }
            _ => bail!("there is no such store; there is {KINDS}{others}"),
        }
    }
}

/// Finds the file for those who do not choose, and makes its folder.
fn default_file() -> anyhow::Result<PathBuf> {
    const CHOOSE: &str = "choose a store: --store memory: or --store redb:PATH";
    let folders = etcetera::choose_base_strategy().with_context(|| format!("there is no home folder; {CHOOSE}"))?;
    let folder = folders.data_dir().join("cloakroom");
    make_folder(&folder).with_context(|| format!("cannot make the folder {}; {CHOOSE}", folder.display()))?;
    Ok(folder.join("demo.redb"))
}

/// Makes a folder that other users cannot look into.
fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Says where the servers of a URL are, and nothing else of it.
fn place(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    if scheme.eq_ignore_ascii_case("redis+unix") {
        return rest.to_owned();
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if path.contains('@') {
        // A password with a slash in it, of which the hosts may be a part.
        return "the servers of its URL".to_owned();
    }
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    let (scheme, is_single) = match scheme.split_once('+') {
        Some((_, kind)) => (kind, false),
        None => (scheme, true),
    };
    // An address of version 6 has colons of its own.
    let has_port = hosts.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
    match scheme {
        "sentinel" => format!("{} by the sentinels {hosts}", path.split('/').next().unwrap_or_default()),
        "cluster" => format!("the cluster {hosts}"),
        _ if is_single && !has_port => format!("{hosts}:6379"),
        _ => hosts.to_owned(),
    }
}

/// Says where the servers of a URL are that has no user.
fn hosts(url: &str) -> String {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let hosts = rest.split('?').next().unwrap_or_default();
    hosts.strip_suffix('/').unwrap_or(hosts).replace(',', ", ")
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsString, path::absolute};

    use super::{StoreOption, StoreUrl, hosts, place};

    #[test]
    fn a_place_has_nothing_of_the_user() {
        for (url, expected) in [
            ("redis://localhost", "localhost:6379"),
            ("redis://localhost/3", "localhost:6379"),
            ("rediss://user:secret@db.example:6380/1", "db.example:6380"),
            ("redis://:se@cret@[::1]", "[::1]:6379"),
            ("redis://:secret@[::1]:7000?protocol=resp3&x=secret", "[::1]:7000"),
            ("redis+unix:///run/redis.sock?user=u&pass=secret", "/run/redis.sock"),
            ("redis+sentinel://u:secret@a:1,b:2/main/0?sentinel_password=secret", "main by the sentinels a:1,b:2"),
            ("rediss+cluster://u:secret@a:1,b:2", "the cluster a:1,b:2"),
            ("redis+sentinel://u:123/secret@a:1/main", "the servers of its URL"),
        ] {
            assert_eq!(place(url), expected, "{url}");
        }
    }

    #[test]
    fn a_memcached_is_where_its_hosts_are() {
        for (url, expected) in [
            ("memcached://localhost", "localhost"),
            ("memcached://a,b:11212,[::1]/?weights=1,2,1", "a, b:11212, [::1]"),
            ("memcached+unix:///run/memcached.sock", "/run/memcached.sock"),
        ] {
            let StoreUrl::Memcached { place, .. } = StoreUrl::parse(url).unwrap() else { panic!("{url}") };
            assert_eq!((place.as_str(), hosts(url).as_str()), (expected, expected));
        }
    }

    #[test]
    fn an_error_has_nothing_of_the_url() {
        for url in [
            "redis://user:secret@host:port",
            "redis://user:sec/ret@host",
            "redis+sentinel://user:secret@host:1",
            "redis:user:secret@host",
            "memcached://user:secret@host",
            "memcached://host/secret",
            "memcached://host?secret",
            "memcached://secret host",
            "memcached:secret",
            "rredis://user:secret@host",
            "user:secret@host",
            "secret",
            "http://user:secret@host",
            "https://host/?token=secret",
            "https://secret:port",
            "redb://secret",
            "memory:secret",
            "memory://secret",
            "",
        ] {
            let error = StoreUrl::parse(url).map(|_| url).unwrap_err();
            assert!(!format!("{error:?} {error:#}").contains("secret"), "{error:?}");
            let shown = format!("{:?}", StoreOption::from(OsString::from(url)));
            assert!(!shown.contains("secret"), "{shown}");
        }
    }

    #[test]
    fn a_path_is_taken_as_it_is() {
        for path in ["a", "/tmp/a b.redb", "../x:y", "C:\\a", "a@b"] {
            let StoreUrl::Redb(read) = StoreUrl::parse(&format!("redb:{path}")).unwrap() else { panic!("{path}") };
            assert_eq!(read, absolute(path).unwrap());
        }
    }
}
