//! Requests that never reach the store.

use hyper::StatusCode;

use super::body;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    BadBody,
    BadKey,
    BadLimit,
    BadPrecondition,
    BadTtl,
    Misdirected,
    NotFound,
    PreconditionRequired,
    TooLarge,
    TooSlow,
    Unauthorized,
    /// With the methods that there are.
    WrongMethod(&'static str),
}

impl Refusal {
    /// The words of all, in the order of [`Refusal::place`].
    pub(super) const WORDS: [&str; 12] = [
        "bad_body",
        "bad_key",
        "bad_limit",
        "bad_precondition",
        "bad_ttl",
        "misdirected",
        "not_found",
        "precondition_required",
        "too_large",
        "too_slow",
        "unauthorized",
        "wrong_method",
    ];

    /// Returns its place among all.
    pub(super) fn place(self) -> usize {
        match self {
            Self::BadBody => 0,
            Self::BadKey => 1,
            Self::BadLimit => 2,
            Self::BadPrecondition => 3,
            Self::BadTtl => 4,
            Self::Misdirected => 5,
            Self::NotFound => 6,
            Self::PreconditionRequired => 7,
            Self::TooLarge => 8,
            Self::TooSlow => 9,
            Self::Unauthorized => 10,
            Self::WrongMethod(_) => 11,
        }
    }

    /// Returns its word.
    pub(super) fn word(self) -> &'static str {
        Self::WORDS[self.place()]
    }

    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::BadBody | Self::BadKey | Self::BadLimit | Self::BadPrecondition | Self::BadTtl => {
                StatusCode::BAD_REQUEST
            }
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::WrongMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    /// Says what is wrong, and repeats nothing of the request.
    pub(super) fn message(self) -> String {
        match self {
            Self::BadBody => "the body broke off".to_owned(),
            Self::BadKey => "a key has 1 to 120 visible ASCII characters, percent-encoded in the path".to_owned(),
            Self::BadLimit => "limit is one number from 0 to 10000".to_owned(),
            Self::BadPrecondition => {
                "If-Match takes one strong ETag as it was read, If-None-Match nothing but *, and that to create"
                    .to_owned()
            }
            Self::BadTtl => "Cloakroom-TTL is one number of milliseconds from 1 to 9007199254740991".to_owned(),
            Self::Misdirected => "without --auth, Host must be localhost or a loopback address".to_owned(),
            Self::NotFound => "there is nothing at this path".to_owned(),
            Self::PreconditionRequired => {
                "a write needs either If-Match with the ETag that was read, or If-None-Match: * to create".to_owned()
            }
            Self::TooLarge => format!("a body has at most {} bytes", body::MAX),
            Self::TooSlow => "the body did not come in time".to_owned(),
            Self::Unauthorized => "Authorization must be Bearer with the token of this service".to_owned(),
            Self::WrongMethod(allowed) => format!("this path takes {allowed}"),
        }
    }
}
