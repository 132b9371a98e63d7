//! The store while the demo runs.

use std::{fmt, path::PathBuf};

use crate::{open_store::OpenStore, store_url::StoreUrl};

/// Where sessions are kept, for those who look.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// With the place of what was ended.
    Cookie(Option<Box<Self>>),
    File(PathBuf),
    /// With the URL of the service.
    Http(String),
    /// With the servers.
    Memcached(String),
    Memory,
    /// With the servers.
    Redis(String),
}

/// How large a store is. What it cannot tell is `None`.
#[derive(Debug, Default)]
pub(super) struct Size {
    /// Whatever has an entry: also what leads from one session to its successor, or says that one was ended.
    pub(super) sessions: Option<u64>,
    pub(super) bytes: Option<u64>,
    pub(super) expired: Option<u64>,
    pub(super) refused: Option<u64>,
}

impl OpenStore {
    /// Tells how large it is, without asking anybody.
    pub(super) fn size(&self) -> Size {
        match self {
            Self::Memory(store) => {
                let metrics = store.metrics();
                Size {
                    sessions: Some(metrics.entries as u64),
                    bytes: Some(metrics.bytes as u64),
                    expired: Some(metrics.expired_total),
                    refused: Some(metrics.refused_total),
                }
            }
            Self::Redb(store) => {
                let metrics = store.metrics();
                Size {
                    sessions: Some(metrics.entries),
                    bytes: Some(metrics.file_bytes),
                    expired: Some(metrics.expired_total),
                    refused: None,
                }
            }
            // Others may use it as well.
            Self::CookieOnly | Self::Http(_) | Self::Memcached(_) | Self::Redis(_) => Size::default(),
        }
    }
}

impl Place {
    pub(crate) fn of(url: &StoreUrl) -> Self {
        match url {
            StoreUrl::Cookie(url) => Self::Cookie(url.as_ref().map(|url| Box::new(Self::of(url)))),
            StoreUrl::Http { place, .. } => Self::Http(place.clone()),
            StoreUrl::Memcached { place, .. } => Self::Memcached(place.clone()),
            StoreUrl::Memory => Self::Memory,
            StoreUrl::Redb(path) => Self::File(path.clone()),
            StoreUrl::Redis { place, .. } => Self::Redis(place.clone()),
        }
    }

    /// Returns the word for the kind of store.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Cookie(_) => "cookie",
            Self::File(_) => "redb",
            Self::Http(_) => "http",
            Self::Memcached(_) => "memcached",
            Self::Memory => "memory",
            Self::Redis(_) => "redis",
        }
    }
}

/// What the terminal says.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cookie(None) => f.write_str("the cookie: a copy of one works until its deadline, whatever was ended"),
            Self::Cookie(Some(place)) => write!(f, "the cookie; what was ended, {place}"),
            Self::File(path) => write!(f, "{}: sessions survive a restart", path.display()),
            Self::Memcached(place) => {
                write!(f, "memcached at {place}: sessions survive a restart of this process, not of the servers")
            }
            Self::Http(place) => write!(f, "the service at {place}: sessions survive a restart of this process"),
            Self::Memory => f.write_str("memory: sessions end with this process"),
            Self::Redis(place) => write!(f, "redis at {place}: sessions survive a restart of this process"),
        }
    }
}
