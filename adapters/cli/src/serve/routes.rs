//! Paths, and the methods that they take.

use cloakroom_core::StoreKey;
use cloakroom_http::protocol::{INDEXES, MEMBERS, SESSIONS, decode_key};

use super::refusal::Refusal;

/// What a path leads to.
#[derive(Debug, PartialEq)]
pub(super) enum Route {
    Document,
    Health,
    Member { index: StoreKey, member: StoreKey },
    Members { index: StoreKey },
    Metrics,
    Session { key: StoreKey },
}

impl Route {
    /// Reads a path.
    pub(super) fn read(path: &str) -> Result<Self, Refusal> {
        let key = |segment| decode_key(segment).ok_or(Refusal::BadKey);
        let path = path.strip_prefix('/').ok_or(Refusal::NotFound)?;
        let segments: Vec<_> = path.splitn(5, '/').collect();
        match segments[..] {
            ["health"] => Ok(Self::Health),
            ["metrics"] => Ok(Self::Metrics),
            ["openapi.json"] => Ok(Self::Document),
            [SESSIONS, segment] => Ok(Self::Session { key: key(segment)? }),
            [INDEXES, index, MEMBERS] => Ok(Self::Members { index: key(index)? }),
            [INDEXES, index, MEMBERS, member] => Ok(Self::Member { index: key(index)?, member: key(member)? }),
            _ => Err(Refusal::NotFound),
        }
    }

    /// Returns the methods, as `Allow` says them.
    pub(super) fn methods(&self) -> &'static str {
        match self {
            Self::Document | Self::Health | Self::Members { .. } | Self::Metrics => "GET",
            Self::Member { .. } => "DELETE, PUT",
            Self::Session { .. } => "DELETE, GET, PATCH, PUT",
        }
    }

    /// Tells whether it is for everybody: it holds nothing of sessions.
    pub(super) fn is_public(&self) -> bool {
        matches!(self, Self::Document | Self::Health)
    }
}

#[cfg(test)]
mod tests {
    use cloakroom_core::StoreKey;

    use super::{Refusal, Route};

    fn key(text: &str) -> StoreKey {
        StoreKey::new(text).unwrap()
    }

    #[test]
    fn a_path_leads_to_one_place() {
        assert_eq!(Route::read("/health"), Ok(Route::Health));
        assert_eq!(Route::read("/sessions/health"), Ok(Route::Session { key: key("health") }));
        assert_eq!(Route::read("/sessions/a%2F%2e%2E%2fb"), Ok(Route::Session { key: key("a/../b") }));
        assert_eq!(Route::read("/indexes/i/members"), Ok(Route::Members { index: key("i") }));
        let member = Route::Member { index: key("members"), member: key("a%2F") };
        assert_eq!(Route::read("/indexes/members/members/a%252F"), Ok(member));
    }

    #[test]
    fn what_leads_nowhere_is_not_found_or_no_key() {
        for path in [
            "",
            "/",
            "*",
            "health",
            "/health/",
            "/sessions",
            "/sessions/a/b",
            "/sessions/a/",
            "/indexes/i/members/m/x",
            "/Sessions/a",
        ] {
            assert_eq!(Route::read(path), Err(Refusal::NotFound), "{path}");
        }
        for path in ["/sessions/", "/sessions/%20", "/sessions/%", "/indexes//members", "/indexes/i/members/"] {
            assert_eq!(Route::read(path), Err(Refusal::BadKey), "{path}");
        }
    }
}
