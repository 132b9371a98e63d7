//! A session's failure as a response.

use std::{error::Error, fmt};

use axum_core::response::{IntoResponse, Response};
use cloakroom_core::{CommitError, EditError, RosterError};
use http::{HeaderValue, StatusCode, header::CACHE_CONTROL};

/// Why an access to a session failed; an axum handler returns it with `?`.
///
/// As a response it is a status and its text: 503 when the store is down, 409 when other requests were in the way, 500
/// when the application asked for what cannot be, 501 where the store has no index of users' sessions. No cache keeps it.
#[derive(Clone, Debug)]
pub struct SessionError(cloakroom_store::SessionError);

impl SessionError {
    /// Returns the error of the handle.
    pub fn kind(&self) -> &cloakroom_store::SessionError {
        &self.0
    }

    /// Returns the status that tells it to the client.
    pub fn status(&self) -> StatusCode {
        use cloakroom_store::SessionError as Kind;
        match &self.0 {
            Kind::Commit(error) => match error {
                CommitError::Ambiguous
                | CommitError::Contention
                | CommitError::Lost
                | CommitError::Replay(_)
                | CommitError::StaleTicket
                | CommitError::TooLate => StatusCode::CONFLICT,
                CommitError::CrossSite | CommitError::TooManySessions => StatusCode::FORBIDDEN,
                CommitError::OutcomeUnknown | CommitError::Store | CommitError::Vanished => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
                CommitError::CookieTooLarge { .. } | CommitError::RecordTooLarge { .. } => {
                    StatusCode::PAYLOAD_TOO_LARGE
                }
                CommitError::NoIndex => StatusCode::NOT_IMPLEMENTED,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Kind::Edit(EditError::NotSignedIn) => StatusCode::UNAUTHORIZED,
            Kind::Roster(error) => match error {
                RosterError::Contention => StatusCode::CONFLICT,
                RosterError::End(_) | RosterError::Store => StatusCode::SERVICE_UNAVAILABLE,
                RosterError::NoIndex => StatusCode::NOT_IMPLEMENTED,
                RosterError::UnknownHandle => StatusCode::NOT_FOUND,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Kind::Store(_) | Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<cloakroom_store::SessionError> for SessionError {
    fn from(error: cloakroom_store::SessionError) -> Self {
        Self(error)
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for SessionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl IntoResponse for SessionError {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.to_string()).into_response();
        // What is kept of a 404 or a 501 would outlive its reason, and reach other visitors.
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
