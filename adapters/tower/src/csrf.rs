//! Requests that another site forged, refused.

use std::{
    future::Future,
    marker::PhantomData,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{CONTENT_TYPE, HOST, ORIGIN},
    request::Parts,
};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use tower_layer::Layer;
use tower_service::Service;

use crate::session::{Main, Session, SessionName};

/// Refuses unsafe requests (other than GET, HEAD, OPTIONS and TRACE) that a page of another site may have made, with a
/// 403 (ASVS 5.0, 3.5.1). It goes inside the [`SessionLayer`](crate::SessionLayer).
///
/// What the browser says comes first: a `Sec-Fetch-Site` other than `same-origin` or `none` is refused, and so is an
/// `Origin` that is not this site's. Where it says neither, as browsers from before 2020 and programs do, the request needs
/// a token that [`Session::csrf_token`](cloakroom_store::Session::csrf_token) made: in the header `x-csrf-token`, or in the
/// field `csrf_token` of a form in `application/x-www-form-urlencoded`. Such a form is read for it up to
/// [`CsrfLayer::MAX_FORM`] bytes and handed on as it was.
///
/// `SameSite=Lax`, the default of our cookies, keeps most of these requests from being anybody's; this holds also for
/// sibling domains, for a cookie with another setting, and for the login form.
#[derive(Clone, Debug)]
pub struct CsrfLayer<N = Main> {
    rules: Arc<Rules>,
    name: PhantomData<fn() -> N>,
}

#[derive(Clone, Debug, Default)]
struct Rules {
    origins: Vec<String>,
    always: bool,
    allows_silence: bool,
}

impl CsrfLayer {
    /// The most bytes of a form in which a token is looked for; a longer one is refused with a 413.
    pub const MAX_FORM: usize = 1024 * 1024;
    /// The header that has the token.
    pub const HEADER: &'static str = "x-csrf-token";
    /// The field of a form that has the token.
    pub const FIELD: &'static str = "csrf_token";

    /// Makes the layer for the session of an application that has one.
    pub fn new() -> Self {
        Self::named()
    }
}

impl Default for CsrfLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<N: SessionName> CsrfLayer<N> {
    /// Makes the layer for the session of a name.
    pub fn named() -> Self {
        Self { rules: Arc::default(), name: PhantomData }
    }

    /// Names an origin that is this site's, such as `https://www.example.org`; call it for each. Without any, those are whose
    /// host is that of the request, whatever their scheme, which asks of a proxy that it passes `Host` on.
    #[must_use = "this returns the changed layer"]
    pub fn origin(self, origin: impl Into<String>) -> Self {
        let mut rules = (*self.rules).clone();
        rules.origins.push(origin.into());
        Self { rules: Arc::new(rules), ..self }
    }

    /// Asks for a token also where the browser says that the request is of this site.
    #[must_use = "this returns the changed layer"]
    pub fn always_token(self) -> Self {
        Self { rules: Arc::new(Rules { always: true, ..(*self.rules).clone() }), ..self }
    }

    /// Lets requests pass that say nothing of where they come from, without a token: for routes that programs use. Old
    /// browsers are then protected by the cookie's `SameSite` alone.
    #[must_use = "this returns the changed layer"]
    pub fn dangerous_allow_silence(self) -> Self {
        Self { rules: Arc::new(Rules { allows_silence: true, ..(*self.rules).clone() }), ..self }
    }
}

impl Rules {
    /// What the browser says of where the request comes from.
    fn judge(&self, parts: &Parts) -> Verdict {
        if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE) {
            return Verdict::Passes;
        }
        let said = match (single(&parts.headers, "sec-fetch-site"), single(&parts.headers, ORIGIN.as_str())) {
            (Some(site), _) => Some(matches!(site, b"same-origin" | b"none")),
            (None, Some(origin)) => Some(self.is_own(origin, parts)),
            (None, None) => None,
        };
        match said {
            Some(true) if !self.always => Verdict::Passes,
            Some(false) => Verdict::Refused("it comes from another site"),
            None if self.allows_silence => Verdict::Passes,
            Some(true) | None => Verdict::NeedsToken,
        }
    }

    fn is_own(&self, origin: &[u8], parts: &Parts) -> bool {
        if !self.origins.is_empty() {
            return self.origins.iter().any(|own| own.as_bytes() == origin);
        }
        let host = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
        let host = host.or_else(|| single(&parts.headers, HOST.as_str()));
        let authority = [&b"https://"[..], b"http://"].into_iter().find_map(|scheme| origin.strip_prefix(scheme));
        authority.is_some() && authority == host
    }
}

enum Verdict {
    NeedsToken,
    Passes,
    Refused(&'static str),
}

/// The only value of a header; one that comes twice says what no browser says.
fn single<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    Some(if values.next().is_some() { b"" } else { first.as_bytes() })
}

impl<S, N: SessionName> Layer<S> for CsrfLayer<N> {
    type Service = CsrfChecked<S, N>;

    fn layer(&self, inner: S) -> CsrfChecked<S, N> {
        CsrfChecked { inner, rules: Arc::clone(&self.rules), name: PhantomData }
    }
}

/// The service of [`CsrfLayer`].
#[derive(Clone, Debug)]
pub struct CsrfChecked<S, N = Main> {
    inner: S,
    rules: Arc<Rules>,
    name: PhantomData<fn() -> N>,
}

impl<S, N, B, C> Service<Request<B>> for CsrfChecked<S, N>
where
    S: Service<Request<B>, Response = Response<C>> + Clone + Send + 'static,
    S::Future: Send,
    N: SessionName,
    B: Body<Data = Bytes> + From<Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    C: Default,
{
    type Response = Response<C>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<C>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was made ready is the one that is called.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let rules = Arc::clone(&self.rules);
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            match rules.judge(&parts) {
                Verdict::Passes => inner.call(Request::from_parts(parts, body)).await,
                Verdict::Refused(why) => Ok(refused(StatusCode::FORBIDDEN, why)),
                Verdict::NeedsToken => match check::<N, B>(parts, body).await {
                    Ok(request) => inner.call(request).await,
                    Err((status, why)) => Ok(refused(status, why)),
                },
            }
        })
    }
}

/// Looks for a token of the session in the header, or in the form.
async fn check<N, B>(parts: Parts, body: B) -> Result<Request<B>, (StatusCode, &'static str)>
where
    N: SessionName,
    B: Body<Data = Bytes> + From<Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    const NO_TOKEN: (StatusCode, &str) = (StatusCode::FORBIDDEN, "it has no token of the session");
    let session = Session::<N>::find(&parts.extensions)
        .map_err(|_| (StatusCode::INTERNAL_SERVER_ERROR, "no SessionLayer of this name is around the service"))?;
    let is_valid = async |token: &[u8]| session.is_csrf_token(token).await.unwrap_or(false);
    if let Some(token) = single(&parts.headers, CsrfLayer::HEADER) {
        return if is_valid(token).await { Ok(Request::from_parts(parts, body)) } else { Err(NO_TOKEN) };
    }
    let is_form = parts.headers.get(CONTENT_TYPE).is_some_and(|value| {
        let media_type = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        media_type.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    });
    if !is_form {
        return Err(NO_TOKEN);
    }
    let form = Limited::new(Box::pin(body), CsrfLayer::MAX_FORM).collect().await;
    let form = form.map_err(|_| (StatusCode::PAYLOAD_TOO_LARGE, "its form is too long, or broke off"))?.to_bytes();
    let field = form_urlencoded::parse(&form).find(|(name, _)| name == CsrfLayer::FIELD);
    match field {
        Some((_, token)) if is_valid(token.as_bytes()).await => Ok(Request::from_parts(parts, B::from(form.clone()))),
        _ => Err(NO_TOKEN),
    }
}

fn refused<C: Default>(status: StatusCode, why: &'static str) -> Response<C> {
    tracing::warn!(target: "cloakroom", event = "csrf_refused", reason = why, "request");
    let mut response = Response::new(C::default());
    *response.status_mut() = status;
    response
}
