//! The response on its way: the handler's, then the commit.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use cloakroom_core::{CommitError, End};
use cloakroom_store::{Commit, Finish, Report, Session, SessionError as Kind};
use http::{Response, StatusCode};
use pin_project_lite::pin_project;

use crate::{
    error::SessionError,
    headers::{carry_over, merge},
    layer::Settings,
    refusal::Refusal,
    session::SessionName,
    trace::{SessionTrace, record},
};

pin_project! {
    /// The future of [`SessionService`](crate::SessionService).
    pub struct ResponseFuture<F, B, E, N, R> {
        #[pin]
        inner: F,
        session: Session,
        settings: Arc<Settings<R>>,
        // In a box, for a future is moved as a whole, and many commits are done when they are first asked.
        committing: Option<Box<(Result<Response<B>, E>, Commit)>>,
        name: PhantomData<fn() -> N>,
    }
}

impl<F, B, E, N, R> ResponseFuture<F, B, E, N, R> {
    pub(crate) fn new(inner: F, session: Session, settings: Arc<Settings<R>>) -> Self {
        Self { inner, session, settings, committing: None, name: PhantomData }
    }
}

impl<F, B, E, N, R> Future for ResponseFuture<F, B, E, N, R>
where
    F: Future<Output = Result<Response<B>, E>>,
    N: SessionName,
    R: Refusal<B>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // A report is looked at where it came: it is long to move.
        if let Some(mut waiting) = this.committing.take() {
            return match Pin::new(&mut waiting.1).poll(cx) {
                Poll::Ready(report) => Poll::Ready(settled::<B, E, N, R>(waiting.0, &report, this.settings)),
                Poll::Pending => {
                    *this.committing = Some(waiting);
                    Poll::Pending
                }
            };
        }
        let output = ready!(this.inner.poll(cx));
        let is_failure = output.as_ref().map_or(true, |response| response.status().is_server_error());
        let finish = match is_failure && !this.settings.saves_on_server_error {
            false => Finish::Keep,
            true => Finish::DropEdits,
        };
        let mut commit = Session::commit(this.session, finish);
        if let Some(report) = commit.report() {
            return Poll::Ready(settled::<B, E, N, R>(output, report, this.settings));
        }
        match Pin::new(&mut commit).poll(cx) {
            Poll::Ready(report) => Poll::Ready(settled::<B, E, N, R>(output, &report, this.settings)),
            Poll::Pending => {
                *this.committing = Some(Box::new((output, commit)));
                Poll::Pending
            }
        }
    }
}

impl<F, B, E, N, R> fmt::Debug for ResponseFuture<F, B, E, N, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

fn settled<B, E, N: SessionName, R: Refusal<B>>(
    output: Result<Response<B>, E>,
    report: &Report,
    settings: &Settings<R>,
) -> Result<Response<B>, E> {
    record(report);
    output.map(|response| settle::<B, N, R>(response, report, settings))
}

/// Replaces a response that must not go out, and merges the session's headers.
fn settle<B, N: SessionName, R: Refusal<B>>(
    mut response: Response<B>,
    report: &Report,
    settings: &Settings<R>,
) -> Response<B> {
    let end_failed = matches!(report.end(), Some(End::Failed | End::Vanished));
    if let Err(error) = report.result()
        && (end_failed || !response.status().is_server_error())
    {
        let error = SessionError::from(error);
        // An end that was not even tried is the request's fault, not the store's.
        let tried = !matches!(
            error.kind(),
            Kind::Commit(CommitError::Ambiguous | CommitError::CrossSite | CommitError::StaleTicket)
        );
        let status = if end_failed && tried { StatusCode::SERVICE_UNAVAILABLE } else { error.status() };
        let mut refused = settings.refusal.refuse(status, &error);
        carry_over(response.headers(), refused.headers_mut());
        merge(refused.headers_mut(), "cache-control", "no-store");
        // What the layers inside said of their sessions.
        *refused.extensions_mut() = mem::take(response.extensions_mut());
        response = refused;
    }
    for (name, value) in report.headers() {
        merge(response.headers_mut(), name, value);
    }
    let is_accessed = || report.events().is_none() || report.headers().next().is_some();
    if settings.traces && is_accessed() {
        response.extensions_mut().insert(SessionTrace::<N>::of(report));
    }
    response
}
