//! A request's session as handlers take it.

use std::{error::Error, fmt, marker::PhantomData, ops::Deref, sync::Arc};

use axum_core::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{Extensions, StatusCode, request::Parts, uri::PathAndQuery};

/// Tells several sessions of one application apart by type: a marker of one's own for each
/// [`SessionLayer`](crate::SessionLayer) beyond the first.
///
/// ```
/// use cloakroom_tower::SessionName;
///
/// #[derive(Clone, Copy, Debug)]
/// struct Admin;
/// impl SessionName for Admin {}
/// ```
pub trait SessionName: Send + Sync + 'static {}

/// The session of an application that has one.
#[derive(Clone, Copy, Debug)]
pub struct Main;

impl SessionName for Main {}

/// A request's session, put there by [`SessionLayer`](crate::SessionLayer): an axum extractor, and an extension of the
/// request for every other service.
///
/// It is the [`cloakroom_store::Session`] that all its methods come from. Clones share it; nothing is loaded until the
/// first access.
pub struct Session<N = Main> {
    handle: cloakroom_store::Session,
    login: Option<LoginWay>,
    name: PhantomData<fn() -> N>,
}

/// The way to the login page, and back.
#[derive(Clone)]
pub(crate) struct LoginWay {
    pub(crate) page: Arc<str>,
    /// As the layer saw it: routers further in may have taken a part away.
    pub(crate) back: Option<PathAndQuery>,
}

impl<N: SessionName> Session<N> {
    pub(crate) fn new(handle: cloakroom_store::Session, login: Option<LoginWay>) -> Self {
        Self { handle, login, name: PhantomData }
    }

    /// Returns the page on which one signs in, where the layer was told of one.
    pub fn login_page(&self) -> Option<&str> {
        self.login.as_ref().map(|way| &*way.page)
    }

    pub(crate) fn login_way(&self) -> Option<&LoginWay> {
        self.login.as_ref()
    }

    /// Finds the session among a request's extensions; for services that are not axum handlers.
    ///
    /// # Errors
    ///
    /// [`MissingLayer`] when no layer of this name put it there.
    pub fn find(extensions: &Extensions) -> Result<Self, MissingLayer> {
        extensions.get::<Self>().cloned().ok_or(MissingLayer)
    }
}

impl<N> Clone for Session<N> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone(), login: self.login.clone(), name: PhantomData }
    }
}

impl<N> Deref for Session<N> {
    type Target = cloakroom_store::Session;

    fn deref(&self) -> &Self::Target {
        &self.handle
    }
}

impl<N> fmt::Debug for Session<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}

impl<S: Send + Sync, N: SessionName> FromRequestParts<S> for Session<N> {
    type Rejection = MissingLayer;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, MissingLayer> {
        Self::find(&parts.extensions)
    }
}

/// A session was asked for where no [`SessionLayer`](crate::SessionLayer) of its name is around the service. In axum,
/// layers go around the routes that were added before them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MissingLayer;

impl fmt::Display for MissingLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no SessionLayer of this name is around the service")
    }
}

impl Error for MissingLayer {}

impl IntoResponse for MissingLayer {
    fn into_response(self) -> Response {
        tracing::error!(target: "cloakroom", "{self}");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}
