//! The response in place of one whose session could not be settled.

use http::{Response, StatusCode};

use crate::error::SessionError;

/// Makes the response that goes out when the handler's must not: its session's changes, or an end, are not stored, or
/// the store was down when it was asked.
///
/// It is asked at the commit alone, when the handler is done. A handler's own response with a 5xx status is left as it is,
/// unless an end failed, and so is what [`SessionError`] answers where a handler passes one on with `?`, and what
/// [`Principal`](crate::Principal) and [`RequireLogin`](crate::RequireLogin) answer: the [crate's page](crate#what-a-response-tells)
/// says how to give those the same look.
///
/// A closure `Fn(StatusCode, &SessionError) -> Response<B>` is one. Cookies and caching headers of the handler's
/// response are carried over, and `Cache-Control: no-store` is added.
pub trait Refusal<B> {
    /// Makes the response; it should have the status.
    fn refuse(&self, status: StatusCode, error: &SessionError) -> Response<B>;
}

/// The default: the status, and an empty body.
#[derive(Clone, Copy, Debug, Default)]
pub struct StatusOnly;

impl<B: Default> Refusal<B> for StatusOnly {
    fn refuse(&self, status: StatusCode, _error: &SessionError) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = status;
        response
    }
}

impl<B, F: Fn(StatusCode, &SessionError) -> Response<B>> Refusal<B> for F {
    fn refuse(&self, status: StatusCode, error: &SessionError) -> Response<B> {
        self(status, error)
    }
}
