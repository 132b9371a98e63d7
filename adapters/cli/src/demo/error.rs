//! What goes wrong, as JSON for programs and as a page for people.

use axum::{
    Json,
    extract::rejection::{BytesRejection, FormRejection, PathRejection, QueryRejection},
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use cloakroom_core::{CommitError, EditError, ReplayError, RosterError};
use cloakroom_store::SessionError as Kind;
use cloakroom_tower::SessionError;
use serde::Serialize;

use super::view;

/// What `add` says of other values.
const NOT_A_NUMBER: &str = "not_a_number";

/// An answer that is no success: JSON with a word for programs and a message for their authors.
#[derive(Debug, Serialize)]
pub(super) struct Failure {
    #[serde(skip)]
    pub(super) status: StatusCode,
    #[serde(rename = "error")]
    pub(super) word: &'static str,
    pub(super) message: String,
}

impl Failure {
    pub(super) const BAD_PASSWORD: &str = "bad_password";
    pub(super) const WRONG_PASSWORD: &str = "wrong_password";

    pub(super) fn new(status: StatusCode, word: &'static str, message: impl Into<String>) -> Self {
        Self { status, word, message: message.into() }
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path")
    }

    pub(super) fn wrong_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", "this path does not take this method")
    }

    pub(super) fn not_signed_in() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "not_signed_in", "nobody is signed in")
    }

    /// What a layer says with a status alone.
    pub(super) fn of_layer(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::not_signed_in(),
            StatusCode::FORBIDDEN => Self::new(
                status,
                "cross_site",
                "the request comes from another site, or its form has no token of this session: load the page again",
            ),
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(status, "too_large", "the form is too long"),
            StatusCode::SERVICE_UNAVAILABLE => Self::new(status, "store_down", "the store could not be asked"),
            _ => Self::new(status, "internal", "the request could not be served"),
        }
    }

    pub(super) fn of(error: &SessionError) -> Self {
        let status = match error.kind() {
            // Here the client names the keys.
            Kind::Edit(EditError::KeyTooLong) => StatusCode::BAD_REQUEST,
            // And types.
            Kind::Edit(EditError::Replay(ReplayError::WrongType)) => StatusCode::CONFLICT,
            _ => error.status(),
        };
        match word(error.kind()) {
            NOT_A_NUMBER => Self::new(status, NOT_A_NUMBER, "the value under this key is no whole number"),
            word => Self::new(status, word, error.to_string()),
        }
    }

    /// Whoever filled in the form can put it right.
    pub(super) fn is_of_the_form(&self) -> bool {
        [Self::BAD_PASSWORD, Self::WRONG_PASSWORD].contains(&self.word)
    }

    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

fn word(error: &Kind) -> &'static str {
    match error {
        Kind::Closed => "closed",
        Kind::Commit(error) => match error {
            CommitError::Ambiguous => "ambiguous",
            CommitError::Contention => "contention",
            CommitError::CrossSite => "cross_site",
            CommitError::Lost => "lost",
            CommitError::NoIndex => "no_index",
            CommitError::OutcomeUnknown => "outcome_unknown",
            CommitError::CookieTooLarge { .. } | CommitError::RecordTooLarge { .. } => "too_large",
            CommitError::Replay(error) => replay_word(*error),
            CommitError::StaleTicket => "stale_ticket",
            CommitError::Store => "store_down",
            CommitError::TooLate => "too_late",
            CommitError::TooManySessions => "too_many_sessions",
            CommitError::Undecodable(_) => "undecodable",
            CommitError::Vanished => "vanished",
            _ => "internal",
        },
        Kind::Edit(EditError::KeyTooLong) => "key_too_long",
        Kind::Edit(EditError::NotSignedIn) => "not_signed_in",
        Kind::Edit(EditError::Replay(error)) => replay_word(*error),
        Kind::Edit(EditError::Undecodable) | Kind::Load(_) => "undecodable",
        Kind::Interrupted => "interrupted",
        Kind::Roster(error) => match error {
            RosterError::Contention => "contention",
            RosterError::End(_) | RosterError::Store => "store_down",
            RosterError::NoIndex => "no_index",
            RosterError::UnknownHandle => "unknown_handle",
            _ => "internal",
        },
        Kind::Store(_) | Kind::Unavailable => "store_down",
        _ => "internal",
    }
}

/// The demo asks for one type only, whole numbers.
fn replay_word(error: ReplayError) -> &'static str {
    match error {
        ReplayError::Refused => "out_of_range",
        ReplayError::WrongType => NOT_A_NUMBER,
        _ => "internal",
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        Self::of(&error)
    }
}

impl From<Kind> for Failure {
    fn from(error: Kind) -> Self {
        SessionError::from(error).into()
    }
}

impl From<BytesRejection> for Failure {
    fn from(rejection: BytesRejection) -> Self {
        Self::new(rejection.status(), "bad_body", rejection.body_text())
    }
}

impl From<FormRejection> for Failure {
    fn from(rejection: FormRejection) -> Self {
        Self::new(rejection.status(), "bad_form", rejection.body_text())
    }
}

impl From<PathRejection> for Failure {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), "bad_path", rejection.body_text())
    }
}

impl From<QueryRejection> for Failure {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), "bad_query", rejection.body_text())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}

/// A failure as a page.
#[derive(Debug)]
pub(super) struct Shown(pub(super) Failure);

impl<E> From<E> for Shown
where
    Failure: From<E>,
{
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Shown {
    fn into_response(self) -> Response {
        (self.0.status, Html(view::failure(&self.0).into_string())).into_response()
    }
}

#[cfg(test)]
mod tests {
    use cloakroom_store::{Fault, StoreError};

    use super::*;

    #[test]
    fn what_the_store_and_other_requests_do_has_its_status_and_word() {
        for (error, status, word) in [
            (Kind::Store(StoreError::failed(Fault::Unavailable)), 503, "store_down"),
            (Kind::Store(StoreError::unknown(Fault::TimedOut)), 503, "store_down"),
            (Kind::Unavailable, 503, "store_down"),
            (Kind::Commit(CommitError::Store), 503, "store_down"),
            (Kind::Commit(CommitError::OutcomeUnknown), 503, "outcome_unknown"),
            (Kind::Commit(CommitError::Contention), 409, "contention"),
            (Kind::Commit(CommitError::Lost), 409, "lost"),
            (Kind::Commit(CommitError::Replay(ReplayError::WrongType)), 409, NOT_A_NUMBER),
            (Kind::Edit(EditError::KeyTooLong), 400, "key_too_long"),
            (Kind::Commit(CommitError::TooManySessions), 403, "too_many_sessions"),
            (Kind::Edit(EditError::NotSignedIn), 401, "not_signed_in"),
            (Kind::Roster(RosterError::Contention), 409, "contention"),
            (Kind::Roster(RosterError::Store), 503, "store_down"),
            (Kind::Roster(RosterError::UnknownHandle), 404, "unknown_handle"),
            (Kind::Interrupted, 500, "interrupted"),
        ] {
            let failure = Failure::from(error);
            assert_eq!((failure.status.as_u16(), failure.word), (status, word));
        }
    }
}
