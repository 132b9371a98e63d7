//! Routes that ask for somebody to be signed in.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    mem,
    ops::Deref,
    pin::Pin,
    task::{Context, Poll},
};

use axum_core::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response as AxumResponse},
};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{CACHE_CONTROL, LOCATION},
    request::Parts,
};
use serde::de::{DeserializeOwned, IgnoredAny};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    error::SessionError,
    return_to::ReturnTo,
    session::{LoginWay, Main, MissingLayer, Session, SessionName},
};

/// The id of the user who is signed in: an axum extractor. Where nobody is, who wants to
/// see a page is sent to the [login page](crate::SessionLayer::login_page) if there is one, and any other request refused
/// with a 401; `Option<Principal<U>>` is `None` then.
#[derive(Clone, Copy)]
pub struct Principal<U, N = Main> {
    user: U,
    name: PhantomData<fn() -> N>,
}

impl<U: DeserializeOwned, N: SessionName> Principal<U, N> {
    /// Asks a session; for services that are not axum handlers. `None` also where the store is down and the request is served
    /// without a session: routes that need somebody take [`RequireLogin`], which refuses then.
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded, or the id is no `U`.
    pub async fn of(session: &Session<N>) -> Result<Option<Self>, SessionError> {
        Ok(session.principal().await?.map(Self::new))
    }

    fn new(user: U) -> Self {
        Self { user, name: PhantomData }
    }

    /// Returns the id.
    pub fn into_inner(self) -> U {
        self.user
    }
}

impl<U, N> Deref for Principal<U, N> {
    type Target = U;

    fn deref(&self) -> &U {
        &self.user
    }
}

impl<U, N> fmt::Debug for Principal<U, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Principal(..)")
    }
}

impl<S: Send + Sync, U: DeserializeOwned, N: SessionName> FromRequestParts<S> for Principal<U, N> {
    type Rejection = LoginRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, LoginRejection> {
        let session = Session::<N>::find(&parts.extensions)?;
        let first = || SignInFirst::of(session.login_way(), &parts.method, &parts.headers);
        // A store that is down signs nobody out, also where requests are served without a session.
        let user = session.with(|loaded| loaded.principal()).await.map_err(SessionError::from)?;
        user.map(Self::new).ok_or_else(|| LoginRejection::NotSignedIn(first()))
    }
}

impl<S: Send + Sync, U: DeserializeOwned, N: SessionName> OptionalFromRequestParts<S> for Principal<U, N> {
    type Rejection = LoginRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, LoginRejection> {
        Ok(Self::of(&Session::<N>::find(&parts.extensions)?).await?)
    }
}

/// Why a request was refused that must be signed in.
#[non_exhaustive]
#[derive(Debug)]
pub enum LoginRejection {
    /// No layer of the session is around the service.
    MissingLayer(MissingLayer),
    /// Nobody is signed in.
    NotSignedIn(SignInFirst),
    /// The session could not be asked.
    Session(SessionError),
}

impl From<MissingLayer> for LoginRejection {
    fn from(missing: MissingLayer) -> Self {
        Self::MissingLayer(missing)
    }
}

impl From<SessionError> for LoginRejection {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

impl IntoResponse for LoginRejection {
    fn into_response(self) -> AxumResponse {
        match self {
            Self::MissingLayer(missing) => missing.into_response(),
            Self::NotSignedIn(first) => first.response(),
            Self::Session(error) => error.into_response(),
        }
    }
}

/// Where to sign in, and where to go on after it; a 401 where there is no page for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignInFirst(Option<HeaderValue>);

impl SignInFirst {
    /// The way to the page and back; only for requests that show a page.
    fn of(way: Option<&LoginWay>, method: &Method, headers: &HeaderMap) -> Self {
        let navigates = headers.get("sec-fetch-mode").is_none_or(|mode| mode.as_bytes() == b"navigate");
        let Some(LoginWay { page, back }) = way.filter(|_| navigates && matches!(*method, Method::GET | Method::HEAD))
        else {
            return Self(None);
        };
        let location = match back.as_ref().and_then(|path| ReturnTo::parse(path.as_str())) {
            Some(back) => format!("{page}{}{}", if page.contains('?') { '&' } else { '?' }, back.query()),
            None => page.to_string(),
        };
        Self(HeaderValue::try_from(location).ok())
    }

    /// Makes the response: a 303 to the login page, or a 401.
    pub fn response<B: Default>(&self) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        if let Some(location) = &self.0 {
            *response.status_mut() = StatusCode::SEE_OTHER;
            response.headers_mut().insert(LOCATION, location.clone());
        }
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// Refuses requests of routes when nobody is signed in, as [`Principal`] does, before the handler is called. It goes inside
/// the [`SessionLayer`](crate::SessionLayer).
///
/// ```
/// use axum::{Router, routing::get};
/// use cloakroom_tower::{Principal, RequireLogin};
///
/// let app: Router = Router::new()
///     .route("/account", get(|user: Principal<u64>| async move { format!("user {}", *user) }))
///     .route_layer(RequireLogin::new());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RequireLogin<N = Main> {
    redirects: bool,
    name: PhantomData<fn() -> N>,
}

impl RequireLogin {
    /// Makes the layer for the session of an application that has one.
    pub fn new() -> Self {
        Self::named()
    }
}

impl Default for RequireLogin {
    fn default() -> Self {
        Self::new()
    }
}

impl<N: SessionName> RequireLogin<N> {
    /// Makes the layer for the session of a name.
    pub fn named() -> Self {
        Self { redirects: true, name: PhantomData }
    }

    /// Answers with a 401 also where there is a login page: for routes that programs use.
    #[must_use = "this returns the changed layer"]
    pub fn status_only(mut self) -> Self {
        self.redirects = false;
        self
    }
}

impl<S, N: SessionName> Layer<S> for RequireLogin<N> {
    type Service = LoginRequired<S, N>;

    fn layer(&self, inner: S) -> LoginRequired<S, N> {
        LoginRequired { inner, redirects: self.redirects, name: PhantomData }
    }
}

/// The service of [`RequireLogin`].
#[derive(Clone, Debug)]
pub struct LoginRequired<S, N = Main> {
    inner: S,
    redirects: bool,
    name: PhantomData<fn() -> N>,
}

impl<S, N, B, C> Service<Request<B>> for LoginRequired<S, N>
where
    S: Service<Request<B>, Response = Response<C>> + Clone + Send + 'static,
    S::Future: Send,
    N: SessionName,
    B: Send + 'static,
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
        let redirects = self.redirects;
        Box::pin(async move {
            let refused = |status| {
                let mut response = Response::new(C::default());
                *response.status_mut() = status;
                response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                response
            };
            let Ok(session) = Session::<N>::find(request.extensions()) else {
                tracing::error!(target: "cloakroom", "{MissingLayer}");
                return Ok(refused(StatusCode::INTERNAL_SERVER_ERROR));
            };
            match session.with(|loaded| loaded.principal::<IgnoredAny>()).await.map_err(SessionError::from) {
                Ok(Some(_)) => inner.call(request).await,
                Ok(None) => {
                    let way = session.login_way().filter(|_| redirects);
                    Ok(SignInFirst::of(way, request.method(), request.headers()).response())
                }
                Err(error) => Ok(refused(error.status())),
            }
        })
    }
}
